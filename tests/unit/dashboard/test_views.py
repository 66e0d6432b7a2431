"""What pages show of what the API answered: readable, safe, and with no button for who may only look."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from dashboard import words
from dashboard.nodes import Node, html, text_of
from dashboard.sight import Seen, Trouble
from dashboard.views import apps, audit, deliveries, overview, session, sessions, states, telling, workers
from dashboard.views.pages import PAGES
from dashboard.visits import Told
from orchestrator.core.events import CATALOGUE
from orchestrator.core.session import Reason, SessionStatus, StepState
from tests.support import operators
from tests.support.operators import HOSTILE, JUMP, LARGE, NOW_MS, SESSION, sight

UNREACHABLE = Trouble(says="The API does not answer.", hint="connection refused")


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _all(child)


def _page(title: str, view: states.View, **seen: Any) -> Node:
    return states.around(sight(**seen), title, view)


def _staff(*alive: bool) -> dict[str, Any]:
    """Return what is known of a worker each."""
    worker = {"host": "a", "pid": 1, "started_at": operators.ago(999), "checks": 0, "deliveries": 0}
    workers = [
        worker | {"id": f"w{place}", "alive": lives, "seen_at": operators.ago(1 if lives else 120 + place)}
        for place, lives in enumerate(alive)
    ]
    return {"queues": [{"name": "checks", "depth": 0}], "workers": workers, "outbox": 0}


def _overview(*, failing: int = 0, dead: int = 0, staff: Any = None, **changes: Any) -> str:
    page = _page(
        "Overview",
        overview.view,
        overview=operators.overview(**changes),
        stuck={"sessions": [operators.session()] if changes.get("stuck") else [], "cursor": None},
        apps={"apps": [operators.app(jump=JUMP if changes.get("jumps") else None)]},
        failing={"deliveries": [_delivery()] * failing, "cursor": None},
        dead={"deliveries": [_delivery(state="dead")] * dead, "cursor": "more" if dead else None},
        workers=staff or _staff(True),
    )
    return text_of(page)


def test_an_app_that_jumped_is_the_first_thing_said() -> None:
    """With its rate, what is usual, since when, and where to look."""
    said = _overview(jumps=[{"app_id": operators.APP, "title": "HubSpot", "jump": JUMP}], stuck=1)

    assert said.index("HubSpot loses messages") < said.index("Popup open")
    assert "83 %" in said
    assert "usual is 8.0 %" in said
    assert "Since 02:12:45 UTC, 1 min 15 s ago" in said
    assert "jumped" in said


def test_no_stage_counts_more_than_the_one_before_it() -> None:
    """Who is ready without a popup stands in another line than who came by one."""
    hour = {"at": operators.ago(0), "begun": 40, "app_chosen": 38, "popup_opened": 9, "connected": 8, "ready": 30}
    funnel = [{**hour, "created": 27, "expired": 0, "cancelled": 0}]
    page = _page("Overview", overview.view, **{**EMPTY, "overview": operators.overview(funnel=funnel)})
    lines = [node for node in _all(page) if node.tag == "ol" and node.attributes.get("class") == "funnel"]
    counts = [[int(text_of(node)) for node in _all(line) if node.tag == "b"] for line in lines]

    assert counts == [[40, 38, 30, 27], [9, 8]]


def test_when_all_is_well_it_says_so() -> None:
    """Nobody has to read numbers to know."""
    assert "All is well" in _overview()
    assert "1 session stuck" in _overview(stuck=1)
    assert "All is well" not in _overview(stuck=1)


@pytest.mark.parametrize("alive", [(), (False, False)], ids=["none heard of", "silent"])
def test_where_no_worker_lives_it_is_the_first_thing_said(alive: tuple[bool, ...]) -> None:
    """Before an app that jumped: lost messages are found by nobody, however few are stuck yet."""
    said = _overview(staff=_staff(*alive), jumps=[{"app_id": operators.APP, "title": "HubSpot", "jump": JUMP}])

    assert said.index("No worker runs") < said.index("HubSpot loses messages")
    assert ("The last was heard of 2 min ago." in said) is bool(alive)
    assert "All is well" not in _overview(staff=_staff(*alive))
    assert "All is well" in _overview(staff=_staff(False, True))


def test_a_queue_that_does_not_answer_is_said_on_the_overview() -> None:
    """Workers that live have nothing to do then."""
    said = _overview(staff=_staff(True) | {"queues": [{"name": "checks", "depth": None}]})

    assert "The queue does not answer: checks" in said
    assert "All is well" not in said


def test_what_was_well_is_not_said_to_be_so_while_nothing_is_heard() -> None:
    """Since when, and at which moment it was."""
    seen: Any = {name: EMPTY[name] for name in overview.THINGS} | {"workers": _staff(True)}
    late = Seen(data=seen["overview"], at=NOW_MS - 20_000, trouble=UNREACHABLE)
    said = text_of(_page("Overview", overview.view, **{**seen, "overview": late}))

    assert "All is well" in text_of(_page("Overview", overview.view, **seen))
    assert "All is well" not in said
    assert "Nothing was wrong at 02:13:40 UTC." in said
    assert "Nothing was heard of it since 02:13:40 UTC: what you see is of then." in said
    assert "stands still at 02:13:40 UTC" in said


def test_messages_that_do_not_arrive_are_said_on_the_overview() -> None:
    """Beside whatever else is wrong; then not all is well."""
    said = _overview(failing=2, dead=3)

    assert "Webhook messages: 2 fail and 3 or more given up" in said
    assert "All is well" not in said
    assert "1 fails" in _overview(failing=1, stuck=1)
    assert "1 session stuck" in _overview(failing=1, stuck=1)


def test_a_message_that_failed_is_told_with_its_failures_and_its_next_try() -> None:
    """In the list and in the story alike, with what the last try came to; it is not merely on its way."""
    tries = [{"at": operators.ago(5), "took_ms": 9, "status": 503, "problem": None, "answer": ""}]
    failing = _delivery(next_try_at=operators.ago(-30), tries=tries)
    (told,) = telling.happenings(operators.story(events=[], timeline=[], audit=[], deliveries=[failing]), {})
    page = _page("Deliveries", deliveries.view, endpoints={"webhooks": []}, deliveries={"deliveries": [failing]})
    marks = [node for node in _all(page) if node.attributes.get("class") == "badge"]

    assert (told.says, told.tone) == ("A webhook message failed 3 times, next try at 02:14:30 UTC.", "wait")
    assert told.under.startswith("answered 503")
    assert [(text_of(mark), mark.attributes["data-tone"]) for mark in marks] == [("failed 3 times", "wait")]
    assert "answered 503" in text_of(page)


def test_a_session_says_why_first_and_offers_what_helps() -> None:
    """The finding, what to do, and the action in one view."""
    page = _page("Session", session.view, story=operators.story())
    said = text_of(page)

    assert said.index("Zapier should have been asked") < said.index("What leads on from here")
    assert "zapwright doctor" in said
    assert "Check now" in said
    assert next(node.attributes["action"] for node in _all(page) if node.tag == "form").endswith("/check-now")


def test_every_form_asks_for_a_reason_and_is_carried_out_once() -> None:
    """Sent twice, its wish is the same."""
    page = _page("Session", session.view, story=operators.story())
    forms = [node for node in _all(page) if node.tag == "form"]
    fields = [{one.attributes.get("name") for one in _all(form)} for form in forms]

    assert len(forms) >= 5
    assert all({"reason", "wish", "back"} <= names for names in fields)
    assert len({html(form).partition('name="wish" value="')[2].partition('"')[0] for form in forms}) == len(forms)


def test_who_may_only_look_sees_no_action() -> None:
    """Neither on a session's page nor among the deliveries."""
    dead = {"deliveries": [_delivery(state="dead")], "cursor": None}
    pages = [
        states.around(sight(role="viewer", story=operators.story()), "Session", session.view),
        states.around(sight(role="viewer", endpoints={"webhooks": []}, deliveries=dead), "Deliveries", deliveries.view),
    ]

    assert [node for page in pages for node in _all(page) if node.tag in {"form", "dialog", "button"}] == []
    assert "Send again" in text_of(_page("Deliveries", deliveries.view, endpoints={"webhooks": []}, deliveries=dead))


