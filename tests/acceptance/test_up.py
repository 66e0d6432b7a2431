"""`zapwright up`: one command that starts, watches over and ends everything."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from orchestrator.store.embedded import start
from tests.acceptance.installation import Installation, installed, is_running
from tests.support.patience import PATIENT
from tests.support.processes import eventually


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Everything runs."""
    with installed(tmp_path_factory.mktemp("up")) as one:
        one.up("--workers", "1")
        yield one


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", **PATIENT).is_success
    except httpx.TransportError:
        return False


@pytest.mark.slow
def test_what_is_needed_to_speak_to_it_is_in_dev_env(installation: Installation) -> None:
    """Addresses and keys, readable by their owner alone."""
    found = installation.variables
    mode = (installation.folder / "dev.env").stat().st_mode & 0o777

    assert {
        "ZAPWRIGHT_API_URL",
        "ZAPWRIGHT_API_KEY",
        "ZAPWRIGHT_DASHBOARD_URL",
        "SIMULATOR_URL",
        "REDIS_URL",
    } <= found.keys()
    assert {"ZAPWRIGHT_CREDENTIAL_KEYS", "ZAPWRIGHT_TOKEN_KEYS"} <= found.keys()
    assert installation.supervisor is not None
    said = " ".join(installation.supervisor.output.split())
    assert "made ZAPWRIGHT_API_KEY, ZAPWRIGHT_CREDENTIAL_KEYS, ZAPWRIGHT_TOKEN_KEYS: see" in said
    assert mode == 0o600
    assert _is_ready(found["ZAPWRIGHT_API_URL"])


@pytest.mark.slow
def test_what_it_prints_can_be_copied(installation: Installation) -> None:
    """Addresses, paths and commands are each on one line, however long."""
    assert installation.supervisor is not None
    said = installation.supervisor.output.splitlines()
    ends = (installation.folder / "dev.env", installation.folder / "run", f"list --data-dir {installation.folder}")

    assert [end for end in ends if not any(line.endswith(str(end)) for line in said)] == []


@pytest.mark.slow
def test_a_page_that_the_api_serves_needs_no_backend(installation: Installation) -> None:
    """Its origin is one of the development's, by both names of this machine, and so its token's."""
    api_url = installation.variables["ZAPWRIGHT_API_URL"]
    for own in (api_url, api_url.replace("127.0.0.1", "localhost")):
        with httpx.Client(base_url=api_url, headers={"Origin": own}, **PATIENT) as page:
            token = page.post("/dev/session", json={"user_id": "page"}).json()["client_token"]
            address = f"/v1/sessions/{token['session_id']}"
            session = page.get(address, headers={"Authorization": f"Bearer {token['token']}"})
            faults = page.get("/dev/faults")

        assert (session.status_code, session.json()["credential"]["state"]) == (200, "active")
        assert "rules" in faults.json()


@pytest.mark.slow
def test_workers_stand_back_behind_the_api(installation: Installation) -> None:
    """By their own priority, and by that of their session where Linux weighs sessions as wholes."""
    worker, api = installation.pids["worker-1"], installation.pids["api"]
    weighed = {pid: Path(f"/proc/{pid}/autogroup") for pid in (worker, api)}
    of_sessions = [group.read_text().split()[-1] for group in weighed.values() if group.exists()]

    dashboard = installation.pids["dashboard"]
    assert os.getpriority(os.PRIO_PROCESS, dashboard) == os.getpriority(os.PRIO_PROCESS, worker)
    assert os.getpriority(os.PRIO_PROCESS, worker) == os.getpriority(os.PRIO_PROCESS, api) + 5
    assert of_sessions in (["5", "0"], [])


@pytest.mark.slow
def test_a_second_one_in_the_same_directory_is_refused(installation: Installation) -> None:
    """It says who has the directory, and disturbs nobody: keys and addresses stay, whatever it was given."""
    assert installation.supervisor is not None
    variables = installation.variables
    second = installation.command("up", "--data-dir", str(installation.folder), ZAPWRIGHT_API_KEY="another")
    status = second.wait()

    assert status == 1
    assert f"is up in {installation.folder} already (process {installation.supervisor.pid})" in " ".join(
        second.output.split()
    )
    assert installation.variables == variables
    assert "is taken" not in second.output
    assert all(is_running(pid) for pid in installation.pids.values())


@pytest.mark.slow
def test_the_doctor_finds_everything_well(installation: Installation) -> None:
    """Every line says ok, but for what only a real deployment has."""
    findings = installation.says("doctor", "--data-dir", str(installation.folder), "--json")
    verdicts = {finding["thing"]: finding["verdict"] for finding in findings}

    assert verdicts == dict.fromkeys(
        [
            "versions",
            "API key",
            "credential keys",
            "token keys",
            "limits",
            "redirect URI",
            "store",
            "persistence",
            "clock",
            "budget",
            "webhooks",
            "upstream",
            "client secret",
            "workers",
            "webhooks",
            "API",
        ],
        "ok",
    )


