"""Addresses to listen at."""

from __future__ import annotations

import socket
from collections.abc import Iterable


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


def free_port(wanted: Iterable[int], *, host: str = "127.0.0.1") -> int:
    """Return the first of the wanted ports that is free, else any that is."""
    for port in wanted:
        if is_free(port, host=host):
            return port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    return int(port)


def origin(host: str, port: int) -> str:
    """Return the address under which a listener at this host and port is reached from this machine."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - read, not listened at
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
