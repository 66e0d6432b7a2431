"""What the rounds say: ratios taken within a round, and their medians over the rounds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.lifecycle.load import TRANSITIONS, Load

HELLO, FLOOR, NAIVE = "hello", "floor", "naive"
ALWAYS, EVERYSEC, CALLING = "ours, always", "ours, everysec", "ours, calling"
OURS: Final = (ALWAYS, EVERYSEC, CALLING)
NAMES: Final = (HELLO, FLOOR, NAIVE, *OURS)

SOUND: Final = (0.40, 0.65)
"""Where floor ÷ hello lies on a machine that measures what it should; outside of it a run is void."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One contestant in one round: what its clients saw, and how long its process kept a CPU busy."""

    load: Load
    cpu_s: float

    @property
    def us_per_transition(self) -> float:
        """CPU time of the server's process, in microseconds a transition."""
        return self.cpu_s * 1e6 / (self.load.sessions * TRANSITIONS)

    def percentile_ms(self, percent: int) -> float:
        """Return a percentile of the time one transition took, in milliseconds."""
        return statistics.quantiles(self.load.durations_s, n=100, method="inclusive")[percent - 1] * 1000


Round = Mapping[str, Measurement]


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that was measured, round by round."""

    rounds: Sequence[Round]

    def ratios(self, name: str, rival: str) -> list[float]:
        """Return how many times as many sessions a second one did as the other, in each round."""
        return [one[name].load.sessions_per_s / one[rival].load.sessions_per_s for one in self.rounds]

    def ratio(self, name: str, rival: str) -> float:
        """Return the median of `ratios`."""
        return statistics.median(self.ratios(name, rival))

    def median(self, name: str, value: Callable[[Measurement], float]) -> float:
        """Return the median over the rounds of something measured of one contestant."""
        return statistics.median(value(one[name]) for one in self.rounds)

    @property
    def is_sound(self) -> bool:
        """Whether floor ÷ hello says that the machine, or the load, did not distort the rest."""
        lowest, highest = SOUND
        return lowest <= self.ratio(FLOOR, HELLO) <= highest

    def numbers(self) -> dict[str, float]:
        """Return what the last line shows: ours with `appendfsync always`, with `everysec`, and calling."""
        others = {
            f"{prefix}_{figure}": value
            for prefix, name in (("everysec", EVERYSEC), ("calling", CALLING))
            for figure, value in self._of(name).items()
        }
        return self._of(ALWAYS) | others | {"floor_to_hello": round(self.ratio(FLOOR, HELLO), 3)}

    def _of(self, name: str) -> dict[str, float]:
        return {
            "floor_ratio": round(self.ratio(name, FLOOR), 3),
            "naive_ratio": round(self.ratio(name, NAIVE), 3),
            "hello_ratio": round(self.ratio(name, HELLO), 3),
            "sessions_per_s": round(self.median(name, lambda one: one.load.sessions_per_s), 1),
            "p50_ms": round(self.median(name, lambda one: one.percentile_ms(50)), 2),
            "p99_ms": round(self.median(name, lambda one: one.percentile_ms(99)), 2),
            "us_per_transition": round(self.median(name, lambda one: one.us_per_transition), 1),
        }
