"""Named leases in a Redis-protocol store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.ports.around import Leases
from orchestrator.core.session import Instant
from orchestrator.store import keys
from orchestrator.store.scripts import Call, Scripts


class RedisLeases:
    """`Leases` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def acquire(self, name: str, *, holder: str, now: Instant, until: Instant) -> bool:
        """Take or prolong the lease; False while somebody else has it."""
        return bool(await self._scripts.call(Call("acquire_lease", [keys.lease(name)], [holder, now, until])))

    async def release(self, name: str, *, holder: str) -> None:
        """Free it, if it is ours."""
        await self._scripts.call(Call("release_lease", [keys.lease(name)], [holder]))


if TYPE_CHECKING:
    _: type[Leases] = RedisLeases
