"""Ports for servers of tests."""

from __future__ import annotations

import os
import random
import socket
from typing import Final

HOST: Final = "127.0.0.1"

_PORTS: Final = range(10_000, 20_000)
"""Below those that our commands choose by themselves, and those that systems give to outgoing connections."""

_given: Final[set[int]] = set()


def free_port() -> int:
    """Return a port of the loopback at which nobody listens, and which no other test of this run is ever given."""
    ours = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = _PORTS[ours :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    while True:
        port = random.choice(share)
        if port not in _given and not _is_answered(port):
            _given.add(port)
            return port


def _is_answered(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
