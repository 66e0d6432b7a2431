"""Sessions: begun, listed, read, waited for, changed, ended."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.deployment import Deployment, problem_of


async def test_a_session_begins_empty(api: Deployment) -> None:
    """No app, no Zapier: a backend may create sessions before its users sign in."""
    answer = await api.ok("POST", "/v1/sessions", {"user_id": "alice"}, status=201)
    session = answer.json()

    assert answer.headers["location"] == f"/v1/sessions/{session['id']}"
    assert (session["status"], session["state"], session["steps"]) == ("building", "choose-app", [])
    assert session["credential"] == {"state": "missing", "account": None, "reason": None}


async def test_what_was_given_is_kept(api: Deployment) -> None:
    """Title, reference, metadata, aliases and the time to live."""
    given = {
        "user_id": "auth0|5f/x",
        "title": "Leads → Slack",
        "reference": "order-7",
        "metadata": {"plan": ["pro", {"seats": 3}], "none": None},
        "steps": [{"alias": "trigger"}, {}],
        "ttl_s": 60,
    }
    created = (await api.ok("POST", "/v1/sessions", given, status=201)).json()

    session = await api.read(created)

    assert session | {"client_token": created["client_token"]} == created
    assert {key: session[key] for key in ("user_id", "title", "reference", "metadata")} == {
        key: given[key] for key in ("user_id", "title", "reference", "metadata")
    }
    assert [step["alias"] for step in session["steps"]] == ["trigger", None]
    assert (session["created_at"], session["deadline"]) == ("2026-09-21T14:13:20.250Z", "2026-09-21T14:14:20.250Z")


async def test_a_session_begins_with_its_apps(api: Deployment) -> None:
    """Each is looked up, and what the user has is listed: that is the baseline."""
    await api.sign_in()

    session = await api.session("Slack", "Schedule", None)

    assert [step["state"] for step in session["steps"]] == ["needs-auth", "no-auth-required", "choose-app"]
    assert session["steps"][0]["connect"]["fresh_until"] == "2026-09-21T14:18:20.250Z"
    assert (session["steps"][1]["connect"], session["steps"][1]["authentication"]) == (None, None)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([{"app_id": "e6594273-80fe-5616-b920-0bdcd3141861"}], (409, "zapier_sign_in_required")),
        ([{"alias": "a"}, {"alias": "a"}], (409, "alias_taken")),
    ],
    ids=["app without a credential", "alias twice"],
)
async def test_a_session_that_cannot_begin_is_not_there(
    api: Deployment, steps: list[dict[str, str]], expected: tuple[int, str]
) -> None:
    """All of it or nothing."""
    refused = await api.client.post("/v1/sessions", json={"user_id": "alice", "steps": steps})
    listed = (await api.ok("GET", "/v1/sessions")).json()

    assert problem_of(refused) == expected
    assert listed == {"sessions": [], "cursor": None}


async def test_a_session_begun_with_its_apps_reads_them_with_one_call(api: Deployment) -> None:
    """And lists the authentications of each that needs one."""
    await api.sign_in()
    before = await api.asked()
    session = await api.session("Slack", "HubSpot", "Formatter", "Slack")

    assert [step["state"] for step in session["steps"]] == [
        "needs-auth",
        "needs-auth",
        "no-auth-required",
        "needs-auth",
    ]
    assert await api.asked() - before == 1 + 2


@pytest.mark.parametrize("app_id", ["00000000-0000-0000-0000-000000000000", "Slack"])
async def test_an_unknown_app_begins_nothing(api: Deployment, app_id: str) -> None:
    """Also when the first step's app is fine."""
    await api.sign_in()
    steps = [{"app_id": api.sim.app_id("Slack")}, {"app_id": app_id}]

    refused = await api.client.post("/v1/sessions", json={"user_id": "alice", "steps": steps})
    listed = (await api.ok("GET", "/v1/sessions")).json()

    assert problem_of(refused) == (404, "app_not_found")
    assert listed["sessions"] == []


