"""What Zapier says when it says no: a short reason without secrets, and how long to wait."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote, quote_plus

import msgspec

from orchestrator.core.mapping import FieldFlaw
from orchestrator.core.retry_after import wait_asked
from orchestrator.core.session import MINUTE, SECOND, Instant, Millis

NO_REASON: Final = "no reason given"

NOT_REPEATED: Final = "its reason repeats what was sent, so it is not shown"

NOT_TAKEN: Final = "this is not accepted"

_FIELDS: Final = "/authentication_fields/"
_MOST_FLAWS: Final = 50
_SPOKEN: Final = re.compile(r"[A-Za-z][\w.-]{0,63}", re.ASCII)
_LONGEST_PROBLEM: Final = 200
_TELLING: Final = 4
_BEARER: Final = re.compile(r"bearer\s+\S+", re.IGNORECASE)
_LIKE_A_SECRET: Final = re.compile(r"[A-Za-z0-9_~+/=.-]{40,}")
_NO_TEXT: Final = re.compile(r"[\s\x00-\x1f\x7f]+")


def problem_of(body: bytes, *, token: str) -> str:
    """Say in at most 200 characters what an error answer says, without secrets.

    Reads the documented envelope (`errors`: objects with code, title and detail) and the older one (strings). The
    token, and whatever else looks like a secret, is left out; a body that is no envelope is not quoted at all.
    """
    errors = _errors(body)
    return _safe(_said(errors[0]) if errors else "", token) or NO_REASON


def flaws_of(body: bytes, *, token: str, fields: Mapping[str, str]) -> tuple[FieldFlaw, ...]:
    """Return what an error answer says of single fields: of each that it points at the first thing, without secrets.

    What is wrong with a field is not passed on where it repeats what one holds. A field that was not sent is named only
    where its name looks like one.
    """
    found: dict[str, str] = {}
    for error in _errors(body)[:_MOST_FLAWS]:
        name = _field(error)
        if name in fields or (_SPOKEN.fullmatch(name) and without(name, fields.values()) == name):
            found.setdefault(name, _detail(error, token=token, fields=fields))
    return tuple(FieldFlaw(field=name, code="refused", detail=detail) for name, detail in found.items())


def without(text: str, values: Iterable[str]) -> str:
    """Return what Zapier said, unless it repeats any of these values, in one of the ways in which texts are written.

    A short one must stand there as a word of its own: an `a` is in every sentence.
    """
    heard = text.casefold()
    ways = {way.casefold() for value in values if value.strip() for way in _written(value)}
    if any(way in heard if len(way) >= _TELLING else _as_a_word(way).search(heard) for way in ways):
        return NOT_REPEATED
    return text


def _written(value: str) -> Iterator[str]:
    yield from (value, value.strip(), quote(value), quote_plus(value), repr(value)[1:-1])
    yield msgspec.json.encode(value).decode()[1:-1]
    yield base64.b64encode(value.encode()).decode().rstrip("=")


def _as_a_word(way: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(way)}(?!\w)")


def _errors(body: bytes) -> list[object]:
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return []
    errors = found.get("errors") if isinstance(found, dict) else None
    return errors if isinstance(errors, list) else []


def _field(error: object) -> str:
    """Return which field of an authentication an error points at (JSON pointer, RFC 6901); empty for none."""
    source = error.get("source") if isinstance(error, dict) else None
    pointer = source.get("pointer") if isinstance(source, dict) else None
    if not isinstance(pointer, str):
        return ""
    return pointer.partition(_FIELDS)[2].replace("~1", "/").replace("~0", "~")


def _detail(error: object, *, token: str, fields: Mapping[str, str]) -> str:
    detail = error.get("detail") if isinstance(error, dict) else None
    said = _safe(detail, token) if isinstance(detail, str) else ""
    return said if said and without(said, fields.values()) == said else NOT_TAKEN


def _said(error: object) -> str:
    if isinstance(error, str):
        return error
    if not isinstance(error, dict):
        return ""
    code, title, detail = (error.get(name) for name in ("code", "title", "detail"))
    parts = [part for part in (code or title, detail) if isinstance(part, str) and part]
    return ": ".join(parts)


def _safe(text: str, token: str) -> str:
    text = text.replace(token, "…") if token else text
    text = _LIKE_A_SECRET.sub("…", _BEARER.sub("…", text))
    text = _NO_TEXT.sub(" ", text).strip()
    return text if len(text) <= _LONGEST_PROBLEM else text[: _LONGEST_PROBLEM - 1] + "…"


# --- Retry-After ----------------------------------------------------------------------------------------------

DEFAULT_WAIT: Final[Millis] = 60 * SECOND
"""How long Zapier refuses everything after a refusal (Zapier docs: rate-limiting)."""

_SHORTEST_WAIT: Final[Millis] = SECOND
_LONGEST_WAIT: Final[Millis] = 10 * MINUTE


def retry_after(value: str | None, *, now: Instant) -> Millis:
    """Return how long Zapier asks us to wait, between 1 s and 10 min (RFC 9110: Retry-After).

    The value is seconds or an HTTP date; without one, or with one that is neither, 60 s. A date that is over says that
    our clocks differ, and nothing else.
    """
    asked = wait_asked(value, now=now)
    return DEFAULT_WAIT if asked is None or asked < 0 else min(max(asked, _SHORTEST_WAIT), _LONGEST_WAIT)
