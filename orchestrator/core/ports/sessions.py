"""Sessions as they are kept: commits, events, signals, searches, and receipts for requests that may come again."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from orchestrator.core.effects import Effect, Guard
from orchestrator.core.events import Event
from orchestrator.core.ports.credentials import Standing
from orchestrator.core.session import Instant, Reason, Session, SessionKey, SessionStatus, StepState
from orchestrator.core.terms import Idempotency
from orchestrator.core.values import value

if TYPE_CHECKING:
    from orchestrator.core.interventions import AuditEntry


class Outcome(StrEnum):
    """What became of a signal."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    STALE = "stale"
    REFUSED = "refused"


@value
class SignalRecord:
    """One signal in a session's log: what came, when, and what became of it (`detail`: an error's code)."""

    at: Instant
    signal: str
    outcome: Outcome
    step_id: str | None = None
    attempt_id: str | None = None
    detail: str | None = None


@value
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


@value
class Commit:
    """One decision, to be written whole or not at all.

    `session` is the session after the decision, with `version` and `commit_id` already those of this commit;
    `expected_version` is the one that was read (0: there was no session), `expected_commit_id` the commit that had
    written it (empty: whichever). `wake_at` is when the sweeper should
    look at the session, None for never. `receipt` is for the request that asked for it, `audit` for an operator's act.
    """

    session: Session
    expected_version: int
    now: Instant
    expected_commit_id: str = ""
    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    guards: tuple[Guard, ...] = ()
    record: SignalRecord | None = None
    wake_at: Instant | None = None
    receipt: Receipt | None = None
    audit: AuditEntry | None = None


@value
class EventPage:
    """Events in order. `truncated`: older ones that were asked for are no longer kept."""

    events: tuple[Event, ...]
    truncated: bool = False


@value
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


@value
class SessionPage:
    """One page of sessions; `cursor` continues after it, None at the end."""

    sessions: tuple[Session, ...]
    cursor: str | None = None


@value
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
        commit's, that one is returned, and nothing is written, whatever else is true. Raises StaleVersionError, with
        the session as it is, when it is no longer at `expected_version`, or another commit has brought it there;
        GuardFailedError when an `Unclaimed` or `NoOtherPopup` guard no longer holds, LeaseLostError when `LeaseHeld`
        does not, ReferenceTakenError when a new session has the reference of one of the user's that has not ended,
        StoreUnavailableError when the outcome is unknown or the store does not answer.
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