def _delivery(**more: Any) -> dict[str, Any]:
    return {
        "session_id": operators.SESSION,
        "seq": 2,
        "event": "auth_resolved",
        "message_id": "m",
        "state": "pending",
        "created_at": operators.ago(9),
        "next_try_at": None,
        "failures": 3,
        "tries": [{"at": operators.ago(5), "took_ms": 9, "status": None, "problem": HOSTILE, "answer": HOSTILE}],
        "tenant_id": "default",
        "webhook_id": "we_1",
        **more,
    }


def test_messages_that_can_be_sent_again_say_so_in_a_column_with_a_name() -> None:
    """Also on a phone, where each cell says what it is. Of those that are on their way nothing is to be done."""
    heads = {}
    for state in ("dead", "pending"):
        seen: Any = {"endpoints": {"webhooks": []}, "deliveries": {"deliveries": [_delivery(state=state)]}}
        page = _page("Deliveries", deliveries.view, **seen)
        heads[state] = [text_of(node) for node in _all(page) if node.tag == "th"]

    assert heads["pending"] == ["event", "session", "to", "how it is", "next try"]
    assert heads["dead"] == [*heads["pending"], "what helps"]


@pytest.mark.parametrize("text", [HOSTILE, LARGE], ids=["hostile", "100 kB"])
def test_what_strangers_wrote_is_text_and_short(text: str) -> None:
    """Wherever they can write it: no element of theirs, nothing unseen, and never a page of 100 kB."""
    found = operators.session(title=text, user_id=text, reference=text)
    told = operators.story(
        events=[{"seq": 1, "name": text, "at": operators.ago(1), "step_id": None, "data": {"x": text}}]
    )
    told["session"] |= {"title": text, "user_id": HOSTILE, "reference": text, "metadata": {text: text}}
    told["session"]["steps"][0]["app"]["title"] = text
    told["session"]["steps"][0]["candidates"] = [{"id": "40912355", "title": text, "is_expired": True}]
    told["audit"] = [operators.entry(reason=text, key_name=text)]
    told["why"]["findings"][0]["says"] = text
    pages = [
        _page("Sessions", sessions.view, sessions={"sessions": [found], "cursor": None}),
        _page("Session", session.view, story=told),
        _page("Apps", apps.view, apps={"apps": [operators.app(text)], "unfinished_means": operators.UNFINISHED}),
        _page(
            "Audit",
            audit.view,
            audit={"entries": [operators.entry(reason=text, key_name=text, about=text)], "cursor": None},
        ),
        _page("Deliveries", deliveries.view, endpoints={"webhooks": []}, deliveries={"deliveries": [_delivery()]}),
    ]
    written = [html(page) for page in pages]

    assert not any("<img" in one for one in written)
    assert not any(unseen in one for one in written for unseen in ("\x00", "\x1b", "\u202e"))
    assert max(map(len, written)) < 60_000


