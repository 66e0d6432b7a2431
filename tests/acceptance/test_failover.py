"""Everything on stores of several servers, and on every other kind: what waits is found whatever dies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest
from redis.crc import key_slot

from orchestrator.store import keys
from tests.acceptance.installation import WITHOUT_LIMITS, installed
from tests.acceptance.waiting import Waiting, app_id, each, insist, lose_message, result, say
from tests.support.fleets import DURABLE, running_cluster, running_watched
from tests.support.valkey import REDIS_SERVER, running_cluster_node, running_valkey

SESSIONS: Final = 200
FEW: Final = 40


async def speak(api: httpx.AsyncClient, waiting: list[Waiting], *, enough: asyncio.Event) -> None:
    """Let users say that they have finished; `enough` is set when a quarter has."""
    spoken = 0

    async def finish(one: Waiting) -> None:
        nonlocal spoken
        await say(api, one, "finished", ask=insist)
        spoken += 1
        if spoken >= len(waiting) // 4:
            enough.set()

    await each(waiting, finish)


async def results(api: httpx.AsyncClient, waiting: list[Waiting]) -> list[str | None]:
    """Return what everybody got."""
    return await each(waiting, lambda one: result(api, one, ask=insist))


@pytest.mark.slow
async def test_the_primary_that_sentinels_watch_is_killed_while_200_sessions_wait(tmp_path: Path) -> None:
    """Pages that are gone, pages that speak right then: all resolve, none to what is not theirs; queues included."""
    with (
        running_watched(*DURABLE) as watched,
        installed(
            tmp_path / "sentinel", REDIS_URL=watched.url, ZAPWRIGHT_STORE_REPLICAS="1", **WITHOUT_LIMITS
        ) as installation,
    ):
        await asyncio.to_thread(installation.up)
        async with installation.api() as api, installation.simulator() as simulator:
            app = await app_id(api)
            users = [f"user{number}" for number in range(SESSIONS)]
            waiting = await each(users, lambda user: lose_message(api, simulator, user, app))
            gone, speaking = waiting[: SESSIONS // 2], waiting[SESSIONS // 2 :]
            await each(gone, lambda one: say(api, one, "closed"))
            enough = asyncio.Event()
            spoken = asyncio.create_task(speak(api, speaking, enough=enough))
            await enough.wait()
            former = watched.primary
            former.kill()
            await spoken
            found = await results(api, waiting)
        heir = watched.primary

    assert found == [one.made for one in waiting]
    assert heir is not former


@pytest.mark.slow
async def test_a_node_of_a_cluster_is_killed_and_replaced_while_200_sessions_wait(tmp_path: Path) -> None:
    """Then the one that took its place is killed too; the replacement carries on with everything."""
    with (
        running_cluster(*DURABLE) as cluster,
        running_valkey() as queues,
        installed(
            tmp_path / "cluster", REDIS_URL=cluster.url, QUEUE_REDIS_URL=queues.url, **WITHOUT_LIMITS
        ) as installation,
    ):
        await asyncio.to_thread(installation.up)
        slot = key_slot(keys.cooldown().encode())  # the budget's: without it no check is made
        async with installation.api() as api, installation.simulator() as simulator:
            app = await app_id(api)
            users = [f"user{number}" for number in range(SESSIONS)]
            waiting = await each(users, lambda user: lose_message(api, simulator, user, app))
            gone, speaking = waiting[: SESSIONS // 2], waiting[SESSIONS // 2 :]
            await each(gone, lambda one: say(api, one, "closed"))
            first = cluster.owner(slot)
            heir = cluster.replica_of(first)
            first.kill()
            await each(speaking[::2], lambda one: say(api, one, "finished", ask=insist))
            replacement = await asyncio.to_thread(cluster.replace, first, heir=heir)
            heir.kill()
            await each(speaking[1::2], lambda one: say(api, one, "finished", ask=insist))
            found = await results(api, waiting)
        assert replacement is cluster.owner(slot)

    assert found == [one.made for one in waiting]


@contextmanager
def redis_server() -> Iterator[dict[str, str]]:
    """Debian's redis-server; queues and sessions."""
    with running_valkey(*DURABLE, program=REDIS_SERVER) as server:
        yield {"REDIS_URL": server.url}


@contextmanager
def cluster_node() -> Iterator[dict[str, str]]:
    """A Valkey node in cluster mode for sessions, a plain one for queues."""
    with running_cluster_node(*DURABLE) as node, running_valkey() as queues:
        yield {"REDIS_URL": node.url, "QUEUE_REDIS_URL": queues.url}


@pytest.mark.slow
@pytest.mark.parametrize(
    "store", [pytest.param(redis_server, marks=pytest.mark.redis_server), cluster_node], ids=lambda one: one.__name__
)
async def test_everything_but_the_store_is_killed_on_every_kind_of_store(store: object, tmp_path: Path) -> None:
    """The same as on the bundled one."""
    assert callable(store)
    with store() as addresses, installed(tmp_path / "killed", **addresses, **WITHOUT_LIMITS) as installation:
        await asyncio.to_thread(installation.up)
        async with installation.api() as api, installation.simulator() as simulator:
            app = await app_id(api)
            users = [f"user{number}" for number in range(FEW)]
            waiting = await each(users, lambda user: lose_message(api, simulator, user, app))
        installation.kill_everything_but_the_store()
        await asyncio.to_thread(installation.up)
        async with installation.api() as api:
            await each(waiting, lambda one: say(api, one, "finished"))
            found = await results(api, waiting)

    assert found == [one.made for one in waiting]
