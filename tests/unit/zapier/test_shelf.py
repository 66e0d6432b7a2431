"""Answers that are kept: for how long, for whom, and read how often."""

import asyncio

import pytest
import structlog

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.session import Instant
from orchestrator.store.memory.around import MemoryCache
from orchestrator.zapier.shelf import Shelf
from tests.support.zapier import NOON, ManualClock


class Source:
    """Something worth keeping, which counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0
        self.is_broken = False

    async def read(self) -> tuple[str, ...]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.is_broken:
            raise KeyError
        return (f"reading {self.reads}",)


class FullCache(MemoryCache):
    """A cache that takes nothing."""

    async def put(self, key: str, value: bytes, *, now: Instant, until: Instant) -> None:
        raise StoreUnavailableError(problem="away")


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at noon."""
    return ManualClock()


async def kept(
    shelf: Shelf, source: Source, *, key: str = "k", unless: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    """Ask for a value that is kept for a second, and serves unless it is this one."""
    return await shelf.kept(key, tuple[str, ...], source.read, age=1_000, serves=lambda found: found != unless)


async def test_a_value_is_read_once_and_kept_for_its_time(clock: ManualClock) -> None:
    """Its age counts from the beginning of the reading."""
    shelf, source = Shelf(MemoryCache(), clock=clock), Source()

    first = await kept(shelf, source)
    clock.at = NOON + 999
    second = await kept(shelf, source)
    clock.at = NOON + 1_000
    third = await kept(shelf, source)

    assert (first, second, third) == (("reading 1",), ("reading 1",), ("reading 2",))


async def test_another_process_finds_what_was_kept(clock: ManualClock) -> None:
    """The cache is shared."""
    cache, source = MemoryCache(), Source()
    await kept(Shelf(cache, clock=clock), source)

    assert await kept(Shelf(cache, clock=clock), source) == ("reading 1",)


async def test_many_who_ask_at_once_cause_one_reading(clock: ManualClock) -> None:
    """The others wait for it."""
    shelf, source = Shelf(MemoryCache(), clock=clock), Source()
    found = await asyncio.gather(*(kept(shelf, source) for _ in range(20)))

    assert (source.reads, set(found)) == (1, {("reading 1",)})


async def test_different_keys_do_not_wait_for_each_other(clock: ManualClock) -> None:
    """Each has its own turn."""
    shelf, source = Shelf(MemoryCache(), clock=clock), Source()
    await asyncio.gather(kept(shelf, source, key="a"), kept(shelf, source, key="b"))

    assert source.reads == 2


async def test_a_failed_reading_is_kept_nowhere(clock: ManualClock) -> None:
    """The next one reads for itself, also one who waited meanwhile."""
    shelf, source = Shelf(MemoryCache(), clock=clock), Source()
    source.is_broken = True
    outcomes = await asyncio.gather(kept(shelf, source), kept(shelf, source), return_exceptions=True)
    source.is_broken = False

    assert [type(outcome) for outcome in outcomes] == [KeyError, KeyError]
    assert await kept(shelf, source) == ("reading 3",)


async def test_one_who_gives_up_does_not_take_the_others_along(clock: ManualClock) -> None:
    """The next in line reads."""
    shelf, source = Shelf(MemoryCache(), clock=clock), Source()
    first, second = (asyncio.ensure_future(kept(shelf, source)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()

    assert await second == ("reading 2",)


async def test_what_is_kept_and_does_not_serve_is_read_anew(clock: ManualClock) -> None:
    """Once, however many ask: what was read for one is what the others wait for."""
    shelf, source = Shelf(MemoryCache(), clock=clock), Source()
    first = await kept(shelf, source)
    asked = await asyncio.gather(*(kept(shelf, source, unless=first) for _ in range(20)))

    assert (source.reads, set(asked)) == (2, {("reading 2",)})
    assert await kept(shelf, source) == ("reading 2",)


async def test_what_was_read_by_the_way_is_found(clock: ManualClock) -> None:
    """Until its time is over."""
    shelf, source = Shelf(MemoryCache(), clock=clock), Source()
    await shelf.keep("k", ("by the way",), until=NOON + 500)
    found = await kept(shelf, source)
    clock.at = NOON + 500

    assert (found, await kept(shelf, source)) == (("by the way",), ("reading 1",))


@pytest.mark.parametrize("garbage", [b"", b"{", b"7", b"[7]", b"\xff"])
async def test_what_cannot_be_read_any_more_is_read_anew(clock: ManualClock, garbage: bytes) -> None:
    """Another version of us may have written it."""
    cache, source = MemoryCache(), Source()
    await cache.put("k", garbage, now=NOON, until=NOON + 1_000)

    assert await kept(Shelf(cache, clock=clock), source) == ("reading 1",)


async def test_a_cache_that_takes_nothing_costs_no_answer(clock: ManualClock) -> None:
    """What was read under a permit is returned, and the log says why it was not kept."""
    with structlog.testing.capture_logs() as logs:
        found = await kept(Shelf(FullCache(), clock=clock), Source())

    assert found == ("reading 1",)
    assert [line["event"] for line in logs] == ["cache_not_told"]
