"""Tenants, and what their keys may do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.tenants import (
    ROLES,
    TENANT_SCOPES,
    ApiKey,
    Scope,
    digest_of,
    key_text,
    origin_of,
    parts_of_key,
    tenant_id_of,
)

SECRET = "s3cret_-" * 5
KEY = ApiKey(id="ak1", tenant_id="acme", name="web", scopes=TENANT_SCOPES, digest=digest_of(SECRET), created_at=1)


def test_no_tenants_key_can_be_an_operators() -> None:
    """Operators see every tenant."""
    assert set(Scope) - TENANT_SCOPES == ROLES


def test_a_key_is_read_back_into_its_id_and_its_secret() -> None:
    """The id finds what is kept of it; the secret may hold the separator."""
    assert parts_of_key(key_text("ak1", SECRET)) == ("ak1", SECRET)


@pytest.mark.parametrize(
    "text",
    ["", "zwk_", "zwk_ak1", "zwk_ak1_", "zwk_ak1_short", f"zwx_ak1_{SECRET}", f"zwk_A_{SECRET}", f"zwk_a_{SECRET}é"],
)
def test_what_is_no_key_is_not_looked_for(text: str) -> None:
    """It costs no look into the store."""
    assert parts_of_key(text) is None


def test_a_key_opens_with_its_secret_until_it_is_revoked() -> None:
    """What is kept does not hold the secret."""
    assert KEY.opens(SECRET)
    assert not KEY.opens(SECRET + "x")
    assert not replace(KEY, revoked_at=2).opens(SECRET)
    assert SECRET not in repr(KEY)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://App.Example.com/", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:80", "http://[::1]"),
        (" https://xn--bcher-kva.example ", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(text: str, origin: str) -> None:
    """So that it can be compared with what they send."""
    assert origin_of(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "null",
        "app.example.com",
        "https://",
        "https://*.example.com",
        "https://a.example/path",
        "https://a.example?x",
        "https://user@a.example",
        "https://a.example:port",
        "https://a.example:99999",
        "ftp://a.example",
        "https://bücher.example",
        "https://a b.example",
    ],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    """A wildcard too: it would open sessions to strangers."""
    with pytest.raises(ValueError, match="is no origin"):
        origin_of(text)


@pytest.mark.parametrize("text", ["acme", "a", "4-you", "a" * 63])
def test_a_tenants_id_is_short_and_plain(text: str) -> None:
    """It stands in keys, logs and commands."""
    assert tenant_id_of(text) == text


@pytest.mark.parametrize("text", ["", "-a", "A", "a_b", "a b", "é", "a" * 64, "a:b"])
def test_what_cannot_be_a_tenants_id_is_refused(text: str) -> None:
    """In words."""
    with pytest.raises(ValueError, match="is no id of a tenant"):
        tenant_id_of(text)


def test_who_may_act_may_look() -> None:
    """And who may only look may not act."""
    operators, viewers = (replace(KEY, tenant_id=None, scopes=frozenset({role})) for role in sorted(ROLES))

    assert (operators.allowed, viewers.allowed) == (ROLES, frozenset({Scope.VIEWER}))
    assert KEY.allowed == TENANT_SCOPES
