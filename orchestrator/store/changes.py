"""News of commits from a Redis-protocol server: one subscribing connection for each kind of news that a process wants.

Of sessions there is news with every commit of everybody, of work only when it begins: who waits for the one does not
read the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from orchestrator.core.ports.around import Changes, Subscription
from orchestrator.core.session import SECOND, Millis
from orchestrator.store import keys
from orchestrator.store.scripts import Client
from orchestrator.store.switchboard import Switchboard

ENTRY_LIMIT: Final[Millis] = 1 * SECOND
SILENCE_LIMIT: Final[Millis] = 15 * SECOND
PONG_LIMIT: Final[Millis] = 5 * SECOND
FIRST_PAUSE: Final[Millis] = 100
LONGEST_PAUSE: Final[Millis] = 1 * SECOND


class RedisChanges:
    """`Changes` on a Redis-protocol server.

    A connection is made when somebody first listens to news of its kind. While it is lost it is sought again; once it
    is there, everybody who listens is told that something may have changed.
    """

    def __init__(
        self, redis: Client, *, silence_limit: Millis = SILENCE_LIMIT, pong_limit: Millis = PONG_LIMIT
    ) -> None:
        limits = {"silence_limit": silence_limit, "pong_limit": pong_limit}
        self._of_sessions = _Hearing(redis, [f"{keys.CHANGED}*"], **limits)
        self._of_work = _Hearing(redis, [keys.DUE, keys.OUTGOING], **limits)

    def session(self, session_id: str) -> AbstractAsyncContextManager[Subscription]:
        """Subscribe to one session's commits."""
        return self._of_sessions.listening(keys.CHANGED + session_id)

    def due(self) -> AbstractAsyncContextManager[Subscription]:
        """Subscribe to watches becoming due at once."""
        return self._of_work.listening(keys.DUE)

    def outgoing(self) -> AbstractAsyncContextManager[Subscription]:
        """Subscribe to outboxes being empty no more."""
        return self._of_work.listening(keys.OUTGOING)

    async def aclose(self) -> None:
        """Hear no more; whoever listens still is told nothing any more."""
        await self._of_sessions.aclose()
        await self._of_work.aclose()


class _Hearing:
    """A connection that hears what is published under some patterns, and who listens to that."""

    def __init__(self, redis: Client, patterns: Sequence[str], *, silence_limit: Millis, pong_limit: Millis) -> None:
        self._redis = redis
        self._patterns = patterns
        self._silence_limit = silence_limit
        self._pong_limit = pong_limit
        self._switchboard = Switchboard()
        self._connected = asyncio.Event()
        self._hearing: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def listening(self, topic: str) -> AsyncIterator[Subscription]:
        """Listen to this topic."""
        await self._be_connected()
        with self._switchboard.listening(topic) as listener:
            yield listener

    async def aclose(self) -> None:
        """Hear no more."""
        if self._hearing is not None:
            self._hearing.cancel()
            with suppress(asyncio.CancelledError):
                await self._hearing
            self._hearing = None
            self._connected.clear()

    async def _be_connected(self) -> None:
        """Wait a moment for the connection; who then listens without one is told as soon as it is there."""
        if self._hearing is None:
            self._hearing = asyncio.create_task(self._hear_always())
        elif self._hearing.done():
            self._hearing.result()
        with suppress(TimeoutError):
            async with asyncio.timeout(ENTRY_LIMIT / SECOND):
                await self._connected.wait()

    async def _hear_always(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await self._subscribe(pubsub)
                    pause = FIRST_PAUSE
                    self._connected.set()
                    self._switchboard.wake_all()
                    await self._hear(pubsub)
            except (RedisError, OSError):
                self._connected.clear()
                if _is_cancelled():  # and hanging up failed, which hides that
                    return
                await asyncio.sleep(pause / SECOND)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _subscribe(self, pubsub: PubSub) -> None:
        """Subscribe, and know that the server has done it."""
        await pubsub.psubscribe(*self._patterns)
        for _ in self._patterns:
            if await pubsub.get_message(timeout=self._pong_limit / SECOND) is None:
                raise RedisTimeoutError("a subscription was not confirmed")

    async def _hear(self, pubsub: PubSub) -> None:
        """Pass news on until the connection is lost, or does not even answer a ping."""
        is_asked = False
        while True:
            limit = self._pong_limit if is_asked else self._silence_limit
            message = await pubsub.get_message(timeout=limit / SECOND)
            if message is None and is_asked:
                raise RedisTimeoutError("a ping was not answered")
            is_asked = message is None
            if message is None:
                await pubsub.ping()
            elif message["type"] == "pmessage":
                self._switchboard.wake(message["channel"].decode())


def _is_cancelled() -> bool:
    """Tell whether the running task was told to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


if TYPE_CHECKING:
    _: type[Changes] = RedisChanges
