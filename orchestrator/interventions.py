"""What operators do to help: each act is carried out by the use case that users have for it, and goes into the audit.

What changed a session, or put a delivery into its lane again, is audited by the script that did it. What changed
nothing, or was refused, is audited afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from orchestrator.commits import Applied, Commits
from orchestrator.core.deliveries import Delivery
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.store import StoreError
from orchestrator.core.interventions import Act, Intervention
from orchestrator.core.ports.around import Clock, Ids
from orchestrator.core.ports.audit import AuditLog
from orchestrator.core.ports.budget import Budget
from orchestrator.core.ports.credentials import CredentialStore
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.watches import PAUSED, WatchStore
from orchestrator.core.ports.workers import WorkerRoll
from orchestrator.core.required import active
from orchestrator.core.session import SECOND, Instant, Millis, Session
from orchestrator.core.signals import CheckWanted, DeadlinesExtended, SessionCancelled, Signal, StepReset
from orchestrator.core.terms import Terms
from orchestrator.directory import Directory
from orchestrator.engine import Engine
from orchestrator.relaying import Render
from orchestrator.webhooks import Webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Who wants something done, why, and on what terms."""

    key_id: str
    key_name: str
    reason: str
    terms: Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A check that was asked for: when it is made at the earliest, and what it waits for until then, if anything.

    `cooldown_until`: Zapier refuses everything before then; `held_until`: after failures Zapier is left alone;
    `workers`: how many run to make it.
    """

    applied: Applied
    check_at: Instant | None
    cooldown_until: Instant | None = None
    held_until: Instant | None = None
    workers: int = 0


class Interventions:
    """What operators can do to sessions of the tenants they see; who may see which is the caller's to know.

    Every method raises what the use case behind it raises, after it was audited.
    """

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        commits: Commits,
        engine: Engine,
        webhooks: Webhooks,
        watches: WatchStore,
        credentials: CredentialStore,
        budget: Budget,
        workers: WorkerRoll,
        audit: AuditLog,
        directory: Directory,
        clock: Clock,
        ids: Ids,
        egress: str,
    ) -> None:
        self._commits = commits
        self._engine = engine
        self._webhooks = webhooks
        self._watches = watches
        self._credentials = credentials
        self._budget = budget
        self._workers = workers
        self._audit = audit
        self._directory = directory
        self._clock = clock
        self._ids = ids
        self._egress = egress

    async def check_now(self, session: Session, step_id: str, wish: Wish) -> Looked:
        """Ask Zapier now for what the step waits for: by a check like any other, which waits for its permits.

        Raises SignInRequiredError while Zapier cannot be asked in the user's name.
        """
        act = self._act(session, Intervention.CHECK_NOW, wish, step_id=step_id)

        async def do() -> Applied:
            standing = await self._credentials.standing(session.tenant_id, session.user_id)
            active(standing, user_id=session.user_id)
            return await self._engine.apply(session.key, CheckWanted(step_id=step_id), terms=wish.terms, act=act)

        return await self._looked(await self._audited(session, act, wish, do), step_id)

    async def extend(self, session: Session, by: Millis, wish: Wish) -> Applied:
        """Give the session and the popups that are waited for more time. Raises DeadlineFinalError."""
        act = self._act(session, Intervention.EXTEND, wish, about=f"{by // SECOND} s")
        return await self._apply(session, DeadlinesExtended(by=by), act, wish)

    async def bind(self, session: Session, step_id: str, authentication_id: str, wish: Wish) -> Applied:
        """Settle a step on an authentication that Zapier lists as the user's now. Raises as `Engine.select`."""
        act = self._act(session, Intervention.BIND, wish, step_id=step_id, about=authentication_id)

        async def do() -> Applied:
            return await self._engine.select(session.key, step_id, authentication_id, terms=wish.terms, act=act)

        return await self._audited(session, act, wish, do)

    async def reset(self, session: Session, step_id: str, wish: Wish) -> Applied:
        """Let a step start over."""
        act = self._act(session, Intervention.RESET, wish, step_id=step_id)
        return await self._apply(session, StepReset(step_id=step_id), act, wish)

    async def cancel(self, session: Session, wish: Wish) -> Applied:
        """End the session."""
        return await self._apply(session, SessionCancelled(), self._act(session, Intervention.CANCEL, wish), wish)

    async def replay(
        self, session: Session, endpoint_id: str, seq: int, wish: Wish, *, render: Render
    ) -> tuple[Delivery, bool]:
        """Send an event to an endpoint once more, and tell whether this request had asked for it before."""
        act = self._act(session, Intervention.REPLAY, wish, about=f"{endpoint_id} {seq}")
        try:
            return await self._webhooks.replay(
                session.tenant_id,
                endpoint_id,
                session_id=session.id,
                seq=seq,
                render=render,
                terms=wish.terms,
                act=act,
            )
        except ZapwrightError as refused:
            await self._refused(act, refused)
            raise

    async def _apply(self, session: Session, signal: Signal, act: Act, wish: Wish) -> Applied:
        async def do() -> Applied:
            return await self._engine.apply(session.key, signal, terms=wish.terms, act=act)

        return await self._audited(session, act, wish, do)

    async def _audited(self, session: Session, act: Act, wish: Wish, do: Callable[[], Awaitable[Applied]]) -> Applied:
        """Do it, unless the same request did it before, and keep what became of it."""
        try:
            earlier = await self._commits.earlier(session.tenant_id, session.user_id, wish.terms)
            applied = earlier or await do()
        except ZapwrightError as refused:
            await self._refused(act, refused)
            raise
        if not applied.is_committed and not applied.is_replay:
            await self._audit.add(act.entry(at=self._clock.now(), outcome=applied.outcome))
        return applied

    async def _refused(self, act: Act, refused: ZapwrightError) -> None:
        """Keep what was refused; of what the store left unanswered nobody knows what became of it."""
        if not isinstance(refused, StoreError):
            await self._audit.add(act.entry(at=self._clock.now(), outcome=Outcome.REFUSED, detail=refused.code))

    async def _looked(self, applied: Applied, step_id: str) -> Looked:
        step = applied.session.step(step_id)
        if step is None or step.app is None:
            return Looked(applied=applied, check_at=None)
        session, now = applied.session, self._clock.now()
        watch = await self._watches.load(session.watch_key(step.app.id), now=now)
        partner = await self._directory.partner_of(session.tenant_id)
        sides = await self._budget.usage(egress=self._egress, partner=partner, now=now)
        cooldown = max(side.cooldown_until for side in sides)
        alive = sum(worker.is_alive(now=now) for worker in await self._workers.all())
        due = watch.next_check_at
        return Looked(
            applied=applied,
            check_at=None if due is None else max(due, cooldown, now),
            cooldown_until=cooldown if cooldown > now else None,
            held_until=watch.retry_at if watch.retry_at and now < watch.retry_at < PAUSED else None,
            workers=alive,
        )

    def _act(
        self,
        session: Session,
        action: Intervention,
        wish: Wish,
        *,
        step_id: str | None = None,
        about: str | None = None,
    ) -> Act:
        return Act(
            id=self._ids.new("au"),
            key_id=wish.key_id,
            key_name=wish.key_name,
            action=action,
            reason=wish.reason,
            tenant_id=session.tenant_id,
            session_id=session.id,
            step_id=step_id,
            about=about,
        )
