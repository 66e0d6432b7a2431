"""Running batches: bounded, apart from each other, and never with permits that are void."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.upstream import Upstream
from orchestrator.core.ports.workers import CheckBatch
from orchestrator.core.session import WatchKey
from orchestrator.store.limits import Limits
from tests.support.store_values import NOON, TENANT
from tests.unit.workers.scene import ManualClock
from workers.checker import BatchChecker
from workers.timing import LEASE_MARGIN


class Gate:
    """Checks that stand still until they are let through, or fail as they are told to."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.most = 0
        self.failing: dict[str, Exception] = {}

    async def check(self, key: WatchKey, *, token: str, permits: Sequence[Permit]) -> bool:
        self.begun.append(key.user_id)
        self.most = max(self.most, len(self.begun) - len(self.ended))
        try:
            if key.user_id in self.failing:
                raise self.failing[key.user_id]
            await self.open.wait()
        finally:
            self.ended.append(key.user_id)
        return True


class Returned:
    """An upstream to which permits are given back."""

    def __init__(self) -> None:
        self.permits: list[str] = []

    async def give_back(self, permits: Sequence[Permit]) -> None:
        self.permits.extend(permit.id for permit in permits)


class Stage:
    """A batch checker, its checks, its clock."""

    def __init__(self, *, most_at_once: int = 32, limits: Limits | None = None) -> None:
        self.gate, self.returned, self.clock = Gate(), Returned(), ManualClock()
        self.checks = BatchChecker(
            self.gate,
            upstream=cast("Upstream", self.returned),
            clock=self.clock,
            limits=limits or Limits(),
            most_at_once=most_at_once,
        )


def a_batch(*users: str, start_by: int = NOON + 15_000) -> CheckBatch:
    """Return a batch with one watch per user; a permit is named after its user."""
    watches = tuple(
        (
            WatchKey(tenant_id=TENANT, user_id=user, app_id="app"),
            (Permit(id=f"for {user}", egress="here", partner="p", start_by=start_by),),
        )
        for user in users
    )
    return CheckBatch(token="ck1", watches=watches)


async def test_checks_of_a_batch_run_at_the_same_time() -> None:
    """A slow answer keeps nobody else waiting."""
    stage = Stage()
    await stage.checks.admit(a_batch("a", "b", "c"))
    await asyncio.sleep(0)

    assert (stage.gate.begun, stage.gate.ended) == (["a", "b", "c"], [])
    stage.gate.open.set()
    await stage.checks.drain()


async def test_a_batch_is_admitted_before_the_one_before_it_has_ended() -> None:
    """One hanging call must not hold up strong signals that come later."""
    stage = Stage()
    await stage.checks.admit(a_batch("slow"))
    await stage.checks.admit(a_batch("quick"))
    await asyncio.sleep(0)

    assert stage.gate.begun == ["slow", "quick"]
    stage.gate.open.set()
    await stage.checks.drain()


async def test_no_more_checks_run_at_once_than_there_are_places() -> None:
    """The rest begins as places become free."""
    stage = Stage(most_at_once=2)
    running = asyncio.create_task(stage.checks.run(a_batch("a", "b", "c", "d", "e")))
    for _ in range(10):
        await asyncio.sleep(0)
    stage.gate.open.set()
    await running

    assert stage.gate.most == 2
    assert stage.gate.ended == ["a", "b", "c", "d", "e"]


async def test_a_failing_check_stops_no_other() -> None:
    """Neither the store's failures nor our own reach the rest of the batch."""
    stage = Stage()
    stage.gate.open.set()
    stage.gate.failing = {"a": StoreUnavailableError(problem="away"), "b": ValueError("a mistake of ours")}
    await stage.checks.run(a_batch("a", "b", "c"))

    assert stage.gate.ended == ["a", "b", "c"]


async def test_a_check_that_comes_too_late_gives_its_permits_back() -> None:
    """A permit is not used after its start_by."""
    stage = Stage()
    stage.clock.at = NOON + 15_001
    await stage.checks.run(a_batch("late"))

    assert (stage.gate.begun, stage.returned.permits) == ([], ["for late"])


async def test_permits_that_were_void_before_a_place_became_free_are_given_back() -> None:
    """Waiting for a place counts as well."""
    stage = Stage(most_at_once=1)
    await stage.checks.admit(a_batch("first"))
    waiting = asyncio.create_task(stage.checks.run(a_batch("second")))
    await asyncio.sleep(0)
    stage.clock.at = NOON + 15_001
    stage.gate.open.set()
    await waiting

    assert (stage.gate.begun, stage.returned.permits) == (["first"], ["for second"])


async def test_a_check_ends_when_its_time_is_over() -> None:
    """A check that hangs gives its place to others."""
    stage = Stage(limits=Limits(call_limit=10 - LEASE_MARGIN))
    await stage.checks.run(a_batch("hanging"))

    assert stage.gate.ended == ["hanging"]
