"""Clients that hear nothing repeat what they asked for, while the API is killed: each effect happens once."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
import pytest

from tests.support.copies import become, forkserver
from tests.support.deployment import TOKEN_KEYS
from tests.support.patience import PATIENT
from tests.support.ports import free_port
from tests.support.processes import SEALING_KEY, a_simulator
from tests.support.servers import serve_at
from tests.support.valkey import running_valkey

CLIENTS: Final = 64
KILLS: Final = 10
KEY: Final = "key-of-the-tests"
IN_FLIGHT: Final = (409, "idempotency_in_flight")
ANSWERS: Final = (30, 300)
"""How many the API gives between its start and its end."""


class KilledApi:
    """One API process at one address, killed and started again, as a copy of one that has imported everything."""

    def __init__(self, *, redis_url: str, simulator_url: str, folder: Path) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._redis_url = redis_url
        self._environment = {
            "ZAPWRIGHT_API_PORT": str(self._port),
            "ZAPWRIGHT_API_KEY": KEY,
            "ZAPWRIGHT_CREDENTIAL_KEYS": SEALING_KEY,
            "ZAPWRIGHT_TOKEN_KEYS": TOKEN_KEYS,
            "ZAPWRIGHT_ZAPIER_API_URL": simulator_url,
            "ZAPWRIGHT_RATE_LIMIT_EGRESS": "0",
            "ZAPWRIGHT_RATE_LIMIT_PARTNER": "0",
            "ZAPWRIGHT_LOG_LEVEL": "warning",
        }
        self._folder = folder
        self.starts = 0
        self._process: ForkServerProcess | None = None

    def start(self) -> None:
        """Start it."""
        self.starts += 1
        log = self._folder / f"api-{self.starts}.log"
        arguments = (log, {**os.environ, **self._environment}, serve_at, self._redis_url)
        self._process = forkserver().Process(target=become, args=arguments)
        self._process.start()

    def kill(self) -> None:
        """`kill -9`."""
        assert self._process is not None
        assert self._process.is_alive(), (self._folder / f"api-{self.starts}.log").read_text()
        self._process.kill()
        self._process.join()

    def end(self) -> None:
        """End it, if it runs."""
        if self._process is not None and self._process.is_alive():
            self.kill()


@contextmanager
def an_api(folder: Path) -> Iterator[tuple[KilledApi, str]]:
    """Have a store, a simulator and an API before it; gives the API and the simulator's address."""
    with running_valkey("--appendonly", "yes") as store, a_simulator(folder) as simulator_url:
        api = KilledApi(redis_url=store.url, simulator_url=simulator_url, folder=folder)
        try:
            yield api, simulator_url
        finally:
            api.end()


class Counted:
    """Counts answers, whoever they were for."""

    def __init__(self) -> None:
        self._left = 0
        self._enough = asyncio.Event()

    def one_more(self) -> None:
        """An answer was heard."""
        self._left -= 1
        if self._left == 0:
            self._enough.set()

    async def after(self, answers: int) -> None:
        """Come back when so many more were heard."""
        self._left = answers
        self._enough.clear()
        await self._enough.wait()


@dataclass(slots=True)
class Told:
    """What a client was told of one of its requests: every answer it got, and whether it is sure to have been heard."""

    answers: set[str] = field(default_factory=set)
    is_answered: bool = False


