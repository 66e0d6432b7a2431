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
                "authentication": {"title": text},
                "evidence": None,
                "attempt": None,
            }
        ],
    }


def shown(text: str) -> str:
    """Return what the tables of a session print."""
    to = io.StringIO()
    console = Console(file=to, width=200, highlight=False)
    event = {"seq": 1, "name": "session_changed", "at": AT, "step_id": "st1", "data": {"problem": text, "more": [text]}}
    tables.show_list(console, {"sessions": [session(text)], "cursor": None})
    tables.show_one(console, session(text), {"events": [event], "truncated": False})
    return to.getvalue()


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
