"""What somebody else wrote is only shown: a terminal obeys none of it, and sees no more than a person reads."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from cli import tables

EVIL = "\x1b[2J\x07\u202e\x9b31m<b>[red]hi[/]"
AT = "2026-11-23T22:45:00.250Z"


def session(text: str) -> dict[str, Any]:
    """Return a session in which somebody wrote this wherever they could."""
    return {
        "id": "zs00abcdefghij",
        "user_id": text,
        "status": "building",
        "state": "needs-auth",
        "title": text,
        "reference": text,
        "created_at": AT,
        "deadline": AT,
        "credential": {"state": "active", "account": text},
        "zap": {"state": "failed", "id": None, "editor_url": None, "problem": text},
        "steps": [
            {
                "id": "st1",
                "state": "needs-auth",
                "reason": "expired",
                "app": {"title": text},
                "authentication": {"id": "x1", "title": text},
                "evidence": None,
                "attempt": None,
            }
        ],
    }


def shown(text: str, *, width: int = 200, **changes: Any) -> str:
    """Return what the tables of a session print."""
    to = io.StringIO()
    console = Console(file=to, width=width, highlight=False)
    one = session(text) | changes
    event = {"seq": 1, "name": "session_changed", "at": AT, "step_id": "st1", "data": {"problem": text, "more": [text]}}
    tables.show_list(console, {"sessions": [one], "cursor": CURSOR})
    tables.show_one(console, one, {"events": [event], "truncated": False})
    return to.getvalue()


CURSOR = "MDAxNzk1NjUyNjUxMDc0OmF1aHZ1dW8zejNjMmljdXliZGg5am4" * 2
IDS = {
    "id": "zs0f7kq2v9x0c4m1n8b6h3d1",
    "user_id": "somebody-with-a-long-name@example.com",
    "reference": "4ba7fde2-5b2f-56bb-bd24-e3e699cbc1bd",
}
STEP: dict[str, Any] = {
    "id": "st7kq2v9x0c4m1n8b6h3d1",
    "state": "awaiting-popup",
    "reason": None,
    "app": {"title": "A form that everybody likes"},
    "authentication": {"id": "bf37f745-42f0-543e-880e-c6b4af74ab91", "title": "Forms (somebody@example.com)"},
    "evidence": {"channels": ["message", "difference"]},
    "attempt": {"next_check_at": AT},
}


@pytest.mark.parametrize("width", [56, 80, 120, 200])
def test_nothing_that_is_copied_is_cut_or_broken(width: int) -> None:
    """Ids of ours and of others, addresses and moments: what has no column stands under or below."""
    printed = shown("4ba7fde2-5b2f-56bb-bd24-e3e699cbc1bd", width=width, **IDS, steps=[STEP, STEP | {"id": "st9"}])
    wanted = [*IDS.values(), STEP["id"], STEP["authentication"]["id"], "awaiting-popup", "2026-11-23 22:45:00", CURSOR]

    assert [one for one in wanted if one not in printed] == []
    assert "…" not in printed
    assert [line for line in printed.splitlines() if len(line) > width and CURSOR not in line] == []


@pytest.mark.parametrize("width", [56, 80, 200])
def test_every_moment_says_by_which_clock(width: int) -> None:
    """Beside it, or in its header."""
    printed = " ".join(shown("x", width=width, steps=[STEP]).split())

    assert (printed.count("created (UTC)"), printed.count("next check (UTC)")) == (1, 1)
    assert [printed.count(f"{what} 2026-11-23 22:45:00 UTC") for what in ("created", "deadline")] == [1, 1]
    assert (printed.count("22:45:00"), printed.count("UTC")) == (4, 4)


def test_a_terminal_obeys_nothing_that_somebody_else_wrote() -> None:
    """Neither control characters nor marks of direction, nor our own markup; the words stay."""
    printed = shown(EVIL)

    assert [char for char in printed if not char.isprintable() and char != "\n"] == []
    assert "<b>[red]hi[/]" in printed


def test_what_is_endless_is_cut() -> None:
    """With how long it is."""
    printed = shown("x" * 100_000)

    assert len(printed) < 20_000
    assert "100,000" in printed


@pytest.mark.parametrize("text", [EVIL, "Öps 🎉", "a\nb"])
def test_a_program_reads_what_was_written(text: str) -> None:
    """Though a terminal that shows the document obeys nothing of it."""
    to = io.StringIO()
    tables.as_json(Console(file=to, width=80), {"title": text})

    assert json.loads(to.getvalue()) == {"title": text}
    assert [char for char in to.getvalue() if not char.isprintable() and char != "\n"] == []


@pytest.mark.parametrize(
    ("at", "after"),
    [
        ("22:45:00.750", "0.5 s"),
        ("22:46:00.150", "59.9 s"),
        ("22:46:59.950", "1 min 59 s"),
        ("23:45:00.250", "1 h"),
    ],
)
def test_a_story_tells_how_long_after_its_beginning_each_event_came(at: str, after: str) -> None:
    """To a tenth of a second within the first minute; then by the units that a person would name."""
    first: dict[str, Any] = {"seq": 1, "name": "session_created", "at": AT, "step_id": None, "data": {}}
    later = first | {"seq": 2, "at": f"2026-11-23T{at}Z"}

    assert tables.timeline(session("x"), [first, later]).rows[1]["after"] == after
