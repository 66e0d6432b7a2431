"""What the clients send, when they send it again, and what they make of every answer: the same for all three."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support.clients import KINDS, Driver, Failure, a_client
from tests.support.ports import free_port
from tests.support.stubborn import HANG_UP, Answer, Stubborn, a_stubborn_server, json_answer, problem

KEY: Final = "zk_a-key-that-nobody-sees"
HEALTH: Final = {"status": "alive"}
NOW: Final = "Fri, 15 Jan 2027 08:00:00 GMT"
POPUP: Final = {"attempt_id": "attempt-0001", "url": "https://zapier.test", "deadline": "2026-11-23T22:45:00.250Z"}


@pytest.fixture(name="server", scope="module")
def stubborn() -> Iterator[Stubborn]:
    """A server that does as it is told."""
    with a_stubborn_server() as server:
        yield server


@pytest.fixture(name="client", scope="module", params=KINDS)
def driven(request: pytest.FixtureRequest, server: Stubborn) -> Iterator[Driver]:
    """Each client, of that server."""
    with a_client(request.param, url=f"{server.url}/", key=KEY) as client:
        yield client


@pytest.fixture(autouse=True)
def _anew(server: Stubborn) -> None:
    server.forget()


def refusal(client: Driver, operation: str, /, **given: Any) -> Failure:
    """Return what the client raises."""
    with pytest.raises(Failure) as caught:
        client.call(operation, **given)
    return caught.value


def open_popup(client: Driver, **more: Any) -> Any:
    """Make a POST."""
    return client.call("open_popup", session_id="s", step_id="t", **more)


def test_names_and_values_go_where_they_belong(client: Driver, server: Stubborn) -> None:
    """Path, query and body, each in its own writing; what is not given is not sent."""
    server.will(json_answer({"sessions": [], "cursor": None}), json_answer(HEALTH))
    server.will(problem(404, "session_not_found"))
    client.call("list_sessions", user_id="ä b&c", limit=7)
    client.call("read_health")
    refusal(client, "change_step", session_id="a/b?c", step_id="#", position=0)

    listed, health, changed = server.asked
    assert (listed.method, listed.path.replace("+", "%20")) == ("GET", "/v1/sessions?user_id=%C3%A4%20b%26c&limit=7")
    assert listed.headers["Authorization"] == f"Bearer {KEY}"
    assert (health.path, health.body) == ("/healthz", "")
    assert (changed.method, changed.path) == ("PATCH", "/v1/sessions/a%2Fb%3Fc/steps/%23")
    assert json.loads(changed.body) == {"position": 0}
    assert changed.headers["Content-Type"] == "application/json"


def test_a_repeated_post_keeps_its_key_and_another_has_another(client: Driver, server: Stubborn) -> None:
    """So that what was carried out, but not answered, is not carried out twice."""
    server.will(HANG_UP, problem(503, "store_unavailable", retry_after=1), json_answer(POPUP), json_answer(POPUP))
    answered = open_popup(client)
    open_popup(client)

    keys = [asked.headers["Idempotency-Key"] for asked in server.asked]
    assert answered == POPUP
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert all(16 <= len(key) <= 255 for key in keys)


def test_a_key_of_the_callers_own_is_used(client: Driver, server: Stubborn) -> None:
    """Then even a process that was started again repeats the same wish."""
    server.will(json_answer(POPUP))
    open_popup(client, options={"idempotency_key": "order-42"})

    (asked,) = server.asked
    assert asked.headers["Idempotency-Key"] == "order-42"


def test_a_wish_that_is_still_being_carried_out_is_asked_after(client: Driver, server: Stubborn) -> None:
    """The answer to the first time was lost, and the second came too early."""
    server.will(HANG_UP, problem(409, "idempotency_in_flight", retry_after=0), json_answer(POPUP))

    assert open_popup(client) == POPUP


@pytest.mark.parametrize(
    ("answer", "times"),
    [
        (problem(503, "upstream_busy", retry_after=0), 4),
        (problem(503, "upstream_busy", retry_after=3), 1),
        (problem(503, "upstream_busy", retry_after=NOW, date=NOW), 4),
        (problem(503, "upstream_busy", retry_after="Fri, 15 Jan 2027 08:00:03 GMT", date=NOW), 1),
        (problem(503, "store_unavailable"), 4),
        (problem(409, "idempotency_in_flight", retry_after="soon"), 4),
        (problem(502, "upstream_unavailable"), 1),
        (problem(409, "session_locked"), 1),
        (problem(500, "internal_error"), 1),
        (HANG_UP, 4),
    ],
    ids=[
        "told to wait",
        "told to wait too long",
        "told until when",
        "told until when, too long",
        "not told how long",
        "told what nobody understands",
        "upstream",
        "conflict",
        "fault",
        "silence",
    ],
)
def test_what_may_help_is_tried_again_and_no_more(
    client: Driver, server: Stubborn, answer: Answer | str, times: int
) -> None:
    """Bounded in number, and in time."""
    server.will(*[answer] * times)
    refusal(client, "open_popup", session_id="s", step_id="t")

    assert len(server.asked) == times


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [
        ("0", 0),
        ("120", 120),
        ("1.5", 1.5),
        ("1.", 1),
        ("5, 600", 600),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30),
        ("Friday, 15-Jan-27 08:00:30 GMT", 30),
        ("Fri Jan 15 08:00:30 2027", 30),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("Fri, 15 Jan 999999 07:00:00 GMT", None),
        ("Friday", None),
        ("-5", None),
        ("1e3", None),
        ("5, soon", None),
        (",", None),
        ("", None),
    ],
)
def test_a_wait_is_read_as_seconds_or_a_date(client: Driver, server: Stubborn, said: str, wait_s: float | None) -> None:
    """As the servers' own reader does; a date counts from the answer's, whatever clock this machine has."""
    server.will(problem(429, "too_many_streams", retry_after=said, date=NOW))

    assert refusal(client, "read_health").retry_after_s == wait_s


def test_a_write_on_a_condition_is_not_repeated_in_the_dark(client: Driver, server: Stubborn) -> None:
    """Had it been carried out, its condition would no longer hold, and a success would look like a refusal."""
    server.will(HANG_UP)
    failure = refusal(client, "remove_step", session_id="s", step_id="t", options={"if_match": 7})

    (asked,) = server.asked
    assert asked.headers["If-Match"] == '"7"'
    assert failure.name == "NoAnswerError"


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_there_is_told_after_a_few_tries(kind: str) -> None:
    """As what it is: nothing was sent."""
    with a_client(kind, url=f"http://127.0.0.1:{free_port()}", key=KEY) as client:
        failure = refusal(client, "read_health")

    assert failure.name == "NoAnswerError"


@pytest.mark.parametrize(
    ("status", "code", "name"),
    [
        (400, "body_unreadable", "ProblemError"),
        (401, "unauthorized", "UnauthorizedError"),
        (403, "scope_missing", "ForbiddenError"),
        (404, "session_not_found", "NotFoundError"),
        (409, "session_locked", "ConflictError"),
        (412, "precondition_failed", "PreconditionFailedError"),
        (422, "request_invalid", "RequestRefusedError"),
        (503, "upstream_busy", "UnavailableError"),
    ],
)
def test_a_problem_is_raised_with_its_code_facts_and_reference(
    client: Driver, server: Stubborn, status: int, code: str, name: str
) -> None:
    """One class for each status that a caller may want to tell apart; the reference is in the message."""
    server.will(problem(status, code, retry_after=60))
    failure = refusal(client, "read_health")

    assert (failure.name, failure.status, failure.code) == (name, status, code)
    assert (failure.facts, failure.reference) == ({"a": 1}, "8m0q2f6v1c4x")
    assert "8m0q2f6v1c4x" in failure.shown


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=502, body="<h1>Bad gateway</h1>", headers={"Content-Type": "text/html"}),
        Answer(status=302, headers={"Location": "/elsewhere"}),
        Answer(status=200, body="{", headers={"Content-Type": "application/json"}),
        Answer(status=500, body="[]", headers={"Content-Type": "application/problem+json"}),
    ],
    ids=["proxy", "redirect", "cut off", "no problem"],
)
def test_what_is_not_zapwrights_is_said_to_be_so(client: Driver, server: Stubborn, answer: Answer) -> None:
    """Not taken for an answer, not followed, not repeated."""
    server.will(answer)
    failure = refusal(client, "read_health")

    assert (failure.name, failure.status, len(server.asked)) == ("UnexpectedAnswerError", answer.status, 1)


def test_keys_that_a_newer_server_sends_do_no_harm(client: Driver, server: Stubborn) -> None:
    """A server is updated before its clients."""
    server.will(json_answer(POPUP | {"new": {"in": "version 9"}}))

    assert POPUP.items() <= open_popup(client).items()


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_lead_elsewhere_is_not_sent(client: Driver, server: Stubborn, name: str) -> None:
    """An address with it would be another route's."""
    with pytest.raises((ValueError, Failure)):
        client.call("read_session", session_id=name)

    assert server.asked == []


