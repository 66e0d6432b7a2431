"""Sessions are shown as they are, with everything a page needs and nothing it must not have."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from api import views
from api.views import Views
from orchestrator.core.events import Event, EventName
from orchestrator.core.ports.credentials import Credential, CredentialState, SignInReason
from orchestrator.core.ports.sessions import EventPage
from orchestrator.core.ports.upstream import AppPage, CatalogAction, CatalogApp
from orchestrator.core.session import (
    MINUTE,
    Action,
    App,
    Attempt,
    AttemptEnd,
    Authentication,
    Baseline,
    Channel,
    Connect,
    Evidence,
    Reason,
    Session,
    Step,
    StepState,
)
from orchestrator.queries import Snapshot

NOON = 1_790_000_000_000
VIEWS = Views(message_origin="https://zapier.com", baseline_fresh=5 * MINUTE)
CREDENTIAL = Credential(
    tenant_id="acme", user_id="ann", access_token="hunter2", generation=1, account="p7", email="a•••@example.test"
)
ATTEMPT = Attempt(id="attempt-1", app_id="chat", opened_at=NOON, deadline=NOON + 10 * MINUTE)
WAITING = Step(
    id="st1",
    alias="first",
    state=StepState.AWAITING_POPUP,
    app=App(id="chat", title="Chat"),
    connect=Connect(url="https://zapier.com/connect", read_at=NOON - 1_000),
    baseline=Baseline(taken_at=NOON, account="p7", authentications=(Authentication(id="old", title="Old"),)),
    attempts=(replace(ATTEMPT, id="attempt-0", ended=AttemptEnd.SUPERSEDED), ATTEMPT),
    inputs={"text": "hi"},
)


def written(answer: object) -> dict[str, Any]:
    """Return what an answer is as JSON."""
    document: dict[str, Any] = json.loads(msgspec.json.encode(answer))
    return document


def shown(*steps: Step, credential: Credential | None = CREDENTIAL, **next_checks: int | None) -> dict[str, Any]:
    """Show a session with these steps, as JSON."""
    session = Session(
        id="zs1",
        tenant_id="acme",
        user_id="ann",
        created_at=NOON,
        updated_at=NOON,
        deadline=NOON + MINUTE,
        steps=steps,
        seq=3,
        version=9,
        commit_id="cm1",
    )
    snapshot = Snapshot(session=session, credential=credential, next_checks=next_checks)
    return written(VIEWS.session(snapshot))


def test_a_session_is_shown_whole() -> None:
    """Every member is there, with null where there is nothing; tenants, versions and tokens are not."""
    assert shown() == {
        "id": "zs1",
        "user_id": "ann",
        "status": "building",
        "state": "choose-app",
        "seq": 3,
        "title": None,
        "reference": None,
        "metadata": {},
        "created_at": "2026-09-21T14:13:20.000Z",
        "deadline": "2026-09-21T14:14:20.000Z",
        "credential": {"state": "active", "account": "a•••@example.test", "reason": None},
        "zap": {"state": "none", "id": None, "editor_url": None, "problem": None, "matches": []},
        "steps": [],
    }


def test_a_waiting_step_shows_its_live_attempt_and_the_next_check() -> None:
    """Attempts that ended are history, and so is what the picker showed."""
    (step,) = shown(WAITING, chat=NOON + 2_000)["steps"]

    assert step == {
        "id": "st1",
        "position": 0,
        "alias": "first",
        "state": "awaiting-popup",
        "reason": None,
        "app": {"id": "chat", "title": "Chat", "image": None, "hex_color": None},
        "connect": {
            "url": "https://zapier.com/connect",
            "fresh_until": "2026-09-21T14:18:19.000Z",
            "message_origin": "https://zapier.com",
        },
        "authentication": None,
        "candidates": [],
        "attempt": {
            "id": "attempt-1",
            "opened_at": "2026-09-21T14:13:20.000Z",
            "deadline": "2026-09-21T14:23:20.000Z",
            "next_check_at": "2026-09-21T14:13:22.000Z",
        },
        "evidence": None,
        "action": None,
        "inputs": {"text": "hi"},
    }


def test_a_resolved_step_shows_why_it_has_its_authentication() -> None:
    """Evidence names its channels, the check and the attempt."""
    found = Authentication(id="new", title="New")
    resolved = replace(
        WAITING,
        state=StepState.RESOLVED,
        authentication=found,
        evidence=Evidence(channels=(Channel.MESSAGE, Channel.DIFFERENCE), checked_at=NOON, attempt_id="attempt-1"),
        action=Action(key="send", action_type="WRITE"),
        attempts=(replace(ATTEMPT, ended=AttemptEnd.SETTLED),),
    )

    (step,) = shown(resolved)["steps"]

    assert step["authentication"] == {"id": "new", "title": "New", "is_expired": False}
    assert step["evidence"] == {
        "channels": ["message", "difference"],
        "checked_at": "2026-09-21T14:13:20.000Z",
        "attempt_id": "attempt-1",
    }
    assert (step["action"], step["attempt"]) == ({"key": "send", "action_type": "WRITE"}, None)


def test_candidates_and_reasons_are_shown() -> None:
    """The page asks the user with them."""
    offered = replace(
        WAITING,
        state=StepState.NEEDS_AUTH,
        reason=Reason.AMBIGUOUS,
        candidates=(Authentication(id="a", title="A"), Authentication(id="b", title="B")),
    )

    (step,) = shown(offered)["steps"]

    assert (step["reason"], [found["id"] for found in step["candidates"]]) == ("ambiguous", ["a", "b"])


def test_positions_are_places() -> None:
    """They are counted, not kept."""
    steps = shown(Step(id="st1"), Step(id="st2"))["steps"]

    assert [(step["id"], step["position"]) for step in steps] == [("st1", 0), ("st2", 1)]


@pytest.mark.parametrize(
    ("step", "credential"),
    [
        (replace(WAITING, baseline=None), CREDENTIAL),
        (WAITING, None),
        (WAITING, replace(CREDENTIAL, account="p8")),
    ],
    ids=["no baseline", "no credential", "another account"],
)
def test_what_was_never_listed_for_this_account_is_not_fresh(step: Step, credential: Credential | None) -> None:
    """Then the page prepares the step before it opens a popup."""
    (found,) = shown(step, credential=credential)["steps"]

    assert found["connect"]["fresh_until"] is None


def test_a_step_without_a_connect_link_has_none() -> None:
    """It needs no popup."""
    (found,) = shown(replace(WAITING, connect=None))["steps"]

    assert found["connect"] is None


@pytest.mark.parametrize(
    ("credential", "state"),
    [
        (None, {"state": "missing", "account": None, "reason": None}),
        (
            replace(CREDENTIAL, state=CredentialState.NEEDS_SIGN_IN, reason=SignInReason.REFRESH_REFUSED, email=None),
            {"state": "needs_sign_in", "account": None, "reason": "refresh_refused"},
        ),
    ],
    ids=["missing", "refused"],
)
def test_a_session_says_whether_its_user_is_signed_in(credential: Credential | None, state: dict[str, Any]) -> None:
    """The page may have to ask for it."""
    assert shown(credential=credential)["credential"] == state


def test_events_speak_of_moments_as_everything_else_does() -> None:
    """Deadlines in their data are no bare numbers."""
    event = Event(
        seq=1, name=EventName.POPUP_OPENED, at=NOON, step_id="st1", data={"attempt_id": "a", "deadline": NOON}
    )

    page = written(VIEWS.events(EventPage(events=(event,), truncated=True)))

    assert page == {
        "events": [
            {
                "seq": 1,
                "name": "popup_opened",
                "at": "2026-09-21T14:13:20.000Z",
                "step_id": "st1",
                "data": {"attempt_id": "a", "deadline": "2026-09-21T14:13:20.000Z"},
            }
        ],
        "truncated": True,
    }


def test_found_apps_say_whether_they_need_an_authentication() -> None:
    """Their popup addresses are not handed out: choosing the app gives one that is fresh."""
    apps = (
        CatalogApp(app=App(id="chat", title="Chat"), connect=Connect(url="https://x", read_at=NOON)),
        CatalogApp(app=App(id="clock", title="Clock"), connect=None, action_types=("READ",)),
    )

    page = written(views.apps(AppPage(apps=apps, cursor="o20")))

    assert [(app["title"], app["needs_authentication"]) for app in page["apps"]] == [("Chat", True), ("Clock", False)]
    assert (page["cursor"], page["apps"][1]["action_types"]) == ("o20", ["READ"])


def test_actions_are_shown_by_the_names_that_stay() -> None:
    """Zapier's ids of them would be stale before anybody could use them."""
    (action,) = views.actions(
        (CatalogAction(id="core:1", key="send", action_type="WRITE", title="Send", is_instant=True),)
    ).actions

    assert written(action) == {
        "key": "send",
        "action_type": "WRITE",
        "title": "Send",
        "description": "",
        "is_instant": True,
    }


def test_a_credential_is_shown_without_its_token() -> None:
    """It is never returned."""
    found = written(views.credential(replace(CREDENTIAL, expires_at=NOON)))

    assert found == {
        "user_id": "ann",
        "state": "active",
        "account": "a•••@example.test",
        "expires_at": "2026-09-21T14:13:20.000Z",
        "has_refresh_token": False,
    }
