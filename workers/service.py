"""The asynchronous half of a worker process: one event loop, on a thread of its own, that lives as long as the process.

RQ has the main thread; what it fetches enters here.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
import structlog
import uvloop

from orchestrator.bootstrap import Zapwright, opened, settle_down
from orchestrator.core.errors.store import StoreError, StoreUnavailableError
from orchestrator.core.ports.workers import CheckBatch, CheckQueue, DeliveryBatch, DeliveryQueue, WorkerReport
from orchestrator.core.session import SECOND
from orchestrator.metrics import Metrics, Process, serving
from orchestrator.relaying import Relay, Render
from orchestrator.settings import Settings
from workers.checker import BatchChecker
from workers.deliverer import BatchDeliverer
from workers.dispatcher import Dispatcher
from workers.heartbeat import Heartbeat
from workers.patience import Patience, rest
from workers.relay import ShardRelay
from workers.sampler import keep_sampling
from workers.sweeper import ShardSweeper
from workers.timing import ALIVE_PAUSE

log = structlog.get_logger(__name__)


class Service:
    """Dispatcher, relay, sweeper, checks and deliveries of one process.

    `ended` is called, on its thread, when it has ended. Webhook messages are written down by `render`. Requests to
    Zapier go by `transport`, by default over sockets. As long as its loop turns, `alive_file` is touched every few
    seconds.
    """

    def __init__(  # noqa: PLR0913 - what a process is made of
        self,
        settings: Settings,
        *,
        redis_url: str,
        queue: CheckQueue,
        delivery_queue: DeliveryQueue,
        render: Render,
        ended: Callable[[], None] = lambda: None,
        alive_file: Path | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._redis_url = redis_url
        self._queue = queue
        self._delivery_queue = delivery_queue
        self._render = render
        self._ended = ended
        self._alive_file = alive_file
        self._transport = transport
        self._metrics = Metrics(Process.WORKER)
        self._loop = uvloop.new_event_loop()
        self._stopping = asyncio.Event()
        self._closing = asyncio.Event()
        self._is_open = threading.Event()
        self._checks: BatchChecker | None = None
        self._deliveries: BatchDeliverer | None = None
        self._thread = threading.Thread(target=self._run, name="service")
        self.failure: BaseException | None = None
        """Why it ended, if nobody stopped it."""

    def start(self) -> None:
        """Begin; once only."""
        self._thread.start()

    def wait_until_open(self) -> bool:
        """Wait until batches may enter; False when it ended before."""
        self._is_open.wait()
        return self._checks is not None

    def enter(self, batch: CheckBatch) -> None:
        """Hand a batch over from another thread; return when each of its checks has begun."""
        if self._checks is None:
            raise RuntimeError("the service is not open")
        asyncio.run_coroutine_threadsafe(self._checks.admit(batch), self._loop).result()

    def enter_deliveries(self, batch: DeliveryBatch) -> None:
        """Hand a batch of deliveries over from another thread; return when each of its lanes has begun."""
        if self._deliveries is None:
            raise RuntimeError("the service is not open")
        asyncio.run_coroutine_threadsafe(self._deliveries.admit(batch), self._loop).result()

    def stop(self) -> None:
        """Dispatch and sweep no more; batches may still enter. Twice is fine, and so is a service that has ended."""
        self._set(self._stopping)

    def join(self) -> None:
        """No batch will enter any more: wait until the checks under way have ended, and the service with them."""
        self._set(self._closing)
        self._thread.join()

    def _set(self, event: asyncio.Event) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(event.set)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._live())
        except (StoreError, ValueError) as failure:
            self.failure = failure
            log.error("service_refused", problem=str(failure))  # noqa: TRY400 - said by its message
        except BaseException as failure:
            self.failure = failure
            log.exception("service_failed")
        finally:
            self._is_open.set()
            self._ended()

    async def _live(self) -> None:
        if self._alive_file is not None:
            self._touch(self._alive_file)
        async with AsyncExitStack() as stack:
            zapwright = await self._open(stack)
            if zapwright is None:
                return
            checks = BatchChecker(
                zapwright.checker,
                upstream=zapwright.upstream,
                clock=zapwright.clock,
                limits=zapwright.limits,
                meter=self._metrics,
            )
            deliveries = BatchDeliverer(zapwright.courier)
            self._checks, self._deliveries = checks, deliveries
            heartbeat = self._heartbeat(zapwright, checks, deliveries)
            stack.enter_context(serving(self._metrics, self._settings))
            self._is_open.set()
            settle_down()
            log.info("worker_open", shards=self._settings.shards)
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._dispatcher(zapwright).run(zapwright.store.changes, stopping=self._stopping))
                loops.create_task(self._sweeper(zapwright).run(stopping=self._stopping))
                loops.create_task(keep_sampling(zapwright.sampler.sample, self._metrics, stopping=self._stopping))
                loops.create_task(self._relay(zapwright).run(zapwright.store.changes, stopping=self._stopping))
                loops.create_task(heartbeat.run(stopping=self._stopping))
            log.info("worker_stopping")
            await self._closing.wait()
            await checks.drain()
            await deliveries.drain()
            await heartbeat.leave()

    def _touch(self, alive_file: Path) -> None:
        alive_file.touch()
        self._loop.call_later(ALIVE_PAUSE / SECOND, self._touch, alive_file)

    async def _open(self, stack: AsyncExitStack) -> Zapwright | None:
        """Open the store as soon as it is there; None when we are stopping before."""
        patience = Patience()
        while not self._stopping.is_set():
            try:
                opening = opened(
                    self._settings, redis_url=self._redis_url, transport=self._transport, metrics=self._metrics
                )
                return await stack.enter_async_context(opening)
            except StoreUnavailableError as error:
                wait = patience.wait()
                log.warning("store_away", problem=str(error), again_in_ms=wait)
                await rest(wait, stopping=self._stopping)
        return None

    def _heartbeat(self, zapwright: Zapwright, checks: BatchChecker, deliveries: BatchDeliverer) -> Heartbeat:
        now = zapwright.clock.now()
        report = WorkerReport(
            id=zapwright.ids.new("wk"), host=socket.gethostname(), pid=os.getpid(), started_at=now, seen_at=now
        )
        return Heartbeat(
            report, roll=zapwright.store.workers, checks=checks, deliveries=deliveries, clock=zapwright.clock
        )

    def _dispatcher(self, zapwright: Zapwright) -> Dispatcher:
        settings = self._settings
        return Dispatcher(
            watches=zapwright.store.watches,
            budget=zapwright.store.budget,
            limits=zapwright.limits,
            clock=zapwright.clock,
            ids=zapwright.ids,
            queue=self._queue,
            egress=settings.egress_group,
            partner_of=zapwright.directory.partner_of,
            meter=self._metrics,
        )

    def _relay(self, zapwright: Zapwright) -> ShardRelay:
        store = zapwright.store
        relay = Relay(
            deliveries=store.deliveries,
            endpoints=store.endpoints,
            sessions=store.sessions,
            queries=zapwright.queries,
            clock=zapwright.clock,
            ids=zapwright.ids,
            render=self._render,
        )
        return ShardRelay(
            relay,
            deliveries=store.deliveries,
            endpoints=store.endpoints,
            queue=self._delivery_queue,
            leases=store.leases,
            clock=zapwright.clock,
            ids=zapwright.ids,
            holder=zapwright.ids.new("wk"),
            shards=self._settings.shards,
            lease=zapwright.courier.lease,
        )

    def _sweeper(self, zapwright: Zapwright) -> ShardSweeper:
        return ShardSweeper(
            zapwright.sweeper.sweep,
            leases=zapwright.store.leases,
            clock=zapwright.clock,
            holder=zapwright.ids.new("wk"),
            shards=self._settings.shards,
        )
