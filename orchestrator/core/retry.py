"""How long to leave Zapier alone after it failed to answer."""

from __future__ import annotations

from orchestrator.core.session import MINUTE, SECOND, Instant, Millis

FIRST: Millis = 2 * SECOND
LONGEST: Millis = 2 * MINUTE


def retry_at(failures: int, *, now: Instant, jitter: float) -> Instant:
    """Return when to try again after that many failures in a row (1 is the first).

    Waits double up to two minutes; `jitter` from 0 to 1 adds up to a quarter, so that many watches that failed
    together do not come back together.
    """
    wait = min(LONGEST, FIRST << min(failures - 1, 16))
    return now + round(wait * (1 + jitter / 4))
