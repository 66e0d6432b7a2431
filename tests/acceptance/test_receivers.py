"""The example receivers, with the official libraries, beside a deployment; and `zapwright listen`."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.acceptance.installation import Installation, everything_up
from tests.acceptance.starting import started
from tests.support.clients import NODE, ROOT
from tests.support.patience import PATIENT, RUNS_WITHIN_S
from tests.support.processes import eventually

pytestmark = pytest.mark.slow

NODE_MODULES: Final = ROOT / "clients" / "node" / "node_modules"
LIBRARIES: Final = ("express", "standardwebhooks")
PYTHON: Final = "webhook_receiver.py"
RECEIVERS: Final = [PYTHON, pytest.param("webhook_receiver.mjs", marks=pytest.mark.npm_packages)]


@pytest.fixture(name="up", scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Everything, on one machine."""
    with everything_up(tmp_path_factory.mktemp("receivers") / "data") as installation:
        yield installation


@pytest.fixture(name="api")
def asking(up: Installation) -> Iterator[httpx.Client]:
    """A backend."""
    headers = {"Authorization": f"Bearer {up.variables['ZAPWRIGHT_API_KEY']}"}
    url = f"{up.variables['ZAPWRIGHT_API_URL']}/v1/"
    with httpx.Client(base_url=url, headers=headers, **PATIENT) as client:
        yield client


def ask(api: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask for something that must succeed."""
    answer = api.request(method, path, json=body)
    assert answer.is_success, answer.text
    document: dict[str, Any] = answer.json() if answer.content else {}
    return document


def command_of(name: str, folder: Path) -> list[str]:
    """Put a receiver in a folder, and say how it is started."""
    (folder / name).write_bytes((ROOT / "examples" / name).read_bytes())
    if name == PYTHON:
        return [sys.executable, "-m", "uvicorn", "webhook_receiver:app", "--port", "0"]
    (folder / "node_modules").mkdir()
    for library in LIBRARIES:
        (folder / "node_modules" / library).symlink_to(NODE_MODULES / library)
    return [NODE, name]


@pytest.mark.parametrize("name", RECEIVERS)
def test_an_example_takes_what_is_signed_and_nothing_else(api: httpx.Client, tmp_path: Path, name: str) -> None:
    """By the old secret and the new one; real events, and made-up ones."""
    made = ask(api, "POST", "webhooks", {"url": "http://127.0.0.1:9/", "events": ["session_created"]})
    hook = f"webhooks/{made['id']}"
    with started(command_of(name, tmp_path), tmp_path, {"WEBHOOK_SECRET": made["secret"]}) as url:
        ask(api, "PATCH", hook, {"url": f"{url}/zapwright"})
        first = ask(api, "POST", f"{hook}/test", {})
        ask(api, "POST", f"{hook}/secrets", {})
        after_rotation = ask(api, "POST", f"{hook}/test", {})
        session = ask(api, "POST", "sessions", {"user_id": "ada"})

        def delivered() -> list[dict[str, Any]]:
            page: list[dict[str, Any]] = ask(api, "GET", f"{hook}/deliveries?state=delivered")["deliveries"]
            return page

        (delivery,) = eventually(delivered, what="a delivery")
        ask(api, "POST", f"{hook}/secrets", {})
        with_others = ask(api, "POST", f"{hook}/test", {})
        unsigned = httpx.post(f"{url}/zapwright", json={"data": {}}, **PATIENT)
    ask(api, "DELETE", hook)

    assert [(one["received"], one["status"]) for one in (first, after_rotation)] == [(True, 204)] * 2
    assert (delivery["session_id"], delivery["seq"]) == (session["id"], 1)
    assert [(one["status"]) for one in delivery["tries"]] == [204]
    assert (with_others["status"], unsigned.status_code) == (401, 401)


def test_webhooks_are_managed_by_the_command_line(up: Installation, api: httpx.Client) -> None:
    """The secret is shown when it is made and never again."""
    here = ("--data-dir", str(up.folder), "--json")
    made = up.says("webhooks", "create", "http://127.0.0.1:9/", "--event", "session_created", *here)
    renewed = up.says("webhooks", "rotate", made["id"], *here)
    tested = up.says("webhooks", "test", made["id"], *here)
    session = ask(api, "POST", "sessions", {"user_id": "eve"})

    def tried() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = up.says("webhooks", "deliveries", made["id"], *here)["deliveries"]
        return [delivery for delivery in found if delivery["tries"]]

    (delivery,) = eventually(tried, what="a delivery that was tried")
    paused = up.says("webhooks", "pause", made["id"], *here)
    replayed = up.says("webhooks", "replay", made["id"], session["id"], "1", *here)
    changed = up.says("webhooks", "update", made["id"], "--description", "ours", *here)
    (listed,) = up.says("webhooks", "list", *here)["webhooks"]
    up.says("webhooks", "delete", made["id"], *here)

    assert renewed["secret"] != made["secret"]
    assert (tested["received"], tested["problem"]) == (False, "no connection")
    assert (paused["paused"], changed["description"]) == ("requested", "ours")
    assert (delivery["session_id"], replayed["state"]) == (session["id"], "pending")
    assert {name: listed[name] for name in changed} == changed
    assert "secret" not in listed
    assert up.says("webhooks", "list", *here)["webhooks"] == []


def test_listen_passes_messages_on(up: Installation, api: httpx.Client, tmp_path: Path) -> None:
    """To what is being developed, bytes and signatures as they are; its endpoint ends with it."""
    made = ask(api, "POST", "webhooks", {"url": "http://127.0.0.1:9/"})
    log = tmp_path / "listen.log"
    command = [sys.executable, "-m", "cli", "listen", "--data-dir", str(up.folder), "--event", "session_created"]
    with (
        started(command_of(PYTHON, tmp_path), tmp_path, {"WEBHOOK_SECRET": made["secret"]}) as url,
        log.open("wb") as out,
    ):
        process = subprocess.Popen([*command, "--forward", f"{url}/zapwright"], stdout=out, cwd=ROOT)
        try:
            eventually(lambda: "passing on" in log.read_text(encoding="utf-8"), what="listen")
            session = ask(api, "POST", "sessions", {"user_id": "bob"})
            eventually(lambda: session["id"] in log.read_text(encoding="utf-8"), what="the event")
            process.send_signal(signal.SIGINT)
            status = process.wait(timeout=RUNS_WITHIN_S)
        finally:
            process.kill()
    left = ask(api, "GET", "webhooks")["webhooks"]

    assert f"{session['id']} #1 session_created → 401" in log.read_text(encoding="utf-8")  # another secret's
    assert status == 0
    assert [one["id"] for one in left] == [made["id"]]
