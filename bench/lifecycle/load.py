"""The load: clients that each walk one session after another through its life, over one connection kept alive.

The client knows as much HTTP as it needs, so that it is never what is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, cast

import httptools

ANSWER_WITHIN_S: Final = 30.0
TRANSITIONS: Final = 4
"""Create, choose app, open popup, message with an id."""


class UnexpectedAnswerError(Exception):
    """A server did not do what a session's life needs; the benchmark has no result."""


class Connection(asyncio.Protocol):
    """One connection to a server: one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect to a server on this machine."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    async def aclose(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()
            await self._closed

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> tuple[int, bytes]:
        """Send a request and return the status and body of its answer."""
        if self._transport is None:
            raise UnexpectedAnswerError("the connection is closed")
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{kind}{headers}\r\n".encode() + body)
        return await self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Let nobody wait for what will not come."""
        self._transport = None
        self._closed.set_result(None)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(UnexpectedAnswerError(f"the server hung up: {error}"))

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """An answer begins."""
        self._body = b""

    def on_body(self, body: bytes) -> None:
        """Part of its body is there."""
        self._body += body

    def on_message_complete(self) -> None:
        """It is whole."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), self._body))


class Client:
    """Makes transitions over one connection and notes how long each took."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.durations_s: list[float] = []

    async def transition(self, method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
        """Ask for one transition. Raises UnexpectedAnswerError unless it was made."""
        began = time.perf_counter()
        status, answer = await self._connection.ask(method, path, body, headers)
        self.durations_s.append(time.perf_counter() - began)
        if status not in {200, 201}:
            raise UnexpectedAnswerError(f"{method} {path} was answered {status}: {answer[:500]!r}")
        return answer


Life = Callable[[Client, int], Awaitable[None]]
"""Walks the session of this number through its life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the clients saw: how long it all took, and each transition."""

    sessions: int
    took_s: float
    durations_s: tuple[float, ...]

    @property
    def sessions_per_s(self) -> float:
        """Sessions ended a second."""
        return self.sessions / self.took_s


async def put_on(port: int, life: Life, *, numbers: range, clients: int) -> Load:
    """Let `clients` walk the sessions of these numbers through their lives, as fast as they are answered."""
    waiting = iter(numbers)
    connections = await asyncio.gather(*(Connection.open(port) for _ in range(clients)))
    callers = [Client(connection) for connection in connections]
    try:
        began = time.perf_counter()
        async with asyncio.timeout(ANSWER_WITHIN_S + len(numbers)), asyncio.TaskGroup() as group:
            for caller in callers:
                group.create_task(_walk(caller, life, waiting))
        took_s = time.perf_counter() - began
    finally:
        await asyncio.gather(*(connection.aclose() for connection in connections))
    durations = tuple(duration for caller in callers for duration in caller.durations_s)
    return Load(sessions=len(numbers), took_s=took_s, durations_s=durations)


async def _walk(caller: Client, life: Life, waiting: Iterator[int]) -> None:
    for number in waiting:
        await life(caller, number)