def test_filters_that_match_nothing_say_which_and_how_to_be_rid_of_them() -> None:
    """Each can be taken away alone."""
    seen = sight("/sessions", query={"q": "order-1", "state": "resolved"}, sessions={"sessions": [], "cursor": None})
    page = states.around(seen, "Sessions", sessions.view)
    links = {node.attributes.get("href") for node in _all(page) if node.tag == "a"}

    assert "No session is like that" in text_of(page)
    assert {"/sessions?q=order-1", "/sessions?state=resolved", "/sessions"} <= links


def test_filters_stand_in_the_address_and_only_known_ones_are_asked() -> None:
    """Ages are asked for in seconds."""
    asked = sessions.things({"q": " order-1 ", "older_than": "15 min", "younger_than": "2h", "evil": "x", "state": ""})

    assert asked == {"sessions": "/sessions?limit=25&q=order-1&older_than_s=900&younger_than_s=7200"}


@pytest.mark.parametrize("age", ["soon", "5 moons", "-1", "3651d", "9" * 40, "²", "1.5 h"])
def test_an_age_that_is_none_is_refused_at_its_field_and_the_other_filters_stay(age: str) -> None:
    """In our words, and nothing is asked that the API refuses."""
    query = {"state": "resolved", "older_than": age, "younger_than": "1d"}
    seen = sight("/sessions", query=query, sessions={"sessions": [operators.session()], "cursor": None})
    page = states.around(seen, "Sessions", sessions.view)
    (wrong,) = (node for node in _all(page) if node.attributes.get("aria-invalid") == "true")
    (details,) = (node for node in _all(page) if node.tag == "details")

    assert sessions.things(query) == {"sessions": "/sessions?limit=25&state=resolved&younger_than_s=86400"}
    assert (wrong.attributes["name"], wrong.attributes["value"]) == ("older_than", age)
    assert "This is no length of time, and was left out." in text_of(page)
    assert "Leads to deals" in text_of(page)
    assert "open" in details.attributes


