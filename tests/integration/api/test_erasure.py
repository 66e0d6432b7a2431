"""`DELETE /v1/users/{user_id}`: after it, nothing in the store mentions the user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx
import pytest
from redis import Redis

from orchestrator.core.ports.credentials import NewTokens, Profile
from orchestrator.core.session import WatchKey
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.settings import Settings
from orchestrator.store.limits import UNLIMITED, Limits
from orchestrator.store.opening import open_store
from tests.support.busy import a_busy_life
from tests.support.deployment import API_KEY, TOKEN_KEYS, WITH_KEY, Deployment, problem_of
from tests.support.patience import PATIENT
from tests.support.ports import free_port
from tests.support.processes import READY_WITHIN_S, SEALING_KEY, Gate, Process, come_true, running
from tests.support.traces import mentions
from tests.support.valkey import ValkeyServer, running_valkey

USER: Final = "erin:the/erased"
PATH: Final = "/v1/users/erin:the/erased"
OTHER: Final = "oscar:the/other"
KINDS: Final = {
    "due:quiet",
    "due:strong",
    "due:visible",
    "index",
    "kept",
    "outbox",
    "pages",
    "profile",
    "quoted",
    "receipts",
    "signins",
    "user:profiles",
    "user:receipts",
    "user:references",
    "user:sessions",
    "user:watches",
    "waiting",
    "wake",
}
"""Where a busy user is mentioned, beside keys of their own."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A store server."""
    with running_valkey() as server:
        yield server


@pytest.fixture
def redis(valkey: ValkeyServer) -> Iterator[Redis]:
    """The server as it is, empty at first."""
    valkey.flush()
    with Redis.from_url(valkey.url) as client:
        yield client


@asynccontextmanager
async def on(valkey: ValkeyServer) -> AsyncIterator[Deployment]:
    """Have the API on the server."""
    limits, shards = Limits(egress=UNLIMITED, partner=UNLIMITED), Settings().shards
    store = open_store(valkey.url, shards=shards, limits=limits, credential_keys=[SEALING_KEY])
    deployment = Deployment(store=store)
    try:
        yield deployment
    finally:
        await deployment.aclose()
        await store.aclose()


async def test_nothing_in_the_store_mentions_an_erased_user(valkey: ValkeyServer, redis: Redis) -> None:
    """No key, field, member or value; neither their id nor one of their sessions'. Others keep everything."""
    async with on(valkey) as api:
        others = [OTHER, *await a_busy_life(api, user=OTHER)]
        names = [USER, *await a_busy_life(api, user=USER)]
        await api.client.put(f"/v1/sessions/{names[-1]}/steps/none/app", json={"app_id": "any"})
        busy, before = mentions(redis, names), mentions(redis, others)
        answers = [await api.client.delete(PATH) for _ in range(2)]
        read = await api.client.get(f"/v1/sessions/{names[-1]}")

    assert set(busy) >= KINDS
    assert [answer.status_code for answer in answers] == [204, 204]
    assert problem_of(read) == (404, "session_not_found")
    assert mentions(redis, names) == {}
    assert mentions(redis, others) == before


async def test_a_check_that_was_under_way_leaves_nothing(valkey: ValkeyServer, redis: Redis) -> None:
    """The batch had been handed to a worker; its lease is gone, and with it its right to write."""
    async with on(valkey) as api:
        names = [USER, *await a_busy_life(api, user=USER)]
        await api.client.delete(PATH)
        key = WatchKey(tenant_id=DEFAULT_TENANT, user_id=USER, app_id=api.sim.app_id("Trello"))
        is_made = await api.zapwright.checker.check(key, token="token-of-before", permits=())

    assert not is_made
    assert mentions(redis, names) == {}


