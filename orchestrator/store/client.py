"""The connection to a Redis-protocol server, and whether that server is fit to be the only memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from orchestrator.core.errors import StoreError
from orchestrator.core.session import SECOND, Instant, Millis
from orchestrator.store import keys
from orchestrator.store.scripts import Scripts

CONNECTIONS: Final = 64
CONNECT_LIMIT: Final[Millis] = 2 * SECOND
ANSWER_LIMIT: Final[Millis] = 5 * SECOND
OLDEST_VERSION: Final = (7, 0)
KEEPS_EVERYTHING: Final = "noeviction"


class StoreUnfitError(StoreError):
    """The server must not be the only memory as it is configured."""

    code: ClassVar[str] = "store_unfit"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReport:
    """What a server says of itself. `appendfsync` is None where it does not let itself be asked."""

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
    With `connections` in use, further calls wait for one.
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
    return Redis.from_pool(pool)


async def report(scripts: Scripts) -> ServerReport:
    """Ask the server about itself. Raises StoreUnavailableError."""
    (info,) = await scripts.read(("INFO",))
    try:
        ((_, appendfsync),) = (await scripts.read(("CONFIG", "GET", "appendfsync")))[0].items()
    except StoreError, ValueError:
        appendfsync = None
    return ServerReport()
