"""Processes that end with the one that started them, however that ends.

The starting process holds the writing end of a pipe and never writes; when it is gone, even by `kill -9`, reading ends.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Final

VARIABLE: Final = "ZAPWRIGHT_LIFELINE"
"""Names the descriptor of the reading end, in the environment of a process that hangs on it."""


def hold() -> None:
    """End this process by SIGTERM when the one that started it is gone; without a lifeline do nothing."""
    descriptor = os.environ.pop(VARIABLE, None)
    if descriptor is not None:
        threading.Thread(target=_wait, args=(int(descriptor),), name="lifeline", daemon=True).start()


def _wait(descriptor: int) -> None:
    os.set_inheritable(descriptor, False)
    while os.read(descriptor, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
