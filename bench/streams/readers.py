"""Pages that read streams, with as much HTTP as they need, so that they are never what is measured."""

from __future__ import annotations

import asyncio
import time
from typing import Final, cast

OPENED_AT_ONCE: Final = 100
WITHIN_S: Final = 60.0

_SESSION: Final = b"event: session\n"
_EVENT: Final = b"event: event\n"


class StreamLostError(Exception):
    """A stream ended, or something was not told; the benchmark has no result."""


class Reader(asyncio.Protocol):
    """One stream: when it was shown the session, and when it was told of each event."""

    def __init__(self) -> None:
        self.told_s: list[float] = []
        self.shown = 0
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the protocol's own
        """Let nobody wait for what will not come."""
        self._transport = None
        self._news.set()

    def data_received(self, data: bytes) -> None:
        """Count what is told; what is cut in two is read with the next piece."""
        now = time.perf_counter()
        text = self._rest + data
        self._rest = text[text.rfind(b"\n") + 1 :]
        whole = text[: len(text) - len(self._rest)]
        self.told_s += [now] * whole.count(_EVENT)
        self.shown += whole.count(_SESSION)
        self._news.set()

    def ask(self, session_id: str, key: str) -> None:
        """Send the request."""
        if self._transport is not None:
            request = (
                f"GET /v1/sessions/{session_id}/stream HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n"
            )
            self._transport.write(request.encode())

    async def until_shown(self, times: int) -> None:
        """Wait until the session was shown so many times. Raises StreamLostError."""
        while self.shown < times:
            if self._transport is None:
                raise StreamLostError("a stream has ended")
            self._news.clear()
            await self._news.wait()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


async def opened(port: int, session_ids: list[str], *, key: str) -> list[Reader]:
    """Open a stream for each of these sessions. Raises StreamLostError, TimeoutError."""
    gate = asyncio.Semaphore(OPENED_AT_ONCE)

    async def one(session_id: str) -> Reader:
        async with gate:
            _, reader = await asyncio.get_running_loop().create_connection(Reader, "127.0.0.1", port)
            reader.ask(session_id, key)
            await reader.until_shown(1)
            return reader

    async with asyncio.timeout(WITHIN_S):
        return list(await asyncio.gather(*map(one, session_ids)))
