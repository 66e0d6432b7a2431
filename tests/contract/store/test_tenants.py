"""The promises of `TenantStore` and `ApiKeyStore`, on every adapter."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import pytest

from orchestrator.core.errors.tenants import ApiKeyNotFoundError, TenantNotFoundError, TenantTakenError
from orchestrator.core.tenants import TENANT_SCOPES, ApiKey, Scope, Tenant, TenantChange, digest_of
from tests.support.store_values import NOON, AnyStore

ACME: Final = Tenant(
    id="acme",
    name="Ãcme & Söhne",
    origins=("https://a.example", "https://b.example"),
    zapier_client_id="client-1",
    own_apps=("AcmeCLIAPI",),
    created_at=NOON,
)
KEY: Final = ApiKey(
    id="ak1", tenant_id="acme", name="web", scopes=TENANT_SCOPES, digest=digest_of("secret"), created_at=NOON
)
OPERATORS: Final = ApiKey(
    id="ak0", tenant_id=None, name="Öps", scopes=frozenset({Scope.OPERATOR}), digest=digest_of("o"), created_at=NOON - 1
)


async def test_a_tenant_is_kept_as_it_was_made(store: AnyStore) -> None:
    """Every field of it."""
    await store.tenants.create(ACME)

    assert await store.tenants.get("acme") == ACME
    assert await store.tenants.get("other") is None


async def test_a_tenant_needs_nothing_but_a_name(store: AnyStore) -> None:
    """What was not given is empty."""
    plain = Tenant(id="plain", name="Plain", created_at=NOON)
    await store.tenants.create(plain)

    assert await store.tenants.get("plain") == plain
    assert await store.tenants.client_secret("plain") is None


async def test_an_id_is_given_once(store: AnyStore) -> None:
    """Of many who want it one gets it, and is not overwritten."""
    wishes = [replace(ACME, name=str(number)) for number in range(5)]

    outcomes = await asyncio.gather(*map(store.tenants.create, wishes), return_exceptions=True)

    refused = [outcome for outcome in outcomes if outcome is not None]
    winner = wishes[outcomes.index(None)]
    assert [type(outcome) for outcome in refused] == [TenantTakenError] * 4
    assert await store.tenants.get("acme") == winner


async def test_tenants_are_listed_by_id(store: AnyStore) -> None:
    """All of them."""
    other = replace(ACME, id="birch", origins=())
    await store.tenants.create(other)
    await store.tenants.create(ACME)

    assert await store.tenants.all() == (ACME, other)


async def test_what_is_given_changes_and_the_rest_stays(store: AnyStore) -> None:
    """An empty list empties."""
    await store.tenants.create(ACME)

    changed = await store.tenants.change("acme", TenantChange(name="New", own_apps=()))
    unchanged = await store.tenants.change("acme", TenantChange())

    assert changed == replace(ACME, name="New", own_apps=())
    assert unchanged == changed
    assert await store.tenants.get("acme") == changed


async def test_a_tenant_that_is_not_there_is_not_changed(store: AnyStore) -> None:
    """Nor made by that."""
    with pytest.raises(TenantNotFoundError):
        await store.tenants.change("acme", TenantChange(name="New"))

    assert await store.tenants.get("acme") is None


async def test_a_client_secret_is_kept_and_told_only_when_asked_for(store: AnyStore) -> None:
    """The tenant says whether there is one."""
    await store.tenants.create(ACME, client_secret="hush")
    kept = await store.tenants.get("acme")
    changed = await store.tenants.change("acme", TenantChange(client_secret="hüsh"))

    assert kept == replace(ACME, has_client_secret=True)
    assert "hush" not in repr(kept)
    assert changed == kept
    assert await store.tenants.client_secret("acme") == "hüsh"
    assert await store.tenants.client_secret("other") is None


async def test_a_key_is_kept_as_it_was_made(store: AnyStore) -> None:
    """A tenant's, an operator's, and one that sees two tenants only."""
    scoped = replace(OPERATORS, id="ak3", sees=frozenset({"acme", "default"}), created_at=NOON + 1)
    for key in (KEY, OPERATORS, scoped):
        await store.api_keys.create(key)

    assert await store.api_keys.get("ak1") == KEY
    assert await store.api_keys.get("ak0") == OPERATORS
    assert await store.api_keys.get("ak3") == scoped
    assert await store.api_keys.get("ak2") is None
    assert await store.api_keys.all() == (OPERATORS, KEY, scoped)


async def test_a_revoked_key_stays_revoked_at_the_first_moment(store: AnyStore) -> None:
    """It can still be told what became of it."""
    await store.api_keys.create(KEY)

    first = await store.api_keys.revoke("ak1", now=NOON + 1)
    again = await store.api_keys.revoke("ak1", now=NOON + 2)

    assert first == again == replace(KEY, revoked_at=NOON + 1)
    assert await store.api_keys.all() == (first,)


async def test_a_use_is_noted(store: AnyStore) -> None:
    """The last one counts, and nothing else changes."""
    await store.api_keys.create(KEY)
    for at in (NOON + 1, NOON + 2):
        await store.api_keys.note_use("ak1", now=at)

    assert await store.api_keys.get("ak1") == replace(KEY, last_used_at=NOON + 2)


async def test_a_key_that_is_not_there_is_neither_revoked_nor_used(store: AnyStore) -> None:
    """Nor made by that."""
    for asked in (store.api_keys.revoke("ak1", now=NOON), store.api_keys.note_use("ak1", now=NOON)):
        with pytest.raises(ApiKeyNotFoundError):
            await asked

    assert await store.api_keys.get("ak1") is None
