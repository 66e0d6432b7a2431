"""What happened to a session, in words: events, signals, calls, deliveries and interventions as one story."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from dashboard.nodes import Node, h
from dashboard.sight import Json
from dashboard.views.parts import listed
from dashboard.words import clock, count_of, moment, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that happened. `under` says more of it, smaller."""

    at: str
    key: str
    tone: str
    says: str
    under: str = ""


EVIDENCE: Final = {
    "message": "the popup's message",
    "difference": "its being new at Zapier",
    "selection": "the user's choice",
    "supplied": "what the user filled in",
    "operator": "an operator",
}
REASONS: Final = {
    "ambiguous": "something new is there, and only the user can say what is meant",
    "nothing_new": "the user has finished, and nothing is new",
    "not_visible": "Zapier does not list what the message named",
    "cancelled": "the user cancelled",
    "popup_blocked": "the browser blocked the popup",
    "timed_out": "unfinished: the user left, or the site failed; we cannot see which",
    "expired": "the account has expired at Zapier",
    "revoked": "the account is gone from Zapier",
    "claimed_elsewhere": "the account turned out to be another step's",
    "unanswered": "the fields were sent to Zapier, and its answer was lost",
    "not_made": "Zapier made no account of the fields",
}
SIGNALS: Final = {
    "finished": "The user said that they have finished",
    "focus": "The page is in front of the user again",
    "closed": "The popup's window reads as closed, which by itself means nothing",
    "message": "The popup sent a message that names no account",
    "message_received": "The popup sent a message that names an account",
    "popup_opened": "The page opened a popup",
    "popup_cancelled": "The user cancelled the popup",
    "popup_blocked": "The browser blocked the popup",
    "check_wanted": "An operator wanted a check",
    "page_seen": "The page told whether it is in front of the user",
    "authentications_listed": "Zapier listed the user's authentications",
    "authentication_selected": "An account was chosen",
    "authentications_refreshed": "The picker asked for a newer listing",
    "app_chosen": "An app was chosen",
    "time_passed": "A deadline passed",
    "deadlines_extended": "An operator gave the session more time",
}
DOINGS: Final = {
    "check_now": "asked for a check",
    "extend": "gave the session more time",
    "bind": "gave a step an authentication",
    "reset": "let a step start over",
    "cancel": "ended the session",
    "replay": "sent an event again",
}
RETOLD: Final[Mapping[str, frozenset[str]]] = {
    "check_now": frozenset({"check_wanted"}),
    "extend": frozenset({"deadlines_extended", "session_deadline_moved", "attempt_deadline_moved"}),
    "bind": frozenset({"authentication_selected"}),
    "reset": frozenset({"step_reset"}),
    "cancel": frozenset({"session_cancelled"}),
}
"""What signals and events tell again of an operator's act."""
AT_ONCE: Final = 250
"""What one request did is stamped within so many milliseconds."""
OUTCOMES: Final = {
    "applied": "",
    "duplicate": "nothing new: it had come before",
    "stale": "it came too late to matter",
    "refused": "refused",
}


def _needed(data: Json) -> str:
    why = REASONS.get(str(data.get("reason")), str(data.get("reason") or "").replace("_", " "))
    return f"An account is needed: {why}."


def _resolved(data: Json) -> str:
    channels = [EVIDENCE.get(str(one), str(one)) for one in data.get("evidence") or ()]
    return f"Connected, by {' and '.join(channels) or 'what Zapier lists'}."


