"""`dev.env`: the addresses and keys of what `zapwright up` runs, for shells and for its own next start."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cli.children import lives

NAME: Final = "dev.env"
LOCK: Final = "up.lock"
"""Beside it: the process that runs everything, by its number."""

DEMO: Final = "demo"
"""Where in a data directory `zapwright demo` has its own."""

_LINE: Final = re.compile(r"(?:export\s+)?([A-Z][A-Z0-9_]*)=(.*)")


def path_in(data_dir: Path) -> Path:
    """Return where the file is, or will be."""
    return data_dir / NAME


def read(data_dir: Path) -> dict[str, str]:
    """Return its variables; none when there is no such file. Lines that set nothing are passed over."""
    try:
        text = path_in(data_dir).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    found = (_LINE.fullmatch(line.strip()) for line in text.splitlines())
    return {match[1]: " ".join(shlex.split(match[2])) for match in found if match}


def hint(data_dir: Path) -> str:
    """Say that a demo runs in its place in this directory, if one does, to whoever found nothing here."""
    demo = data_dir / DEMO
    return f"; a demo runs: add `--data-dir {demo}`" if path_in(demo).exists() and is_up(demo) else ""


def is_up(data_dir: Path) -> bool:
    """Tell whether the process that last ran everything here lives. Its lock is left alone: somebody may want it."""
    try:
        return lives(int((data_dir / LOCK).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return False


def write(data_dir: Path, variables: Mapping[str, str]) -> None:
    """Replace the file at once and as a whole; nobody but its owner can read it, at any moment."""
    lines = [
        "# Written by `zapwright up`. Keys in here open this deployment: keep the file to yourself.",
        *(f"{name}={shlex.quote(value)}" for name, value in variables.items()),
    ]
    descriptor, draft = tempfile.mkstemp(dir=data_dir, prefix=f"{NAME}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path_in(data_dir))
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def enter(data_dir: Path) -> None:
    """Put its variables into this process's environment, where that does not say otherwise."""
    for name, value in read(data_dir).items():
        os.environ.setdefault(name, value)
