"""Which processes come first while processors are short: those that answer users."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_AUTOGROUP: Final = Path("/proc/self/autogroup")


def stand_back(nice: int) -> None:
    """Lower this process's priority; also that of its session, if it has its own: Linux may weigh these as wholes."""
    os.nice(nice)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            _AUTOGROUP.write_text(str(nice), encoding="ascii")
