"""The fallback benchmark's world, small: the whole product in simulated time, on the real store."""

import math
from collections.abc import Callable

from rich.console import Console

from bench.fallback.__main__ import naive, ours
from bench.fallback.world import Visit, visits

WORLD = list(visits(seed=7, per_minute=8, minutes=3))
QUIET = Console(quiet=True)


def test_nobody_is_refused_and_nothing_is_wrong_or_lost() -> None:
    """Under Zapier's limits every login is found, by the step it belongs to."""
    run = ours(WORLD, QUIET)

    assert (run.refused, run.wrong, run.lost) == (0, 0, 0)
    assert sum(visit.login_s is not None for visit in WORLD) == len(run.delays) + run.kept


def test_two_runs_of_one_world_find_everything_at_the_same_moments() -> None:
    """The simulation depends on its seed alone, so its figures can be repeated."""
    first, second = ours(WORLD[:8], QUIET), ours(WORLD[:8], QUIET)

    assert first.delays == second.delays


def test_the_naive_loop_is_refused_in_the_same_world() -> None:
    """The rival is a real one: it does find results, and it does run into the limit."""
    run = naive(WORLD, QUIET)

    assert run.refused > 0
    assert len(run.delays) > len(WORLD) / 2


def test_a_world_is_drawn_as_described() -> None:
    """The shares of givers-up, lost messages and returning users are those the benchmark states."""
    drawn = list(visits(seed=1, per_minute=60, minutes=60))
    done = [visit for visit in drawn if visit.login_s is not None]
    lost = [visit for visit in done if not visit.has_message]

    assert _close(1 - len(done) / len(drawn), 0.15)
    assert _close(len(lost) / len(done), 0.40)
    assert _close(_share(lost, lambda visit: visit.returns_s is not None), 0.80)
    assert _close(_share(drawn, lambda visit: visit.closed_s is not None), 1 / 3)
    assert _close(_share(drawn, lambda visit: visit.look_s is not None), 0.20)


def _share(drawn: list[Visit], has: Callable[[Visit], bool]) -> float:
    return sum(map(has, drawn)) / len(drawn)


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, abs_tol=0.03)
