"""What operators see: every tenant's sessions, and nothing that is a tenant's to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from orchestrator.core.deliveries import Answer
from orchestrator.core.links import code_of
from orchestrator.core.ports.workers import WorkerReport
from orchestrator.core.session import MINUTE, SessionKey
from orchestrator.core.signals import ConnectLinkOpened
from orchestrator.core.tenants import DEFAULT_TENANT, TENANT_SCOPES, ApiKey, Scope, Tenant, digest_of, key_text
from tests.support.deployment import AN_ATTEMPT, WITH_KEY, Deployment, problem_of

SECRET = "s" * 40
SAFARI = "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"


class Company:
    """A deployment with another tenant, and an operator."""

    def __init__(self) -> None:
        self.api = Deployment()

    async def open(self) -> None:
        store = self.api.store
        await store.tenants.create(Tenant(id="acme", name="", created_at=0))
        viewer, of_acme = frozenset({Scope.VIEWER}), frozenset({"acme"})
        for key_id, tenant_id, scopes, sees in (
            ("ak1", "acme", TENANT_SCOPES, None),
            ("ak0", None, frozenset({Scope.OPERATOR}), None),
            ("ak2", None, viewer, of_acme),
        ):
            key = ApiKey(
                id=key_id,
                tenant_id=tenant_id,
                name="",
                scopes=scopes,
                digest=digest_of(SECRET),
                created_at=0,
                sees=sees,
            )
            await store.api_keys.create(key)
        self.acme = self.api.caller({"Authorization": f"Bearer {key_text('ak1', SECRET)}"})
        self.operator = self.api.caller({"Authorization": f"Bearer {key_text('ak0', SECRET)}"})
        self.of_acme = self.api.caller({"Authorization": f"Bearer {key_text('ak2', SECRET)}"})

    async def found(self, query: str = "") -> list[dict[str, Any]]:
        answer = await self.operator.get(f"/v1/operator/sessions{query}")
        assert answer.status_code == 200, answer.text
        sessions: list[dict[str, Any]] = answer.json()["sessions"]
        return sessions

    async def read(self, path: str, *, by: httpx.AsyncClient | None = None) -> Any:
        answer = await (by or self.operator).get(f"/v1/operator{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def aclose(self) -> None:
        for client in (self.acme, self.operator, self.of_acme):
            await client.aclose()
        await self.api.aclose()


@pytest.fixture(name="company")
async def _company() -> AsyncIterator[Company]:
    """One of each."""
    company = Company()
    await company.open()
    yield company
    await company.aclose()


async def test_an_operator_sees_every_tenants_sessions(company: Company) -> None:
    """Youngest first, each with whose it is; a filter narrows."""
    ours = await company.api.session()
    company.api.sim.clock.advance(1)
    theirs = (await company.acme.post("/v1/sessions", json={"user_id": "alice"})).json()
    expected = [(theirs["id"], "acme"), (ours["id"], "default")]

    assert [(session["id"], session["tenant_id"]) for session in await company.found()] == expected
    assert [session["id"] for session in await company.found("?tenant_id=acme")] == [theirs["id"]]
    assert [session["id"] for session in await company.found("?tenant_id=default&user_id=alice")] == [ours["id"]]
    assert await company.found("?tenant_id=nobody") == []


async def test_a_long_list_comes_in_pages_over_all_tenants(company: Company) -> None:
    """The cursor leads on, without repeating and without missing."""
    made = []
    for number in range(5):
        company.api.sim.clock.advance(1)
        caller = company.acme if number % 2 else company.api.client
        made.append((await caller.post("/v1/sessions", json={"user_id": f"user-{number}"})).json()["id"])

    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await company.operator.get(f"/v1/operator/sessions?limit=2{cursor and f'&cursor={cursor}'}")).json()
        seen += [session["id"] for session in page["sessions"]]
        cursor = page["cursor"]

    assert seen == made[::-1]


async def test_a_tenant_is_no_operator_and_an_operator_no_tenant(company: Company) -> None:
    """Each is told what is missing."""
    session = await company.api.session()
    answers: list[httpx.Response] = [
        await company.acme.get("/v1/operator/sessions"),
        await company.api.client.get("/v1/operator/sessions"),
        await company.operator.get("/v1/sessions"),
        await company.operator.get(f"/v1/sessions/{session['id']}"),
        await company.operator.put("/v1/users/alice/credential", json={"access_token": "sim-alice"}),
    ]

    assert [problem_of(answer) for answer in answers] == [(403, "scope_missing")] * 5
    assert [answer.json()["facts"]["scope"] for answer in answers] == [
        "viewer",
        "viewer",
        "sessions:read",
        "sessions:read",
        "users:write",
    ]


# --- what is quoted -------------------------------------------------------------------------------------------


async def test_the_reference_of_an_error_finds_its_session(company: Company) -> None:
    """A user reads it out, and the operator has who they are."""
    await company.api.sign_in()
    session = await company.api.session("Slack", reference="order-7")
    other = (await company.acme.post("/v1/sessions", json={"user_id": "bob"})).json()
    step = f"/v1/sessions/{session['id']}/steps/{session['steps'][0]['id']}"
    refused = await company.api.client.put(f"{step}/authentication", json={"authentication_id": "404"})
    strange = await company.acme.get(f"/v1/sessions/{session['id']}")
    quoted = refused.headers["Zapwright-Reference"]

    assert problem_of(refused) == (409, "authentication_not_usable")
    for text in (quoted, session["id"], "order-7"):
        assert [one["id"] for one in await company.found(f"?q={text}")] == [session["id"]]
    assert await company.found(f"?q={quoted}&user_id=bob") == []
    assert await company.found(f"?q={quoted}&stuck=true") == []
    assert await company.found(f"?q={strange.headers['Zapwright-Reference']}") == []
    assert [one["id"] for one in await company.found(f"?q={other['id']}")] == [other["id"]]


async def test_a_users_id_finds_their_sessions_unless_it_is_quoted_of_another(company: Company) -> None:
    """It is what operators type first; page by page, and narrowed as by any other text."""
    await company.api.sign_in()
    mine = [await company.api.session("Slack", reference=f"order-{number}") for number in range(3)]
    pages, cursor = [], ""
    for _ in mine:
        answer = await company.operator.get(f"/v1/operator/sessions?q=alice&limit=1{cursor}")
        pages += [one["id"] for one in answer.json()["sessions"]]
        cursor = f"&cursor={answer.json()['cursor']}"

    assert sorted(pages) == sorted(one["id"] for one in mine)
    assert await company.found("?q=alice&user_id=bob") == await company.found("?q=alice&status=created") == []
    other = (await company.acme.post("/v1/sessions", json={"user_id": "bob", "reference": "alice"})).json()
    assert [one["id"] for one in await company.found("?q=alice")] == [other["id"]]


async def test_a_page_of_one_session_writes_no_references_of_another(company: Company) -> None:
    """Or it could push those out by which that one's own user is found."""
    mine, other = await company.api.session(), await company.api.session()
    made = await company.api.client.post(f"/v1/sessions/{mine['id']}/client-tokens", json={"user_id": "alice"})
    async with company.api.caller({"Authorization": f"Bearer {made.json()['token']}"}) as page:
        strange = await page.get(f"/v1/sessions/{other['id']}")
        own = await page.get(f"/v1/sessions/{mine['id']}/steps/st404/authentications")

    assert (strange.status_code, own.status_code) == (404, 404)
    assert await company.found(f"?q={strange.headers['Zapwright-Reference']}") == []
    assert [one["id"] for one in await company.found(f"?q={own.headers['Zapwright-Reference']}")] == [mine["id"]]


