"""The doctor on stores that do not let themselves be examined, and on those that stand in for each other."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from cli import devenv
from cli.children import end_orphans, living
from cli.doctor import RELAYED_WITHIN, Finding, Verdict, examine
from orchestrator.bootstrap import compose, opened
from orchestrator.core.session import SECOND
from orchestrator.core.tenants import DEFAULT_TENANT, Tenant
from orchestrator.engine import NewSession
from orchestrator.settings import Settings
from orchestrator.store.limits import Limits
from orchestrator.store.opening import open_store
from orchestrator.webhooks import EndpointChange, NewEndpoint
from simulator.accounts import secret_of
from tests.support.clocks import ManualClock
from tests.support.fleets import DURABLE, running_cluster, running_watched
from tests.support.ports import free_port
from tests.support.processes import SEALING_KEY, a_simulator
from tests.support.valkey import ValkeyServer, running_valkey

NOWHERE = "http://127.0.0.1:1"
OF_THE_STORE = ("store", "persistence", "replication", "clock", "budget")


@pytest.fixture(scope="module")
def managed() -> Iterator[ValkeyServer]:
    """A server as a provider runs it, who leaves neither its settings nor its figures to its users."""
    with running_valkey(*DURABLE) as server:
        with server.client() as client:
            client.acl_setuser(
                "tenant", enabled=True, passwords=["+secret"], keys=["*"], channels=["*"], categories=["+@all"],
                commands=["-config", "-info", "-role", "-client|list"],
            )  # fmt: skip
        yield server


def settings_for(redis_url: str, **more: Any) -> Settings:
    """Return what everything is started with."""
    return Settings(
        redis_url=SecretStr(redis_url),
        api_key=SecretStr("key"),
        credential_keys=(SecretStr(SEALING_KEY),),
        zapier_api_url=NOWHERE,
        **more,
    )


async def findings(settings: Settings) -> dict[str, Finding]:
    """Return what the doctor finds about the store."""
    return {finding.thing: finding async for finding in examine(settings) if finding.thing in OF_THE_STORE}


async def test_what_a_managed_server_does_not_say_is_named_for_a_person_to_look_at(managed: ValkeyServer) -> None:
    """Without CONFIG and INFO nothing fails for that reason, and nothing is taken for granted."""
    found = await findings(settings_for(f"unix://tenant:secret@{managed.socket}"))

    verdicts = {thing: finding.verdict for thing, finding in found.items()}
    assert verdicts == {
        "store": Verdict.WARN,
        "persistence": Verdict.WARN,
        "clock": Verdict.OK,
        "budget": Verdict.OK,
    }
    assert found["store"].detail.startswith("valkey 9.")
    assert "noeviction" in (found["store"].advice or "")
    assert "append-only" in (found["persistence"].advice or "")


async def test_everything_starts_on_a_managed_server(managed: ValkeyServer) -> None:
    """What it does not say is not held against it."""
    url = f"unix://tenant:secret@{managed.socket}"

    async with opened(settings_for(url), redis_url=url) as zapwright:
        assert await zapwright.store.sessions.of_user("default", "nobody") == ()


async def test_a_server_that_tells_everything_is_told_apart(managed: ValkeyServer) -> None:
    """The same server, asked by who may ask."""
    found = await findings(settings_for(managed.url))

    assert {finding.verdict for finding in found.values()} == {Verdict.OK}
    assert "noeviction" in found["store"].detail


async def test_who_hears_nothing_is_named(managed: ValkeyServer) -> None:
    """How many events wait and for how long; which endpoints are paused, and why; what to do about either."""
    settings = settings_for(managed.url)
    async with opened(settings, redis_url=managed.url) as zapwright:
        new = NewEndpoint(tenant_id=DEFAULT_TENANT, url="https://hooks.example/")
        endpoint = (await zapwright.webhooks.create(new)).endpoint
        well = await finding("webhooks", settings)
        await zapwright.webhooks.change(DEFAULT_TENANT, endpoint.id, EndpointChange(paused=True))
        paused = await finding("webhooks", settings)
        clock = ManualClock(at=zapwright.clock.now() - RELAYED_WITHIN - 9 * SECOND)
        http, ids = zapwright.http, zapwright.ids
        earlier = compose(settings, store=zapwright.store, http=http, clock=clock, ids=ids)
        await earlier.engine.create_session(NewSession(tenant_id=DEFAULT_TENANT, user_id="ada"))
        waiting = await finding("webhooks", settings)

    assert (well.verdict, well.advice) == (Verdict.OK, None)
    assert "0 events to be relayed; 0 lanes under way; 1 endpoint" in well.detail
    assert (paused.verdict, f"paused: {endpoint.id} (requested)" in paused.detail) == (Verdict.WARN, True)
    assert "resume" in (paused.advice or "")
    assert waiting.verdict is Verdict.FAIL
    assert "1 event to be relayed, the oldest for 39 s" in waiting.detail
    assert "worker" in (waiting.advice or "")


async def finding(thing: str, settings: Settings) -> Finding:
    """Return what the doctor finds about one thing."""
    (found,) = [found async for found in examine(settings) if found.thing == thing]
    return found


async def test_a_watched_primary_that_writes_alone_is_noticed() -> None:
    """Until it waits for a replica, what it took while it was cut off is lost."""
    with running_watched(*DURABLE, replicas=1, sentinels=1) as watched:
        before = (await findings(settings_for(watched.url)))["replication"]
        with watched.primary.client() as client:
            client.config_set("min-replicas-to-write", 1)
        after = (await findings(settings_for(watched.url)))["replication"]

    assert (before.verdict, after.verdict) == (Verdict.WARN, Verdict.OK)
    assert "min-replicas-to-write" in (before.advice or "")


async def test_a_cluster_is_examined_node_by_node() -> None:
    """One node that may lose everything spoils the whole."""
    with running_cluster(*DURABLE) as cluster:
        settings = settings_for(cluster.url, queue_redis_url=SecretStr(NOWHERE.replace("http", "redis")))
        before = await findings(settings)
        with cluster.primaries[1].client() as client:
            client.config_set("appendonly", "no")
        after = await findings(settings)

    assert before["store"].detail.startswith("3 primaries of valkey 9.")
    assert before["persistence"].verdict is Verdict.OK
    assert after["persistence"].verdict is Verdict.FAIL


# --- client secrets -------------------------------------------------------------------------------------------


@pytest.fixture(name="simulated", scope="module")
def _simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The addresses of a store with two tenants, and of a simulator that knows the secret of one of them."""
    with running_valkey(*DURABLE) as server, a_simulator(tmp_path_factory.mktemp("doctor")) as simulator:
        asyncio.run(_with_tenants(server.url))
        yield server.url, simulator


