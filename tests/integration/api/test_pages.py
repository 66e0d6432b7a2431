"""What browsers load, and what their pages have instead of a backend during development."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

import httpx
import pytest
from fastapi import Request, Response
from pydantic import ValidationError

from api.app import create_app
from api.routes.pages import page
from orchestrator.settings import Settings
from tests.support.deployment import ORIGIN, Deployment, problem_of

SIMULATOR: Final = "http://sim.test"
EVIL: Final = {"Origin": "https://evil.example.test"}
OWN: Final = {"Origin": ORIGIN}
LATE: Final = {"authentications": {"listed_after_ms": 7}}


@pytest.fixture
async def development() -> AsyncIterator[Deployment]:
    """A deployment whose settings say that its upstream is the simulator."""
    deployment = Deployment(simulator_url=SIMULATOR)
    yield deployment
    await deployment.aclose()


@pytest.fixture
async def browser(development: Deployment) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a key."""
    async with development.caller({}) as client:
        yield client


# --- files and pages ---


async def test_any_page_may_load_a_module_and_needs_no_key(api: Deployment) -> None:
    """A module script is loaded by CORS, and kept for a minute."""
    async with api.caller(EVIL) as stranger:
        answer = await stranger.get("/web/mark.svg")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "public, max-age=60"


async def test_a_module_that_is_as_it_was_is_not_sent_again(api: Deployment) -> None:
    """By its entity tag; the answer may be read by the same pages."""
    tag = (await api.client.get("/web/mark.svg")).headers["etag"]

    answer = await api.client.get("/web/mark.svg", headers={"If-None-Match": tag})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fapp.py", "%2e%2e%2fapp.js", "mark.html", "mark", ".", "a%00b.js"])
async def test_nothing_else_is_served(api: Deployment, name: str) -> None:
    """Pages least of all, which have routes and a policy of their own."""
    assert problem_of(await api.client.get(f"/web/{name}")) == (404, "route_not_found")


async def test_a_file_takes_no_other_method(api: Deployment) -> None:
    """And says which it takes."""
    answer = await api.client.post("/web/mark.svg")

    assert problem_of(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD"


async def test_a_page_runs_and_asks_nothing_but_ours(development: Deployment, browser: httpx.AsyncClient) -> None:
    """Its policy allows no inline script, no other server and no frame, and it cuts off no popup."""

    async def show(request: Request) -> Response:
        return await page("mark.svg", request)

    development.app.add_route("/a-page", show)
    answer = await browser.get("/a-page")

    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        f"img-src 'self' data: https: {SIMULATOR}; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "cross-origin-opener-policy" not in answer.headers


@pytest.mark.parametrize(("path", "script"), [("/demo", "builder.js"), ("/demo/compare", "compare.js")])
async def test_the_demo_is_pages_of_ours(browser: httpx.AsyncClient, path: str, script: str) -> None:
    """Everything they link to is there."""
    answer = await browser.get(path)
    linked = re.findall(r'(?:href|src)="(/web/[^"]+)"', answer.text)

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
    assert f"/web/{script}" in linked
    assert [(await browser.get(link)).status_code for link in linked] == [200] * len(linked)


async def test_the_address_alone_says_what_it_is_and_leads_to_the_demo(browser: httpx.AsyncClient) -> None:
    """Everything it links to is there."""
    answer = await browser.get("/")
    linked = re.findall(r'(?:href|src)="([^"]+)"', answer.text)

    assert "Zapwright’s API" in answer.text
    assert "docs/reference/api.md" in answer.text
    assert {"openapi.json", "demo"} < set(linked)
    assert [(await browser.get(f"/{link}")).status_code for link in linked] == [200] * len(linked)


async def test_without_a_simulator_the_address_leads_to_no_demo(api: Deployment) -> None:
    """Because there is none."""
    assert "demo" not in (await api.client.get("/")).text


# --- development ---


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/dev/session"),
        ("POST", "/dev/session/zs1/client-tokens"),
        ("PATCH", "/dev/session/zs1"),
        ("GET", "/dev/faults"),
        ("PUT", "/dev/faults"),
        ("PATCH", "/dev/faults"),
        ("GET", "/demo"),
        ("GET", "/demo/compare"),
        ("GET", "/dev/session"),
    ],
)
async def test_nothing_of_it_is_there_before_a_real_upstream(api: Deployment, method: str, path: str) -> None:
    """As if it had never been written, whoever asks."""
    answer = await api.client.request(method, path, json=None if method == "GET" else {})

    assert problem_of(answer) == (404, "route_not_found")


@pytest.mark.parametrize("upstream", [None, "https://api.zapier.com"])
def test_a_deployment_with_a_real_upstream_cannot_have_it(upstream: str | None) -> None:
    """The settings are refused, so that the API does not start."""
    with pytest.raises(ValidationError, match="for no real upstream"):
        Settings(zapier_api_url=upstream, simulator_url=SIMULATOR)


