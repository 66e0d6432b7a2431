"""Answers kept for a while in the port `Cache`, read once however many ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakValueDictionary

import msgspec
import structlog

from orchestrator.core.errors.store import StoreError
from orchestrator.core.ports.around import Cache, Clock
from orchestrator.core.session import Instant, Millis

log = structlog.get_logger(__name__)

Value = TypeVar("Value")


def _any(_: object) -> bool:
    return True


class Shelf:
    """Values in the shared cache as JSON. Within a process one caller reads while the others wait for what it finds."""

    def __init__(self, cache: Cache, *, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def kept(
        self,
        key: str,
        kind: type[Value],
        read: Callable[[], Awaitable[Value]],
        *,
        age: Millis,
        serves: Callable[[Value], bool] = _any,
    ) -> Value:
        """Return the value kept under `key`, else what `read` returns, which is then kept until `age` after its start.

        What is kept and does not serve is read anew, by one for all who wait. A failed reading is kept nowhere: the
        next who waits reads for itself. What was read is returned even when the cache cannot be told.
        """
        if (found := await self.find(key, kind)) is not None and serves(found):
            return found
        async with self._turns.setdefault(key, asyncio.Lock()):
            if (found := await self.find(key, kind)) is not None and serves(found):
                return found
            started = self._clock.now()
            value = await read()
            await self.keep(key, value, until=started + age)
            return value

    async def find(self, key: str, kind: type[Value]) -> Value | None:
        """Return what is kept under `key`, None when that is nothing, or nothing that can be read."""
        kept = await self._cache.get(key, now=self._clock.now())
        if kept is None:
            return None
        try:
            return msgspec.json.decode(kept, type=kind)
        except ValueError:
            log.warning("cache_unreadable", key=key)
            return None

    async def keep(self, key: str, value: object, *, until: Instant) -> None:
        """Keep a value that was read for another reason; a cache that is away is only noted."""
        try:
            await self._cache.put(key, msgspec.json.encode(value), now=self._clock.now(), until=until)
        except StoreError as error:
            log.warning("cache_not_told", key=key, problem=str(error))
