"""Secrets come under the newest key, on every server."""

from __future__ import annotations

from orchestrator.core.ports.credentials import NewTokens
from orchestrator.core.tenants import Tenant
from orchestrator.store.limits import Limits
from orchestrator.store.opening import Store, open_store
from orchestrator.store.rotation import Resealed
from tests.support.store_values import NOON, SHARDS, a_session, next_commit
from tests.support.valkey import ValkeyServer
from tests.support.webhook_values import OLDER_SECRET, SECRET, an_endpoint

OLD = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
NEW = "bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldy0="
USERS = [f"user-{number}" for number in range(30)]


def store_with(server: ValkeyServer, *keys: str) -> Store:
    """Return the store as a process has it that knows these keys."""
    return open_store(server.url, shards=SHARDS, limits=Limits(), credential_keys=keys)


async def test_every_secret_comes_under_the_newest_key(server: ValkeyServer) -> None:
    """Whatever part of the store it lies in; a second time there is nothing to do."""
    before, during, after = store_with(server, OLD), store_with(server, NEW, OLD), store_with(server, NEW)
    for user in USERS:
        tokens = NewTokens(access_token=f"of-{user}", refresh_token=f"to-refresh-{user}")
        await before.credentials.put("acme", user, tokens, profile=None, now=NOON)
    await before.tenants.create(Tenant(id="acme", name="", created_at=NOON), client_secret="hush")
    await before.tenants.create(Tenant(id="plain", name="", created_at=NOON))

    outcomes = [await during.reseal() for _ in range(2)]
    kept = [await after.credentials.kept("acme", user) for user in USERS]
    secret = await after.tenants.client_secret("acme")
    for store in (before, during, after):
        await store.aclose()

    assert outcomes == [Resealed(resealed=len(USERS) + 1), Resealed(current=len(USERS) + 1)]
    assert [one and (one.credential.access_token, one.refresh_token) for one in kept] == [
        (f"of-{user}", f"to-refresh-{user}") for user in USERS
    ]
    assert secret == "hush"


async def test_the_secrets_of_endpoints_come_under_it_too(server: ValkeyServer) -> None:
    """Both live ones, of tenants and of sessions; and a user with an odd name is no endpoint."""
    before, during, after = store_with(server, OLD), store_with(server, NEW, OLD), store_with(server, NEW)
    await before.sessions.commit(next_commit(a_session()))
    await before.credentials.put("acme", "endpoints", NewTokens(access_token="of"), profile=None, now=NOON)
    endpoints = [
        an_endpoint(secrets=(SECRET, OLDER_SECRET)),
        an_endpoint("own", session_id=a_session().id, secrets=(SECRET,)),
    ]
    for endpoint in endpoints:
        await before.endpoints.create(endpoint)

    outcomes = [await during.reseal() for _ in range(2)]
    kept = [await after.endpoints.get("acme", endpoint.id) for endpoint in endpoints]
    for store in (before, during, after):
        await store.aclose()

    assert outcomes == [Resealed(resealed=3), Resealed(current=3)]
    assert [one and one.secrets for one in kept] == [(SECRET, OLDER_SECRET), (SECRET,)]


async def test_what_no_key_opens_is_counted_and_left(server: ValkeyServer) -> None:
    """It can be read again once its key is back."""
    before, lost = store_with(server, OLD), store_with(server, NEW)
    await before.credentials.put("acme", "ann", NewTokens(access_token="token"), profile=None, now=NOON)
    outcome = await lost.reseal()
    kept = await before.credentials.get("acme", "ann")
    for store in (before, lost):
        await store.aclose()

    assert outcome == Resealed(unreadable=1)
    assert kept is not None
    assert kept.access_token == "token"
