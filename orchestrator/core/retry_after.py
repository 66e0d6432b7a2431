"""How long an HTTP server asks to be left alone (RFC 9110, 10.2.3), whichever server it is."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from orchestrator.core.session import SECOND, Instant, Millis

_DIGITS_READ: Final = 9


def wait_asked(value: str | None, *, now: Instant) -> Millis | None:
    """Read a `Retry-After`: seconds, or a date, less than zero when that is over. None for what is neither."""
    said = (value or "").strip()
    if said.isascii() and said.isdecimal():
        return int(said[:_DIGITS_READ]) * SECOND
    date = date_of(said)
    return None if date is None else date - now


def date_of(value: str) -> Instant | None:
    """Read an HTTP date (RFC 9110, 5.6.7), None for what is none."""
    try:
        date = parsedate_to_datetime(value)
        return round((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
