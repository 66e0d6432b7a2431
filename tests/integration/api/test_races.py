"""Two API processes on one real store: whoever comes second decides again, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from cryptography.fernet import Fernet

from orchestrator.settings import Settings
from orchestrator.store.limits import UNLIMITED, Limits
from orchestrator.store.opening import open_store
from tests.support.deployment import UNLIMITED as SIMULATOR_UNLIMITED
from tests.support.deployment import Deployment
from tests.support.simulation import Simulation
from tests.support.valkey import ValkeyServer, running_valkey


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A store server."""
    with running_valkey() as server:
        yield server


@asynccontextmanager
async def processes(valkey: ValkeyServer, count: int = 2) -> AsyncIterator[list[Deployment]]:
    """Have some API processes, each with its own connections, before one simulated Zapier."""
    valkey.flush()
    sim, keys = Simulation(switches=SIMULATOR_UNLIMITED), [Fernet.generate_key().decode()]
    limits, shards = Limits(egress=UNLIMITED, partner=UNLIMITED), Settings().shards
    stores = [open_store(valkey.url, shards=shards, limits=limits, credential_keys=keys) for _ in range(count)]
    deployments = [Deployment(store=store, sim=sim) for store in stores]
    yield deployments
    for deployment, store in zip(deployments, stores, strict=True):
        await deployment.aclose()
        await store.aclose()


async def test_steps_that_two_processes_add_are_all_there(valkey: ValkeyServer) -> None:
    """Each in its own commit, each told by one event."""
    async with processes(valkey) as (one, other):
        session = await one.session()
        steps = f"/v1/sessions/{session['id']}/steps"

        added = await asyncio.gather(*[api.client.post(steps, json={}) for api in (one, other) for _ in range(8)])
        after = await other.read(session)
        events = (await one.ok("GET", f"/v1/sessions/{session['id']}/events")).json()["events"]

    assert {answer.status_code for answer in added} == {201}
    assert {answer.json()["step_id"] for answer in added} == {step["id"] for step in after["steps"]}
    assert [event["seq"] for event in events] == list(range(1, 18))
    assert after["seq"] == 17


async def test_two_apps_chosen_at_once_leave_one_whole(valkey: ValkeyServer) -> None:
    """The later one, with its own link and its own baseline; each writer sees what it wrote."""
    async with processes(valkey) as (one, other):
        session, address = await one.step(None)

        slack, gmail = await asyncio.gather(
            one.ok("PUT", f"{address}/app", {"app_id": one.sim.app_id("Slack")}),
            other.ok("PUT", f"{address}/app", {"app_id": one.sim.app_id("Gmail")}),
        )
        (step,) = (await one.read(session))["steps"]

    winner = step["app"]["title"]
    assert [answer.json()["steps"][0]["app"]["title"] for answer in (slack, gmail)] == ["Slack", "Gmail"]
    assert winner in {"Slack", "Gmail"}
    assert {"Slack": "SlackCLIAPI", "Gmail": "GoogleMailV2CLIAPI"}[winner] in step["connect"]["url"]
    assert {slack.json()["seq"], gmail.json()["seq"]} == {session["seq"] + 1, session["seq"] + 2}


async def test_one_attempt_opened_in_two_processes_is_one(valkey: ValkeyServer) -> None:
    """One says 201, the other 200; both give the same address."""
    async with processes(valkey) as (one, other):
        _, address = await one.step("Slack")
        body = {"attempt_id": "attempt-0001"}

        answers = await asyncio.gather(*[api.client.post(f"{address}/popup", json=body) for api in (one, other)])

    assert sorted(answer.status_code for answer in answers) == [200, 201]
    assert answers[0].json() == answers[1].json()


async def test_a_zap_wished_for_in_many_places_is_made_once(valkey: ValkeyServer) -> None:
    """One call to Zapier; the others hear that it is being made, or was."""
    async with processes(valkey, 3) as deployments:
        api = deployments[0]
        session, address = await api.step("Schedule")
        await api.ok("PUT", f"{address}/action", {"key": "every_hour", "action_type": "READ"})
        zap = f"/v1/sessions/{session['id']}/zap"

        answers = await asyncio.gather(*[each.client.post(zap, json={}) for each in deployments for _ in range(3)])
        made = api.sim.world.zaps()
        after = await api.read(session)

    assert len(made) == 1
    assert [answer.status_code for answer in answers].count(201) == 1
    assert {answer.status_code for answer in answers} <= {200, 201, 409}
    assert after["zap"]["id"] == made[0].id


async def test_a_change_made_in_one_process_ends_a_wait_in_another(valkey: ValkeyServer) -> None:
    """News travel through the store."""
    async with processes(valkey) as (one, other):
        session = await one.session()
        address = f"/v1/sessions/{session['id']}"
        poll = asyncio.create_task(one.client.get(f"{address}?after_seq={session['seq']}&wait_s=20"))
        await asyncio.sleep(0.2)

        await other.ok("PATCH", address, {"title": "New"})
        answer = await asyncio.wait_for(poll, timeout=15)

    assert answer.json()["title"] == "New"


async def test_a_change_right_when_a_wait_begins_is_not_missed(valkey: ValkeyServer) -> None:
    """Wherever it falls between reading and subscribing."""
    async with processes(valkey) as (one, other):
        session = await one.session()
        address = f"/v1/sessions/{session['id']}"
        for number in range(1, 21):
            seq = session["seq"] + number - 1
            poll = asyncio.create_task(one.client.get(f"{address}?after_seq={seq}&wait_s=20"))
            await asyncio.sleep(number % 5 / 2_000)
            await other.ok("PATCH", address, {"title": f"number {number}"})
            answer = await asyncio.wait_for(poll, timeout=15)

            assert (answer.json()["seq"], answer.json()["title"]) == (seq + 1, f"number {number}")