def test_a_long_list_leads_on_and_keeps_its_filters() -> None:
    """And back to its beginning."""
    seen = sight(
        "/sessions",
        query={"state": "resolved", "cursor": "a"},
        sessions={"sessions": [operators.session()], "cursor": "b"},
    )
    page = states.around(seen, "Sessions", sessions.view)
    links = {text_of(node): node.attributes["href"] for node in _all(page) if node.tag == "a"}

    assert links["Go on"] == "/sessions?state=resolved&cursor=b"
    assert links["Back to the first"] == "/sessions?state=resolved"


def test_a_page_that_is_old_says_so_and_stays() -> None:
    """While the API is down, what was seen is worth more than nothing."""
    seen = Seen(data={"entries": [operators.entry()], "cursor": None}, at=NOW_MS, trouble=UNREACHABLE)
    said = text_of(_page("Audit", audit.view, audit=seen))

    assert "The API does not answer." in said
    assert "connection refused" in said
    assert "stands still at 02:14:00 UTC" in said
    assert "the user called" in said


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (Seen(), "Loading …"),
        (Seen(trouble=UNREACHABLE), "asked again every few seconds"),
        (Seen(trouble=Trouble(says="x", status=404)), "no such thing"),
        (Seen(trouble=Trouble(says="x", status=403)), "Your key does not open this"),
        (Seen(trouble=Trouble(says="state: unknown", status=422)), "state: unknown"),
        (Seen(trouble=Trouble(says="Too many.", status=429)), "Too many."),
    ],
)
def test_a_page_without_anything_to_show_says_why(seen: Seen, says: str) -> None:
    """Loading, unreachable, gone, forbidden, and asked for wrongly are told apart."""
    assert says in text_of(_page("Audit", audit.view, audit=seen))


