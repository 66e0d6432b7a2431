"""Everything killed at once, with `kill -9`: nothing acknowledged is lost, and everybody gets their own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.acceptance.installation import WITHOUT_LIMITS, installed

SESSIONS: Final = 200
AT_ONCE: Final = 16
APP: Final = "HubSpot"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A session that waits for its popup, and what arose from it."""

    user: str
    session_id: str
    step_id: str
    attempt_id: str
    made: str


async def each(items: Iterable[Any], do: Callable[[Any], Awaitable[Any]]) -> list[Any]:
    """Do something with each, some at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(item: Any) -> Any:
        async with places:
            return await do(item)

    return await asyncio.gather(*(one(item) for item in items))


async def ask(client: httpx.AsyncClient, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Make one request that must succeed."""
    answer = await client.request(method, path, json=body)
    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
    document: dict[str, Any] = answer.json()
    return document


async def app_id(api: httpx.AsyncClient) -> str:
    """Return the id of the app that everybody connects."""
    await ask(api, "PUT", "/v1/users/first/credential", {"access_token": "sim-first"})
    session = await ask(api, "POST", "/v1/sessions", {"user_id": "first"})
    found = await ask(api, "GET", f"/v1/sessions/{session['id']}/apps?query={APP}")
    return str(found["apps"][0]["id"])


async def lose_message(api: httpx.AsyncClient, simulator: httpx.AsyncClient, user: str, app: str) -> Waiting:
    """Have a user who finished the popup, of whom nothing is heard."""
    await ask(api, "PUT", f"/v1/users/{user}/credential", {"access_token": f"sim-{user}"})
    session = await ask(api, "POST", "/v1/sessions", {"user_id": user, "steps": [{"app_id": app}]})
    step = session["steps"][0]
    popup = await ask(api, "POST", f"/v1/sessions/{session['id']}/steps/{step['id']}/popup", {})
    made = await ask(simulator, "POST", "/_control/authentications", {"user": user, "app": APP})
    return Waiting(user, session["id"], step["id"], popup["attempt_id"], made["id"])


async def say(api: httpx.AsyncClient, waiting: Waiting, kind: str) -> None:
    """Say what the page saw."""
    path = f"/v1/sessions/{waiting.session_id}/steps/{waiting.step_id}/popup/signals"
    await ask(api, "POST", path, {"attempt_id": waiting.attempt_id, "kind": kind, "context": {"gone": True}})


async def result(api: httpx.AsyncClient, waiting: Waiting) -> str | None:
    """Return the authentication of a session once it has one."""
    seq = 0
    async with asyncio.timeout(60):
        while True:
            session = await ask(api, "GET", f"/v1/sessions/{waiting.session_id}?after_seq={seq}&wait_s=20")
            if session["state"] == "resolved":
                return str(session["steps"][0]["authentication"]["id"])
            seq = session["seq"]


@pytest.mark.slow
async def test_everything_but_the_store_is_killed_while_200_sessions_wait(tmp_path: Path) -> None:
    """`up` again: every session resolves to its own authentication, whether its page spoke again or not."""
    with installed(tmp_path / "killed", **WITHOUT_LIMITS) as installation:
        await asyncio.to_thread(installation.up)
        async with installation.api() as api, installation.simulator() as simulator:
            app = await app_id(api)
            users = [f"user{number}" for number in range(SESSIONS)]
            waiting = await each(users, lambda user: lose_message(api, simulator, user, app))
            await each(waiting[: SESSIONS // 2], lambda one: say(api, one, "closed"))
        installation.kill_everything_but_the_store()
        await asyncio.to_thread(installation.up)
        async with installation.api() as api:
            await each(waiting[SESSIONS // 2 :], lambda one: say(api, one, "finished"))
            found = await each(waiting, lambda one: result(api, one))

    assert found == [one.made for one in waiting]


@pytest.mark.slow
async def test_a_killed_store_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Every session whose creation was answered is there afterwards, with everything that was answered of it."""
    with installed(tmp_path / "store") as installation:
        await asyncio.to_thread(installation.up, "--workers", "1")
        acknowledged: dict[str, int] = {}
        enough = asyncio.Event()
        async with installation.api() as api:
            writers = [asyncio.create_task(_write(api, number, acknowledged, enough)) for number in range(4)]
            await _until(lambda: len(acknowledged) > 50)
            os.kill(installation.store_pid, signal.SIGKILL)
            before = len(acknowledged)
            await _until(lambda: len(acknowledged) > before + 50)
            enough.set()
            refused = sum(await asyncio.gather(*writers))
            kept = {session_id: await _seq(api, session_id) for session_id in acknowledged}

    assert kept == acknowledged
    assert refused > 0


async def _write(api: httpx.AsyncClient, number: int, acknowledged: dict[str, int], enough: asyncio.Event) -> int:
    """Create sessions with one step each; returns how many requests failed. What failed may have happened or not."""
    refused = 0
    while not enough.is_set():
        try:
            created = await api.post("/v1/sessions", json={"user_id": f"writer{number}"})
            if created.status_code != httpx.codes.CREATED:
                refused += 1
                await asyncio.sleep(0.05)
                continue
            added = await api.post(f"/v1/sessions/{created.json()['id']}/steps", json={})
            if added.is_success:
                acknowledged[created.json()["id"]] = added.json()["session"]["seq"]
        except httpx.TransportError:
            refused += 1
            await asyncio.sleep(0.05)
    return refused


async def _seq(api: httpx.AsyncClient, session_id: str) -> int:
    return int((await ask(api, "GET", f"/v1/sessions/{session_id}"))["seq"])


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(40):
        while True:
            if is_so():
                return
            await asyncio.sleep(0.02)
