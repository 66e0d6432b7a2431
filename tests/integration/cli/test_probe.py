"""`zapwright probe` and `zapwright doctor --live`, against a simulator in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli.probe import TOKEN
from orchestrator.core.ports.budget import Usage
from orchestrator.store.opening import Store
from tests.integration.cli.conftest import Shell
from tests.support.patience import PATIENT
from tests.support.processes import a_simulator

SECRET = "sim-alice"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One simulator for a module."""
    with a_simulator(tmp_path_factory.mktemp("simulator")) as address:
        yield address


@pytest.fixture(name="shell")
def _shell(shell: Shell, simulator: str) -> Shell:
    """A terminal whose environment names the simulator as the API, in its seeded world."""
    httpx.post(f"{simulator}/_control/reset", **PATIENT).raise_for_status()
    shell.environment |= {"ZAPWRIGHT_ZAPIER_API_URL": simulator, TOKEN: SECRET}
    return shell


def zaps(simulator: str) -> int:
    """Count the Zaps there are."""
    return int(httpx.get(f"{simulator}/_control/stats", **PATIENT).json()["zaps"]["created"])


def test_it_says_what_holds_and_what_to_set(shell: Shell, simulator: str) -> None:
    """For people, beside what it assumed, and how to make a simulator that is the same."""
    said = shell.run("probe")

    assert f"calls to {simulator}, each under a permit" in said
    assert "0 otherwise than assumed" in said
    assert '"unknown": 400' in said
    assert zaps(simulator) == 0


def test_it_takes_its_permits_of_the_deployments_budget(shell: Shell) -> None:
    """As many as it made calls, which is no more than it said."""
    report = shell.json("probe")

    async def held(store: Store) -> tuple[Usage, Usage]:
        return await store.budget.usage(egress="default", partner="zapwright", now=0)

    by_egress, by_partner = shell.ask(held)
    assert (by_egress.held, by_partner.held) == (report["calls"], report["calls"])
    assert {found["holds"] for found in report["findings"]} <= {True, None}


def test_a_difference_is_its_exit_status(shell: Shell, simulator: str) -> None:
    """So that a program can tell."""
    missing = {"scopes": {"missing": ["profile"]}}
    httpx.patch(f"{simulator}/_control/faults", json=missing, **PATIENT).raise_for_status()

    with pytest.raises(AssertionError, match="1 otherwise than assumed"):
        shell.run("probe")

    assert "ask for the scope `profile`" in shell.tried("probe")


def test_the_token_may_be_in_a_file_and_is_said_nowhere(shell: Shell, tmp_path: Path) -> None:
    """Nor is it taken from the command line."""
    del shell.environment[TOKEN]
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    said = shell.run("probe", "--token-file", str(path))
    piped = shell.run("probe", "--token-file", "-", piped=f"{SECRET}\n")

    assert SECRET not in said + piped
    assert "0 otherwise than assumed" in piped


@pytest.mark.parametrize("options", [(), ("--token-file", "/nowhere/at/all")])
def test_without_a_token_it_says_where_to_put_one(shell: Shell, options: tuple[str, ...]) -> None:
    """Nothing is asked."""
    shell.environment[TOKEN] = ""

    assert "token" in shell.refused("probe", *options)


@pytest.mark.parametrize(("answers", "made"), [("n\nn\nn\n", 0), ("n\nn\ny\n", 1)])
def test_what_it_writes_it_asks_first(shell: Shell, simulator: str, answers: str, made: int) -> None:
    """One question for each; no is no."""
    shell.run("probe", "--writes", piped=answers)

    assert zaps(simulator) == made


def test_with_nobody_there_it_writes_nothing_unless_told_so(shell: Shell, simulator: str) -> None:
    """--yes is the answer to all of it."""
    refused = shell.refused("probe", "--writes")
    before = zaps(simulator)
    said = shell.run("probe", "--writes", "--yes")

    assert ("--yes" in refused, before, zaps(simulator)) == (True, 0, 1)
    assert "delete the Zap called 'Zapwright probe (delete me)'" in said


def test_the_doctor_asks_as_well_when_told_to(shell: Shell) -> None:
    """Beside everything else; without a token it does not begin."""
    findings = {one["thing"]: one["verdict"] for one in json.loads(shell.tried("doctor", "--live", "--json"))}

    assert (findings["upstream"], findings["an app that is not there"]) == ("ok", "ok")
    shell.environment[TOKEN] = ""
    assert TOKEN in shell.refused("doctor", "--live")
