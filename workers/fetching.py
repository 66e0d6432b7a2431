"""RQ: the worker that fetches batches, and who else fetches them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import Queue, worker_registration
from rq.exceptions import DequeueTimeout, StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty
from rq.utils import now
from rq.worker import SimpleWorker, WorkerStatus

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.store.workers import CHECKS, DELIVERIES
from workers.queues import connect, queue_of

log = structlog.get_logger(__name__)

_LOOK_S: Final = 1
_WORKER_TTL_S: Final = 30
_KNOWN_S: Final = _WORKER_TTL_S + 60
"""For so long RQ's server knows a worker that was heard of; by the worker's own word its clock would count."""

_INTRODUCTION_SPACING: Final = timedelta(seconds=1)


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
        super().__init__(
            [queue_of(name, redis) for name in (CHECKS, DELIVERIES)],
            connection=redis,
            serializer=JSONSerializer,
            worker_ttl=_WORKER_TTL_S,
            log_job_description=False,
        )
        self._introduced_at: datetime | None = None

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
        """Say that the worker lives, and once a second also who it is; beside what is said anyway where there is any.

        RQ's own way says only once who it is, and the server forgets it while its machine sleeps.
        """
        said = self._introduced_at
        is_known = said is not None and abs(now() - said) < _INTRODUCTION_SPACING  # a clock may be set back
        if pipeline is not None:
            super().heartbeat(timeout, pipeline)
            if not is_known:
                self._introduce(pipeline)
        elif not is_known:
            with self.connection.pipeline() as own:
                super().heartbeat(timeout, own)
                self._introduce(own)
                own.execute()

    def _introduce(self, pipeline: Pipeline) -> None:
        pipeline.hset(self.key, mapping=self.serialize())
        worker_registration.register(self, pipeline)
        self._introduced_at = now()

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
        found = SimpleWorker.all(queue=queue_of(CHECKS, redis), serializer=JSONSerializer)
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
