"""The dashboard's pages, drawn from what the API really answers; and the samples of its tests are such answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
from jsonschema import Draft202012Validator

from dashboard.nodes import text_of
from dashboard.sight import Seen
from dashboard.views import states
from dashboard.views.pages import PAGES, Page
from orchestrator.core.tenants import ApiKey, Scope, digest_of, key_text
from tests.support import operators
from tests.support.deployment import Deployment, described

SECRET: Final = "s" * 43
SAMPLES: Final = {
    "FoundSession": operators.session(),
    "Story": operators.story(),
    "Overview": operators.overview(),
    "AppHealth": operators.app(jump=operators.JUMP),
    "AuditEntry": operators.entry(),
}


class House:
    """A deployment in which things happened, and an operator who looks at it."""

    def __init__(self) -> None:
        self.api = Deployment(webhook_allowed_networks="127.0.0.0/8")
        self.operator = self.api.caller({"Authorization": f"Bearer {key_text('ak0', SECRET)}"})
        self.session_id = ""
        self.app_id = ""

    async def happen(self) -> None:
        """Have a session that waits, one that is connected, an endpoint, and an intervention."""
        key = ApiKey(
            id="ak0",
            tenant_id=None,
            name="night shift",
            scopes=frozenset({Scope.OPERATOR}),
            digest=digest_of(SECRET),
            created_at=0,
        )
        await self.api.store.api_keys.create(key)
        await self.api.ok("POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/x"}, status=201)
        session, address = await self.api.awaiting("Slack")
        self.session_id = session["id"]
        self.app_id = session["steps"][0]["app"]["id"]
        await self.api.signal(address, "finished")
        path = address.removeprefix("/v1")
        looked = await self.operator.post(
            f"/v1/operator{path}/check-now", json={"reason": "they rang"}, headers={"Idempotency-Key": "one"}
        )
        assert looked.status_code == httpx.codes.OK, looked.text
        await self.api.sim.control("POST", "/authentications", {"user": "bob", "app": "Slack"})
        await self.api.step("Slack", user="bob")

    async def read(self, address: str) -> Seen:
        """Return what the API answers to one of the dashboard's readings."""
        answer = await self.operator.get(f"/v1/operator{address}")
        assert answer.status_code == httpx.codes.OK, answer.text
        return Seen(data=answer.json(), at=operators.NOW_MS)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """The house, in which things happened."""
    house = House()
    await house.happen()
    yield house
    await house.operator.aclose()
    await house.api.aclose()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
async def test_a_page_is_drawn_from_what_the_api_answers(house: House, page: Page) -> None:
    """Every address that it asks for is answered, and nothing that is answered breaks it."""
    name = {"/sessions/{name}": house.session_id, "/apps/{name}": house.app_id}.get(page.path, "")
    seen: dict[str, Any] = {thing: await house.read(address) for thing, address in page.things(name, {}).items()}
    said = text_of(states.around(operators.sight(page.path, **seen), page.title, page.view))

    assert "stands still" not in said
    assert "None" not in said
    assert said


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_what_the_api_describes(name: str) -> None:
    """What the dashboard's other tests are fed with is not made up."""
    api = Deployment()
    components = described(api.app)["components"]
    validator = Draft202012Validator({**components["schemas"][name], "components": components})

    assert [f"{flaw.json_path}: {flaw.message}" for flaw in validator.iter_errors(SAMPLES[name])] == []
