"""Faults at work: which rules a request meets, and what they do to a list, a document and a body.

Chance is seeded: the same seed, rules and requests meet the same faults.
"""

from collections.abc import Sequence
from random import Random
from typing import Any, Final, TypeVar

from simulator.switches import (
    REACH,
    DuplicateFault,
    EndlessFault,
    Fault,
    ForeignNextFault,
    Rule,
    ShiftFault,
    WrongTypesFault,
)

_Kind = TypeVar("_Kind", bound=Fault)
_Row = TypeVar("_Row")

HTML_PAGE: Final = (
    b"<!doctype html><html><head><title>Bad gateway</title></head>"
    b"<body><h1>Bad gateway</h1><p>The upstream server did not answer as expected.</p></body></html>"
)


class Faults:
    """Decides which rules a request meets, and counts."""

    def __init__(self, *, seed: str) -> None:
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        """Forget every count, and begin chance anew."""
        self.met: dict[str, int] = {}
        self._random = Random(f"faults:{self._seed}")

    def restart(self, name: str) -> None:
        """Begin the count of one rule anew, because it was set."""
        self.met.pop(name, None)

    def pick(
        self, rules: dict[str, Rule], *, endpoint: str, app: str | None, user: str | None, first_page: bool
    ) -> tuple[Rule, ...]:
        """Return the rules that this request meets, in the order in which they were set, and count them."""
        return tuple(
            rule
            for name, rule in rules.items()
            if _reaches(rule, endpoint=endpoint, app=app, user=user)
            and not (first_page and isinstance(rule, ShiftFault))
            and self._meets(name, rule)
        )

    def _meets(self, name: str, rule: Rule) -> bool:
        if rule.times is not None and self.met.get(name, 0) >= rule.times:
            return False
        if rule.probability < 1 and self._random.random() >= rule.probability:
            return False
        self.met[name] = self.met.get(name, 0) + 1
        return True


def _reaches(rule: Rule, *, endpoint: str, app: str | None, user: str | None) -> bool:
    reach = REACH.get(type(rule))
    return (
        (reach is None or endpoint in reach)
        and rule.endpoint in (None, endpoint)
        and rule.app in (None, app)
        and rule.user in (None, user)
    )


def first_of(kind: type[_Kind], faults: Sequence[Fault]) -> _Kind | None:
    """Return the first of `faults` that is of this kind."""
    return next((fault for fault in faults if isinstance(fault, kind)), None)


def shifted(rows: Sequence[_Row], faults: Sequence[Fault]) -> Sequence[_Row]:
    """Return the list as it would be had it changed since its first page was read."""
    fault = first_of(ShiftFault, faults)
    if fault is None or not rows:
        return rows
    match fault.how:
        case "insert":
            return [rows[0], *rows]
        case "remove":
            return rows[1:]
        case "move":
            return [rows[-1], *rows[:-1]]


def cut(rows: Sequence[_Row], *, limit: int, offset: int, faults: Sequence[Fault]) -> Sequence[_Row]:
    """Return the page that begins at `offset`."""
    endless = first_of(EndlessFault, faults)
    if endless is not None and endless.how == "repeat" and rows:
        offset %= len(rows)
    page = rows[offset : offset + limit]
    duplicate = first_of(DuplicateFault, faults)
    if duplicate is None or not page:
        return page
    return [page[0], *page] if duplicate.how == "extra" else [page[0], *page[:-1]]


def next_origin(origin: str, faults: Sequence[Fault]) -> str:
    """Return the origin that `links.next` names."""
    foreign = first_of(ForeignNextFault, faults)
    return origin if foreign is None else foreign.origin


def with_wrong_types(document: Any, fault: WrongTypesFault) -> Any:  # noqa: ANN401 - JSON has no closer type
    """Return `document` with the right members and the wrong types."""
    if not isinstance(document, dict):
        return _other_type(document)
    if fault.where == "envelope":
        return {key: _other_type(value) for key, value in document.items()}
    rows = document.get("data")
    if isinstance(rows, list):
        return document | {"data": [_with_other_fields(row) for row in rows]}
    return _with_other_fields(document)


def _with_other_fields(row: Any) -> Any:  # noqa: ANN401 - JSON has no closer type
    return {key: _other_type(value) for key, value in row.items()} if isinstance(row, dict) else _other_type(row)


def _other_type(value: Any) -> Any:  # noqa: ANN401 - JSON has no closer type, and six of its own
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return str(value)
        case str():
            return len(value)
        case None:
            return []
        case list():
            return {str(position): item for position, item in enumerate(value)}
        case _:
            return list(value.values())
