"""One worker process: RQ in the main thread, the service beside it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType

import httpx
import structlog
from redis.exceptions import RedisError
from rq.exceptions import StopRequested

from orchestrator.core.session import SECOND
from orchestrator.priority import stand_back
from orchestrator.relaying import Render
from orchestrator.settings import Settings
from workers.fetching import BatchWorker
from workers.jobs import entrance
from workers.patience import Patience
from workers.queues import RqCheckQueue, RqDeliveryQueue, connect
from workers.service import Service

log = structlog.get_logger(__name__)


def run_worker(
    settings: Settings,
    *,
    redis_url: str,
    queue_url: str,
    render: Render,
    alive_file: Path | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> int:
    """Work until SIGTERM or SIGINT, and return the exit status: 0 when stopped, 1 when the service failed.

    The first signal lets what is under way finish; a second one ends the process at once. A store or a queue that is
    away is waited for. `alive_file` is touched every few seconds as long as the process works, whether the store is
    there or not. Requests to Zapier go by `transport`, by default over sockets; webhook messages are written down by
    `render`. To be called on the main thread, before there are others: the process stands back behind those that answer
    users, as the settings say.
    """
    stand_back(settings.worker_nice)
    return WorkerProcess(
        settings,
        redis_url=redis_url,
        queue_url=queue_url,
        render=render,
        alive_file=alive_file,
        transport=transport,
    ).run()


class WorkerProcess:
    """The main thread of a worker process."""

    def __init__(
        self,
        settings: Settings,
        *,
        redis_url: str,
        queue_url: str,
        render: Render,
        alive_file: Path | None,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._queue_url = queue_url
        self._queue = RqCheckQueue(connect(queue_url))
        self._delivery_queue = RqDeliveryQueue(connect(queue_url))
        self._service = Service(
            settings,
            redis_url=redis_url,
            queue=self._queue,
            delivery_queue=self._delivery_queue,
            render=render,
            ended=self._end,
            alive_file=alive_file,
            transport=transport,
        )
        self._stopping = threading.Event()
        self._fetcher: BatchWorker | None = None

    def run(self) -> int:
        """Work until told to stop."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._on_signal)
        self._service.start()
        try:
            if self._service.wait_until_open():
                with entrance(self._service):
                    self._fetch_always()
        finally:
            self._service.stop()
            self._service.join()
            self._queue.close()
            self._delivery_queue.close()
        return 0 if self._service.failure is None else 1

    def _fetch_always(self) -> None:
        patience = Patience()
        while not self._stopping.is_set():
            try:
                if self._fetch():
                    patience.reset()
            except StopRequested:
                return
            except RedisError as error:
                log.warning("queue_away", problem=str(error))
            self._stopping.wait(patience.wait() / SECOND)

    def _fetch(self) -> bool:
        """Fetch batches until we are stopping, or RQ's worker meets what it ends itself on; says whether any came.

        Raises StopRequested, RedisError.
        """
        redis = connect(self._queue_url)
        try:
            fetcher = self._fetcher = BatchWorker(redis)
            if self._stopping.is_set():  # a signal that came earlier had no worker to stop
                raise StopRequested
            return fetcher.work(logging_level="WARNING")
        finally:
            self._fetcher = None
            redis.close()

    def _on_signal(self, signum: int, _: FrameType | None) -> None:
        if self._stopping.is_set():
            os._exit(128 + signum)
        self._stopping.set()
        self._service.stop()
        if self._fetcher is not None:
            self._fetcher.stop()

    def _end(self) -> None:
        """The service has ended: the main thread has nothing left to fetch for."""
        if not self._stopping.is_set():
            os.kill(os.getpid(), signal.SIGTERM)
