"""What the core needs of the world, as small protocols; adapters live in `store`, `zapier` and `workers`.

Every adapter of a port passes the same contract suite (`tests/contract`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from orchestrator.core.deliveries import Answer, Delivery, DeliveryState, Lane
from orchestrator.core.effects import Due, Effect, Guard
from orchestrator.core.endpoints import Endpoint
from orchestrator.core.events import Event
from orchestrator.core.fields import Form
from orchestrator.core.health import Fate, Popups, Stage
from orchestrator.core.recognition import ZapListing
from orchestrator.core.session import (
    Action,
    App,
    Authentication,
    Connect,
    Instant,
    JsonObject,
    Listing,
    Millis,
    Reason,
    Session,
    SessionKey,
    SessionStatus,
    StepState,
    WatchKey,
)
from orchestrator.core.sign_ins import SignIn
from orchestrator.core.tenants import ApiKey, Tenant, TenantChange
from orchestrator.core.terms import Idempotency
from orchestrator.core.waiting import Waiting

if TYPE_CHECKING:
    from orchestrator.core.interventions import AuditEntry, Intervention


class Clock(Protocol):
    """The time, as everybody who shares the store sees it."""

    def now(self) -> Instant:
        """Return the present moment."""
        ...

    async def sleep(self, duration: Millis) -> None:
        """Come back after this long."""
        ...


class Ids(Protocol):
    """Where new ids come from."""

    def new(self, prefix: str) -> str:
        """Return `prefix` followed by at least 20 random lower-case letters and digits."""
        ...


# --- sessions -------------------------------------------------------------------------------------------------


class Outcome(StrEnum):
    """What became of a signal."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    STALE = "stale"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class SignalRecord:
    """One signal in a session's log: what came, when, and what became of it (`detail`: an error's code)."""

    at: Instant
    signal: str
    outcome: Outcome
    step_id: str | None = None
    attempt_id: str | None = None
    detail: str | None = None


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What was done for a request, written by the commit that did it, for when the same request comes again.

    `name` and `fingerprint` are those of its `Idempotency`; `made` is the id of the step, attempt or intent it made,
    if any. It is good until `until`.
    """

    name: str
    fingerprint: str
    session_id: str
    commit_id: str
    outcome: Outcome
    until: Instant
    made: str | None = None


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One decision, to be written whole or not at all.

    `session` is the session after the decision, with `version` and `commit_id` already those of this commit;
    `expected_version` is the one that was read (0: there was no session). `wake_at` is when the sweeper should
    look at the session, None for never. `receipt` is for the request that asked for it, `audit` for an operator's act.
    """

    session: Session
    expected_version: int
    now: Instant
    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    guards: tuple[Guard, ...] = ()
    record: SignalRecord | None = None
    wake_at: Instant | None = None
    receipt: Receipt | None = None
    audit: AuditEntry | None = None


@dataclass(frozen=True, kw_only=True)
class EventPage:
    """Events in order. `truncated`: older ones that were asked for are no longer kept."""

    events: tuple[Event, ...]
    truncated: bool = False


@dataclass(frozen=True, kw_only=True)
class SessionQuery:
    """Which sessions to list: those that match every given value, youngest first.

    `tenant_id` None: every tenant's, but where `within` is given only those of its tenants. `app_id`: a step has it.
    `session_id`: it is this one; then nobody looks whether somebody is stuck. `quoted`: this is its reference, its
    Zap's id or the code of a browser at one of its connect links. `stuck_at`: somebody was heard, or should have been
    checked, not later than this, and waits still.
    """

    tenant_id: str | None
    within: frozenset[str] | None = None
    state: StepState | None = None
    status: SessionStatus | None = None
    reason: Reason | None = None
    app_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    quoted: str | None = None
    begun_from: Instant | None = None
    begun_before: Instant | None = None
    stuck_at: Instant | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, kw_only=True)
class SessionPage:
    """One page of sessions; `cursor` continues after it, None at the end."""

    sessions: tuple[Session, ...]
    cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was true just after a commit: how its user stands, and when each watch it concerns is checked next.

    `next_checks` is by app id, None for never (or paused).
    """

    standing: Standing | None
    next_checks: Mapping[str, Instant | None]


class SessionStore(Protocol):
    """Sessions with their events and signal logs."""

    async def load(self, key: SessionKey) -> Session:
        """Return the session. Raises SessionNotFoundError, also for another tenant's and for text that is no id."""
        ...

    async def load_with_events(self, key: SessionKey, *, after: int, limit: int) -> tuple[Session, tuple[Event, ...]]:
        """Return the session, with its events after `after` and up to its own `seq`.

        There are none where there are more than `limit`, or where some are no longer kept. Raises as `load`.
        """
        ...

    async def load_any(self, session_id: str) -> Session:
        """Return the session, whoever's it is: for loops that serve every tenant. Raises SessionNotFoundError."""
        ...

    async def commit(self, commit: Commit) -> Written | Receipt:
        """Write one decision: session, events, effects, indexes, signal record and receipt, whole or not at all.

        Returns what is true just after it, for whoever shows the session. Repeating a commit that was the session's
        last (same `commit_id`) succeeds and changes nothing. Where the user has a good receipt of the same name as this
        commit's, that one is returned, and nothing is written, whatever else is true. Raises StaleVersionError when the
        session is no longer at `expected_version`, GuardFailedError when an `Unclaimed` or `NoOtherPopup` guard no
        longer holds, LeaseLostError when `LeaseHeld` does not, ReferenceTakenError when a new session has the reference
        of one of the user's that has not ended, StoreUnavailableError when the outcome is unknown or the store does not
        answer.
        """
        ...

    async def referred(self, tenant_id: str, user_id: str, reference: str) -> str | None:
        """Return the id of the user's session that has this reference and has not ended, if there is one."""
        ...

    async def record(self, session_id: str, record: SignalRecord) -> None:
        """Append to the session's signal log (the newest 200 are kept) and change nothing else."""
        ...

    async def signals(self, session_id: str) -> tuple[SignalRecord, ...]:
        """Return the signal log, oldest first. Raises SessionNotFoundError."""
        ...

    async def events(self, session_id: str, *, after: int, limit: int = 100) -> EventPage:
        """Return the events with `seq` greater than `after`, oldest first; `truncated`: some of them are not kept.

        Raises SessionNotFoundError.
        """
        ...

    async def quote(self, session_id: str, reference: str) -> None:
        """Note the reference of an error that was about the session; the newest 20 are kept, as long as it is.

        Raises SessionNotFoundError.
        """
        ...

    async def quoted(self, reference: str) -> str | None:
        """Return the id of the session that an error of this reference was about, if it is kept."""
        ...

    async def find(self, query: SessionQuery) -> SessionPage:
        """Return one page of the sessions that match. Raises ValueError for a cursor that is not ours."""
        ...

    async def of_user(self, tenant_id: str, user_id: str) -> tuple[str, ...]:
        """Return the ids of the user's sessions that have not ended."""
        ...

    async def to_wake(self, shard: int, *, now: Instant, limit: int) -> tuple[str, ...]:
        """Return ids of sessions whose `wake_at` is not later than `now`, the longest overdue first."""
        ...

    async def forget_outbox(self, shard: int, *, before: Instant, limit: int) -> int:
        """Erase events that have been on their way out since before `before`, the oldest first; returns how many."""
        ...

    async def trim(self, session: Session, *, now: Instant, wake_at: Instant, if_pending_at: Instant) -> bool:
        """Erase the history of an ended session (events, signals, records of deliveries) and write it as it is given.

        It is written over the version before its own. Of its apps' watches the popups are forgotten that may yield
        nothing any more. While one of its deliveries is pending nothing is done, and False is returned. The sweeper
        looks at it again at `wake_at`, or at `if_pending_at`. Raises StaleVersionError when it changed meanwhile,
        SessionNotFoundError.
        """
        ...

    async def purge(self, session: Session) -> None:
        """Erase an ended session with its events, log and index entries; twice is fine.

        Raises StaleVersionError when it changed meanwhile.
        """
        ...


