"""The one way to follow a session: whoever does so in this process shares its readings.

However many follow a session, one task subscribes to its commits, then reads it, and reads it again whenever it may
have changed. Nothing is queued: a follower only knows that there is a newer reading, and takes the newest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from orchestrator.commits import Commits
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import StoreError
from orchestrator.core.events import Event
from orchestrator.core.ports.around import Changes, Clock, Subscription
from orchestrator.core.schedule import presence_due
from orchestrator.core.session import MINUTE, SECOND, Instant, Millis, Session, SessionKey
from orchestrator.core.signals import PageSeen
from orchestrator.queries import Queries, Snapshot

FIRST_PAUSE: Final[Millis] = 250
LONGEST_PAUSE: Final[Millis] = 4 * SECOND
"""Between readings while the store does not answer."""

LONGEST_REST: Final[Millis] = 60 * MINUTE
"""A session is read again after this long although nothing was heard of it."""

PRESENCE_PAUSE: Final[Millis] = 5 * SECOND
"""Before presence is noted again that could not be noted, or did not help."""

MOST_SHARED_EVENTS: Final = 100


@dataclass(frozen=True, eq=False)
class Reading:
    """A session as one read showed it; `events` are all after `since`, the reading before this one, and up to it."""

    snapshot: Snapshot
    since: int
    events: tuple[Event, ...] = ()

    @property
    def seq(self) -> int:
        """The session's."""
        return self.snapshot.session.seq


class Follower:
    """Somebody who follows a session. `is_visible`: a page that is in front of its user; `has_left`: wants no more."""

    def __init__(self, room: _Room, *, is_visible: bool) -> None:
        self.is_visible = is_visible
        self.has_left = False
        self._room = room
        self._taken = room.begun
        self._news = asyncio.Event()

    def tell(self) -> None:
        """There is something to look at."""
        self._news.set()

    def leave(self) -> None:
        """Wait no more, now and later."""
        self.has_left = True
        self.tell()

    async def next(self, *, timeout: Millis | None = None) -> Reading | None:
        """Return the newest reading as soon as one has begun since the last was returned, or since following began.

        Return None when the time is over, and at once when `leave` was called, or when the process is closing and has
        read the session before. Raises SessionNotFoundError, StoreError; the session is then soon read again.
        """
        try:
            async with asyncio.timeout(None if timeout is None else max(timeout, 0) / SECOND):
                while not (self.has_left or self._room.waits_no_more or self._room.has_newer(self._taken)):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None
        if self.has_left or not self._room.has_newer(self._taken):
            return None
        self._taken = self._room.read
        return self._room.newest()


