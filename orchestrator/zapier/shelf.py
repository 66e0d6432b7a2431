"""Answers kept for a while in the port `Cache`, read once however many ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakValueDictionary

import msgspec
import structlog

from orchestrator.core.errors import StoreError
from orchestrator.core.ports import Cache, Clock
from orchestrator.core.session import Millis

log = structlog.get_logger(__name__)

Value = TypeVar("Value")


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
        fresh: bool = False,
    ) -> Value:
        """Return the value kept under `key`, else what `read` returns, which is then kept until `age` after its start.

        `fresh` reads whatever is kept. A failed reading is kept nowhere: the next who waits reads for itself. What was
        read is returned even when the cache cannot be told.
        """
        if not fresh and (found := await self._find(key, kind)) is not None:
            return found
        async with self._turns.setdefault(key, asyncio.Lock()):
            if not fresh and (found := await self._find(key, kind)) is not None:
                return found
            started = self._clock.now()
            value = await read()
            await self._keep(key, value, until=started + age)
            return value

    async def _find(self, key: str, kind: type[Value]) -> Value | None:
        kept = await self._cache.get(key, now=self._clock.now())
        if kept is None:
            return None
        try:
            return msgspec.json.decode(kept, type=kind)
        except ValueError:
            log.warning("cache_unreadable", key=key)
            return None

    async def _keep(self, key: str, value: object, *, until: Millis) -> None:
        try:
            await self._cache.put(key, msgspec.json.encode(value), now=self._clock.now(), until=until)
        except StoreError as error:
            log.warning("cache_not_told", key=key, problem=str(error))