# --- what operators count -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, order=True)
class Situation:
    """What sessions are counted by."""

    status: SessionStatus
    state: StepState
    reason: Reason | None = None


@dataclass(frozen=True, kw_only=True)
class AppSessions:
    """How many sessions have an app among their steps, and in how many of them somebody waits for a popup."""

    sessions: int
    waiting: int


@dataclass(frozen=True, kw_only=True)
class WaitingSession:
    """A session in which somebody waits. `is_overdue`: a check for it should have been made half a minute ago."""

    tenant_id: str
    session_id: str
    waiting: Waiting
    is_overdue: bool


class Verdict(StrEnum):
    """What is counted of calls to Zapier: it answered, it refused because of its limits (429), or did neither well."""

    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, order=True)
class CallKind:
    """Calls of one kind: for a tenant, to one of Zapier's endpoints (`GET /v2/apps`)."""

    tenant_id: str
    endpoint: str


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What was counted in an hour, or in a minute: sessions by tenant and stage, popups and calls by their ends.

    `titles` are those of apps that were chosen then. Stages and titles are counted by the hour alone.
    """

    stages: Mapping[tuple[str, Stage], int] = field(default_factory=dict)
    popups: Mapping[Popups, Mapping[Fate, int]] = field(default_factory=dict)
    calls: Mapping[CallKind, Mapping[Verdict, int]] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)


class CensusStore(Protocol):
    """How many there are of everything, read from what commits keep; nothing is gone through one by one."""

    async def situations(self, tenants: Sequence[str], *, app_id: str | None = None) -> Mapping[Situation, int]:
        """Count the tenants' sessions, or those that have this app, by where they stand."""
        ...

    async def apps(self, tenants: Sequence[str]) -> Mapping[str, AppSessions]:
        """Count the tenants' sessions by app."""
        ...

    async def waiting(self, tenants: Sequence[str], *, now: Instant) -> tuple[WaitingSession, ...]:
        """Return every session of the tenants in which somebody waits, in any order."""
        ...

    async def hours(self, begun: Sequence[Instant]) -> tuple[Counts, ...]:
        """Return what was counted in each of these hours, of every tenant. They are kept for some days."""
        ...

    async def minutes(self, begun: Sequence[Instant]) -> tuple[Counts, ...]:
        """Return the popups and calls that were counted in each of these minutes. They are kept for some hours."""
        ...


# --- receipts -------------------------------------------------------------------------------------------------


class ReceiptStore(Protocol):
    """What was done for requests that may come again. Receipts themselves are written by commits."""

    async def find(self, tenant_id: str, user_id: str, name: str, *, now: Instant) -> Receipt | None:
        """Return the user's receipt of this name, None when there is none that is good."""
        ...

    async def bind(self, tenant_id: str, idempotency: Idempotency, *, now: Instant, until: Instant) -> str:
        """Keep the fingerprint under the name until then, unless one is kept; return the one that is kept.

        For requests that write no receipt, or of which not even the user is sure to be the same.
        """
        ...

    async def forget(self, shard: int, *, now: Instant, limit: int) -> int:
        """Erase receipts that are good no more, the oldest first; returns how many."""
        ...


# --- audit ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AuditQuery:
    """Which entries to list: those that match every given value, youngest first. `within` None: of every tenant."""

    within: frozenset[str] | None = None
    session_id: str | None = None
    key_id: str | None = None
    action: Intervention | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    """One page of entries; `cursor` continues after it, None at the end."""

    entries: tuple[AuditEntry, ...]
    cursor: str | None = None


class AuditLog(Protocol):
    """What operators did. What changed a session was written by the commit that changed it."""

    async def add(self, entry: AuditEntry) -> None:
        """Keep an entry of what changed no session; twice is once."""
        ...

    async def find(self, query: AuditQuery) -> AuditPage:
        """Return one page of the entries that match. Raises ValueError for a cursor that is not ours."""
        ...

    async def forget(self, shard: int, *, before: Instant, limit: int) -> int:
        """Erase entries made before `before`, the oldest first; returns how many."""
        ...


