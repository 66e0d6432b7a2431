"""The API as a process: uvicorn, and an end that lets requests finish without waiting for long polls and streams."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from typing import Final, cast

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.app import create_server_app
from api.auth import ApiKeyMissingError
from api.patience import Patience
from api.protocol import Protocol
from orchestrator import logs, serving
from orchestrator.bootstrap import settle_down
from orchestrator.core.errors.store import StoreError
from orchestrator.core.ports.upstream import Upstream
from orchestrator.core.session import SECOND
from orchestrator.settings import Settings

GRACE_S: Final = 25
"""How long requests under way may take to finish when the process is asked to end."""


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


class Server(uvicorn.Server):
    """A server that ends all waiting as soon as it is asked to end (SIGTERM, SIGINT), and then waits for the rest."""

    def __init__(self, config: uvicorn.Config, *, app: FastAPI, patience: Patience) -> None:
        super().__init__(config)
        self._app = app
        self._patience = patience

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and count everything that is there by then as here to stay."""
        await super().startup(sockets)
        settle_down()

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections, ten times a second, and have answers carry the time of the clock we share.

        Pages go by it, and the machine's own may be wrong.
        """
        asyncio.get_running_loop().call_soon(self._patience.look)  # a failure there ends no server
        is_over = await super().on_tick(counter)
        date = formatdate(self._app.state.zapwright.clock.now() // SECOND, usegmt=True)
        self.server_state.default_headers = [(b"date", date.encode()), *self.config.encoded_headers]
        return is_over

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
    logs.configure(settings, is_final=True)
    allow_connections()
    app = create_server_app(settings, redis_url=redis_url, transport=transport, upstream=upstream)
    patience = Patience(time.monotonic, head_s=settings.max_head_s, another_s=serving.KEPT_S)
    config = serving.configured(
        PlainStart(app),
        host=settings.api_host,
        port=settings.api_port,
        grace_s=GRACE_S,
        ws="none",
        http=cast("type[asyncio.Protocol]", partial(Protocol, direct=app.state.direct, patience=patience)),
    )
    serving.run(Server(config, app=app, patience=patience), sockets=sockets)
