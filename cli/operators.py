"""What operators do from a terminal: see why, help, read the audit; through the API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from rich.console import Console, Group
from rich.padding import Padding
from rich.text import Text

from cli import tables
from cli.errors import CommandError, MisuseError, UnknownError
from cli.remote import Json, Remote
from cli.rows import Rows
from cli.sessions import OPERATOR, operators_api

_WHY: Final = f"{OPERATOR}/why"
_VERDICTS: Final = {
    "over": ("it is over", "dim"),
    "fine": ("all is well", "green"),
    "user": ("it is the user's turn", "yellow"),
    "working": ("it goes on by itself", "green"),
    "stuck": ("somebody has to help", "bold red"),
    "unknown": ("nothing is known of it", "yellow"),
}
_STATUSES: Final = {"stuck": 3, "unknown": UnknownError.status}
"""Exit statuses that ask for somebody; 1 and 2 are every command's, for trouble and for misuse."""

_MAY_BE_AN_ID: Final = re.compile("[!-~]+")
_BY_ITSELF: Final = {"awaiting-popup", "needs-auth"}


def why(data_dir: Path | None, session_id: str | None, app_id: str | None, *, as_json: bool) -> int:
    """Print why a session or an app is as it is, and what to do; returns 3 when it is stuck, 4 for an unknown app.

    Raises CommandError, UnknownError for an unknown session, MisuseError unless exactly one of them is named.
    """
    if (session_id is None) == (app_id is None):
        raise MisuseError("name one session, or one app: `zapwright why SESSION` or `zapwright why --app APP`")
    with operators_api(data_dir) as api:
        said = _why_app(api, app_id) if app_id is not None else api.get(_WHY, session=session_id)
    console = Console(highlight=False)
    tables.as_json(console, said) if as_json else console.print(_said(said))
    return _STATUSES.get(said["verdict"], 0)


def _why_app(api: Remote, named: str) -> Json:
    """Ask about an app by its id, or else by its title, which may be of several words.

    Raises CommandError when several have that, UnknownError when what can be no id is nobody's title.
    """
    said = api.get(_WHY, app=named) if _MAY_BE_AN_ID.fullmatch(named) else None
    if said is not None and said["verdict"] != "unknown":
        return said
    apps = api.get(f"{OPERATOR}/apps")["apps"]
    titled = [str(app["app_id"]) for app in apps if (app["title"] or "").casefold() == named.casefold()]
    if len(titled) > 1:
        raise CommandError(f"several apps have this title, name one by its id: {tables.plain(', '.join(titled)).plain}")
    if titled:
        return api.get(_WHY, app=titled[0])
    if said is None:
        raise UnknownError(f"no app that was chosen in the last day has the title {named!r}; ask by its id")
    return said


def intervene(data_dir: Path | None, session_id: str, deed: str, wish: Json, *, as_json: bool) -> int:
    """Do something to a session and print what became of it. Raises CommandError."""
    with operators_api(data_dir) as api:
        done = api.ask("POST", f"{_session(session_id)}/{deed}", wish)
    return _done(done, as_json=as_json)


def intervene_at_step(
    data_dir: Path | None, session_id: str, step: str | None, deed: str, wish: Json, *, as_json: bool
) -> int:
    """Do something to a step, by default to the only one that there is, or that is waited for. Raises CommandError."""
    with operators_api(data_dir) as api:
        step_id = _step(api.get(_session(session_id))["session"], step)
        done = api.ask("POST", f"{_session(session_id)}/steps/{quote(step_id, safe='')}/{deed}", wish)
    return _done(done, as_json=as_json)


def send_again(data_dir: Path | None, delivery: Sequence[str], reason: str, *, as_json: bool) -> int:
    """Send an event to an endpoint once more. Raises CommandError."""
    endpoint, session_id, seq = (quote(part, safe="") for part in delivery)
    with operators_api(data_dir) as api:
        sent = api.ask("POST", f"{OPERATOR}/deliveries/{endpoint}/{session_id}/{seq}/replay", {"reason": reason})
    console = Console(highlight=False)
    if as_json:
        tables.as_json(console, sent)
    else:
        console.print(tables.plain(f"event {sent['seq']} ({sent['event']}) is sent to {sent['webhook_id']} once more"))
    return 0


