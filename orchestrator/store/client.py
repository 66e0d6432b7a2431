"""The connection to a Redis-protocol store, and whether its servers are fit to be the only memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from orchestrator.addresses import BehindSentinels, OnCluster, OneServer, read_address
from orchestrator.core.errors.store import StoreError
from orchestrator.core.session import SECOND, Instant, Millis
from orchestrator.store import keys
from orchestrator.store.cluster import Cluster
from orchestrator.store.exchange import QuickRedis
from orchestrator.store.primaries import client_behind, to_primary
from orchestrator.store.reports import ServerReport, report
from orchestrator.store.scripts import Client, Scripts, store_error

CONNECTIONS: Final = 64
CONNECT_LIMIT: Final[Millis] = 2 * SECOND
ANSWER_LIMIT: Final[Millis] = 5 * SECOND
OLDEST: Final = 7
KEEPS_EVERYTHING: Final = "noeviction"
CLOCK_READINGS: Final = 5


class StoreUnfitError(StoreError):
    """The server must not be the only memory as it is."""

    code: ClassVar[str] = "store_unfit"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    """What a client may take."""

    connections: int
    connect_limit: Millis
    answer_limit: Millis

    def pool(self, options: Mapping[str, Any]) -> BlockingConnectionPool:
        """Return a pool of connections with these options."""
        return BlockingConnectionPool(
            **options,
            max_connections=self.connections,
            timeout=self.answer_limit / SECOND,
            socket_connect_timeout=self.connect_limit / SECOND,
            socket_timeout=self.answer_limit / SECOND,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
            health_check_interval=0,
            decode_responses=False,
            protocol=2,
        )


def connect(
    url: str,
    *,
    connections: int = CONNECTIONS,
    connect_limit: Millis = CONNECT_LIMIT,
    answer_limit: Millis = ANSWER_LIMIT,
) -> Redis:
    """Return a client for one server at this address, or the one that sentinels name; nothing is connected yet.

    Nothing is ever sent twice: a script whose answer was lost may have run, and only its caller knows what to do then.
    With all `connections` in use, further calls wait for one, as long as for an answer. Once a server refuses to write
    because it is a replica by now, connections made before are not used any more.

    Raises ValueError for an address that is none, or a cluster's.
    """
    bounds = _Bounds(connections=connections, connect_limit=connect_limit, answer_limit=answer_limit)
    match read_address(url):
        case OneServer(url=server):
            return QuickRedis.from_pool(bounds.pool(to_primary(server)))
        case BehindSentinels() as address:
            return client_behind(address, pool=bounds.pool)
        case OnCluster():
            raise ValueError("a cluster is no single server")


def connect_store(url: str) -> Client:
    """Return a client for wherever sessions live. Raises ValueError for an address that is none."""
    address = read_address(url)
    if not isinstance(address, OnCluster):
        return connect(url)
    return Cluster(address.hosts, dial=lambda host: connect(address.nodes.url(host)))


async def check_servers(
    scripts: Scripts, *, servers: Sequence[Scripts], is_cluster: bool, shards: int
) -> tuple[ServerReport, ...]:
    """Return a report of each server when all are fit to be the only memory, with as many shards as at first.

    What a server does not say of itself is not held against it. Raises StoreUnfitError, which says what to change,
    and StoreUnavailableError.
    """
    reports = tuple([await report(server) for server in servers])
    for found in reports:
        _check_report(found, is_cluster=is_cluster)
    _, known = await scripts.run(("SET", keys.SHARDS, shards, "NX"), ("GET", keys.SHARDS))
    if int(known) != shards:
        raise StoreUnfitError(f"the store was filled with {int(known)} shards, which cannot become {shards}")
    return reports


def _check_report(found: ServerReport, *, is_cluster: bool) -> None:
    if found.version is not None and int(found.version.partition(".")[0]) < OLDEST:
        raise StoreUnfitError(f"the store is {found.name} {found.version}; scripts need Redis {OLDEST} or Valkey")
    if found.maxmemory_policy not in {None, KEEPS_EVERYTHING}:
        raise StoreUnfitError(
            f"the store may throw results away: its maxmemory-policy is {found.maxmemory_policy}; "
            f"set it to {KEEPS_EVERYTHING}"
        )
    if found.is_replica:
        raise StoreUnfitError("the store is a replica, which another server writes; name its primary")
    if found.is_cluster and not is_cluster:
        raise StoreUnfitError("the store is part of a cluster; write its address as redis+cluster://host:port")


async def primaries(cluster: Cluster) -> tuple[Client, ...]:
    """Return a client of each server that holds a part of the store. Raises StoreUnavailableError."""
    try:
        return await cluster.primaries()
    except (RedisError, OSError) as error:
        raise store_error(error) from error


async def clock_offset(scripts: Scripts, local_now: Callable[[], Instant]) -> Millis:
    """Return what must be added to the local clock to tell the server's time, as the quickest exchange says."""
    measured = []
    for _ in range(CLOCK_READINGS):
        sent_at = local_now()
        ((seconds, microseconds),) = await scripts.run(("TIME",))
        answered_at = local_now()
        served_at = int(seconds) * SECOND + int(microseconds) // 1_000
        measured.append((answered_at - sent_at, served_at - (sent_at + answered_at) // 2))
    return min(measured)[1]
