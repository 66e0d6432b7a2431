"""`zapwright sessions`: what the API knows of sessions, for people and for scripts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from rich.console import Console

from cli import devenv, tables
from cli.environment import read_settings
from cli.errors import CommandError
from cli.plan import API_KEY, API_URL
from cli.remote import Json, Remote


def list_found(data_dir: Path | None, query: Mapping[str, str | int | None], *, as_json: bool) -> int:
    """Print one page of sessions. Raises CommandError."""
    with api_of(data_dir) as api:
        page = api.get("/v1/sessions", **query)
    console = Console(highlight=False)
    tables.as_json(console, page) if as_json else tables.show_list(console, page)
    return 0


def show_found(data_dir: Path | None, session_id: str, *, as_json: bool) -> int:
    """Print one session with its steps and events. Raises CommandError."""
    with api_of(data_dir) as api:
        session = api.get(f"/v1/sessions/{quote(session_id, safe='')}")
        story = whole_story(api, session)
    console = Console(highlight=False)
    if as_json:
        tables.as_json(console, {"session": session, **story})
    else:
        tables.show_one(console, session, story)
    return 0


def whole_story(api: Remote, session: Json) -> Json:
    """Return every event of a session that is kept. Raises CommandError."""
    events: list[Json] = []
    is_truncated = False
    while True:
        after = events[-1]["seq"] if events else 0
        page = api.get(f"/v1/sessions/{session['id']}/events", after=after)
        is_truncated = is_truncated or page["truncated"]
        events += page["events"]
        if not page["events"] or events[-1]["seq"] >= session["seq"]:
            return {"events": events, "truncated": is_truncated}


def api_of(data_dir: Path | None) -> Remote:
    """Return the API that the environment names, else the one `up` runs in this directory. Raises CommandError."""
    data_dir = data_dir or read_settings().data_dir
    devenv.enter(data_dir)
    url, key = os.environ.get(API_URL), os.environ.get(API_KEY)
    if not url or not key:
        raise CommandError(
            f"no API is known: set {API_URL} and {API_KEY}, or run `zapwright up` "
            f"(there is no {devenv.path_in(data_dir)}){devenv.hint(data_dir)}"
        )
    return Remote(url, api_key=key, key_from=API_KEY)
