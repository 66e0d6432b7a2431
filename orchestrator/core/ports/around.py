"""Time, chance, and what processes share beside what they keep."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from orchestrator.core.session import Instant, Millis


class Clock(Protocol):
    """The time, as everybody who shares the store sees it."""

    def now(self) -> Instant:
        """Return the present moment."""
        ...

    async def sleep(self, duration: Millis) -> None:
        """Come back after this long."""
        ...


class Ids(Protocol):
    """Where new ids come from."""

    def new(self, prefix: str) -> str:
        """Return `prefix` followed by at least 20 random lower-case letters and digits."""
        ...


class Cache(Protocol):
    """Answers worth keeping for a while, shared by all processes. Losing any of it loses nothing."""

    async def get(self, key: str, *, now: Instant) -> bytes | None:
        """Return what was put, unless its time is over."""
        ...

    async def put(self, key: str, value: bytes, *, now: Instant, until: Instant) -> None:
        """Keep this until then."""
        ...


class Subscription(Protocol):
    """Somebody who wants to know that something changed."""

    async def changed(self, *, timeout: Millis) -> bool:
        """Wait for a change since the last call (or since subscribing); False when none came in time.

        After the store was away this returns True once, so the caller reads again.
        """
        ...

    def wake(self) -> None:
        """Let `changed` return True, as if there had been a change."""
        ...


class Changes(Protocol):
    """News of commits. News may be missed only together with the store; `changed` then says True."""

    def session(self, session_id: str) -> AbstractAsyncContextManager[Subscription]:
        """Subscribe to one session's commits, and to the ends of the checks that it waits on."""
        ...

    def due(self) -> AbstractAsyncContextManager[Subscription]:
        """Subscribe to watches becoming due at once."""
        ...

    def outgoing(self) -> AbstractAsyncContextManager[Subscription]:
        """Subscribe to outboxes being empty no more."""
        ...


class Leases(Protocol):
    """Named leases for loops of which one at a time is enough."""

    async def acquire(self, name: str, *, holder: str, now: Instant, until: Instant) -> bool:
        """Take or prolong the lease; False while somebody else has it."""
        ...

    async def release(self, name: str, *, holder: str) -> None:
        """Free it, if it is ours."""
        ...
