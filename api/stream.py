"""A session's stream: server-sent events (WHATWG HTML, 9.2) as an ASGI answer.

State is read again and never queued: whoever reads slowly is told less often, and misses no event.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.errors import RequestError, TokenExpiredError, TooManyStreamsError, UnauthorizedError, problem
from api.views import Views
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import StoreError
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.sessions import EventPage
from orchestrator.core.session import ENDED, SECOND, Instant, Millis, SessionKey
from orchestrator.following import Follower, Following, Reading
from orchestrator.metrics import Metrics
from orchestrator.queries import Queries

MEDIA_TYPE: Final = "text/event-stream"
KEEP_ALIVE: Final[Millis] = 15 * SECOND
SEND_LIMIT: Final[Millis] = 30 * SECOND
"""How long a reader may take no byte at all before it is given up."""

READ_PAUSE_S: Final = 1.0
MOST_EVENTS: Final = 500
MOST_STREAMS: Final = 32
"""Of one session, in one process."""

MOST_OPENED: Final = 60
OPENED_EVERY: Final[Millis] = 1 * SECOND
"""One session's streams may be opened so many at once, and after that one in this time."""

MOST_REMEMBERED: Final = 10_000

CLOSING: Final = "closing"
SESSION_OVER: Final = "session_over"
REASONS: Final = [CLOSING, SESSION_OVER, TokenExpiredError.code, UnauthorizedError.code]
SOONEST_MS: Final = 250
SPREAD_MS: Final = 1_750
"""When a reader whose stream has ended shall come again."""


