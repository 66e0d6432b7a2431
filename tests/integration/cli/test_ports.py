"""Ports for what a command starts: two commands that start at the same time do not choose the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cli import devenv, ports
from cli.plan import Wishes, plan
from orchestrator.settings import Settings
from simulator.main import address_of, listen
from tests.support.ports import free_port

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


def test_who_finds_a_usual_port_taken_is_told(tmp_path: Path) -> None:
    """At the first start, too: the documented address is another one's then."""
    with listen("127.0.0.1", 0) as others:
        taken = address_of(others)
        settings = Settings(api_port=free_port(), dashboard_port=others.getsockname()[1])
        wishes = Wishes(simulator_port=free_port())
        first = plan(wishes, settings=settings, data_dir=tmp_path)
        devenv.write(tmp_path, first.variables(redis_url="redis://127.0.0.1"))
        second = plan(wishes, settings=settings, data_dir=tmp_path)

    assert first.moved == (f"{taken} is taken: from now on it is {first.dashboard_url}",)
    assert (second.dashboard_url, second.moved) == (first.dashboard_url, ())
