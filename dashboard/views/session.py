"""One session: why it is as it is, what can be done, and everything that happened."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from dashboard import diagram
from dashboard.nodes import Content, Node, h
from dashboard.sight import Json, Sight
from dashboard.views import telling
from dashboard.views.acting import action
from dashboard.views.parts import (
    NOBODY,
    address,
    app_link,
    badge,
    card,
    copied,
    facts,
    head,
    listed,
    nothing,
    prose,
    select,
    state_badge,
    status_badge,
)
from dashboard.words import STATES, clock, count_of, day_and_clock, plain, since, until

VERDICTS: Final = {
    "stuck": ("bad", "Somebody has to help"),
    "working": ("busy", "It goes on by itself"),
    "user": ("wait", "It is the user's turn"),
    "fine": ("good", "All is well"),
    "over": ("plain", "It is over"),
    "unknown": ("plain", "Nothing is known of it"),
}
OPEN: Final = frozenset({"building", "ready"})
ID_LIKE: Final = "40912355, or kdGhl64"
EXTENSIONS: Final = (("3600", "an hour"), ("14400", "four hours"), ("86400", "a day"))


def things(session_id: str, _: Mapping[str, str]) -> dict[str, str]:
    """Return what is asked for."""
    return {"story": f"/sessions/{quote(session_id, safe='')}?limit=500"}


def view(sight: Sight) -> Sequence[Node]:
    """Draw a session's story."""
    story = sight.data("story") or {}
    session = story["session"]
    steps = listed(session, "steps")
    names = telling.names_of(session)
    happened = telling.happenings(story, names)
    return (
        head(plain(session.get("title") or "Session"), sight, lead=_lead(session)),
        _why(story.get("why") or {}),
        h(
            "div",
            h(
                "div",
                *(_step(sight, session, step, names[step["id"]]) for step in steps),
                _timeline(happened),
                _raw(story),
                cls="stack loose",
            ),
            h(
                "div",
                _about(session, sight.now),
                _doing(sight, session),
                *_watches(story, sight.now),
                cls="stack loose",
            ),
            cls="story",
            key="story",
        ),
    )


def _lead(session: Json) -> Node:
    return h("div", status_badge(session["status"]), copied(session["id"]), cls="row")


def _why(why: Json) -> Node:
    tone, title = VERDICTS.get(why.get("verdict", ""), ("plain", "How it stands"))
    findings = [
        h(
            "li",
            prose(one["says"]),
            h("div", h("b", "To do"), prose(one["do"]), cls="todo") if one.get("do") else None,
            key=f"{one['code']}-{one.get('step_id')}",
        )
        for one in listed(why, "findings")
    ]
    return h(
        "section",
        h("strong", title),
        h("ul", *findings, cls="findings"),
        cls="note",
        data_tone=tone,
        key="why",
        aria_label="Why",
    )


def _step(sight: Sight, session: Json, step: Json, name: str) -> Node:
    lit = step["state"]
    is_current = lit == session["state"] and lit not in {"resolved", "no-auth-required"}
    drawing = h(
        "div",
        diagram.drawn(lit, name=step["id"]),
        data_tone=STATES.get(lit, ("plain", ""))[0],
        cls="drawing",
        tabindex=0,
        role="group",
        aria_label="The machine",
    )
    ways = h(
        "dl",
        *(
            h("div", h("dt", f"→ {edge.to.value}"), h("dd", edge.when), key=str(place))
            for place, edge in enumerate(diagram.ways_on(lit))
        ),
        cls="facts small",
    )
    on = h("details", h("summary", "What leads on from here"), ways, cls="aside", key="ways")
    helps = _helps(sight, session, step)
    beside = h("div", state_badge(lit), _reason(step), cls="row push")
    known = facts(_known(step, sight.now))
    if is_current:
        return card(name, drawing, known, helps, on, key=step["id"], beside=beside)
    more = h(
        "details", h("summary", "Where it stands, and what can be done"), drawing, on, helps, cls="aside", key="more"
    )
    return card(name, known, more, key=step["id"], beside=beside)


def _reason(step: Json) -> Node | None:
    reason = step.get("reason")
    return badge("wait", reason.replace("_", " ")) if reason else None


