"""The API as a process of its own, over sockets, on a real store."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from api.server import PlainStart, allow_connections
from orchestrator.core.tenants import TENANT_SCOPES, ApiKey, Tenant, digest_of, key_text
from orchestrator.serving import START_FAILED
from orchestrator.store.limits import Limits
from orchestrator.store.opening import Store, open_store
from tests.support.patience import PATIENT
from tests.support.processes import SEALING_KEY, eventually
from tests.support.servers import KEY, process, said
from tests.support.valkey import ValkeyServer, running_valkey

WAIT_S: Final = 30
"""As long as a poll may wait."""

READ: Final = 'zapwright_http_requests_total{method="GET",route="/v1/sessions/{session_id}"'


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A store server."""
    with running_valkey() as server:
        yield server


def is_followed(valkey: ValkeyServer) -> bool:
    """Tell whether somebody waits for news of sessions."""
    with valkey.client() as client:
        return bool(client.pubsub_numpat())


def test_a_process_that_is_asked_to_end_does_not_wait_for_long_polls(valkey: ValkeyServer) -> None:
    """They are answered with what there is, and the process ends long before they would have."""
    with (
        process(valkey.url) as (running, address),
        httpx.Client(base_url=address, headers={"Authorization": f"Bearer {KEY}"}, **PATIENT) as client,
        ThreadPoolExecutor() as pool,
    ):
        session = client.post("/v1/sessions", json={"user_id": "ann"}).json()
        token = session.pop("client_token")["token"]
        waiting = {"after_seq": session["seq"], "wait_s": WAIT_S}
        poll = pool.submit(client.get, f"/v1/sessions/{session['id']}", params=waiting)
        eventually(lambda: is_followed(valkey), what="the poll waits")
        is_waiting = not poll.done()

        begun_at = time.monotonic()
        running.send_signal(signal.SIGTERM)
        answer = poll.result(timeout=WAIT_S)
        log = said(running)
        duration = time.monotonic() - begun_at

    assert is_waiting
    assert (answer.status_code, answer.json()) == (200, session)
    assert duration < WAIT_S / 2
    assert '"event":"request"' in log
    assert KEY not in log
    assert token not in log


def test_a_page_that_leaves_ends_its_long_poll(valkey: ValkeyServer) -> None:
    """Long before its time is over, nothing waits for it any more."""
    with (
        process(valkey.url) as (_, address),
        httpx.Client(base_url=address, headers={"Authorization": f"Bearer {KEY}"}, **PATIENT) as client,
    ):
        session = client.post("/v1/sessions", json={"user_id": "ann"}).json()
        waiting = {"after_seq": session["seq"], "wait_s": WAIT_S}
        left_at = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            client.get(f"/v1/sessions/{session['id']}", params=waiting, timeout=0.3)
        eventually(lambda: READ in client.get("/metrics").text, what="its poll is over")

    assert time.monotonic() - left_at < WAIT_S / 2


def test_a_process_may_have_as_many_connections_as_the_system_allows() -> None:
    """Whatever it was started with: a stream is a connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
        allow_connections()

        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_without_its_store_does_not_start() -> None:
    """It says why in a sentence, and whoever runs it starts it again."""
    with process("redis://127.0.0.1:1") as (running, _):
        log = said(running)

    assert running.returncode == START_FAILED
    assert "the store did not answer (no connection)" in log
    assert "Traceback" not in log


async def test_a_start_that_fails_as_nobody_foresaw_shows_where() -> None:
    """A mistake of ours is found by its traceback."""
    sent: list[Message] = []

    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed", "message": "Traceback: here"})
        raise RuntimeError("surprise")

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(RuntimeError, match="surprise"):
        await PlainStart(fails)({"type": "lifespan"}, receive, send)

    assert sent == [{"type": "lifespan.startup.failed", "message": "Traceback: here"}]


def test_a_process_without_a_key_does_not_start(valkey: ValkeyServer) -> None:
    """It says what to set."""
    valkey.flush()
    with process(valkey.url, ZAPWRIGHT_API_KEY="") as (running, _):
        log = said(running)

    assert running.returncode != 0
    assert "ZAPWRIGHT_API_KEY is not set" in log
    assert "Traceback" not in log


def test_keys_that_were_made_are_enough_to_start(valkey: ValkeyServer) -> None:
    """A deployment for many tenants needs no key in its settings, and notes when a key was used."""
    secret = "s" * 40
    key = ApiKey(id="ak1", tenant_id="acme", name="", scopes=TENANT_SCOPES, digest=digest_of(secret), created_at=1)

    async def on_store(do: Callable[[Store], Awaitable[ApiKey | None]]) -> ApiKey | None:
        store = open_store(valkey.url, shards=16, limits=Limits(), credential_keys=[SEALING_KEY])
        try:
            return await do(store)
        finally:
            await store.aclose()

    async def make(store: Store) -> None:
        await store.tenants.create(Tenant(id="acme", name="", created_at=1))
        await store.api_keys.create(key)

    asyncio.run(on_store(make))
    with process(valkey.url, ZAPWRIGHT_API_KEY="") as (running, address):
        headers = {"Authorization": f"Bearer {key_text('ak1', secret)}"}
        answer = httpx.post(f"{address}/v1/sessions", headers=headers, json={"user_id": "ann"}, timeout=30)
        running.send_signal(signal.SIGTERM)
        log = said(running)
    kept = asyncio.run(on_store(lambda store: store.api_keys.get("ak1")))

    assert answer.status_code == 201
    assert secret not in log
    assert kept is not None
    assert kept.last_used_at is not None
