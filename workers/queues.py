"""RQ: the queue that carries batches, and the worker that fetches them.

RQ carries the work; it is never the only memory of it. A batch that it loses is due again when its leases run out.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.connection import Connection, SSLConnection, parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel
from rq import Queue
from rq.exceptions import DequeueTimeout, StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty
from rq.utils import now
from rq.worker import SimpleWorker, WorkerStatus

from orchestrator.addresses import BehindSentinels, OnCluster, OneServer, read_address
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.workers import CheckBatch, CheckQueue
from orchestrator.core.session import SECOND
from orchestrator.store.workers import CHECKS, DELIVERIES
from workers.dispatcher import NotQueuedError
from workers.jobs import run_checks, write_batch
from workers.timing import FAILURE_KEPT, JOB_KEPT

log = structlog.get_logger(__name__)

RUN_CHECKS: Final = f"{run_checks.__module__}.{run_checks.__qualname__}"

_CONNECT_LIMIT_S: Final = 2.0
_ANSWER_LIMIT_S: Final = 5.0
_BOUNDS: Final[dict[str, Any]] = {
    "socket_connect_timeout": _CONNECT_LIMIT_S,
    "socket_timeout": _ANSWER_LIMIT_S,
    "retry": Retry(NoBackoff(), 0),
    "retry_on_error": [],
    "health_check_interval": 0,
    "protocol": 2,
}
_LOOK_S: Final = 1
_WORKER_TTL_S: Final = 30
_KNOWN_S: Final = _WORKER_TTL_S + 60
"""For so long RQ's server knows a worker that was heard of; by the worker's own word its clock would count."""

_HEARTBEAT_SPACING: Final = timedelta(seconds=1)

_JOB_LIMIT_S: Final = 60
"""After this long RQ takes a batch whose worker is gone for lost, and erases it."""


def connect(url: str) -> Redis:
    """Return a client for RQ; nothing is connected yet, and nothing is ever sent twice.

    A batch whose enqueueing was repeated could run twice, and use its permits twice. Raises ValueError for an address
    that is none, or a cluster's.
    """
    match read_address(url):
        case OneServer(url=server):
            return Redis.from_pool(ConnectionPool.from_url(server, **_BOUNDS))
        case BehindSentinels() as address:
            return _primary_of(address)
        case OnCluster():
            raise ValueError("RQ's queues cannot live on a cluster")


def _primary_of(address: BehindSentinels) -> Redis:
    """Return a client of the server that sentinels call the primary."""
    any_host = address.hosts[0]
    sentinels = Sentinel(  # type: ignore[no-untyped-call]
        address.hosts, sentinel_kwargs={**_options(address.sentinels.url(any_host)), **_BOUNDS}
    )
    options = {**_options(address.servers.url(any_host)), **_BOUNDS}
    primary: Redis = sentinels.master_for(address.service, **options)  # type: ignore[no-untyped-call]
    return primary


def _options(url: str) -> dict[str, Any]:
    """Return the options of connections to any host that is reached like this one."""
    options: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
    by_tls = issubclass(options.pop("connection_class", Connection), SSLConnection)
    return {name: value for name, value in options.items() if name not in {"host", "port"}} | {"ssl": by_tls}


class RqCheckQueue:
    """`CheckQueue` by RQ. Enqueueing costs a thread a moment, never the event loop."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._queue = Queue(CHECKS, connection=redis, serializer=JSONSerializer)

    async def enqueue(self, batch: CheckBatch) -> None:
        """Hand the batch over; its lease names it in RQ, as no other batch is ever named.

        Raises NotQueuedError when the queue cannot be reached, StoreUnavailableError when it fell silent meanwhile.
        """
        await asyncio.to_thread(self._enqueue, batch)

    def close(self) -> None:
        """Close every connection."""
        self._redis.close()

    def _enqueue(self, batch: CheckBatch) -> None:
        try:
            self._redis.ping()
        except RedisError as error:
            raise NotQueuedError(problem=f"queue: {error}") from error
        try:
            self._queue.enqueue_call(
                RUN_CHECKS,
                args=(write_batch(batch),),
                job_id=batch.token,
                description=f"{len(batch.watches)} checks",
                timeout=_JOB_LIMIT_S,
                ttl=JOB_KEPT // SECOND,
                result_ttl=0,
                failure_ttl=FAILURE_KEPT // SECOND,
            )
        except RedisError as error:
            raise StoreUnavailableError(problem=f"queue: {error}") from error


class NoDeathPenalty(BaseDeathPenalty):
    """No alarm: admitting a batch ends by itself, and an exception out of nowhere helps nobody."""

    def setup_death_penalty(self) -> None:
        """Do nothing."""

    def cancel_death_penalty(self) -> None:
        """Do nothing."""


