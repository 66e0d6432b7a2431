"""What happens in sessions arrives at receivers: through a real store, a real queue, a real worker."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import pytest
from aiohttp import web

from orchestrator.core.deliveries import DeliveryState
from orchestrator.core.endpoints import Pause
from orchestrator.core.events import EventName
from orchestrator.core.session import MINUTE, SECOND
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.webhooks import EndpointChange
from tests.integration.webhooks.station import LIMIT_S, Station
from tests.support.processes import come_true
from tests.support.receivers import Heard, a_receiver

pytestmark = pytest.mark.slow

USERS: Final = [f"user-{number}" for number in range(10)]


async def test_every_event_arrives_once_in_order_and_signed(station: Station) -> None:
    """With the session as it was then, or later; also from machines whose clocks are ten minutes apart."""
    async with a_receiver() as receiver:
        endpoint = await station.endpoint(receiver.url)
        with station.worker(clock_ahead_ms=5 * MINUTE), station.worker(clock_ahead_ms=-5 * MINUTE):
            keys = await station.lived(USERS, changes=3)
            await receiver.hear(5 * len(USERS))
            await come_true(station.is_idle)

    assert receiver.seqs == {key.session_id: [1, 2, 3, 4, 5] for key in keys}
    assert len({heard.message_id for heard in receiver.heard}) == 5 * len(USERS)
    for heard in receiver.heard:
        heard.verify(endpoint.secrets[0])
        assert abs(int(heard.headers["webhook-timestamp"]) - time.time()) < 2.5 * MINUTE / SECOND
        assert heard.data["session"]["seq"] >= heard.seq
    assert {one.state for one in await station.deliveries(endpoint)} == {DeliveryState.DELIVERED}


async def test_by_default_only_outcomes_are_sent(station: Station) -> None:
    """And an endpoint of one session hears of no other."""
    async with a_receiver() as receiver, a_receiver() as own:
        first = await station.session("ada")
        await station.endpoint(receiver.url, events=frozenset({EventName.SESSION_CANCELLED}))
        await station.endpoint(own.url, session=first.session_id)
        with station.worker():
            second = await station.session("bob")
            for key in (first, second):
                await station.change(key, "new")
                await station.cancel(key)
            await receiver.hear(2)
            await own.hear(3)
            await come_true(station.is_idle)

    assert receiver.seqs == {first.session_id: [3], second.session_id: [3]}
    assert own.seqs == {first.session_id: [1, 2, 3]}


async def test_a_failure_holds_its_session_and_no_other(station: Station) -> None:
    """The later events of that session wait for it; it comes again under its id, signed anew."""
    failed: set[str] = set()
    sick = await station.session("sick")

    async def once(heard: Heard) -> web.Response:
        if heard.session_id == sick.session_id and heard.message_id not in failed and heard.seq == 1:
            failed.add(heard.message_id)
            return web.Response(status=503, text="busy")
        return web.Response()

    async with a_receiver(once) as receiver:
        endpoint = await station.endpoint(receiver.url)
        with station.worker():
            await station.change(sick, "two")
            others = await station.lived(USERS, changes=0)
            await receiver.hear(3 + 2 * len(USERS))
            await come_true(station.is_idle)

    assert receiver.seqs[sick.session_id] == [1, 1, 2]
    assert all(receiver.seqs[key.session_id] == [1, 2] for key in others)
    tries = [heard for heard in receiver.heard if heard.session_id == sick.session_id and heard.seq == 1]
    assert {heard.message_id for heard in tries} == failed
    assert {heard.body for heard in tries} == {tries[0].body}
    assert int(tries[1].headers["webhook-timestamp"]) - int(tries[0].headers["webhook-timestamp"]) >= 4
    (record,) = [
        one for one in await station.deliveries(endpoint) if one.lane.session_id == sick.session_id and one.seq == 1
    ]
    assert [(one.status, one.answer) for one in record.tries] == [(503, "busy"), (200, "")]


async def test_a_receiver_that_is_gone_is_paused_and_loses_nothing(station: Station) -> None:
    """410 pauses it; what happens meanwhile is kept and comes when it listens again."""
    is_gone = True

    async def gone(_: Heard) -> web.Response:
        return web.Response(status=410 if is_gone else 200)

    async with a_receiver(gone) as receiver:
        endpoint = await station.endpoint(receiver.url)
        with station.worker():
            key = await station.session("ada")
            await receiver.hear(1)

            async def paused() -> bool:
                return (await station.zapwright.webhooks.endpoint(DEFAULT_TENANT, endpoint.id)).paused is Pause.GONE

            await come_true(paused)
            for title in ("two", "three"):
                await station.change(key, title)
            await asyncio.sleep(0.5)
            heard_while_paused = len(receiver.heard)
            is_gone = False
            await station.zapwright.webhooks.change(DEFAULT_TENANT, endpoint.id, EndpointChange(paused=False))
            await receiver.hear(4)
            await come_true(station.is_idle)

    assert heard_while_paused == 1
    assert receiver.seqs == {key.session_id: [1, 1, 2, 3]}


async def test_what_is_on_its_way_to_a_deleted_endpoint_is_dropped(station: Station) -> None:
    """Also while it is being tried again."""

    async def broken(_: Heard) -> web.Response:
        return web.Response(status=500)

    async with a_receiver(broken) as receiver:
        endpoint = await station.endpoint(receiver.url)
        with station.worker():
            await station.session("ada")
            await receiver.hear(1)
            await station.zapwright.webhooks.delete(DEFAULT_TENANT, endpoint.id)
            heard_until_then = len(receiver.heard)
            await come_true(station.is_idle)

    assert len(receiver.heard) == heard_until_then


async def test_both_live_secrets_sign(station: Station) -> None:
    """So that a receiver can change over without losing any."""
    async with a_receiver() as receiver:
        endpoint = await station.endpoint(receiver.url)
        renewed = (await station.zapwright.webhooks.renew_secret(DEFAULT_TENANT, endpoint.id)).endpoint
        with station.worker():
            await station.session("ada")
            (heard,) = await receiver.hear(1)

    assert renewed.secrets[1:] == endpoint.secrets
    for secret in renewed.secrets:
        heard.verify(secret)


async def test_a_stalled_receiver_slows_nobody_else(station: Station) -> None:
    """Another one's events arrive, as soon as ever, while a hundred are stuck there."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    stuck_since: list[float] = []

    async def never(_: Heard) -> web.Response:
        stuck_since.append(loop.time())
        await over.wait()
        return web.Response()

    async with a_receiver(never) as stalled, a_receiver() as quick:
        await station.endpoint(stalled.url, events=frozenset({EventName.SESSION_CREATED}))
        with station.worker():
            for number in range(20):
                await station.lived([f"stuck-{number}-{one}" for one in range(20)], changes=0)
            await stalled.hear(100)
            await station.endpoint(quick.url, events=frozenset({EventName.SESSION_CANCELLED}))
            began = loop.time()
            for number in range(10):
                await station.lived([f"free-{number}"], changes=0)
            await quick.hear(10)
            heard = loop.time()
            over.set()
    print(f"ten events took {heard - began:.2f} s, from the first commit")  # noqa: T201 - for people

    assert sum(heard - since < LIMIT_S for since in stuck_since) >= 100
