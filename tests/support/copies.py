"""Processes of ours that are copies of one which has imported everything: each begins in a twentieth of the time.

They are as real as any: their own memory, connections and number; killed, stopped and ended like any other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from io import TextIOWrapper
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Final

PRELOADED: Final = ("cli.main", "cli.processes", "workers.main", "api.server", "tests.support.refreshers")


@cache
def forkserver() -> ForkServerContext:
    """Return how copies are made, in this process the same for everybody."""
    context = get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED])
    return context


def become(log: Path, environment: Mapping[str, str], live: Callable[..., Any], *arguments: Any) -> None:
    """Be a process of this environment that writes to this log, and live; for copies."""
    with log.open("wb") as output:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(output.fileno(), stream.fileno())
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(line_buffering=True)
    os.environ.clear()
    os.environ.update(environment)
    live(*arguments)


def command(*arguments: str) -> None:
    """Be one of our commands."""
    from cli.main import main  # noqa: PLC0415 - a copy has it already

    sys.argv = ["zapwright", *arguments]
    main()