class BatchWorker(SimpleWorker):
    """An RQ worker that runs batches in its own process, says little, and stops when told to.

    It takes no commands from the queue's server: there is nothing in it that could be stopped there.
    """

    death_penalty_class: type[BaseDeathPenalty] = NoDeathPenalty
    log_result_lifespan = False

    def __init__(self, redis: Redis) -> None:
        queues = [Queue(name, connection=redis, serializer=JSONSerializer) for name in (CHECKS, DELIVERIES)]
        super().__init__(
            queues,
            connection=redis,
            serializer=JSONSerializer,
            worker_ttl=_WORKER_TTL_S,
            log_job_description=False,
        )

    def stop(self) -> None:
        """Fetch no more batches; one that was fetched is admitted. For signal handlers of the main thread."""
        self._stop_requested = True

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Look for a batch, for a second at a time: asked to stop, we stop between two looks.

        RQ's own way stops within one, by an exception, and a batch that the server has just handed over is lost then
        until its leases run out. Returns None when the queue cannot be reached.
        """
        del timeout, max_idle_time
        if self.get_state() != WorkerStatus.IDLE:
            self.set_state(WorkerStatus.IDLE)
        while not self._stop_requested:
            try:
                self.heartbeat()
                if self.should_run_maintenance_tasks:
                    self.run_maintenance_tasks()  # type: ignore[no-untyped-call]
                found = self._look()
            except (RedisConnectionError, RedisTimeoutError) as error:
                log.warning("queue_away", problem=str(error))
                return None
            if found is not None:
                return found
        raise StopRequested

    def _look(self) -> tuple[Job, Queue] | None:
        try:
            found: tuple[Job, Queue] | None = self.queue_class.dequeue_any(
                self._ordered_queues,
                _LOOK_S,
                connection=self.connection,
                job_class=self.job_class,
                serializer=self.serializer,
                death_penalty_class=self.death_penalty_class,
            )
        except DequeueTimeout:
            return None
        if found is not None:
            found[0].redis_server_version = self.get_redis_server_version()  # type: ignore[no-untyped-call]
        return found

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Say that the worker lives, unless it was said just now; as a part of what is said anyway it costs nothing."""
        said = self.last_heartbeat
        is_said = said is not None and abs(now() - said) < _HEARTBEAT_SPACING  # a clock may be set back
        if pipeline is not None or not is_said:
            super().heartbeat(timeout, pipeline)

    def handle_execution_ended(self, job: Job, queue: Queue, heartbeat_ttl: int) -> None:
        """Note when, in this process: the batch is about to be forgotten."""
        del queue, heartbeat_ttl
        job.ended_at = now()

    def handle_job_success(
        self, job: Job, queue: Queue, started_job_registry: StartedJobRegistry, execution: Execution
    ) -> None:
        """Forget a batch that was admitted, in one exchange.

        RQ's own way asks for what depends on it, and where it may be listed: seven exchanges. Nothing depends on a
        batch, nobody repeats it, and it leaves no result.
        """
        del queue, started_job_registry
        with self.connection.pipeline() as pipeline:
            self.increment_successful_job_count(pipeline=pipeline)
            if job.started_at is not None and job.ended_at is not None:
                self.increment_total_working_time(job.ended_at - job.started_at, pipeline)
            self.cleanup_execution(job, pipeline=pipeline, execution=execution)
            pipeline.delete(job.key)
            pipeline.execute()

    def _install_signal_handlers(self) -> None:
        """Leave signals to the process."""

    def subscribe(self) -> None:
        """Take no commands."""

    def unsubscribe(self) -> None:
        """Take no commands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """A worker process that fetches batches; last heard of `silent_s` ago, by the clock of the queue's server."""

    host: str
    pid: int
    silent_s: int


def fetchers(url: str) -> tuple[Fetcher, ...]:
    """Return the worker processes registered at this queue; one that was killed stays so for a minute or two.

    Raises StoreUnavailableError.
    """
    redis = connect(url)
    try:
        queue = Queue(CHECKS, connection=redis, serializer=JSONSerializer)
        found = SimpleWorker.all(queue=queue, serializer=JSONSerializer)
        left_s = [int(redis.ttl(one.key)) for one in found]
    except RedisError as error:
        raise StoreUnavailableError(problem=f"queue: {error}") from error
    finally:
        redis.close()
    return tuple(
        Fetcher(host=one.hostname, pid=one.pid, silent_s=max(0, _KNOWN_S - left))
        for one, left in zip(found, left_s, strict=True)
        if one.hostname and one.pid
    )


if TYPE_CHECKING:
    _: type[CheckQueue] = RqCheckQueue