async def test_a_page_makes_a_session_without_a_backend(browser: httpx.AsyncClient, development: Deployment) -> None:
    """Its user is signed in to the simulator, and its token opens the session from the page's origin."""
    app_id = development.sim.app_id("Slack")
    made = await browser.post("/dev/session", json={"user_id": "ada", "steps": [{"app_id": app_id}]}, headers=OWN)
    token = made.json()["client_token"]
    headers = {"Authorization": f"Bearer {token['token']}"} | OWN
    read = await browser.get(f"/v1/sessions/{token['session_id']}", headers=headers)

    assert made.status_code == 201
    assert made.headers["access-control-allow-origin"] == ORIGIN
    assert made.headers["location"] == f"/v1/sessions/{token['session_id']}"
    assert read.status_code == 200
    assert read.json()["credential"]["state"] == "active"
    assert [step["state"] for step in read.json()["steps"]] == ["needs-auth"]


async def test_its_request_may_be_repeated(browser: httpx.AsyncClient) -> None:
    """With a key, once; and without a body's members there is a user all the same."""
    first, second = [await browser.post("/dev/session", json={}, headers={"Idempotency-Key": "k"}) for _ in "12"]

    assert first.json()["id"] == second.json()["id"]
    assert first.json()["user_id"] == "demo"
    assert second.headers["idempotency-replayed"] == "true"


async def test_a_user_whose_session_waits_for_their_sign_in_signs_in_again(browser: httpx.AsyncClient) -> None:
    """With the session's reference, which begins nothing and is answered with the session."""
    wish = {"user_id": "ada", "title": "New leads", "reference": "r1"}
    first, second = [await browser.post("/dev/session", json=wish) for _ in "12"]

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["title"] == "New leads"
    assert second.json()["id"] == first.json()["id"]


async def test_a_page_names_its_zap(browser: httpx.AsyncClient) -> None:
    """Which otherwise only a backend can do."""
    session = (await browser.post("/dev/session", json={})).json()

    answer = await browser.patch(f"/dev/session/{session['id']}", json={"title": "New leads"}, headers=OWN)

    assert (answer.status_code, answer.json()["title"]) == (200, "New leads")


async def test_a_page_gets_a_further_token(browser: httpx.AsyncClient) -> None:
    """As often as it wants, for a session that there is."""
    session = (await browser.post("/dev/session", json={})).json()
    answer = await browser.post(f"/dev/session/{session['id']}/client-tokens")
    unknown = await browser.post("/dev/session/zs0/client-tokens")
    headers = {"Authorization": f"Bearer {answer.json()['token']}"}

    assert (await browser.get(f"/v1/sessions/{session['id']}", headers=headers)).status_code == 200
    assert problem_of(unknown) == (404, "session_not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/dev/session"), ("GET", "/dev/faults"), ("PUT", "/dev/faults"), ("PATCH", "/dev/faults")],
)
async def test_no_other_origin_is_let_in(browser: httpx.AsyncClient, method: str, path: str) -> None:
    """A page somebody happens to visit can neither use a development nor read of it."""
    answer = await browser.request(method, path, json={}, headers=EVIL)

    assert problem_of(answer) == (403, "origin_refused")
    assert "access-control-allow-origin" not in answer.headers


async def test_a_page_on_a_development_origin_passes_its_preflight(browser: httpx.AsyncClient) -> None:
    """It sends JSON, so its browser asks first."""
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}

    answer = await browser.options("/dev/faults", headers=OWN | asked)

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_faults_are_set_by_way_of_the_api(browser: httpx.AsyncClient, development: Deployment) -> None:
    """Those given, and no others: what was set before is as at the start."""
    first = (await browser.put("/dev/faults", json={"answers": {"links": False}})).json()
    second = (await browser.put("/dev/faults", json=LATE, headers=OWN)).json()
    told = (await browser.get("/dev/faults")).json()
    real = (await development.sim.control("GET", "/faults")).json()

    assert (first["answers"]["links"], first["authentications"]["listed_after_ms"]) == (False, 0)
    assert (second["answers"]["links"], second["authentications"]["listed_after_ms"]) == (True, 7)
    assert told == real == second


async def test_a_fault_is_set_beside_others_by_a_patch(browser: httpx.AsyncClient) -> None:
    """What it does not name stays as it is."""
    await browser.put("/dev/faults", json=LATE)

    both = (await browser.patch("/dev/faults", json={"answers": {"links": False}}, headers=OWN)).json()

    assert (both["answers"]["links"], both["authentications"]["listed_after_ms"]) == (False, 7)
    assert (await browser.get("/dev/faults")).json() == both


async def test_a_fault_that_is_none_changes_nothing(browser: httpx.AsyncClient) -> None:
    """The simulator's own words say what is wrong."""
    before = (await browser.put("/dev/faults", json=LATE)).json()

    answer = await browser.put("/dev/faults", json={"authentications": {"listed_after_ms": "long"}})

    assert problem_of(answer) == (422, "request_invalid")
    assert "listed_after_ms" in answer.json()["detail"]
    assert (await browser.get("/dev/faults")).json() == before


async def test_a_simulator_that_is_away_is_said_to_be(development: Deployment) -> None:
    """No answer of nobody's passes for its own."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(_refuse)) as http:
        app = create_app(replace(development.zapwright, http=http))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://zapwright.test") as client:
            answer = await client.get("/dev/faults")

    assert problem_of(answer) == (502, "upstream_unavailable")


def _refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)
