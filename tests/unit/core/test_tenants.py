"""Tenants, and what their keys may do."""

from __future__ import annotations

from orchestrator.core.tenants import TENANT_SCOPES, Scope


def test_no_tenants_key_can_be_an_operators() -> None:
    """Operators see every tenant."""
    assert set(Scope) - TENANT_SCOPES == {Scope.OPERATOR}
