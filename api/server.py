"""The API as a process: uvicorn, and an end that lets requests finish without waiting for long polls and streams."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, cast

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.app import create_server_app
from api.auth import ApiKeyMissingError
from orchestrator import logs
from orchestrator.bootstrap import settle_down
from orchestrator.core.errors import StoreError
from orchestrator.core.ports.upstream import Upstream
from orchestrator.settings import Settings

GRACE_S: Final = 25
"""How long requests under way may take to finish when the process is asked to end."""

START_FAILED: Final = 3


class PlainStart:
    """Says in a sentence why the application cannot start, where that is for an operator to mend (ASGI, lifespan)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let everything pass but a failed start, which a framework reports by its traceback."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        failed: Message | None = None

        async def told(message: Message) -> None:
            nonlocal failed
            if message["type"] == "lifespan.startup.failed":
                failed = message
            else:
                await send(message)

        try:
            await self._app(scope, receive, told)
        except BaseException as error:
            if failed is None:
                raise
            is_known = isinstance(error, StoreError | ApiKeyMissingError)
            await send({**failed, "message": str(error)} if is_known else failed)
            if not is_known:
                raise


class Gathered:
    """A transport that sends what is written within one tick of the event loop in one piece.

    uvicorn writes the head of an answer and its body apart: two packets, for which the other side wakes twice.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send it before anything that happens later."""
        if not self._pieces:
            self._loop.call_soon(self._send)
        self._pieces.append(data)

    def close(self) -> None:
        """Send the rest, then hang up."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._pieces:
            self._transport.write(b"".join(self._pieces))
            self._pieces.clear()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a transport has
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP, over gathered writes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(cast("asyncio.Transport", Gathered(transport, self.loop)))


class Server(uvicorn.Server):
    """A server that ends all waiting as soon as it is asked to end (SIGTERM, SIGINT), and then waits for the rest."""

    def __init__(self, config: uvicorn.Config, *, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and count everything that is there by then as here to stay."""
        await super().startup(sockets)
        settle_down()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the requests under way finish, then close."""
        self._app.state.zapwright.following.close()
        await super().shutdown(sockets)


def allow_connections() -> None:
    """Have as many open files, and so connections, as the system lets this process have; streams need many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # no number stands for "no limit" everywhere
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def serve(
    settings: Settings,
    *,
    redis_url: str,
    sockets: Sequence[socket.socket] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    upstream: Upstream | None = None,
) -> None:
    """Serve on the settings' address or on listening `sockets` until the process is asked to end (SIGTERM, SIGINT).

    Requests to Zapier go by `transport`, by default over sockets; with `upstream` none are made. Leaves the process
    with status 3 when it cannot start, having logged why: without its store, or without any API key.
    """
    logs.configure(settings)
    allow_connections()
    app = create_server_app(settings, redis_url=redis_url, transport=transport, upstream=upstream)
    config = uvicorn.Config(
        PlainStart(app),
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        loop="uvloop",
        http=Protocol,
    )
    server = Server(config, app=app)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):  # uvicorn hands both signals on once it has stopped: that is a good end
        server.run(sockets=list(sockets) if sockets is not None else None)
    if not server.started:
        sys.exit(START_FAILED)
