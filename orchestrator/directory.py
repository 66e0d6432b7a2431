"""The tenants and their keys, as one process knows them: what it was told is good for five seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import structlog

from orchestrator.core.errors.store import StoreError
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.tenants import ApiKeyStore, TenantStore
from orchestrator.core.ports.tokens import Client
from orchestrator.core.session import MINUTE, SECOND, Instant, Millis
from orchestrator.core.tenants import ApiKey, Tenant, parts_of_key

log = structlog.get_logger(__name__)

GOOD_FOR: Final[Millis] = 5 * SECOND
"""How long a revoked key may still be let in, and a new origin be unknown."""

USE_NOTED_EVERY: Final[Millis] = MINUTE
MOST_REMEMBERED: Final = 10_000

Found = TypeVar("Found")
Kept = TypeVar("Kept")


class Remembered(Generic[Found]):
    """What was looked for and found, and what was not, each for a while.

    At most so many of either are remembered, the oldest go first; so names that nobody has cannot drive out others.
    """

    def __init__(self, *, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._present: dict[str, tuple[Instant, Found]] = {}
        self._absent: dict[str, tuple[Instant, None]] = {}

    async def recall(self, name: str, find: Callable[[str], Awaitable[Found | None]], *, now: Instant) -> Found | None:
        """Return what is remembered of this name, else what is found now."""
        kept = self._present.get(name) or self._absent.get(name)
        if kept is not None and kept[0] > now:
            return kept[1]
        found = await find(name)
        self._present.pop(name, None)
        self._absent.pop(name, None)
        if found is None:
            self._keep(self._absent, name, (now + GOOD_FOR, None))
        else:
            self._keep(self._present, name, (now + GOOD_FOR, found))
        return found

    def _keep(self, kept: dict[str, tuple[Instant, Kept]], name: str, value: tuple[Instant, Kept]) -> None:
        while len(kept) >= self._most:
            del kept[next(iter(kept))]
        kept[name] = value


class Directory:
    """Who the tenants are and whose keys are whose.

    `default` is the tenant that the settings describe, `default_secret` its client secret at Zapier.
    """

    def __init__(
        self,
        *,
        tenants: TenantStore,
        api_keys: ApiKeyStore,
        default: Tenant,
        clock: Clock,
        default_secret: str | None = None,
    ) -> None:
        self.default = default
        self._default_secret = default_secret
        self._tenants = tenants
        self._api_keys = api_keys
        self._clock = clock
        self._known_tenants: Remembered[Tenant] = Remembered()
        self._known_keys: Remembered[ApiKey] = Remembered()
        self._known_origins: Remembered[frozenset[str]] = Remembered()
        self._everybody: Remembered[tuple[Tenant, ...]] = Remembered()
        self._used_at: dict[str, Instant] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def tenant(self, tenant_id: str) -> Tenant | None:
        """Return the tenant, if there is one. Raises StoreError."""
        if tenant_id == self.default.id:
            return self.default
        return await self._known_tenants.recall(tenant_id, self._tenants.get, now=self._clock.now())

    async def tenants(self) -> tuple[Tenant, ...]:
        """Return every tenant, the default one first. Raises StoreError."""

        async def everybody(_: str) -> tuple[Tenant, ...]:
            return (self.default, *await self._tenants.all())

        return await self._everybody.recall("", everybody, now=self._clock.now()) or (self.default,)

    async def key(self, text: str) -> ApiKey | None:
        """Return the key that this is, if it is one and was not revoked, and note its use. Raises StoreError."""
        parts = parts_of_key(text)
        if parts is None:
            return None
        key_id, secret = parts
        now = self._clock.now()
        key = await self._known_keys.recall(key_id, self._api_keys.get, now=now)
        if key is None or not key.opens(secret):
            return None
        if now - self._used_at.get(key_id, 0) >= USE_NOTED_EVERY:
            self._note_use(key_id, now=now)
        return key

    async def has_keys(self) -> bool:
        """Tell whether there is any key that was not revoked. Raises StoreError."""
        return any(key.revoked_at is None for key in await self._api_keys.all())

    async def origins(self) -> frozenset[str]:
        """Return the origins of every tenant's pages. Raises StoreError."""

        async def of_all(_: str) -> frozenset[str]:
            tenants = (self.default, *await self._tenants.all())
            return frozenset(origin for tenant in tenants for origin in tenant.origins)

        return await self._known_origins.recall("", of_all, now=self._clock.now()) or frozenset()

    async def partner_of(self, tenant_id: str) -> str:
        """Return the client id under which Zapier counts the tenant's calls. Raises StoreError."""
        tenant = await self.tenant(tenant_id)
        own = tenant.zapier_client_id if tenant else None
        return own or self.default.zapier_client_id or self.default.id

    async def client_of(self, tenant_id: str) -> Client | None:
        """Return as whom the tenant's product is known at Zapier; None where no client secret is known for that.

        A tenant without a client id of its own is known as the deployment is. The secret is read anew each time. Raises
        StoreError.
        """
        tenant = await self.tenant(tenant_id)
        client_id = await self.partner_of(tenant_id)
        secret = self._default_secret if client_id == self.default.zapier_client_id else None
        if tenant is not None and tenant.id != self.default.id:
            secret = await self._tenants.client_secret(tenant.id) or secret
        return Client(id=client_id, secret=secret) if secret else None

    async def settle(self) -> None:
        """Wait until what is being noted is noted."""
        await asyncio.gather(*self._notes)

    def _note_use(self, key_id: str, *, now: Instant) -> None:
        """Note it beside the request, which does not wait for it."""
        self._used_at[key_id] = now
        note = asyncio.create_task(self._noted(key_id, now=now))
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)

    async def _noted(self, key_id: str, *, now: Instant) -> None:
        try:
            await self._api_keys.note_use(key_id, now=now)
        except StoreError as error:
            log.warning("key_use_not_noted", key_id=key_id, problem=str(error))
