"""Loops that outlive failures: of the store, and of their own rounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.session import SECOND, Millis
from workers.timing import FIRST_PAUSE, LONGEST_PAUSE

log = structlog.get_logger(__name__)


class Patience:
    """Waits that double with every failure in a row."""

    def __init__(self, *, first: Millis = FIRST_PAUSE, longest: Millis = LONGEST_PAUSE) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def wait(self) -> Millis:
        """Return how long to wait after one more failure."""
        wait = self._next
        self._next = min(2 * wait, self._longest)
        return wait

    def reset(self) -> None:
        """It works again."""
        self._next = self._first


async def rest(duration: Millis, *, stopping: asyncio.Event) -> None:
    """Come back after this long, or as soon as we are stopping."""
    try:
        async with asyncio.timeout(duration / SECOND):
            await stopping.wait()
    except TimeoutError:
        return


async def repeat(
    turn: Callable[[], Awaitable[None]], *, name: str, stopping: asyncio.Event, patience: Patience
) -> None:
    """Take one turn after the other until we are stopping; after a failed one wait, ever longer, and go on.

    A turn under way is finished. A turn that goes well resets the patience.
    """
    while not stopping.is_set():
        try:
            await turn()
        except StoreUnavailableError as error:
            wait = patience.wait()
            log.warning("store_away", loop=name, problem=str(error), again_in_ms=wait)
        except Exception:
            wait = patience.wait()
            log.exception("loop_failed", loop=name, again_in_ms=wait)
        else:
            patience.reset()
            continue
        await rest(wait, stopping=stopping)