# --- calls ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """One call to Zapier that was made for a user: what was asked, when, what was answered, how long it took.

    `status` None: no answer came, for the `problem`. `app_id` is the app that it was about, if it was about one.
    """

    at: Instant
    endpoint: str
    took: Millis
    status: int | None
    problem: str | None = None
    app_id: str | None = None

    @property
    def verdict(self) -> Verdict:
        """What is counted of it."""
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            return Verdict.REFUSED
        is_answered = self.status is not None and self.status < HTTPStatus.INTERNAL_SERVER_ERROR
        return Verdict.ANSWERED if is_answered else Verdict.FAILED


class CallLog(Protocol):
    """The newest calls made for each user, and how many were made for each tenant. Losing any of it loses nothing."""

    async def note(self, tenant_id: str, user_id: str, record: CallRecord) -> None:
        """Keep the record, and count it in its hour and its minute (`CensusStore`).

        The newest 50 of a user are kept, a week at most.
        """
        ...

    async def of_user(self, tenant_id: str, user_id: str) -> tuple[CallRecord, ...]:
        """Return what is kept of the user's calls, oldest first."""
        ...


# --- watches --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, order=True)
class Waiter:
    """A step that waits on a watch."""

    session_id: str
    step_id: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """An authentication that was settled on a step.

    `holder` is the step that has it by difference alone, None once anything else spoke for it.
    """

    at: Instant
    holder: Waiter | None = None


@dataclass(frozen=True, kw_only=True)
class Popup:
    """A popup from which an authentication may still arise."""

    waiter: Waiter
    attempt_id: str
    until: Instant


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Everything known about one (user, app), read in one go.

    `version` grows with every commit that touches the watch. `checks` are the beginnings of the latest complete
    listings, oldest first (at most 16). `pages` is the size of the last complete listing. `retry_at` holds checks
    back after failures (None: not held back). `claims` are by authentication id.
    """

    key: WatchKey
    version: int = 0
    checks: tuple[Instant, ...] = ()
    pages: int = 1
    failures: int = 0
    retry_at: Instant | None = None
    lease_token: str | None = None
    lease_until: Instant = 0
    next_check_at: Instant | None = None
    waiters: tuple[Waiter, ...] = ()
    popups: tuple[Popup, ...] = ()
    claims: Mapping[str, Claim] = field(default_factory=dict)


class Urgency(IntEnum):
    """Who is served first; lower is more urgent."""

    STRONG = 0
    VISIBLE = 1
    QUIET = 2


@dataclass(frozen=True, kw_only=True)
class DueWatch:
    """A watch that wants a check now. `due` is since when; `pages` is what the check will cost."""

    key: WatchKey
    urgency: Urgency
    due: Instant
    pages: int


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What a check leaves on its watch.

    `version` is the watch's version on which `due` was computed. `checked_at` is when a complete listing began,
    None if there was none. `due` is exact (not merged); None takes the watch off the due-list. `retry_at` holds
    checks back until then. `paused_for` pauses the watch: it is the generation of the user's credential that cannot be
    used (0: there is none), and where a newer one was put meanwhile nothing is paused.
    """

    key: WatchKey
    token: str
    version: int
    now: Instant
    due: Due | None
    checked_at: Instant | None = None
    pages: int = 1
    failures: int = 0
    retry_at: Instant | None = None
    paused_for: int | None = None


@dataclass(frozen=True, kw_only=True)
class WatchQuery:
    """Which watches to list, the next to be checked first. `within` None: every tenant's."""

    within: frozenset[str] | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, kw_only=True)
class PlannedWatch:
    """A watch that will be checked at `due`; `is_strong`: because of a signal."""

    key: WatchKey
    due: Instant
    is_strong: bool


@dataclass(frozen=True, kw_only=True)
class WatchPage:
    """One page of watches; `cursor` continues after it, None at the end."""

    watches: tuple[PlannedWatch, ...]
    cursor: str | None = None


PAUSED: Instant = 2**52
"""A `retry_at` that never comes by itself: the watch is paused until a new credential is put."""


class WatchStore(Protocol):
    """Watches: who waits on what, when it is due, who checks it."""

    async def load(self, key: WatchKey, *, now: Instant) -> Watch:
        """Return the watch as it is; an unknown one is empty. Popups whose `until` is not after `now` are left out."""
        ...

    async def last_check(self, key: WatchKey) -> Instant | None:
        """Return when the latest complete listing of the watch began, None when there is none."""
        ...

    async def next_checks(self, keys: Collection[WatchKey]) -> Mapping[WatchKey, Instant | None]:
        """Return when each watch will be checked next; None for never (or paused)."""
        ...

    async def find(self, query: WatchQuery) -> WatchPage:
        """Return one page of the watches that will be checked. Raises ValueError for a cursor that is not ours."""
        ...

    async def peek(self, *, now: Instant, limit: int) -> tuple[DueWatch, ...]:
        """Return watches over all shards that are due at `now` and not leased, at most `limit` per shard and urgency.

        Order: urgency, then the longest due.
        """
        ...

    async def lease(
        self, keys: Sequence[WatchKey], *, token: str, now: Instant, until: Instant
    ) -> tuple[WatchKey, ...]:
        """Take watches for one check each; returns those that were due and free, in their order.

        A leased watch is not due before `until`. Watches of one shard are taken at one moment. When the store fails,
        some may have been taken.
        """
        ...

    async def settle(self, settlement: Settlement) -> None:
        """End a check: write its counters and the next due time, free the lease.

        Raises LeaseLostError when the token is not the watch's, StaleVersionError when a commit touched the watch
        since `version`: load and compute again.
        """
        ...

    async def forget_claims(self, shard: int, *, before: Instant, limit: int) -> int:
        """Erase claims made before `before` (no baseline that lacks the id is left); returns how many."""
        ...


# --- budget ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Permit:
    """The right to make one call to Zapier, to be started not later than `start_by`."""

    id: str
    egress: str
    partner: str
    start_by: Instant
    user: str | None = None


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Permits that were given; with fewer than wanted, `retry_at` says when to ask again."""

    permits: tuple[Permit, ...]
    retry_at: Instant | None = None


class Share(IntEnum):
    """How much of the budget a taker leaves to more urgent ones."""

    INTERACTIVE = 0
    STRONG = 1
    QUIET = 2


@dataclass(frozen=True, kw_only=True)
class Usage:
    """One side of the budget: permits held now, the limit, and until when it cools down (0: it does not)."""

    name: str
    held: int
    limit: int
    cooldown_until: Instant = 0


class Budget(Protocol):
    """Zapier's rate limits, kept for the whole deployment. It fails closed: no answer, no permit."""

    async def take(
        self, wanted: int, *, egress: str, partner: str, share: Share, now: Instant, user: str | None = None
    ) -> Grant:
        """Take up to `wanted` permits of both limits at once; with `user`, of what one user may hold, too."""
        ...

    async def answered(self, permits: Sequence[Permit], *, now: Instant) -> None:
        """The calls were answered: their permits are held for one more window from `now`."""
        ...

    async def give_back(self, permits: Sequence[Permit]) -> None:
        """The calls were never sent: free their permits; twice is fine."""
        ...

    async def cool_down(self, *, egress: str, partner: str, until: Instant) -> None:
        """Zapier refused: give no permit of either before `until` (never shortens)."""
        ...

    async def usage(self, *, egress: str, partner: str, now: Instant) -> tuple[Usage, Usage]:
        """Return how much of each is held, without taking anything."""
        ...


