"""How long things may take in a worker."""

from __future__ import annotations

from typing import Final

from orchestrator.core.session import MINUTE, SECOND, Millis
from orchestrator.store.limits import Limits

LEASE_MARGIN: Final[Millis] = 5 * SECOND
"""What a check may take beside its calls."""

TICK_IDLE: Final[Millis] = 250
"""How soon a watch that becomes due by time alone is seen."""

TICK_SPACING: Final[Millis] = 50
"""News that come closer together than this are looked at together: then one batch carries what many jobs would."""

ALIVE_PAUSE: Final[Millis] = 5 * SECOND
"""How often a worker shows that its loop turns."""

HEARTBEAT: Final[Millis] = 5 * SECOND
"""How often a worker reports to the roll."""

ROLL_KEPT: Final[Millis] = 60 * MINUTE
"""How long a worker that was killed stays on the roll."""

SAMPLE_PAUSE: Final[Millis] = 10 * SECOND
"""How often what only the store knows is read for the metrics."""

SWEEP_PAUSE: Final[Millis] = 5 * SECOND
SWEEP_LEASE: Final[Millis] = 30 * SECOND

FIRST_PAUSE: Final[Millis] = 250
LONGEST_PAUSE: Final[Millis] = 5 * SECOND
"""Waits after failures double from the one to the other."""

JOB_KEPT: Final[Millis] = 5 * MINUTE
"""How long a batch that nobody fetches stays in the queue; its permits are long void then."""

FAILURE_KEPT: Final[Millis] = MINUTE


def check_limit(limits: Limits, *, pages: int) -> Millis:
    """Return how long a check of so many pages may take."""
    return max(1, pages) * limits.call_limit + LEASE_MARGIN


def lease_length(limits: Limits, *, pages: int) -> Millis:
    """Return how long a watch is leased: until its check has surely ended, begun as late as its permits allow."""
    return limits.start_delay + check_limit(limits, pages=pages)
