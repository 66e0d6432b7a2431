"""Authentications made of fields: for the tenant's own apps, from a page too, and nothing of the fields stays."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import structlog

from orchestrator.core.session import MINUTE, SECOND
from orchestrator.store.memory import MemoryStore
from orchestrator.zapier.refusals import NOT_TAKEN
from tests.support.deployment import ORIGIN, Deployment, problem_of
from tests.support.simulation import Simulation

OWN: Final = Simulation().app_id("Acme Orders")
SECRET: Final = "k3y-of-ann's-shop"
GIVEN: Final = {"title": "Ann's shop", "fields": {"username": "ann", "password": SECRET}}
LOST: Final = {
    "rules": {"lost": {"fault": "status", "status": 504, "when": "after", "endpoint": "POST /v2/authentications"}}
}


@pytest.fixture(name="own")
async def _own() -> AsyncIterator[Deployment]:
    """A deployment whose own app is the simulator's."""
    api = Deployment(own_apps=f"{OWN}=username+password")
    yield api
    await api.aclose()


def posts(api: Deployment) -> dict[str, int]:
    """Count the requests that made, or would have made, an authentication."""
    return dict(api.sim.upstream.counts.by_endpoint.get("POST /v2/authentications", {}))


async def test_fields_become_the_steps_authentication(own: Deployment) -> None:
    """201, and Zapier was sent what was given."""
    session, address = await own.step("Acme Orders")
    picker = (await own.ok("GET", f"{address}/authentications")).json()
    shown = (await own.ok("POST", f"{address}/authentications", GIVEN, status=201)).json()

    (made,) = own.sim.world.owned("alice", OWN)
    (step,) = shown["steps"]
    assert picker["own_app"] == {"fields": ["username", "password"]}
    assert (step["state"], step["authentication"]) == (
        "resolved",
        {"id": made.id, "title": "Ann's shop", "is_expired": False},
    )
    assert step["evidence"]["channels"] == ["supplied"]
    assert shown == await own.read(session)


async def test_a_page_may_do_it_with_its_client_token(own: Deployment) -> None:
    """For its own session, from its own origin."""
    session, address = await own.step("Acme Orders")
    wish = {"user_id": "alice", "origin": ORIGIN}
    token = (await own.ok("POST", f"/v1/sessions/{session['id']}/client-tokens", wish, status=201)).json()["token"]
    page = own.caller({"Authorization": f"Bearer {token}", "Origin": ORIGIN})
    answer = await page.post(f"{address}/authentications", json=GIVEN)
    await page.aclose()

    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_apps_of_others_are_refused_clearly(api: Deployment, own: Deployment) -> None:
    """Also the simulator's own one, where the tenant says nothing of it; Zapier is not asked."""
    for deployment, app in ((own, "Slack"), (api, "Acme Orders")):
        _, address = await deployment.step(app)
        picker = (await deployment.ok("GET", f"{address}/authentications")).json()
        answer = await deployment.client.post(f"{address}/authentications", json=GIVEN)

        assert picker["own_app"] is None
        assert problem_of(answer) == (409, "app_not_own")
        assert "own apps" in answer.json()["detail"]
        assert posts(deployment) == {}


async def test_what_zapier_refuses_is_said_without_the_fields(own: Deployment) -> None:
    """Its reason repeats them; nor are they in the log, and the corrected ones work."""
    session, address = await own.step("Acme Orders")
    wrong = {"title": "t", "fields": {"username": "ann", "password": f"wrong {SECRET}"}}
    with structlog.testing.capture_logs() as logged:
        answer = await own.client.post(f"{address}/authentications", json=wrong)
    refused = (await own.read(session))["steps"][0]

    assert problem_of(answer) == (422, "fields_refused")
    assert answer.json()["facts"]["flaws"] == [{"field": "password", "code": "refused", "detail": NOT_TAKEN}]
    assert SECRET not in answer.text + repr(logged)
    assert (refused["state"], refused["reason"]) == ("needs-auth", "not_made")
    await own.ok("POST", f"{address}/authentications", GIVEN, status=201)


