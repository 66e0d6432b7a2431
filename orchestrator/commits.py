"""The one way to write: load, decide, commit with the version that was read; on a lost race decide again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from orchestrator.core import schedule
from orchestrator.core.decide import Decision, decide
from orchestrator.core.effects import ClaimAuthentication, Guard
from orchestrator.core.errors import (
    GuardFailedError,
    NotFoundError,
    SignalRefusedError,
    StaleVersionError,
    StoreUnavailableError,
)
from orchestrator.core.ports import (
    Claim,
    Clock,
    Commit,
    Ids,
    Outcome,
    SessionStore,
    SignalRecord,
    Waiter,
    WatchStore,
)
from orchestrator.core.schedule import Policy
from orchestrator.core.session import Instant, Millis, Session, SessionKey, WatchKey
from orchestrator.core.signals import AuthenticationsListed, ClaimContested, Signal

MOST_TRIES = 20
STORE_PATIENCE: tuple[Millis, ...] = (50, 100, 200, 400, 800)
"""Waits before repeats of a commit whose outcome is unknown."""

EARLIER_COMMITS_KEPT = 8
"""More than others can well add to one session while a commit is being repeated."""

SignalSource = Callable[[Session], Awaitable[Signal]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A session after a signal, and what became of the signal."""

    session: Session
    outcome: Outcome


class Commits:
    """Applies signals to sessions. Everything a decision asks for is written by the commit that writes the session."""

    def __init__(self, *, sessions: SessionStore, watches: WatchStore, clock: Clock, ids: Ids, policy: Policy) -> None:
        self._sessions = sessions
        self._watches = watches
        self._clock = clock
        self._ids = ids
        self._policy = policy

    async def apply(
        self,
        key: SessionKey,
        signal: Signal | SignalSource,
        *,
        guards: tuple[Guard, ...] = (),
    ) -> Applied:
        """Apply one signal, or one made anew of each reading of the session.

        Raises SignalRefusedError or NotFoundError when it is refused (it is logged, nothing changed), LeaseLostError
        when a `LeaseHeld` guard fails, StaleVersionError after twenty lost races, StoreUnavailableError when the
        store does not answer: then the signal may have been applied, and repeating it is safe.
        """
        for tries_left in reversed(range(MOST_TRIES)):
            before = await self._sessions.load(key)
            made = await signal(before) if callable(signal) else signal
            decision = await self._decide(before, made)
            try:
                return await self._write(before, made, decision, guards=guards)
            except (StaleVersionError, GuardFailedError):
                if not tries_left:
                    raise
        raise AssertionError("unreachable")

    async def begin(self, decision: Decision) -> Session:
        """Write a session that is not there yet. Raises StoreUnavailableError."""
        now = self._clock.now()
        commit = self._commit(None, decision, checks={}, now=now, record=None)
        await self._until_known(commit)
        return commit.session

    async def put_off(self, session: Session) -> None:
        """Write when time next changes something about the session, and nothing else: a new policy may have moved it.

        Raises StaleVersionError, StoreUnavailableError.
        """
        unchanged = Decision(session=session, outcome=Outcome.APPLIED)
        await self._until_known(self._commit(session, unchanged, checks={}, now=self._clock.now(), record=None))

    async def _decide(self, before: Session, signal: Signal) -> Decision:
        try:
            return decide(before, signal, policy=self._policy, now=self._clock.now())
        except (SignalRefusedError, NotFoundError) as refused:
            await self._sessions.record(before.id, self._record(signal, Outcome.REFUSED, detail=refused.code))
            raise

    async def _write(
        self,
        before: Session,
        signal: Signal,
        decision: Decision,
        *,
        guards: tuple[Guard, ...],
    ) -> Applied:
        record = self._record(signal, decision.outcome)
        if not decision.changes(before):
            if _is_heard(signal):
                await self._sessions.record(before.id, record)
            return Applied(session=before, outcome=decision.outcome)
        await self._displace(decision, signal)
        checks = await self._checks(before, decision.session, signal)
        commit = self._commit(before, decision, checks=checks, now=decision.session.updated_at, record=record)
        await self._until_known(replace(commit, guards=(*commit.guards, *guards)))
        return Applied(session=commit.session, outcome=decision.outcome)

    async def _until_known(self, commit: Commit) -> None:
        """Write; while the outcome is unknown write the very same again: the store recognises its last commit.

        One that others have committed upon meanwhile is recognised here: decided again it might happen twice.
        """
        try:
            return await self._sessions.commit(commit)
        except StoreUnavailableError as unavailable:
            lost = unavailable
        for wait in STORE_PATIENCE:
            await self._clock.sleep(wait)
            try:
                return await self._sessions.commit(commit)
            except StoreUnavailableError as unavailable:
                lost = unavailable
            except StaleVersionError:
                if await self._is_written(commit):
                    return None
                raise
        raise lost

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
            now=now,
            events=decision.events,
            effects=(*decision.effects, *schedule.waits(before, session, checks=checks)),
            guards=decision.guards,
            record=record,
            wake_at=schedule.wake_at(session, self._policy),
        )

    async def _checks(self, before: Session, after: Session, signal: Signal) -> dict[str, Instant | None]:
        """Return when the watch of each app somebody may wait on was last checked completely."""
        apps = {step.app.id for step in (*before.steps, *after.steps) if step.app and step.app_attempts}
        checks: dict[str, Instant | None] = {}
        for app_id in apps:
            if isinstance(signal, AuthenticationsListed) and signal.listing.app_id == app_id:
                known = signal.checks
            else:
                key = WatchKey(tenant_id=after.tenant_id, user_id=after.user_id, app_id=app_id)
                known = (await self._watches.load(key, now=self._clock.now())).checks
            checks[app_id] = known[-1] if known else None
        return checks

    async def _displace(self, decision: Decision, signal: Signal) -> None:
        """Take an authentication back from the step that has it by difference alone, before it goes to its owner.

        In this order a crash in between leaves the wrong step without it, never two steps with it.
        """
        claims: Mapping[str, Claim] = getattr(signal, "claims", {})
        for effect in decision.effects:
            if not isinstance(effect, ClaimAuthentication) or effect.by_difference:
                continue
            claim = claims.get(effect.authentication_id)
            owner = Waiter(session_id=decision.session.id, step_id=effect.step_id)
            if claim is None or claim.holder is None or claim.holder == owner:
                continue
            contested = ClaimContested(step_id=claim.holder.step_id, authentication_id=effect.authentication_id)
            try:
                await self.apply(replace(decision.session.key, session_id=claim.holder.session_id), contested)
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
    if kind is not None:
        return str(kind)
    name = type(signal).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")


def _is_heard(signal: Signal) -> bool:
    """Whether somebody sent the signal; looking and waiting that changed nothing are not worth a line."""
    return type(signal).__name__ not in {"AuthenticationsListed", "TimePassed", "CredentialChanged"}