async def test_a_browsers_code_finds_its_session_however_it_is_written(company: Company) -> None:
    """As its page shows it, in two halves, or as somebody types it; a reference that looks like it comes first."""
    session, address = await company.api.step()
    link = (await company.api.ok("POST", f"{address}/connect-links", {"user_id": "alice"}, status=201)).json()
    key = SessionKey(tenant_id=DEFAULT_TENANT, session_id=session["id"])
    code = code_of("a browser")
    signal = ConnectLinkOpened(step_id=link["step_id"], link_id=link["id"], browser="a browser", code=code)
    await company.api.zapwright.engine.apply(key, signal)
    halves = f"{code[:4]}-{code[4:]}"

    for text in (code, halves, code.lower(), halves.lower(), f"{code[:4]} {code[4:]}"):
        assert [one["id"] for one in await company.found(f"?q={text}")] == [session["id"]]
    assert await company.found(f"?q={halves}&user_id=bob") == []
    assert await company.found("?q=0000-0000") == []
    named = (await company.acme.post("/v1/sessions", json={"user_id": "bob", "reference": halves})).json()
    assert [one["id"] for one in await company.found(f"?q={halves}")] == [named["id"]]


# --- at a glance ----------------------------------------------------------------------------------------------


async def connect(api: Deployment, user: str, *, is_told: bool, browser: str = SAFARI) -> None:
    """Have a user connect Slack in a popup, whose message arrives or does not; it is found either way."""
    _, address = await api.step("Slack", user=user)
    async with api.caller(WITH_KEY | {"User-Agent": browser}) as page:
        await page.post(f"{address}/popup", json={"attempt_id": AN_ATTEMPT})
    made = await api.sim.connect(user, "Slack")
    said = {"authentication_id": made} if is_told else {}
    await api.signal(address, "message" if is_told else "finished", **said)
    await api.check()


