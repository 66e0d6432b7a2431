"""The shared cache in a Redis-protocol store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.core.ports.around import Cache
from orchestrator.core.session import Instant
from orchestrator.store import keys
from orchestrator.store.scripts import Scripts

_UNTIL_SIZE: Final = 8


class RedisCache:
    """`Cache` on a Redis-protocol server.

    Until when a value is good is written before it, and compared with the caller's time; the server's own expiry only
    clears away.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def get(self, key: str, *, now: Instant) -> bytes | None:
        """Return what was put, unless its time is over."""
        (kept,) = await self._scripts.run(("GET", keys.cached(key)))
        if kept is None or int.from_bytes(kept[:_UNTIL_SIZE]) <= now:
            return None
        return bytes(kept[_UNTIL_SIZE:])

    async def put(self, key: str, value: bytes, *, now: Instant, until: Instant) -> None:
        """Keep this until then."""
        kept = until.to_bytes(_UNTIL_SIZE) + value
        await self._scripts.run(("SET", keys.cached(key), kept, "PX", max(1, until - now)))


if TYPE_CHECKING:
    _: type[Cache] = RedisCache
