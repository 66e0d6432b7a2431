"""`Idempotency-Key`: every POST that comes again with its key is answered again, and done once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
import pytest

from orchestrator.core.session import MINUTE
from tests.support.browsers import OF_THE_PAGE
from tests.support.deployment import AN_ATTEMPT, Deployment, problem_of

KEY: Final = b"8e03978e-40d5-43dd-bc93-6894a57f9324"
HEADERS: Final = {"Idempotency-Key": KEY.decode()}
DAY: Final = 24 * 60 * MINUTE

Post = Callable[..., Awaitable[httpx.Response]]


async def a_post(api: Deployment, kind: str) -> tuple[Post, int]:
    """Have everything ready for a POST of this kind; return it, and the status it is answered with."""
    if kind == "zap":
        await api.sign_in()
        session = await api.session("Schedule")
        address = f"/v1/sessions/{session['id']}/steps/{session['steps'][0]['id']}"
        await api.ok("PUT", f"{address}/action", {"key": "every_hour", "action_type": "READ"})
    else:
        session, address = await (api.awaiting() if kind == "signals" else api.step())
    link, code = await contested(api, address) if kind == "allow" else ("", "")
    known: dict[str, tuple[str, dict[str, Any], int]] = {
        "allow": (f"{address}/connect-links/{link}/allow", {"code": code}, 200),
        "sessions": ("/v1/sessions", {"user_id": "alice", "steps": [{"app_id": api.sim.app_id("Slack")}]}, 201),
        "steps": (f"/v1/sessions/{session['id']}/steps", {"alias": "more"}, 201),
        "connect-links": (f"{address}/connect-links", {"user_id": "alice"}, 201),
        "popup": (f"{address}/popup", {}, 201),
        "named popup": (f"{address}/popup", {"attempt_id": AN_ATTEMPT}, 201),
        "signals": (f"{address}/popup/signals", {"attempt_id": AN_ATTEMPT, "kind": "finished"}, 200),
        "zap": (f"/v1/sessions/{session['id']}/zap", {}, 201),
    }
    path, body, status = known[kind]

    async def post(key: bytes = KEY, **more: object) -> httpx.Response:
        return await api.client.post(path, json=body | more, headers=[(b"Idempotency-Key", key)])

    return post, status


async def contested(api: Deployment, address: str) -> tuple[str, str]:
    """Have a link that another browser waits for; return its id, and that browser's code."""
    link = (await api.ok("POST", f"{address}/connect-links", {"user_id": "alice"}, status=201)).json()
    for _ in range(2):
        async with api.caller({}) as browser:
            url = link["url"].replace("http://", "https://")
            await browser.get(url)
            await browser.post(url, headers=OF_THE_PAGE)
    listed = (await api.ok("GET", f"{address}/connect-links")).json()["links"]
    return link["id"], listed[0]["waiting"][0]["code"]


KINDS: Final[dict[str, dict[str, object]]] = {
    "allow": {"code": "ABCD-1234"},
    "sessions": {"title": "other"},
    "steps": {"alias": "other"},
    "connect-links": {"ttl_s": 60},
    "popup": {"attempt_id": "another-attempt"},
    "named popup": {"attempt_id": "another-attempt"},
    "signals": {"kind": "focus"},
    "zap": {"again": True},
}
"""Every POST there is, with what makes its body another one."""


@pytest.mark.parametrize("kind", KINDS)
async def test_a_post_that_comes_again_is_answered_again(api: Deployment, kind: str) -> None:
    """The same status and the same body; only a header says that nothing was done. Zapier is not asked again."""
    post, status = await a_post(api, kind)
    first = await post()
    asked = await api.asked()
    again = await post()

    assert (first.status_code, again.status_code) == (status, status)
    assert again.json() == first.json()
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (None, "true")
    assert again.headers.get("Location") == first.headers.get("Location")
    assert again.headers.get("ETag") == first.headers.get("ETag")
    assert await api.asked() == asked


@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_with_another_body_is_refused(api: Deployment, kind: str) -> None:
    """It is a new request, which needs a new key."""
    post, _ = await a_post(api, kind)
    await post()

    assert problem_of(await post(**KINDS[kind])) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("kind", KINDS)
async def test_posts_that_come_at_once_are_one(api: Deployment, kind: str) -> None:
    """Whoever comes while a call is under way is told to wait, and everybody else hears the same."""
    post, status = await a_post(api, kind)

    answers = await asyncio.gather(*(post() for _ in range(8)))

    waiting = [answer for answer in answers if answer.status_code == 409]
    assert {problem_of(answer)[1] for answer in waiting} <= {"idempotency_in_flight"}
    assert all(answer.headers["Retry-After"] == "2" for answer in waiting)
    assert {answer.status_code for answer in answers if answer not in waiting} == {status}
    assert len({answer.text for answer in answers if answer not in waiting}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers if answer not in waiting) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", [b"", b'"unclosed', b"k" * 256, "schlüssel".encode()])
async def test_what_is_no_key_is_refused(api: Deployment, kind: str, key: bytes) -> None:
    """Whoever sends one wants to be safe, and would not be."""
    post, _ = await a_post(api, kind)

    answer = await post(key)

    assert problem_of(answer) == (422, "request_invalid")
    assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"


async def test_a_key_is_the_same_bare_or_quoted_and_a_body_however_it_is_written(api: Deployment) -> None:
    """What counts is what is said: not the spaces, nor the order of keys, nor whether an empty body was sent."""
    session = await api.session()
    path = f"/v1/sessions/{session['id']}/steps"
    headers = {"Content-Type": "application/json"}
    bodies = [b'{"alias": "more", "position": 0}', b'{ "position":0,"alias":"more" }']

    first, again = [
        await api.client.post(path, content=body, headers=headers | {"Idempotency-Key": key})
        for body, key in zip(bodies, ['"k-1"', "k-1"], strict=True)
    ]

    assert (first.status_code, again.json()) == (201, first.json())