async def _with_tenants(redis_url: str) -> None:
    store = open_store(redis_url, shards=16, limits=Limits(), credential_keys=[SEALING_KEY])
    for tenant_id, secret in (("acme", secret_of("acme")), ("stale", "of-last-year")):
        tenant = Tenant(id=tenant_id, name="", zapier_client_id=tenant_id, created_at=1)
        await store.tenants.create(tenant, client_secret=secret)
    await store.aclose()


async def client_secrets(redis_url: str, **more: Any) -> dict[str, tuple[Verdict, str]]:
    """Return what the doctor finds about client secrets."""
    settings = settings_for(redis_url).model_copy(update=more)
    found = [finding async for finding in examine(settings) if finding.thing.startswith("client secret")]
    return {finding.thing: (finding.verdict, finding.detail) for finding in found}


async def test_zapier_is_asked_whether_it_knows_each_client_secret(simulated: tuple[str, str]) -> None:
    """And nothing is used up by that."""
    redis_url, simulator = simulated
    found = await client_secrets(redis_url, zapier_api_url=simulator, zapier_client_secret=SecretStr("wrong"))

    assert found == {
        "client secret": (
            Verdict.FAIL,
            "Zapier refuses it, with the client id zapwright (status 401: invalid_client)",
        ),
        "client secret of acme": (Verdict.OK, "Zapier knows it, with the client id acme"),
        "client secret of stale": (
            Verdict.FAIL,
            "Zapier refuses it, with the client id stale (status 401: invalid_client)",
        ),
    }


async def test_a_deployment_that_signs_nobody_in_needs_no_secret(simulated: tuple[str, str]) -> None:
    """Its backends do so."""
    redis_url, simulator = simulated
    found = await client_secrets(redis_url, zapier_api_url=simulator)

    assert found["client secret"] == (
        Verdict.OK,
        "not set: users sign in, and tokens are refreshed, elsewhere",
    )