class Client:
    """One user's backend and page. Each of its requests is repeated with its key until it was answered twice."""

    def __init__(
        self, http: httpx.AsyncClient, *, user: str, apps: dict[str, str], chance: Random, heard: Counted
    ) -> None:
        self._http = http
        self._heard = heard
        self._chance = chance
        self.user = user
        self.apps = apps
        self.rounds: list[dict[str, Told]] = []
        self.repeats = 0

    async def live(self, over: asyncio.Event) -> None:
        """Sign in, and build Zaps until it is over."""
        await self._insist("PUT", f"/v1/users/{self.user}/credential", {"access_token": f"sim-{self.user}"})
        while not over.is_set():
            await self._build()

    async def _build(self) -> None:
        number = len(self.rounds)
        told: dict[str, Told] = {}
        self.rounds.append(told)
        name = f"{self.user}-{number}"
        bare = {"user_id": self.user, "metadata": {"name": name}, "steps": [{}]}
        session = await self._post(told, "sessions", "/v1/sessions", bare, name)
        path = f"/v1/sessions/{session['id']}"
        step = f"{path}/steps/{session['steps'][0]['id']}"
        await self._post(told, "steps", f"{path}/steps", {}, name)
        await self._insist("PUT", f"{step}/app", {"app_id": self.apps["Slack"]})
        opened = await self._post(told, "popup", f"{step}/popup", {}, name)
        message = {"attempt_id": opened["attempt_id"], "kind": "message", "authentication_id": "777"}
        await self._post(told, "signals", f"{step}/popup/signals", message, name)
        clock = {"user_id": self.user, "title": name, "reference": name, "steps": [{"app_id": self.apps["Schedule"]}]}
        session = await self._post(told, "references", "/v1/sessions", clock, None)
        path = f"/v1/sessions/{session['id']}"
        action = {"key": "every_hour", "action_type": "READ"}
        await self._insist("PUT", f"{path}/steps/{session['steps'][0]['id']}/action", action)
        await self._post(told, "zap", f"{path}/zap", {}, name)

    async def _post(
        self, told: dict[str, Told], kind: str, path: str, body: dict[str, Any], key: str | None
    ) -> dict[str, Any]:
        """Send a request until it was answered twice, or is known to be under way; note what was told each time."""
        heard = told.setdefault(kind, Told())
        document: dict[str, Any] = {}
        for _ in range(2):
            document = await self._insist("POST", path, body, key=key and f"{key}-{kind}")
            if not document:
                return {}
            heard.is_answered = True
            heard.answers.add(_made(kind, document))
        return document

    async def _insist(self, method: str, path: str, body: object, *, key: str | None = None) -> dict[str, Any]:
        """Send a request until it is answered, and return the answer: nothing when it may be under way for long."""
        headers = {"Idempotency-Key": key} if key else {}
        while True:
            try:
                answer = await self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError:
                self.repeats += 1
                await asyncio.sleep(self._chance.uniform(0.2, 1.0))
                continue
            self._heard.one_more()
            document: dict[str, Any] = answer.json()
            if (answer.status_code, document.get("code")) == IN_FLIGHT:
                return {}
            assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
            return document


def _made(kind: str, document: dict[str, Any]) -> str:
    """Name what an answer says was made."""
    match kind:
        case "steps":
            return str(document["step_id"])
        case "popup":
            return str(document["attempt_id"])
        case "signals":
            return str(document["outcome"])
        case "zap":
            return str(document["zap"]["id"])
        case _:
            return str(document["id"])


async def _kill(api: KilledApi, heard: Counted, *, chance: Random) -> None:
    """Kill the API in the midst of its work, again and again, and start it again.

    It lives until so much was answered: a slow machine is given as much work as a quick one.
    """
    for _ in range(KILLS):
        await heard.after(chance.randint(*ANSWERS))
        await asyncio.to_thread(api.kill)
        api.start()


async def _until_ready(http: httpx.AsyncClient) -> None:
    while True:
        try:
            if (await http.get("/healthz", timeout=2)).is_success:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.05)


async def _apps(http: httpx.AsyncClient) -> dict[str, str]:
    """Look up the apps that everybody uses."""
    await http.put("/v1/users/first/credential", json={"access_token": "sim-first"})
    session = (await http.post("/v1/sessions", json={"user_id": "first"})).json()
    found = {}
    for title in ("Slack", "Schedule"):
        page = (await http.get(f"/v1/sessions/{session['id']}/apps", params={"query": title})).json()
        found[title] = next(app["id"] for app in page["apps"] if app["title"].startswith(title))
    return found


