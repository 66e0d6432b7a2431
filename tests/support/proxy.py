"""A connection that fails when a test says so: a proxy between a client and a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from typing import Final

CHUNK: Final = 2**16


class Fault(Enum):
    """What becomes of one request."""

    CUT_BEFORE = auto()
    """The connection ends before the server has the request."""
    CUT_AFTER = auto()
    """The connection ends when the server has answered, before the client has the answer."""
    SILENCE = auto()
    """The server has the request and answers; the answer never comes, and the connection stays."""


class FaultyProxy:
    """Passes everything on, but for the next request after `fail_next`.

    `requests` is all that clients have sent, by so many `connections`. While `is_silent`, no answer passes.
    """

    def __init__(self, target: Path) -> None:
        self.url = ""
        self.requests = b""
        self.connections = 0
        self.is_silent = False
        self._target = target
        self._armed: Fault | None = None

    def fail_next(self, fault: Fault) -> None:
        """Let the next request that arrives meet this fault."""
        self._armed = fault

    async def serve(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Serve one client until either side, or a fault, ends the connection."""
        self.connections += 1
        from_server, to_server = await asyncio.open_unix_connection(self._target)
        link = _Link(self, to_client, to_server)
        ways = [asyncio.create_task(link.requests(from_client)), asyncio.create_task(link.answers(from_server))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for writer in (to_client, to_server):
                writer.transport.abort()

    def take_fault(self, request: bytes) -> Fault | None:
        """Say what becomes of this request."""
        self.requests += request
        fault, self._armed = self._armed, None
        return fault


class _Link:
    """One client's connection through the proxy."""

    def __init__(self, proxy: FaultyProxy, to_client: asyncio.StreamWriter, to_server: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._to_client = to_client
        self._to_server = to_server
        self._fault: Fault | None = None

    async def requests(self, from_client: asyncio.StreamReader) -> None:
        """Pass requests on; return to cut the connection."""
        while request := await from_client.read(CHUNK):
            self._fault = self._proxy.take_fault(request)
            if self._fault is Fault.CUT_BEFORE:
                return
            self._to_server.write(request)

    async def answers(self, from_server: asyncio.StreamReader) -> None:
        """Pass answers on; return to cut the connection."""
        while answer := await from_server.read(CHUNK):
            if self._fault is Fault.CUT_AFTER:
                return
            if self._fault is not Fault.SILENCE and not self._proxy.is_silent:
                self._to_client.write(answer)


@asynccontextmanager
async def running_proxy(target: Path) -> AsyncIterator[FaultyProxy]:
    """Have a proxy to the server at this Unix socket for as long as the block."""
    proxy = FaultyProxy(target)
    links: set[asyncio.Task[None]] = set()

    async def serve(from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        links.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await proxy.serve(from_client, to_client)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)
