"""Long polls end with what they wait for, or as soon as nobody needs them."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from api.polls import while_here


class Caller:
    """Somebody who waits for an answer until they leave."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.request = Request({"type": "http"}, self._receive)

    async def _receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}


class Waiting:
    """Something to wait for; it notices when it is given up."""

    def __init__(self) -> None:
        self.happens = asyncio.Event()
        self.is_given_up = False

    async def __call__(self) -> str:
        try:
            await self.happens.wait()
        except asyncio.CancelledError:
            self.is_given_up = True
            raise
        return "news"


async def turns() -> None:
    """Let every task go as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_happens_is_returned() -> None:
    """The usual end."""
    caller, waiting = Caller(), Waiting()
    poll = asyncio.create_task(while_here(caller.request, waiting()))
    await turns()

    waiting.happens.set()

    assert await poll == "news"


async def test_nobody_waits_for_somebody_who_left() -> None:
    """A page that reloads leaves nothing behind."""
    caller, waiting = Caller(), Waiting()
    poll = asyncio.create_task(while_here(caller.request, waiting()))
    await turns()

    caller.left.set()

    assert await poll is None
    assert waiting.is_given_up


async def test_an_error_of_the_wait_is_the_callers() -> None:
    """It becomes the answer."""

    async def failing() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await while_here(Caller().request, failing())
