"""Every session, narrowed by filters that stand in the address, so that a link shows the same to somebody else."""

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
    field,
    head,
    listed,
    nothing,
    pager,
    select,
    session_link,
    state_badge,
    status_badge,
    table,
)
from dashboard.words import DAY, SECOND, STATES, STATUSES, length, plain, since
from orchestrator.core.session import SETTLED, Reason

SELDOM: Final = ("reason", "app_id", "user_id", "tenant_id", "older_than", "younger_than")
"""Filters that stand behind a button until one of them is set."""

FILTERS: Final = ("q", "state", "status", "stuck", *SELDOM, "cursor")
"""What of the page's address is asked of the API; everything else in it means nothing."""

AGES: Final = ("older_than", "younger_than")
ANY: Final = ("", "any")
OLDEST: Final = 3_650 * DAY
"""No age is asked for that is greater: the API takes none."""
COLUMNS: Final = (
    Column("session"),
    Column("user"),
    Column("app"),
    Column("state"),
    Column("status"),
    Column("waits", is_number=True),
    Column("age", is_number=True),
)


def things(query: Mapping[str, str]) -> dict[str, str]:
    """Return what is asked for with these filters; an age that is none is left out, and its field says so."""
    asked = filters(query)
    for name in AGES:
        if name in asked and (age := age_of(asked.pop(name))) is not None:
            asked[f"{name}_s"] = str(age // SECOND)
    return {"sessions": address("/sessions", {"limit": 25, **asked})}


def age_of(text: str) -> int | None:
    """Read an age (milliseconds); None for what is none."""
    age = length(text)
    return age if age is not None and age <= OLDEST else None


def filters(query: Mapping[str, str]) -> dict[str, str]:
    """Return the filters that an address sets."""
    return {name: query[name].strip() for name in FILTERS if query.get(name, "").strip()}


def view(sight: Sight) -> Sequence[Node]:
    """Draw the list."""
    page = sight.data("sessions") or {}
    found = listed(page, "sessions")
    narrowed = {name: value for name, value in filters(sight.query).items() if name != "cursor"}
    rows = [_row(session, sight.now) for session in found]
    body = table(COLUMNS, rows, caption="Sessions") if rows else _none(narrowed)
    said = f"{len(found)} shown{', and there are more' if page.get('cursor') else ''}"
    return (
        head("Sessions", sight),
        _form(sight.query, narrowed),
        card("Found", body, key="found", beside=h("span", said, cls="soft small push") if rows else None),
        *([more] if (more := pager(sight, page.get("cursor"))) else []),
    )


def _form(query: Mapping[str, str], narrowed: Mapping[str, str]) -> Node:
    def given(name: str) -> str:
        return query.get(name, "")

    often = h(
        "div",
        field("q", "Quoted text", given("q"), placeholder="session, user, reference, code or Zap", kind="search"),
        select("state", "State", (ANY, *((state, _stated(state)) for state in STATES)), given("state")),
        select(
            "status", "Status", (ANY, *((status, status.replace("_", " ")) for status in STATUSES)), given("status")
        ),
        select("stuck", "Stuck", (ANY, ("true", "stuck only")), given("stuck")),
        h("button", "Look", type="submit", cls="button primary"),
        cls="filters",
    )
    seldom = h(
        "details",
        h("summary", "More filters"),
        h(
            "div",
            select(
                "reason",
                "Reason",
                (ANY, *((reason.value, reason.replace("_", " ")) for reason in Reason)),
                given("reason"),
            ),
            field("app_id", "App", given("app_id"), placeholder="its id"),
            field("user_id", "User", given("user_id"), placeholder="their id"),
            field("tenant_id", "Tenant", given("tenant_id"), placeholder="its id"),
            _age("older_than", "Older than", given("older_than")),
            _age("younger_than", "Younger than", given("younger_than")),
            cls="filters",
        ),
        open=any(name in narrowed for name in SELDOM),
    )
    return h(
        "form", often, seldom, _narrowed(narrowed), method="get", action="/sessions", cls="card narrowing", key="form"
    )


def _stated(state: str) -> str:
    """Name a session's state for who looks for it: of one whose steps are settled, it is the last step's."""
    return f"{state}, the last step" if state in SETTLED else state


def _age(name: str, title: str, value: str) -> Node:
    is_none = bool(value.strip()) and age_of(value) is None
    flaw = "This is no length of time, and was left out. Write 90s, 15 min, 2 h or 3 d." if is_none else ""
    return field(name, title, value, placeholder="90s, 15 min, 2 h", flaw=flaw)


def _narrowed(narrowed: Mapping[str, str]) -> Node | None:
    """Name each filter that is set, with a way to be rid of it alone."""
    if not narrowed:
        return None
    chips = [
        h(
            "li",
            h("span", f"{name.removesuffix('_id').replace('_', ' ')}: {plain(value, longest=40)}"),
            h(
                "a",
                "×",
                href=address("/sessions", {other: kept for other, kept in narrowed.items() if other != name}),
                aria_label=f"Without {name}",
            ),
            cls="chip",
            key=name,
        )
        for name, value in narrowed.items()
    ]
    return h("ul", *chips, h("li", h("a", "Without all", href="/sessions"), key="all"), cls="row chips small")


def _none(narrowed: Mapping[str, str]) -> Node:
    if not narrowed:
        return nothing("There are no sessions", "They appear here as soon as a backend begins one.")
    text = (
        "Quoted text finds a whole session id, user id, reference, code or Zap id; every other filter narrows it down. "
        "Sessions that ended are kept for a week. Take a filter away."
    )
    return nothing("No session is like that", text, h("a", "Without filters", href="/sessions", cls="button"))


def _row(session: Json, now: int) -> Row:
    waiting = session.get("waiting") or {}
    title = plain(session.get("title") or session["id"], longest=60)
    name = h("div", session_link(session["id"], title), *_under(session), cls="named")
    state = h("div", state_badge(session["state"]), _of_step(session), _reason(session), cls="named")
    return Row(
        key=session["id"],
        cells=(
            name,
            h("span", plain(session["user_id"], longest=40), cls="mono"),
            _apps(session),
            state,
            status_badge(session["status"]),
            h("b", since(waiting["since"], now)) if waiting else NOBODY,
            since(session["created_at"], now),
        ),
        tone="bad" if waiting.get("stuck") else None,
    )


def _under(session: Json) -> list[Node]:
    """Say by what it is known: its id, and its reference by name, which opens nothing in an id's place."""
    id_, reference = session["id"] if session.get("title") else None, session.get("reference")
    return [
        *([h("span", id_, cls="mono soft")] if id_ else []),
        *([h("span", f"reference {plain(reference, longest=48)}", cls="soft small")] if reference else []),
    ]


def _of_step(session: Json) -> Node | None:
    """Say of which step the state is, where there are several: the first that is unsettled, else the last."""
    states = [step["state"] for step in listed(session, "steps")]
    if len(states) < 2:  # noqa: PLR2004 - of one step it is that
        return None
    place = next((place for place, state in enumerate(states, 1) if state not in SETTLED), None)
    said = f"step {place} of {len(states)}" if place else f"last of {len(states)} steps, all settled"
    return h("span", said, cls="soft small")


def _reason(session: Json) -> Node | None:
    stuck, reason = (session.get("waiting") or {}).get("stuck"), session.get("reason")
    if stuck:
        return badge("bad", "stuck")
    return h("span", reason.replace("_", " "), cls="soft small") if reason else None


def _apps(session: Json) -> str:
    names = [step["app"]["title"] for step in listed(session, "steps") if step.get("app")]
    return plain(", ".join(dict.fromkeys(names)) or NOBODY, longest=60)
