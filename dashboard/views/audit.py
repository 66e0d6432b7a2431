"""What operators did, and were refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dashboard.nodes import Node, h
from dashboard.sight import Json, Sight
from dashboard.views.parts import (
    NOBODY,
    Column,
    Row,
    address,
    badge,
    card,
    head,
    listed,
    nothing,
    pager,
    session_link,
    table,
)
from dashboard.views.telling import DOINGS
from dashboard.words import day_and_clock, plain, since

FILTERS: Final = ("session_id", "key_id", "action", "cursor")
TONES: Final = {"applied": "good", "refused": "bad"}


def things(query: Mapping[str, str]) -> dict[str, str]:
    """Return what is asked for."""
    return {"audit": address("/audit", {"limit": 50, **{name: query.get(name) for name in FILTERS}})}


def view(sight: Sight) -> Sequence[Node]:
    """Draw the list."""
    page = sight.data("audit") or {}
    entries = listed(page, "entries")
    columns = (Column("when"), Column("who"), Column("what"), Column("to"), Column("why"), Column("outcome"))
    rows = [_row(entry, sight.now) for entry in entries]
    body = table(columns, rows, caption="Audit") if rows else _none(sight)
    return (
        head("Audit", sight, lead="What operators did, with their reasons. Nothing changes it."),
        card("Interventions", body, key="audit"),
        *([more] if (more := pager(sight, page.get("cursor"))) else []),
    )


def _none(sight: Sight) -> Node:
    if any(sight.query.get(name) for name in FILTERS):
        return nothing("Nothing is like that", "", h("a", "The whole audit", href="/audit", cls="button"))
    return nothing(
        "Nobody did anything yet", "Each check, extension, binding, reset and end by an operator stands here."
    )


def _row(entry: Json, now: int) -> Row:
    when = h(
        "div",
        h("span", day_and_clock(entry["at"])),
        h("span", f"{since(entry['at'], now)} ago", cls="soft small"),
        cls="named",
    )
    who = h(
        "div",
        h("span", plain(entry.get("key_name") or NOBODY)),
        h("span", entry["key_id"], cls="mono soft"),
        cls="named",
    )
    about = h("span", plain(entry["about"]), cls="mono soft") if entry.get("about") else None
    detail = h("span", plain(entry["detail"]), cls="mono soft") if entry.get("detail") else None
    return Row(
        key=entry["id"],
        cells=(
            when,
            who,
            h("div", h("span", DOINGS.get(entry["action"], entry["action"])), about, cls="named"),
            h(
                "div",
                session_link(entry["session_id"]),
                h("span", plain(entry["tenant_id"]), cls="soft small"),
                cls="named",
            ),
            plain(entry["reason"], longest=500),
            h("div", badge(TONES.get(entry["outcome"], "plain"), entry["outcome"]), detail, cls="named"),
        ),
    )
