"""Nothing is lost whatever fails: receivers at random, relays and workers by kill -9.

The suite runs 2,000 sessions and 6 kills of workers; `ZAPWRIGHT_FAULTS=full` (`make faults`) all that is promised: 50
kills, and more restarts of receivers.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import pytest
from aiohttp import web

from orchestrator.core.deliveries import HOLD, DeliveryState
from orchestrator.core.session import SECOND, SessionKey
from tests.integration.webhooks.station import Station
from tests.support.ports import free_port
from tests.support.processes import Process, come_true, eventually, running
from tests.support.receivers import Heard, Receiver, a_receiver
from tests.support.sick_receiver import STALL_S, Journal

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done."""

    sessions: int
    restarts: int
    kills: int
    events: int
    within_s: float


SIZES: Final = {"ci": Size(2_000, 3, 6, 600, 150), "full": Size(2_000, 20, 50, 5_000, 1_500)}
SIZE: Final = SIZES[os.environ.get("ZAPWRIGHT_FAULTS", "ci")]
CHANGES: Final = 2
USERS_AT_ONCE: Final = 25


@pytest.fixture
def limit_s() -> float:
    """So little that a receiver that stalls is left."""
    return STALL_S / 2


async def states(station: Station, keys: list[SessionKey]) -> dict[str, tuple[int, str | None, str]]:
    """Give what the server knows of each session: seq, title, status."""
    sessions = [await station.load(key) for key in keys]
    return {session.id: (session.seq, session.title, session.status.value) for session in sessions}


def kept(journal: Journal) -> dict[str, tuple[int, str | None, str]]:
    """Give what the receiver knows, in the same form."""
    return {name: (one["seq"], one["title"], one["status"]) for name, one in journal.kept.items()}


@contextmanager
def a_sick_receiver(port: int, folder: Path, *, seed: int) -> Iterator[Process]:
    """Have a receiver that listens."""
    arguments = ["tests.support.sick_receiver", str(port), str(folder), str(seed)]
    with running(Process(arguments, environment={}, log=folder / f"receiver-{seed}.log")) as process:
        eventually(lambda: "listening" in process.output, what=process.output)
        yield process


async def has_been_sick(journal: Journal) -> bool:
    """Tell whether it was for a quarter of all that there is to be told."""
    return journal.posts >= SIZE.sessions * (CHANGES + 2) // 4


@pytest.mark.timeout(2 * SIZE.within_s + 60)
async def test_a_receiver_that_fails_at_random_and_dies_ends_with_the_servers_state(
    station: Station, tmp_path: Path
) -> None:
    """It answers 5xx, stalls, drops connections, fails after it kept what came, and its process is killed; counted."""
    journal, chance, port = Journal(tmp_path), Random(17), free_port()
    endpoint = await station.endpoint(f"http://127.0.0.1:{port}/")

    async def load() -> list[SessionKey]:
        keys: list[SessionKey] = []
        for begin in range(0, SIZE.sessions, USERS_AT_ONCE):
            users = [f"user-{number}" for number in range(begin, min(begin + USERS_AT_ONCE, SIZE.sessions))]
            keys += await station.lived(users, changes=CHANGES)
        return keys

    with station.worker():
        loading = asyncio.create_task(load())
        for number in range(SIZE.restarts):
            with a_sick_receiver(port, tmp_path, seed=number) as receiver:
                await asyncio.sleep(chance.uniform(0.2, 1.5))
                receiver.kill()
        with a_sick_receiver(port, tmp_path, seed=SIZE.restarts):
            keys = await loading
            await come_true(lambda: has_been_sick(journal), within_s=SIZE.within_s)
            journal.cure()
            await come_true(station.is_idle, within_s=SIZE.within_s)
    dead = await station.deliveries(endpoint, state=DeliveryState.DEAD)
    expected = await states(station, keys)
    counts = journal.counts
    said = f"{len(keys)} sessions, {(CHANGES + 2) * len(keys)} events, {SIZE.restarts} restarts"
    print(f"{said}, {counts.total()} posts: {dict(counts)}")  # noqa: T201 - for people

    assert len(keys) == SIZE.sessions
    assert kept(journal) == expected
    assert dead == ()
    assert len(counts) == 5


def passed_unheld(receiver: Receiver, heard_at: list[float]) -> list[tuple[str, int, int]]:
    """Give the pairs of a session that came in the wrong order without the minute having passed."""
    first: dict[tuple[str, int], float] = {}
    for heard, at in zip(receiver.heard, heard_at, strict=True):
        first.setdefault((heard.session_id, heard.seq), at)
    return [
        (session, seq, seq + 1)
        for (session, seq), at in first.items()
        if (later := first.get((session, seq + 1))) is not None and later < at and at - later < HOLD / SECOND
    ]


@pytest.mark.timeout(2 * SIZE.within_s + 60)
async def test_relays_and_workers_that_are_killed_lose_nothing(station: Station) -> None:
    """Each event arrives at least once, and those of a session in order, but for the minute."""
    chance = Random(23)
    heard_at: list[float] = []
    loop = asyncio.get_running_loop()

    async def noted(_: Heard) -> web.StreamResponse:
        heard_at.append(loop.time())
        await asyncio.sleep(chance.random() / 50)
        return web.Response(status=204)

    sessions = max(1, SIZE.events // 20)
    async with a_receiver(noted) as receiver:
        await station.endpoint(receiver.url)

        async def load() -> list[SessionKey]:
            keys: list[SessionKey] = []
            for begin in range(0, sessions, USERS_AT_ONCE):
                users = [f"user-{number}" for number in range(begin, min(begin + USERS_AT_ONCE, sessions))]
                keys += await station.lived(users, changes=18)
            return keys

        loading = asyncio.create_task(load())
        for _ in range(SIZE.kills):
            with station.worker() as worker:
                await asyncio.sleep(chance.uniform(0.1, 1.5))
                worker.kill()
        with station.worker():
            keys = await loading
            await come_true(station.is_idle, within_s=SIZE.within_s)

    expected = {key.session_id: set(range(1, 21)) for key in keys}
    repeated = len(receiver.heard) - 20 * len(keys)
    print(f"{SIZE.kills} kills, {20 * len(keys)} events, {repeated} came again")  # noqa: T201 - for people

    assert {name: set(seqs) for name, seqs in receiver.seqs.items()} == expected
    assert passed_unheld(receiver, heard_at) == []
