"""The simulator as a process of its own, killed and started again."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.patience import PATIENT
from tests.support.simulation import zap

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def simulator(*options: str) -> Iterator[tuple["subprocess.Popen[str]", httpx.Client]]:
    """Run the simulator until the block ends."""
    command = [sys.executable, "-m", "simulator", "--port", "0", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().rpartition(" ")[2].strip()
            headers = {"Authorization": "Bearer sim-ann"}
            with httpx.Client(base_url=url, headers=headers, **PATIENT) as client:
                yield process, client
        finally:
            process.kill()


def create_zap(client: httpx.Client, connected: str) -> str:
    """Create a Zap with this authentication for Slack."""
    app = client.get("/v2/apps", params={"query": "Slack"}).json()["data"][0]["id"]
    action = client.get("/v2/actions", params={"app": app, "action_type": "WRITE"}).json()["data"][0]["id"]
    answer = client.post("/v2/zaps", json=zap({"action": action, "inputs": {}, "authentication": connected}))
    assert answer.status_code == 201
    return str(answer.json()["id"])


def test_a_killed_simulator_has_lost_nothing_it_answered_for(tmp_path: Path) -> None:
    """Connections, Zaps, revoked tokens, and the action ids it gave out."""
    options = ("--data-dir", str(tmp_path))
    with simulator(*options) as (process, client):
        body = {"user": "ann", "app": "Slack", "count": 20}
        made = client.post("/_control/authentications", json=body).json()["ids"]
        created = create_zap(client, made[3])
        client.patch("/_control/tokens/sim-bob", json={"revoked": True})
        app = client.get("/v2/apps", params={"query": "Webhooks"}).json()["data"][0]["id"]
        action = client.get("/v2/actions", params={"app": app}).json()["data"][0]["id"]
        process.kill()
        process.wait(60)

    with simulator(*options) as (_, client):
        found = client.get("/_control/authentications", params={"user": "ann"}).json()["authentications"]
        zaps = client.get("/v2/zaps").json()["data"]
        revoked = client.get("/v2/zaps", headers={"Authorization": "Bearer sim-bob"})
        again = client.post("/v2/zaps", json=zap({"action": action, "inputs": {}, "authentication": None}))

    assert [one["id"] for one in found] == made
    assert [one["id"] for one in zaps] == [created]
    assert (revoked.status_code, again.status_code) == (401, 201)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_simulator_that_is_told_to_stop_stops(tmp_path: Path, stop: signal.Signals) -> None:
    """Soon, also while a request hangs; and lets go of its directory."""
    options = ("--data-dir", str(tmp_path))
    with (
        simulator(*options, "--switches", '{"rules": {"r": {"fault": "hang"}}}') as (process, client),
        socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=60) as hanging,
    ):
        hanging.sendall(b"GET /v2/apps HTTP/1.1\r\nHost: x\r\n\r\n")
        while not client.get("/_control/faults").json()["met"]["r"]:
            pass
        process.send_signal(stop)

        assert process.wait(60) in {0, -stop}
        assert hanging.recv(1) == b""
    with simulator(*options) as (_, client):
        assert client.get("/v2/apps").status_code == 200
