"""How sessions look on a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from cli.remote import Json

if TYPE_CHECKING:
    from cli.tally import Entry

MOST_SHOWN: Final = 200
"""Characters of one value."""

_OBEYED: Final = re.compile(
    "[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff]"
)
"""What terminals obey or hide: control characters, and marks of direction. Lines of our own documents end by \\n."""

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
    table = Table(box=None, header_style="bold")
    for column in ("session", "user", "status", "state", "steps", "created", "title"):
        table.add_column(column, no_wrap=column == "session")
    for session in page["sessions"]:
        settled = sum(step["state"] in {"resolved", "no-auth-required"} for step in session["steps"])
        table.add_row(
            session["id"],
            plain(session["user_id"]),
            _colored(session["status"]),
            _colored(session["state"]),
            f"{settled}/{len(session['steps'])}",
            moment(session["created_at"]),
            plain(session["title"] or ""),
        )
    console.print(table if page["sessions"] else "no sessions")
    if page["cursor"]:
        console.print(f"[dim]more: --cursor {page['cursor']}[/]")


def show_one(console: Console, session: Json, events: Json) -> None:
    """Print a session, its steps and its story."""
    console.print(Group(_head(session), Text(), _steps(session), Text(), timeline(session, events["events"])))
    if events["truncated"]:
        console.print("[dim]older events are no longer kept[/]")


def timeline(session: Json, events: list[Json]) -> Table:
    """Draw a session's events, each with how long after the first it came."""
    apps = {step["id"]: (step["app"] or {}).get("title", "") for step in session["steps"]}
    table = Table(box=None, header_style="bold")
    table.add_column("#", justify="right")
    table.add_column("after", justify="right")
    for column in ("event", "step", "facts"):
        table.add_column(column)
    for event in events:
        table.add_row(
            str(event["seq"]),
            f"{_seconds(event['at']) - _seconds(events[0]['at']):.1f} s",
            event["name"],
            plain(apps.get(event["step_id"] or "", "")),
            plain(_facts(event["data"]), most=1_000),
        )
    return table


def received(zaps: list[Json]) -> Table:
    """Draw Zaps as the simulator received them."""
    table = Table(box=None, header_style="bold", title="what Zapier received", title_justify="left")
    for column in ("step", "authentication", "alias", "inputs"):
        table.add_column(column)
    for zap in zaps:
        for step in zap["steps"]:
            inputs = json.dumps(step["inputs"], ensure_ascii=False)
            table.add_row(step["key"], str(step["authentication"]), str(step["alias"]), Text(inputs))
    return table


def account_of(entries: Sequence[Entry]) -> Table:
    """Draw what calls were for."""
    table = Table(box=None, header_style="bold")
    table.add_column("calls", justify="right")
    for column in ("endpoint", "what for"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        table.add_row(str(entry.calls), entry.endpoint, entry.what_for)
    return table


def as_json(console: Console, document: object) -> None:
    """Print a document for a program; what a terminal would obey is escaped."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    console.out(_OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text), highlight=False)


def plain(text: str, *, most: int = MOST_SHOWN) -> Text:
    """Return what somebody else wrote so that it is only shown: without what a terminal obeys, and not all of much."""
    cut = text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"
    return Text(_OBEYED.sub("\ufffd", cut.replace("\n", " ")))


def _head(session: Json) -> Table:
    table = Table(box=None, show_header=False)
    zap = session["zap"]
    for name, value in (
        ("session", session["id"]),
        ("user", session["user_id"]),
        ("status", _colored(session["status"])),
        ("state", _colored(session["state"])),
        ("title", session["title"]),
        ("reference", session["reference"]),
        ("Zapier", f"{session['credential']['state']} {session['credential']['account'] or ''}"),
        ("Zap", f"{zap['state']} {zap['editor_url'] or zap['id'] or zap['problem'] or ''}"),
        ("deadline", moment(session["deadline"])),
    ):
        if value is not None:
            table.add_row(f"[dim]{name}[/]", plain(value) if isinstance(value, str) else value)
    return table


def _steps(session: Json) -> Table:
    table = Table(box=None, header_style="bold")
    for column in ("step", "app", "state", "authentication", "evidence", "next check"):
        table.add_column(column)
    for step in session["steps"]:
        evidence, attempt = step["evidence"], step["attempt"]
        table.add_row(
            step["id"],
            plain((step["app"] or {}).get("title", "–")),
            Text.assemble(_colored(step["state"]), f" {step['reason'] or ''}"),
            plain((step["authentication"] or {}).get("title", "–")),
            ", ".join(evidence["channels"]) if evidence else "–",
            moment(attempt["next_check_at"]) if attempt and attempt["next_check_at"] else "–",
        )
    return table


def _facts(data: Json) -> str:
    return ", ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in data.items()
        if value is not None
    )


def _colored(word: str) -> Text:
    return Text(word, style=COLORS.get(word, ""))


def moment(at: str) -> str:
    """Write a moment of an answer as people read it."""
    return at.replace("T", " ").removesuffix("Z").partition(".")[0]


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
