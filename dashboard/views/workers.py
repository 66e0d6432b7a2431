"""What works: workers, queues, and the calls to Zapier."""

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
    app_link,
    badge,
    card,
    head,
    listed,
    nothing,
    session_link,
    table,
)
from dashboard.words import SECOND, clock, moment, number, plain, since, span, until

OVERDUE: Final = 30 * SECOND
URGENCIES: Final = {
    "strong": ("busy", "the user is back"),
    "quiet": ("plain", "quiet"),
}


def things(query: Mapping[str, str]) -> dict[str, str]:
    """Return what is asked for."""
    watches = address("/watches", {"limit": 25, "cursor": query.get("cursor")})
    return {"workers": "/workers", "budget": "/budget", "watches": watches, "apps": "/apps"}


def view(sight: Sight) -> Sequence[Node]:
    """Draw all of it."""
    document = sight.data("workers") or {}
    return (
        head("Workers", sight, lead="Who checks and delivers, what lies in the queues, and what is due."),
        h("div", *_tiles(document), cls="tiles few", key="tiles"),
        card("Processes", _processes(document, sight.now), key="processes"),
        card("Next checks", _watches(sight), key="watches"),
        card("Calls to Zapier", _calls(sight.data("budget") or {}), key="calls", beside=h("span", id="calls")),
    )


def _tiles(document: Json) -> list[Node]:
    workers = listed(document, "workers")
    alive = sum(worker["alive"] for worker in workers)
    tiles = [_tile("alive", number(alive), "workers alive", "good" if alive else "bad")]
    for queue in listed(document, "queues"):
        depth = queue.get("depth")
        tiles.append(
            _tile(
                queue["name"],
                NOBODY if depth is None else number(depth),
                f"in {queue['name']}" if depth is not None else f"{queue['name']} does not answer",
                "bad" if depth is None else "busy" if depth else "plain",
            )
        )
    outbox = document.get("outbox") or 0
    tiles.append(_tile("outbox", number(outbox), "events to relay", "busy" if outbox else "plain"))
    return tiles


def _tile(key: str, count: str, said: str, tone: str) -> Node:
    return h(
        "div", h("span", count, cls="count"), h("span", plain(said), cls="said"), cls="tile", data_tone=tone, key=key
    )


def _processes(document: Json, now: int) -> Node:
    workers = listed(document, "workers")
    if not workers:
        return nothing(
            "No worker was heard of", "Nothing is checked and nothing delivered: start one with `zapwright worker`."
        )
    columns = (
        Column("process"),
        Column("how it is"),
        Column("checks now", is_number=True),
        Column("deliveries now", is_number=True),
        Column("heard of", is_number=True),
        Column("runs", is_number=True),
    )
    rows = [
        Row(
            key=worker["id"],
            cells=(
                h(
                    "div",
                    h("span", plain(worker["host"])),
                    h("span", f"pid {worker['pid']}", cls="mono soft"),
                    cls="named",
                ),
                badge("good", "alive") if worker["alive"] else badge("bad", "silent"),
                number(worker["checks"]) if worker["checks"] else NOBODY,
                number(worker["deliveries"]) if worker["deliveries"] else NOBODY,
                f"{since(worker['seen_at'], now)} ago",
                since(worker["started_at"], now) if worker["alive"] else _ran(worker),
            ),
            tone=None if worker["alive"] else "bad",
        )
        for worker in workers
    ]
    held = "Checks and deliveries: what each process has in hand now, not how many it has made."
    return h("div", table(columns, rows, caption="Worker processes"), h("p", held, cls="soft small"), cls="stack")


def _ran(worker: Json) -> str:
    """Say for how long it ran, for all that was heard of it."""
    return f"ran {span((moment(worker['seen_at']) or 0) - (moment(worker['started_at']) or 0))}"


def _watches(sight: Sight) -> Node:
    watches = listed(sight.data("watches") or {}, "watches")
    if not watches:
        return nothing("Nothing is to be checked", "A check is planned as soon as somebody opens a popup.")
    titles = {app["app_id"]: app.get("title") for app in listed(sight.data("apps") or {}, "apps")}
    columns = (Column("user"), Column("app"), Column("because"), Column("next"), Column("last"), Column("who waits"))
    rows = [
        Row(
            key=f"{watch['tenant_id']}-{watch['user_id']}-{watch['app_id']}",
            cells=(
                h("span", plain(watch["user_id"], longest=40), cls="mono"),
                _app(watch["app_id"], titles),
                _because(watch),
                _next(watch, sight.now),
                clock(watch.get("last_check_at")),
                h("div", *(session_link(waiter["session_id"]) for waiter in listed(watch, "waiters")), cls="named"),
            ),
            tone="bad" if watch["overdue_ms"] > OVERDUE else None,
        )
        for watch in watches
    ]
    return table(columns, rows, caption="Next checks")


def _app(app_id: str, titles: Mapping[str, str | None]) -> Node:
    """Name an app by its title, or by its id where none is known."""
    title = titles.get(app_id)
    return app_link(app_id, title) if title else h("span", app_link(app_id, plain(app_id, longest=24)), cls="mono")


def _because(watch: Json) -> Node:
    if watch["failures"]:
        return badge("wait", f"{watch['failures']} failed")
    return badge(*URGENCIES.get(watch["urgency"], ("plain", "quiet")))


def _next(watch: Json, now: int) -> str:
    if watch["checking"]:
        return "being made"
    if watch["overdue_ms"] > OVERDUE:
        return f"{span(watch['overdue_ms'])} overdue"
    return until(watch.get("next_check_at"), now)


def _calls(budget: Json) -> Node:
    calls = listed(budget, "calls")
    if not calls:
        return nothing("No call was made within the hour", "Each call to Zapier is counted here by its endpoint.")
    columns = (
        Column("endpoint"),
        Column("tenant"),
        Column("lately", is_number=True),
        Column("last hour", is_number=True),
        Column("refused", is_number=True),
        Column("failed", is_number=True),
    )
    rows = [
        Row(
            key=f"{call['tenant_id']}-{call['endpoint']}",
            cells=(
                h("span", plain(call["endpoint"]), cls="mono"),
                plain(call["tenant_id"]),
                *(
                    number(call[name]) if call[name] else NOBODY
                    for name in ("lately", "last_hour", "refused", "failed")
                ),
            ),
            tone="bad" if call["refused"] else None,
        )
        for call in calls
    ]
    return table(columns, rows, caption="Calls to Zapier")