async def test_popups_that_lose_their_messages_show_at_once(company: Company) -> None:
    """Where they used to arrive; by app and browser, against what the app did before."""
    api, slack = company.api, company.api.sim.app_id("Slack")
    for number in range(20):
        await connect(api, f"told-{number}", is_told=True)
    before = await company.read("/overview")
    api.sim.clock.advance(2 * MINUTE)
    for number in range(3):
        await connect(api, f"lost-{number}", is_told=False, browser=FIREFOX)
    overview, (app,) = await company.read("/overview"), (await company.read("/apps"))["apps"]
    story = await company.read(f"/apps/{slack}")

    assert before["jumps"] == []
    assert [(one["app_id"], one["title"]) for one in overview["jumps"]] == [(slack, "Slack")]
    jump = overview["jumps"][0]["jump"]
    assert (jump["minutes"], jump["resolved"], jump["lost_rate"]) == (1, 3, 1.0)
    assert jump["baseline"] == {"lost_rate": 0.0, "resolved": 20}
    assert (app["popups"]["opened"], app["popups"]["by_message"], app["popups"]["without_message"]) == (23, 20, 3)
    assert {one["browser"]: one["lost_rate"] for one in app["browsers"]} == {"safari": 0.0, "firefox": 1.0}
    assert app["baseline"]["resolved"] == 23
    assert story["popups"] == app["popups"]
    assert sum(hour["opened"] for hour in story["hours"]) == 23
    assert story["unfinished_means"] == "unfinished: the user left, or the site failed; we cannot see which"


