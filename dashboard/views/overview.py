"""Everything at a glance: is something wrong, where, and who waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dashboard.nodes import Node, h
from dashboard.sight import Json, Sight
from dashboard.views.parts import (
    Column,
    Row,
    address,
    app_link,
    badge,
    bars,
    card,
    clock_of,
    head,
    listed,
    meter,
    nothing,
    session_link,
    table,
)
from dashboard.words import (
    MINUTE,
    STATES,
    clock,
    count_of,
    last_minutes,
    moment,
    number,
    percent,
    plain,
    since,
    until,
    until_now,
)

COUNTED: Final = 50
"""Of so many messages that fail, or were given up, it is said how many there are; of more, that there are more."""

THINGS: Final = {
    "overview": "/overview",
    "stuck": "/sessions?stuck=true&limit=6",
    "apps": "/apps",
    "workers": "/workers",
    "failing": address("/deliveries", {"trouble": "failing", "limit": COUNTED}),
    "dead": address("/deliveries", {"trouble": "dead", "limit": COUNTED}),
}
STAGES: Final = (
    ("begun", "begun"),
    ("app_chosen", "app chosen"),
    ("ready", "ready"),
    ("created", "Zap created"),
)
BY_POPUP: Final = (
    ("popup_opened", "popup opened"),
    ("connected", "connected by it"),
)
"""The way by which only some sessions go: others have their account without a popup, or need none."""
FULL: Final = 0.9
BUSY: Final = 0.6
MOST_APPS: Final = 6
WHY: Final = {"signal": "said to be done, and not answered", "check": "a check is overdue"}


def view(sight: Sight) -> Sequence[Node]:
    """Draw the overview."""
    stuck = sight.data("stuck") or {}
    overview = _agreeing(sight.data("overview") or {}, stuck)
    return (
        head("Overview", sight),
        _verdict(sight, overview),
        h("div", *_tiles(overview), cls="tiles", key="tiles"),
        h(
            "div",
            h(
                "div",
                _stuck(listed(stuck, "sessions"), overview, sight.now),
                _lost(listed(sight.data("apps") or {}, "apps")),
                cls="stack loose",
                key="people",
            ),
            h(
                "div",
                _funnel(listed(overview, "funnel"), sight.now),
                _budget(overview, sight.now),
                cls="stack loose",
                key="flow",
            ),
            cls="pair",
            key="pair",
        ),
    )


def _agreeing(overview: Json, stuck: Json) -> Json:
    """Return the overview with as many stuck as are listed: the list is another reading, of another moment.

    Where the list goes on, it is short of them all, and the overview's count holds.
    """
    listed_here = len(listed(stuck, "sessions"))
    count = max(listed_here, int(overview.get("stuck") or 0)) if stuck.get("cursor") else listed_here
    return {**overview, "stuck": count}


def _verdict(sight: Sight, overview: Json) -> Node:
    """Say in a sentence how things are, the worst first; what is well, only as long as the API says so."""
    workers, now = sight.data("workers") or {}, sight.now
    notes = [*_idle(workers, now), *(_jumped(jump, now) for jump in listed(overview, "jumps"))]
    if overview.get("stuck") and not notes:
        said = f"{count_of(overview['stuck'], 'session')} stuck"
        text = "Somebody waits for what should have come by now. They are listed below."
        notes.append(_note("bad", said, text, key="stuck"))
    if any(side.get("cooldown_until") for side in listed(overview, "budget")) and not notes:
        text = "Nothing is lost: checks go on when that is over."
        notes.append(_note("wait", "Zapier refuses calls for a moment", text, key="refused"))
    if undelivered := _undelivered(sight.data("failing") or {}, sight.data("dead") or {}):
        notes.append(undelivered)
    return h("div", *(notes or [_well(sight)]), cls="stack", key="verdict")


def _well(sight: Sight) -> Node:
    """Say that nothing is wrong, or was when that was last heard."""
    if sight.trouble is not None:
        text = f"Nothing was wrong at {clock_of(sight.stands_at)} UTC. What became of it since, nobody can say here."
        return _note("wait", "How things are is not known", text, key="unheard")
    text = "Workers run, nobody is stuck, webhooks arrive, and no app loses more of its popups' messages than usual."
    return _note("good", "All is well", text, key="well")


def _idle(document: Json, now: int) -> list[Node]:
    """Say that nobody works, or that what workers are told by does not answer."""
    workers = listed(document, "workers")
    way = h("a", "Look at the workers", href="/workers", cls="button")
    if not any(worker["alive"] for worker in workers):
        seen = max((worker["seen_at"] for worker in workers), default=None)
        heard = f"The last was heard of {since(seen, now)} ago" if seen else "None was heard of lately"
        text = f"{heard}. Nothing is checked and nothing delivered: what popups' messages do not say, nobody finds."
        return [_note("bad", "No worker runs", text, way, key="idle")]
    if silent := [plain(queue["name"]) for queue in listed(document, "queues") if queue.get("depth") is None]:
        text = "What is to be checked or delivered waits until it does."
        return [_note("bad", f"The queue does not answer: {', '.join(silent)}", text, way, key="idle")]
    return []


def _undelivered(failing: Json, dead: Json) -> Node | None:
    """Say that backends do not receive, if one does not."""
    fail, gone = len(listed(failing, "deliveries")), len(listed(dead, "deliveries"))
    if not fail and not gone:
        return None
    counts = (_counted(failing, "fail" if fail != 1 else "fails"), _counted(dead, "given up"))
    said = " and ".join(part for part in counts if part)
    text = (
        "Their backends do not receive: each is sent again, more and more rarely, for three days."
        if fail
        else "Their backends did not receive them in time. They can be sent again."
    )
    state = "failing" if fail else "dead"
    way = h("a", "Look at them", href=address("/deliveries", {"state": state}), cls="button")
    return _note("wait", f"Webhook messages: {said}", text, way, key="undelivered")


def _counted(page: Json, what: str) -> str:
    found = len(listed(page, "deliveries"))
    return f"{number(found)}{' or more' if page.get('cursor') else ''} {what}" if found else ""


def _note(tone: str, said: str, text: str, way: Node | None = None, *, key: str) -> Node:
    return h(
        "div",
        h("strong", said),
        h("p", text),
        h("div", way, cls="row") if way else None,
        cls="note",
        data_tone=tone,
        role="status",
        key=key,
    )


def _jumped(jumped: Json, now: int) -> Node:
    jump = jumped["jump"]
    name = plain(jumped.get("title") or jumped["app_id"])
    where = f" in {jump['browser']}" if jump.get("browser") else ""
    usual, since_when = jump["baseline"]["lost_rate"], jump["since"]
    text = (
        f"{percent(jump['lost_rate'])} of the popups connected in {last_minutes(jump['minutes'])} came "
        f"without a message; usual is {percent(usual)}. Since {clock(since_when)} UTC, {since(since_when, now)} ago. "
        "Their users are found by asking Zapier, which takes longer."
    )
    look = h("a", f"Look at {name}", href=f"/apps/{jumped['app_id']}", cls="button")
    waiting = h(
        "a",
        "Who waits for it",
        href=address("/sessions", {"app_id": jumped["app_id"], "state": "awaiting-popup"}),
        cls="button quiet",
    )
    return h(
        "div",
        h("strong", f"{name} loses messages{where}"),
        h("p", text),
        h("div", look, waiting, cls="row"),
        cls="note",
        data_tone="bad",
        role="alert",
        key=str(jumped["app_id"]),
    )


def _tiles(overview: Json) -> list[Node]:
    states = {one["state"]: one["sessions"] for one in listed(overview, "states")}
    tiles = [
        _tile(state, states.get(state, 0), said, tone, address("/sessions", {"state": state, "status": "building"}))
        for state, (tone, said) in STATES.items()
    ]
    stuck = int(overview.get("stuck") or 0)
    tiles.append(_tile("stuck", stuck, "Stuck", "bad" if stuck else "plain", address("/sessions", {"stuck": "true"})))
    return tiles


def _tile(key: str, count: int, said: str, tone: str, href: str) -> Node:
    return h(
        "a",
        h("span", number(count), cls="count"),
        h("span", said, cls="said"),
        h("span", key, cls="mono soft") if key != "stuck" else h("span", "over 30 s", cls="soft small"),
        cls="tile" if count else "tile none",
        href=href,
        data_tone=tone,
        key=key,
    )


def _stuck(sessions: list[Json], overview: Json, now: int) -> Node:
    every = h("a", "All who wait", href=address("/sessions", {"state": "awaiting-popup"}), cls="push small")
    if not sessions:
        oldest = overview.get("oldest_waiting")
        waiting = int(overview.get("waiting") or 0)
        text = (
            f"{count_of(waiting, 'popup is', 'popups are') if waiting else 'No popup is'} open. "
            + (f"The oldest for {since(oldest['since'], now)}." if oldest else "")
        ).strip()
        body = nothing("Nobody is stuck", text, session_link(oldest["session_id"], "The oldest") if oldest else None)
        return card("Stuck", body, key="stuck", beside=every)
    rows = [
        Row(
            key=session["id"],
            cells=(
                session_link(session["id"], plain(session.get("title") or session["id"], longest=48)),
                _apps_of(session),
                WHY.get((session.get("waiting") or {}).get("stuck") or "", ""),
                since((session.get("waiting") or {}).get("since"), now),
            ),
        )
        for session in sessions
    ]
    columns = (Column("session"), Column("app"), Column("why"), Column("waits", is_number=True))
    return card("Stuck", table(columns, rows, caption="Stuck sessions"), key="stuck", beside=every)


def _apps_of(session: Json) -> str:
    names = [
        step["app"]["title"]
        for step in listed(session, "steps")
        if step.get("app") and step["state"] == session["state"]
    ]
    return plain(", ".join(dict.fromkeys(names)) or "–", longest=48)


def _lost(apps: list[Json]) -> Node:
    every = h("a", "All apps", href="/apps", cls="push small")
    shown = [app for app in apps if _resolved(app["popups"]) or app.get("jump")][:MOST_APPS]
    if not shown:
        body = nothing("No popup was connected today", "What is lost is counted as soon as there is one.")
        return card("Lost messages by app", body, key="lost", beside=every)
    return card("Lost messages by app", h("ol", *(_app(app) for app in shown), cls="rates"), key="lost", beside=every)


def _app(app: Json) -> Node:
    jump, popups, baseline = app.get("jump"), app["popups"], app.get("baseline")
    rate = jump["lost_rate"] if jump else popups["lost_rate"] or 0.0
    usual = f"usual {percent(baseline['lost_rate'])}" if baseline else f"of {number(_resolved(popups))}"
    mark = badge("bad", "jumped") if jump else None
    return h(
        "li",
        h("div", app_link(app["app_id"], plain(app.get("title") or app["app_id"], longest=40)), mark, cls="name"),
        meter(rate, "bad" if jump else "plain", label=f"{percent(rate)} lost"),
        h("span", h("b", percent(rate)), h("span", usual, cls="soft small"), cls="rate"),
        key=app["app_id"],
    )


def _resolved(popups: Json) -> int:
    return int(popups["by_message"]) + int(popups["without_message"])


def _funnel(hours: list[Json], now: int) -> Node:
    totals = {stage: sum(hour[stage] for hour in hours) for stage, _ in (*STAGES, *BY_POPUP)}
    most = max(totals.values(), default=0)
    if not most:
        body = nothing("Nothing was begun today", "Sessions are counted by how far they came, hour by hour.")
        return card("The last 24 hours", body, key="funnel")
    counted = "Each session counts once at a stage, in the hour in which it came there."
    others = "Of these, by popup. Others chose an account, filled in fields, or need none."
    begun = [hour["begun"] for hour in hours]
    created = [hour["created"] for hour in hours]
    label = f"By the hour, begun: {', '.join(map(str, begun))}; Zaps created: {', '.join(map(str, created))}"
    drawing = bars((("all", begun), ("some", created)), label=label)
    legend = h(
        "p",
        h("span", "begun", cls="key all"),
        h("span", "Zap created", cls="key some"),
        h("span", until_now(hours[0]["at"], now), cls="push"),
        cls="legend small soft",
    )
    lost = sum(hour["expired"] + hour["cancelled"] for hour in hours)
    given_up = h("p", f"{count_of(lost, 'session')} expired or cancelled.", cls="soft small") if lost else None
    return card(
        "The last 24 hours",
        h("p", counted, cls="soft small before"),
        _stages(STAGES, totals, most, label="How far sessions came"),
        h("p", others, cls="soft small between"),
        _stages(BY_POPUP, totals, most, label="By popup"),
        drawing,
        legend,
        given_up,
        key="funnel",
    )


def _stages(stages: Sequence[tuple[str, str]], totals: Mapping[str, int], most: int, *, label: str) -> Node:
    steps = [
        h(
            "li",
            h("span", said),
            meter(totals[stage] / most, "busy", label=f"{said}: {totals[stage]}"),
            h("b", number(totals[stage])),
            key=stage,
        )
        for stage, said in stages
    ]
    return h("ol", *steps, cls="funnel", aria_label=label, key=label)


def _budget(overview: Json, now: int) -> Node:
    sides = listed(overview, "budget")
    gauges = [_side(side, now) for side in sides]
    text = "Calls to Zapier that count just now: each until a minute after its answer."
    more = h("a", "By endpoint", href="/workers#calls", cls="push small")
    return card(
        "Zapier's limits", h("p", text, cls="soft small"), h("ol", *gauges, cls="gauges"), key="budget", beside=more
    )


def _side(side: Json, now: int) -> Node:
    limit, held = side.get("limit"), side["held"]
    share = held / limit if limit else 0.0
    tone = "bad" if share >= FULL else "wait" if share >= BUSY else "good"
    cooling = side.get("cooldown_until")
    cools = (moment(cooling) or 0) > now - MINUTE if cooling else False
    said = f"{number(held)} of {number(limit)}" if limit else f"{number(held)}, no limit"
    kind = "this address" if side["kind"] == "egress" else "partner"
    return h(
        "li",
        h("div", h("span", kind), h("span", plain(side["name"]), cls="mono soft"), h("b", said, cls="push"), cls="row"),
        meter(share, "bad" if cools else tone, label=said),
        h("p", f"Zapier refuses calls; they go on {until(cooling, now)}", cls="small wrong") if cools else None,
        key=f"{side['kind']}-{side['name']}",
    )