EVENTS: Final[Mapping[str, str | Callable[[Json], str]]] = {
    "session_created": lambda data: f"The session began with {count_of(len(data.get('steps') or ()), 'step')}.",
    "session_changed": "Title or metadata were given anew.",
    "session_deadline_moved": "An operator gave the session more time.",
    "step_added": "A step was put in.",
    "step_changed": "A step was moved or renamed.",
    "step_removed": "A step was taken out.",
    "step_reset": "The step starts over.",
    "app_chosen": lambda data: f"An app was chosen; that makes it {data.get('state')}.",
    "authentications_refreshed": "The picker shows a newer listing.",
    "popup_opened": "A popup was opened.",
    "message_received": "The popup's message named an account; Zapier is asked for it.",
    "attempt_deadline_moved": "The popup is waited for longer.",
    "connect_link_made": "A link to the connect page was made.",
    "connect_link_opened": "Somebody continued on a connect link.",
    "connect_link_contested": "Another browser waits to be let in by a connect link.",
    "connect_link_allowed": "A connect link went to the browser that waited.",
    "connect_link_revoked": "A connect link is good for nobody any more.",
    "fields_sent": "The fields of an account are sent to Zapier, by one call.",
    "candidates_found": lambda data: f"Offered to the user: {count_of(len(data.get('candidates') or ()), 'account')}.",
    "auth_needed": _needed,
    "auth_resolved": _resolved,
    "action_chosen": lambda data: f"An action was chosen: {plain(data.get('key') or '')}.",
    "inputs_given": "Fields were filled in.",
    "inputs_cleared": "Fields were emptied: they were picked from another account's.",
    "step_tested": "The action was tried.",
    "session_ready": "Every step is connected and has its action.",
    "session_expired": "Nobody finished in time: the session expired.",
    "session_cancelled": "The session was given up.",
    "zap_requested": "Zapier is asked to create the Zap.",
    "zap_created": "The Zap was created.",
    "zap_failed": lambda data: f"Zapier did not create the Zap: {plain(data.get('problem') or 'it did not say why')}.",
    "zap_create_unknown": lambda data: f"Whether the Zap was created is not known: {plain(data.get('problem') or '')}.",
    "zap_looked_for": "The user's Zaps were looked through for it.",
    "sign_in_needed": "Zapier takes the user's token no more.",
    "signed_in": "The user is signed in to Zapier.",
}
TONES: Final = {
    "auth_resolved": "good",
    "zap_created": "good",
    "session_ready": "good",
    "auth_needed": "wait",
    "candidates_found": "wait",
    "sign_in_needed": "bad",
    "zap_failed": "bad",
    "zap_create_unknown": "bad",
    "session_expired": "bad",
    "popup_opened": "busy",
    "message_received": "busy",
    "zap_requested": "busy",
}


def names_of(session: Json) -> dict[str, str]:
    """Return what a session's steps are called, by their ids: Step 2 (HubSpot)."""
    return {
        step["id"]: f"Step {place}" + (f" ({plain(step['app']['title'], longest=40)})" if step.get("app") else "")
        for place, step in enumerate(listed(session, "steps"), 1)
    }


def by_names(text: str, session: Json) -> str:
    """Return a sentence of the API as a page of this session says it: its steps by name, itself not at all."""
    said = text.replace(f" of session {session['id']}", "").replace(f"session {session['id']}", "the session")
    for id_, name in names_of(session).items():
        said = said.replace(f"step {id_}", name[0].lower() + name[1:])
    return said[:1].upper() + said[1:]


def happenings(story: Json, names: Mapping[str, str]) -> list[Happening]:
    """Return everything that happened, the newest first; `names` are of steps, by their ids.

    Each is told once: a signal not beside the event of the same name, neither of them beside the operator's act that
    they are of.
    """
    audit, events = listed(story, "audit"), listed(story, "events")
    acts = [
        (name, moment(one["at"]) or 0)
        for one in audit
        if one["outcome"] == "applied"
        for name in RETOLD.get(one["action"], ())
    ]
    told = [*acts, *((one["name"], moment(one["at"]) or 0) for one in events)]
    found = [
        *(_event(one, names) for one in events if not _is_told(one["name"], one["at"], acts)),
        *(
            _signal(one, place, names)
            for place, one in enumerate(listed(story, "timeline"))
            if one["outcome"] != "applied" or not _is_told(one["signal"], one["at"], told)
        ),
        *(_call(one, place) for place, one in enumerate(listed(story, "calls"))),
        *(_delivery(one) for one in listed(story, "deliveries")),
        *(_doing(one, names) for one in audit),
    ]
    return sorted(found, key=lambda one: moment(one.at) or 0, reverse=True)


def _is_told(name: str, at: str, told: list[tuple[str, int]]) -> bool:
    return any(name == other and abs((moment(at) or 0) - when) <= AT_ONCE for other, when in told)


def drawn(story: list[Happening]) -> Node:
    """Draw what happened as a list."""
    rows = [
        h(
            "li",
            h("time", clock(one.at), datetime=one.at),
            h("span", cls="dot"),
            h("div", h("p", one.says), h("p", one.under, cls="soft small") if one.under else None),
            data_tone=one.tone,
            key=one.key,
        )
        for one in story
    ]
    return h("ol", *rows, cls="timeline")


