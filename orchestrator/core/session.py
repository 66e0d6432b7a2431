"""The values: a session, its steps, their attempts and what is known of their authentications.

Everything here is frozen; a change makes a new value. Behaviour lives in `decide`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from orchestrator.core.values import value

Instant: TypeAlias = int
"""A moment: milliseconds since the Unix epoch."""

Millis: TypeAlias = int
"""A duration in milliseconds."""

JsonObject: TypeAlias = dict[str, object]

SECOND: Millis = 1_000
MINUTE: Millis = 60 * SECOND
DOCUMENT_VERSION = 1


class StepState(StrEnum):
    """The five states of a step, and of a one-step session."""

    CHOOSE_APP = "choose-app"
    NEEDS_AUTH = "needs-auth"
    AWAITING_POPUP = "awaiting-popup"
    RESOLVED = "resolved"
    NO_AUTH_REQUIRED = "no-auth-required"


SETTLED = frozenset({StepState.RESOLVED, StepState.NO_AUTH_REQUIRED})


class Reason(StrEnum):
    """Why a step needs an authentication although something was tried."""

    AMBIGUOUS = "ambiguous"
    NOTHING_NEW = "nothing_new"
    NOT_VISIBLE = "not_visible"
    CANCELLED = "cancelled"
    POPUP_BLOCKED = "popup_blocked"
    TIMED_OUT = "timed_out"
    EXPIRED = "expired"
    REVOKED = "revoked"
    CLAIMED_ELSEWHERE = "claimed_elsewhere"
    UNANSWERED = "unanswered"
    NOT_MADE = "not_made"


class SessionStatus(StrEnum):
    """Where a session stands as a whole."""

    BUILDING = "building"
    READY = "ready"
    CREATING = "creating"
    CREATED = "created"
    CREATE_UNKNOWN = "create_unknown"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


ENDED = frozenset({SessionStatus.CREATED, SessionStatus.EXPIRED, SessionStatus.CANCELLED})


class Channel(StrEnum):
    """A way by which an authentication became known to belong to a step."""

    MESSAGE = "message"
    DIFFERENCE = "difference"
    SELECTION = "selection"
    OPERATOR = "operator"
    SUPPLIED = "supplied"


class AttemptEnd(StrEnum):
    """How an attempt ended; an attempt without an end is live."""

    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"
    OFFERED = "offered"
    TIMED_OUT = "timed_out"
    SETTLED = "settled"


class HintKind(StrEnum):
    """What a page saw, or a person said, without an authentication id: reasons to look, never evidence.

    `answer_lost` is our own: what Zapier answered to the fields of an authentication did not reach us.
    """

    MESSAGE = "message"
    FINISHED = "finished"
    FOCUS = "focus"
    CLOSED = "closed"
    OPERATOR = "operator"
    ANSWER_LOST = "answer_lost"


class BrowserFamily(StrEnum):
    """Families of browsers: what becomes of a popup's message is theirs to decide."""

    CHROME = "chrome"
    EDGE = "edge"
    FIREFOX = "firefox"
    SAFARI = "safari"
    OTHER = "other"


@value
class App:
    """An app of Zapier's catalogue; `id` is the only part that never changes."""

    id: str
    title: str
    image: str | None = None
    hex_color: str | None = None


@value
class Authentication:
    """A user's stored credentials for an app, as Zapier lists them."""

    id: str
    title: str
    is_expired: bool = False


@value
class Listing:
    """One answer to "which authentications has this user for this app?".

    `account` is the Zapier sign-in it was made under. `complete` means: every page parsed, and the count
    stayed constant and equals the number of distinct ids; only then does absence mean anything.
    """

    app_id: str
    authentications: tuple[Authentication, ...]
    begun_at: Instant
    account: str
    complete: bool = True
    pages: int = 1

    def get(self, authentication_id: str) -> Authentication | None:
        """Return the listed authentication with this id, if any."""
        return next((found for found in self.authentications if found.id == authentication_id), None)

    @property
    def healthy(self) -> tuple[Authentication, ...]:
        """The authentications that can be used now."""
        return tuple(found for found in self.authentications if not found.is_expired)


@value
class Baseline:
    """What was there before the browser went to Zapier; also what the step's picker shows."""

    taken_at: Instant
    account: str
    authentications: tuple[Authentication, ...]

    @property
    def known(self) -> Mapping[str, bool]:
        """Authentication id → was it expired."""
        return {found.id: found.is_expired for found in self.authentications}

    @classmethod
    def of(cls, listing: Listing) -> Baseline | None:
        """Make a baseline of a listing; an incomplete one gives none."""
        if not listing.complete:
            return None
        return cls(taken_at=listing.begun_at, account=listing.account, authentications=listing.authentications)

    def listing(self, app_id: str) -> Listing:
        """Return the listing it was made of."""
        return Listing(
            app_id=app_id, authentications=self.authentications, begun_at=self.taken_at, account=self.account
        )


