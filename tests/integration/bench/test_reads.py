"""The benchmark of what operators ask, a tenth of its size: every answer is true, and what was measured is printed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import Final

import pytest

from bench.reads.__main__ import p99
from bench.reads.lives import APPS, LIVES, SPREAD, TENANTS, life

SESSIONS: Final = 10_000
WITHIN_S: Final = 240
NOW: Final = 1_790_000_000_000


@pytest.mark.slow
@pytest.mark.timeout(WITHIN_S + 30)
def test_every_question_is_answered_truly() -> None:
    """Real processes, and a store whose sessions were each written by the commits of their lives.

    How long it took is printed and not asserted: the machine has other work.
    """
    measured = subprocess.run(
        [sys.executable, "-m", "bench.reads", "--json", "--sessions", str(SESSIONS), "--rounds", "1", "--writers", "2",
         "--limit-ms", "inf"],
        capture_output=True, text=True, check=False, timeout=WITHIN_S,
    )  # fmt: skip
    assert measured.returncode == 0, measured.stderr
    figures = json.loads(measured.stdout.splitlines()[-1])
    print(f"reads of {SESSIONS} sessions: {figures}")  # noqa: T201 - for people

    assert figures["sessions"] == SESSIONS
    assert 0 < figures["floor_p99_ms"] < figures["worst_p99_ms"]
    assert 1_000 < figures["bytes_per_session"] < 50_000
    assert figures["questions"] > 60
    assert figures["scan_found"] > 0


def test_lives_are_the_same_at_every_run_and_of_every_kind() -> None:
    """All within a day, spread over tenants, apps and ends."""
    lives = [life(number, now=NOW, shards=16) for number in range(2_000)]
    endings = Counter(type(one.happens[-1][1]).__name__ if one.happens else "nothing" for one in lives)

    assert lives[:50] == [life(number, now=NOW, shards=16) for number in range(50)]
    assert {one.session.tenant_id for one in lives} == set(TENANTS)
    assert all(NOW - SPREAD <= one.session.created_at < NOW for one in lives)
    assert all(at >= one.session.created_at for one in lives for at, _ in one.happens)
    assert len(endings) >= 9
    assert sum(LIVES.values()) == 100
    assert len(APPS) == 60


def test_the_percentile_is_of_all_times() -> None:
    """Of a hundred the second longest, of one that one."""
    assert p99([float(number) for number in range(1, 101)]) == 99
    assert p99([7.0]) == 7
