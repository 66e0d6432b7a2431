"""Who in this process waits for which news."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.core.session import Millis


class Listener:
    """One subscription: remembers that there was news until it is asked."""

    def __init__(self) -> None:
        self._news = asyncio.Event()

    def wake(self) -> None:
        """There is news."""
        self._news.set()

    async def changed(self, *, timeout: Millis) -> bool:
        """Wait for news since the last call (or since subscribing); False when none came in time."""
        try:
            async with asyncio.timeout(timeout / 1_000):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True


class Switchboard:
    """The listeners of one process, by topic."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)

    @contextmanager
    def listening(self, topic: str) -> Iterator[Listener]:
        """Have a listener to this topic."""
        listener = Listener()
        self._listeners[topic].add(listener)
        try:
            yield listener
        finally:
            self._listeners[topic].discard(listener)
            if not self._listeners[topic]:
                del self._listeners[topic]

    def wake(self, topic: str) -> None:
        """Tell everybody who listens to this topic."""
        for listener in self._listeners.get(topic, ()):
            listener.wake()

    def wake_all(self) -> None:
        """Tell everybody: news may have been missed."""
        for topic in self._listeners:
            self.wake(topic)
