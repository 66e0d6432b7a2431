"""Connections to whoever is the primary: never to a server that has become a replica."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import Connection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError

from orchestrator.addresses import BehindSentinels, Host
from orchestrator.core.session import SECOND, Millis
from orchestrator.store.exchange import QuickByPath, QuickConnection, QuickRedis

SENTINEL_LIMIT: Final[Millis] = SECOND
"""How long one sentinel may take to connect, and to answer; then the next one is asked."""


class Demotions:
    """How often one of a client's servers refused to write because it is a replica."""

    def __init__(self) -> None:
        self.count = 0


class ToPrimary(QuickConnection, Connection):
    """A connection to the primary of the moment it connects; void once any server of its client was demoted.

    With `find` the primary's address is asked for at each connecting, and the server there must say that it is one:
    sentinels may know it later than itself.
    """

    def __init__(
        self,
        *,
        demotions: Demotions,
        find: Callable[[], Awaitable[Host]] | None = None,
        **options: Any,  # noqa: ANN401 - those of its base
    ) -> None:
        super().__init__(**options)
        self._demotions = demotions
        self._demotions_before = demotions.count
        self._find = find

    async def _connect(self) -> None:
        self._demotions_before = self._demotions.count
        if self._find is not None:
            self.host, self.port = await self._find()
        await super()._connect()  # type: ignore[no-untyped-call]

    async def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - as its base
        """Begin the session, and find out with whom."""
        await super().on_connect_check_health(check_health=check_health)
        if self._find is not None:
            await self.send_command("HELLO", check_health=False)
            said = await self.read_response()
            if b"master" not in said:
                raise RedisConnectionError("the sentinels named a server that is no primary")

    async def can_read(self) -> bool:
        """Tell whether the connection must not be used (the pool asks before each use)."""
        if self._demotions_before != self._demotions.count:
            raise RedisConnectionError("the primary may be another server by now")
        return bool(await super().can_read())

    async def read_response(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as its base
        """Read one reply, and notice a server that only reads."""
        try:
            return await super().read_response(*arguments, **options)
        except ReadOnlyError as refused:
            self.notice(refused)
            raise

    def notice(self, reply: Any) -> None:  # noqa: ANN401 - whatever a server answers
        """Notice a server that only reads."""
        if isinstance(reply, ReadOnlyError):
            self._demotions.count += 1
        super().notice(reply)


class ToPrimaryByTls(ToPrimary, SSLConnection):
    """The same, encrypted."""


def to_primary(url: str, *, find: Callable[[], Awaitable[Host]] | None = None) -> Mapping[str, Any]:
    """Return the options of connections to the server at this plain address, or at the one that `find` says.

    Raises ValueError for an address that is none.
    """
    options: dict[str, Any] = dict(parse_url(url))
    kind = options.pop("connection_class", Connection)
    if not issubclass(kind, Connection):
        return options | {"connection_class": QuickByPath}
    by_tls = issubclass(kind, SSLConnection)
    return options | {
        "connection_class": ToPrimaryByTls if by_tls else ToPrimary,
        "demotions": Demotions(),
        "find": find,
    }


def client_behind(address: BehindSentinels, *, pool: Callable[[Mapping[str, Any]], BlockingConnectionPool]) -> Redis:
    """Return a client of the server that sentinels call the primary; `pool` makes its pool from connection options."""
    primary = _Primary(address)
    return _BehindSentinels(pool(to_primary(address.servers.url(address.hosts[0]), find=primary.find)), primary)


class _BehindSentinels(QuickRedis):
    """A client that closes its connections to sentinels with its own."""

    def __init__(self, pool: BlockingConnectionPool, primary: _Primary) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self._primary = primary

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001 - as its base
        """Close every connection."""
        await super().aclose(close_connection_pool)
        await self._primary.aclose()


class _Primary:
    """Asks sentinels, one after the other, the one that answered last first."""

    def __init__(self, address: BehindSentinels) -> None:
        self._service = address.service
        self._asking = asyncio.Lock()
        self._sentinels = Sentinel(  # type: ignore[no-untyped-call]
            address.hosts, sentinel_kwargs=_sentinel_options(address)
        )

    async def find(self) -> Host:
        """Return the primary's address. Raises RedisError when no sentinel knows a primary that is not down."""
        async with self._asking:
            host, port = await self._sentinels.discover_master(self._service)
        return str(host), int(port)

    async def aclose(self) -> None:
        """Close the connections to sentinels."""
        await self._sentinels.aclose()


def _sentinel_options(address: BehindSentinels) -> dict[str, Any]:
    options: dict[str, Any] = dict(parse_url(address.sentinels.url(address.hosts[0])))
    by_tls = issubclass(options.pop("connection_class", Connection), SSLConnection)
    for name in ("host", "port", "db"):
        options.pop(name, None)
    limit = SENTINEL_LIMIT / SECOND
    return options | {
        "ssl": by_tls,
        "socket_connect_timeout": limit,
        "socket_timeout": limit,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
