"""What pages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlencode

from dashboard.nodes import Content, Node, h
from dashboard.sight import Json, Sight
from dashboard.words import STATES, STATUSES, clock, plain

NOBODY: Final = "–"
LONGEST_SENTENCE: Final = 600
BARS: Final = (720, 120)
"""Width and height of a drawing of hours."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `is_number`: aligned at the end."""

    title: str
    is_number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table: its cells, in the columns' order. `key` is the same for the same thing."""

    key: str
    cells: Sequence[Content]
    tone: str | None = None


def badge(tone: str, text: str) -> Node:
    """Tell a state in a word."""
    return h("span", h("span", cls="dot"), h("span", text), cls="badge", data_tone=tone)


def state_badge(state: str) -> Node:
    """Tell a step's state."""
    return badge(STATES.get(state, ("plain", ""))[0], state)


def status_badge(status: str) -> Node:
    """Tell a session's status."""
    return badge(STATUSES.get(status, "plain"), status.replace("_", " "))


def head(title: str, sight: Sight, *beside: Content, lead: Content = None) -> Node:
    """Begin a page: what it is, and how new."""
    return h(
        "header",
        h("div", h("h1", title), h("p", lead, cls="soft") if isinstance(lead, str) else lead, cls="stack tight"),
        *beside,
        _as_of(sight),
        cls="opening",
        key="head",
    )


def card(title: str, *contents: Content, key: str, beside: Content = None, cls: str = "") -> Node:
    """Put things that belong together on one surface."""
    return h(
        "section", h("header", h("h2", title), beside), *contents, cls=f"card {cls}".strip(), key=key, aria_label=title
    )


def table(columns: Sequence[Column], rows: Iterable[Row], *, caption: str) -> Node:
    """List things in a table; on a phone each row is a block that names its cells."""
    heads = [h("th", column.title, scope="col", cls="number" if column.is_number else None) for column in columns]
    body = [
        h("tr", *(_cell(*pair) for pair in zip(columns, row.cells, strict=True)), key=row.key, data_tone=row.tone)
        for row in rows
    ]
    inner = h(
        "table",
        h("thead", h("tr", *heads)),
        h("tbody", *body),
        aria_label=caption,
    )
    return h("div", inner, cls="table")


def nothing(title: str, text: str, *further: Content) -> Node:
    """Say that there is nothing to show, and why that is."""
    return h("div", h("strong", title), h("p", text, cls="soft"), *further, cls="nothing-here", key="nothing")


def facts(pairs: Iterable[tuple[str, Content]]) -> Node:
    """List what is known of one thing."""
    rows = [h("div", h("dt", name), h("dd", value), key=name) for name, value in pairs if value is not None]
    return h("dl", *rows, cls="facts")


def pager(sight: Sight, cursor: str | None) -> Node | None:
    """Lead on in a long list, and back to its beginning."""
    before = {name: value for name, value in sight.query.items() if name != "cursor"}
    first = (
        h("a", "Back to the first", href=address(sight.path, before), cls="button") if "cursor" in sight.query else None
    )
    on = {**before, "cursor": cursor} if cursor else None
    following = None if on is None else h("a", "Go on", href=address(sight.path, on), cls="button", rel="next")
    return (
        h("nav", first, following, cls="row end", aria_label="Pages of the list", key="pager")
        if first or following
        else None
    )


def address(path: str, query: Mapping[str, object] | None = None) -> str:
    """Return an address of the dashboard's."""
    given = {name: str(value) for name, value in (query or {}).items() if value not in {None, ""}}
    return f"{path}?{urlencode(given)}" if given else path


def session_link(session_id: str, text: str | None = None) -> Node:
    """Lead to a session."""
    return h("a", text or session_id, href=f"/sessions/{quote(session_id, safe='')}", cls=None if text else "mono")


def app_link(app_id: str, title: str | None) -> Node:
    """Lead to an app."""
    return h("a", plain(title or app_id, longest=48), href=f"/apps/{quote(app_id, safe='')}")


def prose(text: str) -> Node:
    """Show a sentence of the API's; what stands in backticks is a command or a name."""
    pieces = plain(text, longest=LONGEST_SENTENCE).split("`")
    parts = [h("code", piece, cls="mono") if place % 2 else h("span", piece) for place, piece in enumerate(pieces)]
    return h("p", *parts)


def copied(text: str) -> Node:
    """Show what is worth copying."""
    return h("code", plain(text), cls="mono")


def select(name: str, title: str, choices: Iterable[tuple[str, str]], chosen: str) -> Node:
    """Let one of some be chosen."""
    options = [h("option", text, value=value, selected=value == chosen) for value, text in choices]
    return h("label", h("span", title), h("select", *options, name=name), cls="field", key=name)


def field(name: str, title: str, value: str, *, placeholder: str = "", kind: str = "text", flaw: str = "") -> Node:
    """Let something be written. `flaw` says what is wrong with what was."""
    given = h(
        "input",
        type=kind,
        name=name,
        value=value or None,
        placeholder=placeholder or None,
        autocomplete="off",
        aria_invalid="true" if flaw else None,
    )
    said = h("span", flaw, cls="flaw small", role="alert") if flaw else None
    return h("label", h("span", title), given, said, cls="field", key=name)


def bars(series: Sequence[tuple[str, Sequence[float]]], *, label: str) -> Node:
    """Draw hours as bars: of each hour a bar for each series, one before the other, all to one scale.

    `series` has classes and values. What the drawing shows is said by `label`, too.
    """
    width, height = BARS
    most = max((value for _, values in series for value in values), default=0) or 1
    drawn = []
    for cls, values in series:
        step = width / max(1, len(values))
        for place, value in enumerate(values):
            tall = max(2, round(value / most * height)) if value else 0
            drawn.append(
                h(
                    "rect",
                    x=round(place * step + step * 0.14),
                    y=height - tall,
                    width=round(step * 0.72),
                    height=tall,
                    rx=min(3, tall),
                    cls=cls,
                    key=f"{cls}-{place}",
                )
            )
    ground = h("path", d=f"M0 {height} H{width}", cls="ground")
    return h("svg", ground, *drawn, viewBox=f"0 0 {width} {height + 1}", role="img", aria_label=label, cls="bars")


def meter(share: float, tone: str, *, label: str) -> Node:
    """Draw how full something is."""
    full = round(min(1.0, max(0.0, share)) * 1000)
    return h(
        "svg",
        h("rect", x=0, y=0, width=1000, height=16, rx=8, cls="ground"),
        h("rect", x=0, y=0, width=max(full, 16) if full else 0, height=16, rx=8, cls="full"),
        viewBox="0 0 1000 16",
        role="img",
        aria_label=label,
        cls="meter",
        data_tone=tone,
        preserveAspectRatio="none",
    )


def listed(document: Json, name: str) -> list[Json]:
    """Return a list of documents that a document holds."""
    return [one for one in document.get(name) or () if isinstance(one, dict)]


def _cell(column: Column, content: Content) -> Node:
    return h("td", content, data_label=column.title or None, cls="number" if column.is_number else None)


def _as_of(sight: Sight) -> Node:
    is_live = sight.trouble is None
    at = clock_of(sight.stands_at) if sight.stands_at else NOBODY
    return h(
        "p",
        h("span", cls="dot"),
        h("span", f"{at} UTC" if is_live else f"stands still at {at} UTC"),
        cls="as-of small",
        data_tone="good" if is_live else "bad",
    )


def clock_of(millis: int) -> str:
    """Say when something was, by milliseconds."""
    return clock(datetime.fromtimestamp(millis / 1000, UTC).isoformat())
