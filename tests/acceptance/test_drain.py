"""SIGTERM in the middle of work: nothing is lost, and every process ends by itself, well, within its limit."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.acceptance.installation import installed
from tests.acceptance.waiting import Waiting, app_id, ask, each, lose_message, result, say
from tests.support.deployment import TOKEN_KEYS
from tests.support.patience import PATIENT
from tests.support.ports import free_port
from tests.support.processes import SEALING_KEY, Process, a_simulator, a_worker, come_true, eventually, running
from tests.support.valkey import running_valkey

KEY: Final = "key-of-the-tests"
LISTINGS: Final = "GET /v2/authentications"
SESSIONS: Final = 60
CALL_LIMIT_S: Final = 40
"""So long that a watch whose lease has to run out is not checked again before a minute has passed."""

WAIT_S: Final = 30
FOUND_WITHIN_S: Final = 45.0
API_ENDS_WITHIN_S: Final = 20.0
WORKER_ENDS_WITHIN_S: Final = 30.0


class Place:
    """A store and a simulator; API and workers come and go."""

    def __init__(self, folder: Path, *, store: str, simulator: str, stack: ExitStack) -> None:
        self.simulator_url = simulator
        self._folder = folder
        self._store = store
        self._stack = stack
        self._starts = 0
        self.environment = {
            "ZAPWRIGHT_API_KEY": KEY,
            "ZAPWRIGHT_CREDENTIAL_KEYS": SEALING_KEY,
            "ZAPWRIGHT_TOKEN_KEYS": TOKEN_KEYS,
            "ZAPWRIGHT_ZAPIER_API_URL": simulator,
            "ZAPWRIGHT_RATE_LIMIT_EGRESS": "0",
            "ZAPWRIGHT_RATE_LIMIT_PARTNER": "0",
            "ZAPWRIGHT_CALL_LIMIT_S": str(CALL_LIMIT_S),
        }

    def worker(self) -> Process:
        """Have one more worker, which fetches batches."""
        log = self._folder / f"worker-{self._next()}.log"
        return self._stack.enter_context(a_worker(log, redis_url=self._store, environment=self.environment))

    def api(self) -> tuple[Process, str]:
        """Have one more API, and where it is."""
        port = free_port()
        log = self._folder / f"api-{self._next()}.log"
        environment = {"REDIS_URL": self._store, **self.environment}
        process = self._stack.enter_context(
            running(Process(["cli", "api", "--port", str(port)], environment=environment, log=log))
        )
        eventually(lambda: listens(port), what=process.output)
        return process, f"http://127.0.0.1:{port}"

    def _next(self) -> int:
        self._starts += 1
        return self._starts


def listens(port: int) -> bool:
    """Tell whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty one."""
    with ExitStack() as stack:
        valkey = stack.enter_context(running_valkey("--appendonly", "yes", "--appendfsync", "always"))
        simulator = stack.enter_context(a_simulator(tmp_path))
        yield Place(tmp_path, store=valkey.url, simulator=simulator, stack=stack)


@pytest.fixture
async def simulator(place: Place) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who controls the simulator."""
    async with httpx.AsyncClient(base_url=place.simulator_url, **PATIENT) as client:
        yield client


def caller(address: str) -> httpx.AsyncClient:
    """Return a client of an API."""
    headers = {"Authorization": f"Bearer {KEY}"}
    return httpx.AsyncClient(base_url=address, headers=headers, **PATIENT)


async def slow_down(simulator: httpx.AsyncClient, *, ms: int | None) -> None:
    """Let every listing take this long; None for no longer than it takes."""
    rule = None if ms is None else {"fault": "slow", "ms": ms, "endpoint": LISTINGS}
    await ask(simulator, "PATCH", "/_control/faults", {"rules": {"slow": rule}})


async def met(simulator: httpx.AsyncClient) -> int:
    """Return how many listings were slow so far."""
    faults = await ask(simulator, "GET", "/_control/faults")
    return int(faults["met"].get("slow", 0))


async def ended(process: Process, *, within_s: float) -> int:
    """Wait for the process's end and return its status."""
    return await asyncio.to_thread(process.wait, within_s=within_s)


