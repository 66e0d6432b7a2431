"""Tenants, and the keys by which their backends are known."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """What a key may do."""

    SESSIONS_READ = "sessions:read"
    SESSIONS_WRITE = "sessions:write"
    USERS_WRITE = "users:write"
    OPERATOR = "operator"


TENANT_SCOPES: Final = frozenset({Scope.SESSIONS_READ, Scope.SESSIONS_WRITE, Scope.USERS_WRITE})
"""All that a tenant's key can have; an operator's key has `operator` alone."""