async def _sessions(http: httpx.AsyncClient, user: str) -> list[dict[str, Any]]:
    """Return every session of a user."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await http.get("/v1/sessions", params={"user_id": user, "limit": 100, **cursor})).json()
        found += page["sessions"]
        if page["cursor"] is None:
            return found
        cursor = {"cursor": page["cursor"]}


async def _effects(http: httpx.AsyncClient, session: dict[str, Any]) -> tuple[Counter[str], Counter[str]]:
    """Count what happened to a session, by event, and what was heard of it, by signal."""
    path = f"/v1/sessions/{session['id']}"
    events = (await http.get(f"{path}/events", params={"limit": 500})).json()["events"]
    signals = (await http.get(f"{path}/signals")).json()["signals"]
    return Counter(event["name"] for event in events), Counter(signal["signal"] for signal in signals)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the clients were told, and what there is."""

    clients: list[Client]
    sessions: dict[str, list[dict[str, Any]]]
    effects: list[tuple[Counter[str], Counter[str]]]
    zaps: Counter[str]

    @property
    def built(self) -> list[dict[str, Any]]:
        """The sessions that were begun with a key."""
        return [session for found in self.sessions.values() for session in found if session["metadata"]]


async def _work(api: KilledApi, simulator_url: str, *, chance: Random) -> Outcome:
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=api.url, headers=headers, **PATIENT, limits=limits) as http:
        await _until_ready(http)
        apps = await _apps(http)
        over, heard = asyncio.Event(), Counted()
        clients = [
            Client(http, user=f"user{number}", apps=apps, chance=Random(number), heard=heard)
            for number in range(CLIENTS)
        ]
        async with asyncio.TaskGroup() as living:
            for client in clients:
                living.create_task(client.live(over))
            await _kill(api, heard, chance=chance)
            over.set()
        sessions = {client.user: await _sessions(http, client.user) for client in clients}
        outcome = Outcome(clients, sessions, [], Counter())
        outcome.effects.extend([await _effects(http, session) for session in chance.sample(outcome.built, CLIENTS)])
    async with httpx.AsyncClient(base_url=simulator_url, **PATIENT) as simulator:
        stats = (await simulator.get("/_control/stats")).json()
    outcome.zaps.update(zap["title"] for zap in stats["zaps"]["list"])
    return outcome


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_every_post_is_repeated_while_the_api_is_killed_ten_times(tmp_path: Path) -> None:
    """64 clients, each request with its own key: one session, step, attempt, signal and Zap for each of them.

    Only a call that was under way when its process died leaves it open whether there is a Zap: then none is made again.
    """
    with an_api(tmp_path) as (api, simulator_url):
        api.start()
        outcome = await _work(api, simulator_url, chance=Random(7))

    rounds = [told for client in outcome.clients for told in client.rounds]
    assert api.starts == KILLS + 1
    assert sum(client.repeats for client in outcome.clients) > KILLS, "nobody was interrupted"
    assert all(len(heard.answers) == heard.is_answered for told in rounds for heard in told.values())
    assert all(heard.is_answered for told in rounds for kind, heard in told.items() if kind != "zap")
    for client in outcome.clients:
        _check(client, outcome)
    assert {len(session["steps"]) for session in outcome.built} == {2}
    for happened, heard in outcome.effects:
        assert [happened[name] for name in ("step_added", "popup_opened", "message_received")] == [1, 1, 1]
        assert [heard[name] for name in ("step_added", "popup_opened", "message_received")] == [1, 1, 1]
    assert sum(told["zap"].is_answered for told in rounds) > len(rounds) / 2


def _check(client: Client, outcome: Outcome) -> None:
    """One session for each key and for each reference, and one Zap at most, for certain where the client was told."""
    found = outcome.sessions[client.user]
    expected = [f"{client.user}-{number}" for number in range(len(client.rounds))]
    assert Counter(session["metadata"]["name"] for session in found if session["metadata"]) == Counter(expected)
    assert Counter(session["reference"] for session in found if session["reference"]) == Counter(expected)
    for name, told in zip(expected, client.rounds, strict=True):
        assert outcome.zaps[name] <= 1
        assert outcome.zaps[name] == 1 or not told["zap"].is_answered