def said(event: str, data: Json) -> str:
    """Say what an event means; one of a newer version is called by its name."""
    words = EVENTS.get(event)
    if words is None:
        return f"{plain(event).replace('_', ' ').capitalize()}."
    return words if isinstance(words, str) else words(data)


def last_answer(delivery: Json) -> str | None:
    """Say what the last try of a delivery came to."""
    tries = listed(delivery, "tries")
    if not tries:
        return None
    status, problem = tries[-1].get("status"), tries[-1].get("problem")
    return f"answered {status}" if status else plain(problem or "no answer", longest=60)


def _event(event: Json, names: Mapping[str, str]) -> Happening:
    return Happening(
        at=event["at"],
        key=f"event-{event['seq']}",
        tone=TONES.get(event["name"], "plain"),
        says=said(event["name"], event.get("data") or {}),
        under=" · ".join(part for part in (_step(event, names), f"{plain(event['name'])}, seq {event['seq']}") if part),
    )


def _signal(record: Json, place: int, names: Mapping[str, str]) -> Happening:
    outcome = OUTCOMES.get(record["outcome"], record["outcome"])
    detail = f" ({record['detail']})" if record.get("detail") else ""
    parts = (_step(record, names), "signal", f"{outcome}{detail}" if outcome else "")
    says = SIGNALS.get(record["signal"], record["signal"].replace("_", " ").capitalize())
    return Happening(
        at=record["at"],
        key=f"signal-{record['at']}-{record['signal']}-{place}",
        tone="bad" if record["outcome"] == "refused" else "plain",
        says=f"{says}.",
        under=" · ".join(part for part in parts if part),
    )


def _call(call: Json, place: int) -> Happening:
    status = call.get("status")
    answered = f"answered {status}" if status else f"no answer: {plain(call.get('problem') or '')}"
    is_good = status is not None and status < 400  # noqa: PLR2004 - HTTP's
    return Happening(
        at=call["at"],
        key=f"call-{call['at']}-{place}",
        tone="plain" if is_good else "bad",
        says="Zapier was asked." if is_good else f"Zapier was asked, and {answered}.",
        under=f"{plain(call['endpoint'])} · {answered} in {call['took_ms']} ms",
    )


def _delivery(delivery: Json) -> Happening:
    tries = listed(delivery, "tries")
    at = tries[-1]["at"] if tries else delivery["created_at"]
    is_failing = delivery["state"] == "pending" and bool(delivery["failures"])
    says = {"delivered": "was received", "dead": "was given up"}.get(delivery["state"], "is on its way")
    if is_failing:
        says = f"failed {count_of(delivery['failures'], 'time')}, next try at {clock(delivery.get('next_try_at'))} UTC"
    last = last_answer(delivery) if is_failing or delivery["state"] == "dead" else None
    parts = (last, f"{delivery['event']}, seq {delivery['seq']}", f"to {delivery['webhook_id']}")
    return Happening(
        at=at,
        key=f"delivery-{delivery['webhook_id']}-{delivery['seq']}",
        tone="wait" if is_failing else {"delivered": "plain", "dead": "bad"}.get(delivery["state"], "busy"),
        says=f"A webhook message {says}.",
        under=" · ".join(part for part in parts if part),
    )


def _doing(entry: Json, names: Mapping[str, str]) -> Happening:
    outcome = OUTCOMES.get(entry["outcome"], entry["outcome"])
    done = DOINGS.get(entry["action"], entry["action"].replace("_", " "))
    who = plain(entry.get("key_name") or entry["key_id"], longest=40)
    detail = f" ({entry['detail']})" if entry.get("detail") else ""
    parts = (_step(entry, names), f"{outcome}{detail}" if outcome else "", f"reason: {plain(entry['reason'])}")
    return Happening(
        at=entry["at"],
        key=f"audit-{entry['id']}",
        tone="bad" if entry["outcome"] == "refused" else "busy",
        says=f"{who} {done}.",
        under=" · ".join(part for part in parts if part),
    )


def _step(record: Json, names: Mapping[str, str]) -> str:
    return names.get(record.get("step_id") or "", "")
