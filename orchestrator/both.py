"""Two things at once, where there is no third: the hottest use cases read two things in one exchange with the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

First = TypeVar("First")
Second = TypeVar("Second")


async def both(first: Awaitable[First], second: Coroutine[Any, Any, Second]) -> tuple[First, Second]:
    """Return what they give, as `asyncio.gather` does, which makes two tasks and a future of them; this makes one.

    None is left behind: whatever ends this, both have ended by then. Where both fail it is by the first one's error.
    """
    begun = asyncio.get_running_loop().create_task(second)
    try:
        here = await first
    except BaseException:
        await asyncio.gather(begun, return_exceptions=True)
        raise
    return here, await begun