async def test_a_secret_that_cannot_be_read_or_asked_about_is_named(simulated: tuple[str, str]) -> None:
    """By which keys, or why."""
    redis_url, _ = simulated
    key = Fernet.generate_key().decode()
    unread = await client_secrets(redis_url, credential_keys=(SecretStr(key),))
    unheard = await client_secrets(redis_url, zapier_client_secret=SecretStr("x"))

    assert unread["client secret of acme"][0] is Verdict.FAIL
    assert unheard["client secret"] == (Verdict.WARN, "Zapier does not say: not reached: connection dropped")


@pytest.mark.parametrize(
    ("settings", "verdict", "said"),
    [
        ({}, Verdict.WARN, "how the API is reached"),
        ({"public_api_url": "https://z.example/api/"}, Verdict.OK, "https://z.example/api/zapier-sign-in/callback"),
        ({"zapier_api_url": NOWHERE}, Verdict.OK, "not Zapier"),
    ],
    ids=["no address", "an address", "elsewhere"],
)
async def test_what_zapier_must_know_before_anybody_can_sign_in_is_said(
    settings: dict[str, Any], verdict: Verdict, said: str
) -> None:
    """The redirect URI to the letter, which must be registered there."""
    found = {finding.thing: finding async for finding in examine(Settings(**settings))}

    assert found["redirect URI"].verdict is verdict
    assert said in found["redirect URI"].detail


# --- what `zapwright up` runs ---------------------------------------------------------------------------------------


@contextmanager
def sleeping() -> Iterator[int]:
    """Have a process that does nothing, by its number."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


async def test_what_hangs_is_not_said_to_have_ended(
    managed: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `up` runs is told apart: all of it ended, one of it is being started again, or lives and does nothing."""
    devenv.write(tmp_path, {"REDIS_URL": managed.url, "ZAPWRIGHT_STARTED": "store"})
    monkeypatch.setenv("REDIS_URL", managed.url)
    monkeypatch.setenv("ZAPWRIGHT_API_URL", f"http://127.0.0.1:{free_port()}")
    settings = settings_for(managed.url, data_dir=tmp_path)
    run = tmp_path / "run"
    run.mkdir()

    async def advice() -> tuple[str, str]:
        found = {one.thing: one async for one in examine(settings) if one.verdict is Verdict.FAIL}
        return found["workers"].advice or "", found["API"].advice or ""

    ended = await advice()
    demo = tmp_path / devenv.DEMO
    demo.mkdir()
    devenv.write(demo, {})
    (demo / devenv.LOCK).write_text(f"{os.getpid()}\n", encoding="ascii")
    beside_a_demo = await advice()
    (tmp_path / devenv.LOCK).write_text(f"{os.getpid()}\n", encoding="ascii")
    with sleeping() as hung, sleeping() as other:
        for name, pid in (("worker-1", hung), ("worker-2", other)):
            (run / f"{name}.pid").write_text(f"{pid}\n", encoding="ascii")
        (run / "api.pid").write_text("", encoding="ascii")
        workers, api = await advice()
    gone, _ = await advice()
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    elsewhere = await advice()

    assert set(ended) == {"run `zapwright up`: what it had started has ended"}
    assert set(beside_a_demo) == {f"{ended[0]}; a demo runs: add `--data-dir {demo}`"}
    assert workers.startswith("hanging or failing, not ended: worker-1, worker-2; see ")
    assert f"`kill -9 {hung} {other}`" in workers
    assert api == gone.replace("worker-*", "api")
    assert api.startswith("wait: `zapwright up` starts again what ends; ")
    assert elsewhere == ("run `zapwright worker`", "run `zapwright api`")


def test_numbers_of_an_earlier_run_are_forgotten_by_the_next(tmp_path: Path) -> None:
    """Else a process that got such a number afterwards would be taken for a worker."""
    (tmp_path / "worker-2.pid").write_text(f"{os.getpid()}\n", encoding="ascii")

    assert living(tmp_path, "worker-*") == {"worker-2": os.getpid()}
    assert end_orphans(tmp_path) == []
    assert living(tmp_path, "worker-*") == {}


async def test_a_store_that_answers_and_does_not_fit_is_not_said_to_hang(
    managed: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To kill it would mend nothing."""
    devenv.write(tmp_path, {"REDIS_URL": managed.url, "ZAPWRIGHT_STARTED": "store"})
    (tmp_path / devenv.LOCK).write_text(f"{os.getpid()}\n", encoding="ascii")
    monkeypatch.setenv("REDIS_URL", managed.url)
    settings = settings_for(managed.url, data_dir=tmp_path)
    await findings(settings)
    found = await findings(settings.model_copy(update={"shards": 8}))

    assert found["store"].advice == "see REDIS_URL and the server's configuration"
