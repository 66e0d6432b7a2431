"""Webhooks: which endpoints receive, and what is on its way to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dashboard.nodes import Content, Node, h
from dashboard.sight import Json, Sight
from dashboard.views.acting import action
from dashboard.views.parts import (
    NOBODY,
    Column,
    Row,
    address,
    badge,
    card,
    head,
    listed,
    nothing,
    pager,
    session_link,
    table,
)
from dashboard.views.telling import last_answer
from dashboard.words import count_of, number, plain, since, until

STATES: Final = (
    ("pending", "On their way"),
    ("failing", "Failing"),
    ("dead", "Given up"),
)
TONES: Final = {"pending": "busy", "delivered": "good", "dead": "bad"}
SAID: Final = {"pending": "on its way", "delivered": "received", "dead": "given up"}


def things(query: Mapping[str, str]) -> dict[str, str]:
    """Return what is asked for."""
    asked = {"trouble": state_of(query), "cursor": query.get("cursor"), "limit": 50}
    return {"endpoints": "/endpoints", "deliveries": address("/deliveries", asked)}


def state_of(query: Mapping[str, str]) -> str:
    """Return which deliveries an address asks for."""
    state = query.get("state", "")
    return state if state in dict(STATES) else "failing"


def view(sight: Sight) -> Sequence[Node]:
    """Draw both lists."""
    page = sight.data("deliveries") or {}
    return (
        head("Deliveries", sight, lead="Events on their way to backends, by webhook."),
        card("Endpoints", _endpoints(sight), key="endpoints"),
        card("Messages", _messages(sight, listed(page, "deliveries")), key="messages", beside=_choice(sight)),
        *([more] if (more := pager(sight, page.get("cursor"))) else []),
    )


def _choice(sight: Sight) -> Node:
    chosen = state_of(sight.query)
    links = [
        h("a", said, href=address("/deliveries", {"state": state}), aria_current="true" if state == chosen else None)
        for state, said in STATES
    ]
    return h("nav", *links, cls="choice push", aria_label="Which messages")


def _endpoints(sight: Sight) -> Node:
    endpoints = listed(sight.data("endpoints") or {}, "webhooks")
    if not endpoints:
        return nothing(
            "There are no endpoints", "Backends make them at /v1/webhooks, or with `zapwright webhooks create`."
        )
    columns = (
        Column("address"),
        Column("tenant"),
        Column("how it is"),
        Column("pending", is_number=True),
        Column("given up", is_number=True),
        Column("received", is_number=True),
    )
    rows = [
        Row(
            key=one["id"],
            cells=(
                h("div", h("span", plain(one["url"], longest=80)), h("span", one["id"], cls="mono soft"), cls="named"),
                plain(one["tenant_id"]),
                _health(one),
                *(number(one[name]) if one[name] else NOBODY for name in ("pending", "dead")),
                f"{since(one['received_at'], sight.now)} ago" if one.get("received_at") else "never",
            ),
            tone="bad" if one.get("paused") in {"gone", "dead"} else None,
        )
        for one in endpoints
    ]
    return table(columns, rows, caption="Endpoints")


def _health(endpoint: Json) -> Node:
    match endpoint.get("paused"):
        case None if endpoint["failures"]:
            return badge("wait", f"{endpoint['failures']} tries failed")
        case None:
            return badge("good", "receives")
        case "requested":
            return badge("plain", "paused")
        case "gone":
            return badge("bad", "answered 410: paused")
        case _:
            return badge("bad", "dead for three days: paused")


def _messages(sight: Sight, deliveries: list[Json]) -> Node:
    if not deliveries:
        return _none(state_of(sight.query))
    helps = sight.visit.may_act and any(one["state"] != "pending" for one in deliveries)
    columns = (
        Column("event"),
        Column("session"),
        Column("to"),
        Column("how it is"),
        Column("next try", is_number=True),
        *((Column("what helps"),) if helps else ()),
    )
    return table(columns, [_message(one, sight, helps=helps) for one in deliveries], caption="Messages")


def _none(state: str) -> Node:
    said = {"pending": "Nothing is on its way", "failing": "No message fails", "dead": "No message was given up"}[state]
    return nothing(said, "What was received is listed for each endpoint by `zapwright webhooks deliveries`.")


def _message(one: Json, sight: Sight, *, helps: bool) -> Row:
    """Tell of one; `helps`: some can be sent again, which none can that is on its way."""
    replay: Content = None
    if one["state"] != "pending":
        replay = action(
            sight,
            f"/deliveries/{one['webhook_id']}/{one['session_id']}/{one['seq']}/replay",
            "Send again",
            f"The event is sent to its endpoint once more, with the id it had: {one['event']}.",
            name=f"replay-{one['webhook_id']}-{one['session_id']}-{one['seq']}",
        )
    return Row(
        key=f"{one['webhook_id']}-{one['session_id']}-{one['seq']}",
        cells=(
            h(
                "div",
                h("span", one["event"].replace("_", " ")),
                h("span", f"seq {one['seq']}", cls="mono soft"),
                cls="named",
            ),
            session_link(one["session_id"]),
            h("span", one["webhook_id"], cls="mono"),
            _standing(one),
            until(one.get("next_try_at"), sight.now),
            *((replay,) if helps else ()),
        ),
        tone="bad" if one["state"] == "dead" else None,
    )


def _standing(one: Json) -> Node:
    """Tell how it is, with what the last try came to."""
    if one["state"] == "pending" and one["failures"]:
        mark = badge("wait", f"failed {count_of(one['failures'], 'time')}")
    else:
        mark = badge(TONES.get(one["state"], "plain"), SAID.get(one["state"], str(one["state"])))
    last = last_answer(one)
    return h("div", mark, h("span", last, cls="soft small") if last else None, cls="named")