# --- credentials ----------------------------------------------------------------------------------------------


class CredentialState(StrEnum):
    """Whether Zapier may be called for a user."""

    MISSING = "missing"
    ACTIVE = "active"
    NEEDS_SIGN_IN = "needs_sign_in"


class SignInReason(StrEnum):
    """Why a user has to sign in to Zapier again."""

    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a name
    REFRESH_REFUSED = "refresh_refused"
    REFRESH_OUTCOME_LOST = "refresh_outcome_lost"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """All that is known of a user's access to Zapier but the tokens.

    `generation` grows with every put and every refresh; `account` names the Zapier account (its profile id where
    readable, else the number of the sign-in), so that listings made under different ones are never compared: a refresh
    keeps it. `email` is masked. `reason` says why a sign-in is needed, where it is. What has a refresh token is
    refreshed by us, and by nobody else.
    """

    tenant_id: str
    user_id: str
    generation: int
    account: str
    state: CredentialState = CredentialState.ACTIVE
    profile_id: str | None = None
    email: str | None = None
    expires_at: Instant | None = None
    reason: SignInReason | None = None
    has_refresh_token: bool = False


@dataclass(frozen=True, kw_only=True)
class Credential(Standing):
    """A user's access to Zapier."""

    access_token: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """The intent to use a refresh token, written before it is used: it is dead once Zapier has taken it.

    `tries`: how often it may have been used. Until `until` nobody else uses it: somebody is at it, or it is put off.
    """

    id: str
    tries: int
    until: Instant


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A credential with what refreshing it needs. `refresh`: the latest intent of this generation."""

    credential: Credential
    refresh_token: str | None = field(default=None, repr=False)
    refresh: Refresh | None = None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Who a Zapier account belongs to; `email` is masked before it is kept."""

    id: str
    email: str | None = None


class CredentialStore(Protocol):
    """Credentials, encrypted at rest.

    Whatever changes one notes with it that the user's sessions are to be told, until `told` says that they were.
    """

    async def put(  # noqa: PLR0913 - what a sign-in brings
        self,
        tenant_id: str,
        user_id: str,
        *,
        access_token: str,
        profile: Profile | None,
        expires_at: Instant | None,
        now: Instant,
        refresh_token: str | None = None,
    ) -> Credential:
        """Store new tokens in the place of all before, and return the credential with its new generation.

        `account` stays when the profile id is the same as before, and changes otherwise. At the same moment every
        paused watch of the user is paused no more; those that somebody waits on are due now.
        """
        ...

    async def get(self, tenant_id: str, user_id: str) -> Credential | None:
        """Return the credential, None when there never was one."""
        ...

    async def standing(self, tenant_id: str, user_id: str) -> Standing | None:
        """Return what `get` would, without decrypting the token: for all who do not call Zapier."""
        ...

    async def need_sign_in(
        self,
        tenant_id: str,
        user_id: str,
        *,
        generation: int,
        reason: SignInReason = SignInReason.TOKEN_REFUSED,
        refresh: Refresh | None = None,
    ) -> bool:
        """Nobody gets on with this generation's tokens: mark it, and end its refresh.

        False when it is marked already or a newer one exists; with `refresh` also when that is not the latest intent.
        """
        ...

    async def kept(self, tenant_id: str, user_id: str) -> Kept | None:
        """Return the credential with all that refreshing it needs, None when there never was one."""
        ...

    async def note_refresh(
        self, tenant_id: str, user_id: str, *, generation: int, before: Refresh | None, after: Refresh
    ) -> bool:
        """Write the intent to refresh an active credential of this generation over the latest one; twice is fine.

        False when the latest one is not `before`, or the credential is another one by now.
        """
        ...

    async def renew(  # noqa: PLR0913 - what a refresh brings
        self,
        tenant_id: str,
        user_id: str,
        *,
        generation: int,
        refresh_id: str,
        access_token: str,
        refresh_token: str,
        expires_at: Instant | None,
        now: Instant,
    ) -> Credential | None:
        """Store the tokens that a refresh of this generation brought, and return the credential as it is then.

        It is active, whatever it was before, and belongs to the account it belonged to; watches go on as after `put`.
        Twice is fine. None when it has another generation: others put tokens meanwhile, and these are of no use.
        """
        ...

    async def users_of_profile(self, tenant_id: str, profile_id: str, *, now: Instant) -> int:
        """Return how many users of the tenant have, or ever had, this Zapier profile.

        Who had it may have a popup open still, from which that account gets an authentication; an erased user counts
        for as long as that may be.
        """
        ...

    async def untold(self, shard: int, *, limit: int) -> tuple[tuple[str, str], ...]:
        """Return tenant and user of credentials that changed and of which the sessions may not know, in any order."""
        ...

    async def told(self, standing: Standing) -> bool:
        """Note: the user's sessions know it as it is here. False when it has changed since: that they may not know."""
        ...


class SignInStore(Protocol):
    """Sign-ins to Zapier, from when they are begun until they are forgotten."""

    async def begin(self, sign_in: SignIn) -> None:
        """Keep a new one."""
        ...

    async def get(self, sign_in_id: str) -> SignIn | None:
        """Return the sign-in, None when there is none, or none any more. Raises SignInRefusedError for no id."""
        ...

    async def move(self, before: SignIn, after: SignIn) -> bool:
        """Write `after` over a sign-in that is as far as `before`.

        False when it is further by now, or there is none any more; nothing is changed then.
        """
        ...

    async def forget(self, shard: int, *, now: Instant, limit: int) -> int:
        """Erase sign-ins whose `kept_until` is not later than `now`, the oldest first; returns how many."""
        ...