async def test_the_overview_counts_what_is_there(company: Company) -> None:
    """By status and state, who waits and since when, and how far sessions came; of the tenants that are seen."""
    api = company.api
    await connect(api, "ann", is_told=True)
    waiting, address = await api.awaiting(user="ben")
    await company.acme.post("/v1/sessions", json={"user_id": "cid"})
    overview = await company.read("/overview")
    api.sim.clock.advance(MINUTE)
    await api.signal(address, "finished")
    api.sim.clock.advance(MINUTE // 2)
    late, narrow = await company.read("/overview"), await company.read("/overview", by=company.of_acme)
    (seen,) = await company.found("?stuck=true")

    assert overview["sessions"] == 3
    assert overview["statuses"] == [{"status": "building", "sessions": 3}]
    assert {one["state"]: one["sessions"] for one in overview["states"]} == {
        "resolved": 1,
        "awaiting-popup": 1,
        "choose-app": 1,
    }
    assert (overview["waiting"], overview["stuck"]) == (1, 0)
    assert overview["oldest_waiting"]["session_id"] == waiting["id"]
    present = overview["funnel"][-1]
    assert (present["begun"], present["popup_opened"], present["connected"]) == (3, 2, 1)
    assert len(overview["funnel"]) == 24
    assert (late["waiting"], late["stuck"]) == (1, 1)
    assert (seen["id"], seen["waiting"]["stuck"]) == (waiting["id"], "signal")
    assert (narrow["sessions"], narrow["waiting"], narrow["funnel"][-1]["begun"]) == (1, 0, 1)


async def test_who_may_not_see_a_tenant_is_not_told_which_apps_it_uses(company: Company) -> None:
    """Not even by a title."""
    session, _ = await company.api.step("Slack", user="ann")
    slack = session["steps"][0]["app"]["id"]
    everybody = await company.read(f"/apps/{slack}")
    narrow = await company.read(f"/apps/{slack}", by=company.of_acme)
    nobodys = await company.read("/apps/00000000-0000-4000-8000-000000000000", by=company.of_acme)

    assert everybody["title"] == "Slack"
    assert narrow == {**nobodys, "app_id": slack}


async def test_watches_and_the_budget_say_what_zapier_is_asked(company: Company) -> None:
    """Who waits, until when; what was asked by tenant and endpoint; nothing of it to who may not see the tenant."""
    await company.api.awaiting(user="ben")
    company.api.sim.clock.advance(2 * MINUTE)
    (watch,) = (await company.read("/watches"))["watches"]
    budget = await company.read("/budget")

    assert (watch["user_id"], watch["urgency"], watch["overdue_ms"]) == ("ben", "quiet", MINUTE)
    assert len(watch["waiters"]) == 1
    assert [one["kind"] for one in budget["sides"]] == ["egress", "partner"]
    assert budget["sides"][0]["tenants"] == ["default", "acme"]
    assert {(one["tenant_id"], one["endpoint"]) for one in budget["calls"]} >= {("default", "GET /v2/apps")}
    for path, name in (("/watches", "watches"), ("/budget", "calls")):
        assert (await company.read(path, by=company.of_acme))[name] == []
    assert await company.read("/watches?tenant_id=default", by=company.of_acme) == {"watches": [], "cursor": None}


async def test_deliveries_that_do_not_arrive_are_listed_over_all_endpoints(company: Company) -> None:
    """While they are tried, and once they are dead; with the endpoint, and how it receives."""
    api = company.api
    api.posts.answer = Answer(status=503, took=1)
    wish = {"url": "https://hooks.example/", "events": ["session_cancelled"]}
    webhook = (await api.ok("POST", "/v1/webhooks", wish, status=201)).json()
    session = await api.session()
    await api.ok("DELETE", f"/v1/sessions/{session['id']}")
    await api.deliver()
    (failing,) = (await company.read("/deliveries?trouble=failing"))["deliveries"]
    (endpoint,) = (await company.read("/endpoints"))["webhooks"]

    assert (failing["session_id"], failing["webhook_id"], failing["tenant_id"]) == (
        session["id"],
        webhook["id"],
        "default",
    )
    assert (await company.read("/deliveries"))["deliveries"] == [failing]
    assert (await company.read("/deliveries?trouble=dead"))["deliveries"] == []
    assert (endpoint["pending"], endpoint["dead"], endpoint["failures"], endpoint["received_at"]) == (1, 0, 1, None)
    assert (await company.read("/deliveries", by=company.of_acme))["deliveries"] == []
    assert (await company.read("/endpoints", by=company.of_acme))["webhooks"] == []


async def test_what_was_sent_to_one_endpoint_is_listed(company: Company) -> None:
    """Whatever came of it; of any tenant that the operator sees, and of an endpoint of one session, too."""
    api = company.api
    session = await api.session()
    wish = {"url": "https://hooks.example/", "events": ["session_cancelled"]}
    made = [
        (await api.ok("POST", "/v1/webhooks", wish | more, status=201)).json()["id"]
        for more in ({}, {"session_id": session["id"]})
    ]
    await api.ok("DELETE", f"/v1/sessions/{session['id']}")
    await api.deliver()

    for webhook in made:
        sent = (await company.read(f"/endpoints/{webhook}/deliveries"))["deliveries"]
        own = (await api.ok("GET", f"/v1/webhooks/{webhook}/deliveries")).json()["deliveries"]
        assert sent == [own[0] | {"tenant_id": "default", "webhook_id": webhook}]
        assert sent[0]["state"] == "delivered"
        assert (await company.read(f"/endpoints/{webhook}/deliveries?state=dead"))["deliveries"] == []
        hidden = await company.of_acme.get(f"/v1/operator/endpoints/{webhook}/deliveries")
        assert problem_of(hidden) == (404, "endpoint_not_found")


async def test_workers_are_listed_with_what_they_have_in_hand(company: Company) -> None:
    """One that was not heard of for half a minute is told apart."""
    now = company.api.clock.now()
    for number, seen_at in enumerate((now, now - 31_000)):
        report = WorkerReport(
            id=f"wk{number}", host="one", pid=number, started_at=now - number, seen_at=seen_at, checks=2
        )
        await company.api.store.workers.report(report)
    workers = await company.read("/workers")

    assert [(one["id"], one["alive"], one["checks"]) for one in workers["workers"]] == [
        ("wk0", True, 2),
        ("wk1", False, 2),
    ]
    assert workers["outbox"] == 0
