"""Where time and ids come into the product; everything else takes them as arguments."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias

from orchestrator.core.errors.store import StoreError
from orchestrator.core.session import Instant, Millis

Measure: TypeAlias = Callable[[Callable[[], Instant]], Awaitable[Millis]]
"""Tells what must be added to a clock so that it tells the store's time. Raises StoreError."""

TOLERANCE: Final[Millis] = 200
"""What a busy process may measure although its clock is right."""

_ALPHABET = b"0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 20
_ASKED_FOR = 1024
_FAIR = len(_ALPHABET) * 7
"""Of the 256 values of a byte so many fall evenly on the alphabet; the others are left out, or some letters would be
likelier."""

_LETTERS = bytes(_ALPHABET[value % len(_ALPHABET)] for value in range(256))
_UNFAIR = bytes(range(_FAIR, 256))


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

    async def correct(self, measure: Measure) -> None:
        """Correct the offset, if it can be measured: the machine's clock may be set, or stand still, meanwhile.

        One that is ahead would free permits whose calls still count, and leases that are still held.
        """
        with suppress(StoreError):
            wrong_by = await measure(self.now)
            if abs(wrong_by) > TOLERANCE:
                self.offset += wrong_by


class RandomIds:
    """Ids nobody can guess: a prefix and 20 random lower-case letters and digits (103 bits).

    The system is asked for many at a time. Any thread may take one; nobody gets one twice, nor does a forked process.
    """

    def __init__(self) -> None:
        self._ready: deque[str] = deque()
        os.register_at_fork(after_in_child=self._ready.clear)

    def new(self, prefix: str) -> str:
        """Return a new id."""
        while True:
            try:
                return prefix + self._ready.popleft()
            except IndexError:
                letters = secrets.token_bytes(_ASKED_FOR).translate(_LETTERS, _UNFAIR).decode()
                whole = range(0, len(letters) - _ID_LENGTH + 1, _ID_LENGTH)
                self._ready.extend(letters[start : start + _ID_LENGTH] for start in whole)