# --- tenants --------------------------------------------------------------------------------------------------


class TenantStore(Protocol):
    """Tenants but for the default one, which the settings describe. Their client secrets are encrypted at rest."""

    async def create(self, tenant: Tenant, *, client_secret: str | None = None) -> None:
        """Keep a new tenant. Raises TenantTakenError."""
        ...

    async def get(self, tenant_id: str) -> Tenant | None:
        """Return the tenant, if there is one."""
        ...

    async def all(self) -> tuple[Tenant, ...]:
        """Return every tenant, by id."""
        ...

    async def change(self, tenant_id: str, change: TenantChange) -> Tenant:
        """Change what is given and return the tenant as it is then. Raises TenantNotFoundError."""
        ...

    async def client_secret(self, tenant_id: str) -> str | None:
        """Return the tenant's client secret at Zapier, None when it has none."""
        ...


class ApiKeyStore(Protocol):
    """API keys, without their secrets. None is ever erased, so that it can be told what became of it."""

    async def create(self, key: ApiKey) -> None:
        """Keep a new key; its id is new."""
        ...

    async def get(self, key_id: str) -> ApiKey | None:
        """Return the key, if there is one."""
        ...

    async def all(self) -> tuple[ApiKey, ...]:
        """Return every key, oldest first."""
        ...

    async def revoke(self, key_id: str, *, now: Instant) -> ApiKey:
        """End a key and return it; a second time it stays ended at the first moment. Raises ApiKeyNotFoundError."""
        ...

    async def note_use(self, key_id: str, *, now: Instant) -> None:
        """Note that the key was used. Raises ApiKeyNotFoundError."""
        ...


# --- webhooks -------------------------------------------------------------------------------------------------


class EndpointStore(Protocol):
    """Webhook endpoints. Their secrets are encrypted at rest."""

    async def create(self, endpoint: Endpoint) -> None:
        """Keep a new endpoint.

        Raises StaleVersionError when there is one with its id, EndpointNotFoundError when there was one until lately,
        TooManyEndpointsError, SessionNotFoundError when it is for a session that is not there.
        """
        ...

    async def get(self, tenant_id: str, endpoint_id: str) -> Endpoint | None:
        """Return the tenant's endpoint, if there is one."""
        ...

    async def get_each(self, names: Sequence[tuple[str, str]]) -> tuple[Endpoint | None, ...]:
        """Return the endpoints with these tenants and ids, in this order."""
        ...

    async def all(self, tenant_id: str, *, session_id: str | None = None) -> tuple[Endpoint, ...]:
        """Return the endpoints that hear of every session of the tenant, or of this one alone; oldest first."""
        ...

    async def listening(self, sessions: Sequence[tuple[str, str]]) -> tuple[tuple[Endpoint, ...], ...]:
        """Return who hears of each session (given as tenant and id), paused endpoints included."""
        ...

    async def change(self, endpoint: Endpoint) -> Endpoint:
        """Write the endpoint over the version it was read as, and return it with the next one.

        Raises StaleVersionError when it is another one now, EndpointNotFoundError when it is gone.
        """
        ...

    async def delete(self, endpoint: Endpoint, *, now: Instant, until: Instant) -> None:
        """Forget the endpoint, and until then make none of its id; twice is fine."""
        ...


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """An event in its shard's outbox; `place` is its place there, and no other shard's."""

    place: str
    session_id: str
    event: Event


@dataclass(frozen=True, kw_only=True)
class Relayed:
    """What becomes of an event in the outbox: one message, of these bytes, for each of these deliveries."""

    outgoing: Outgoing
    body: bytes
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, kw_only=True, order=True)
class DueLane:
    """A lane in which something may be tried now."""

    due: Instant
    lane: Lane


@dataclass(frozen=True, kw_only=True)
class Held:
    """A lane that was leased, and the event whose turn it is."""

    lane: Lane
    seq: int


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A delivery with the bytes to be sent."""

    delivery: Delivery
    body: bytes


@dataclass(frozen=True, kw_only=True)
class DeliverySearch:
    """Which deliveries of an endpoint to list, youngest first."""

    tenant_id: str
    endpoint_id: str
    state: DeliveryState | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, kw_only=True)
class DeliveryPage:
    """One page of deliveries; `cursor` continues after it, None at the end."""

    deliveries: tuple[Delivery, ...]
    cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What is on its way out: events that no relay has taken yet, and since when the oldest waits; lanes.

    In `lanes` something is pending; of those so many are `due` now, and held by nobody.
    """

    events: int = 0
    oldest: Instant | None = None
    lanes: int = 0
    due: int = 0


class Trouble(StrEnum):
    """What is wrong with deliveries, if anything: they are on their way, were tried in vain so far, or are given up."""

    PENDING = "pending"
    FAILING = "failing"
    DEAD = "dead"


@dataclass(frozen=True, kw_only=True)
class DeliveryQuery:
    """Which deliveries of all endpoints to list: of these tenants' (None: everybody's).

    Those that are pending come by when their lane is looked at next, dead ones youngest first.
    """

    trouble: Trouble
    within: frozenset[str] | None = None
    cursor: str | None = None
    limit: int = 50

    def takes(self, delivery: Delivery) -> bool:
        """Tell whether a delivery is as it is asked for."""
        is_dead = delivery.state is DeliveryState.DEAD
        if self.within is not None and delivery.lane.tenant_id not in self.within:
            return False
        if self.trouble is Trouble.DEAD or is_dead:
            return is_dead and self.trouble is Trouble.DEAD
        is_pending = delivery.state is DeliveryState.PENDING
        return is_pending and (self.trouble is Trouble.PENDING or delivery.tried_at > 0)


@dataclass(frozen=True, kw_only=True)
class Reception:
    """How an endpoint receives: deliveries pending and dead, tries in a row that failed, when it last received any."""

    pending: int = 0
    dead: int = 0
    failures: int = 0
    received_at: Instant | None = None


