"""Tenants and API keys in plain dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors.tenants import ApiKeyNotFoundError, TenantNotFoundError, TenantTakenError
from orchestrator.core.ports.tenants import ApiKeyStore, TenantStore
from orchestrator.core.session import Instant
from orchestrator.core.tenants import ApiKey, Tenant, TenantChange
from orchestrator.core.values import replace


class MemoryTenantStore:
    """`TenantStore` of one process, gone with it; secrets are not written anywhere, so not encrypted either."""

    def __init__(self) -> None:
        self._tenants: dict[str, Tenant] = {}
        self._secrets: dict[str, str] = {}

    async def create(self, tenant: Tenant, *, client_secret: str | None = None) -> None:
        """Keep a new tenant."""
        if tenant.id in self._tenants:
            raise TenantTakenError(tenant_id=tenant.id)
        self._keep(tenant, client_secret)

    async def get(self, tenant_id: str) -> Tenant | None:
        """Return the tenant, if there is one."""
        return self._tenants.get(tenant_id)

    async def all(self) -> tuple[Tenant, ...]:
        """Return every tenant, by id."""
        return tuple(tenant for _, tenant in sorted(self._tenants.items()))

    async def change(self, tenant_id: str, change: TenantChange) -> Tenant:
        """Change what is given and return the tenant as it is then."""
        if tenant_id not in self._tenants:
            raise TenantNotFoundError(tenant_id=tenant_id)
        tenant = self._tenants[tenant_id]
        changed = replace(
            tenant,
            name=tenant.name if change.name is None else change.name,
            origins=tenant.origins if change.origins is None else change.origins,
            zapier_client_id=change.zapier_client_id or tenant.zapier_client_id,
            own_apps=tenant.own_apps if change.own_apps is None else change.own_apps,
        )
        return self._keep(changed, change.client_secret)

    async def client_secret(self, tenant_id: str) -> str | None:
        """Return the tenant's client secret at Zapier."""
        return self._secrets.get(tenant_id)

    def _keep(self, tenant: Tenant, secret: str | None) -> Tenant:
        if secret is not None:
            self._secrets[tenant.id] = secret
        self._tenants[tenant.id] = replace(tenant, has_client_secret=tenant.id in self._secrets)
        return self._tenants[tenant.id]


class MemoryApiKeyStore:
    """`ApiKeyStore` of one process, gone with it."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}

    async def create(self, key: ApiKey) -> None:
        """Keep a new key."""
        self._keys[key.id] = key

    async def get(self, key_id: str) -> ApiKey | None:
        """Return the key, if there is one."""
        return self._keys.get(key_id)

    async def all(self) -> tuple[ApiKey, ...]:
        """Return every key, oldest first."""
        return tuple(sorted(self._keys.values(), key=lambda key: (key.created_at, key.id)))

    async def revoke(self, key_id: str, *, now: Instant) -> ApiKey:
        """End a key and return it."""
        key = self._known(key_id)
        if key.revoked_at is None:
            self._keys[key_id] = replace(key, revoked_at=now)
        return self._keys[key_id]

    async def note_use(self, key_id: str, *, now: Instant) -> None:
        """Note that the key was used."""
        self._keys[key_id] = replace(self._known(key_id), last_used_at=now)

    def _known(self, key_id: str) -> ApiKey:
        if key_id not in self._keys:
            raise ApiKeyNotFoundError(key_id=key_id)
        return self._keys[key_id]


if TYPE_CHECKING:
    _tenants: type[TenantStore] = MemoryTenantStore
    _api_keys: type[ApiKeyStore] = MemoryApiKeyStore
