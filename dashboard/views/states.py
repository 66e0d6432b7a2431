"""What stands around every page: what was done, what is old, and what cannot be shown at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from dashboard.nodes import Node, h
from dashboard.sight import NOT_FOUND, Sight, Trouble
from dashboard.views.parts import clock_of
from dashboard.views.telling import by_names

View = Callable[[Sight], Sequence[Node]]

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
OVERVIEW: Final = ("/", "Back to the overview")
LISTS: Final = (("/sessions", "All sessions"), ("/apps", "All apps"))
INVALID: Final = frozenset({400, 422})


def around(sight: Sight, title: str, view: View) -> Node:
    """Return a page, or what is to be said in its place."""
    parts = [_told(sight)]
    missing = [one for one in sight.seen.values() if one.data is None]
    if not missing:
        parts += [_banner(sight), *view(sight)]
    elif trouble := next((one.trouble for one in missing if one.trouble is not None), None):
        parts.append(_instead(title, trouble, sight))
    else:
        parts += _loading(title)
    return h("div", *parts, cls="page stack wide", key=title)


def coming(title: str) -> Node:
    """Return what stands in a page's place until the browser has what draws it; one without scripts is told why."""
    opening, ghosts = _loading(title)
    needed = "This page is a program: it needs JavaScript. Allow it for this address, and load the page again."
    noted = h("noscript", h("p", needed, cls="note", data_tone="bad"))
    return h("div", h("div", opening, noted, ghosts, cls="page stack wide"), id="coming")


def broken(title: str) -> Node:
    """Return what is said when a page cannot be drawn from what the API answered."""
    text = "The dashboard's log says why. Are dashboard and API of the same version?"
    note = h("div", h("strong", "This page broke"), h("p", text), cls="note", data_tone="bad", role="alert")
    return h("div", h("h1", title), note, cls="page stack wide", key=title)


def _told(sight: Sight) -> Node | None:
    told = sight.told
    if told is None:
        return None
    story = sight.seen.get("story")
    session = story.data["session"] if story is not None and story.data is not None else None
    text = h("p", by_names(told.text, session) if session else told.text) if told.text else None
    return h(
        "div", h("strong", told.title), text, cls="note", data_tone=told.tone, role="status", id="told", key="told"
    )


def _banner(sight: Sight) -> Node | None:
    trouble = sight.trouble
    if trouble is None:
        return None
    since = f"Nothing was heard of it since {clock_of(sight.stands_at)} UTC: what you see is of then."
    hint = f" ({trouble.hint})" if trouble.hint else ""
    return h(
        "div",
        h("strong", trouble.says),
        h("p", f"{since} It is asked again every few seconds{hint}."),
        cls="note",
        data_tone="bad",
        role="alert",
        key="banner",
    )


def _instead(title: str, trouble: Trouble, sight: Sight) -> Node:
    """Say why there is no page."""
    if trouble.status == NOT_FOUND:
        why = "It was never there, is no longer kept, or is not yours to see."
        return _word(title, "There is no such thing here", why, *_up(sight))
    if trouble.status == FORBIDDEN:
        return _word(title, "Your key does not open this", trouble.says, *OVERVIEW)
    if trouble.status in INVALID:
        said = "The address says something that cannot be asked"
        return _word(title, said, trouble.says, sight.path, "Without filters")
    hint = f" ({trouble.hint})" if trouble.hint else ""
    text = f"This page comes by itself as soon as it does: it is asked again every few seconds{hint}."
    return h(
        "section",
        h("h1", title),
        h("div", h("strong", trouble.says), h("p", text), cls="note", data_tone="bad", role="alert"),
        cls="stack",
        key="instead",
    )


def _up(sight: Sight) -> tuple[str, str]:
    """Return where the list is that a page is of, and what to call it."""
    return next((way for way in LISTS if sight.path.startswith(f"{way[0]}/")), OVERVIEW)


def _word(title: str, said: str, why: str, way_out: str, called: str) -> Node:
    return h(
        "section",
        h("h1", title),
        h("div", h("strong", said), h("p", why, cls="soft"), cls="nothing-here"),
        h("p", h("a", called, href=way_out, cls="button")),
        cls="stack",
        key="instead",
    )


def _loading(title: str) -> list[Node]:
    ghosts = [h("div", cls="skeleton", key=f"ghost-{place}") for place in range(3)]
    opening = h(
        "header",
        h("div", h("h1", title), cls="stack tight"),
        h("p", "Loading …", cls="as-of small", role="status"),
        cls="opening",
        key="head",
    )
    return [opening, h("div", *ghosts, cls="stack ghosts", aria_hidden="true", key="ghosts")]