async def test_sessions_are_found_by_state_status_and_user(api: Deployment) -> None:
    """Every given value must match; the youngest comes first."""
    await api.sign_in()
    waiting = await api.session("Slack")
    api.sim.clock.advance(1)
    ready_for_app = await api.session(None)
    api.sim.clock.advance(1)
    other = await api.session(user="bob")
    await api.ok("DELETE", f"/v1/sessions/{other['id']}")

    async def found(query: str) -> list[str]:
        listed = (await api.ok("GET", f"/v1/sessions?{query}")).json()["sessions"]
        return [session["id"] for session in listed]

    assert await found("") == [other["id"], ready_for_app["id"], waiting["id"]]
    assert await found("user_id=alice") == [ready_for_app["id"], waiting["id"]]
    assert await found("state=needs-auth") == [waiting["id"]]
    assert await found("status=cancelled") == [other["id"]]
    assert await found("status=building&user_id=bob") == []


async def test_a_long_list_comes_in_pages(api: Deployment) -> None:
    """The cursor leads on, without repeating and without missing."""
    made = []
    for number in range(5):
        api.sim.clock.advance(1)
        made.append((await api.session(title=f"number {number}"))["id"])

    pages: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await api.ok("GET", f"/v1/sessions?limit=2{cursor and f'&cursor={cursor}'}")).json()
        pages.append([session["id"] for session in page["sessions"]])
        cursor = page["cursor"]

    assert pages == [[made[4], made[3]], [made[2], made[1]], [made[0]]]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("cursor=nonsense", "cursor"),
        ("cursor=%F0%9F%98%80", "cursor"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("state=open", "state"),
        ("status=", "status"),
        ("user_id=a%20b", "user_id"),
        ("users=alice", "users"),
    ],
)
async def test_a_search_that_cannot_be_meant_is_refused(api: Deployment, query: str, parameter: str) -> None:
    """A misspelt filter would otherwise list everything."""
    answer = await api.client.get(f"/v1/sessions?{query}")

    assert problem_of(answer) == (422, "request_invalid")
    assert [flaw["parameter"] for flaw in answer.json()["errors"]] == [parameter]


async def test_reading_gives_the_sequence_number_as_etag(api: Deployment) -> None:
    """It changes with every event."""
    session = await api.session()
    answer = await api.ok("GET", f"/v1/sessions/{session['id']}")

    assert answer.headers["etag"] == f'"{session["seq"]}"'


@pytest.mark.parametrize("session_id", ["zs0aaaaaaaaaaaaaaaaaaaaaa", "zszz45678901234", "x", "zs", "1' or 1=1", "%00"])
@pytest.mark.parametrize("rest", ["", "/events", "/signals", "?after_seq=0&wait_s=1"])
async def test_an_unknown_session_is_not_found(api: Deployment, session_id: str, rest: str) -> None:
    """Whatever the text looks like, and without waiting for it to appear."""
    answer = await api.client.get(f"/v1/sessions/{session_id}{rest}")

    assert problem_of(answer) == (404, "session_not_found")


async def test_a_long_poll_answers_with_the_change(api: Deployment) -> None:
    """It waits until then, and not longer."""
    session = await api.session()
    address = f"/v1/sessions/{session['id']}"
    poll = asyncio.create_task(api.client.get(f"{address}?after_seq={session['seq']}&wait_s=30"))
    await asyncio.sleep(0.05)
    is_waiting = not poll.done()

    await api.ok("PATCH", address, {"title": "New"})
    answer = await asyncio.wait_for(poll, timeout=15)

    assert is_waiting
    assert (answer.json()["title"], answer.json()["seq"]) == ("New", session["seq"] + 1)
    assert answer.headers["etag"] == f'"{session["seq"] + 1}"'


async def test_a_long_poll_that_is_behind_answers_at_once(api: Deployment) -> None:
    """What happened between two polls is not missed."""
    session = await api.session()

    answer = await asyncio.wait_for(api.client.get(f"/v1/sessions/{session['id']}?after_seq=0&wait_s=30"), timeout=15)

    assert answer.json() == session


