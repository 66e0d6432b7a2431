"""The benchmark of events out, small: every message comes, and every figure is there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.patience import RUNS_WITHIN_S

SMALL = ("--rounds", "1", "--each", "1", "--rate", "20", "--seconds", "2", "--jobs", "10", "--sessions", "50", "--json")


@pytest.mark.slow
def test_every_figure_is_measured() -> None:
    """Real processes, a real store; ours costs less than a job for each message."""
    command = [sys.executable, "-m", "bench.events", *SMALL]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=RUNS_WITHIN_S).stdout
    figures = json.loads(said.splitlines()[-1])

    assert {"events_per_s", "event_p99_ms", "rq_per_s"} <= figures.keys()
    assert [name for name, value in figures.items() if value <= 0] == []
    assert figures["bytes_per_trimmed_session"] < figures["bytes_per_session"] / 3
    assert figures["cpu_us_per_event"] < figures["rq_cpu_us_per_message"]
    assert figures["aiohttp_cpu_us_per_post"] < figures["httpx_cpu_us_per_post"]
