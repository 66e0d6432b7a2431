"""What pages show is asked for once for all who may see the same, no faster than the API answers, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest

from dashboard.feeds import LONGEST_PAUSE_S, Feeds
from dashboard.remote import Remote
from dashboard.sight import Seen
from dashboard.visits import Scope, Visit, Visits
from tests.support.operators import NOW_MS, FakeApi, Seconds, overview

OPERATOR = Scope(role="operator", tenants=None)
ACME = Scope(role="viewer", tenants=("acme",))
PAUSE_S = 0.005


class Desk:
    """Feeds of an API that the test commands."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.api.says("/overview", overview())
        self.clock = Seconds()
        self.visits = Visits(idle_s=600, clock=self.clock)
        self.feeds = Feeds(Remote("http://api.test", transport=self.api.transport()), self.visits, pause_s=PAUSE_S)

    def visit(self, key: str = "good-key", scope: Scope = OPERATOR) -> Visit:
        """Have somebody signed in."""
        self.api.keys.setdefault(key, {"role": scope.role, "tenants": scope.tenants})
        found = self.visits.find(self.visits.begin(key, scope))
        assert found is not None
        return found

    @property
    def keys_used(self) -> list[str]:
        """With which keys it was asked."""
        return [request.headers["authorization"].removeprefix("Bearer ") for request in self.api.asked]


class Ear:
    """Somebody who is told."""

    def __init__(self) -> None:
        self.heard: list[Seen] = []
        self._told = asyncio.Event()

    def __call__(self, seen: Seen) -> None:
        """Hear one reading."""
        self.heard.append(seen)
        self._told.set()

    async def until(self, condition: Callable[[Seen], bool]) -> Seen:
        """Wait until a reading is so."""
        async with asyncio.timeout(20):
            while not self.heard or not condition(self.heard[-1]):
                await self._told.wait()
                self._told.clear()
        return self.heard[-1]

    async def hear(self, times: int) -> None:
        """Wait until it was told so often."""
        await self.until(lambda _: len(self.heard) >= times)


async def test_ten_who_see_the_same_cost_one_reading_each_time() -> None:
    """However many browsers an operator, or a whole shift, has open."""
    desk, ears = Desk(), [Ear() for _ in range(10)]
    visits = [desk.visit(f"key-{number}") for number in range(10)]
    for visit, ear in zip(visits, ears, strict=True):
        desk.feeds.follow(visit, "/overview", ear)
    await asyncio.gather(*(ear.hear(5) for ear in ears))
    await desk.feeds.aclose()

    assert len(desk.api.asked) <= len(ears[0].heard) + 1
    assert ears[0].heard[-1].at == NOW_MS


async def test_who_may_see_less_is_asked_for_apart() -> None:
    """What one scope sees is never told to another."""
    desk, everything, some = Desk(), Ear(), Ear()
    desk.feeds.follow(desk.visit("all", OPERATOR), "/overview", everything)
    desk.feeds.follow(desk.visit("some", ACME), "/overview", some)
    await everything.until(lambda seen: seen.data is not None)
    await some.until(lambda seen: seen.data is not None)
    await desk.feeds.aclose()

    assert set(desk.keys_used) == {"all", "some"}


async def test_nothing_is_asked_for_nobody() -> None:
    """Once the last page is closed."""
    desk, ear = Desk(), Ear()
    leave = desk.feeds.follow(desk.visit(), "/overview", ear)
    await ear.until(lambda seen: seen.data is not None)
    (reading,) = (task for task in asyncio.all_tasks() if task.get_name() == "feed /overview")
    leave()
    await asyncio.wait([reading], timeout=20)

    assert reading.done()


async def test_an_api_that_is_down_leaves_what_was_seen_and_comes_back_by_itself() -> None:
    """What is old is told together with why it is."""
    desk, ear = Desk(), Ear()
    desk.feeds.follow(desk.visit(), "/overview", ear)
    await ear.until(lambda seen: seen.data is not None)
    desk.api.is_down = True
    old = await ear.until(lambda seen: seen.trouble is not None)
    desk.api.is_down = False
    new = await ear.until(lambda seen: seen.trouble is None)
    await desk.feeds.aclose()

    assert old.data == overview()
    assert old.trouble is not None
    assert old.trouble.says == "The API does not answer."
    assert new.data == overview()


