"""Apps: how connecting goes, in which browsers, and since when it goes worse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dashboard.nodes import Content, Node, h
from dashboard.sight import Json, Sight
from dashboard.views.parts import (
    NOBODY,
    Column,
    Row,
    address,
    app_link,
    badge,
    bars,
    card,
    head,
    listed,
    nothing,
    state_badge,
    table,
)
from dashboard.words import clock, count_of, last_minutes, number, percent, plain, since, until_now

COUNTED: Final = (
    Column("opened", is_number=True),
    Column("by message", is_number=True),
    Column("without", is_number=True),
    Column("offered", is_number=True),
    Column("unfinished", is_number=True),
    Column("cancelled", is_number=True),
    Column("blocked", is_number=True),
    Column("lost", is_number=True),
)
LEGEND: Final = (
    ("by message", "The popup told the page, and Zapier lists the account."),
    ("without", "No message came: the account was found by asking Zapier."),
    ("offered", "The user was asked which account is meant, or told that none was seen."),
    ("lost", "Without a message ÷ all that were connected."),
)


def view(sight: Sight) -> Sequence[Node]:
    """Draw all apps."""
    document = sight.data("apps") or {}
    apps = listed(document, "apps")
    columns = (
        Column("app"),
        Column("sessions", is_number=True),
        Column("wait", is_number=True),
        *COUNTED,
        Column("usual", is_number=True),
    )
    rows = [
        Row(
            key=app["app_id"],
            cells=(
                h("div", app_link(app["app_id"], app.get("title")), _mark(app.get("jump")), cls="named"),
                number(app["sessions"]),
                number(app["waiting"]),
                *_counts(app["popups"]),
                percent(app["baseline"]["lost_rate"]) if app.get("baseline") else NOBODY,
            ),
            tone="bad" if app.get("jump") else None,
        )
        for app in apps
    ]
    body = (
        table(columns, rows, caption="Apps")
        if rows
        else nothing("No app was chosen yet", "Each app that a session chooses is counted here.")
    )
    return (
        head("Apps", sight, lead="Popups of the last 24 hours, by what became of them."),
        card("By app", body, key="apps"),
        _legend(document),
    )


def story(sight: Sight) -> Sequence[Node]:
    """Draw one app."""
    app = sight.data("app") or {}
    name = plain(app.get("title") or app.get("app_id"))
    if not (app.get("title") or app.get("sessions") or (app.get("popups") or {}).get("opened")):
        return _unseen(name, sight)
    jump = app.get("jump")
    columns = (Column("browser"), *COUNTED)
    rows = [
        Row(
            key=browser["browser"],
            cells=(browser["browser"], *_counts(browser)),
            tone="bad" if jump and jump.get("browser") in {None, browser["browser"]} else None,
        )
        for browser in listed(app, "browsers")
    ]
    body = (
        table(columns, rows, caption="Popups by browser")
        if rows
        else nothing("No popup was opened today", "They are counted by the family of browser they were opened in.")
    )
    way = address("/sessions", {"app_id": app.get("app_id")})
    return (
        head(
            name,
            sight,
            h("a", "Its sessions", href=way, cls="button"),
            lead=h("p", str(app.get("app_id")), cls="mono soft"),
        ),
        *([_jump(name, jump, sight.now)] if jump else []),
        card("By the hour", *_hours(app, sight.now), key="hours"),
        card("By browser", body, key="browsers"),
        _now(app),
        _legend(app),
    )


def _unseen(app_id: str, sight: Sight) -> Sequence[Node]:
    """Say that there is nothing to draw: no session has it, and none had lately."""
    why = "No session has an app with this id, and no popup was opened for one in the last day."
    word = nothing("No such app has been seen", why, h("a", "All apps", href="/apps", cls="button"))
    return (head("App", sight, lead=h("p", app_id, cls="mono soft")), card("Not seen", word, key="unseen"))


def _jump(name: str, jump: Json, now: int) -> Node:
    where = f" in {jump['browser']}" if jump.get("browser") else ""
    rate, usual = percent(jump["lost_rate"]), jump["baseline"]
    of, when = count_of(jump["resolved"], "connected popup"), last_minutes(jump["minutes"])
    text = (
        f"In {when} {rate} of {of} came without a message. Usual for this app is "
        f"{percent(usual['lost_rate'])}, of {number(usual['resolved'])}. "
        f"The first was lost at {clock(jump['since'])} UTC, {since(jump['since'], now)} ago."
    )
    advice = (
        "Most often a page of the app's login began to send a Cross-Origin-Opener-Policy. Nobody's account is lost: "
        "Zapier is asked for it, which takes longer. The browser's tools show which page of the login sends the "
        "header; the app's developers can mend it."
    )
    return h(
        "div",
        h("strong", f"{name} loses messages{where}"),
        h("p", text),
        h("p", advice, cls="soft"),
        cls="note",
        data_tone="bad",
        role="alert",
        key="jump",
    )


def _hours(app: Json, now: int) -> tuple[Content, ...]:
    hours = listed(app, "hours")
    opened = [hour["opened"] for hour in hours]
    lost = [hour["without_message"] for hour in hours]
    if not any(opened):
        return (
            nothing(
                "No popup was opened today", "Of each hour it is drawn here how many were opened, and how many lost."
            ),
        )
    label = f"By the hour, opened: {', '.join(map(str, opened))}; without a message: {', '.join(map(str, lost))}"
    legend = h(
        "p",
        h("span", "opened", cls="key all"),
        h("span", "connected without a message", cls="key lost"),
        h("span", until_now(hours[0]["at"], now), cls="push"),
        cls="legend small soft",
    )
    return bars((("all", opened), ("lost", lost)), label=label), legend


def _now(app: Json) -> Node:
    states = [
        h("li", state_badge(one["state"]), h("b", number(one["sessions"])), key=one["state"])
        for one in listed(app, "states")
        if one["sessions"]
    ]
    reasons = [
        h("li", badge("wait", one["reason"].replace("_", " ")), h("b", number(one["sessions"])), key=one["reason"])
        for one in listed(app, "reasons")
        if one["sessions"]
    ]
    if not states:
        return card(
            "Now", nothing("No session has this app now", "Those that ended are in the counts above."), key="now"
        )
    return card("Now", h("ul", *states, *reasons, cls="counted"), key="now")


def _counts(popups: Json) -> tuple[Content, ...]:
    names = ("opened", "by_message", "without_message", "offered", "unfinished", "cancelled", "blocked")
    return (*(number(popups[name]) if popups[name] else NOBODY for name in names), h("b", percent(popups["lost_rate"])))


def _mark(jump: Json | None) -> Node | None:
    if not jump:
        return None
    where = f" in {jump['browser']}" if jump.get("browser") else ""
    return badge("bad", f"jumped to {percent(jump['lost_rate'])}{where}")


def _legend(document: Json) -> Node:
    means = [
        *LEGEND,
        ("unfinished", str(document.get("unfinished_means", "")).removeprefix("unfinished: ").capitalize()),
    ]
    rows = [h("div", h("dt", name), h("dd", text), key=name) for name, text in means]
    return h("details", h("summary", "What is counted"), h("dl", *rows, cls="facts"), cls="aside", key="legend")
