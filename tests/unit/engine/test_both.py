"""Two things are awaited at once, and neither is left behind."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.both import both


class OneError(Exception):
    """What goes wrong with the one."""


class OtherError(Exception):
    """What goes wrong with the other."""


async def test_both_are_under_way_before_either_ends() -> None:
    """Each may wait for the other."""
    here, there = asyncio.Event(), asyncio.Event()

    async def first() -> str:
        here.set()
        await there.wait()
        return "one"

    async def second() -> str:
        there.set()
        await here.wait()
        return "other"

    async with asyncio.timeout(1):
        assert await both(first(), second()) == ("one", "other")


@pytest.mark.parametrize(
    ("fails", "says"), [({"one"}, OneError), ({"other"}, OtherError), ({"one", "other"}, OneError)], ids=str
)
async def test_what_goes_wrong_is_said_when_both_have_ended(fails: set[str], says: type[Exception]) -> None:
    """Nothing goes on behind the caller's back; where both fail it is the first one's error, whichever came first."""
    ended = []

    async def end(name: str, *, after: int, error: Exception) -> None:
        for _ in range(after):
            await asyncio.sleep(0)
        ended.append(name)
        if name in fails:
            raise error

    for ticks in ((0, 3), (3, 0)):
        with pytest.raises(says):
            await both(end("one", after=ticks[0], error=OneError()), end("other", after=ticks[1], error=OtherError()))

    assert ended == ["one", "other", "other", "one"]


async def test_who_gives_up_waiting_leaves_none_of_them_behind() -> None:
    """The second is waited for even then; who gives up a second time ends it, too."""
    ended = []

    async def end(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(name)

    waiting = asyncio.ensure_future(both(end("one"), end("other")))
    await asyncio.sleep(0)
    for _ in range(2):
        waiting.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert ended == ["one", "other"]
