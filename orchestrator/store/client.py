"""The connection to a Redis-protocol server, and whether that server is fit to be the only memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from orchestrator.core.errors import StoreError, StoreUnavailableError
from orchestrator.core.session import SECOND, Instant, Millis
from orchestrator.store import keys
from orchestrator.store.exchange import QuickRedis
from orchestrator.store.scripts import Scripts

CONNECTIONS: Final = 64
CONNECT_LIMIT: Final[Millis] = 2 * SECOND
ANSWER_LIMIT: Final[Millis] = 5 * SECOND
OLDEST: Final = 7
KEEPS_EVERYTHING: Final = "noeviction"


class StoreUnfitError(StoreError):
    """The server must not be the only memory as it is."""

    code: ClassVar[str] = "store_unfit"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReport:
    """What a server says of itself.

    `version` is the Redis version it is or behaves like. `appendfsync` is None when it is not persistent, or does not
    let itself be asked.
    """

    name: str
    version: str
    maxmemory_policy: str
    is_persistent: bool
    appendfsync: str | None


def connect(
    url: str,
    *,
    connections: int = CONNECTIONS,
    connect_limit: Millis = CONNECT_LIMIT,
    answer_limit: Millis = ANSWER_LIMIT,
) -> Redis:
    """Return a client for this address; nothing is connected yet.

    Nothing is ever sent twice: a script whose answer was lost may have run, and only its caller knows what to do then.
    With all `connections` in use, further calls wait for one, as long as for an answer.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=answer_limit / 1_000,
        socket_connect_timeout=connect_limit / 1_000,
        socket_timeout=answer_limit / 1_000,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        health_check_interval=0,
        decode_responses=False,
        protocol=2,
    )
    return QuickRedis.from_pool(pool)


async def report(scripts: Scripts) -> ServerReport:
    """Ask the server about itself. Raises StoreUnavailableError."""
    (info,) = await scripts.run(("INFO",))
    is_persistent = bool(info["aof_enabled"])
    return ServerReport(
        name=info.get("server_name", "redis"),
        version=info["redis_version"],
        maxmemory_policy=info["maxmemory_policy"],
        is_persistent=is_persistent,
        appendfsync=await _appendfsync(scripts) if is_persistent else None,
    )


async def check_server(scripts: Scripts, *, shards: int) -> ServerReport:
    """Return the server's report when it is fit to be the only memory, with as many shards as at its first start.

    Raises StoreUnfitError, which says what to change, and StoreUnavailableError.
    """
    found = await report(scripts)
    if int(found.version.partition(".")[0]) < OLDEST:
        raise StoreUnfitError(f"the store is {found.name} {found.version}; scripts need Redis {OLDEST} or Valkey")
    if found.maxmemory_policy != KEEPS_EVERYTHING:
        raise StoreUnfitError(
            f"the store may throw results away: its maxmemory-policy is {found.maxmemory_policy}; "
            f"set it to {KEEPS_EVERYTHING}"
        )
    _, known = await scripts.run(("SET", keys.SHARDS, shards, "NX"), ("GET", keys.SHARDS))
    if int(known) != shards:
        raise StoreUnfitError(f"the store was filled with {int(known)} shards, which cannot become {shards}")
    return found


async def clock_offset(scripts: Scripts, local_now: Callable[[], Instant], *, samples: int = 5) -> Millis:
    """Return what must be added to the local clock to tell the server's time, as the quickest exchange says."""
    measured = []
    for _ in range(samples):
        sent_at = local_now()
        ((seconds, microseconds),) = await scripts.run(("TIME",))
        answered_at = local_now()
        served_at = int(seconds) * SECOND + int(microseconds) // 1_000
        measured.append((answered_at - sent_at, served_at - (sent_at + answered_at) // 2))
    return min(measured)[1]


async def _appendfsync(scripts: Scripts) -> str | None:
    try:
        (answer,) = await scripts.run(("CONFIG GET", "appendfsync"))
    except StoreUnavailableError:
        raise
    except StoreError:
        return None
    return str(answer["appendfsync"])
