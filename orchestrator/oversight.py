"""What operators look at: everything that goes on, of the tenants they may see. Nothing here changes anything."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from orchestrator.core.endpoints import Endpoint
from orchestrator.core.errors.webhooks import EndpointNotFoundError
from orchestrator.core.health import (
    BASELINE_HOURS,
    HOUR,
    RECENT_MINUTES,
    Fate,
    Jump,
    Popups,
    Rate,
    Stage,
    baseline,
    jump,
    sum_of,
)
from orchestrator.core.links import code_meant
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.budget import Budget, Usage
from orchestrator.core.ports.calls import CallEnd, CallKind
from orchestrator.core.ports.census import AppSessions, CensusStore, Counts, Situation, WaitingSession
from orchestrator.core.ports.sessions import SessionQuery, SessionStore
from orchestrator.core.ports.watches import Watch, WatchQuery, WatchStore
from orchestrator.core.ports.webhooks import DeliveryPage, DeliveryQuery, DeliveryStore, EndpointStore, Reception
from orchestrator.core.ports.workers import Queues, WorkerReport, WorkerRoll
from orchestrator.core.session import (
    MINUTE,
    BrowserFamily,
    Instant,
    Millis,
    Session,
    SessionStatus,
    StepState,
    is_session_id,
)
from orchestrator.core.waiting import Waiting, overdue, stuck_by, waiting
from orchestrator.directory import Directory
from orchestrator.queries import Queries, Snapshot

FUNNEL_HOURS: Final = 24
SETTLED_AFTER: Final[Millis] = 10 * MINUTE
"""So long after its end nobody counts anything in an hour, or a minute, any more: clocks differ by less."""

WAITING: Final = Situation(status=SessionStatus.BUILDING, state=StepState.AWAITING_POPUP)
NO_SESSIONS: Final = AppSessions(sessions=0, waiting=0)

Sees: TypeAlias = frozenset[str] | None
"""The tenants that somebody may see, None for every one."""

ByBrowser: TypeAlias = Mapping[BrowserFamily, Mapping[Fate, int]]
"""What became of popups, by the family of browsers they were in."""


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
class AppHealth:
    """An app: its sessions now, its popups of the last day, and whether they do worse than usual."""

    app_id: str
    title: str | None
    sessions: AppSessions
    browsers: ByBrowser
    usual: Rate | None
    jump: Jump | None

    @property
    def popups(self) -> Mapping[Fate, int]:
        """What became of its popups, whatever the browser."""
        return added(self.browsers.values())


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lately:
    """What some tenants' popups did, by app: in the last day, and in each of its last minutes. `hours`: everybody's."""

    now: Instant
    hours: Mapping[Instant, Counts]
    day: Mapping[str, ByBrowser]
    minutes: Mapping[str, Mapping[Instant, ByBrowser]]
    titles: Mapping[str, str]

    def app(self, app_id: str, sessions: AppSessions) -> AppHealth:
        """Tell how an app does, of which there are these sessions."""
        browsers = self.day.get(app_id, {})
        rates = {browser: Rate.of(fates) for browser, fates in browsers.items()}
        day = sum_of(rates.values())
        is_theirs = bool(browsers) or sessions.sessions > 0
        return AppHealth(
            app_id=app_id,
            title=self.titles.get(app_id) if is_theirs else None,  # or it would tell that somebody else has it
            sessions=sessions,
            browsers=browsers,
            usual=baseline(day),
            jump=self._jump(app_id, day, rates),
        )

    def apps(self, sessions: Mapping[str, AppSessions]) -> tuple[AppHealth, ...]:
        """Tell how every app does: those that jumped first, then those with the most popups, then the most sessions."""
        known = (self.app(app_id, sessions.get(app_id, NO_SESSIONS)) for app_id in {*self.day, *sessions})
        return tuple(
            sorted(
                known,
                key=lambda app: (
                    app.jump is None,
                    -app.popups.get(Fate.OPENED, 0),
                    -app.sessions.sessions,
                    app.app_id,
                ),
            )
        )

    def _jump(self, app_id: str, day: Rate, rates: Mapping[BrowserFamily, Rate]) -> Jump | None:
        """Look for one in all browsers together, then in each family."""
        minutes = self.minutes.get(app_id)
        if not minutes:
            return None
        together = {at: sum_of(map(Rate.of, browsers.values())) for at, browsers in minutes.items()}
        found = jump(day, together, now=self.now)
        for browser, rate in () if found else rates.items():
            alone = {at: Rate.of(browsers[browser]) for at, browsers in minutes.items() if browser in browsers}
            found = found or jump(rate, alone, now=self.now, browser=browser)
        return found


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
        self._hours = _Ledger(census.hours, length=HOUR)
        self._minutes = _Ledger(census.minutes, length=MINUTE)

    # --- sessions ---

    async def sessions(self, query: SessionQuery) -> tuple[tuple[Seen, ...], str | None]:
        """Return one page of sessions, and the cursor after it. Raises ValueError for a cursor that is not ours.

        What is quoted may also be a session's id, or the reference of an error that was about it. A browser's code is
        found however it is written.
        """
        named = await self._named(query.quoted)
        if named is None:
            page = await self._sessions.find(query)
            code = None if query.quoted is None else code_meant(query.quoted)
            if code not in {None, query.quoted} and not page.sessions and page.cursor is None:
                page = await self._sessions.find(replace(query, quoted=code))
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
            self._lately(tenants, now=now),
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
        sessions, lately = await asyncio.gather(self._census.apps(tenants), self._lately(tenants, now=now))
        return now, lately.apps(sessions)

    async def app(self, sees: Sees, app_id: str) -> tuple[Instant, AppDetails]:
        """Return the moment, and one app; of one that nobody uses all is zero."""
        now, tenants = self._clock.now(), await self._tenants(sees)
        situations, lately = await asyncio.gather(
            self._census.situations(tenants, app_id=app_id), self._lately(tenants, now=now)
        )
        sessions = AppSessions(sessions=sum(situations.values()), waiting=situations.get(WAITING, 0))
        return now, AppDetails(
            health=lately.app(app_id, sessions),
            situations=situations,
            hours=tuple((at, _fates(counts.popups, app_id, tenants)) for at, counts in lately.hours.items()),
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
        minutes = await self._minutes.latest(RECENT_MINUTES[-1], now=now)
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
        workers, outbox, queues = await asyncio.gather(
            self._workers.all(), self._deliveries.backlog(range(self._shards), now=at), self._depths()
        )
        return Staff(at=at, workers=workers, outbox=outbox.events, queues=queues)

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

    async def _lately(self, tenants: Sequence[str], *, now: Instant) -> _Lately:
        hours, minutes = await asyncio.gather(
            self._hours.latest(BASELINE_HOURS, now=now), self._minutes.latest(RECENT_MINUTES[-1], now=now)
        )
        by_minute: defaultdict[str, dict[Instant, ByBrowser]] = defaultdict(dict)
        for at, counts in minutes.items():
            for app_id, browsers in _by_app([counts.popups], tenants).items():
                by_minute[app_id][at] = browsers
        present = [counts.popups for at, counts in hours.items() if at not in self._hours.past]
        return _Lately(
            now=now,
            hours=hours,
            day=_together(self._hours.past_by_app(tenants), _by_app(present, tenants)),
            minutes=by_minute,
            titles={app_id: title for counts in hours.values() for app_id, title in counts.titles.items()},
        )


class _Ledger:
    """Counts by the hour, or by the minute. Those that are over are read once, and added up once."""

    def __init__(self, read: Callable[[Sequence[Instant]], Awaitable[tuple[Counts, ...]]], *, length: Millis) -> None:
        self._read = read
        self._length = length
        self._added_up: dict[tuple[str, ...], Mapping[str, ByBrowser]] = {}
        self.past: Mapping[Instant, Counts] = {}
        """Those that nobody adds to any more."""

    async def latest(self, number: int, *, now: Instant) -> Mapping[Instant, Counts]:
        """Return so many of them by their beginnings, oldest first, and the present one."""
        present = now - now % self._length
        wanted = [present - back * self._length for back in reversed(range(number + 1))]
        missing = [at for at in wanted if at not in self.past]
        found = dict(zip(missing, await self._read(missing), strict=True))
        latest = {at: found[at] if at in found else self.past[at] for at in wanted}
        past = {at: counts for at, counts in latest.items() if at + self._length + SETTLED_AFTER <= now}
        if past.keys() != self.past.keys():
            self.past, self._added_up = past, {}
        return latest

    def past_by_app(self, tenants: Sequence[str]) -> Mapping[str, ByBrowser]:
        """Return these tenants' popups of those that are over."""
        whose = tuple(tenants)
        if whose not in self._added_up:
            self._added_up[whose] = _by_app((counts.popups for counts in self.past.values()), frozenset(whose))
        return self._added_up[whose]


