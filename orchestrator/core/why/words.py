"""How moments, numbers and names are written in a sentence."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from orchestrator.core.health import Rate
from orchestrator.core.session import SECOND, Instant


def clock(at: Instant | None, now: Instant) -> str:
    """Write a moment as people read it in a sentence: with its day, and its year, unless that is the same as now's."""
    moment, today = (datetime.fromtimestamp((one or 0) / SECOND, UTC) for one in (at, now))
    if moment.date() == today.date():
        return f"{moment:%H:%M:%S} UTC"
    year = "" if moment.year == today.year else f" {moment.year}"
    return f"{moment.day} {moment:%b}{year} {moment:%H:%M} UTC"


def many(count: int, thing: str) -> str:
    """Write how many there are of a thing."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def times(count: int) -> str:
    """Write how often."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def percent(rate: Rate) -> str:
    """Write a rate."""
    return f"{(rate.value or 0) * 100:.0f} %"


def named(title: str) -> str:
    """Return a name that somebody else gave so that a sentence can bear it."""
    name = " ".join(_UNSPEAKABLE.sub(" ", title).split())
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


_LONGEST_NAME: Final = 60


_UNSPEAKABLE: Final = re.compile("[^\\w -~]")