@value
class Connect:
    """Where the popup goes, and when Zapier said so."""

    url: str
    read_at: Instant


@value
class Hint:
    """A reason to look, and when it came."""

    kind: HintKind
    at: Instant


@value
class Message:
    """An authentication id that a popup's message named, not yet seen at Zapier."""

    authentication_id: str
    at: Instant


@value
class Attempt:
    """One try to get an authentication: an opening of the connect popup or, if `supplied`, fields sent to Zapier.

    `offers_only`: its baseline was too old when the browser left, so a difference may only be offered.
    `visible_until`: the page is taken to be in front of the user until then.
    `page_gone`: the page said that it is being left, so no more signals will come.
    `messages` are pending; `settled` are the ids of those that were confirmed, or overtaken when the step was settled.
    """

    id: str
    app_id: str
    opened_at: Instant
    deadline: Instant
    ended: AttemptEnd | None = None
    offers_only: bool = False
    messages: tuple[Message, ...] = ()
    settled: tuple[str, ...] = ()
    hints: tuple[Hint, ...] = ()
    visible_until: Instant = 0
    page_gone: bool = False
    browser: BrowserFamily = BrowserFamily.OTHER
    supplied: bool = False

    def first(self, kind: HintKind) -> Instant | None:
        """Return when a hint of this kind first came."""
        return min((hint.at for hint in self.hints if hint.kind is kind), default=None)

    def last(self, kind: HintKind) -> Instant | None:
        """Return when a hint of this kind last came."""
        return max((hint.at for hint in self.hints if hint.kind is kind), default=None)


@value
class Evidence:
    """Why a step has its authentication: who said so, and the server's check that saw it."""

    channels: tuple[Channel, ...]
    checked_at: Instant
    attempt_id: str | None = None

    @property
    def is_difference_alone(self) -> bool:
        """Whether only the difference of two listings says that it is this one.

        That one was supplied says that there is one, not which.
        """
        return Channel.DIFFERENCE in self.channels and not _NAMING.intersection(self.channels)


_NAMING = frozenset({Channel.MESSAGE, Channel.SELECTION})


class LinkEnd(StrEnum):
    """Why a connect link is good for nobody any more, whatever the time is."""

    REVOKED = "revoked"
    REPLACED = "replaced"


@value
class Browser:
    """A browser that continued on a connect link, known by the digest of its cookie; `code` is how people name it."""

    digest: str
    code: str
    at: Instant


@value
class ConnectLink:
    """An address where the step's app can be connected without a page of the tenant's, by one browser.

    `digest` is that of its token. `browser` is the one it belongs to, `waiting` are those that came later.
    """

    id: str
    digest: str
    made_at: Instant
    expires_at: Instant
    return_url: str | None = None
    browser: Browser | None = None
    waiting: tuple[Browser, ...] = ()
    ended: LinkEnd | None = None


@value
class Action:
    """What a step does, by the only names of it that stay the same."""

    key: str
    action_type: str


@value
class Picked:
    """Inputs that were picked from what one authentication offered; under another they mean nothing."""

    authentication_id: str
    fields: tuple[str, ...]


