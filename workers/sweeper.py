"""The sweeper: brings about what time alone brings about, shard by shard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from orchestrator.core.errors.store import StoreError, StoreUnavailableError
from orchestrator.core.ports.around import Clock, Leases
from orchestrator.sweeping import MOST_AT_ONCE
from workers.patience import Patience, repeat, rest
from workers.timing import SWEEP_LEASE, SWEEP_PAUSE

log = structlog.get_logger(__name__)

Sweep = Callable[[int], Awaitable[int]]
"""Sweeps one shard once and says how many sessions it looked at (`orchestrator.sweeping.Sweeper.sweep`)."""


class ShardSweeper:
    """Sweeps every shard of which nobody else is the sweeper just now.

    Any number may run at the same time; `holder` tells them apart. The leases only save work: sweeping twice is fine.
    """

    def __init__(self, sweep: Sweep, *, leases: Leases, clock: Clock, holder: str, shards: int) -> None:
        self._sweep = sweep
        self._leases = leases
        self._clock = clock
        self._holder = holder
        self._shards = shards
        self._held: set[int] = set()

    async def run(self, *, stopping: asyncio.Event) -> None:
        """Sweep all shards every few seconds until we are stopping; then leave them to others."""

        async def turn() -> None:
            if await self.sweep_all() < MOST_AT_ONCE:
                await rest(SWEEP_PAUSE, stopping=stopping)

        await repeat(turn, name="sweeper", stopping=stopping, patience=Patience())
        await self._release()

    async def sweep_all(self) -> int:
        """Sweep each shard once; returns the most sessions that one shard had. Raises StoreUnavailableError."""
        most = 0
        for shard in range(self._shards):
            if await self._acquire(shard):
                most = max(most, await self._sweep_one(shard))
        return most

    async def _sweep_one(self, shard: int) -> int:
        try:
            return await self._sweep(shard)
        except StoreUnavailableError:
            raise
        except Exception:
            log.exception("sweep_failed", shard=shard)
            return 0

    async def _acquire(self, shard: int) -> bool:
        now = self._clock.now()
        is_ours = await self._leases.acquire(_lease(shard), holder=self._holder, now=now, until=now + SWEEP_LEASE)
        (self._held.add if is_ours else self._held.discard)(shard)
        return is_ours

    async def _release(self) -> None:
        try:
            for shard in sorted(self._held):
                await self._leases.release(_lease(shard), holder=self._holder)
        except StoreError as error:
            log.warning("sweeper_not_released", problem=str(error))


def _lease(shard: int) -> str:
    return f"sweeper:{shard:02x}"
