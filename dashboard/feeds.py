"""What pages show stays new: each thing is asked for once for all who may see the same, however many look at it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import count
from typing import Final
from urllib.parse import parse_qsl

from dashboard.remote import RefusedError, Remote, UnreachableError
from dashboard.sight import Seen
from dashboard.visits import Scope, Visit, Visits

PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 8.0
QUICK: Final = ("/overview", "/sessions/", "/sessions?stuck")
"""What somebody watches: the overview, and one session. Lists are read less often."""

SLOWER: Final = 2.5
"""By how much."""

SHARE: Final = 9
"""A pause is at least so many times as long as reading and drawing took: what is slow is done less often."""

AT_ONCE: Final = 4
"""Readings of all feeds together that are under way at any moment."""


Hear = Callable[[Seen], None]


@dataclass(frozen=True, slots=True)
class _Follower:
    visit: Visit
    hear: Hear


class Feeds:
    """Every thing that somebody looks at now."""

    def __init__(self, remote: Remote, visits: Visits, *, pause_s: float = PAUSE_S) -> None:
        self._remote = remote
        self._visits = visits
        self._pause_s = pause_s
        self._seats = asyncio.Semaphore(AT_ONCE)
        self._feeds: dict[tuple[Scope, str], _Feed] = {}
        self._numbers = count()

    def follow(self, visit: Visit, address: str, hear: Hear) -> Callable[[], None]:
        """Tell `hear` of every reading of an address until the function that is returned is called.

        `hear` is told at once what is known already.
        """
        place = (visit.scope, address)
        feed = self._feeds.get(place)
        if feed is None:
            feed = self._feeds[place] = _Feed(address)
            feed.task = asyncio.create_task(self._keep(place, feed), name=f"feed {address}")
        number = next(self._numbers)
        feed.followers[number] = _Follower(visit, hear)
        if feed.seen != Seen():
            hear(feed.seen)
        return lambda: self._leave(place, feed, number)

    def look_again(self, visit: Visit) -> None:
        """Ask at once for everything that somebody of this scope looks at: something was done."""
        for (scope, _), feed in self._feeds.items():
            if scope == visit.scope:
                feed.due.set()

    async def aclose(self) -> None:
        """End every feed."""
        tasks = [feed.task for feed in self._feeds.values() if feed.task is not None]
        self._feeds.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _leave(self, place: tuple[Scope, str], feed: _Feed, number: int) -> None:
        feed.followers.pop(number, None)
        if not feed.followers and self._feeds.get(place) is feed:
            del self._feeds[place]
            if feed.task is not None:
                feed.task.cancel()

    async def _keep(self, place: tuple[Scope, str], feed: _Feed) -> None:
        """Read again and again, until nobody is left to be told."""
        failures = 0
        while feed.followers:
            visit = self._reader(feed)
            if visit is None:
                break
            feed.due.clear()
            began_s = asyncio.get_running_loop().time()
            seen = await self._read(feed, visit)
            if visit.ended:  # nobody else is told of a key that opens nothing any more
                continue
            feed.seen = seen
            feed.tell()
            took_s = asyncio.get_running_loop().time() - began_s
            failures = failures + 1 if feed.is_unanswered else 0
            usual_s = self._pause_s * (1 if feed.address.startswith(QUICK) else SLOWER)
            pause_s = max(usual_s * (1 + failures), took_s * SHARE)
            with suppress(TimeoutError):
                await asyncio.wait_for(feed.due.wait(), min(pause_s, LONGEST_PAUSE_S))
        if self._feeds.get(place) is feed:
            del self._feeds[place]

    def _reader(self, feed: _Feed) -> Visit | None:
        """Return somebody whose key may be used; those whose visit has ended are told so and left out.

        They take turns: a key that was revoked is found out though others read the same.
        """
        for number, follower in list(feed.followers.items()):
            if not self._visits.is_live(follower.visit):
                del feed.followers[number]
                follower.hear(feed.seen)
        if not feed.followers:
            return None
        number = next(iter(feed.followers))
        feed.followers[number] = follower = feed.followers.pop(number)
        return follower.visit

    async def _read(self, feed: _Feed, visit: Visit) -> Seen:
        path, _, query = feed.address.partition("?")
        try:
            async with self._seats:
                answer = await self._remote.read(path, key=visit.key, query=dict(parse_qsl(query)))
        except RefusedError as error:
            if error.status == HTTPStatus.UNAUTHORIZED:
                visit.ended = True
            return Seen(trouble=error.trouble)
        except UnreachableError as error:
            return replace(feed.seen, trouble=error.trouble)
        return Seen(data=answer.data, at=answer.at)


class _Feed:
    """One address, asked for one scope."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.seen = Seen()
        self.followers: dict[int, _Follower] = {}
        self.due = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    @property
    def is_unanswered(self) -> bool:
        """Whether the last reading had no answer."""
        return self.seen.trouble is not None and self.seen.trouble.status is None

    def tell(self) -> None:
        """Tell all of the last reading."""
        for follower in list(self.followers.values()):
            follower.hear(self.seen)