@pytest.mark.slow
def test_another_company_gets_its_own_keys_while_everything_runs(installation: Installation) -> None:
    """Its sessions are its own, and an operator sees whose they are."""
    place = ["--data-dir", str(installation.folder), "--json"]
    url = installation.variables["ZAPWRIGHT_API_URL"]
    tenant = installation.says("tenants", "create", "acme", "--origin", "https://app.acme.example", *place)
    key = installation.says("api-keys", "create", "--tenant", "acme", *place)["key"]
    operators = installation.says("api-keys", "create", "--operator", *place)["key"]

    def ask(method: str, path: str, key: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.request(method, f"{url}/v1/{path}", json=body, headers=headers, **PATIENT)

    made = ask("POST", "sessions", key, {"user_id": "ada"})
    theirs = ask("GET", f"sessions/{made.json()['id']}", installation.variables["ZAPWRIGHT_API_KEY"])
    seen = ask("GET", "operator/sessions?tenant_id=acme", operators)

    assert tenant["origins"] == ["https://app.acme.example"]
    assert (made.status_code, theirs.status_code) == (201, 404)
    assert [session["id"] for session in seen.json()["sessions"]] == [made.json()["id"]]


@pytest.mark.slow
def test_sessions_are_listed_and_shown(installation: Installation) -> None:
    """On a terminal and for programs, youngest first; of every tenant, for there is an operator's key."""
    key = installation.variables["ZAPWRIGHT_API_KEY"]
    made = httpx.post(
        f"{installation.variables['ZAPWRIGHT_API_URL']}/v1/sessions",
        json={"user_id": "ada", "title": "Mine"},
        headers={"Authorization": f"Bearer {key}"},
        **PATIENT,
    ).json()
    place = ["--data-dir", str(installation.folder)]
    listed = installation.says("sessions", "list", "--user", "ada", *place, "--json")
    shown = installation.says("sessions", "show", made["id"], *place, "--json")
    table = installation.command("sessions", "list", *place)
    status = table.wait()

    assert (listed["sessions"][0]["id"], listed["sessions"][0]["tenant_id"]) == (made["id"], "default")
    assert (shown["session"]["title"], [event["name"] for event in shown["events"]]) == ("Mine", ["session_created"])
    assert status == 0
    assert made["id"] in table.output


@pytest.mark.slow
def test_commands_that_cannot_do_it_say_why(tmp_path: Path) -> None:
    """In a sentence: a port that is none, a directory that is none, nothing that runs."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    installation = Installation(tmp_path / "nowhere")
    for arguments, reason in (
        (("up", "--api-port", "99999"), "65535"),
        (("up", "--data-dir", str(tmp_path / "file")), "cannot be the data directory"),
        (("sessions", "list", "--data-dir", str(tmp_path / "nowhere")), "no API is known"),
    ):
        command = installation.command(*arguments)

        assert command.wait() in {1, 2}
        assert reason in " ".join(command.output.split())
        assert "Traceback" not in command.output


@pytest.mark.slow
def test_what_dies_is_started_again(installation: Installation) -> None:
    """An API that was killed answers again at the same address, and so does a store that was killed."""
    url, before, store_before = installation.variables["ZAPWRIGHT_API_URL"], installation.pids, installation.store_pid
    os.kill(before["api"], signal.SIGKILL)
    os.kill(store_before, signal.SIGKILL)
    eventually(lambda: installation.pids.get("api", before["api"]) != before["api"], what="a new API")
    eventually(lambda: _is_ready(url), what="an API that is ready")

    assert installation.store_pid != store_before
    assert installation.pids["worker-1"] == before["worker-1"]


@pytest.mark.slow
def test_nothing_outlives_a_killed_supervisor_but_the_store(tmp_path: Path) -> None:
    """Its children end by themselves; the next `up` has the same keys and addresses, and adopts the store."""
    with installed(tmp_path / "killed") as installation:
        installation.up("--workers", "1")
        variables, store_pid = installation.variables, installation.store_pid
        pids = list(installation.pids.values())
        assert installation.supervisor is not None
        installation.supervisor.kill()
        eventually(lambda: not any(is_running(pid) for pid in pids), what="children that end")
        store_lived = is_running(store_pid)
        installation.up("--workers", "1")

        assert store_lived
        assert installation.variables == variables
        assert installation.store_pid == store_pid
        status = installation.down()
        assert status == 0
        assert not any(is_running(pid) for pid in (store_pid, *installation.pids.values()))


@pytest.mark.slow
def test_children_of_a_killed_supervisor_that_hang_are_ended_by_the_next(tmp_path: Path) -> None:
    """A stopped process holds its port and hears nothing; it is known by its lock, and ended by its number."""
    with installed(tmp_path / "hung") as installation:
        installation.up("--workers", "1")
        hung = installation.pids["api"]
        os.kill(hung, signal.SIGSTOP)
        assert installation.supervisor is not None
        installation.supervisor.kill()
        installation.up("--workers", "1")

        assert installation.supervisor is not None
        assert "api was left over" in installation.supervisor.output
        assert not is_running(hung)
        start(installation.folder)
