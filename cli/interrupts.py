"""Signals of a command that has things to end: the first asks it to end, a second to hurry."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Within this context SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt once, and afterwards set this event.

    For the main thread. A signal that is ignored stays ignored (`nohup`).
    """
    hurry = threading.Event()
    asked = threading.Event()

    def heard(_: int, __: FrameType | None) -> None:
        if asked.is_set():
            hurry.set()
            return
        asked.set()
        raise KeyboardInterrupt

    heard_ones = [signum for signum in ENDING if signal.getsignal(signum) is not signal.SIG_IGN]
    before = {signum: signal.signal(signum, heard) for signum in heard_ones}
    try:
        yield hurry
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
