"""Where time and ids come into the product; everything else takes them as arguments."""

from __future__ import annotations

import asyncio
import secrets
import time

from orchestrator.core.session import Instant, Millis

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 20


class SystemClock:
    """The machine's clock, corrected by `offset` so that all processes agree with the store's time."""

    def __init__(self, *, offset: Millis = 0) -> None:
        self.offset = offset

    def now(self) -> Instant:
        """Return the present moment."""
        return time.time_ns() // 1_000_000 + self.offset

    async def sleep(self, duration: Millis) -> None:
        """Come back after this long."""
        await asyncio.sleep(duration / 1000)


class RandomIds:
    """Ids nobody can guess: a prefix and 20 random lower-case letters and digits (103 bits)."""

    def new(self, prefix: str) -> str:
        """Return a new id."""
        return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
