"""Receivers of webhook messages, on sockets of this machine: as good, as bad and as slow as a test wants them."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from standardwebhooks import Webhook

Behaviour = Callable[["Heard"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Heard:
    """One POST as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def data(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)["data"]
        return document

    @property
    def session_id(self) -> str:
        return str(self.data["session"]["id"])

    @property
    def seq(self) -> int:
        return int(self.data["seq"])

    def verify(self, secret: str) -> None:
        """Hold it against its signatures, as the official library does."""
        Webhook(secret).verify(self.body, self.headers)


async def received(_: Heard) -> web.StreamResponse:
    """Answer that all is well."""
    return web.Response(status=204)


class Receiver:
    """What was heard, in order, and what is answered."""

    def __init__(self, url: str = "", behaviour: Behaviour = received) -> None:
        self.url = url
        self.behaviour = behaviour
        self.heard: list[Heard] = []
        self._news = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Hear one POST."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        heard = Heard(path=request.path_qs, headers=headers, body=await request.read())
        self.heard.append(heard)
        self._news.set()
        try:
            return await self.behaviour(heard)
        except ConnectionResetError:  # what it was told to do
            if request.transport is not None:
                request.transport.abort()
            raise

    async def hear(self, number: int, *, within_s: float = 60) -> list[Heard]:
        """Wait until so many POSTs have come."""
        try:
            async with asyncio.timeout(within_s):
                while len(self.heard) < number:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            raise AssertionError(f"{len(self.heard)} of {number} within {within_s:g} s") from error
        return self.heard

    @property
    def seqs(self) -> dict[str, list[int]]:
        """What was heard of each session, in order."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for heard in self.heard:
            found[heard.session_id].append(heard.seq)
        return dict(found)


@asynccontextmanager
async def a_receiver(behaviour: Behaviour = received, *, host: str = "127.0.0.1") -> AsyncIterator[Receiver]:
    """Have a receiver on a free port."""
    receiver = Receiver(behaviour=behaviour)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    port: Final = runner.addresses[0][1]
    receiver.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
