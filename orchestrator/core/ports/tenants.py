"""Tenants, their keys, and their users."""

from __future__ import annotations

from typing import Protocol

from orchestrator.core.session import Instant
from orchestrator.core.tenants import ApiKey, Tenant, TenantChange


class TenantStore(Protocol):
    """Tenants but for the default one, which the settings describe. Their client secrets are encrypted at rest."""

    async def create(self, tenant: Tenant, *, client_secret: str | None = None) -> None:
        """Keep a new tenant. Raises TenantTakenError."""
        ...

    async def get(self, tenant_id: str) -> Tenant | None:
        """Return the tenant, if there is one."""
        ...

    async def all(self) -> tuple[Tenant, ...]:
        """Return every tenant, by id."""
        ...

    async def change(self, tenant_id: str, change: TenantChange) -> Tenant:
        """Change what is given and return the tenant as it is then. Raises TenantNotFoundError."""
        ...

    async def client_secret(self, tenant_id: str) -> str | None:
        """Return the tenant's client secret at Zapier, None when it has none."""
        ...


class ApiKeyStore(Protocol):
    """API keys, without their secrets. None is ever erased, so that it can be told what became of it."""

    async def create(self, key: ApiKey) -> None:
        """Keep a new key; its id is new."""
        ...

    async def get(self, key_id: str) -> ApiKey | None:
        """Return the key, if there is one."""
        ...

    async def all(self) -> tuple[ApiKey, ...]:
        """Return every key, oldest first."""
        ...

    async def revoke(self, key_id: str, *, now: Instant) -> ApiKey:
        """End a key and return it; a second time it stays ended at the first moment. Raises ApiKeyNotFoundError."""
        ...

    async def note_use(self, key_id: str, *, now: Instant) -> None:
        """Note that the key was used. Raises ApiKeyNotFoundError."""
        ...


class UserStore(Protocol):
    """Users as a whole."""

    async def erase(self, tenant_id: str, user_id: str, *, now: Instant) -> None:
        """Erase everything that is kept of a user: credential, sessions and all about them, watches, receipts.

        Twice is fine, and so is doing it again when it died in between. What was read of the user before cannot bring
        anything back: commits find no session, checks no lease. Raises StaleVersionError when others went on adding.
        """
        ...
