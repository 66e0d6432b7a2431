"""What operators read of one session or one app: its whole story, and why it is as it is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.core.deliveries import Delivery, DeliveryState
from orchestrator.core.health import Jump
from orchestrator.core.interventions import AuditEntry
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.audit import AuditLog, AuditPage, AuditQuery
from orchestrator.core.ports.budget import Budget
from orchestrator.core.ports.calls import CallLog, CallRecord
from orchestrator.core.ports.credentials import CredentialStore, Standing
from orchestrator.core.ports.sessions import EventPage, SessionQuery, SessionStore, SignalRecord
from orchestrator.core.ports.watches import Watch, WatchStore
from orchestrator.core.ports.webhooks import DeliveryStore, EndpointStore
from orchestrator.core.ports.workers import WorkerRoll
from orchestrator.core.schedule import Policy
from orchestrator.core.session import App, Session, StepState
from orchestrator.core.values import replace
from orchestrator.core.why.apps import why_app
from orchestrator.core.why.facts import AppFacts, Conditions, SessionFacts, Undelivered
from orchestrator.core.why.findings import Diagnosis
from orchestrator.core.why.sessions import why_session
from orchestrator.directory import Directory
from orchestrator.oversight import Oversight

MOST_DELIVERIES: Final = 200
MOST_ENTRIES: Final = 100
MOST_WAITING: Final = 50
"""How many waiting sessions are looked at to say how an app does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that is known of a session, each list oldest first."""

    session: Session
    credential: Standing | None
    diagnosis: Diagnosis
    watches: tuple[Watch, ...]
    signals: tuple[SignalRecord, ...]
    events: EventPage
    calls: tuple[CallRecord, ...]
    deliveries: tuple[Delivery, ...]
    audit: tuple[AuditEntry, ...]


class Insight:
    """Reads for operators. Nothing is changed, nothing is asked of Zapier."""

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        sessions: SessionStore,
        watches: WatchStore,
        credentials: CredentialStore,
        budget: Budget,
        endpoints: EndpointStore,
        deliveries: DeliveryStore,
        audit: AuditLog,
        calls: CallLog,
        workers: WorkerRoll,
        oversight: Oversight,
        directory: Directory,
        clock: Clock,
        policy: Policy,
        egress: str,
    ) -> None:
        self._sessions = sessions
        self._watches = watches
        self._credentials = credentials
        self._budget = budget
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._audit = audit
        self._calls = calls
        self._workers = workers
        self._oversight = oversight
        self._directory = directory
        self._clock = clock
        self._policy = policy
        self._egress = egress

    async def session(self, session_id: str) -> Session:
        """Return a session, whoever's it is. Raises SessionNotFoundError."""
        return await self._sessions.load_any(session_id)

    async def story(self, session: Session, *, after: int, limit: int) -> Story:
        """Return all that is known of a session that was just read; of its events those after `after`.

        Raises SessionNotFoundError when it is gone since.
        """
        deliveries = await self._deliveries.of_session(session.id, limit=MOST_DELIVERIES)
        facts, signals, events, calls, audit = await asyncio.gather(
            self._facts(session, deliveries),
            self._sessions.signals(session.id),
            self._sessions.events(session.id, after=after, limit=limit),
            self._calls.of_user(session.tenant_id, session.user_id),
            self._audit.find(AuditQuery(session_id=session.id, limit=MOST_ENTRIES)),
        )
        return Story(
            session=session,
            credential=facts.credential,
            diagnosis=why_session(facts),
            watches=tuple(facts.watches.values()),
            signals=signals,
            events=events,
            calls=tuple(call for call in calls if _concerns(call, session)),
            deliveries=deliveries,
            audit=audit.entries[::-1],
        )

    async def why(self, session: Session) -> Diagnosis:
        """Say why a session that was just read is as it is."""
        deliveries = await self._deliveries.of_session(session.id, limit=MOST_DELIVERIES)
        return why_session(await self._facts(session, deliveries))

    async def why_app(self, app_id: str, *, within: frozenset[str] | None) -> Diagnosis:
        """Say how connecting an app goes, for users of these tenants (None: of all)."""
        query = SessionQuery(
            tenant_id=None, within=within, state=StepState.AWAITING_POPUP, app_id=app_id, limit=MOST_WAITING
        )
        page, (now, app) = await asyncio.gather(self._sessions.find(query), self._oversight.app(within, app_id))
        waiting = [session for session in page.sessions if app_id in _awaited(session)]
        tenants = sorted({session.tenant_id for session in waiting})
        conditions = dict(zip(tenants, await asyncio.gather(*map(self._conditions, tenants)), strict=True))
        facts = await asyncio.gather(*(self._waits(session, conditions[session.tenant_id]) for session in waiting))
        titles = (one.title for session in waiting for one in _apps(session) if one.id == app_id)
        return why_app(
            AppFacts(
                app_id=app_id,
                title=next(titles, None) or app.health.title or app_id,
                now=now,
                waiting=tuple(facts),
                more_wait=page.cursor is not None,
                popups=app.health.popups,
                jump=app.health.jump,
                is_known=bool(waiting or app.health.sessions.sessions or app.health.popups),
            )
        )

    async def audit(self, query: AuditQuery) -> AuditPage:
        """Return one page of the audit. Raises ValueError for a cursor that is not ours."""
        return await self._audit.find(query)

    async def _facts(self, session: Session, deliveries: Sequence[Delivery]) -> SessionFacts:
        """Return all that is known of a session, of whose events these are the newest deliveries."""
        conditions, undelivered, jumps = await asyncio.gather(
            self._conditions(session.tenant_id), self._undelivered(session, deliveries), self._jumps(session)
        )
        return replace(await self._waits(session, conditions), undelivered=undelivered, jumps=jumps)

    async def _waits(self, session: Session, conditions: Conditions) -> SessionFacts:
        """Return what may hold up the checks that a session waits for."""
        now = self._clock.now()
        apps = dict.fromkeys(app.id for app in _apps(session))
        keys = [session.watch_key(app_id) for app_id in apps]
        credential, watches = await asyncio.gather(
            self._credentials.standing(session.tenant_id, session.user_id),
            asyncio.gather(*(self._watches.load(key, now=now) for key in keys)),
        )
        return SessionFacts(
            session=session,
            conditions=conditions,
            credential=credential,
            watches={watch.key.app_id: watch for watch in watches},
        )

    async def _conditions(self, tenant_id: str) -> Conditions:
        now = self._clock.now()
        partner = await self._directory.partner_of(tenant_id)
        budget, workers = await asyncio.gather(
            self._budget.usage(egress=self._egress, partner=partner, now=now), self._workers.all()
        )
        alive = sum(worker.is_alive(now=now) for worker in workers)
        return Conditions(now=now, policy=self._policy, budget=budget, workers=alive)

    async def _jumps(self, session: Session) -> Mapping[str, Jump]:
        """Return of which awaited apps the messages get lost more often than usual, for the session's tenant."""
        sees = frozenset({session.tenant_id})
        awaited = _awaited(session) if session.is_open else ()
        found = await asyncio.gather(*(self._oversight.app(sees, app_id) for app_id in awaited))
        jumps = {app.health.app_id: app.health.jump for _, app in found}
        return {app_id: jump for app_id, jump in jumps.items() if jump is not None}

    async def _undelivered(self, session: Session, deliveries: Sequence[Delivery]) -> tuple[Undelivered, ...]:
        """Return which endpoints have not received what, those first that hear of every session."""
        counts = Counter(
            (one.lane.endpoint_id, one.state)
            for one in deliveries
            if one.state is DeliveryState.DEAD or (one.state is DeliveryState.PENDING and one.failures)
        )
        names = sorted({endpoint_id for endpoint_id, _ in counts})
        (listening,) = await self._endpoints.listening([(session.tenant_id, session.id)])
        endpoints = {one.id: one for one in listening if one.id in names or one.paused is not None}
        waiting = [one for one in deliveries if one.state is DeliveryState.PENDING]
        pending = Counter(one.lane.endpoint_id for one in waiting)
        failing = {one.lane.endpoint_id: one for one in sorted(waiting, key=lambda one: one.failures) if one.failures}
        return tuple(
            Undelivered(
                endpoint=endpoint,
                pending=pending[endpoint_id],
                dead=counts[endpoint_id, DeliveryState.DEAD],
                failing=failing.get(endpoint_id),
            )
            for endpoint_id, endpoint in endpoints.items()
        )


def _concerns(call: CallRecord, session: Session) -> bool:
    """Whether a call for the session's user may have been made for this session."""
    apps = {app.id for app in _apps(session)}
    return call.at >= session.created_at and (call.app_id is None or call.app_id in apps)


def _apps(session: Session) -> tuple[App, ...]:
    return tuple(step.app for step in session.steps if step.app is not None)


def _awaited(session: Session) -> tuple[str, ...]:
    """Return the apps for whose popups somebody waits."""
    waiting = (step for step in session.steps if step.state is StepState.AWAITING_POPUP)
    return tuple(dict.fromkeys(step.app.id for step in waiting if step.app is not None))
