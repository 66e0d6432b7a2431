"""How much may be asked of Zapier, and for how long a call counts."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.ports.budget import Share
from orchestrator.core.session import MINUTE, SECOND, Instant, Millis

UNLIMITED = 0
STRONG_RESERVE = 3
QUIET_RESERVE = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Zapier's limits per IP address and per partner (Zapier docs: rate limits), and our share of them.

    `egress` and `partner` are permits per `window` (0: no limit on that side). A permit is not used later than
    `start_delay` after it was taken, and its call takes at most `call_limit`: so an unanswered one may count at Zapier
    until `start_delay + call_limit + window`. The reserves are what `Share.STRONG` and `Share.QUIET` leave to takers
    more urgent than themselves. `user` is how many permits what one user does may hold, so that no page can use up what
    others wait on (0: as many as there are).

    Raises ValueError when a reserve leaves nothing, or quiet checks would be served before strong ones.
    """

    egress: int = 60
    partner: int = 150
    user: int = 30
    window: Millis = MINUTE
    start_delay: Millis = 15 * SECOND
    call_limit: Millis = 10 * SECOND
    strong_reserve: int = STRONG_RESERVE
    quiet_reserve: int = QUIET_RESERVE

    def __post_init__(self) -> None:
        if not 0 <= self.strong_reserve <= self.quiet_reserve:
            raise ValueError("the quiet reserve must not be smaller than the strong one")
        for limit in (self.egress, self.partner):
            if limit != UNLIMITED and limit <= self.quiet_reserve:
                raise ValueError(f"a reserve of {self.quiet_reserve} leaves nothing of a limit of {limit}")

    def reserve(self, share: Share) -> int:
        """Return how many permits a taker of this share leaves to others."""
        return {Share.INTERACTIVE: 0, Share.STRONG: self.strong_reserve, Share.QUIET: self.quiet_reserve}[share]

    def start_by(self, now: Instant) -> Instant:
        """Say until when a permit taken now may be used."""
        return now + self.start_delay

    def held_unanswered(self, now: Instant) -> Instant:
        """Say until when a permit taken now is held if nobody ever says what became of its call."""
        return now + self.start_delay + self.call_limit + self.window

    def held_answered(self, now: Instant) -> Instant:
        """Say until when a permit is held whose call was answered now."""
        return now + self.window