@value
class Step:
    """One step of the Zap. Its place is its place in the session's `steps`. `app_at` is when it got its app."""

    id: str
    alias: str | None = None
    state: StepState = StepState.CHOOSE_APP
    reason: Reason | None = None
    app: App | None = None
    app_at: Instant = 0
    connect: Connect | None = None
    baseline: Baseline | None = None
    authentication: Authentication | None = None
    evidence: Evidence | None = None
    candidates: tuple[Authentication, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    links: tuple[ConnectLink, ...] = ()
    action: Action | None = None
    inputs: JsonObject = field(default_factory=dict)
    picked: Picked | None = None

    def attempt(self, attempt_id: str) -> Attempt | None:
        """Return the attempt with this id, if this step remembers it."""
        for attempt in self.attempts:
            if attempt.id == attempt_id:
                return attempt
        return None

    def link(self, link_id: str) -> ConnectLink | None:
        """Return the connect link with this id, if this step remembers it."""
        return next((link for link in self.links if link.id == link_id), None)

    @property
    def app_attempts(self) -> tuple[Attempt, ...]:
        """The attempts opened for the app the step has now, oldest first; none where that needs no authentication."""
        if self.app is None or not self.attempts or self.state is StepState.NO_AUTH_REQUIRED:
            return ()
        app_id = self.app.id
        own = [attempt for attempt in self.attempts if attempt.app_id == app_id]
        return self.attempts if len(own) == len(self.attempts) else tuple(own)

    @property
    def live_attempt(self) -> Attempt | None:
        """The attempt that the step is waiting for."""
        for attempt in reversed(self.app_attempts):
            if attempt.ended is None:
                return attempt
        return None

    @property
    def is_settled(self) -> bool:
        """Whether the step needs nothing more to have, or to do without, an authentication."""
        return self.state in SETTLED


class ZapState(StrEnum):
    """How far the Zap itself has come."""

    NONE = "none"
    CREATING = "creating"
    CREATED = "created"
    FAILED = "failed"
    UNKNOWN = "unknown"


@value
class ZapMatch:
    """A Zap at Zapier that may be the one that was asked for."""

    id: str
    title: str
    editor_url: str | None = None


@value
class Zap:
    """The Zap at Zapier: what was asked for and what came of it.

    While that is unknown, `matches` are the Zaps that may be it, as the looks so far saw them; the next look is at
    `look_at`, None when there is none.
    """

    state: ZapState = ZapState.NONE
    intent_id: str | None = None
    intent_at: Instant | None = None
    id: str | None = None
    editor_url: str | None = None
    problem: str | None = None
    matches: tuple[ZapMatch, ...] = ()
    looks: int = 0
    look_at: Instant | None = None


@value
class Session:
    """One Zap being built by one user.

    `seq` counts the events so far; `version` counts the commits. `commit_id` names the last commit, so that
    a repeat of it is recognised, and `earlier_commits` some before it, the newest last: whoever never got the answer
    to a commit finds there that it was written, whatever was committed since.
    `signed_out`: there is no credential of the user's, or Zapier refused it, and no new one was put since.
    `account`: the Zapier account that the user was last known to be signed in to. `trimmed_at`: its history is gone.
    """

    id: str
    tenant_id: str
    user_id: str
    created_at: Instant
    deadline: Instant
    updated_at: Instant
    title: str | None = None
    reference: str | None = None
    metadata: JsonObject = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    zap: Zap = field(default_factory=Zap)
    ended: SessionStatus | None = None
    ended_at: Instant | None = None
    trimmed_at: Instant | None = None
    signed_out: bool = False
    account: str | None = None
    seq: int = 0
    version: int = 0
    commit_id: str = ""
    earlier_commits: tuple[str, ...] = ()
    document: int = DOCUMENT_VERSION

    @property
    def key(self) -> SessionKey:
        """The name by which its tenant reaches it."""
        return SessionKey(tenant_id=self.tenant_id, session_id=self.id)

    def watch_key(self, app_id: str) -> WatchKey:
        """Name the watch on which its steps with this app wait."""
        return WatchKey(tenant_id=self.tenant_id, user_id=self.user_id, app_id=app_id)

    def step(self, step_id: str) -> Step | None:
        """Return the step with this id, if the session has it."""
        for step in self.steps:
            if step.id == step_id:
                return step
        return None

    @property
    def state(self) -> StepState:
        """The state of the first unsettled step; `choose-app` with no steps, the last step's when all are settled."""
        for step in self.steps:
            if step.state not in SETTLED:
                return step.state
        return self.steps[-1].state if self.steps else StepState.CHOOSE_APP

    @property
    def reason(self) -> Reason | None:
        """The reason of the first unsettled step."""
        for step in self.steps:
            if step.state not in SETTLED:
                return step.reason
        return None

    @property
    def status(self) -> SessionStatus:
        """Where the session stands as a whole."""
        if self.ended is not None:
            return self.ended
        if self.zap.state is not ZapState.NONE and (of_zap := _STATUS_OF_ZAP.get(self.zap.state)):
            return of_zap
        for step in self.steps:
            if step.state not in SETTLED or step.action is None:
                return SessionStatus.BUILDING
        return SessionStatus.READY if self.steps else SessionStatus.BUILDING

    @property
    def is_open(self) -> bool:
        """Whether its steps may change."""
        return (status := self.status) is SessionStatus.BUILDING or status is SessionStatus.READY


_STATUS_OF_ZAP = {
    ZapState.CREATING: SessionStatus.CREATING,
    ZapState.CREATED: SessionStatus.CREATED,
    ZapState.UNKNOWN: SessionStatus.CREATE_UNKNOWN,
}


def shard_of(tenant_id: str, user_id: str, *, shards: int) -> int:
    """Return the shard that holds everything of this user; the same on every machine and Python."""
    return zlib.crc32(f"{tenant_id}\0{user_id}".encode()) % shards


def session_shard(session_id: str) -> int:
    """Read the shard out of a session's id (`zs` + two hexadecimal digits + random).

    Raises ValueError when the text is not a session id.
    """
    if not session_id.startswith("zs") or not session_id[2:].isalnum() or len(session_id) < _SHORTEST_SESSION_ID:
        raise ValueError(session_id)
    return int(session_id[2:4], 16)


_SHORTEST_SESSION_ID = 12


def is_session_id(text: str) -> bool:
    """Tell whether a session may have this id."""
    try:
        session_shard(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, kw_only=True, order=True)
class SessionKey:
    """A session as its tenant names it; under another tenant's name there is no such session."""

    tenant_id: str
    session_id: str


@dataclass(frozen=True, kw_only=True, order=True)
class WatchKey:
    """(tenant, user, app) that somebody waits on; one listing serves every attempt waiting on it."""

    tenant_id: str
    user_id: str
    app_id: str