def test_the_key_never_shows(client: Driver, server: Stubborn) -> None:
    """Neither on the client nor on what it raises."""
    server.will(problem(401, "unauthorized"), *[HANG_UP] * 4)
    shown = [client.shown(), *(refusal(client, "read_health").shown for _ in range(2))]

    assert [text for text in shown if KEY in text] == []
    assert all(shown)


def test_waiting_goes_on_until_there_is_news(client: Driver, server: Stubborn) -> None:
    """A poll that ends without news is followed by the next, for what is left of the time."""
    server.will(json_answer(session(3)), json_answer(session(3)), json_answer(session(4)))
    found = client.call("wait_for", session_id="s", after_seq=3, within_s=20)
    paths, waits = zip(*(asked.path.split("&wait_s=") for asked in server.asked), strict=True)

    assert found == session(4)
    assert paths == ("/v1/sessions/s?after_seq=3",) * 3
    assert 20 >= int(waits[0]) >= int(waits[1]) >= int(waits[2]) > 0


def test_waiting_ends_when_its_time_is_over(client: Driver, server: Stubborn) -> None:
    """With the session as it is."""
    server.will(json_answer(session(3)))

    assert client.call("wait_for", session_id="s", after_seq=3, within_s=0) == session(3)


def session(seq: int) -> dict[str, Any]:
    """Give a session's document."""
    moment = "2026-11-23T22:45:00.250Z"
    return {
        "id": "s",
        "user_id": "u",
        "status": "building",
        "state": "choose-app",
        "seq": seq,
        "title": None,
        "reference": None,
        "metadata": {"a": [1]},
        "created_at": moment,
        "deadline": moment,
        "credential": {"state": "missing", "account": None, "reason": None},
        "zap": {"state": "none", "id": None, "editor_url": None, "problem": None, "matches": []},
        "steps": [],
    }
