"""RQ: the queue that carries leased lanes, and the function that takes them off it.

As with checks, RQ carries the work and is never the only memory of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import msgspec
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.serializers import JSONSerializer

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.workers import DeliveryBatch, DeliveryQueue
from orchestrator.core.session import SECOND, JsonObject
from orchestrator.store.workers import DELIVERIES
from workers.timing import FAILURE_KEPT, JOB_KEPT

_JOB_LIMIT_S: Final = 60

_ENTRANCE: ContextVar[Callable[[DeliveryBatch], None]] = ContextVar("deliveries_entrance")


@contextmanager
def deliveries_entrance(enter: Callable[[DeliveryBatch], None]) -> Iterator[None]:
    """Within this context, on this thread, batches go where `enter` takes them."""
    token = _ENTRANCE.set(enter)
    try:
        yield
    finally:
        _ENTRANCE.reset(token)


def run_deliveries(payload: JsonObject) -> None:
    """Hand a batch to the process's event loop; return when it has taken it.

    Raises msgspec.ValidationError for a payload that is no batch, LookupError outside a worker process.
    """
    _ENTRANCE.get()(msgspec.convert(payload, DeliveryBatch))


RUN_DELIVERIES: Final = f"{run_deliveries.__module__}.{run_deliveries.__qualname__}"


class RqDeliveryQueue:
    """`DeliveryQueue` by RQ. Enqueueing costs a thread a moment, never the event loop."""

    def __init__(self, redis: Redis) -> None:
        self._queue = Queue(DELIVERIES, connection=redis, serializer=JSONSerializer)

    async def enqueue(self, batch: DeliveryBatch) -> None:
        """Hand the batch over, which may share its lease with others. Raises StoreUnavailableError."""
        await asyncio.to_thread(self._enqueue, batch)

    def _enqueue(self, batch: DeliveryBatch) -> None:
        try:
            self._queue.enqueue_call(
                RUN_DELIVERIES,
                args=(msgspec.to_builtins(batch),),
                description=f"{len(batch.held)} lanes",
                timeout=_JOB_LIMIT_S,
                ttl=JOB_KEPT // SECOND,
                result_ttl=0,
                failure_ttl=FAILURE_KEPT // SECOND,
            )
        except RedisError as error:
            raise StoreUnavailableError(problem=f"queue: {error}") from error


if TYPE_CHECKING:
    _: type[DeliveryQueue] = RqDeliveryQueue