async def test_requests_that_come_while_a_user_is_erased_leave_nothing_behind_them(
    valkey: ValkeyServer, redis: Redis
) -> None:
    """They find the user or do not; what they begin afterwards is a new life, which can be erased too."""
    async with on(valkey) as api:
        sessions = await a_busy_life(api, user=USER)
        steps = [f"/v1/sessions/{session_id}/steps" for session_id in sessions]
        answers = await asyncio.gather(
            *[api.client.post(path, json={}, headers={"Idempotency-Key": "k"}) for path in steps for _ in range(3)],
            *[api.client.post("/v1/sessions", json={"user_id": USER, "reference": f"r{n}"}) for n in range(10)],
            *[api.client.delete(PATH) for _ in range(3)],
        )
        await api.client.delete(PATH)
        found = [answer.json().get("id") for answer in answers if answer.content and answer.is_success]

    assert {answer.status_code for answer in answers} <= {201, 204, 404, 409}
    assert [answer.status_code for answer in answers[-3:]] == [204] * 3
    assert mentions(redis, [USER, *sessions, *filter(None, found)]) == {}


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "is_done"), [(b"SREM", False), (b"SREM", True), (b"EVALSHA", True)])
async def test_a_process_that_is_killed_while_it_erases_is_followed_by_another(
    valkey: ValkeyServer, redis: Redis, tmp_path: Path, moment: bytes, is_done: bool
) -> None:
    """Wherever it was caught, doing it again finds the rest."""
    async with on(valkey) as api:
        names = [USER, *await a_busy_life(api, user=USER)]
        gate = Gate(tmp_path, store=valkey.socket)
        try:
            async with a_process(gate.url, tmp_path) as (process, http):
                gate.stop_at(moment, once_done=is_done)
                asking = asyncio.create_task(http.delete(PATH))
                await asyncio.to_thread(gate.reached.wait, READY_WITHIN_S)
                process.kill()
                with pytest.raises(httpx.TransportError):
                    await asking
        finally:
            gate.close()
        again = await api.client.delete(PATH)

    assert gate.reached.is_set()
    assert again.status_code == 204
    assert mentions(redis, names) == {}


@asynccontextmanager
async def a_process(redis_url: str, folder: Path) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """Have an API process, ready, and a client of it."""
    port = free_port()
    environment = {
        "REDIS_URL": redis_url,
        "ZAPWRIGHT_API_KEY": API_KEY,
        "ZAPWRIGHT_CREDENTIAL_KEYS": SEALING_KEY,
        "ZAPWRIGHT_TOKEN_KEYS": TOKEN_KEYS,
    }
    process = Process(["cli", "api", "--port", str(port)], environment=environment, log=folder / "api.log")
    with running(process):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=WITH_KEY, **PATIENT) as http:

            async def answers() -> bool:
                try:
                    return (await http.get("/healthz")).is_success
                except httpx.TransportError:
                    return False

            await come_true(answers, what=process.output or "the API answers")
            yield process, http


async def test_another_tenants_user_of_the_same_id_is_somebody_else(api: Deployment) -> None:
    """They are not reached from here."""
    await api.store.credentials.put(
        "other", USER, NewTokens(access_token="x"), profile=Profile(id="p"), now=api.clock.now()
    )
    await api.client.delete(PATH)

    assert await api.store.credentials.get("other", USER) is not None


async def test_a_credential_alone_cannot_be_deleted(api: Deployment) -> None:
    """Whoever tries is not made to believe that it is gone, and nobody else is erased for it."""
    await api.sign_in()

    assert problem_of(await api.client.delete("/v1/users/alice/credential")) == (405, "method_not_allowed")
    assert await api.store.credentials.get(DEFAULT_TENANT, "alice") is not None


@pytest.mark.parametrize("user", ["a/credential", "credential", "zapier-sign-in", "users/credential"])
async def test_a_user_whose_id_reads_like_an_address_can_be_erased(api: Deployment, user: str) -> None:
    """Their slash is encoded, as clients do it; an id without one needs nothing."""
    path = f"/v1/users/{quote(user, safe='')}"
    await api.ok("PUT", f"{path}/credential", {"access_token": "sim-alice"})
    await api.ok("DELETE", path, status=204)

    assert await api.store.credentials.get(DEFAULT_TENANT, user) is None
