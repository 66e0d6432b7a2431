"""Who asks, and for which sessions."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from api.auth import ApiKeyMissingError, Caller, Callers, bearer_of
from api.errors import UnauthorizedError
from api.tokens import ClientTokens
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.session import MINUTE, SessionKey
from orchestrator.core.tenants import DEFAULT_TENANT, TENANT_SCOPES, ApiKey, Scope, Tenant, digest_of, key_text
from orchestrator.directory import Directory
from orchestrator.store.memory import MemoryStore
from tests.support.clocks import ManualClock

TOKENS = ClientTokens(["t" * 32], life=10 * MINUTE)
SECRET = "s" * 40
TEXT = key_text("ak1", SECRET)
KEY = ApiKey(
    id="ak1",
    tenant_id="acme",
    name="web",
    scopes=frozenset({Scope.SESSIONS_READ}),
    digest=digest_of(SECRET),
    created_at=1,
)


def callers(api_key: str | None = None) -> tuple[Callers, MemoryStore]:
    """Return who knows callers, with the store behind."""
    store = MemoryStore()
    default = Tenant(id=DEFAULT_TENANT, name="", created_at=0)
    clock = ManualClock()
    directory = Directory(tenants=store.tenants, api_keys=store.api_keys, default=default, clock=clock)
    secret = None if api_key is None else SecretStr(api_key)
    return Callers(directory, tokens=TOKENS, clock=clock, api_key=secret), store


async def test_the_deployments_key_is_the_default_tenants_and_may_do_all_a_tenant_may() -> None:
    """Who runs Zapwright for one company needs no other."""
    known, _ = callers("right")
    caller = await known.find("right")

    assert caller == Caller(tenant_id=DEFAULT_TENANT, scopes=TENANT_SCOPES)
    assert Scope.OPERATOR not in caller.scopes


@pytest.mark.parametrize("key", ["", "rig", "right ", "RIGHT", "rightright", "r\u00efght", TEXT])
async def test_any_other_key_is_refused(key: str) -> None:
    """Also one that is nearly right."""
    known, _ = callers("right")

    with pytest.raises(UnauthorizedError):
        await known.find(key)


async def test_a_key_that_was_made_names_its_tenant_and_its_scopes() -> None:
    """Until it is revoked."""
    known, store = callers("right")
    await store.tenants.create(Tenant(id="acme", name="", created_at=0))
    await store.api_keys.create(KEY)

    assert await known.find(TEXT) == Caller(tenant_id="acme", scopes=KEY.scopes)


async def test_a_client_token_names_its_session_and_its_origins() -> None:
    """The store is not asked: what it may do stands in it."""
    known, _ = callers()
    token = TOKENS.make(
        tenant_id="acme", session_id="zs1", user_id="ann", origins=["https://a.example"], now=ManualClock().now()
    )

    assert await known.find(token.text) == Caller(
        tenant_id="acme",
        scopes=frozenset(),
        origins=frozenset({"https://a.example"}),
        session_id="zs1",
        until=token.expires_at,
    )


@pytest.mark.parametrize("key", [None, "", "  "])
async def test_without_a_key_nothing_starts(key: str | None) -> None:
    """An API that lets nobody in would be no use; the error says what to set. A revoked key lets nobody in."""
    known, store = callers(key)
    await store.api_keys.create(KEY)
    await known.check()
    await store.api_keys.revoke(KEY.id, now=1)

    with pytest.raises(ApiKeyMissingError, match="ZAPWRIGHT_API_KEY is not set"):
        await known.check()
    with pytest.raises(UnauthorizedError):
        await known.find("")


async def test_the_deployments_key_is_enough_to_start() -> None:
    """The store is not even asked."""
    known, _ = callers("right")

    await known.check()


def test_the_key_itself_is_not_kept() -> None:
    """A dump of the process's objects does not show it."""
    known, _ = callers("right")

    assert "right" not in repr(vars(known))


@pytest.mark.parametrize("authorization", ["", "right", "Bearer", "Bearer  ", "Basic right", "Bearerright"])
def test_a_header_that_bears_nothing_is_refused(authorization: str) -> None:
    """Only `Bearer …` counts."""
    with pytest.raises(UnauthorizedError):
        bearer_of(authorization)


@pytest.mark.parametrize("authorization", ["Bearer right", "bearer right", "BEARER   right "])
def test_the_scheme_is_written_as_one_likes(authorization: str) -> None:
    """RFC 9110: schemes have no case."""
    assert bearer_of(authorization) == "right"


def test_a_session_is_named_for_its_caller() -> None:
    """Under the caller's tenant, whatever the address says."""
    caller = Caller(tenant_id="acme", scopes=TENANT_SCOPES)

    assert caller.key("zs1") == SessionKey(tenant_id="acme", session_id="zs1")


@pytest.mark.parametrize(
    "caller",
    [
        Caller(tenant_id="acme", scopes=frozenset(), session_id="zs2"),
        Caller(tenant_id=None, scopes=frozenset({Scope.OPERATOR})),
    ],
    ids=["another session's token", "an operator"],
)
def test_who_has_nothing_to_do_with_a_session_finds_none(caller: Caller) -> None:
    """As if there were none."""
    with pytest.raises(SessionNotFoundError):
        caller.key("zs1")
