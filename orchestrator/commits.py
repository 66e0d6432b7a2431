"""The one way to write: load, decide, commit with the version that was read; on a lost race decide again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache

from orchestrator.core import schedule
from orchestrator.core.decide import Decision, decide
from orchestrator.core.effects import EndCheck, Guard
from orchestrator.core.errors.base import NotFoundError, SignalRefusedError, ZapwrightError
from orchestrator.core.errors.requests import IdempotencyKeyReusedError
from orchestrator.core.errors.sessions import PreconditionFailedError
from orchestrator.core.errors.store import GuardFailedError, StaleVersionError, StoreUnavailableError
from orchestrator.core.interventions import Act
from orchestrator.core.metering import UNMETERED, Meter
from orchestrator.core.ports.around import Clock, Ids
from orchestrator.core.ports.sessions import Commit, Outcome, Receipt, ReceiptStore, SessionStore, SignalRecord, Written
from orchestrator.core.ports.watches import WatchStore
from orchestrator.core.schedule import Policy
from orchestrator.core.session import Instant, Millis, Session, SessionKey
from orchestrator.core.signals import (
    AuthenticationsListed,
    ConnectLinkMade,
    CredentialChanged,
    FieldsSent,
    PageSeen,
    PopupOpened,
    Signal,
    StepAdded,
    StepTestRequested,
    TimePassed,
    ZapRequested,
)
from orchestrator.core.terms import ANY_TERMS, RECEIPT_KEPT, Idempotency, Terms
from orchestrator.core.values import replace, value
from orchestrator.recollection import Recollection

MOST_TRIES = 20
STORE_PATIENCE: tuple[Millis, ...] = (50, 100, 200, 400, 800)
"""Waits before repeats of a commit whose outcome is unknown."""

EARLIER_COMMITS_KEPT = 8
"""More than others can well add to one session while a commit is being repeated."""

SignalSource = Callable[[Session], Awaitable[Signal]]
Ending = Callable[[Session], tuple[EndCheck, Guard] | None]
"""How the check that brought the signal ends by this commit, and on what that relies; None: not by it."""


@value
class Applied:
    """A session after a signal, and what became of the signal; `made` is the id of what it made, if anything.

    `is_replay`: the request had been carried out before. Outcome and id are those of then; the session is as it is now.
    `written` is what was true just after the session was written, if it was. `is_committed`: this very request changed
    the session. `ends_check`: by the commit its check has ended.
    """

    session: Session
    outcome: Outcome
    made: str | None = None
    is_replay: bool = False
    written: Written | None = None
    is_committed: bool = False
    ends_check: bool = False


class Commits:
    """Applies signals to sessions. Everything a decision asks for is written by the commit that writes the session."""

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        sessions: SessionStore,
        receipts: ReceiptStore,
        watches: WatchStore,
        clock: Clock,
        ids: Ids,
        policy: Policy,
        meter: Meter = UNMETERED,
    ) -> None:
        self._sessions = sessions
        self._receipts = receipts
        self._watches = watches
        self._clock = clock
        self._ids = ids
        self._policy = policy
        self._meter = meter
        self.recollection = Recollection(clock)

    async def apply(  # noqa: PLR0913 - what a signal may come with
        self,
        key: SessionKey,
        signal: Signal | SignalSource,
        *,
        guards: tuple[Guard, ...] = (),
        terms: Terms = ANY_TERMS,
        read: Session | None = None,
        recalled: bool = False,
        act: Act | None = None,
        ending: Ending | None = None,
    ) -> Applied:
        """Apply one signal, or one made anew of each reading of the session.

        An operator's `act` that changes the session goes into the audit by the same commit; a check that ends does so
        by it, too.

        `read` is a reading that was made just now, to begin with; if it has grown old, that is noticed. `recalled`:
        begin with what is recalled of the session. What follows from that is committed, which fails unless it is the
        session still, or it is forgotten: nobody is refused on account of it, or told that nothing changes, and nothing
        is taken from another step.

        A request that was carried out before is not carried out again, whatever would become of it now. Raises
        SignalRefusedError, NotFoundError or PreconditionFailedError when it is refused (it is logged, nothing changed),
        IdempotencyKeyReusedError, LeaseLostError when a `LeaseHeld` guard fails, StaleVersionError after twenty lost
        races, StoreUnavailableError when the store does not answer: then the signal may have been applied, and
        repeating it is safe.
        """
        if recalled:
            applied = await self._apply_recalled(key, signal, guards=guards, terms=terms, act=act)
            if isinstance(applied, Applied):
                return applied
            read = applied
        for tries_left in reversed(range(MOST_TRIES)):
            before, read = read or await self._sessions.load(key), None
            made = await signal(before) if callable(signal) else signal
            now = self._clock.now()
            try:
                terms.check(before)
                decision = decide(before, made, policy=self._policy, now=now)
            except (SignalRefusedError, NotFoundError, PreconditionFailedError) as refused:
                return await self._refuse(before, made, refused, terms)
            try:
                return await self._write(
                    before, made, decision, now=now, guards=guards, terms=terms, act=act, ending=ending
                )
            except (StaleVersionError, GuardFailedError) as lost:
                if not tries_left:
                    raise
                read = lost.found if isinstance(lost, StaleVersionError) else None
        raise AssertionError("unreachable")

    async def _apply_recalled(
        self,
        key: SessionKey,
        signal: Signal | SignalSource,
        *,
        guards: tuple[Guard, ...],
        terms: Terms,
        act: Act | None,
    ) -> Applied | Session | None:
        """Commit what follows from the session as it is recalled.

        When that cannot be done, nothing has happened; then return the session as it was found instead, if it was.
        """
        before = self.recollection.find(key)
        if before is None:
            return None
        made = await signal(before) if callable(signal) else signal
        now = self._clock.now()
        try:
            terms.check(before)
            decision = decide(before, made, policy=self._policy, now=now)
        except (SignalRefusedError, NotFoundError, PreconditionFailedError):
            return None
        if decision.displacements or not decision.changes(before):
            return None
        try:
            return await self._write(before, made, decision, now=now, guards=guards, terms=terms, act=act)
        except StaleVersionError as stale:
            self.recollection.drop(key)
            return stale.found
        except GuardFailedError:
            return None

    async def begin(self, decision: Decision, *, idempotency: Idempotency | None = None) -> Applied:
        """Write a session that is not there yet. Raises ReferenceTakenError, StoreUnavailableError."""
        now = self._clock.now()
        commit = self._commit(None, decision, checks={}, now=now, record=None)
        receipt = _receipt(commit, idempotency, outcome=decision.outcome)
        found = await self._until_known(replace(commit, receipt=receipt))
        if isinstance(found, Receipt):
            return await self._replay(commit.session.tenant_id, found, idempotency)
        self._meter.committed(None, commit)
        self.recollection.keep(commit.session)
        return Applied(session=commit.session, outcome=decision.outcome, written=found)

    async def earlier(self, tenant_id: str, user_id: str, terms: Terms) -> Applied | None:
        """Return what became of the request when it came before, None when it has done nothing yet.

        Raises IdempotencyKeyReusedError, and SessionNotFoundError when its session is no longer kept.
        """
        if terms.idempotency is None:
            return None
        found = await self._receipts.find(tenant_id, user_id, terms.idempotency.name, now=self._clock.now())
        return None if found is None else await self._replay(tenant_id, found, terms.idempotency)

    async def put_off(self, session: Session) -> None:
        """Write when time next changes something about the session, and nothing else: a new policy may have moved it.

        Raises StaleVersionError, StoreUnavailableError.
        """
        unchanged = Decision(session=session, outcome=Outcome.APPLIED)
        await self._until_known(self._commit(session, unchanged, checks={}, now=self._clock.now(), record=None))

    async def _refuse(self, before: Session, signal: Signal, refused: ZapwrightError, terms: Terms) -> Applied:
        earlier = await self.earlier(before.tenant_id, before.user_id, terms)
        if earlier is None:
            await self._sessions.record(before.id, self._record(signal, Outcome.REFUSED, detail=refused.code))
            raise refused
        return earlier

    async def _write(  # noqa: PLR0913 - as `apply`
        self,
        before: Session,
        signal: Signal,
        decision: Decision,
        *,
        now: Instant,
        guards: tuple[Guard, ...],
        terms: Terms,
        act: Act | None,
        ending: Ending | None = None,
    ) -> Applied:
        record = None if isinstance(signal, PageSeen) else self._record(signal, decision.outcome)
        made = _made(signal)
        if not decision.changes(before):
            replay = await self.earlier(before.tenant_id, before.user_id, terms)
            if replay is None and record is not None and _is_heard(signal):
                await self._sessions.record(before.id, record)
            return replay or Applied(session=before, outcome=decision.outcome, made=made)
        await self._displace(decision)
        checks = await self._checks(decision.session, signal, now=now)
        commit = self._commit(before, decision, checks=checks, now=decision.session.updated_at, record=record)
        receipt = _receipt(commit, terms.idempotency, outcome=decision.outcome, made=made)
        audit = None if act is None else act.entry(at=now, outcome=decision.outcome)
        commit = replace(commit, guards=(*commit.guards, *guards), receipt=receipt, audit=audit)
        end = None if ending is None else ending(commit.session)
        if end is not None:
            commit = replace(commit, effects=(*commit.effects, end[0]), guards=(*commit.guards, end[1]))
        found = await self._until_known(commit)
        if isinstance(found, Receipt):
            return await self._replay(before.tenant_id, found, terms.idempotency)
        self._meter.committed(before, commit)
        self.recollection.keep(commit.session)
        return Applied(
            session=commit.session,
            outcome=decision.outcome,
            made=made,
            written=found,
            is_committed=True,
            ends_check=end is not None,
        )

    async def _until_known(self, commit: Commit) -> Written | Receipt | None:
        """Write; return what is known just after that, or the receipt of the request when it was carried out before.

        While the outcome is unknown write the very same again: the store recognises its last commit, and so do we the
        receipt of this one. One that others have committed upon meanwhile is recognised here too: decided again it
        might happen twice.
        """
        lost: StoreUnavailableError | None = None
        for wait in (None, *STORE_PATIENCE):
            if wait is not None:
                await self._clock.sleep(wait)
            try:
                found = await self._sessions.commit(commit)
            except StoreUnavailableError as unavailable:
                lost = unavailable
            except StaleVersionError:
                if lost is not None and await self._is_written(commit):
                    return None
                raise
            else:
                is_ours = isinstance(found, Receipt) and found.commit_id == commit.session.commit_id
                return None if is_ours else found
        raise lost or AssertionError("unreachable")

    async def _replay(self, tenant_id: str, receipt: Receipt, idempotency: Idempotency | None) -> Applied:
        if idempotency is None or receipt.fingerprint != idempotency.fingerprint:
            raise IdempotencyKeyReusedError
        session = await self._sessions.load(SessionKey(tenant_id=tenant_id, session_id=receipt.session_id))
        return Applied(session=session, outcome=receipt.outcome, made=receipt.made, is_replay=True)

    async def _is_written(self, commit: Commit) -> bool:
        return commit.session.commit_id in (await self._sessions.load(commit.session.key)).earlier_commits

    def _commit(
        self,
        before: Session | None,
        decision: Decision,
        *,
        checks: Mapping[str, Instant | None],
        now: Instant,
        record: SignalRecord | None,
    ) -> Commit:
        expected = before.version if before else 0
        earlier = (*before.earlier_commits, before.commit_id)[-EARLIER_COMMITS_KEPT:] if before else ()
        session = replace(
            decision.session, version=expected + 1, commit_id=self._ids.new("cm"), earlier_commits=earlier
        )
        return Commit(
            session=session,
            expected_version=expected,
            expected_commit_id=before.commit_id if before else "",
            now=now,
            events=decision.events,
            effects=(*decision.effects, *schedule.waits(before, session, checks=checks)),
            guards=decision.guards,
            record=record,
            wake_at=schedule.wake_at(session, self._policy),
        )

    async def _checks(self, after: Session, signal: Signal, *, now: Instant) -> dict[str, Instant | None]:
        """Return when the watch of each app was last checked completely, where that decides when it is checked next.

        What was heard just now was covered by no check before: then nothing is read.
        """
        apps = {step.app.id for step in after.steps if step.app and schedule.may_be_covered(step, now)}
        checks: dict[str, Instant | None] = {}
        for app_id in apps:
            if isinstance(signal, AuthenticationsListed) and signal.listing.app_id == app_id:
                checks[app_id] = signal.checks[-1] if signal.checks else None
            else:
                checks[app_id] = await self._watches.last_check(after.watch_key(app_id))
        return checks

    async def _displace(self, decision: Decision) -> None:
        for displaced in decision.displacements:
            try:
                await self.apply(replace(decision.session.key, session_id=displaced.session_id), displaced.signal)
            except (SignalRefusedError, NotFoundError):
                continue  # its session has ended or its Zap is made: there is nothing left to take back

    def _record(self, signal: Signal, outcome: Outcome, *, detail: str | None = None) -> SignalRecord:
        return SignalRecord(
            at=self._clock.now(),
            signal=signal_name(signal),
            outcome=outcome,
            step_id=getattr(signal, "step_id", None),
            attempt_id=getattr(signal, "attempt_id", None),
            detail=detail,
        )


def signal_name(signal: Signal) -> str:
    """Name a signal in the log: its class in snake_case, a hint by its kind."""
    kind = getattr(signal, "kind", None)
    return _in_snake_case(type(signal).__name__) if kind is None else str(kind)


@cache
def _in_snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")


def _made(signal: Signal) -> str | None:
    """Name what the signal makes."""
    match signal:
        case (
            StepAdded(step_id=made)
            | PopupOpened(attempt_id=made)
            | FieldsSent(attempt_id=made)
            | ZapRequested(intent_id=made)
            | StepTestRequested(test_id=made)
            | ConnectLinkMade(link_id=made)
        ):
            return made
        case _:
            return None


def _receipt(
    commit: Commit, idempotency: Idempotency | None, *, outcome: Outcome, made: str | None = None
) -> Receipt | None:
    if idempotency is None:
        return None
    return Receipt(
        name=idempotency.name,
        fingerprint=idempotency.fingerprint,
        session_id=commit.session.id,
        commit_id=commit.session.commit_id,
        outcome=outcome,
        made=made,
        until=commit.now + RECEIPT_KEPT,
    )


def _is_heard(signal: Signal) -> bool:
    """Whether somebody sent the signal; looking and waiting that changed nothing are not worth a line."""
    return not isinstance(signal, AuthenticationsListed | TimePassed | CredentialChanged)