@pytest.mark.parametrize("wait_s", [0, 1])
async def test_a_long_poll_without_news_answers_with_what_there_is(api: Deployment, wait_s: int) -> None:
    """The page asks again."""
    session = await api.session()
    query = f"after_seq={session['seq']}&wait_s={wait_s}"

    answer = await asyncio.wait_for(api.client.get(f"/v1/sessions/{session['id']}?{query}"), timeout=15)

    assert answer.json() == session


@pytest.mark.parametrize("query", ["after_seq=-1", "after_seq=x", "wait_s=31", "wait_s=1.5", "after=1"])
async def test_a_wait_has_bounds(api: Deployment, query: str) -> None:
    """Nobody waits for minutes."""
    session = await api.session()

    assert problem_of(await api.client.get(f"/v1/sessions/{session['id']}?{query}")) == (422, "request_invalid")


async def test_title_and_metadata_change_and_the_rest_stays(api: Deployment) -> None:
    """Metadata is replaced whole; the same change again is no event."""
    session = await api.session(title="Old", metadata={"a": 1})
    address = f"/v1/sessions/{session['id']}"

    retitled = (await api.ok("PATCH", address, {"title": "New"})).json()
    remade = (await api.ok("PATCH", address, {"metadata": {"b": 2}})).json()
    again = (await api.ok("PATCH", address, {"metadata": {"b": 2}})).json()

    assert (retitled["title"], retitled["metadata"]) == ("New", {"a": 1})
    assert (remade["title"], remade["metadata"]) == ("New", {"b": 2})
    assert again == remade


async def test_cancelling_ends_a_session_once(api: Deployment) -> None:
    """A second time is the same; it can be read and no longer changed."""
    session = await api.session(None)
    address = f"/v1/sessions/{session['id']}"

    ended = (await api.ok("DELETE", address)).json()
    again = (await api.ok("DELETE", address)).json()
    refused = await api.client.patch(address, json={"title": "Late"})

    assert (ended["status"], again) == ("cancelled", ended)
    assert problem_of(refused) == (409, "session_locked")
    assert refused.json()["facts"]["status"] == "cancelled"
    assert await api.read(session) == ended


async def test_events_tell_what_happened_in_order(api: Deployment) -> None:
    """From any number on, a page at a time; moments in them are written as everywhere."""
    session, address = await api.awaiting()
    await api.signal(address, "cancelled")
    events = f"/v1/sessions/{session['id']}/events"

    everything = (await api.ok("GET", events)).json()
    part = (await api.ok("GET", f"{events}?after=1&limit=2")).json()

    assert [event["name"] for event in everything["events"]] == [
        "session_created",
        "app_chosen",
        "popup_opened",
        "auth_needed",
    ]
    assert everything["events"][2]["data"] == {"attempt_id": "attempt-0001", "deadline": "2026-09-21T14:23:20.250Z"}
    assert (part["events"], part["truncated"]) == (everything["events"][1:3], False)


async def test_the_signal_log_says_what_was_heard_and_what_became_of_it(api: Deployment) -> None:
    """Refused signals are in it, with the code of the refusal."""
    session, address = await api.awaiting()
    await api.signal(address, "closed")
    await api.signal(address, "closed")
    await api.signal(address.replace(session["steps"][0]["id"], "st-none"), "focus")

    log = (await api.ok("GET", f"/v1/sessions/{session['id']}/signals")).json()["signals"]

    assert [(line["signal"], line["outcome"], line["detail"]) for line in log] == [
        ("popup_opened", "applied", None),
        ("closed", "applied", None),
        ("closed", "duplicate", None),
        ("focus", "refused", "step_not_found"),
    ]
    assert (log[1]["attempt_id"], log[1]["at"]) == ("attempt-0001", "2026-09-21T14:13:20.250Z")
