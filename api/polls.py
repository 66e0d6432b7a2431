"""Long polls: waits of a request that end early when nobody needs them any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

Found = TypeVar("Found")


class LongPolls:
    """Every wait of one process."""

    def __init__(self) -> None:
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End every wait, those that begin later at once."""
        self._closing.set()

    async def wait(self, request: Request, waiting: Coroutine[Any, Any, Found]) -> Found | None:
        """Return what is waited for; None when the process is ending, or whoever asked has gone."""
        found = asyncio.create_task(waiting)
        ends = (asyncio.create_task(self._closing.wait()), asyncio.create_task(_gone(request)))
        try:
            await asyncio.wait((found, *ends), return_when=asyncio.FIRST_COMPLETED)
            return found.result() if found.done() else None
        finally:
            for task in (found, *ends):
                task.cancel()
            await asyncio.gather(found, *ends, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
