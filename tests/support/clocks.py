"""Time and ids that a test decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Final

from orchestrator.core.session import Instant, Millis

NOON: Final[Instant] = 1_790_000_000_000


@dataclass(slots=True)
class ManualClock:
    """A clock that moves when a test says so, or when somebody sleeps by it."""

    at: Instant = NOON
    naps: list[Millis] = field(default_factory=list)

    def now(self) -> Instant:
        """Return the present moment."""
        return self.at

    async def sleep(self, duration: Millis) -> None:
        """Let time pass as a sleeper would, at once."""
        self.naps.append(duration)
        self.advance(duration)

    def advance(self, duration: Millis) -> None:
        """Let time pass."""
        self.at += duration


class CountedIds:
    """Ids one after the other, as long as real ones."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new(self, prefix: str) -> str:
        """Return the next id."""
        return f"{prefix}{next(self._numbers):020d}"
