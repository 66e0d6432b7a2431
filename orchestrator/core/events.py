"""Facts for subscribers: past tense, numbered per session, never changed afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Final

from orchestrator.core.session import Instant, JsonObject
from orchestrator.core.values import value


class EventName(StrEnum):
    """Every event there is; the value is its name everywhere."""

    SESSION_CREATED = "session_created"
    SESSION_CHANGED = "session_changed"
    SESSION_DEADLINE_MOVED = "session_deadline_moved"
    STEP_ADDED = "step_added"
    STEP_CHANGED = "step_changed"
    STEP_REMOVED = "step_removed"
    STEP_RESET = "step_reset"
    APP_CHOSEN = "app_chosen"
    AUTHENTICATIONS_REFRESHED = "authentications_refreshed"
    POPUP_OPENED = "popup_opened"
    MESSAGE_RECEIVED = "message_received"
    ATTEMPT_DEADLINE_MOVED = "attempt_deadline_moved"
    CONNECT_LINK_MADE = "connect_link_made"
    CONNECT_LINK_OPENED = "connect_link_opened"
    CONNECT_LINK_CONTESTED = "connect_link_contested"
    CONNECT_LINK_ALLOWED = "connect_link_allowed"
    CONNECT_LINK_REVOKED = "connect_link_revoked"
    CANDIDATES_FOUND = "candidates_found"
    FIELDS_SENT = "fields_sent"
    AUTH_NEEDED = "auth_needed"
    AUTH_RESOLVED = "auth_resolved"
    ACTION_CHOSEN = "action_chosen"
    INPUTS_GIVEN = "inputs_given"
    INPUTS_CLEARED = "inputs_cleared"
    STEP_TESTED = "step_tested"
    SESSION_READY = "session_ready"
    SESSION_EXPIRED = "session_expired"
    SESSION_CANCELLED = "session_cancelled"
    ZAP_REQUESTED = "zap_requested"
    ZAP_CREATED = "zap_created"
    ZAP_FAILED = "zap_failed"
    ZAP_CREATE_UNKNOWN = "zap_create_unknown"
    ZAP_LOOKED_FOR = "zap_looked_for"
    SIGN_IN_NEEDED = "sign_in_needed"
    SIGNED_IN = "signed_in"


@value
class Event:
    """One fact. `seq` is 1 for a session's first event and grows by one."""

    seq: int
    name: EventName
    at: Instant
    step_id: str | None = None
    data: JsonObject = field(default_factory=dict)


@value
class Kind:
    """What subscribers may rely on about every event of one name.

    `data` is an example of its data; members in `optional` may be absent. `schema` grows when a member goes or means
    something else, never when one is added. `is_outcome`: it is sent unless a subscriber says which events it wants.
    """

    when: str
    data: JsonObject = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    of_step: bool = False
    is_outcome: bool = False
    schema: int = 1


_STEP: Final = "zp7kq2v9x0c4m1n8b6d3f5"
_ATTEMPT: Final = "3f2c9a52-8d0e-4c5f-9b1a-7d6e5f4a3b2c"
_LINK: Final = "clw2k9x4t7b1n5c8v3m6z0d4"
_LATER: Final[Instant] = 1_764_072_600_000