def oldest(waits: Iterable[WaitingSession]) -> WaitingSession | None:
    """Return who has waited longest."""
    return min(waits, key=lambda one: (one.waiting.since, one.session_id), default=None)


def _stages(counts: Counts, tenants: Iterable[str]) -> Mapping[Stage, int]:
    return {stage: sum(counts.stages.get((tenant_id, stage), 0) for tenant_id in tenants) for stage in Stage}


def _by_app(counted: Iterable[Mapping[Popups, Mapping[Fate, int]]], tenants: Container[str]) -> dict[str, ByBrowser]:
    found: defaultdict[str, defaultdict[BrowserFamily, Counter[Fate]]] = defaultdict(lambda: defaultdict(Counter))
    for popups in counted:
        for of, fates in popups.items():
            if of.tenant_id in tenants:
                total = found[of.app_id][of.browser]
                for fate, count in fates.items():
                    total[fate] += count
    return {app_id: dict(browsers) for app_id, browsers in found.items()}


def _together(*counted: Mapping[str, ByBrowser]) -> Mapping[str, ByBrowser]:
    """Add up, by app and browser."""
    found: defaultdict[str, defaultdict[BrowserFamily, list[Mapping[Fate, int]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for apps in counted:
        for app_id, browsers in apps.items():
            for browser, fates in browsers.items():
                found[app_id][browser].append(fates)
    return {app_id: {name: added(each) for name, each in browsers.items()} for app_id, browsers in found.items()}


def _fates(popups: Mapping[Popups, Mapping[Fate, int]], app_id: str, tenants: Container[str]) -> Mapping[Fate, int]:
    mine = {of: fates for of, fates in popups.items() if of.app_id == app_id}
    return added(_by_app([mine], tenants).get(app_id, {}).values())


def added(several: Iterable[Mapping[Fate, int]]) -> Mapping[Fate, int]:
    """Add counts of popups up."""
    total: Counter[Fate] = Counter()
    for one in several:
        for fate, count in one.items():
            total[fate] += count
    return total
