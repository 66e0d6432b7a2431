"""Long polls: waits of a request that end early when whoever asked has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

Found = TypeVar("Found")


async def while_here(request: Request, waiting: Coroutine[Any, Any, Found]) -> Found | None:
    """Return what is waited for; None when whoever asked has gone."""
    found, leaving = asyncio.create_task(waiting), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((found, leaving), return_when=asyncio.FIRST_COMPLETED)
        return found.result() if found.done() else None
    finally:
        for task in (found, leaving):
            task.cancel()
        await asyncio.gather(found, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
