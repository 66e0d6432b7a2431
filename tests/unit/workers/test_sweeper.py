"""Sweeping shard by shard, by one process at a time."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.store.memory.around import MemoryLeases
from tests.support.store_values import SHARDS
from tests.unit.workers.scene import ManualClock
from workers.sweeper import ShardSweeper
from workers.timing import SWEEP_LEASE


class Broom:
    """Notes which shards were swept."""

    def __init__(self) -> None:
        self.swept: list[int] = []
        self.failing: dict[int, Exception] = {}
        self.done = asyncio.Event()

    async def __call__(self, shard: int) -> int:
        if shard in self.failing:
            raise self.failing[shard]
        self.swept.append(shard)
        if len(self.swept) == SHARDS:
            self.done.set()
        return shard


class Street:
    """Leases and a clock for several sweepers."""

    def __init__(self) -> None:
        self.leases, self.clock, self.broom = MemoryLeases(), ManualClock(), Broom()

    def sweeper(self, holder: str) -> ShardSweeper:
        return ShardSweeper(self.broom, leases=self.leases, clock=self.clock, holder=holder, shards=SHARDS)


async def test_every_shard_is_swept() -> None:
    """One process alone sweeps them all, and says what the fullest of them had."""
    street = Street()
    most = await street.sweeper("one").sweep_all()

    assert (street.broom.swept, most) == ([0, 1, 2, 3], 3)


async def test_a_shard_is_swept_by_one_at_a_time() -> None:
    """The second finds nothing to do."""
    street = Street()
    await street.sweeper("one").sweep_all()
    await street.sweeper("two").sweep_all()

    assert street.broom.swept == [0, 1, 2, 3]


async def test_who_was_killed_is_replaced() -> None:
    """Its leases run out."""
    street = Street()
    await street.sweeper("one").sweep_all()
    street.clock.at += SWEEP_LEASE
    await street.sweeper("two").sweep_all()

    assert street.broom.swept == [0, 1, 2, 3, 0, 1, 2, 3]


async def test_who_stops_is_replaced_at_once() -> None:
    """Stopping gives the leases back."""
    street = Street()
    first, stopping = street.sweeper("one"), asyncio.Event()
    running = asyncio.create_task(first.run(stopping=stopping))
    await street.broom.done.wait()
    stopping.set()
    await running
    await street.sweeper("two").sweep_all()

    assert street.broom.swept == [0, 1, 2, 3, 0, 1, 2, 3]


async def test_a_shard_that_cannot_be_swept_stops_no_other() -> None:
    """A mistake of ours in one shard leaves the rest to be swept."""
    street = Street()
    street.broom.failing = {1: ValueError("a mistake of ours")}
    await street.sweeper("one").sweep_all()

    assert street.broom.swept == [0, 2, 3]


async def test_a_store_that_is_away_ends_the_round() -> None:
    """The loop waits, instead of asking it once per shard."""
    street = Street()
    street.broom.failing = {1: StoreUnavailableError(problem="away")}

    with pytest.raises(StoreUnavailableError):
        await street.sweeper("one").sweep_all()

    assert street.broom.swept == [0]
