"""Nothing is lost whatever fails: receivers at random, relays and workers by kill -9.

The sizes are those of a run in CI; `ZAPWRIGHT_FAULTS=full` (`make faults`) takes those that were promised.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import pytest
from aiohttp import web

from orchestrator.core.deliveries import HOLD, DeliveryState
from orchestrator.core.session import SECOND, SessionKey
from tests.integration.webhooks.station import Station
from tests.support.processes import come_true
from tests.support.receivers import Heard, Receiver, a_receiver

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done."""

    sessions: int
    kills: int
    events: int
    within_s: float


SIZES: Final = {"ci": Size(200, 6, 600, 100), "full": Size(2_000, 50, 5_000, 1_500)}
SIZE: Final = SIZES[os.environ.get("ZAPWRIGHT_FAULTS", "ci")]
CHANGES: Final = 2
USERS_AT_ONCE: Final = 25


class Books:
    """What a receiver has kept of each session: the one with the greatest `seq`, as the guide says."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}

    def keep(self, heard: Heard) -> None:
        session = heard.data["session"]
        known = self.sessions.get(session["id"])
        if known is None or session["seq"] > known["seq"]:
            self.sessions[session["id"]] = session


async def states(station: Station, keys: list[SessionKey]) -> dict[str, tuple[int, str | None, str]]:
    """Give what the server knows of each session: seq, title, status."""
    sessions = [await station.load(key) for key in keys]
    return {session.id: (session.seq, session.title, session.status.value) for session in sessions}


def kept(books: Books) -> dict[str, tuple[int, str | None, str]]:
    """Give what the receiver knows, in the same form."""
    return {name: (one["seq"], one["title"], one["status"]) for name, one in books.sessions.items()}


class Sick:
    """A receiver's code: it fails in every way there is, until it is well."""

    def __init__(self, books: Books, chance: Random) -> None:
        self.is_well = False
        self.counts: Counter[str] = Counter()
        self._books = books
        self._chance = chance

    async def __call__(self, heard: Heard) -> web.StreamResponse:
        fate = 1.0 if self.is_well else self._chance.random()
        if fate < 0.15:
            self.counts["refused"] += 1
            return web.Response(status=self._chance.choice([500, 502, 503, 429, 404]))
        if fate < 0.17:
            self.counts["stalled"] += 1
            await asyncio.sleep(2)
            return web.Response()
        if fate < 0.22:
            self.counts["dropped"] += 1
            raise ConnectionResetError
        self._books.keep(heard)
        if fate < 0.27:
            self.counts["answer lost"] += 1
            return web.Response(status=500)
        self.counts["kept"] += 1
        return web.Response(status=204)


@pytest.mark.timeout(SIZE.within_s + 60)
async def test_a_receiver_that_fails_at_random_ends_with_the_servers_state(station: Station) -> None:
    """It answers 5xx, stalls, drops connections, and fails after it has kept what came; counts are printed."""
    books = Books()
    sick = Sick(books, Random(17))
    async with a_receiver(sick) as receiver:
        endpoint = await station.endpoint(receiver.url)
        with station.worker():
            keys: list[SessionKey] = []
            for begin in range(0, SIZE.sessions, USERS_AT_ONCE):
                users = [f"user-{number}" for number in range(begin, min(begin + USERS_AT_ONCE, SIZE.sessions))]
                keys += await station.lived(users, changes=CHANGES)
            await receiver.hear(2 * len(keys), within_s=SIZE.within_s)
            sick.is_well = True
            await come_true(station.is_idle, within_s=SIZE.within_s)
        dead = await station.deliveries(endpoint, state=DeliveryState.DEAD)
        expected = await states(station, keys)
    events, posts = (CHANGES + 2) * len(keys), len(receiver.heard)
    print(f"{len(keys)} sessions, {events} events, {posts} posts: {dict(sick.counts)}")  # noqa: T201 - for people

    assert len(keys) == SIZE.sessions
    assert kept(books) == expected
    assert dead == ()
    assert len(sick.counts) == 5


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


@pytest.mark.timeout(SIZE.within_s + 60)
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
