"""The clients: every route, and waiting."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from zapwright_client.routes import AsyncRoutes, Routes

if TYPE_CHECKING:
    from zapwright_client.shapes import Session

LONGEST_POLL_S = 25
PAUSE_S = 0.2
"""What lies between two polls at least, should a server answer each at once."""


class Client(Routes):
    """Everything that a backend says to Zapwright, for threads."""

    def wait_for(self, session_id: str, *, after_seq: int, within_s: float = 60) -> Session:
        """Return the session as soon as its `seq` is greater, or as it is when the time is over.

        Raises ZapwrightError.
        """
        end = time.monotonic() + within_s
        while True:
            session = self.read_session(session_id, after_seq=after_seq, wait_s=_poll_s(end))
            if session.seq > after_seq or time.monotonic() >= end:
                return session
            self._sleep(PAUSE_S)


class AsyncClient(AsyncRoutes):
    """The same for asyncio."""

    async def wait_for(self, session_id: str, *, after_seq: int, within_s: float = 60) -> Session:
        """Return the session as soon as its `seq` is greater, or as it is when the time is over.

        Raises ZapwrightError.
        """
        end = time.monotonic() + within_s
        while True:
            session = await self.read_session(session_id, after_seq=after_seq, wait_s=_poll_s(end))
            if session.seq > after_seq or time.monotonic() >= end:
                return session
            await self._sleep(PAUSE_S)


def _poll_s(end: float) -> int:
    return max(0, min(LONGEST_POLL_S, round(end - time.monotonic())))