def _known(step: Json, now: int) -> list[tuple[str, Content]]:
    app, found, attempt = step.get("app"), step.get("authentication"), step.get("attempt")
    evidence, candidates = step.get("evidence"), listed(step, "candidates")
    said = [telling.EVIDENCE.get(channel, channel) for channel in (evidence or {}).get("channels", ())]
    return [
        (
            "App",
            h("span", app_link(app["id"], app["title"]), h("span", plain(app["id"]), cls="mono soft"), cls="row")
            if app
            else "none chosen",
        ),
        ("Account", _account(found) if found else None),
        (
            "Evidence",
            f"{' and '.join(said)}; listed by Zapier at {clock(evidence['checked_at'])} UTC" if evidence else None,
        ),
        (
            "Popup",
            f"open for {since(attempt['opened_at'], now)}, given up {until(attempt['deadline'], now)}"
            if attempt
            else None,
        ),
        (
            "Next check",
            (until(attempt["next_check_at"], now) if attempt["next_check_at"] else "none is planned")
            if attempt
            else None,
        ),
        ("Offered", h("ul", *(h("li", _account(one), key=one["id"]) for one in candidates)) if candidates else None),
        ("Step", h("span", step["id"], cls="mono soft")),
    ]


def _account(found: Json) -> Node:
    expired = badge("bad", "expired") if found.get("is_expired") else None
    return h(
        "span", h("span", plain(found["title"])), h("span", plain(found["id"]), cls="mono soft"), expired, cls="row"
    )


def _helps(sight: Sight, session: Json, step: Json) -> Node | None:
    """Offer what helps a step in its state."""
    if session["status"] not in OPEN:
        return None
    path = f"/sessions/{session['id']}/steps/{step['id']}"
    waits = step["state"] in {"awaiting-popup", "needs-auth"} and step.get("app")
    offers = [
        _check(sight, path, step) if _can_be_checked(step) else None,
        _bind(sight, path, step, _seen_of(session, step)) if waits else None,
        action(
            sight,
            f"{path}/reset",
            "Start the step over",
            "The step goes back to the choice of its app. What it has is forgotten.",
            name=f"reset-{step['id']}",
            tone="danger",
        )
        if step["state"] != "choose-app"
        else None,
    ]
    shown = [offer for offer in offers if offer is not None]
    return h("div", *shown, cls="actions", key="actions") if shown else None


def _can_be_checked(step: Json) -> bool:
    is_open = step["state"] == "awaiting-popup"
    return is_open or bool(step["state"] == "needs-auth" and step.get("app") and step.get("reason"))


def _check(sight: Sight, path: str, step: Json) -> Node | None:
    about = (
        "Zapier is asked for the user's accounts as soon as its limits allow. What is found counts by the usual rules."
    )
    return action(sight, f"{path}/check-now", "Check now", about, name=f"check-{step['id']}", tone="primary")


def _seen_of(session: Json, step: Json) -> list[Json]:
    """Return the accounts that the session's steps know of a step's app: what was offered, and what others have."""
    found = [
        one
        for other in (step, *listed(session, "steps"))
        if (other.get("app") or {}).get("id") == step["app"]["id"]
        for one in (*listed(other, "candidates"), other.get("authentication"))
        if one
    ]
    return list({one["id"]: one for one in reversed(found)}.values())[::-1]


def _bind(sight: Sight, path: str, step: Json, seen: list[Json]) -> Node | None:
    path, ids = f"{path}/bind", {one["id"] for one in seen}
    chosen = sight.given(path, "authentication_id")
    about = "The step gets an account that Zapier lists as the user's for this app. Ask the user which one is meant."
    hint = f"Letters and digits, as Zapier's Partner API has them: {ID_LIKE}."
    if _can_be_checked(step):
        hint += (
            " Not known? Press “Check now” first: when Zapier lists accounts that may be meant, they are offered here."
        )
    written = h(
        "label",
        h("span", "Its id"),
        h(
            "input",
            type="text",
            name="authentication_id",
            required=not seen,
            value=None if chosen in ids else chosen or None,
            autocomplete="off",
            placeholder=ID_LIKE.partition(",")[0],
        ),
        h("span", hint, cls="soft small"),
        cls="field",
    )
    choices = [h("label", _radio(one["id"], chosen), _account(one), key=one["id"]) for one in seen]
    other = _radio("", "" if chosen and chosen not in ids else None)
    another = h("label", other, h("span", "Another, whose id is written below"), key="another")
    known = h("fieldset", h("legend", "Which account?"), *choices, another, cls="known") if seen else None
    return action(sight, path, "Give it an account", about, known, written, name=f"bind-{step['id']}")


def _radio(id_: str, chosen: str | None) -> Node:
    return h("input", type="radio", name="authentication_id", value=id_, checked=id_ == chosen, required=True)


