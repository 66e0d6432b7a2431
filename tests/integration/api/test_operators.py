"""What operators see: every tenant's sessions, and nothing that is a tenant's to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from orchestrator.core.tenants import TENANT_SCOPES, ApiKey, Scope, Tenant, digest_of, key_text
from tests.support.deployment import Deployment, problem_of

SECRET = "s" * 40


class Company:
    """A deployment with another tenant, and an operator."""

    def __init__(self) -> None:
        self.api = Deployment()

    async def open(self) -> None:
        store = self.api.store
        await store.tenants.create(Tenant(id="acme", name="", created_at=0))
        for key_id, tenant_id, scopes in (
            ("ak1", "acme", TENANT_SCOPES),
            ("ak0", None, frozenset({Scope.OPERATOR})),
        ):
            await store.api_keys.create(
                ApiKey(id=key_id, tenant_id=tenant_id, name="", scopes=scopes, digest=digest_of(SECRET), created_at=0)
            )
        self.acme = self.api.caller({"Authorization": f"Bearer {key_text('ak1', SECRET)}"})
        self.operator = self.api.caller({"Authorization": f"Bearer {key_text('ak0', SECRET)}"})

    async def found(self, query: str = "") -> list[dict[str, Any]]:
        answer = await self.operator.get(f"/v1/operator/sessions{query}")
        assert answer.status_code == 200, answer.text
        sessions: list[dict[str, Any]] = answer.json()["sessions"]
        return sessions

    async def aclose(self) -> None:
        for client in (self.acme, self.operator):
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