async def test_a_lost_answer_is_looked_for_and_never_sent_again(own: Deployment) -> None:
    """202; what Zapier lists tells, without anybody asking."""
    session, address = await own.step("Acme Orders")
    await own.sim.switch(LOST)
    sent = (await own.ok("POST", f"{address}/authentications", GIVEN, status=202)).json()["steps"][0]
    again = await own.client.post(f"{address}/authentications", json=GIVEN)
    checks = await own.check()
    (step,) = (await own.read(session))["steps"]

    (made,) = own.sim.world.owned("alice", OWN)
    assert (sent["state"], sent["reason"], sent["attempt"]["next_check_at"] is None) == (
        "needs-auth",
        "unanswered",
        False,
    )
    assert problem_of(again) == (409, "fields_unanswered")
    assert (checks, step["authentication"]["id"]) == (1, made.id)
    assert step["evidence"]["channels"] == ["supplied", "difference"]
    assert sum(posts(own).values()) == 1


async def test_what_was_never_made_ends_and_may_be_sent_anew(own: Deployment) -> None:
    """The request was lost before Zapier did anything."""
    session, address = await own.step("Acme Orders")
    before = {"rules": {"lost": LOST["rules"]["lost"] | {"when": "before", "times": 1}}}
    await own.sim.switch(before)
    await own.ok("POST", f"{address}/authentications", GIVEN, status=202)
    own.sim.clock.advance(3 * MINUTE + SECOND)
    await own.check()
    (step,) = (await own.read(session))["steps"]

    assert (step["state"], step["reason"]) == ("needs-auth", "timed_out")
    await own.ok("POST", f"{address}/authentications", GIVEN, status=201)


async def test_a_request_that_comes_again_makes_no_second_one(own: Deployment) -> None:
    """Its key is enough; what the fields hold has no part in what it is recognised by."""
    _, address = await own.step("Acme Orders")
    named = {"Idempotency-Key": "once"}
    first = await own.client.post(f"{address}/authentications", json=GIVEN, headers=named)
    other = {**GIVEN, "fields": {"username": "ann", "password": "another"}}
    again = await own.client.post(f"{address}/authentications", json=other, headers=named)
    renamed = await own.client.post(f"{address}/authentications", json={**GIVEN, "title": "Else"}, headers=named)
    fewer = await own.client.post(
        f"{address}/authentications", json={**GIVEN, "fields": {"username": "ann"}}, headers=named
    )

    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert [problem_of(one) for one in (renamed, fewer)] == [(422, "idempotency_key_reused")] * 2
    assert posts(own) == {"201": 1}


async def test_nothing_in_the_store_lets_the_fields_be_guessed(own: Deployment) -> None:
    """Two passwords leave the same store behind, but for ids and what is random."""
    kept = []
    for password in ("hunter1", "hunter2"):
        api = Deployment(own_apps=f"{OWN}=username+password")
        _, address = await api.step("Acme Orders")
        body = {"title": "t", "fields": {"username": "ann", "password": password}}
        named = {"Idempotency-Key": "once"}
        answer = await api.client.post(f"{address}/authentications", json=body, headers=named)
        assert answer.status_code == 201
        store = api.store
        assert isinstance(store, MemoryStore)
        receipts = repr(vars(store.receipts))
        kept.append(re.findall(r"fingerprint='(\w+)'", receipts))
        assert password not in receipts
        await api.aclose()

    assert kept[0] == kept[1] != []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": "t"},
        {"title": "t", "fields": {}},
        {"title": "t", "fields": []},
        {"title": "t", "fields": {"a": 1}},
        {"title": "t", "fields": {"a": None}},
        {"title": "t", "fields": {"a": {"b": "c"}}},
        {"title": "t", "fields": {"": "x"}},
        {"title": "t", "fields": {"a": SECRET * 1_000}},
        {"title": "t", "fields": {f"f{number}": "x" for number in range(51)}},
        {"title": "", "fields": {"a": "x"}},
        {"title": "x" * 256, "fields": {"a": "x"}},
        {"title": "t", "fields": {"a": "x"}, "app": OWN},
    ],
    ids=[
        *(
            "nothing",
            "no fields",
            "empty",
            "a list",
            "a number",
            "null",
            "an object",
            "no name",
            "too long",
            "too many",
        ),
        *("no title", "long title", "an unknown key"),
    ],
)
async def test_what_is_no_such_request_is_refused_without_repeating_it(own: Deployment, body: dict[str, Any]) -> None:
    """Before anybody is asked."""
    _, address = await own.step("Acme Orders")
    answer = await own.client.post(f"{address}/authentications", json=body)

    assert problem_of(answer) == (422, "request_invalid")
    assert SECRET not in answer.text
    assert posts(own) == {}
