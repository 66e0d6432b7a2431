"""Addresses to listen at."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator
from random import SystemRandom
from typing import Final

_OTHERS: Final = range(20_000, 32_768)
"""Where nobody is found by accident: above these a system takes ports for connections that go out."""

_held: Final[dict[int, int]] = {}


def is_free(port: int, *, host: str = "127.0.0.1") -> bool:
    """Tell whether somebody could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def hold(port: int) -> bool:
    """Take a port for what this process starts, until it ends; tells whether no other process holds it so.

    Between finding a port free and listening there lie seconds, in which another `zapwright up` could find the same.
    Who holds a port has its UDP namesake of the loopback, which one process can have at a time, whoever runs it and
    wherever it keeps its files, and which nobody uses otherwise.
    """
    if port in _held:
        return True
    namesake = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        namesake.bind(("127.0.0.1", port))
    except OSError as error:
        namesake.close()
        return error.errno != errno.EADDRINUSE  # where there is no UDP, ports are as they would be unheld
    _held[port] = namesake.detach()
    return True


def free_port(wanted: Iterable[int], *, host: str = "127.0.0.1") -> int:
    """Return the first of the wanted ports that is free, else any that is."""
    return next(_free(wanted, host=host))


def held_port(wanted: Iterable[int], *, host: str = "127.0.0.1") -> int:
    """Return the first of the wanted ports that is free and can be held, else any."""
    return next(port for port in _free(wanted, host=host) if hold(port))


def _free(wanted: Iterable[int], *, host: str) -> Iterator[int]:
    yield from (port for port in wanted if is_free(port, host=host))
    others = SystemRandom().sample(_OTHERS, len(_OTHERS))
    yield from (port for port in others if port not in _held and is_free(port, host=host))


def origin(host: str, port: int) -> str:
    """Return the address under which a listener at this host and port is reached from this machine."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - read, not listened at
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
