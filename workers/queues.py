"""RQ: the queues that carry batches to the workers.

RQ carries the work; it is never the only memory of it. A batch that it loses is due again when its leases run out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, parse_url
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel
from rq import Queue
from rq.serializers import JSONSerializer

from orchestrator.addresses import BehindSentinels, OnCluster, OneServer, read_address
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.workers import CheckBatch, CheckQueue, DeliveryBatch, DeliveryQueue
from orchestrator.core.session import SECOND, JsonObject
from orchestrator.store.workers import CHECKS, DELIVERIES
from workers.dispatcher import NotQueuedError
from workers.jobs import run_checks, run_deliveries, written
from workers.timing import FAILURE_KEPT, JOB_KEPT

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


def queue_of(name: str, redis: Redis) -> Queue:
    """Return one of RQ's queues, whose jobs are written as JSON."""
    return Queue(name, connection=redis, serializer=JSONSerializer)


class RqCheckQueue:
    """`CheckQueue` by RQ. Enqueueing costs a thread a moment, never the event loop."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._queue = queue_of(CHECKS, redis)

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
        _hand_over(self._queue, run_checks, batch, said=f"{len(batch.watches)} checks", job_id=batch.token)


class RqDeliveryQueue:
    """`DeliveryQueue` by RQ. Enqueueing costs a thread a moment, never the event loop."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._queue = queue_of(DELIVERIES, redis)

    async def enqueue(self, batch: DeliveryBatch) -> None:
        """Hand the batch over, which may share its lease with others. Raises StoreUnavailableError."""
        said = f"{len(batch.held)} lanes"
        await asyncio.to_thread(_hand_over, self._queue, run_deliveries, batch, said=said)

    def close(self) -> None:
        """Close every connection."""
        self._redis.close()


def _hand_over(
    queue: Queue,
    run: Callable[[JsonObject], None],
    batch: CheckBatch | DeliveryBatch,
    *,
    said: str,
    job_id: str | None = None,
) -> None:
    try:
        queue.enqueue_call(
            f"{run.__module__}.{run.__qualname__}",
            args=(written(batch),),
            job_id=job_id,
            description=said,
            timeout=_JOB_LIMIT_S,
            ttl=JOB_KEPT // SECOND,
            result_ttl=0,
            failure_ttl=FAILURE_KEPT // SECOND,
        )
    except RedisError as error:
        raise StoreUnavailableError(problem=f"queue: {error}") from error


if TYPE_CHECKING:
    _checks: type[CheckQueue] = RqCheckQueue
    _deliveries: type[DeliveryQueue] = RqDeliveryQueue
