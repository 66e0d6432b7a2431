"""`zapwright sessions`: what the API knows of sessions, for people and for scripts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from rich.console import Console

from cli import devenv, tables
from cli.environment import read_settings
from cli.errors import CommandError, MisuseError
from cli.plan import API_KEY, API_URL, OPERATOR_KEY
from cli.remote import Json, Remote

OPERATOR: Final = "/v1/operator"


def list_found(data_dir: Path | None, query: Mapping[str, str | int | None], *, as_json: bool) -> int:
    """Print one page of sessions. Raises CommandError, MisuseError for what only an operator may ask."""
    with looking(data_dir) as (api, is_operators):
        if "stuck" in query and not is_operators:
            raise MisuseError(f"--stuck is for operators: set {OPERATOR_KEY}")
        page = api.get(f"{OPERATOR}/sessions" if is_operators else "/v1/sessions", **query)
    console = Console(highlight=False)
    tables.as_json(console, page) if as_json else tables.show_list(console, page)
    return 0


def show_found(data_dir: Path | None, session_id: str, *, as_json: bool) -> int:
    """Print one session with its steps and events. Raises CommandError."""
    here = quote(session_id, safe="")
    with looking(data_dir) as (api, is_operators):
        if is_operators:
            session = api.get(f"{OPERATOR}/sessions/{here}", limit=1)["session"]
            story = _all_events(session, lambda after: _operators_events(api, here, after))
        else:
            session = api.get(f"/v1/sessions/{here}")
            story = whole_story(api, session)
    console = Console(highlight=False)
    if as_json:
        tables.as_json(console, {"session": session, **story})
    else:
        tables.show_one(console, session, story)
    return 0


def whole_story(api: Remote, session: Json) -> Json:
    """Return every event of a session that is kept. Raises CommandError."""
    return _all_events(session, lambda after: api.get(f"/v1/sessions/{session['id']}/events", after=after))


def _operators_events(api: Remote, here: str, after: int) -> Json:
    story = api.get(f"{OPERATOR}/sessions/{here}", after=after, limit=_MOST_EVENTS)
    return {"events": story["events"], "truncated": story["events_truncated"]}


def _all_events(session: Json, read: Callable[[int], Json]) -> Json:
    events: list[Json] = []
    is_truncated = False
    while True:
        page = read(events[-1]["seq"] if events else 0)
        is_truncated = is_truncated or page["truncated"]
        events += page["events"]
        if not page["events"] or events[-1]["seq"] >= session["seq"]:
            return {"events": events, "truncated": is_truncated}


@contextmanager
def looking(data_dir: Path | None) -> Iterator[tuple[Remote, bool]]:
    """Have the API, and whether it is asked as an operator: by whoever has an operator's key. Raises CommandError."""
    devenv.enter(data_dir or read_settings().data_dir)
    is_operators = bool(os.environ.get(OPERATOR_KEY))
    with operators_api(data_dir) if is_operators else api_of(data_dir) as api:
        yield api, is_operators


def api_of(data_dir: Path | None) -> Remote:
    """Return the API that the environment names, else the one `up` runs here, for a backend. Raises CommandError."""
    return _api(data_dir, API_KEY, "--name NAME")


def operators_api(data_dir: Path | None) -> Remote:
    """Return the API that the environment names, else the one `up` runs here, for an operator. Raises CommandError."""
    return _api(data_dir, OPERATOR_KEY, "--operator --name YOU")


def _api(data_dir: Path | None, key_from: str, options: str) -> Remote:
    data_dir = data_dir or read_settings().data_dir
    devenv.enter(data_dir)
    url, key = os.environ.get(API_URL), os.environ.get(key_from)
    if not url:
        raise CommandError(
            f"no API is known: set {API_URL} and {key_from}, or run `zapwright up` "
            f"(there is no {devenv.path_in(data_dir)}){devenv.hint(data_dir)}"
        )
    if not key:
        needed = (
            f"an operator's key does not do this, the one of the tenant's backend does: set {key_from}"
            if key_from == API_KEY and os.environ.get(OPERATOR_KEY)
            else f"no key is known: set {key_from}"
        )
        raise CommandError(f"{needed}; who runs the store makes one by `zapwright api-keys create {options}`")
    return Remote(url, api_key=key, key_from=key_from, key_options=options)


_MOST_EVENTS: Final = 500
"""Of a page: as many as the API gives."""
