"""What operators look at: everything that goes on, of the tenants they may see. Nothing here changes anything."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from orchestrator.core.endpoints import Endpoint
from orchestrator.core.errors.webhooks import EndpointNotFoundError
from orchestrator.core.health import Fate, Stage
from orchestrator.core.links import code_meant
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.budget import Budget, Usage
from orchestrator.core.ports.calls import CallEnd, CallKind
from orchestrator.core.ports.census import AppSessions, CensusStore, Counts, Situation, WaitingSession
from orchestrator.core.ports.sessions import SessionPage, SessionQuery, SessionStore
from orchestrator.core.ports.watches import Watch, WatchQuery, WatchStore
from orchestrator.core.ports.webhooks import DeliveryPage, DeliveryQuery, DeliveryStore, EndpointStore, Reception
from orchestrator.core.ports.workers import Queues, WorkerReport, WorkerRoll
from orchestrator.core.session import MINUTE, Instant, Session, SessionStatus, StepState, is_session_id
from orchestrator.core.waiting import Waiting, overdue, stuck_by, waiting
from orchestrator.directory import Directory
from orchestrator.lately import AppHealth, Tally, fates_of
from orchestrator.queries import Queries, Snapshot

FUNNEL_HOURS: Final = 24
WAITING: Final = Situation(status=SessionStatus.BUILDING, state=StepState.AWAITING_POPUP)

Sees: TypeAlias = frozenset[str] | None
"""The tenants that somebody may see, None for every one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A session as operators see it: who waits in it, and whether a check of theirs is overdue."""

    snapshot: Snapshot
    waiting: Waiting | None
    is_overdue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of Zapier's limits, and the tenants it is for."""

    usage: Usage
    is_egress: bool
    tenants: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppDetails:
    """An app's health, where its sessions stand, and its popups by the hour, the present one last."""

    health: AppHealth
    situations: Mapping[Situation, int]
    hours: tuple[tuple[Instant, Mapping[Fate, int]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything at a glance. `funnel` is by the hour, the present one last."""

    at: Instant
    situations: Mapping[Situation, int]
    waiting: tuple[WaitingSession, ...]
    stuck: int
    funnel: tuple[tuple[Instant, Mapping[Stage, int]], ...]
    sides: tuple[Side, ...]
    jumped: tuple[AppHealth, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """Calls to Zapier: in this minute and the one before, and by what became of them in the last hour."""

    kind: CallKind
    lately: int
    hour: Mapping[CallEnd, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A watch that will be checked at `due`, because of a signal or without; `is_leased`: a worker has it now."""

    watch: Watch
    due: Instant
    is_strong: bool
    is_leased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """The workers, how many batches wait for them by queue (None: nobody knows), and the events to be relayed."""

    at: Instant
    workers: tuple[WorkerReport, ...]
    queues: Mapping[str, int | None]
    outbox: int


class Oversight:
    """Reads for operators. Each is told which tenants are theirs to see, and shows nothing of any other."""

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        sessions: SessionStore,
        census: CensusStore,
        watches: WatchStore,
        budget: Budget,
        deliveries: DeliveryStore,
        endpoints: EndpointStore,
        workers: WorkerRoll,
        queues: Queues | None,
        queries: Queries,
        directory: Directory,
        clock: Clock,
        egress: str,
        shards: int,
    ) -> None:
        self._sessions = sessions
        self._census = census
        self._watches = watches
        self._budget = budget
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._workers = workers
        self._queues = queues
        self._shards = shards
        self._queries = queries
        self._directory = directory
        self._clock = clock
        self._egress = egress
        self._tally = Tally(census)

    # --- sessions ---

    async def sessions(self, query: SessionQuery) -> tuple[tuple[Seen, ...], str | None]:
        """Return one page of sessions, and the cursor after it. Raises ValueError for a cursor that is not ours.

        What is quoted may also be a session's id, or the reference of an error that was about it. A browser's code is
        found however it is written. What is none of these may be a user's id.
        """
        named = await self._named(query.quoted)
        if named is None:
            page = SessionPage(sessions=())
            for meant in _meant(query):
                page = await self._sessions.find(meant)
                if page.sessions or page.cursor is not None:
                    break
            return await self._seen(page.sessions), page.cursor
        page = await self._sessions.find(replace(query, quoted=None, session_id=named))
        now, seen = self._clock.now(), await self._seen(page.sessions)
        if query.stuck_at is not None:
            seen = tuple(one for one in seen if stuck_by(one.waiting, is_overdue=one.is_overdue, now=now) is not None)
        return seen, None

    async def _named(self, quoted: str | None) -> str | None:
        """Return the id of the one session that is meant, if it is one."""
        if quoted is None:
            return None
        return quoted if is_session_id(quoted) else await self._sessions.quoted(quoted)

    async def _seen(self, sessions: Sequence[Session]) -> tuple[Seen, ...]:
        snapshots = await asyncio.gather(*map(self._queries.snapshot, sessions))
        waits = [waiting(session) for session in sessions]
        now = self._clock.now()
        checks = await self._watches.next_checks(
            {
                session.watch_key(app_id)
                for session, waits_for in zip(sessions, waits, strict=True)
                if waits_for is not None
                for app_id in waits_for.apps
            }
        )
        late = {key for key, at in checks.items() if overdue(at, now=now)}
        return tuple(
            Seen(
                snapshot=snapshot,
                waiting=waits_for,
                is_overdue=waits_for is not None and any(one.watch_key(app_id) in late for app_id in waits_for.apps),
            )
            for one, snapshot, waits_for in zip(sessions, snapshots, waits, strict=True)
        )

    # --- at a glance ---

    async def overview(self, sees: Sees) -> Overview:
        """Return everything at a glance."""
        now, tenants = self._clock.now(), await self._tenants(sees)
        situations, waits, lately, sides = await asyncio.gather(
            self._census.situations(tenants),
            self._census.waiting(tenants, now=now),
            self._tally.lately(tenants, now=now),
            self.sides(sees),
        )
        return Overview(
            at=now,
            situations=situations,
            waiting=waits,
            stuck=sum(stuck_by(one.waiting, is_overdue=one.is_overdue, now=now) is not None for one in waits),
            funnel=tuple((at, _stages(counts, tenants)) for at, counts in list(lately.hours.items())[-FUNNEL_HOURS:]),
            sides=sides,
            jumped=tuple(app for app in lately.apps({}) if app.jump is not None),
        )

    async def apps(self, sees: Sees) -> tuple[Instant, tuple[AppHealth, ...]]:
        """Return the moment, and every app that has sessions or had popups in the last day; those that jumped first."""
        now, tenants = self._clock.now(), await self._tenants(sees)
        sessions, lately = await asyncio.gather(self._census.apps(tenants), self._tally.lately(tenants, now=now))
        return now, lately.apps(sessions)

    async def app(self, sees: Sees, app_id: str) -> tuple[Instant, AppDetails]:
        """Return the moment, and one app; of one that nobody uses all is zero."""
        now, tenants = self._clock.now(), await self._tenants(sees)
        situations, lately = await asyncio.gather(
            self._census.situations(tenants, app_id=app_id), self._tally.lately(tenants, now=now)
        )
        sessions = AppSessions(sessions=sum(situations.values()), waiting=situations.get(WAITING, 0))
        return now, AppDetails(
            health=lately.app(app_id, sessions),
            situations=situations,
            hours=tuple((at, fates_of(app_id, counts.popups, tenants)) for at, counts in lately.hours.items()),
        )

    # --- the budget ---

    async def sides(self, sees: Sees) -> tuple[Side, ...]:
        """Return how much of Zapier's limits is held: of the address we call from, and of each partner."""
        now = self._clock.now()
        partners: defaultdict[str, list[str]] = defaultdict(list)
        for tenant_id in await self._tenants(sees):
            partners[await self._directory.partner_of(tenant_id)].append(tenant_id)
        usages = await asyncio.gather(
            *(self._budget.usage(egress=self._egress, partner=partner, now=now) for partner in partners)
        )
        everybody = tuple(tenant_id for tenants in partners.values() for tenant_id in tenants)
        egress = [Side(usage=usage, is_egress=True, tenants=everybody) for usage, _ in usages[:1]]
        of_partners = (
            Side(usage=usage, is_egress=False, tenants=tuple(tenants))
            for (_, usage), tenants in zip(usages, partners.values(), strict=True)
        )
        return (*egress, *of_partners)

    async def calls(self, sees: Sees) -> tuple[Called, ...]:
        """Return what was asked of Zapier in the last hour, by tenant and endpoint."""
        now, tenants = self._clock.now(), await self._tenants(sees)
        minutes = await self._tally.minutes(now=now)
        hour: defaultdict[CallKind, Counter[CallEnd]] = defaultdict(Counter)
        lately: Counter[CallKind] = Counter()
        for at, counts in minutes.items():
            for kind, ends in counts.calls.items():
                if kind.tenant_id in tenants:
                    hour[kind].update(ends)
                    lately[kind] += sum(ends.values()) if at > now - 2 * MINUTE else 0
        return tuple(Called(kind=kind, lately=lately[kind], hour=ends) for kind, ends in sorted(hour.items()))

    # --- watches ---

    async def watches(self, query: WatchQuery) -> tuple[tuple[Planned, ...], str | None]:
        """Return one page of watches by when they are checked next. Raises ValueError for a cursor that is not ours."""
        now, page = self._clock.now(), await self._watches.find(query)
        watches = await asyncio.gather(*(self._watches.load(one.key, now=now) for one in page.watches))
        planned = (
            Planned(watch=watch, due=one.due, is_strong=one.is_strong, is_leased=watch.lease_until > now)
            for one, watch in zip(page.watches, watches, strict=True)
        )
        return tuple(planned), page.cursor

    # --- workers ---

    async def staff(self) -> Staff:
        """Return the workers and what waits for them, whosever it is."""
        at = self._clock.now()
        workers, backlog, queues = await asyncio.gather(
            self._workers.all(), self._deliveries.backlog(range(self._shards), now=at), self._depths()
        )
        return Staff(at=at, workers=workers, outbox=backlog.events, queues=queues)

    async def _depths(self) -> Mapping[str, int | None]:
        return {} if self._queues is None else await self._queues.depths()

    # --- webhooks ---

    async def deliveries(self, query: DeliveryQuery) -> DeliveryPage:
        """Return one page of deliveries to all endpoints. Raises ValueError for a cursor that is not ours."""
        return await self._deliveries.search(query)

    async def endpoints(self, sees: Sees) -> tuple[tuple[Endpoint, Reception], ...]:
        """Return the endpoints that hear of every session of their tenant, and how they receive."""
        found = await asyncio.gather(*map(self._endpoints.all, await self._tenants(sees)))
        endpoints = [endpoint for of_tenant in found for endpoint in of_tenant]
        receptions = await self._deliveries.receptions([(one.tenant_id, one.id) for one in endpoints])
        return tuple(zip(endpoints, receptions, strict=True))

    async def endpoint(self, sees: Sees, endpoint_id: str) -> Endpoint:
        """Return an endpoint of any of these tenants, or of one of their sessions. Raises EndpointNotFoundError."""
        tenants = await self._tenants(sees)
        found = await self._endpoints.get_each([(tenant_id, endpoint_id) for tenant_id in tenants])
        endpoint = next((one for one in found if one is not None), None)
        if endpoint is None:
            raise EndpointNotFoundError(endpoint_id=endpoint_id)
        return endpoint

    # --- counts ---

    async def _tenants(self, sees: Sees) -> tuple[str, ...]:
        known = (tenant.id for tenant in await self._directory.tenants())
        return tuple(tenant_id for tenant_id in known if sees is None or tenant_id in sees)


def oldest(waits: Iterable[WaitingSession]) -> WaitingSession | None:
    """Return who has waited longest."""
    return min(waits, key=lambda one: (one.waiting.since, one.session_id), default=None)


def _meant(query: SessionQuery) -> Iterator[SessionQuery]:
    """Give what a query may mean, one after the other until something is found."""
    yield query
    if query.quoted is None:
        return
    if (code := code_meant(query.quoted)) not in {None, query.quoted}:
        yield replace(query, quoted=code)
    if query.user_id is None:
        yield replace(query, quoted=None, user_id=query.quoted)


def _stages(counts: Counts, tenants: Iterable[str]) -> Mapping[Stage, int]:
    return {stage: sum(counts.stages.get((tenant_id, stage), 0) for tenant_id in tenants) for stage in Stage}
