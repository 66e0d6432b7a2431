"""A worker shows that it lives, and what it has in hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.workers import WorkerReport
from orchestrator.store.memory.around import MemoryWorkerRoll
from tests.support.clocks import NOON, ManualClock
from workers.heartbeat import Heartbeat
from workers.timing import ROLL_KEPT

REPORT = WorkerReport(id="wk1", host="one", pid=7, started_at=NOON, seen_at=NOON)


class Busy:
    """Something that has so much under way."""

    def __init__(self, under_way: int) -> None:
        self.under_way = under_way


class AwayRoll(MemoryWorkerRoll):
    """A roll whose store does not answer."""

    async def report(self, report: WorkerReport) -> None:
        raise StoreUnavailableError(problem="no connection")

    async def leave(self, worker_id: str) -> None:
        raise StoreUnavailableError(problem="no connection")


def heartbeat(roll: MemoryWorkerRoll, clock: ManualClock) -> Heartbeat:
    """Return the heart of a worker with three checks and four deliveries in hand."""
    return Heartbeat(REPORT, roll=roll, checks=Busy(3), deliveries=Busy(4), clock=clock)


async def test_a_worker_says_what_it_has_in_hand_until_it_ends() -> None:
    """Each time anew; who was killed long ago is forgotten by those who live."""
    roll, clock = MemoryWorkerRoll(), ManualClock()
    await roll.report(replace(REPORT, id="wk0", seen_at=clock.now() - ROLL_KEPT - 1))
    heart = heartbeat(roll, clock)
    await heart.beat()

    assert await roll.all() == (replace(REPORT, seen_at=clock.now(), checks=3, deliveries=4),)
    await heart.leave()
    assert await roll.all() == ()


async def test_a_store_that_is_away_stops_no_worker() -> None:
    """It is told at the next beat."""
    heart = heartbeat(AwayRoll(), ManualClock())
    stopping = asyncio.Event()
    running = asyncio.create_task(heart.run(stopping=stopping))
    await asyncio.sleep(0)
    stopping.set()
    await running
    await heart.leave()

    assert running.exception() is None
