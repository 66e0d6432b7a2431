"""News of commits: what a connection does at its end must not keep anybody from ending."""

from __future__ import annotations

import asyncio
from typing import Self, cast

from redis.exceptions import TimeoutError as RedisTimeoutError

from orchestrator.store.changes import RedisChanges
from orchestrator.store.scripts import Client


class _Stubborn:
    """A client whose subscriber hears nothing, and cannot hang up in time."""

    def pubsub(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        raise RedisTimeoutError("hanging up took too long")

    async def psubscribe(self, *_: str) -> None:
        """Subscribe to nothing."""

    async def get_message(self, *, timeout: float) -> dict[str, str]:
        self.asked = getattr(self, "asked", 0) + 1
        if self.asked > 2:
            await asyncio.Event().wait()
        return {"type": "psubscribe", "limit": str(timeout)}


async def test_hearing_ends_although_its_connection_does_not_end_well() -> None:
    """The failure takes the cancellation's place, and would begin everything anew."""
    changes = RedisChanges(cast("Client", _Stubborn()))
    async with changes.due():
        pass

    async with asyncio.timeout(5):
        await changes.aclose()
