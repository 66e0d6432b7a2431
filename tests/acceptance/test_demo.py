"""The demo, as whoever looks at Zapwright first runs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.installation import installed
from tests.support.patience import RUNS_WITHIN_S
from tests.support.ports import free_port

MOST_CALLS: Final = 20


@pytest.mark.slow
def test_the_demo_resolves_four_steps_in_four_ways_and_ends(tmp_path: Path) -> None:
    """It exits 0, says what it counted, and leaves nothing behind."""
    with installed(tmp_path / "home", TMPDIR=str(tmp_path), ZAPWRIGHT_API_PORT=str(free_port())) as installation:
        installation.folder.mkdir()
        demo = installation.command("demo", "--once")
        status = demo.wait(within_s=RUNS_WITHIN_S)

    assert status == 0, demo.output
    assert re.search(r"^results 4, messages lost 1, lost by us 0, upstream calls: [1-9]\d*$", demo.output, re.MULTILINE)
    assert "worker-1 was killed" in demo.output
    assert "signed in to Zapier" in demo.output
    assert {"selection", "message", "difference"} <= set(re.findall(r"selection|message|difference", demo.output))
    assert "{{step_1.owner__email}}" in demo.output
    assert re.search(r"^✓ Zap created\n  http://\S+/editor/\S+$", demo.output, re.MULTILINE)
    assert list(tmp_path.glob("zapwright-demo-*")) == []


@pytest.mark.slow
def test_a_zap_of_three_popups_costs_twenty_calls_and_each_was_for_something(tmp_path: Path) -> None:
    """The simulator counts them; what it received is what the user built."""
    with installed(tmp_path / "home", TMPDIR=str(tmp_path), ZAPWRIGHT_API_PORT=str(free_port())) as installation:
        installation.folder.mkdir()
        demo = installation.command("demo", "--calls")
        status = demo.wait(within_s=RUNS_WITHIN_S)

    assert status == 0, demo.output
    (total,) = map(int, re.findall(r"^upstream calls: (\d+)$", demo.output, re.MULTILINE))
    entries = [int(count) for count in re.findall(r"^ +(\d+) +(?:GET|POST)\b", demo.output, re.MULTILINE)]
    assert (total <= MOST_CALLS, sum(entries)) == (True, total), demo.output
    assert "Typeform: a sample of" in demo.output
    assert "{{step_1.owner__name}}" in demo.output