EMPTY = {
    "overview": operators.overview(waiting=0, oldest_waiting=None, funnel=[], budget=[], states=[]),
    "stuck": {"sessions": [], "cursor": None},
    "apps": {"apps": [], "unfinished_means": operators.UNFINISHED},
    "app": {**operators.app(), "browsers": [], "hours": [], "states": [], "reasons": [], "unfinished_means": "x"},
    "sessions": {"sessions": [], "cursor": None},
    "story": operators.story(events=[], timeline=[], calls=[], deliveries=[], audit=[], watches=[]),
    "endpoints": {"webhooks": []},
    "deliveries": {"deliveries": [], "cursor": None},
    "failing": {"deliveries": [], "cursor": None},
    "dead": {"deliveries": [], "cursor": None},
    "workers": {"queues": [], "workers": [], "outbox": 0},
    "budget": {"sides": [], "calls": []},
    "watches": {"watches": [], "cursor": None},
    "audit": {"entries": [], "cursor": None},
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_a_new_deployment_has_words_on_every_page(page: Any) -> None:
    """An empty table says nothing; a sentence does."""
    seen: Any = {name: EMPTY[name] for name in page.things("x", {})}
    drawn = states.around(sight(page.path, **seen), page.title, page.view)

    assert text_of(drawn)
    assert [node for node in _all(drawn) if node.tag == "tbody" and not node.children] == []


def test_every_event_and_reason_has_its_words() -> None:
    """One that is added to the product has to be said here, too."""
    assert telling.EVENTS.keys() >= set(CATALOGUE)
    assert telling.REASONS.keys() >= set(Reason)
    assert words.STATES.keys() == set(StepState)
    assert words.STATUSES.keys() == set(SessionStatus)


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_an_event_is_said_in_a_sentence(name: str) -> None:
    """From the data that the catalogue gives as an example."""
    said = telling.said(name, dict(next(kind.data for event, kind in CATALOGUE.items() if event == name)))

    assert said[0].isupper()
    assert said.endswith(".")
    assert "None" not in said


def test_an_event_of_a_newer_version_is_called_by_its_name() -> None:
    """It breaks no page."""
    assert telling.said("something_new", {}) == "Something new."


def test_raw_events_are_all_there() -> None:
    """For who wants to see what the words were made of."""
    page = _page("Session", session.view, story=operators.story())
    (raw,) = (node for node in _all(page) if node.attributes.get("aria-label") == "Raw events")

    assert [json.loads(line)["seq"] for line in (raw.text or "").splitlines()] == [1, 2]


def test_workers_that_are_silent_stand_out() -> None:
    """And so does a check that is overdue."""
    worker = {"id": "w", "host": "a", "pid": 1, "started_at": operators.ago(99), "seen_at": operators.ago(60)}
    watch: dict[str, Any] = {"tenant_id": "t", "user_id": "u", "app_id": "a", "urgency": "strong"}
    watch |= {"next_check_at": operators.ago(45)}
    watch |= {"overdue_ms": 45_000, "last_check_at": None, "checking": False, "paused": False, "failures": 0}
    page = _page(
        "Workers",
        workers.view,
        workers={"queues": [], "workers": [worker | {"alive": False, "checks": 0, "deliveries": 0}], "outbox": 0},
        budget={"sides": [], "calls": []},
        watches={"watches": [watch | {"retry_at": None, "waiters": []}], "cursor": None},
        apps={"apps": []},
    )
    marked = [text_of(node) for node in _all(page) if node.tag == "tr" and node.attributes.get("data-tone") == "bad"]

    assert any("silent" in row and row.endswith("ran 39 s") for row in marked)
    assert any("45 s overdue" in row for row in marked)


@pytest.mark.parametrize(
    ("path", "called"), [("/sessions/zs0nonsense", "All sessions"), ("/audit", "Back to the overview")]
)
def test_where_nothing_is_a_way_back_is_called_by_where_it_leads(path: str, called: str) -> None:
    """Of a session to all sessions, otherwise to the overview."""
    seen = sight(path, audit=Seen(trouble=Trouble(says="x", status=404)))

    assert called in text_of(states.around(seen, "Audit", audit.view))


def test_the_accounts_that_are_known_can_be_given_without_knowing_an_id() -> None:
    """What was offered for the step, and what other steps have of its app; of another app's, none."""
    account = {"title": "Sales", "is_expired": False}
    told = operators.story()
    other_app = {"id": "x", "title": "Slack", "image": None, "hex_color": None}
    told["session"]["steps"] = [
        operators.step("needs-auth", reason="ambiguous", candidates=[account | {"id": "1"}, account | {"id": "2"}]),
        operators.step("resolved", id="s2", authentication=account | {"id": "3"}),
        operators.step("resolved", id="s3", authentication=account | {"id": "4"}, app=other_app),
    ]
    page = _page("Session", session.view, story=told)
    form = next(node for node in _all(page) if node.tag == "form" and node.attributes["action"].endswith("/bind"))
    given = [node.attributes for node in _all(form) if node.attributes.get("name") == "authentication_id"]

    assert [one["value"] for one in given if one["type"] == "radio"] == ["1", "2", "3", ""]
    assert given[-1]["type"] == "text"
    assert "required" not in given[-1]
    assert "Check now" in text_of(form)


@pytest.mark.parametrize(("chosen", "checked"), [("1", "1"), ("kdGhl64", "")], ids=["offered", "written"])
def test_a_refusal_is_told_by_names_and_nothing_has_to_be_typed_again(chosen: str, checked: str) -> None:
    """In the form that was refused, and in no other."""
    account = {"id": "1", "title": "Sales", "is_expired": False}
    told = operators.story()
    step = operators.step("needs-auth", reason="ambiguous", candidates=[account])
    told["session"]["steps"] = [operators.step("choose-app", id="st0", app=None), step]
    bind = f"/sessions/{SESSION}/steps/{step['id']}/bind"
    refusal = Told(
        tone="wait",
        title="Nothing was done",
        text=f"authentication {chosen!r} cannot be used for step {step['id']} of session {SESSION}: not listed",
        path=bind,
        form={"reason": "the user called", "authentication_id": chosen},
    )
    page = states.around(replace(sight(story=told), told=refusal), "Session", session.view)
    forms = {node.attributes["action"]: node for node in _all(page) if node.tag == "form"}
    filled = [
        (path, one.attributes["value"])
        for path, form in forms.items()
        for one in _all(form)
        if one.attributes.get("type") == "text" and "value" in one.attributes
    ]
    (picked,) = (one.attributes["value"] for one in _all(page) if "checked" in one.attributes)
    (said,) = (text_of(node) for node in _all(page) if node.key == "told")

    assert said == f"Nothing was done Authentication {chosen!r} cannot be used for step 2 (HubSpot): not listed"
    assert picked == checked
    written = [] if checked else [(f"/act{bind}", chosen)]
    assert filled == [*written, (f"/act{bind}", "the user called")]


def test_without_a_known_account_an_id_is_asked_for() -> None:
    """With what it looks like."""
    page = _page("Session", session.view, story=operators.story())
    (given,) = (node.attributes for node in _all(page) if node.attributes.get("name") == "authentication_id")

    assert (given["type"], given["required"], given["placeholder"]) == ("text", "", "40912355")


@pytest.mark.parametrize("action", list(telling.RETOLD))
def test_an_operators_act_is_told_once(action: str) -> None:
    """By who did it; what the user does at another time is told beside it."""
    names = telling.RETOLD[action]
    events: list[dict[str, Any]] = [
        {"seq": seq, "name": name, "at": operators.ago(20), "step_id": None, "data": {}}
        for seq, name in enumerate(sorted(names & set(CATALOGUE)))
    ]
    signals = [
        {"at": operators.ago(ago), "signal": name, "outcome": "applied", "step_id": None, "detail": None}
        for name in names
        for ago in (19.999, 5)
    ]
    audit = [operators.entry(action=action)]
    found = telling.happenings(operators.story(events=events, timeline=signals, audit=audit), {})

    assert [one.says for one in found if one.key.startswith("audit")] == [f"night shift {telling.DOINGS[action]}."]
    assert sum(one.key.startswith("signal") for one in found) == len(names)
    assert not any(one.key.startswith("event") for one in found)


def test_an_account_that_was_given_is_not_told_as_the_users_choice() -> None:
    """Nor where the act is no longer kept: who chose, the signal does not say."""
    chosen = {"at": operators.ago(5), "signal": "authentication_selected", "outcome": "applied"}
    story = operators.story(events=[], timeline=[chosen | {"step_id": None, "detail": None}], audit=[])

    assert [one.says for one in telling.happenings(story, {})] == ["An account was chosen."]


def test_signing_in_is_told_alike_for_the_first_time_and_again() -> None:
    """The event does not say which it is."""
    assert telling.said("signed_in", {}) == "The user is signed in to Zapier."


def test_checks_are_said_to_be_workers_and_only_of_apps_that_need_an_account() -> None:
    """What a page asked Zapier for is no worker's check, and stands in the story."""
    told = operators.story()
    told["watches"][0]["checks"] = []
    waits = text_of(_page("Session", session.view, story=told))
    told["session"]["steps"] = [operators.step("no-auth-required")]
    needs_none = text_of(_page("Session", session.view, story=told))

    assert "Checks of HubSpot" in waits
    assert "By workers none since a step began to wait" in waits
    assert "Checks of HubSpot" not in needs_none


@pytest.mark.parametrize("title", ["Leads to deals", None])
def test_a_session_is_listed_with_its_id_and_with_what_its_reference_is(title: str | None) -> None:
    """The id is there once, with a title or without."""
    found = {"sessions": [operators.session(title=title)], "cursor": None}
    said = text_of(_page("Sessions", sessions.view, sessions=found))

    assert said.count(SESSION) == 1
    assert "reference order-1001" in said


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (("resolved", "resolved", "resolved", "no-auth-required"), "last of 4 steps, all settled"),
        (("resolved", "awaiting-popup", "choose-app"), "step 2 of 3"),
    ],
)
def test_of_which_step_a_sessions_state_is_stands_beside_it(states: tuple[str, ...], said: str) -> None:
    """A Zap whose last step needs no account is not one that needs none."""
    steps = [operators.step(state, id=f"st{place}") for place, state in enumerate(states)]
    found = operators.session(steps=steps, waiting=None, state=states[-1])
    one = operators.session(steps=steps[-1:], waiting=None, state=states[-1])
    several, alone = (
        text_of(_page("Sessions", sessions.view, sessions={"sessions": [listed], "cursor": None}))
        for listed in (found, one)
    )

    assert said in several
    assert "last of" not in alone
    assert "step 1 of" not in alone
    assert "no-auth-required, the last step" in several
    assert "Needs no account" not in _overview(states=[{"state": "no-auth-required", "sessions": 1}])


