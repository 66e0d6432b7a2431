"""Users whose popups' messages were lost: how they come about, speak and end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import httpx

AT_ONCE: Final = 16
APP: Final = "HubSpot"
INSISTS_FOR_S: Final = 120.0
RESULT_WITHIN_S: Final = 120.0

Request = Callable[..., Awaitable[dict[str, Any]]]


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


async def insist(client: httpx.AsyncClient, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Make one request as a page does: while the store is away, again and again."""
    async with asyncio.timeout(INSISTS_FOR_S):
        while True:
            answer = await client.request(method, path, json=body)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(0.2)
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


async def say(api: httpx.AsyncClient, waiting: Waiting, kind: str, *, ask: Request = ask) -> None:
    """Say what the page saw."""
    path = f"/v1/sessions/{waiting.session_id}/steps/{waiting.step_id}/popup/signals"
    await ask(api, "POST", path, {"attempt_id": waiting.attempt_id, "kind": kind, "context": {"gone": True}})


async def result(api: httpx.AsyncClient, waiting: Waiting, *, ask: Request = ask) -> str | None:
    """Return the authentication of a session once it has one."""
    seq = 0
    async with asyncio.timeout(RESULT_WITHIN_S):
        while True:
            session = await ask(api, "GET", f"/v1/sessions/{waiting.session_id}?after_seq={seq}&wait_s=20")
            if session["state"] == "resolved":
                return str(session["steps"][0]["authentication"]["id"])
            seq = session["seq"]
