"""How long Zapier is left alone after failures."""

from orchestrator.core.retry import FIRST, LONGEST, retry_at


def test_waits_double_up_to_the_longest() -> None:
    """Failures in a row are answered with patience, but not without end."""
    waits = [retry_at(failures, now=0, jitter=0.0) for failures in (1, 2, 3, 30)]

    assert waits == [FIRST, 2 * FIRST, 4 * FIRST, LONGEST]


def test_jitter_adds_up_to_a_quarter() -> None:
    """Watches that failed together do not come back together."""
    assert retry_at(1, now=100, jitter=1.0) == 100 + FIRST + FIRST // 4