def _doing(sight: Sight, session: Json) -> Node | None:
    if session["status"] not in OPEN or not sight.visit.may_act:
        return None
    path = f"/sessions/{session['id']}"
    longer = select("by_s", "By", EXTENSIONS, sight.given(f"{path}/extend", "by_s"))
    return card(
        "The whole session",
        h(
            "div",
            action(
                sight,
                f"{path}/extend",
                "Give it more time",
                "Its deadline moves, and that of its popups.",
                longer,
                name="extend",
            ),
            action(
                sight,
                f"{path}/cancel",
                "End it",
                "The session is over for its user. That cannot be taken back.",
                name="cancel",
                tone="danger",
            ),
            cls="actions",
        ),
        key="doing",
    )


def _about(session: Json, now: int) -> Node:
    credential, zap = session["credential"], session["zap"]
    tone = {"active": "good", "needs_sign_in": "bad"}.get(credential["state"], "wait")
    user = h(
        "a",
        plain(session["user_id"], longest=60),
        href=address("/sessions", {"user_id": session["user_id"]}),
        cls="mono",
    )
    pairs: list[tuple[str, Content]] = [
        ("User", user),
        (
            "Signed in",
            h(
                "span",
                badge(tone, credential["state"].replace("_", " ")),
                h(
                    "span",
                    plain((credential.get("reason") or credential.get("account") or "").replace("_", " ")),
                    cls="soft",
                ),
                cls="row",
            ),
        ),
        ("Tenant", plain(session["tenant_id"])),
        ("Reference", copied(session["reference"]) if session.get("reference") else None),
        ("Begun", f"{day_and_clock(session['created_at'])} UTC, {since(session['created_at'], now)} ago"),
        (
            "Ends",
            f"{day_and_clock(session['deadline'])} UTC, {until(session['deadline'], now)}"
            if session["status"] in OPEN
            else None,
        ),
        ("Zap", _zap(zap) if zap["state"] != "none" else None),
        (
            "Metadata",
            h("pre", plain(json.dumps(session["metadata"], ensure_ascii=False), longest=600), cls="raw")
            if session["metadata"]
            else None,
        ),
    ]
    return card("About it", facts(pairs), key="about")


def _zap(zap: Json) -> Node:
    tone = {"created": "good", "creating": "busy"}.get(zap["state"], "bad")
    return h(
        "span",
        badge(tone, zap["state"]),
        h("span", plain(zap.get("id") or zap.get("problem") or ""), cls="soft"),
        cls="row",
    )


def _watches(story: Json, now: int) -> list[Node]:
    cards = []
    having = [step for step in listed(story["session"], "steps") if step.get("app")]
    titles = {step["app"]["id"]: step["app"]["title"] for step in having}
    needless = titles.keys() - {step["app"]["id"] for step in having if step["state"] != "no-auth-required"}
    for watch in listed(story, "watches"):
        if watch["app_id"] in needless:
            continue
        checks = watch.get("checks") or ()
        pairs: list[tuple[str, Content]] = [
            (
                "Next check",
                "paused: the user must sign in" if watch["paused"] else until(watch.get("next_check_at"), now),
            ),
            ("A worker has it", f"until {clock(watch['leased_until'])} UTC" if watch.get("leased_until") else None),
            ("By workers", ", ".join(map(clock, checks)) if checks else "none since a step began to wait"),
            (
                "Failures",
                f"{watch['failures']}, next try {until(watch.get('retry_at'), now)}" if watch["failures"] else None,
            ),
            ("Who waits", f"{count_of(watch['waiting'], 'step')}, {count_of(watch['popups'], 'popup')}"),
        ]
        cards.append(
            card(
                f"Checks of {plain(titles.get(watch['app_id'], watch['app_id']), longest=40)}",
                facts(pairs),
                key=f"watch-{watch['app_id']}",
            )
        )
    return cards


def _timeline(story: list[telling.Happening]) -> Node:
    if not story:
        return card("What happened", nothing("Nothing yet", "Whatever happens stands here."), key="timeline")
    said = h("span", "the newest first, UTC", cls="soft small push")
    return card("What happened", telling.drawn(story), key="timeline", beside=said)


def _raw(story: Json) -> Node:
    events = listed(story, "events")
    lines = "\n".join(_line(event) for event in events) or NOBODY
    note = h("p", "Older events are no longer kept.", cls="soft small") if story.get("events_truncated") else None
    return h(
        "details",
        h("summary", f"Raw events ({len(events)})"),
        note,
        h("pre", lines, cls="raw", tabindex=0, aria_label="Raw events"),
        cls="aside",
        key="raw",
    )


def _line(event: Json) -> str:
    return plain(json.dumps(event, ensure_ascii=False, separators=(", ", ": ")), longest=2_000)
