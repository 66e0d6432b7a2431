"""An event loop in simulated time: it waits for real answers, and jumps over everything else."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable

from orchestrator.core.session import Instant, Millis

BEGINNING: Instant = 1_800_000_000_000
"""Simulated time begins at this moment."""

SHORTEST_JUMP_S = 1e-6
"""Shorter ones might be lost in rounding, and time stand still."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs asyncio in simulated time.

    `is_waiting` says whether an answer from outside (a store) is under way: as long as one is, time stands still and
    the loop waits for it in real time. Otherwise time jumps to the next thing that is planned. Everything that uses
    the loop's clock, time limits of asyncio included, lives in simulated time.
    """

    def __init__(self, *, is_waiting: Callable[[], bool]) -> None:
        self._time_s = 0.0
        super().__init__(_JumpingSelector(self, is_waiting))

    def time(self) -> float:
        """Return simulated seconds since the beginning."""
        return self._time_s

    def jump(self, duration_s: float) -> None:
        """Let this much time pass."""
        self._time_s += max(duration_s, SHORTEST_JUMP_S)


class VirtualClock:
    """The product's clock in a `VirtualTimeLoop`."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop

    def now(self) -> Instant:
        """Return the present simulated moment."""
        return BEGINNING + round(self._loop.time() * 1000)

    async def sleep(self, duration: Millis) -> None:
        """Come back after this long in simulated time."""
        await asyncio.sleep(duration / 1000)


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop, is_waiting: Callable[[], bool]) -> None:
        super().__init__()
        self._loop = loop
        self._is_waiting = is_waiting

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if self._is_waiting():
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout is not None:
            self._loop.jump(timeout)
        if not ready and timeout is None:
            raise RuntimeError("nothing is planned and no answer is under way: the simulation would stand still")
        return ready