class DeliveryStore(Protocol):
    """Events on their way to endpoints: the outbox they wait in, their lanes, and the record of every try."""

    async def outgoing(self, shards: Sequence[int], *, limit: int) -> tuple[Outgoing, ...]:
        """Return the oldest events in the outboxes of these shards, at most `limit` of each; in order within one."""
        ...

    async def relay(self, relayed: Sequence[Relayed], *, now: Instant) -> int:
        """Take events out of the outbox and put their deliveries in their lanes, each whole or not at all.

        What is not in the outbox any more is left alone, so that relaying twice delivers once. Returns how many were
        taken out. All of one shard.
        """
        ...

    async def due(self, shards: Sequence[int], *, now: Instant, limit: int) -> tuple[DueLane, ...]:
        """Return lanes of these shards in which something is due and that nobody holds, the longest due first.

        At most `limit` of each shard.
        """
        ...

    async def lease(
        self, lanes: Sequence[Lane], *, token: str, now: Instant, until: Instant, most: int
    ) -> tuple[Held, ...]:
        """Take lanes of one shard, so that nobody else tries anything in them before `until`; returns those taken.

        Left alone are lanes in which nothing is due, and those of an endpoint of which `most` lanes of the shard are
        held; one that is `TROUBLED` has but one at a time.
        """
        ...

    async def put_off(self, lanes: Sequence[Lane], *, until: Instant) -> None:
        """Look at lanes not before then; those that are held, or due later, are left alone."""
        ...

    async def drop(self, lane: Lane) -> None:
        """Forget what is pending in a lane: its endpoint is gone."""
        ...

    async def begin(
        self, held: Sequence[Held], *, token: str, now: Instant, until: Instant
    ) -> tuple[Parcel | None, ...]:
        """Return what is to be sent, and keep the lanes (of one shard) until then; None for a lane that was lost."""
        ...

    async def settle(self, delivery: Delivery, *, token: str, now: Instant, until: Instant | None) -> Parcel | None:
        """Write down what came of a try, and free the lane.

        With `until` the lane is kept until then when something else is due in it, and that is returned. Raises
        LaneLostError when the lane is not this token's any more: somebody else tries it now.
        """
        ...

    async def find(self, search: DeliverySearch) -> DeliveryPage:
        """Return one page of an endpoint's deliveries. Raises ValueError for a cursor that is not ours."""
        ...

    async def search(self, query: DeliveryQuery) -> DeliveryPage:
        """Return one page of deliveries to all endpoints. Raises ValueError for a cursor that is not ours."""
        ...

    async def receptions(self, endpoints: Sequence[tuple[str, str]]) -> tuple[Reception, ...]:
        """Return how each endpoint (given as tenant and id) receives."""
        ...

    async def get(self, lane: Lane, seq: int) -> Delivery | None:
        """Return the delivery of one event to one endpoint, if there is a record of it."""
        ...

    async def of_session(self, session_id: str, *, limit: int) -> tuple[Delivery, ...]:
        """Return the newest deliveries of one session's events, to whichever endpoint, in the order of `seq`."""
        ...

    async def replay(
        self, delivery: Delivery, *, was: DeliveryState, body: bytes, now: Instant, audit: AuditEntry | None = None
    ) -> None:
        """Put a delivery that is not pending into its lane once more, with these bytes where none are kept.

        One that is pending is due now. With it goes into the audit who wanted that, if an operator did. Raises
        SessionNotFoundError when the session is gone, StaleVersionError when its state is not what it `was` when it was
        read, DeliveryUnderWayError when it is pending in a lane that is held.
        """
        ...

    async def wake(self, tenant_id: str, endpoint_id: str, *, now: Instant) -> None:
        """Look now at every lane of the endpoint in which something is pending, whenever it was put off to."""
        ...

    async def delivered_since(self, tenant_id: str, endpoint_id: str, *, since: Instant) -> bool:
        """Tell whether the endpoint received anything since then."""
        ...

    async def backlog(self, shards: Sequence[int], *, now: Instant) -> Backlog:
        """Return what waits in these shards."""
        ...


class Post(Protocol):
    """What carries messages to receivers."""

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        """Make one POST, without following redirects; whatever goes wrong is an answer, too."""
        ...


@dataclass(frozen=True, kw_only=True)
class DeliveryBatch:
    """Lanes leased together, perhaps of several shards."""

    token: str
    held: tuple[Held, ...]


class DeliveryQueue(Protocol):
    """What carries leased lanes to a worker. It may lose a batch: the leases then run out."""

    async def enqueue(self, batch: DeliveryBatch) -> None:
        """Hand the batch over; it should be started soon."""
        ...


# --- users ----------------------------------------------------------------------------------------------------


class UserStore(Protocol):
    """Users as a whole."""

    async def erase(self, tenant_id: str, user_id: str, *, now: Instant) -> None:
        """Erase everything that is kept of a user: credential, sessions and all about them, watches, receipts.

        Twice is fine, and so is doing it again when it died in between. What was read of the user before cannot bring
        anything back: commits find no session, checks no lease. Raises StaleVersionError when others went on adding.
        """
        ...


# --- upstream -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CatalogApp:
    """An app as a user's token sees it: `connect` is None when it needs no authentication."""

    app: App
    connect: Connect | None
    description: str = ""
    action_types: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AppPage:
    """One page of a search; `cursor` continues it."""

    apps: tuple[CatalogApp, ...]
    cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class CatalogAction:
    """An action as Zapier lists it. `id` is good for a moment only; `key` with `action_type` is for keeps."""

    id: str
    key: str
    action_type: str
    title: str
    description: str = ""
    is_instant: bool = False


@dataclass(frozen=True, kw_only=True)
class ActionUse:
    """An action as it is about to be used: by its lasting names, with an authentication and the inputs so far.

    The inputs are compiled: what they hold is what Zapier reads.
    """

    app_id: str
    action: Action
    authentication_id: str | None
    inputs: JsonObject = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of the values a field may have; `id` is what is put in."""

    id: str
    label: str


@dataclass(frozen=True, kw_only=True)
class ChoicePage:
    """Choices in Zapier's order; `cursor` continues them."""

    choices: tuple[Choice, ...]
    cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class Output:
    """Something a step will give to later ones."""

    id: str
    title: str
    sample: str | None = None


@dataclass(frozen=True, kw_only=True)
class StepTestRun:
    """What came of carrying out an action: results of the app's own shape, and how many there are in all."""

    results: tuple[JsonObject, ...] = field(repr=False)
    count: int


@dataclass(frozen=True, kw_only=True)
class AuthenticationMade:
    """Zapier answered 201."""

    authentication: Authentication


