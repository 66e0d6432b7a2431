"""Ours, whole: engine, schedule, dispatcher, budget, store scripts, client. Only RQ's transport is left out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterable

from bench.fallback.naive import MESSAGE_TAKES_S
from bench.fallback.world import Result, Visit
from bench.fallback.zapier import ORIGIN, Zapier
from bench.virtual import BEGINNING, VirtualClock, VirtualTimeLoop
from orchestrator.bootstrap import Zapwright, compose, rate_limits
from orchestrator.core.errors.upstream import UpstreamBusyError
from orchestrator.core.events import EventName
from orchestrator.core.ports.credentials import NewTokens
from orchestrator.core.ports.workers import CheckBatch
from orchestrator.core.session import SECOND, HintKind, Instant, Session, SessionKey, Step, StepState
from orchestrator.core.signals import Hinted, MessageReceived
from orchestrator.engine import NewSession, NewStep
from orchestrator.settings import Settings
from orchestrator.store.opening import Store
from simulator.apps import App
from workers.checker import BatchChecker
from workers.dispatcher import Dispatcher

IDLE_TICK_S = 0.5
SWEEP_EVERY_S = 10.0
JOB_STARTS_AFTER_S = 0.02
SETTLES_WITHIN_S = 20 * 60.0


class SeededIds:
    """Ids that are the same in every run."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def new(self, prefix: str) -> str:
        """Return a new id."""
        return prefix + "".join(self._chance.choices("0123456789abcdefghijklmnopqrstuvwxyz", k=20))


class Ours:
    """The product in simulated time, on a real store."""

    def __init__(self, loop: VirtualTimeLoop, store: Store) -> None:
        self._loop = loop
        self._store = store
        self.zapier = Zapier(loop)
        self._clock = VirtualClock(loop)
        settings = Settings(zapier_api_url=ORIGIN)
        self._ids = SeededIds(1)
        chance = random.Random(2)
        self._http = self.zapier.client()
        self._zapwright: Zapwright = compose(
            settings, store=WithoutCache(store), http=self._http, clock=self._clock, ids=self._ids, chance=chance.random
        )
        self._dispatcher = Dispatcher(
            watches=store.watches,
            budget=store.budget,
            limits=rate_limits(settings),
            clock=self._clock,
            ids=self._ids,
            queue=self,
            egress=settings.egress_group,
            partner_of=self._zapwright.directory.partner_of,
        )
        self._checker = BatchChecker(
            self._zapwright.checker,
            upstream=self._zapwright.upstream,
            clock=self._clock,
            limits=self._zapwright.limits,
        )
        self._woken = asyncio.Event()
        self._batches: set[asyncio.Task[None]] = set()
        self.listings = 0
        self.busy = 0

    async def enqueue(self, batch: CheckBatch) -> None:
        """Run the batch as a worker would, in this process."""
        self.listings += len(batch.watches)
        task = asyncio.create_task(self._work(batch))
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)

    async def run(self, visits: Iterable[Visit]) -> list[Result]:
        """Let all visits happen; returns what became of them."""
        loops = [asyncio.create_task(self._dispatching()), asyncio.create_task(self._sweeping())]
        apps = self.zapier.apps
        async with self._http:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._visit(visit, apps[number % len(apps)]))
                    for number, visit in enumerate(visits)
                ]
            for one in loops:
                one.cancel()
            await asyncio.gather(*loops, *self._batches, return_exceptions=True)
        for one in loops:
            if not one.cancelled():
                one.result()
        return [task.result() for task in tasks]

    async def _work(self, batch: CheckBatch) -> None:
        await asyncio.sleep(JOB_STARTS_AFTER_S)
        await self._checker.run(batch)
        self._woken.set()

    async def _dispatching(self) -> None:
        while True:
            self._woken.clear()
            await self._dispatcher.tick()
            try:
                await asyncio.wait_for(self._woken.wait(), IDLE_TICK_S)
            except TimeoutError:
                continue

    async def _sweeping(self) -> None:
        while True:
            for shard in range(self._zapwright.settings.shards):
                await self._zapwright.sweeper.sweep(shard)
            await asyncio.sleep(SWEEP_EVERY_S)

    async def _visit(self, visit: Visit, app: App) -> Result:
        await asyncio.sleep(visit.arrives_s - self._loop.time())
        session, step = await self._at_the_button(visit, app)
        opened = await self._zapwright.engine.open_popup(session.key, step.id, self._ids.new("at"))
        page = Page(self._zapwright, self._woken, key=session.key, step_id=step.id, attempt_id=opened.attempt.id)
        async with asyncio.TaskGroup() as group:
            login = group.create_task(self._login(visit, app, page))
            for at_s, kind in ((visit.closed_s, HintKind.CLOSED), (visit.look_s, HintKind.FOCUS)):
                if at_s is not None:
                    group.create_task(self._later(at_s, page.hint(kind)))
        done_s, made = login.result()
        await asyncio.sleep(max(0.0, (opened.attempt.opened_at - self._clock.now()) / SECOND + SETTLES_WITHIN_S))
        return await self._result(visit, page, done_s, made)

    async def _at_the_button(self, visit: Visit, app: App) -> tuple[Session, Step]:
        """Come to where the connect button is: one call for the app, one for the listing that is the baseline."""
        await self._store.credentials.put(
            visit.tenant, visit.user, NewTokens(access_token=f"sim-{visit.user}"), profile=None, now=self._clock.now()
        )
        new = NewSession(tenant_id=visit.tenant, user_id=visit.user, steps=(NewStep(),))
        session = (await self._zapwright.engine.create_session(new)).session
        while True:
            try:
                chosen = await self._zapwright.engine.choose_app(session.key, session.steps[0].id, app.id)
            except UpstreamBusyError as busy:
                self.busy += 1
                await self._clock.sleep(busy.retry_after)
            else:
                return chosen.session, chosen.session.steps[0]

    async def _login(self, visit: Visit, app: App, page: Page) -> tuple[float | None, str | None]:
        if visit.login_s is None:
            return None, None
        await asyncio.sleep(visit.login_s)
        done_s, made = self._loop.time(), self.zapier.finish(visit.user, app)
        if visit.has_message:
            await asyncio.sleep(MESSAGE_TAKES_S)
            await page.message(made)
        elif visit.returns_s is not None:
            await asyncio.sleep(visit.returns_s)
            await page.hint(HintKind.FOCUS)
        return done_s, made

    async def _later(self, at_s: float, signal: Coroutine[None, None, None]) -> None:
        await asyncio.sleep(at_s)
        await signal

    async def _result(self, visit: Visit, page: Page, done_s: float | None, made: str | None) -> Result:
        """Look at what became of a visit; a step that is not resolved is opened again, as its user would."""
        session = await self._store.sessions.load(page.key)
        step = session.steps[0]
        if step.state is StepState.RESOLVED and step.authentication is not None:
            events = (await self._store.sessions.events(session.id, after=0)).events
            resolved_at = next(event.at for event in events if event.name is EventName.AUTH_RESOLVED)
            return Result(
                visit=visit,
                done_s=done_s,
                resolved_s=(resolved_at - BEGINNING) / SECOND,
                is_wrong=step.authentication.id != made,
            )
        if made is None:
            return Result(visit=visit)
        while True:
            try:
                picker = await self._zapwright.engine.pick(session.key, step.id, refresh=True)
            except UpstreamBusyError as busy:
                await self._clock.sleep(busy.retry_after)
            else:
                offered = {found.id for found in picker.step.candidates}
                return Result(visit=visit, done_s=done_s, is_kept=made in offered)


