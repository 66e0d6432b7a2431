"""Loops go on, and wait longer the longer something fails."""

from __future__ import annotations

import asyncio

from orchestrator.core.errors.store import StoreUnavailableError
from workers.patience import Patience, repeat


def test_waits_double_up_to_the_longest() -> None:
    """A store that stays away is asked less and less often, but never given up."""
    patience = Patience(first=250, longest=1_500)
    waits = [patience.wait() for _ in range(5)]

    assert waits == [250, 500, 1_000, 1_500, 1_500]


def test_after_a_success_waits_begin_anew() -> None:
    """The next failure is a first one."""
    patience = Patience(first=250, longest=1_500)
    patience.wait()
    patience.reset()

    assert patience.wait() == 250


async def test_a_loop_outlives_its_failures() -> None:
    """Whatever a turn raises, the next one comes."""
    stopping = asyncio.Event()
    failures: list[Exception] = [StoreUnavailableError(problem="away"), ValueError("a mistake of ours")]

    async def turn() -> None:
        if failures:
            raise failures.pop()
        stopping.set()

    await repeat(turn, name="test", stopping=stopping, patience=Patience(first=1, longest=2))

    assert failures == []


async def test_a_loop_that_is_stopped_does_not_wait() -> None:
    """Stopping ends a wait after a failure at once."""
    stopping = asyncio.Event()

    async def turn() -> None:
        stopping.set()
        raise StoreUnavailableError(problem="away")

    async with asyncio.timeout(20):
        await repeat(turn, name="test", stopping=stopping, patience=Patience(first=10**9, longest=10**9))

    assert stopping.is_set()