@dataclass(frozen=True, kw_only=True)
class AuthenticationNotMade:
    """Zapier surely did not make it: never connected, or 400, 401, 403, 404, 429. `retry_after`: it asks to wait."""

    status: int | None
    problem: str
    retry_after: Millis | None = None


@dataclass(frozen=True, kw_only=True)
class AuthenticationUnknown:
    """Anything else: it may exist."""

    problem: str


@dataclass(frozen=True, kw_only=True)
class ZapStep:
    """A step as `POST /v2/zaps` wants it; `authentication_id` None is sent as an explicit null."""

    action_id: str
    authentication_id: str | None
    inputs: JsonObject
    alias: str | None = None


@dataclass(frozen=True, kw_only=True)
class ZapDraft:
    """A Zap to be created."""

    title: str
    steps: tuple[ZapStep, ...]


@dataclass(frozen=True, kw_only=True)
class ZapMade:
    """Zapier answered 201."""

    zap_id: str
    editor_url: str | None


@dataclass(frozen=True, kw_only=True)
class ZapNotMade:
    """Zapier surely did not make it: never connected, or 400, 401, 403, 404, 429."""

    status: int | None
    problem: str


@dataclass(frozen=True, kw_only=True)
class ZapUnknown:
    """Anything else: it may exist."""

    problem: str


class Upstream(Protocol):
    """Zapier's Partner API, every call under a permit.

    Reads raise SignInRequiredError on 401 (after marking the credential), UpstreamBusyError when no permit comes in
    time or on 429 (after cooling the budget down), UpstreamRefusedError on another 4xx, UpstreamUnavailableError
    on anything that is no usable answer. With `permits` given a call uses those first and never waits for more;
    without, it waits up to the interactive limit for each. Permits that were not used are given back.
    """

    async def profile(self, tenant_id: str, access_token: str) -> Profile | None:
        """Read whose token this is; None when its scope does not allow to. A 401 marks nothing."""
        ...

    async def apps(self, credential: Credential, *, query: str | None, cursor: str | None) -> AppPage:
        """Search the catalogue, popup addresses at most a minute old. Raises ValueError for a cursor not of ours."""
        ...

    async def app(self, credential: Credential, app_id: str) -> CatalogApp:
        """Return one app. Raises AppNotFoundError."""
        ...

    async def learn_apps(self, credential: Credential, app_ids: Collection[str]) -> None:
        """Read several apps with one call where that is possible, so that `app` need not read each."""
        ...

    async def authentications(self, credential: Credential, app_id: str, *, permits: Sequence[Permit] = ()) -> Listing:
        """List the user's authentications for the app: every page. Never cached."""
        ...

    async def actions(
        self, credential: Credential, app_id: str, *, age: Millis | None = None
    ) -> tuple[CatalogAction, ...]:
        """List the app's actions, read at most `age` ago; by default they may be ten minutes old.

        Ids that are about to be used were read at most a minute ago; 0 reads them now.
        """
        ...

    async def fields(self, credential: Credential, use: ActionUse) -> Form:
        """Return what the action asks for, at most a minute old.

        The id by which Zapier knows the action is looked up shortly before this and the following three; raises
        ActionNotFoundError when the app has it no more.
        """
        ...

    async def choices(self, credential: Credential, use: ActionUse, field_id: str, *, cursor: str | None) -> ChoicePage:
        """Return one page of a field's choices, at most a minute old. Raises ValueError for a cursor not of ours."""
        ...

    async def outputs(self, credential: Credential, use: ActionUse, *, live: bool = False) -> tuple[Output, ...]:
        """Return what the action will give; with `live` the samples are the user's own, which takes longer."""
        ...

    async def test(self, credential: Credential, use: ActionUse) -> StepTestRun:
        """Carry the action out with one call, never repeated.

        Raises StepTestFailedError when it failed, StepTestUnknownError when nobody knows whether it was, and
        what reads raise where it surely was not.
        """
        ...

    async def create_zap(
        self, credential: Credential, draft: ZapDraft, *, permit: Permit
    ) -> ZapMade | ZapNotMade | ZapUnknown:
        """Make one call, or none when the permit came too late. It is never repeated here."""
        ...

    async def make_authentication(
        self, credential: Credential, app_id: str, *, title: str, fields: Mapping[str, str], permit: Permit
    ) -> AuthenticationMade | AuthenticationNotMade | AuthenticationUnknown:
        """Make an authentication for an app of the tenant's own, with one call or none when the permit came too late.

        It is never repeated here. What the fields hold is in nothing that is returned, kept or logged.
        """
        ...

    async def zaps(self, credential: Credential) -> ZapListing:
        """List the user's Zaps, every page; nobody waits for it, so it waits for no permit. Never cached."""
        ...

    async def permit(self, tenant_id: str, user_id: str | None = None) -> Permit:
        """Take one permit for a call a user waits on. Raises UpstreamBusyError."""
        ...

    async def give_back(self, permits: Sequence[Permit]) -> None:
        """Give back permits that will not be used."""
        ...


