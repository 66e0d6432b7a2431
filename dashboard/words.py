"""How things are said: times, numbers, and texts of strangers, which may hold anything."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Final

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

LONGEST: Final = 120
_PART: Final = re.compile(r"(\d{1,9})\s*([a-z]*)\s*")
_UNITS: Final = {
    SECOND: ("s", "sec", "secs", "second", "seconds", ""),
    MINUTE: ("m", "min", "mins", "minute", "minutes"),
    HOUR: ("h", "hr", "hrs", "hour", "hours"),
    DAY: ("d", "day", "days"),
}
_MILLIS: Final = {unit: millis for millis, units in _UNITS.items() for unit in units}
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""What has no shape, or reverses or hides what stands beside it."""

STATES: Final = {
    "choose-app": ("plain", "Choosing an app"),
    "needs-auth": ("wait", "Needs an account"),
    "awaiting-popup": ("busy", "Popup open"),
    "resolved": ("good", "Steps settled"),
    "no-auth-required": ("good", "Steps settled"),
}
"""States: the tone they are shown in, and what a session's means: its first unsettled step has it, else its last."""

STATUSES: Final = {
    "building": "plain",
    "ready": "good",
    "creating": "busy",
    "created": "good",
    "create_unknown": "bad",
    "expired": "plain",
    "cancelled": "plain",
}


def plain(text: object, *, longest: int = LONGEST) -> str:
    """Return a stranger's text so that it can be read: on one line, not too long, and with nothing unseen in it."""
    shown = "".join("\ufffd" if unicodedata.category(one) in _UNSEEN else one for one in str(text)[: longest + 1])
    return shown[:longest].rstrip() + "…" if len(shown) > longest else shown


def moment(text: str | None) -> int | None:
    """Read a time as the API writes it, into milliseconds."""
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * SECOND)


def clock(text: str | None) -> str:
    """Say when something was: the time of day, in UTC."""
    at = moment(text)
    return "–" if at is None else f"{datetime.fromtimestamp(at / SECOND, UTC):%H:%M:%S}"


def day_and_clock(text: str | None) -> str:
    """Say when something was, with the day."""
    at = moment(text)
    return "–" if at is None else f"{datetime.fromtimestamp(at / SECOND, UTC):%d %b %H:%M:%S}"


def until_now(text: str | None, now: int) -> str:
    """Say from when to now a drawing of hours reaches: yesterday 19:00 – now, UTC."""
    at = moment(text)
    is_earlier_day = at is not None and at // DAY < now // DAY
    return f"{'yesterday ' if is_earlier_day else ''}{clock(text)[:5]} – now, UTC"


def span(millis: float) -> str:
    """Say how long something is: 8 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    whole = max(0, int(millis))
    if whole < MINUTE:
        return f"{whole // SECOND} s"
    if whole < HOUR:
        return _pair(whole // MINUTE, "min", whole % MINUTE // SECOND, "s")
    if whole < DAY:
        return _pair(whole // HOUR, "h", whole % HOUR // MINUTE, "min")
    return _pair(whole // DAY, "d", whole % DAY // HOUR, "h")


def length(text: str) -> int | None:
    """Read how long something is as people write it, in milliseconds: 90s, 5 min, 2 h 30 min; None for anything else.

    A number alone counts seconds. What `span` says is read back.
    """
    given = text.strip().lower()
    parts = _PART.findall(given)
    if not parts or _PART.sub("", given) or not all(unit in _MILLIS for _, unit in parts):
        return None
    return sum(int(count) * _MILLIS[unit] for count, unit in parts)


def since(text: str | None, now: int) -> str:
    """Say how long ago something was."""
    at = moment(text)
    return "–" if at is None else span(now - at)


def until(text: str | None, now: int) -> str:
    """Say when something will be: in 12 s, or how long it is overdue."""
    at = moment(text)
    if at is None:
        return "–"
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} overdue"


def number(count: float) -> str:
    """Say how many: 12,345."""
    return f"{count:,}"


def percent(share: float | None) -> str:
    """Say what part: 12 %, 0.4 %."""
    if share is None:
        return "–"
    hundredths = share * 100
    return f"{hundredths:.1f} %" if 0 < hundredths < 10 else f"{hundredths:.0f} %"  # noqa: PLR2004 - two digits are said


def count_of(count: int, one: str, many: str = "") -> str:
    """Say how many of what: 1 session, 2 sessions."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def last_minutes(minutes: int) -> str:
    """Say of when: in the last minute, in the last 5 minutes."""
    return "the last minute" if minutes == 1 else f"the last {minutes} minutes"


def _pair(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large} {unit} {small} {smaller}" if small else f"{large} {unit}"
