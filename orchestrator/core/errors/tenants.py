"""Errors about tenants and their API keys."""

from __future__ import annotations

from orchestrator.core.errors.base import NotFoundError, ZapwrightError


class TenantNotFoundError(NotFoundError):
    """No tenant has this id."""

    code = "tenant_not_found"

    def __init__(self, *, tenant_id: str) -> None:
        super().__init__(f"no tenant has the id {tenant_id!r}", tenant_id=tenant_id)


class ApiKeyNotFoundError(NotFoundError):
    """No API key has this id."""

    code = "api_key_not_found"

    def __init__(self, *, key_id: str) -> None:
        super().__init__(f"no API key has the id {key_id!r}", key_id=key_id)


class TenantTakenError(ZapwrightError):
    """Another tenant has this id."""

    code = "tenant_taken"

    def __init__(self, *, tenant_id: str) -> None:
        super().__init__(f"there is a tenant {tenant_id!r} already; update it instead", tenant_id=tenant_id)


class ClientMissingError(ZapwrightError):
    """The tenant has no client at Zapier that could sign anybody in."""

    code = "client_missing"

    def __init__(self, *, tenant_id: str) -> None:
        super().__init__(
            f"tenant {tenant_id!r} has no client secret at Zapier: set its client id and secret "
            "(ZAPWRIGHT_ZAPIER_CLIENT_ID and ZAPWRIGHT_ZAPIER_CLIENT_SECRET, or `zapwright tenants`)",
            tenant_id=tenant_id,
        )