def test_next_checks_name_their_app() -> None:
    """By its title where one is known, else by its id."""
    watch: dict[str, Any] = {"tenant_id": "t", "user_id": "u", "urgency": "strong", "next_check_at": operators.ago(-5)}
    watch |= {"overdue_ms": 0, "last_check_at": None, "checking": False, "failures": 0, "retry_at": None, "waiters": []}
    watches = [watch | {"app_id": operators.APP}, watch | {"app_id": "unheard-of"}]
    page = _page(
        "Workers",
        workers.view,
        workers={"queues": [], "workers": [], "outbox": 0},
        budget={"sides": [], "calls": []},
        watches={"watches": watches, "cursor": None},
        apps={"apps": [operators.app("HubSpot")]},
    )
    links = {node.attributes["href"]: text_of(node) for node in _all(page) if node.tag == "a"}

    assert links[f"/apps/{operators.APP}"] == "HubSpot"
    assert links["/apps/unheard-of"] == "unheard-of"


def test_an_app_that_nobody_has_is_said_to_be_unseen() -> None:
    """Instead of a page of dashes; one without a popup today has its page."""
    app = {**operators.app(title=None), "browsers": [], "hours": [], "states": [], "reasons": []}
    unseen = app | {"sessions": 0, "popups": operators.popups()}

    assert "No such app has been seen" in text_of(_page("App", apps.story, app=unseen))
    assert "No such app has been seen" not in text_of(_page("App", apps.story, app=unseen | {"sessions": 1}))