async def test_a_key_that_was_revoked_signs_out_its_holder_and_nobody_else() -> None:
    """The others of the scope go on with a key of theirs."""
    desk, first, second = Desk(), Ear(), Ear()
    revoked, good = desk.visit("revoked"), desk.visit("good")
    desk.feeds.follow(revoked, "/overview", first)
    desk.feeds.follow(good, "/overview", second)
    await second.until(lambda seen: seen.data is not None)
    del desk.api.keys["revoked"]
    await first.until(lambda _: revoked.ended)
    await second.hear(len(second.heard) + 3)
    await desk.feeds.aclose()

    assert revoked.ended
    assert not good.ended
    assert [seen.trouble for seen in second.heard if seen.trouble is not None] == []


async def test_a_key_that_was_revoked_signs_out_whoever_came_second_too() -> None:
    """A colleague who reads the same with a good key is no reason to go on."""
    desk, first, second = Desk(), Ear(), Ear()
    good, revoked = desk.visit("good"), desk.visit("revoked")
    desk.feeds.follow(good, "/overview", first)
    desk.feeds.follow(revoked, "/overview", second)
    await second.until(lambda seen: seen.data is not None)
    del desk.api.keys["revoked"]
    await first.hear(len(first.heard) + 5)
    await desk.feeds.aclose()

    assert revoked.ended
    assert not good.ended
    assert [seen.trouble for seen in first.heard if seen.trouble is not None] == []


async def test_who_was_idle_for_too_long_is_signed_out_though_a_colleague_is_not() -> None:
    """Whoever of them came first."""
    desk, first, second = Desk(), Ear(), Ear()
    busy, idle = desk.visit("busy"), desk.visit("idle")
    desk.feeds.follow(busy, "/overview", first)
    desk.feeds.follow(idle, "/overview", second)
    await second.until(lambda seen: seen.data is not None)
    desk.clock.now += 601
    busy.seen_s = desk.clock()
    await first.hear(len(first.heard) + 3)
    heard = len(second.heard)
    await first.hear(len(first.heard) + 3)
    await desk.feeds.aclose()

    assert idle.ended
    assert len(second.heard) == heard
    assert not busy.ended


async def test_what_was_done_shows_at_once() -> None:
    """Not only at the next turn."""
    desk, ear = Desk(), Ear()
    desk.feeds = Feeds(Remote("http://api.test", transport=desk.api.transport()), desk.visits, pause_s=60)
    visit = desk.visit()
    desk.feeds.follow(visit, "/overview", ear)
    await ear.until(lambda seen: seen.data is not None)
    desk.api.says("/overview", overview(stuck=3))
    desk.feeds.look_again(visit)
    seen = await ear.until(lambda seen: (seen.data or {}).get("stuck") == 3)
    await desk.feeds.aclose()

    assert seen.trouble is None


@pytest.mark.parametrize("status", [500, 502])
async def test_an_answer_that_is_none_is_trouble(status: int) -> None:
    """A proxy's page, or an API that is broken, is not a reading."""
    desk, ear = Desk(), Ear()
    desk.api.says("/overview", {"detail": "broken"}, status=status)
    desk.feeds.follow(desk.visit(), "/overview", ear)
    seen = await ear.until(lambda seen: seen.trouble is not None)
    await desk.feeds.aclose()

    assert seen.data is None
    assert seen.trouble is not None
    assert seen.trouble.status is None


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (httpx.ReadTimeout(""), "no answer within 5 s"),
        (httpx.ConnectTimeout(""), "no answer within 5 s"),
        (httpx.ReadError(""), "the connection was cut off"),
        (httpx.ConnectError("refused"), "refused"),
    ],
)
async def test_why_there_was_no_answer_is_said_in_words(error: httpx.TransportError, hint: str) -> None:
    """Never by the name of an error of ours, which an operator at night cannot know."""
    desk, ear = Desk(), Ear()

    def hang(_: httpx.Request) -> httpx.Response:
        raise error

    desk.api.answers["/overview"] = hang
    desk.feeds.follow(desk.visit(), "/overview", ear)
    seen = await ear.until(lambda seen: seen.trouble is not None)
    await desk.feeds.aclose()

    assert seen.trouble is not None
    assert seen.trouble.hint == hint


def test_a_page_is_never_older_than_the_longest_pause() -> None:
    """A jump shows within ten seconds."""
    assert LONGEST_PAUSE_S < 10
