"""Insisting on a write whose outcome nobody may do without, while the store is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.around import Clock
from orchestrator.core.session import Millis

Written = TypeVar("Written")


async def insist(write: Callable[[], Awaitable[Written]], *, waits: Iterable[Millis], clock: Clock) -> Written:
    """Write, and after each of these waits again while the store does not say what became of it.

    So it may be written several times. Raises StoreUnavailableError in the end, any other error at once.
    """
    for wait in waits:
        try:
            return await write()
        except StoreUnavailableError:
            await clock.sleep(wait)
    return await write()
