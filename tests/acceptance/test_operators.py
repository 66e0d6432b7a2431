"""What an operator does from a terminal, by the commands of the documents, on everything that `zapwright up` runs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import pytest

from tests.acceptance.installation import WITHOUT_LIMITS, Installation, everything_up
from tests.support.patience import PATIENT, RUNS_WITHIN_S
from tests.support.processes import ROOT, eventually

pytestmark = pytest.mark.slow

PAGE: Final = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
TOUR: Final = re.compile(r"```bash tour\n(.*?)```", re.DOTALL)
USER: Final = "ada"


@pytest.fixture(name="up", scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Everything, on one machine."""
    with everything_up(tmp_path_factory.mktemp("operators") / "data", **WITHOUT_LIMITS) as installation:
        yield installation


class Backend:
    """A tenant's backend, and its user's page."""

    def __init__(self, up: Installation) -> None:
        variables = up.variables
        headers = {"Authorization": f"Bearer {variables['ZAPWRIGHT_API_KEY']}"}
        self._api = httpx.Client(base_url=variables["ZAPWRIGHT_API_URL"], headers=headers, **PATIENT)
        self._simulator = httpx.Client(base_url=variables["SIMULATOR_URL"], **PATIENT)

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._api.request(method, f"/v1/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def connect(self, app_id: str) -> None:
        """Finish a popup whose message is lost."""
        self._simulator.post("/_control/authentications", json={"user": USER, "app": app_id}).raise_for_status()

    def close(self) -> None:
        self._api.close()
        self._simulator.close()


def commands(up: Installation, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run lines of the page in a shell that has our command and, of `up`, only the directory."""
    program = f'zapwright() {{ {sys.executable} -m cli "$@"; }}\n'
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(up.folder),
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
        "ZAPWRIGHT_DATA_DIR": str(up.folder),
    }
    return subprocess.run(
        ["bash", "-c", program + script],
        capture_output=True,
        text=True,
        timeout=RUNS_WITHIN_S,
        check=False,
        cwd=up.folder,
        env={**environment, **variables},
    )


@contextmanager
def standing_still(process: int) -> Iterator[None]:
    """Have a process do nothing during the block."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_an_operator_finds_out_why_helps_and_is_on_record(up: Installation) -> None:  # noqa: PLR0915 - one story
    """The commands of the page, in their order; the account whose message was lost is found by the check."""
    backend = Backend(up)
    backend("PUT", f"users/{USER}/credential", {"access_token": f"sim-{USER}"})
    session = backend("POST", "sessions", {"user_id": USER, "steps": [{}], "title": "[red]Leads[/]"})
    here = f"sessions/{session['id']}"
    step = f"{here}/steps/{session['steps'][0]['id']}"
    (app, *_) = backend("GET", f"{here}/apps?query=hubspot")["apps"]
    backend("PUT", f"{step}/app", {"app_id": app["id"]})
    backend("POST", f"{step}/popup", {"attempt_id": "attempt-of-ada"})
    why, check, audit = TOUR.findall(PAGE)

    said = commands(up, why, SESSION=session["id"], APP=app["id"])
    with standing_still(up.pids["worker-1"]):  # or it looks by itself before the operator has it look
        backend.connect(app["id"])
        checked = commands(up, check, SESSION=session["id"])
    eventually(lambda: backend("GET", here)["state"] == "resolved", what="the check")
    evidence = backend("GET", here)["steps"][0]["evidence"]["channels"]
    audited = commands(up, audit, SESSION=session["id"])
    shown = commands(up, f"zapwright sessions show {session['id']}")
    refused = commands(up, f"zapwright sessions check-now {session['id']} --step 1 --reason again")
    backend.close()

    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith(f"no sessions\n[red]Leads[/] ({session['id']}): it goes on by itself\n")
    assert "Step 1 (HubSpot) waits for the popup opened at" in said.stdout
    assert f"\nHubSpot ({app['id']}): it goes on by itself\n  • HubSpot: 1 session waits for a popup" in said.stdout
    assert checked.stdout.startswith("applied: Zapier is asked now, as soon as a call is free.")
    assert evidence == ["difference"]
    assert "check_now" in audited.stdout
    assert "she rang, and says she is through" in audited.stdout
    assert "[red]Leads[/]" in shown.stdout
    assert refused.returncode == 1
    assert re.fullmatch(
        rf"zapwright: step st\w+ of session {session['id']} has its authentication already, so there is nothing to ask "
        r"Zapier for: to give it another one bind that, or reset the step \(reference \w{12}\)\n",
        refused.stderr,
    ), refused.stderr


def test_who_has_no_key_is_told_how_to_get_one(up: Installation) -> None:
    """And with a tenant's key, what it lacks."""
    nobody = commands(
        up, "ZAPWRIGHT_OPERATOR_KEY= zapwright audit", ZAPWRIGHT_API_URL=up.variables["ZAPWRIGHT_API_URL"]
    )
    tenants = commands(up, "zapwright audit", ZAPWRIGHT_OPERATOR_KEY=up.variables["ZAPWRIGHT_API_KEY"])
    both = commands(up, "zapwright why zs00 --app x")
    nothing = commands(up, "zapwright sessions cancel zs00")

    assert "zapwright api-keys create --operator" in nobody.stderr
    assert "scope viewer" in tenants.stderr
    assert "zapwright api-keys create --operator --name" in " ".join(tenants.stderr.split())
    assert "name one session, or one app" in both.stderr
    assert "--reason" in nothing.stderr
    assert [one.returncode != 0 for one in (nobody, tenants, both, nothing)] == [True] * 4