class _Room:
    """All who follow one session. `begun` numbers the readings; `read` is the number of the newest that is over."""

    def __init__(self, key: SessionKey, *, queries: Queries, commits: Commits, changes: Changes, clock: Clock) -> None:
        self.followers: set[Follower] = set()
        self.begun = 0
        self.read = 0
        self.is_closing = False
        self._key = key
        self._queries = queries
        self._commits = commits
        self._changes = changes
        self._clock = clock
        self._newest: Reading | ZapwrightError | None = None
        self._read_to: int | None = None
        self._presence_at: Instant = 0
        self._subscription: Subscription | None = None
        self._reading_always = asyncio.create_task(self._read_always())
        self._reading_always.add_done_callback(lambda _: self.tell())

    def join(self, *, is_visible: bool) -> Follower:
        """Let somebody follow, who is told of what is read from now on."""
        follower = Follower(self, is_visible=is_visible)
        self.followers.add(follower)
        if self._subscription is not None:
            self._subscription.wake()
        return follower

    @property
    def waits_no_more(self) -> bool:
        """Whether the process is closing: what it has read must do."""
        return self.is_closing and self.read > 0

    def has_newer(self, taken: int) -> bool:
        """Whether there is a newer reading than this one, or none will ever be."""
        return self.read > taken or self._reading_always.done()

    def newest(self) -> Reading:
        """Return the newest reading. Raises what it raised."""
        if self._reading_always.done():
            self._reading_always.result()
        if not isinstance(self._newest, Reading):
            raise self._newest or AssertionError("nothing was read")
        return self._newest

    def tell(self) -> None:
        """Tell everybody that there is something to look at."""
        for follower in self.followers:
            follower.tell()

    def close(self) -> None:
        """Let nobody wait any more."""
        self.is_closing = True
        self.tell()

    async def end(self) -> None:
        """Read no more; nothing is left when this returns."""
        self._reading_always.cancel()
        await asyncio.wait((self._reading_always,))

    async def _read_always(self) -> None:
        pause = FIRST_PAUSE
        async with self._changes.session(self._key.session_id) as self._subscription:
            while True:
                self.begun += 1
                self._newest = await self._reading()
                self.read = self.begun
                self.tell()
                if isinstance(self._newest, Reading):
                    rest, pause = await self._noted_presence(self._newest.snapshot.session), FIRST_PAUSE
                else:
                    rest, pause = pause, min(2 * pause, LONGEST_PAUSE)
                await self._subscription.changed(timeout=rest)

    async def _reading(self) -> Reading | ZapwrightError:
        try:
            snapshot, events = await self._read()
        except (StoreError, SessionNotFoundError) as error:
            return error
        self._read_to = snapshot.session.seq
        return Reading(snapshot, since=self._read_to - len(events), events=events)

    async def _read(self) -> tuple[Snapshot, tuple[Event, ...]]:
        if self._read_to is None:
            return await self._queries.session(self._key), ()
        return await self._queries.with_events(self._key, after=self._read_to, limit=MOST_SHARED_EVENTS)

    async def _noted_presence(self, session: Session) -> Millis:
        """Note that a visible page is there, where that is due; return for how long it is not, or cannot be."""
        due = presence_due(session)
        if due is None or not any(follower.is_visible for follower in self.followers):
            return LONGEST_REST
        now = self._clock.now()
        if (at := max(due, self._presence_at)) > now:
            return at - now
        self._presence_at = now + PRESENCE_PAUSE
        with suppress(ZapwrightError):
            await self._commits.apply(self._key, PageSeen())
        return PRESENCE_PAUSE


class Following:
    """Follows sessions for everybody in this process; all of it keeps to one tenant."""

    def __init__(self, *, queries: Queries, commits: Commits, changes: Changes, clock: Clock) -> None:
        self._queries = queries
        self._commits = commits
        self._changes = changes
        self._clock = clock
        self._rooms: dict[SessionKey, _Room] = {}
        self._is_closing = False

    @asynccontextmanager
    async def follow(self, key: SessionKey, *, is_visible: bool = False) -> AsyncIterator[Follower]:
        """Follow a session; what a visible page waits for is waited for longer, and looked at sooner."""
        room = self._rooms.get(key) or self._opened(key)
        follower = room.join(is_visible=is_visible)
        try:
            yield follower
        finally:
            room.followers.discard(follower)
            if not room.followers:
                del self._rooms[key]
                await room.end()

    async def after(self, key: SessionKey, *, seq: int, wait: Millis) -> Snapshot:
        """Return the session once its `seq` is greater than `seq`, or as it is after waiting that long.

        Raises SessionNotFoundError, StoreError.
        """
        until = self._clock.now() + wait
        async with self.follow(key) as follower:
            reading = await follower.next()
            while reading is not None:
                left = until - self._clock.now()
                if reading.seq > seq or left <= 0:
                    return reading.snapshot
                reading = await follower.next(timeout=left)
        return await self._queries.session(key)

    def count(self, key: SessionKey) -> int:
        """Return how many follow the session."""
        room = self._rooms.get(key)
        return 0 if room is None else len(room.followers)

    @property
    def is_closing(self) -> bool:
        """Whether nobody shall wait any more."""
        return self._is_closing

    def close(self) -> None:
        """Let nobody wait any more, those who come later neither."""
        self._is_closing = True
        for room in self._rooms.values():
            room.close()

    def _opened(self, key: SessionKey) -> _Room:
        room = self._rooms[key] = _Room(
            key, queries=self._queries, commits=self._commits, changes=self._changes, clock=self._clock
        )
        room.is_closing = self._is_closing
        return room
