"""Endpoints: where a tenant's backend hears of events, and which addresses may be spoken to at all."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from orchestrator.core.errors.webhooks import EndpointUrlRefusedError
from orchestrator.core.events import OUTCOMES, EventName
from orchestrator.core.session import Instant, is_session_id

MOST_OF_TENANT: Final = 100
"""Endpoints that hear of every session of a tenant."""

MOST_OF_SESSION: Final = 5
"""Endpoints that hear of one session."""

LIVE_SECRETS: Final = 2
LONGEST_URL: Final = 2048
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how secrets begin (Standard Webhooks)

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_.])?|\[[0-9a-f:.]+\]")
_URL: Final = re.compile(r"[!-~]+")
_PREFIX: Final = "wh"
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_CLOSED: Final = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "64:ff9b:1::/48", "2001::/23", "2002::/16", "fec0::/10", "::/8"))
)
"""Not for everybody, or leading to addresses that are hidden inside them."""


class Pause(StrEnum):
    """Why nothing is sent to an endpoint just now."""

    REQUESTED = "requested"
    GONE = "gone"
    DEAD = "dead"


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One address that hears of events: of every session of the tenant, or of `session_id` alone.

    `secrets` are newest first, at most two. `asked_by` names the request that made the newest one, if it had an
    idempotency key. `version` counts the writes.
    """

    id: str
    tenant_id: str
    url: str
    created_at: Instant
    secrets: tuple[str, ...] = field(repr=False)
    session_id: str | None = None
    events: frozenset[EventName] = OUTCOMES
    description: str = ""
    paused: Pause | None = None
    paused_at: Instant | None = None
    asked_by: str | None = None
    version: int = 1

    def wants(self, name: EventName) -> bool:
        """Tell whether events of this name are sent here."""
        return name in self.events

    def pause(self, why: Pause, *, now: Instant) -> Endpoint:
        """Return it paused; one that is paused already stays so for the first reason."""
        return self if self.paused else replace(self, paused=why, paused_at=now)

    def resume(self) -> Endpoint:
        """Return it listening."""
        return replace(self, paused=None, paused_at=None)

    def renew(self, secret: str, *, asked_by: str | None) -> Endpoint:
        """Return it with a new secret; the one before stays live, any older one ends."""
        return replace(self, secrets=(secret, *self.secrets)[:LIVE_SECRETS], asked_by=asked_by)


def endpoint_id(name: str, session_id: str | None) -> str:
    """Write an endpoint's id; one that belongs to a session names it."""
    return f"{_PREFIX}{name}" if session_id is None else f"{_PREFIX}-{session_id}-{name}"


def session_of(endpoint: str) -> str | None:
    """Read out of an endpoint's id which session it belongs to; None for a tenant's, and for text that is no id."""
    prefix, _, rest = endpoint.partition("-")
    session_id = rest.partition("-")[0]
    return session_id if prefix == _PREFIX and is_session_id(session_id) else None


@dataclass(frozen=True)
class Networks:
    """Which addresses may be spoken to: those of everybody's Internet, and the `allowed` ones."""

    allowed: tuple[Network, ...] = ()

    @classmethod
    def of(cls, texts: Sequence[str]) -> Networks:
        """Read networks such as `10.1.0.0/16`. Raises ValueError."""
        return cls(tuple(map(ipaddress.ip_network, texts)))

    def allows(self, address: str) -> bool:
        """Tell whether the address is among the allowed ones; there, plain http will do."""
        found = _plain(address)
        return any(found.version == network.version and found in network for network in self.allowed)

    def admits(self, address: str, *, is_secure: bool) -> bool:
        """Tell whether a connection may be made to this address."""
        return self.allows(address) or (is_secure and _is_public(_plain(address)))


def check_url(text: str, networks: Networks) -> str:
    """Return the URL if messages may be sent there, as far as can be told without asking who has its name.

    Raises EndpointUrlRefusedError.
    """
    if len(text) > LONGEST_URL or not _URL.fullmatch(text):
        raise EndpointUrlRefusedError(why=f"write at most {LONGEST_URL} printable ASCII characters")
    try:
        url = urlsplit(text)
        host, _ = url.hostname or "", url.port
    except ValueError as error:
        raise EndpointUrlRefusedError(why="it cannot be read") from error
    if url.scheme not in {"https", "http"}:
        raise EndpointUrlRefusedError(why="begin it with https://")
    if "@" in url.netloc:
        raise EndpointUrlRefusedError(why="leave user and password out; messages are signed")
    if url.fragment or not _HOST.fullmatch(f"[{host}]" if ":" in host else host):
        raise EndpointUrlRefusedError(why="name a host and a path, and nothing after #")
    _check_host(host, networks, is_secure=url.scheme == "https")
    return text


def _check_host(host: str, networks: Networks, *, is_secure: bool) -> None:
    if not is_secure and not networks.allowed:
        raise EndpointUrlRefusedError(why="use https; plain http is for networks this deployment allows")
    if host.endswith((".localhost", ".local", ".internal")) or host == "localhost":
        if not networks.allowed:
            raise EndpointUrlRefusedError(why="it is not on the Internet")
        return
    try:
        admitted = networks.admits(host, is_secure=is_secure)
    except ValueError:
        return  # a name: whoever has it is checked when we connect
    if not admitted:
        raise EndpointUrlRefusedError(why="its address is not on the Internet, nor in a network this deployment allows")


def _plain(address: str) -> Address:
    """Read an address; one that stands for another is that one. Raises ValueError."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return found.ipv4_mapped
        if found in _NAT64:
            return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found


def _is_public(address: Address) -> bool:
    is_odd = address.is_multicast or address.is_reserved or address.is_unspecified
    is_closed = any(address.version == network.version and address in network for network in _CLOSED)
    return address.is_global and not is_odd and not is_closed