@pytest.mark.slow
async def test_an_api_asked_to_end_answers_what_it_was_asked(place: Place, simulator: httpx.AsyncClient) -> None:
    """Requests are finished and kept, waits are answered at once, and then it ends with status 0."""
    process, address = await asyncio.to_thread(place.api)
    async with caller(address) as api:
        app = await app_id(api)
        await ask(api, "PUT", "/v1/users/ann/credential", {"access_token": "sim-ann"})
        session, quiet = [await ask(api, "POST", "/v1/sessions", {"user_id": "ann", "steps": [{}]}) for _ in range(2)]
        path = f"/v1/sessions/{session['id']}"
        await slow_down(simulator, ms=1_500)
        choosing = asyncio.create_task(
            ask(api, "PUT", f"{path}/steps/{session['steps'][0]['id']}/app", {"app_id": app})
        )
        waiting = f"/v1/sessions/{quiet['id']}?after_seq={quiet['seq']}&wait_s={WAIT_S}"
        polling = asyncio.create_task(ask(api, "GET", waiting))
        await come_true(lambda: met(simulator), what=process.output)

        begun_at = time.monotonic()
        process.send(signal.SIGTERM)
        polled = await polling
        polled_after = time.monotonic() - begun_at
        chosen = await choosing
        status = await ended(process, within_s=API_ENDS_WITHIN_S)

    _, other = await asyncio.to_thread(place.api)
    async with caller(other) as api:
        kept = await ask(api, "GET", path)
    assert polled["seq"] == quiet["seq"]
    assert polled_after < WAIT_S / 2
    assert kept["steps"] == chosen["steps"]
    assert kept["state"] == "needs-auth"
    assert status == 0, process.output


@pytest.mark.slow
async def test_a_worker_asked_to_end_finishes_or_leaves_its_work_to_others(
    place: Place, simulator: httpx.AsyncClient
) -> None:
    """With checks under way: each ends with status 0, the last one finds what is left, and no lease has to run out."""
    _, address = await asyncio.to_thread(place.api)
    async with caller(address) as api:
        app = await app_id(api)
        waiting: list[Waiting] = await each(
            [f"user{number}" for number in range(SESSIONS)], lambda user: lose_message(api, simulator, user, app)
        )
        await slow_down(simulator, ms=400)
        statuses = []
        for turn in range(3):
            worker = await asyncio.to_thread(place.worker)
            before = await met(simulator)
            speaking = asyncio.create_task(each(waiting[turn::3], lambda one: say(api, one, "finished")))
            await come_true(lambda before=before: exceeds(simulator, before), what=worker.output)  # type: ignore[misc]
            worker.send(signal.SIGTERM)
            statuses.append((await ended(worker, within_s=WORKER_ENDS_WITHIN_S), worker.output))
            await speaking
        await slow_down(simulator, ms=None)
        began_at = time.monotonic()
        await asyncio.to_thread(place.worker)
        found = await each(waiting, lambda one: result(api, one))
        took_s = time.monotonic() - began_at

    assert took_s < FOUND_WITHIN_S
    assert [status for status, _ in statuses] == [0, 0, 0], statuses
    assert found == [one.made for one in waiting]


async def exceeds(simulator: httpx.AsyncClient, before: int) -> bool:
    """Tell whether there were more slow listings than before."""
    return await met(simulator) > before


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_a_simulator_asked_to_end_keeps_its_world(tmp_path: Path, signum: signal.Signals) -> None:
    """What it answered it knows afterwards, and it ends with status 0."""
    arguments = ["simulator", "--port", str(free_port()), "--data-dir", str(tmp_path / "world")]

    def simulate() -> Process:
        process = Process(arguments, environment={}, log=tmp_path / "simulator.log")
        eventually(lambda: "listening on" in process.output, what="the simulator")
        return process

    process = await asyncio.to_thread(simulate)
    with running(process):
        address = process.output.strip().rpartition(" ")[2]
        async with httpx.AsyncClient(base_url=address, **PATIENT) as client:
            made = await ask(client, "POST", "/_control/authentications", {"user": "ann", "app": "HubSpot"})
            process.send(signum)
            status = await ended(process, within_s=API_ENDS_WITHIN_S)
    with running(await asyncio.to_thread(simulate)):
        headers = {"Authorization": "Bearer sim-ann"}
        async with httpx.AsyncClient(base_url=address, **PATIENT, headers=headers) as client:
            listed = await ask(client, "GET", f"/v2/authentications?app={made['app']}")

    assert status == 0, process.output
    assert [one["id"] for one in listed["data"]] == [made["id"]]


@pytest.mark.slow
async def test_everything_asked_to_end_ends(tmp_path: Path) -> None:
    """SIGTERM, as a service manager sends it."""
    with installed(tmp_path / "ended") as installation:
        await asyncio.to_thread(installation.up)
        assert installation.supervisor is not None
        installation.supervisor.send(signal.SIGTERM)

        assert await asyncio.to_thread(installation.supervisor.wait) == 0
