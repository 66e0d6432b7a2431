"""Addresses of stores, as `REDIS_URL` and `QUEUE_REDIS_URL` write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

SERVER_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
SCHEMES: Final = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)

_OF_SENTINELS: Final = ("sentinel_username", "sentinel_password")

Host: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Access:
    """How servers are reached that others name: `scheme` (with or without TLS), who we are, database, options."""

    scheme: str
    credentials: str = field(repr=False)
    database: str = ""
    options: str = field(default="", repr=False)

    def url(self, host: Host) -> str:
        """Return the address of one server."""
        name = f"[{host[0]}]" if ":" in host[0] else host[0]
        return f"{self.scheme}://{self.credentials}{name}:{host[1]}/{self.database}{self.options}"


@dataclass(frozen=True, slots=True)
class OneServer:
    """A server at a fixed address."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BehindSentinels:
    """The server that sentinels call the primary of `service`."""

    hosts: tuple[Host, ...]
    service: str
    sentinels: Access
    servers: Access


@dataclass(frozen=True, slots=True)
class OnCluster:
    """The nodes of a cluster; any of `hosts` knows the others."""

    hosts: tuple[Host, ...]
    nodes: Access


StoreAddress: TypeAlias = OneServer | BehindSentinels | OnCluster


def read_address(url: str) -> StoreAddress:
    """Read an address. Raises ValueError, which says what is wrong without repeating what may be secret."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"a store's address begins with one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
    scheme, _, kind = parts.scheme.partition("+")
    match kind:
        case "sentinel":
            return _behind_sentinels(scheme, parts)
        case "cluster":
            return _on_cluster(scheme, parts)
        case _:
            return OneServer(url)


def _behind_sentinels(scheme: str, parts: SplitResult) -> BehindSentinels:
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError(f"{parts.scheme}:// needs the name of the service: …host:port,host:port/service[/db]")
    if database and not database.isdecimal():
        raise ValueError(f"{parts.scheme}:// has a database that is no number: …/service[/db]")
    given = dict(parse_qsl(parts.query))
    user, password = (quote(given.pop(name, ""), safe="") for name in _OF_SENTINELS)
    options = f"?{urlencode(given)}" if given else ""
    return BehindSentinels(
        hosts=_hosts(parts, port=SENTINEL_PORT),
        service=service,
        sentinels=Access(scheme, f"{user}:{password}@" if user or password else "", options=options),
        servers=Access(scheme, _credentials(parts), database=database, options=options),
    )


def _on_cluster(scheme: str, parts: SplitResult) -> OnCluster:
    if parts.path.strip("/") not in {"", "0"}:
        raise ValueError(f"{parts.scheme}:// has a path, and a cluster only one database: …host:port[,host:port…]")
    options = f"?{parts.query}" if parts.query else ""
    return OnCluster(hosts=_hosts(parts, port=SERVER_PORT), nodes=Access(scheme, _credentials(parts), options=options))


def _credentials(parts: SplitResult) -> str:
    credentials, at, _ = parts.netloc.rpartition("@")
    return credentials + at


def _hosts(parts: SplitResult, *, port: int) -> tuple[Host, ...]:
    """Return the hosts of a comma-separated list. Raises ValueError."""
    found = []
    for number, part in enumerate(parts.netloc.rpartition("@")[2].split(","), start=1):
        try:
            one = urlsplit(f"//{part}")
            host, given = one.hostname, one.port
        except ValueError as error:
            raise ValueError(f"{parts.scheme}:// has a host that is no host:port (number {number})") from error
        if not host:
            raise ValueError(f"{parts.scheme}:// lacks a host (number {number}): …host:port[,host:port…]")
        found.append((host, given or port))
    return tuple(found)
