"""Who comes, and what they do: drawn once from a seed, the same for everybody who is measured."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

LOGIN_MEDIAN_S = 50.0
LOGIN_SIGMA = 0.8
GIVE_UP = 0.15
LOSE_MESSAGE = 0.40
RETURN_TO_PAGE = 0.80
FALSE_CLOSED = 1 / 3
LOOK_MIDWAY = 1 / 5
OTHER_CALLS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One user who opens one popup; times in seconds.

    `login_s` is None for one who gives up silently. `returns_s` is how long after finishing the page has the focus
    again, None for one who never returns to it. `closed_s` and `look_s` are after opening.
    """

    user: str
    tenant: str
    arrives_s: float
    login_s: float | None
    has_message: bool
    returns_s: float | None
    closed_s: float | None
    look_s: float | None


def visits(
    *, seed: int, per_minute: float, minutes: float, begin_s: float = 0.0, tenants: dict[str, float] | None = None
) -> Iterator[Visit]:
    """Draw visits: Poisson arrivals, all different users. `tenants` gives each tenant's share of them."""
    chance = random.Random(seed)
    shares = tenants or {"default": 1.0}
    at = begin_s
    number = 0
    while (at := at + chance.expovariate(per_minute / 60)) < begin_s + minutes * 60:
        number += 1
        login_s = LOGIN_MEDIAN_S * math.exp(chance.gauss(0, LOGIN_SIGMA))
        gives_up = chance.random() < GIVE_UP
        has_message = chance.random() >= LOSE_MESSAGE
        returns_s = chance.uniform(1, 5) if chance.random() < RETURN_TO_PAGE else None
        closed_s = chance.uniform(0, 10) if chance.random() < FALSE_CLOSED else None
        look_s = chance.uniform(0.2, 0.8) * login_s if chance.random() < LOOK_MIDWAY else None
        yield Visit(
            user=f"u{seed}-{number}",
            tenant=chance.choices(list(shares), list(shares.values()))[0],
            arrives_s=at,
            login_s=None if gives_up else login_s,
            has_message=has_message,
            returns_s=returns_s,
            closed_s=closed_s,
            look_s=look_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one visit: when its login was done and when that was known, in seconds.

    `is_kept`: not resolved, but the page offers the right authentication as soon as its user looks at it again.
    """

    visit: Visit
    done_s: float | None = None
    resolved_s: float | None = None
    is_wrong: bool = False
    is_kept: bool = False

    @property
    def delay_s(self) -> float | None:
        """From login done to resolved."""
        if self.done_s is None or self.resolved_s is None:
            return None
        return max(0.0, self.resolved_s - self.done_s)

    @property
    def is_lost(self) -> bool:
        """Whether a login was done in vain."""
        return self.done_s is not None and self.resolved_s is None and not self.is_kept
