"""Rate limits: so many requests in any window, then a time in which every request is refused.

Per address and per partner, over all endpoints together (Zapier docs: rate-limiting). The window slides: at any moment
the requests admitted in the last `window_ms` count, those refused do not. Time is an argument.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from simulator.switches import Limits


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is answered with 429, and until when there will be no other answer."""

    limit: int
    until: int  #: Unix ms


@dataclass(frozen=True, slots=True)
class Usage:
    """How one address or partner has used the service."""

    in_window: int  #: requests in the window that ends now, refused ones among them
    most_in_window: int  #: the most there ever were in one window
    refused: int
    cooldown_until: int | None  #: Unix ms


class Meter:
    """The requests of one address or one partner."""

    __slots__ = ("_admitted", "_arrived", "cooldown_until", "most", "refused")

    def __init__(self) -> None:
        self._admitted: deque[int] = deque()
        self._arrived: deque[int] = deque()
        self.cooldown_until = 0
        self.most = 0
        self.refused = 0

    def arrive(self, now: int, *, window_ms: int) -> None:
        """Note that a request came."""
        _forget(self._admitted, now - window_ms)
        _forget(self._arrived, now - window_ms)
        self._arrived.append(now)
        self.most = max(self.most, len(self._arrived))

    def is_cooling(self, now: int) -> bool:
        """Whether a cooldown is under way."""
        return now < self.cooldown_until

    def is_full(self, limit: int) -> bool:
        """Whether the window holds as many requests as it may."""
        return len(self._admitted) >= limit

    def admit(self, now: int) -> None:
        """Count a request that is served."""
        self._admitted.append(now)

    def usage(self, now: int, *, window_ms: int) -> Usage:
        """Return how it was used."""
        _forget(self._arrived, now - window_ms)
        until = self.cooldown_until if self.is_cooling(now) else None
        return Usage(len(self._arrived), self.most, self.refused, until)


class RateLimits:
    """Every address's and every partner's meter."""

    def __init__(self) -> None:
        self.addresses: Final[dict[str, Meter]] = {}
        self.partners: Final[dict[str, Meter]] = {}

    def reset(self) -> None:
        """Forget every request."""
        self.addresses.clear()
        self.partners.clear()

    def admit(self, limits: Limits, *, address: str, partner: str | None, now: int) -> Refusal | None:
        """Count a request that came at `now`: None if it may be served.

        A request that either limit refuses fills neither window. One beyond a limit begins that limit's cooldown; with
        `cooldown_extends` each further one begins it again. A limit of 0 admits everything, also during a cooldown.
        """
        meters = [(self.addresses.setdefault(address, Meter()), limits.ip)]
        if partner is not None:
            meters.append((self.partners.setdefault(partner, Meter()), limits.partner))
        for meter, _ in meters:
            meter.arrive(now, window_ms=limits.window_ms)
        refusal = max(_refusals(meters, limits, now), key=lambda found: found.until, default=None)
        for meter, _ in meters:
            if refusal is None:
                meter.admit(now)
            else:
                meter.refused += 1
        return refusal


def _refusals(meters: list[tuple[Meter, int]], limits: Limits, now: int) -> Iterator[Refusal]:
    """Say which limits refuse a request that comes now, beginning cooldowns."""
    for meter, limit in meters:
        if limit == 0:
            continue
        cooling = meter.is_cooling(now)
        if not cooling and not meter.is_full(limit):
            continue
        if not cooling or limits.cooldown_extends:
            meter.cooldown_until = now + limits.cooldown_ms
        yield Refusal(limit, meter.cooldown_until)


def _forget(times: deque[int], before: int) -> None:
    while times and times[0] <= before:
        times.popleft()