class Page:
    """One user's page: what it says of its popup."""

    def __init__(
        self, zapwright: Zapwright, woken: asyncio.Event, *, key: SessionKey, step_id: str, attempt_id: str
    ) -> None:
        self._zapwright = zapwright
        self._woken = woken
        self.key = key
        self._step_id = step_id
        self._attempt_id = attempt_id

    async def hint(self, kind: HintKind) -> None:
        """Say that something was seen."""
        await self._send(Hinted(step_id=self._step_id, attempt_id=self._attempt_id, kind=kind))

    async def message(self, authentication_id: str) -> None:
        """Say that the popup's message came."""
        await self._send(
            MessageReceived(step_id=self._step_id, attempt_id=self._attempt_id, authentication_id=authentication_id)
        )

    async def _send(self, signal: Hinted | MessageReceived) -> None:
        await self._zapwright.engine.apply(self.key, signal)
        self._woken.set()


class WithoutCache:
    """A store whose cache forgets at once, so that every visit spends its calls."""

    def __init__(self, store: Store) -> None:
        self.sessions = store.sessions
        self.census = store.census
        self.workers = store.workers
        self.receipts = store.receipts
        self.users = store.users
        self.watches = store.watches
        self.budget = store.budget
        self.credentials = store.credentials
        self.sign_ins = store.sign_ins
        self.tenants = store.tenants
        self.api_keys = store.api_keys
        self.changes = store.changes
        self.endpoints = store.endpoints
        self.deliveries = store.deliveries
        self.audit = store.audit
        self.calls = store.calls
        self.leases = store.leases
        self.cache = self

    async def get(self, key: str, *, now: Instant) -> bytes | None:  # noqa: ARG002 - the port's
        """Return nothing."""
        return None

    async def put(self, key: str, value: bytes, *, now: Instant, until: Instant) -> None:
        """Keep nothing."""