def _described(name: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON Schema
    """Describe one kind of event, as its lines are read (WHATWG HTML, 9.2.6)."""
    text = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    return {
        "type": "object",
        "properties": {"event": {"const": name}, "data": text, **more},
        "required": ["event", "data", *more],
    }


SHAPE: Final = {
    "oneOf": [
        _described("session", {"$ref": "#/components/schemas/Session"}),
        _described("event", {"$ref": "#/components/schemas/Event"}, id={"type": "string"}),
        _described("truncated", {"type": "object", "properties": {"after": {"type": "integer"}}}),
        _described(
            "bye",
            {"type": "object", "properties": {"reason": {"type": "string", "enum": REASONS}}},
            retry={"type": "integer"},
        ),
    ]
}
"""What each event is."""

_COMMENT: Final = b":\n\n"
_HEADERS: Final = ((b"content-type", MEDIA_TYPE.encode()), (b"x-accel-buffering", b"no"))


@dataclass(frozen=True, slots=True)
class Frames:
    """What one reading is written as: the session, and the events that came with it."""

    session: bytes
    events: bytes


class Streams:
    """Every stream of one process: what they follow, and how what they tell is written down, once for all of them."""

    def __init__(
        self,
        *,
        following: Following,
        queries: Queries,
        clock: Clock,
        metrics: Metrics,
        keep_alive: Millis = KEEP_ALIVE,
        send_limit: Millis = SEND_LIMIT,
    ) -> None:
        self.following = following
        self.clock = clock
        self.metrics = metrics
        self.keep_alive = keep_alive
        self.send_limit = send_limit
        self._queries = queries
        self._open: Counter[SessionKey] = Counter()
        self._paid_at: dict[SessionKey, Instant] = {}
        self._written: WeakKeyDictionary[Reading, dict[Views, Frames]] = WeakKeyDictionary()

    def admit(self, key: SessionKey) -> None:
        """Let one more stream of a session be opened. Raises TooManyStreamsError."""
        if self._open[key] >= MOST_STREAMS:
            raise TooManyStreamsError(most=MOST_STREAMS)
        now = self.clock.now()
        paid_at = max(now, self._paid_at.get(key, now)) + OPENED_EVERY
        if paid_at > now + MOST_OPENED * OPENED_EVERY:
            raise TooManyStreamsError(most=MOST_OPENED)
        if len(self._paid_at) >= MOST_REMEMBERED:
            self._paid_at = {owing: at for owing, at in self._paid_at.items() if at > now}
        self._paid_at[key] = paid_at

    @contextmanager
    def opened(self, key: SessionKey) -> Iterator[None]:
        """Count a stream of the session as open; whoever waits for the session by a long poll is none."""
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]

    @property
    def remembered(self) -> int:
        """Of how many sessions it is remembered that streams were opened."""
        return len(self._paid_at)

    def frames(self, reading: Reading, views: Views) -> Frames:
        """Return what a reading is written as, for those who are shown the same of it."""
        by_views = self._written.setdefault(reading, {})
        if views not in by_views:
            by_views[views] = Frames(
                session=frame("session", msgspec.json.encode(views.session(reading.snapshot))),
                events=_events(EventPage(events=reading.events, truncated=False), views),
            )
        return by_views[views]

    async def events(self, reading: Reading, views: Views, *, after: int) -> bytes:
        """Return the frames of every event after this one and up to the reading; those no longer kept are said to be.

        Raises StoreError, SessionNotFoundError.
        """
        if after == reading.since:
            return self.frames(reading, views).events
        frames: list[bytes] = []
        while after < reading.seq:
            page = await self._queries.events_of(reading.snapshot.session, after=after, limit=MOST_EVENTS)
            told = [one for one in page.events if one.seq <= reading.seq]
            if page.truncated:
                frames.append(frame("truncated", msgspec.json.encode({"after": after})))
            frames.append(_events(EventPage(events=tuple(told), truncated=False), views))
            if not told:
                break
            after = told[-1].seq
        return b"".join(frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who reads a stream: what they may see, from when on, until when, and if their page is in front of its user.

    `after` None: only what happens from now on. `check` raises RequestError once they may read no more.
    """

    key: SessionKey
    views: Views
    after: int | None
    is_visible: bool
    until: Instant | None
    check: Callable[[], Awaitable[object]]


class SessionStream(Response):
    """One stream. It ends by saying why: the process is closing, its reader may read no more, the session is over."""

    def __init__(
        self, streams: Streams, reader: Reader
    ) -> None:  # no body of Starlette's: it is written piece by piece
        self.status_code = 200
        self.background = None
        self._streams = streams
        self._reader = reader
        self._after = reader.after
        self._last = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until it ends; a reader that leaves, or takes nothing any more, leaves nothing behind."""
        reader, following = self._reader, self._streams.following
        try:
            self._streams.admit(reader.key)
        except TooManyStreamsError as error:
            await problem(error, scope)(scope, receive, send)
            return
        with self._streams.metrics.stream(), self._streams.opened(reader.key):
            async with following.follow(reader.key, is_visible=reader.is_visible) as follower:
                leaving = asyncio.create_task(_leave(receive, follower))
                try:
                    await self._answer(follower, scope, receive, send)
                finally:
                    leaving.cancel()
                    await asyncio.wait((leaving,))

    async def _answer(self, follower: Follower, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reading = await follower.next()
        except ZapwrightError as error:
            await problem(error, scope)(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": list(_HEADERS)})
        reason = await self._told(follower, reading, send)
        if not follower.has_left:
            with suppress(TimeoutError):
                await self._write(send, _bye(reason, self._reader.key.session_id), is_last=True)

    async def _told(self, follower: Follower, reading: Reading | None, send: Send) -> str:
        """Tell what there is, again and again; return why that ends."""
        while not follower.has_left:
            if reading is None and self._streams.following.is_closing:
                return CLOSING
            try:
                await self._write(send, await self._news(reading))
                if reading is not None and reading.snapshot.session.status in ENDED:
                    return SESSION_OVER
                reading = await follower.next(timeout=await self._limit())
            except RequestError as refused:
                return refused.code
            except SessionNotFoundError:
                return SESSION_OVER
            except StoreError:
                await asyncio.sleep(READ_PAUSE_S)
            except TimeoutError:
                follower.leave()
        return CLOSING

    async def _limit(self) -> Millis:
        """Return when the next sign of life is due. Raises RequestError when the reader may read no more."""
        await self._reader.check()
        until, keep_alive = self._reader.until, self._streams.keep_alive
        return keep_alive if until is None else min(keep_alive, until - self._streams.clock.now())

    async def _write(self, send: Send, body: bytes, *, is_last: bool = False) -> None:
        """Send; it is not even begun while the reader has left too much unread. Raises TimeoutError."""
        async with asyncio.timeout(self._streams.send_limit / SECOND):
            await send({"type": "http.response.body", "body": body, "more_body": not is_last})

    async def _news(self, reading: Reading | None) -> bytes:
        """Return what the reader does not know yet: the session first, then events, and the session after them."""
        if reading is None:
            return _COMMENT
        after = reading.seq if self._after is None else min(self._after, reading.seq)
        events = await self._streams.events(reading, self._reader.views, after=after)
        shown = self._streams.frames(reading, self._reader.views).session
        before = b"" if self._last else shown
        behind = shown if events or (not before and shown != self._last) else b""
        self._after, self._last = reading.seq, shown
        return before + events + behind or _COMMENT


def frame(name: str, document: bytes, *, seq: int | None = None) -> bytes:
    """Write one event down; the document is JSON in one line."""
    number = b"" if seq is None else b"id: %d\n" % seq
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), number, document)


def _events(page: EventPage, views: Views) -> bytes:
    return b"".join(frame("event", msgspec.json.encode(shown), seq=shown.seq) for shown in views.events(page).events)


def _bye(reason: str, session_id: str) -> bytes:
    """Say why the stream ends, and when to come again: not everybody at once."""
    retry_ms = SOONEST_MS + zlib.crc32(session_id.encode()) % SPREAD_MS
    return b'event: bye\nretry: %d\ndata: {"reason":"%s"}\n\n' % (retry_ms, reason.encode())


async def _leave(receive: Receive, follower: Follower) -> None:
    """Follow no more once the reader has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    follower.leave()
