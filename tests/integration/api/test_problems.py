"""Whatever goes wrong is answered with a problem that says whose turn it is."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from tests.support.away import coming_and_going
from tests.support.deployment import WITH_KEY, Deployment, problem_of

LISTING = {"endpoint": "GET /v2/authentications"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": WITH_KEY["Authorization"].removeprefix("Bearer ")},
        {"Authorization": f"Basic {WITH_KEY['Authorization'].removeprefix('Bearer ')}"},
        {"Authorization": WITH_KEY["Authorization"] + "x"},
        {"Authorization": "Bearer "},
    ],
    ids=["no key", "wrong key", "no scheme", "other scheme", "nearly", "empty"],
)
async def test_without_the_key_no_route_answers(api: Deployment, headers: dict[str, str]) -> None:
    """Every route under /v1 refuses, before it looks at what is asked."""
    async with api.caller(headers) as stranger:
        for path, methods in api.app.openapi()["paths"].items():
            for method in methods if path.startswith("/v1/") else ():
                answer = await stranger.request(method, path.replace("{", "").replace("}", ""), json={})

                assert problem_of(answer) == (401, "unauthorized"), (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_problem_is_found_in_the_log_by_its_reference(api: Deployment) -> None:
    """The answer's header, its document and the log's lines have the same one."""
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        answer = await api.client.get("/v1/sessions/zs00nobody000")

    reference = answer.headers["zapwright-reference"]
    assert (answer.json()["reference"], len(reference)) == (reference, 12)
    assert [(line["event"], line["reference"]) for line in lines] == [("problem", reference), ("request", reference)]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/", (405, "method_not_allowed")),
        ("GET", "/nothing", (404, "route_not_found")),
        ("GET", "/v1", (404, "route_not_found")),
        ("GET", "/v1/sessions/", (404, "route_not_found")),
        ("GET", "/v2/apps", (404, "route_not_found")),
        ("GET", "/docs", (404, "route_not_found")),
        ("PUT", "/v1/sessions", (405, "method_not_allowed")),
        ("GET", "/v1/users/ann/credential", (405, "method_not_allowed")),
        ("BREW", "/healthz", (405, "method_not_allowed")),
    ],
)
async def test_unknown_addresses_and_methods_are_problems_too(
    api: Deployment, method: str, path: str, expected: tuple[int, str]
) -> None:
    """Also to those who have a key."""
    assert problem_of(await api.client.request(method, path)) == expected


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/healthz", "GET"),
        ("DELETE", "/v1/sessions", "GET, POST"),
        ("PUT", "/v1/sessions/zs00nobody000", "DELETE, GET, PATCH"),
        ("POST", "/v1/sessions/zs00nobody000/steps/st1/app", "DELETE, PUT"),
    ],
)
async def test_a_refused_method_names_the_others(api: Deployment, method: str, path: str, allowed: str) -> None:
    """All that the address takes, in the header that is made for it and in words."""
    answer = await api.client.request(method, path)

    assert answer.headers["allow"] == allowed
    assert f"{allowed} is" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"user_id": "' + b"x" * 5_000_000 + b'"}', (413, "body_too_large")),
        (b'{"metadata": ' * 5_000 + b"1" + b"}" * 5_000, (400, "body_unreadable")),
        (b'{"user_id": "ann", "metadata": {"n": NaN}}', (400, "body_unreadable")),
        (b'{"user_id": "ann", "metadata": {"n": 1e999}}', (400, "body_unreadable")),
        (b'{"user_id": "ann\\u0000"}', (400, "body_unreadable")),
        (b'{"user_id": "\xff"}', (400, "body_unreadable")),
        (b'{"user_id": "ann"', (400, "body_unreadable")),
        (b"[]", (422, "request_invalid")),
        (b"null", (422, "request_invalid")),
        (b"", (422, "request_invalid")),
        (b'"ann"', (422, "request_invalid")),
    ],
    ids=["5 MB", "deep", "NaN", "infinite", "NUL", "not UTF-8", "cut off", "list", "null", "empty", "text"],
)
async def test_hostile_bodies_are_refused(api: Deployment, body: bytes, expected: tuple[int, str]) -> None:
    """Nothing is created, and the next request is served."""
    headers = {"Content-Type": "application/json"}
    answer = await api.client.post("/v1/sessions", content=body, headers=headers)

    assert problem_of(answer) == expected
    assert (await api.ok("GET", "/v1/sessions")).json()["sessions"] == []


async def test_a_form_is_no_json(api: Deployment) -> None:
    """What a page elsewhere can make a browser send is not taken."""
    answer = await api.client.post("/v1/sessions", data={"user_id": "ann"})

    assert problem_of(answer) == (415, "media_type_unsupported")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"fault": "status", "status": 401}, (409, "zapier_sign_in_required")),
        ({"fault": "status", "status": 400}, (502, "upstream_refused")),
        ({"fault": "status", "status": 403}, (502, "upstream_refused")),
        ({"fault": "status", "status": 404}, (502, "upstream_refused")),
        ({"fault": "status", "status": 429}, (503, "upstream_busy")),
        ({"fault": "status", "status": 503}, (503, "upstream_busy")),
        ({"fault": "status", "status": 500}, (502, "upstream_unavailable")),
        ({"fault": "status", "status": 502}, (502, "upstream_unavailable")),
        ({"fault": "drop"}, (502, "upstream_unavailable")),
        ({"fault": "hang"}, (502, "upstream_unavailable")),
        ({"fault": "truncate"}, (502, "upstream_unavailable")),
        ({"fault": "malformed"}, (502, "upstream_unavailable")),
        ({"fault": "html"}, (502, "upstream_unavailable")),
        ({"fault": "html", "status": 200}, (502, "upstream_unavailable")),
        ({"fault": "wrong_types"}, (502, "upstream_unavailable")),
        ({"fault": "wrong_types", "where": "envelope"}, (502, "upstream_unavailable")),
        ({"fault": "oversized"}, (502, "upstream_unavailable")),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
async def test_zapiers_failures_are_told_apart(fault: dict[str, Any], expected: tuple[int, str]) -> None:
    """Sign in again, wait, or repeat; the step is as it was."""
    api = Deployment(call_limit_s=0.2)
    session, address = await api.step(None)
    await api.sim.connect("alice", "Slack")
    await api.sim.switch({"rules": {"fault": {**fault, **LISTING}}})

    answer = await api.client.put(f"{address}/app", json={"app_id": api.sim.app_id("Slack")})
    after = await api.read(session)

    assert problem_of(answer) == expected
    assert (after["steps"], after["state"]) == (session["steps"], "choose-app")
    await api.aclose()


async def test_a_busy_zapier_says_when_to_come_back(api: Deployment) -> None:
    """By then it works again."""
    _, address = await api.step(None)
    busy = {"fault": "status", "status": 429, "times": 1, "endpoint": "GET /v2/apps"}
    await api.sim.switch({"rules": {"busy": busy}})
    body = {"app_id": api.sim.app_id("Slack")}

    refused = await api.client.put(f"{address}/app", json=body)
    early = await api.client.put(f"{address}/app", json=body)
    api.sim.clock.advance(int(early.headers["retry-after"]) * 1_000)
    served = await api.client.put(f"{address}/app", json=body)

    assert (refused.headers["retry-after"], problem_of(early)) == ("60", (503, "upstream_busy"))
    assert served.status_code == 200
    assert api.sim.upstream.counts.refused == 1


async def test_what_exceeds_the_rate_limit_never_reaches_zapier() -> None:
    """Our own count of it comes first."""
    api = Deployment(rate_limit_egress=16, rate_limit_partner=150)
    session, _ = await api.step(None)
    apps = f"/v1/sessions/{session['id']}/apps"
    for number in range(15):
        await api.ok("GET", f"{apps}?query=number{number}")

    busy = await api.client.get(f"{apps}?query=more")
    api.sim.clock.advance(int(busy.headers["retry-after"]) * 1_000)
    served = await api.client.get(f"{apps}?query=more")

    assert problem_of(busy) == (503, "upstream_busy")
    assert 1 <= int(busy.headers["retry-after"]) <= 60
    assert (served.status_code, api.sim.upstream.counts.refused) == (200, 0)
    await api.aclose()


async def test_a_listing_that_shifts_while_it_is_read_is_no_baseline(api: Deployment) -> None:
    """The step says that it is not prepared, and a difference is never resolved on it."""
    await api.sim.switch({"rules": {"shift": {"fault": "shift", "how": "move", **LISTING}}})

    session, _ = await api.step("Google Sheets", user="collector")

    assert (session["state"], session["steps"][0]["connect"]["fresh_until"]) == ("needs-auth", None)


async def test_a_store_that_is_away_is_waited_for_and_then_said_to_be() -> None:
    """The request may be repeated, and then works: nothing was half done."""
    api, sessions = coming_and_going()
    session = await api.session()
    address = f"/v1/sessions/{session['id']}"
    sessions.is_away = True

    read = await api.client.get(address)
    written = await api.client.patch(address, json={"title": "New"})
    sessions.is_away = False
    repeated = await api.client.patch(address, json={"title": "New"})

    assert problem_of(read) == problem_of(written) == (503, "store_unavailable")
    assert read.headers["retry-after"] == "1"
    assert (repeated.json()["title"], repeated.json()["seq"]) == ("New", session["seq"] + 1)
    await api.aclose()


@pytest.mark.parametrize("lost", [1, 3])
async def test_a_commit_whose_answer_is_lost_is_found_out_about(lost: int) -> None:
    """The caller hears of success, once, and it happened once."""
    api, sessions = coming_and_going()
    session = await api.session()
    sessions.loses_answers = lost

    answer = await api.client.post(f"/v1/sessions/{session['id']}/steps", json={})

    assert answer.status_code == 201
    assert len((await api.read(session))["steps"]) == 1
    await api.aclose()


async def test_what_nobody_foresaw_is_our_fault_and_keeps_its_insides() -> None:
    """The answer has a reference, the log has the rest."""
    api, sessions = coming_and_going()
    session = await api.session()
    sessions.is_broken = True

    with capture_logs() as lines:
        answer = await api.client.get(f"/v1/sessions/{session['id']}")

    assert problem_of(answer) == (500, "internal_error")
    assert "insides" not in answer.text
    assert [line["event"] for line in lines] == ["request_failed", "problem", "request", "error_not_noted"]
    await api.aclose()
