"""How long an HTTP server asks to be left alone (RFC 9110, 10.2.3), whichever server it is."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from orchestrator.core.session import SECOND, Instant, Millis

_DIGITS_READ: Final = 9
_SECONDS: Final = re.compile(r"\s*([0-9]+)(?:\.([0-9]*))?\s*")


def wait_asked(value: str | None, *, now: Instant) -> Millis | None:
    """Read a `Retry-After`: seconds, or a date, less than zero when that is over. None for what is neither.

    Of several, as proxies add them, the longest counts, and of seconds that are no whole number the next one.
    """
    said = (value or "").strip()
    seconds = [_SECONDS.fullmatch(one) for one in said.split(",")]
    if all(seconds):
        return max(int(one[1][:_DIGITS_READ]) + bool((one[2] or "").strip("0")) for one in seconds if one) * SECOND
    date = date_of(said)
    return None if date is None else date - now


def date_of(value: str) -> Instant | None:
    """Read an HTTP date (RFC 9110, 5.6.7), None for what is none."""
    try:
        date = parsedate_to_datetime(value)
        return round((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