def audit(data_dir: Path | None, query: Mapping[str, str | int | None], *, as_json: bool) -> int:
    """Print one page of what operators did. Raises CommandError."""
    with operators_api(data_dir) as api:
        page = api.get(f"{OPERATOR}/audit", **query)
    console = Console(highlight=False)
    if as_json:
        tables.as_json(console, page)
        return 0
    console.print(_entries(page["entries"]) if page["entries"] else "no entries")
    tables.show_more(console, page)
    return 0


def _session(session_id: str) -> str:
    return f"{OPERATOR}/sessions/{quote(session_id, safe='')}"


def _step(session: Json, wanted: str | None) -> str:
    """Find a step by its id, its alias or its place, or the only one, or the only one that somebody waits for.

    Raises CommandError.
    """
    if session["status"] in tables.ENDED:
        raise CommandError(f"session {session['id']} is over: {tables.ENDED[session['status']]}; begin a new one")
    steps = session["steps"]
    if wanted is not None:
        named = [step["id"] for step in steps if wanted in {step["id"], step["alias"], str(step["position"] + 1)}]
        if named:
            return str(named[0])
        raise CommandError(f"session {session['id']} has no step {wanted!r}; it has {_listed(steps)}")
    waiting = [step["id"] for step in steps if step["state"] in _BY_ITSELF]
    if len(waiting) == 1:
        return str(waiting[0])
    if len(steps) == 1:
        return str(steps[0]["id"])
    if not steps:
        raise CommandError(f"session {session['id']} has no steps yet")
    raise CommandError(f"say which step is meant, by --step: {_listed(steps)}")


def _listed(steps: Sequence[Json]) -> str:
    listed = (f"{step['position'] + 1} {(step['app'] or {}).get('title', 'without an app')}" for step in steps)
    return tables.plain(", ".join(listed)).plain or "none"


def _done(done: Json, *, as_json: bool) -> int:
    console = Console(highlight=False)
    if as_json:
        tables.as_json(console, done)
    else:
        session = done["session"]
        style = "green" if done["outcome"] == "applied" else "yellow"
        console.print(Text.assemble((done["outcome"], style), ": ", tables.plain(done["says"])))
        where = "" if session["status"] in tables.ENDED else f", {session['state']}"
        console.print(f"[dim]session {session['id']} is {session['status']}{where}[/]")
    return 0


def _said(said: Json) -> Group:
    words, style = _VERDICTS[said["verdict"]]
    about, title = tables.plain(said["about"]), tables.plain(said["title"] or "")
    heading = Text.assemble(title, " (", about, ")") if title else about
    lines: list[Text | Padding] = [Text.assemble(heading, ": ", (words, style))]
    for finding in said["findings"]:
        lines.append(Padding(Text.assemble("• ", tables.plain(finding["says"], most=1_000)), (0, 0, 0, 2)))
        if finding["do"] is not None:
            lines.append(Padding(Text.assemble("→ ", tables.plain(finding["do"], most=1_000)), (0, 0, 0, 4)))
    return Group(*lines)


def _entries(entries: Sequence[Json]) -> Rows:
    rows = [
        {
            "at (UTC)": tables.moment(entry["at"]),
            "action": entry["action"],
            "who": tables.plain(entry["key_name"]),
            "key": entry["key_id"],
            "session": entry["session_id"],
            "step": entry["step_id"] or "",
            "about": tables.plain(entry["about"] or ""),
            "outcome": ": ".join(filter(None, (entry["outcome"], (entry["detail"] or "").replace("_", " ")))),
            "why": tables.plain(entry["reason"], most=500),
        }
        for entry in entries
    ]
    groups = (("at (UTC)", "action"), ("who", "key", "session", "step", "about"), ("outcome", "why"))
    return Rows(groups=groups, rows=rows)