# --- tokens ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Client:
    """As whom a tenant's product is known at Zapier."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What Zapier hands out for a sign-in, and for each refresh of it.

    The access token ends `expires_in` after it was asked for (None: nobody says when). `refresh_token` None: the one
    that was used is good still.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: Millis | None
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class TokensOver:
    """Zapier knows no such code or refresh token: it was used, is too old, or was given to somebody else."""


@dataclass(frozen=True, kw_only=True)
class TokensRefused:
    """Zapier surely handed out nothing, and the code or refresh token is as good as before.

    It was never reached, asks us to wait (`retry_after`), or refuses the request. `is_client_wrong`: it knows no client
    with this id and secret, which only who runs the deployment can mend.
    """

    problem: str
    status: int | None = None
    retry_after: Millis | None = None
    is_client_wrong: bool = False


@dataclass(frozen=True, kw_only=True)
class TokensUnknown:
    """Anything else: Zapier may have handed out tokens that nobody has, and then the ones used are dead."""

    problem: str


class OAuth(Protocol):
    """Zapier's token endpoint. One request each time, under the given permit, never repeated; raises nothing.

    There is no request when the permit came too late. `limit` is the longest that the request may take.
    """

    async def exchange_code(
        self, client: Client, code: str, *, redirect_uri: str, limit: Millis, permit: Permit
    ) -> Tokens | TokensOver | TokensRefused | TokensUnknown:
        """Exchange the code that a browser brought back to `redirect_uri`."""
        ...

    async def refresh(
        self, client: Client, refresh_token: str, *, limit: Millis, permit: Permit
    ) -> Tokens | TokensOver | TokensRefused | TokensUnknown:
        """Exchange a refresh token, which is dead as soon as Zapier has done so."""
        ...


class Permits(Protocol):
    """Where permits for such requests come from."""

    async def permit(self, tenant_id: str) -> Permit:
        """Take one permit for a call a user waits on. Raises UpstreamBusyError."""
        ...

    async def give_back(self, permits: Sequence[Permit]) -> None:
        """Give back permits that will not be used."""
        ...


class Access(Protocol):
    """The tokens that calls are made with. Whoever calls Zapier asks here before each request.

    Both raise SignInRequiredError when only a sign-in helps, UpstreamBusyError when a token may be there in a while,
    StoreError.
    """

    async def newest(self, credential: Credential) -> Credential:
        """Return the credential with a token that is good now, refreshed where it was about to end."""
        ...

    async def after_refusal(self, credential: Credential) -> Credential:
        """Zapier answered 401 to this credential's token: return the credential with another one, to be tried once."""
        ...

    async def mark(self, credential: Credential) -> None:
        """Zapier refused a token that was just handed out: a sign-in is needed, unless there is a newer one."""
        ...


# --- around ---------------------------------------------------------------------------------------------------


class Cache(Protocol):
    """Answers worth keeping for a while, shared by all processes. Losing any of it loses nothing."""

    async def get(self, key: str, *, now: Instant) -> bytes | None:
        """Return what was put, unless its time is over."""
        ...

    async def put(self, key: str, value: bytes, *, now: Instant, until: Instant) -> None:
        """Keep this until then."""
        ...


class Subscription(Protocol):
    """Somebody who wants to know that something changed."""

    async def changed(self, *, timeout: Millis) -> bool:
        """Wait for a change since the last call (or since subscribing); False when none came in time.

        After the store was away this returns True once, so the caller reads again.
        """
        ...

    def wake(self) -> None:
        """Let `changed` return True, as if there had been a change."""
        ...


class Changes(Protocol):
    """News of commits. News may be missed only together with the store; `changed` then says True."""

    def session(self, session_id: str) -> AbstractAsyncContextManager[Subscription]:
        """Subscribe to one session's commits, and to the ends of the checks that it waits on."""
        ...

    def due(self) -> AbstractAsyncContextManager[Subscription]:
        """Subscribe to watches becoming due at once."""
        ...

    def outgoing(self) -> AbstractAsyncContextManager[Subscription]:
        """Subscribe to outboxes being empty no more."""
        ...


class Leases(Protocol):
    """Named leases for loops of which one at a time is enough."""

    async def acquire(self, name: str, *, holder: str, now: Instant, until: Instant) -> bool:
        """Take or prolong the lease; False while somebody else has it."""
        ...

    async def release(self, name: str, *, holder: str) -> None:
        """Free it, if it is ours."""
        ...


@dataclass(frozen=True, kw_only=True)
class CheckBatch:
    """Watches leased under one token, each with the permits its check may use."""

    token: str
    watches: tuple[tuple[WatchKey, tuple[Permit, ...]], ...]


class CheckQueue(Protocol):
    """What carries leased watches to a worker. It may lose a batch: the lease then runs out."""

    async def enqueue(self, batch: CheckBatch) -> None:
        """Hand the batch over; it should be started soon."""
        ...


@dataclass(frozen=True, kw_only=True)
class WorkerReport:
    """What a worker process says of itself: what it is, and how many checks and deliveries it has in hand."""

    id: str
    host: str
    pid: int
    started_at: Instant
    seen_at: Instant
    checks: int = 0
    deliveries: int = 0


class WorkerRoll(Protocol):
    """The workers there are. Losing any of it loses nothing: they report again."""

    async def report(self, report: WorkerReport) -> None:
        """Keep what a worker says of itself, instead of what it said before."""
        ...

    async def leave(self, worker_id: str) -> None:
        """Forget a worker that has ended; twice is fine."""
        ...

    async def all(self) -> tuple[WorkerReport, ...]:
        """Return what each worker last said, the newest worker first."""
        ...

    async def forget(self, *, before: Instant) -> int:
        """Forget workers that were not heard of since then; returns how many."""
        ...


class Queues(Protocol):
    """The queues that carry batches to workers."""

    async def depths(self) -> Mapping[str, int | None]:
        """Return how many batches lie in each queue; None while that cannot be told."""
        ...


class Store(Protocol):
    """Everything a store serves."""

    @property
    def sessions(self) -> SessionStore:
        """Sessions."""
        ...

    @property
    def census(self) -> CensusStore:
        """What operators count."""
        ...

    @property
    def receipts(self) -> ReceiptStore:
        """Receipts."""
        ...

    @property
    def watches(self) -> WatchStore:
        """Watches."""
        ...

    @property
    def budget(self) -> Budget:
        """The rate limits."""
        ...

    @property
    def credentials(self) -> CredentialStore:
        """Credentials."""
        ...

    @property
    def sign_ins(self) -> SignInStore:
        """Sign-ins to Zapier."""
        ...

    @property
    def users(self) -> UserStore:
        """Users."""
        ...

    @property
    def tenants(self) -> TenantStore:
        """Tenants."""
        ...

    @property
    def api_keys(self) -> ApiKeyStore:
        """API keys."""
        ...

    @property
    def endpoints(self) -> EndpointStore:
        """Webhook endpoints."""
        ...

    @property
    def deliveries(self) -> DeliveryStore:
        """Webhook deliveries."""
        ...

    @property
    def audit(self) -> AuditLog:
        """What operators did."""
        ...

    @property
    def calls(self) -> CallLog:
        """Calls that were made to Zapier."""
        ...

    @property
    def workers(self) -> WorkerRoll:
        """The workers there are."""
        ...

    @property
    def cache(self) -> Cache:
        """The shared cache."""
        ...

    @property
    def changes(self) -> Changes:
        """News of commits."""
        ...

    @property
    def leases(self) -> Leases:
        """Named leases."""
        ...
