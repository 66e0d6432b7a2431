"""Which pages may call the API, and read its answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.tenants import TENANT_SCOPES, ApiKey, Tenant, digest_of, key_text
from orchestrator.directory import GOOD_FOR
from orchestrator.store.memory import MemoryStore
from orchestrator.store.memory.tenants import MemoryTenantStore
from tests.support.deployment import API_KEY, ORIGIN, WITH_KEY, Deployment, problem_of

THEIRS = "https://theirs.example.test"
STRANGER = "https://evil.example.test"
SECRET = "s" * 40
ASKING = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization,content-type"}


@pytest.fixture(name="shared")
async def _shared() -> AsyncIterator[Deployment]:
    """A deployment that another tenant uses too."""
    api = Deployment()
    await api.store.tenants.create(Tenant(id="theirs", name="", origins=(THEIRS,), created_at=0))
    await api.store.api_keys.create(
        ApiKey(id="ak1", tenant_id="theirs", name="", scopes=TENANT_SCOPES, digest=digest_of(SECRET), created_at=0)
    )
    yield api
    await api.aclose()


async def ask(api: Deployment, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    """Ask for something with these headers."""
    async with api.caller({name.replace("_", "-"): value for name, value in headers.items()}) as caller:
        return await caller.request(method, path)


def allowed(answer: httpx.Response) -> str | None:
    """Return whose pages may read the answer."""
    origin: str | None = answer.headers.get("access-control-allow-origin")
    return origin


@pytest.mark.parametrize("origin", [ORIGIN, THEIRS])
async def test_a_preflight_is_answered_for_every_tenants_pages(shared: Deployment, origin: str) -> None:
    """It carries no token that would say whose page it is."""
    answer = await ask(shared, "/v1/sessions/zs1/zap", "OPTIONS", Origin=origin, **ASKING)

    assert (answer.status_code, answer.content) == (204, b"")
    assert allowed(answer) == origin
    assert answer.headers["access-control-allow-methods"] == "GET, POST, PUT, PATCH, DELETE"
    assert answer.headers["access-control-allow-headers"] == (
        "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID"
    )
    assert answer.headers["access-control-max-age"] == "600"
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", [STRANGER, "null", "", f"{ORIGIN}.evil.test", ORIGIN.upper(), f"{ORIGIN}/"])
async def test_a_preflight_of_a_strange_page_is_refused(shared: Deployment, origin: str) -> None:
    """The browser then sends nothing."""
    answer = await ask(shared, "/v1/sessions", "OPTIONS", Origin=origin, **ASKING)

    assert problem_of(answer) == (403, "origin_refused")
    assert allowed(answer) is None


async def test_a_new_origin_is_known_within_seconds(shared: Deployment) -> None:
    """In every process."""
    before = await ask(shared, "/v1/sessions", "OPTIONS", Origin="https://new.example", **ASKING)
    tenant = Tenant(id="new", name="", origins=("https://new.example",), created_at=0)
    await shared.store.tenants.create(tenant)
    shared.sim.clock.advance(GOOD_FOR)
    after = await ask(shared, "/v1/sessions", "OPTIONS", Origin="https://new.example", **ASKING)

    assert (before.status_code, after.status_code) == (403, 204)


async def test_an_answer_may_be_read_by_the_callers_page(shared: Deployment) -> None:
    """With the headers it needs."""
    session = await shared.session()
    answer = await ask(shared, f"/v1/sessions/{session['id']}", Origin=ORIGIN, **WITH_KEY)

    assert (answer.status_code, allowed(answer)) == (200, ORIGIN)
    assert answer.headers["access-control-expose-headers"] == (
        "Date, ETag, Idempotency-Replayed, Location, Retry-After, Zapwright-Reference"
    )
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", [THEIRS, STRANGER, "null"])
async def test_a_page_of_another_origin_gets_nothing(shared: Deployment, origin: str) -> None:
    """Also where that origin is another tenant's: the caller's own count."""
    session = await shared.session()
    answer = await ask(shared, f"/v1/sessions/{session['id']}", Origin=origin, **WITH_KEY)

    assert problem_of(answer) == (403, "origin_refused")
    assert session["id"] not in answer.text
    assert allowed(answer) is None


async def test_each_tenants_key_works_from_its_own_pages(shared: Deployment) -> None:
    """And from no others'."""
    key = {"Authorization": f"Bearer {key_text('ak1', SECRET)}"}
    own = await ask(shared, "/v1/sessions", Origin=THEIRS, **key)
    other = await ask(shared, "/v1/sessions", Origin=ORIGIN, **key)

    assert (own.status_code, allowed(own)) == (200, THEIRS)
    assert (other.status_code, allowed(other)) == (403, None)


async def test_a_backend_names_no_origin(shared: Deployment) -> None:
    """It is served as ever, and caches are told that pages might be answered otherwise."""
    answer = await ask(shared, "/v1/sessions", **WITH_KEY)

    assert (answer.status_code, allowed(answer), answer.headers["vary"]) == (200, None, "Origin")


async def test_a_page_can_read_why_it_was_turned_away(shared: Deployment) -> None:
    """A problem that nobody known caused holds nothing of anybody."""
    own = await ask(shared, "/v1/sessions", Origin=ORIGIN, Authorization="Bearer wrong")
    stranger = await ask(shared, "/v1/sessions", Origin=STRANGER, Authorization="Bearer wrong")

    assert (problem_of(own), allowed(own)) == ((401, "unauthorized"), ORIGIN)
    assert (problem_of(stranger), allowed(stranger)) == ((401, "unauthorized"), None)


async def test_a_page_can_read_what_is_wrong_with_its_request(shared: Deployment) -> None:
    """Before anybody asked who it is, and after."""
    async with shared.caller({"Origin": ORIGIN, **WITH_KEY}) as page:
        unreadable = await page.post("/v1/sessions", content=b"{", headers={"Content-Type": "application/json"})
        invalid = await page.post("/v1/sessions", json={})

    assert [allowed(answer) for answer in (unreadable, invalid)] == [ORIGIN, ORIGIN]
    assert [answer.status_code for answer in (unreadable, invalid)] == [400, 422]


async def test_what_is_not_for_pages_is_not_for_pages(shared: Deployment) -> None:
    """Health, metrics and the description."""
    for path in ("/healthz", "/metrics", "/openapi.json"):
        answer = await ask(shared, path, Origin=ORIGIN)

        assert (answer.status_code, allowed(answer)) == (200, None)


async def test_an_options_request_that_is_no_preflight_is_a_method_like_any_other(shared: Deployment) -> None:
    """No route takes it."""
    answer = await ask(shared, "/v1/sessions", "OPTIONS", Origin=ORIGIN)

    assert problem_of(answer) == (405, "method_not_allowed")


async def test_while_the_store_is_away_a_preflight_says_so() -> None:
    """The browser will ask again."""

    class Away(MemoryTenantStore):
        async def all(self) -> tuple[Tenant, ...]:
            raise StoreUnavailableError(problem="away")

    store = MemoryStore()
    store.tenants = Away()
    api = Deployment(store=store)
    preflight = await ask(api, "/v1/sessions", "OPTIONS", Origin=ORIGIN, **ASKING)
    turned_away = await ask(api, "/v1/sessions", Origin=ORIGIN, Authorization="Bearer wrong")
    await api.aclose()

    assert problem_of(preflight) == (503, "store_unavailable")
    assert API_KEY not in preflight.text
    assert (turned_away.status_code, allowed(turned_away)) == (401, None)