CATALOGUE: Final[Mapping[EventName, Kind]] = {
    EventName.SESSION_CREATED: Kind(when="a session begins", data={"steps": [_STEP]}),
    EventName.SESSION_CHANGED: Kind(when="title or metadata are given anew"),
    EventName.SESSION_DEADLINE_MOVED: Kind(
        when="an operator gave the session more time, until `deadline`", data={"deadline": _LATER}
    ),
    EventName.STEP_ADDED: Kind(when="a step is put in", data={"position": 1}, of_step=True),
    EventName.STEP_CHANGED: Kind(
        when="a step is moved or renamed", data={"position": 0, "alias": "lead"}, of_step=True
    ),
    EventName.STEP_REMOVED: Kind(when="a step is taken out", of_step=True),
    EventName.STEP_RESET: Kind(when="a step starts over", of_step=True),
    EventName.APP_CHOSEN: Kind(
        when="a step gets its app; `state` says whether that needs an authentication",
        data={"app_id": "HubSpotCLIAPI", "state": "needs-auth"},
        of_step=True,
    ),
    EventName.AUTHENTICATIONS_REFRESHED: Kind(when="a step's picker shows a newer listing", of_step=True),
    EventName.POPUP_OPENED: Kind(
        when="a connect popup is opened, to be waited for until `deadline`",
        data={"attempt_id": _ATTEMPT, "deadline": _LATER},
        of_step=True,
    ),
    EventName.MESSAGE_RECEIVED: Kind(
        when="a popup's message named an authentication, which Zapier is now asked for",
        data={"attempt_id": _ATTEMPT},
        of_step=True,
    ),
    EventName.ATTEMPT_DEADLINE_MOVED: Kind(
        when="a popup is waited for longer", data={"attempt_id": _ATTEMPT, "deadline": _LATER}, of_step=True
    ),
    EventName.CONNECT_LINK_MADE: Kind(
        when="a link to our connect page is made for a step", data={"link_id": _LINK}, of_step=True
    ),
    EventName.CONNECT_LINK_OPENED: Kind(
        when="somebody continued on a connect link, which is their browser's now", data={"link_id": _LINK}, of_step=True
    ),
    EventName.CONNECT_LINK_CONTESTED: Kind(
        when="another browser waits to be let in by a connect link; its user is shown the `code`",
        data={"link_id": _LINK, "code": "K7Q2MX4D"},
        of_step=True,
    ),
    EventName.CONNECT_LINK_ALLOWED: Kind(
        when="a connect link became the browser's that waited",
        data={"link_id": _LINK, "code": "K7Q2MX4D"},
        of_step=True,
    ),
    EventName.CONNECT_LINK_REVOKED: Kind(
        when="a connect link is good for nobody any more", data={"link_id": _LINK}, of_step=True
    ),
    EventName.CANDIDATES_FOUND: Kind(
        when="there are authentications of which only the user can say whether one is meant",
        data={"candidates": ["40912355"]},
        of_step=True,
    ),
    EventName.FIELDS_SENT: Kind(
        when="the fields of an authentication for an app of the tenant's own are about to be sent to Zapier, by one "
        "call; if its answer is lost, what it made is looked for until `deadline`",
        data={"attempt_id": _ATTEMPT, "deadline": _LATER},
        of_step=True,
    ),
    EventName.AUTH_NEEDED: Kind(
        when="a step needs an authentication although something was tried; `reason` says why",
        data={"reason": "timed_out", "attempt_id": _ATTEMPT, "candidates": ["40912355"], "checked": True},
        optional=frozenset({"attempt_id", "candidates", "checked"}),
        of_step=True,
        is_outcome=True,
    ),
    EventName.AUTH_RESOLVED: Kind(
        when="a step has its authentication; `evidence` says who spoke for it",
        data={"authentication_id": "40912355", "evidence": ["message"]},
        of_step=True,
        is_outcome=True,
    ),
    EventName.ACTION_CHOSEN: Kind(
        when="a step's action is chosen", data={"key": "new_contact", "action_type": "read"}, of_step=True
    ),
    EventName.INPUTS_GIVEN: Kind(when="a step's fields are filled in", data={"fields": ["email"]}, of_step=True),
    EventName.INPUTS_CLEARED: Kind(
        when="fields are emptied: they were picked from what another authentication offered",
        data={"fields": ["spreadsheet"]},
        of_step=True,
    ),
    EventName.STEP_TESTED: Kind(
        when="a step's action is about to be carried out once, to see what comes of it",
        data={"test_id": "tt7kq2v9x0c4m1n8b6d3f5"},
        of_step=True,
    ),
    EventName.SESSION_READY: Kind(
        when="every step is settled and has its action; its fields are looked at when the Zap is created",
        is_outcome=True,
    ),
    EventName.SESSION_EXPIRED: Kind(when="nobody finished the session before its deadline", is_outcome=True),
    EventName.SESSION_CANCELLED: Kind(when="the session is given up", is_outcome=True),
    EventName.ZAP_REQUESTED: Kind(
        when="the Zap is about to be created, by one call", data={"intent_id": "zi7kq2v9x0c4m1n8b6d3f5"}
    ),
    EventName.ZAP_CREATED: Kind(
        when="the Zap exists", data={"zap_id": "00000000-0000-c000-8000-000000019263"}, is_outcome=True
    ),
    EventName.ZAP_FAILED: Kind(
        when="Zapier surely did not create the Zap; the session can be changed again",
        data={"problem": "invalid inputs"},
        is_outcome=True,
    ),
    EventName.ZAP_CREATE_UNKNOWN: Kind(
        when="the Zap may exist or not: a person must look", data={"problem": "no answer in time"}, is_outcome=True
    ),
    EventName.ZAP_LOOKED_FOR: Kind(
        when="the user's Zaps were looked through for one that may exist; `is_over`: a person must say which it is",
        data={"matches": ["00000000-0000-c000-8000-000000019263"], "is_over": True},
    ),
    EventName.SIGN_IN_NEEDED: Kind(
        when="Zapier takes the user's token no more; `reason` says what became of its refresh, if it was ours",
        data={"reason": "token_refused"},
        is_outcome=True,
    ),
    EventName.SIGNED_IN: Kind(when="the user is signed in, again, or to another account"),
}
"""Everything that can be told, by its name; documents and descriptions are written from it."""

OUTCOMES: Final = frozenset(name for name, kind in CATALOGUE.items() if kind.is_outcome)
"""What is sent to a subscriber who does not say which events it wants."""


def example(name: EventName, *, seq: int, at: Instant) -> Event:
    """Return an event as it might have been."""
    kind = CATALOGUE[name]
    return Event(seq=seq, name=name, at=at, step_id=_STEP if kind.of_step else None, data=dict(kind.data))
