"""A process that serves HTTP, from its start until it is asked to end."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

START_FAILED: Final = 3

KEPT_S: Final = 75
"""How long a connection is kept for another request.

Longer than clients and load balancers keep one that is idle (a minute at most, by default): who closes first must be
the one who knows that no request is on its way.
"""


def configured(app: ASGIApp, *, host: str, port: int, grace_s: int, **more: Any) -> uvicorn.Config:  # noqa: ANN401 - uvicorn's own
    """Return how a process of ours serves: it logs by itself, and believes no header about who asks.

    When it is asked to end, requests under way may take `grace_s` to finish.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=grace_s,
        timeout_keep_alive=KEPT_S,
        loop="uvloop",
        **more,
    )


def run(server: uvicorn.Server, *, sockets: Sequence[socket.socket] | None = None) -> None:
    """Serve, perhaps on listening `sockets`, until the process is asked to end (SIGTERM, SIGINT).

    Leaves the process with status 3 when the server cannot start, which it has logged.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):  # uvicorn hands both signals on once it has stopped: that is a good end
        server.run(sockets=list(sockets) if sockets is not None else None)
    if not server.started:
        sys.exit(START_FAILED)
