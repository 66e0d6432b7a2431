"""One call, as a value: what is sent, and how its answer is read. Nothing here speaks to a network."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from email.utils import mktime_tz, parsedate_tz
from functools import cache
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import quote

import httpx

from zapwright_client.errors import BY_STATUS, ProblemError, UnexpectedAnswerError

T = TypeVar("T")

PROBLEM = "application/problem+json"
_SECONDS = re.compile(r"\s*[0-9]+(?:\.[0-9]*)?\s*")
POLLED_S = 20
"""How long a reading with `after_seq` waits when it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request. `kind` is the shape of its answer, `key` what it is recognised by when it comes again."""

    method: str
    path: str
    kind: type[T]
    query: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | None = None
    key: str | None = None
    if_match: int | None = None

    @property
    def is_repeatable(self) -> bool:
        """Tell whether it may be sent again when nobody knows if it was carried out.

        The POSTs have keys. All others mean the same twice, but for one that wants a sequence number: once carried out
        it would be refused.
        """
        return self.key is not None or (self.method != "POST" and self.if_match is None)

    @property
    def waits_s(self) -> float:
        """Say how long the answer is held back on purpose."""
        query = self.query or {}
        if query.get("after_seq") is None:
            return 0
        return POLLED_S if query["wait_s"] is None else float(query["wait_s"])

    def request(self, http: httpx.Client | httpx.AsyncClient, *, url: str, key: str, timeout_s: float) -> httpx.Request:
        """Write the request; values that are None are left out."""
        headers = {"Authorization": f"Bearer {key}"}
        headers |= {"Idempotency-Key": self.key} if self.key is not None else {}
        headers |= {"If-Match": f'"{self.if_match}"'} if self.if_match is not None else {}
        return http.build_request(
            self.method,
            f"{url}{self.path}",
            params=_given(self.query or {}),
            json=_given(self.body) if self.body is not None else None,
            headers=headers,
            timeout=timeout_s + self.waits_s,
        )

    def read(self, answer: httpx.Response) -> T:
        """Return what was answered. Raises ProblemError, UnexpectedAnswerError."""
        media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        try:
            if answer.is_success:
                return self._value(answer)
            if media_type == PROBLEM:
                raise _problem(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise _unexpected(answer, f"{self.method} {self.path} was not answered as expected: {error!r}") from error
        raise _unexpected(answer, f"{self.method} {self.path} was not answered by Zapwright")

    def _value(self, answer: httpx.Response) -> T:
        if self.kind is str:
            return decoded(self.kind, answer.text)  # type: ignore[no-any-return]
        return decoded(self.kind, answer.json() if answer.content else None)  # type: ignore[no-any-return]


def new_key() -> str:
    """Return a key that no other call has."""
    return secrets.token_urlsafe(18)


def part(value: str | int) -> str:
    """Write one part of a path. Raises ValueError for what cannot be one."""
    if value in {"", ".", ".."}:
        raise ValueError(f"{value!r} cannot stand in a path")
    return quote(str(value), safe="")


def decoded(kind: Any, value: Any) -> Any:  # noqa: ANN401 - JSON is of any type, and so is what it becomes
    """Return a JSON value as `kind`; keys that the shape does not know are left out, as newer servers may send them."""
    if get_origin(kind) is UnionType:
        (inner,) = (choice for choice in get_args(kind) if choice is not NoneType)
        return None if value is None else decoded(inner, value)
    if get_origin(kind) is tuple:
        return tuple(decoded(get_args(kind)[0], one) for one in value)
    if kind is datetime:
        return datetime.fromisoformat(value)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{field.name: decoded(hints[field.name], value[field.name]) for field in fields(kind)})
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _problem(answer: httpx.Response) -> ProblemError:
    kind = BY_STATUS.get(answer.status_code, ProblemError)
    return kind(answer.json(), retry_after_s=_wait_asked_s(answer.headers))


def _wait_asked_s(headers: httpx.Headers) -> float | None:
    """Read a `Retry-After` (RFC 9110, 10.2.3): seconds, the most of several, or a date, seen from the answer's own.

    None for what is neither.
    """
    said = headers.get("Retry-After", "")
    seconds = said.split(",")
    if all(map(_SECONDS.fullmatch, seconds)):
        return max(map(float, seconds))
    try:
        return max(0.0, _date_s(said) - _date_s(headers.get("Date", "")))
    except (ValueError, OverflowError):
        return None


def _date_s(value: str) -> float:
    date = parsedate_tz(value)
    if date is None:
        raise ValueError(f"{value!r} is no date")
    return mktime_tz(date)


def _unexpected(answer: httpx.Response, problem: str) -> UnexpectedAnswerError:
    return UnexpectedAnswerError(
        problem, status=answer.status_code, reference=answer.headers.get("Zapwright-Reference")
    )
