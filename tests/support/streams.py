"""Pages that read a session's stream, over sockets or without."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from starlette.types import ASGIApp, Message

WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a stream, as its lines are read."""

    name: str
    data: dict[str, Any]
    id: str | None = None
    retry: int | None = None


def parsed(text: str) -> tuple[Told | None, ...]:
    """Read whole events; None stands for a sign of life."""
    return tuple(_told(block) for block in text.split("\n\n")[:-1])


def _told(block: str) -> Told | None:
    lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
    if not lines:
        return None
    retry = lines.get("retry")
    return Told(lines["event"], json.loads(lines["data"]), lines.get("id"), (retry and int(retry)) or None)


class Page:
    """What one page has been told so far."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.is_over = False
        self._text = ""
        self._news = asyncio.Event()

    def hear(self, text: str) -> None:
        """More has come."""
        self._text += text
        self._news.set()

    def end(self) -> None:
        """Nothing more will come."""
        self.is_over = True
        self._news.set()

    @property
    def text(self) -> str:
        """Everything as it came."""
        return self._text

    @property
    def told(self) -> list[Told]:
        """Everything it was told, but signs of life."""
        return [one for one in parsed(self._text) if one is not None]

    @property
    def names(self) -> list[str]:
        """The kinds of what it was told; events by their own names."""
        return [one.data["name"] if one.name == "event" else one.name for one in self.told]

    @property
    def session(self) -> dict[str, Any]:
        """The session as it was shown last."""
        return next(one.data for one in reversed(self.told) if one.name == "session")

    async def until(self, is_so: Callable[[Page], object], *, within_s: float = WITHIN_S) -> None:
        """Wait until something is so."""
        try:
            async with asyncio.timeout(within_s):
                while not is_so(self):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"not so within {within_s:g} s: {self.names}") from None

    async def until_told(self, *names: str) -> None:
        """Wait until it was told these things, and whatever else."""
        await self.until(lambda page: set(names) <= set(page.names))

    async def until_over(self) -> None:
        """Wait for the end."""
        await self.until(lambda page: page.is_over)


class AppPage(Page):
    """A page that reads from an application, and may stop to."""

    def __init__(self) -> None:
        super().__init__()
        self._left = asyncio.Event()
        self._reads = asyncio.Event()
        self._reads.set()

    def leave(self) -> None:
        """Go away."""
        self._left.set()

    def stop_reading(self) -> None:
        """Take nothing any more, for a while."""
        self._reads.clear()

    def read_on(self) -> None:
        """Take everything again."""
        self._reads.set()

    async def receive(self) -> Message:
        """Say that there is no body, then nothing until it leaves."""
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take what is sent."""
        await self._reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._news.set()
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            return
        self.hear(message["body"].decode())
        if not message.get("more_body"):
            self.end()


@asynccontextmanager
async def app_page(app: ASGIApp, address: str, headers: dict[str, str]) -> AsyncIterator[AppPage]:
    """Have a page read a stream of this application."""
    page = AppPage()
    path = urlsplit(address)
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path.path,
        "raw_path": path.path.encode(),
        "query_string": path.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "server": ("zapwright.test", 80),
        "client": ("127.0.0.1", 1),
    }
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": b"", "more_body": False}
        return await page.receive()

    async def run() -> None:
        await app(scope, receive, page.send)

    running = asyncio.create_task(run())
    running.add_done_callback(lambda _: page.end())
    try:
        yield page
    finally:
        page.read_on()
        page.leave()
        await asyncio.wait((running,), timeout=WITHIN_S)
        assert running.done(), "the stream outlives its page"
        running.result()


@asynccontextmanager
async def socket_page(url: str, headers: dict[str, str]) -> AsyncIterator[Page]:
    """Have a page read a stream over a socket."""
    page = Page()
    async with httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(WITHIN_S, read=None)) as client:

        async def read() -> None:
            async with client.stream("GET", url, headers=headers) as answer:
                page.status = answer.status_code
                page.headers = dict(answer.headers)
                with suppress(httpx.TransportError):
                    async for text in answer.aiter_text():
                        page.hear(text)
            page.end()

        reading = asyncio.create_task(read())
        try:
            yield page
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
