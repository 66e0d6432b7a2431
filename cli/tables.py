"""How sessions look on a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from cli.remote import Json
from cli.rows import Cell, Rows
from dashboard.words import span
from orchestrator.core.session import MINUTE, SECOND
from orchestrator.core.tenants import DEFAULT_TENANT

if TYPE_CHECKING:
    from cli.tally import Entry

MOST_SHOWN: Final = 200
"""Characters of one value."""

_OBEYED: Final = re.compile(
    "[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff]"
)
"""What terminals obey or hide: control characters, and marks of direction. Lines of our own documents end by \\n."""

ENDED: Final = {"created": "its Zap was created", "cancelled": "it was cancelled", "expired": "it expired"}
"""The statuses of a session that is over, in words; in which of its states it ended is of no use to anybody."""

SETTLED: Final = frozenset({"resolved", "no-auth-required"})
COLORS: Final = {
    "resolved": "green",
    "no-auth-required": "green",
    "awaiting-popup": "yellow",
    "needs-auth": "red",
    "created": "green",
    "ready": "green",
    "create_unknown": "red",
}


def show_list(console: Console, page: Json) -> None:
    """Print a page of sessions."""
    rows: list[Mapping[str, Cell]] = [
        {
            "session": session["id"],
            "user": plain(session["user_id"]),
            "tenant": tenant(session),
            "status": _colored(session["status"]),
            "state": _colored(_state(session) or ""),
            "steps": f"{sum(step['state'] in SETTLED for step in session['steps'])}/{len(session['steps'])} settled",
            "created (UTC)": moment(session["created_at"]),
            "waits (UTC)": _waits(session.get("waiting")),
            "title": plain(session["title"] or ""),
        }
        for session in page["sessions"]
    ]
    groups = (
        ("session", "user", "tenant"),
        ("status", "state", "steps"),
        ("created (UTC)", "waits (UTC)", "title"),
    )
    console.print(Rows(groups=groups, rows=rows) if rows else "no sessions")
    show_more(console, page)


def tenant(shown: Json) -> str:
    """Name the tenant of what operators are shown, unless it is the one that there always is."""
    return "" if shown.get("tenant_id") in {None, DEFAULT_TENANT} else str(shown["tenant_id"])


def _state(session: Json) -> str | None:
    return None if session["status"] in ENDED else session["state"]


def _waits(waiting: Json | None) -> Text:
    if waiting is None:
        return Text()
    return Text.assemble(f"since {moment(waiting['since'])}", (", stuck" if waiting["stuck"] else "", "bold red"))


def show_more(console: Console, page: Json) -> None:
    """Say how to go on after a page, if there is more."""
    if page["cursor"]:
        console.print(Text(f"more: --cursor {page['cursor']}", style="dim"), soft_wrap=True)


def show_one(console: Console, session: Json, events: Json) -> None:
    """Print a session, its steps and its story."""
    console.print(Group(_head(session), Text(), _steps(session), Text(), timeline(session, events["events"])))
    if events["truncated"]:
        console.print("[dim]older events are no longer kept[/]")


def timeline(session: Json, events: list[Json]) -> Rows:
    """Draw a session's events, each with how long after the first it came."""
    apps = {step["id"]: (step["app"] or {}).get("title", "") for step in session["steps"]}
    rows = [
        {
            "#": str(event["seq"]),
            "after": _length(_seconds(event["at"]) - _seconds(events[0]["at"])),
            "event": event["name"],
            "step": plain(apps.get(event["step_id"] or "", "")),
            "facts": plain(_facts(event["data"]), most=1_000),
        }
        for event in events
    ]
    groups = (("#",), ("after",), ("event", "step"), ("facts",))
    return Rows(groups=groups, rows=rows, numbers=frozenset({"#", "after"}))


def received(zaps: list[Json]) -> Rows:
    """Draw Zaps as the simulator received them."""
    rows = [
        {
            "step": step["key"],
            "authentication": str(step["authentication"] or ""),
            "alias": str(step["alias"] or ""),
            "inputs": json.dumps(step["inputs"], ensure_ascii=False),
        }
        for zap in zaps
        for step in zap["steps"]
    ]
    groups = (("step",), ("authentication", "alias"), ("inputs",))
    return Rows(groups=groups, rows=rows, title="what Zapier received")


def account_of(entries: Sequence[Entry]) -> Rows:
    """Draw what calls were for."""
    rows = [{"calls": str(entry.calls), "endpoint": entry.endpoint, "what for": entry.what_for} for entry in entries]
    return Rows(groups=(("calls",), ("endpoint", "what for")), rows=rows, numbers=frozenset({"calls"}))


def as_json(console: Console, document: object) -> None:
    """Print a document for a program; what a terminal would obey is escaped."""
    text = json.dumps(document, ensure_ascii=not console.encoding.lower().startswith("utf"), indent=2)
    console.out(_OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text), highlight=False)


def plain(text: str, *, most: int = MOST_SHOWN) -> Text:
    """Return what somebody else wrote so that it is only shown: without what a terminal obeys, and not all of much."""
    cut = text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"
    return Text(_OBEYED.sub("\ufffd", cut.replace("\n", " ")))


def _head(session: Json) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    zap = session["zap"]
    for name, value in (
        ("session", session["id"]),
        ("tenant", session.get("tenant_id")),
        ("user", session["user_id"]),
        ("status", _colored(session["status"])),
        ("state", _state(session) and _colored(session["state"])),
        ("title", session["title"]),
        ("reference", session["reference"]),
        ("Zapier", f"{session['credential']['state']} {session['credential']['account'] or ''}"),
        ("Zap", f"{zap['state']} {zap['editor_url'] or zap['id'] or zap['problem'] or ''}"),
        ("created", f"{moment(session['created_at'])} UTC"),
        ("deadline", f"{moment(session['deadline'])} UTC"),
    ):
        if value is not None:
            table.add_row(name, plain(value) if isinstance(value, str) else value)
    return table


def _steps(session: Json) -> Rows:
    rows: list[Mapping[str, Cell]] = [
        {
            "#": str(place),
            "step": step["id"],
            "app": plain((step["app"] or {}).get("title", "")),
            "state": Text(" ").join([_colored(step["state"]), Text(step["reason"] or "")]),
            "next check (UTC)": moment((step["attempt"] or {}).get("next_check_at") or ""),
            "authentication": plain(_named(step["authentication"])),
            "evidence": ", ".join((step["evidence"] or {}).get("channels", ())),
        }
        for place, step in enumerate(session["steps"], start=1)
    ]
    groups = (("#",), ("step", "app"), ("state", "next check (UTC)"), ("authentication", "evidence"))
    return Rows(groups=groups, rows=rows, numbers=frozenset({"#"}))


def _named(authentication: Json | None) -> str:
    return "" if authentication is None else f"{authentication['id']} {authentication['title'] or ''}"


def _facts(data: Json) -> str:
    return ", ".join(f"{name}: {_fact(value)}" for name, value in data.items() if value is not None)


def _fact(value: object) -> str:
    match value:
        case str():
            return value
        case list() if all(isinstance(one, str) for one in value):
            return " ".join(value) or "none"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _colored(word: str) -> Text:
    return Text(word, style=COLORS.get(word, ""))


def moment(at: str) -> str:
    """Write a moment of an answer as people read it."""
    return at.replace("T", " ").removesuffix("Z").partition(".")[0]


def _length(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < MINUTE / SECOND else span(seconds * SECOND)


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