async def test_the_same_key_on_another_route_is_another_request(api: Deployment) -> None:
    """Also on the same route of another session."""
    sessions = [await api.session() for _ in range(2)]

    added = [
        await api.client.post(f"/v1/sessions/{session['id']}/steps", json={}, headers=HEADERS) for session in sessions
    ]

    assert [answer.status_code for answer in added] == [201, 201]
    assert not any("Idempotency-Replayed" in answer.headers for answer in added)


async def test_a_repeat_shows_the_session_as_it_is_now(api: Deployment) -> None:
    """The step that was added is gone; its id is still told, under the tag of the session as it is."""
    session = await api.session()
    path = f"/v1/sessions/{session['id']}/steps"
    step_id = (await api.client.post(path, json={}, headers=HEADERS)).json()["step_id"]
    now = (await api.ok("DELETE", f"{path}/{step_id}")).json()

    again = await api.client.post(path, json={}, headers=HEADERS)

    assert (again.status_code, again.json()) == (201, {"step_id": step_id, "session": now})
    assert again.headers["ETag"] == f'"{now["seq"]}"'


async def test_a_key_of_a_session_names_one_body_whoever_it_is_for(api: Deployment) -> None:
    """Another user's session lies somewhere else; the key is known all the same."""
    first = await api.client.post("/v1/sessions", json={"user_id": "alice"}, headers=HEADERS)
    others = [await api.client.post("/v1/sessions", json={"user_id": f"user{n}"}, headers=HEADERS) for n in range(8)]

    assert first.status_code == 201
    assert {problem_of(answer) for answer in others} == {(422, "idempotency_key_reused")}


async def test_a_session_that_was_begun_and_erased_is_not_begun_again(api: Deployment) -> None:
    """The request was carried out; what it made is no longer kept."""
    session = (await api.client.post("/v1/sessions", json={"user_id": "alice"}, headers=HEADERS)).json()
    await api.ok("DELETE", f"/v1/sessions/{session['id']}")
    await api.store.sessions.purge(await api.store.sessions.load_any(session["id"]))

    answer = await api.client.post("/v1/sessions", json={"user_id": "alice"}, headers=HEADERS)

    assert problem_of(answer) == (404, "session_not_found")


async def test_after_a_day_the_same_request_is_a_new_one(api: Deployment) -> None:
    """By then nobody repeats it any more."""
    first = await api.client.post("/v1/sessions", json={"user_id": "alice"}, headers=HEADERS)
    api.sim.clock.advance(DAY)

    assert (await api.client.post("/v1/sessions", json={"user_id": "alice"}, headers=HEADERS)).json() != first.json()


async def test_a_request_that_was_refused_counts_when_it_comes_again(api: Deployment) -> None:
    """The user signed in meanwhile."""
    body = {"user_id": "alice", "steps": [{"app_id": api.sim.app_id("Slack")}]}
    refused = await api.client.post("/v1/sessions", json=body, headers=HEADERS)
    await api.sign_in()

    begun = await api.client.post("/v1/sessions", json=body, headers=HEADERS)

    assert problem_of(refused) == (409, "zapier_sign_in_required")
    assert (begun.status_code, begun.headers.get("Idempotency-Replayed")) == (201, None)


async def test_a_zap_that_failed_needs_a_new_key(api: Deployment) -> None:
    """The first wish is answered for ever by what became of it."""
    post, _ = await a_post(api, "zap")
    fault = {"fault": "status", "status": 400, "times": 1, "endpoint": "POST /v2/zaps"}
    await api.sim.switch({"rules": {"no": fault}})
    failed, again = await post(), await post()
    made = await post(b"another")
    late = await post()

    assert (failed.status_code, failed.json()["zap"]["state"]) == (200, "failed")
    assert (again.status_code, again.json()) == (200, failed.json())
    assert (made.status_code, made.json()["zap"]["state"]) == (201, "created")
    assert (late.status_code, late.json()) == (200, made.json())
    assert len(api.sim.world.zaps()) == 1


async def test_repeats_are_not_counted_as_signals(api: Deployment) -> None:
    """The metrics count what was heard."""
    post, _ = await a_post(api, "signals")
    for _ in range(3):
        await post()

    metrics = (await api.client.get("/metrics")).text
    assert 'zapwright_signals_total{kind="finished",outcome="applied"} 1.0' in metrics


# --- references -----------------------------------------------------------------------------------------------


async def test_a_reference_returns_the_live_session(api: Deployment) -> None:
    """200 instead of 201, with its address, whatever else is asked for; another user's reference is their own."""
    body = {"user_id": "alice", "reference": "order-7", "title": "First"}
    first = await api.client.post("/v1/sessions", json=body)
    again = await api.client.post("/v1/sessions", json=body | {"title": "Second"})
    other = await api.client.post("/v1/sessions", json=body | {"user_id": "bob"})

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 201)
    assert again.json() == first.json() != other.json()
    assert again.headers["Location"] == first.headers["Location"] == f"/v1/sessions/{first.json()['id']}"


async def test_a_reference_is_free_when_its_session_has_ended(api: Deployment) -> None:
    """Then the same request begins another session."""
    body = {"user_id": "alice", "reference": "order-7"}
    first = (await api.ok("POST", "/v1/sessions", body, status=201)).json()
    await api.ok("DELETE", f"/v1/sessions/{first['id']}")

    second = (await api.ok("POST", "/v1/sessions", body, status=201)).json()

    assert second["id"] != first["id"]
