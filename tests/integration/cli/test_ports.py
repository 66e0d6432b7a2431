"""Ports for what a command starts: two commands that start at the same time do not choose the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cli import ports

CHOOSE = "import sys; from cli import ports; print(ports.held_port([int(sys.argv[1])]), flush=True); sys.stdin.read()"


def test_a_port_that_is_chosen_is_nobody_elses_until_its_process_ends(tmp_path: Path) -> None:
    """Though nobody listens there yet, and the other keeps its files elsewhere: what is started listens later."""
    wanted = ports.free_port([])
    with subprocess.Popen(
        [sys.executable, "-c", CHOOSE, str(wanted)],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as rival:
        assert rival.stdout is not None
        theirs = int(rival.stdout.readline())
        is_free, meanwhile = ports.is_free(wanted), ports.held_port([wanted])
        rival.communicate()

    assert (theirs, is_free) == (wanted, True)
    assert meanwhile != wanted
    assert ports.held_port([wanted]) == wanted


def test_a_port_is_held_for_the_one_who_holds_it() -> None:
    """Who chooses again keeps what was chosen."""
    chosen = ports.held_port([])

    assert ports.held_port([chosen]) == chosen


def test_ports_that_nobody_wished_for_are_none_that_connections_take() -> None:
    """A connection that goes out may be given any port of the system's own range."""
    assert ports.free_port([]) in range(20_000, 32_768)