@pytest.mark.parametrize(
    ("counted", "rows", "cursor", "said"), [(0, 1, None, "1"), (1, 0, None, "0"), (9, 6, "more", "9")]
)
def test_as_many_are_said_to_be_stuck_as_are_listed(counted: int, rows: int, cursor: str | None, said: str) -> None:
    """Both are readings of their own moment; of more than are listed, the overview's count is said."""
    page = _page(
        "Overview",
        overview.view,
        overview=operators.overview(stuck=counted),
        stuck={"sessions": [operators.session(id=f"zs{place}") for place in range(rows)], "cursor": cursor},
        apps={"apps": []},
        failing={"deliveries": [], "cursor": None},
        dead={"deliveries": [], "cursor": None},
        workers=_staff(True),
    )
    (tile,) = (node for node in _all(page) if node.key == "stuck" and node.tag == "a")

    assert text_of(tile).startswith(f"{said} Stuck")
    assert ("All is well" in text_of(page)) is (said == "0")


def test_where_no_check_is_offered_none_is_advised() -> None:
    """A step for which nobody has opened a popup yet has nothing to be checked."""
    told = operators.story()
    told["session"]["steps"] = [operators.step("needs-auth")]
    page = _page("Session", session.view, story=told)
    form = next(node for node in _all(page) if node.tag == "form" and node.attributes["action"].endswith("/bind"))

    assert "Check now" not in text_of(form)
