"""The whole store behind one address."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.core.metering import UNMETERED, Meter
from orchestrator.core.session import Instant, Millis
from orchestrator.store.audit import RedisAuditLog, RedisCallLog
from orchestrator.store.budget import RedisBudget
from orchestrator.store.cache import RedisCache
from orchestrator.store.census import RedisCensusStore
from orchestrator.store.changes import RedisChanges
from orchestrator.store.client import check_servers, clock_offset, connect_store, primaries
from orchestrator.store.cluster import Cluster
from orchestrator.store.credentials import RedisCredentialStore
from orchestrator.store.deliveries import RedisDeliveryStore
from orchestrator.store.endpoints import RedisEndpointStore
from orchestrator.store.leases import RedisLeases
from orchestrator.store.limits import Limits
from orchestrator.store.receipts import RedisReceiptStore
from orchestrator.store.reports import ServerReport
from orchestrator.store.rotation import Resealed, reseal
from orchestrator.store.scripts import Client, Scripts
from orchestrator.store.sealing import Seal
from orchestrator.store.sessions import RedisSessionStore
from orchestrator.store.sign_ins import RedisSignInStore
from orchestrator.store.tenants import RedisApiKeyStore, RedisTenantStore
from orchestrator.store.users import RedisUserStore
from orchestrator.store.watches import RedisWatchStore
from orchestrator.store.workers import RedisWorkerRoll


class Store:
    """A Redis-protocol store, with the ports as attributes. `shards` is fixed at the store's first start."""

    def __init__(
        self,
        redis: Client,
        *,
        shards: int,
        limits: Limits,
        credential_keys: Sequence[str],
        replicas: int = 0,
        meter: Meter = UNMETERED,
    ) -> None:
        self._redis = redis
        server_of = redis.server_of if isinstance(redis, Cluster) else None
        self._scripts = Scripts(redis, server_of=server_of, replicas=replicas, meter=meter)
        self.shards = shards
        self.sessions = RedisSessionStore(self._scripts, shards=shards)
        self.census = RedisCensusStore(self._scripts, shards=shards)
        self.receipts = RedisReceiptStore(self._scripts, shards=shards)
        self.watches = RedisWatchStore(self._scripts, shards=shards)
        self.budget = RedisBudget(self._scripts, limits, meter=meter)
        self._seal = seal = Seal(credential_keys)
        self.credentials = RedisCredentialStore(self._scripts, shards=shards, seal=seal)
        self.sign_ins = RedisSignInStore(self._scripts)
        self.users = RedisUserStore(self._scripts, shards=shards)
        self.tenants = RedisTenantStore(self._scripts, seal=seal)
        self.api_keys = RedisApiKeyStore(self._scripts)
        self.endpoints = RedisEndpointStore(self._scripts, seal=seal)
        self.deliveries = RedisDeliveryStore(self._scripts, shards=shards)
        self.audit = RedisAuditLog(self._scripts, shards=shards)
        self.calls = RedisCallLog(self._scripts, shards=shards)
        self.workers = RedisWorkerRoll(self._scripts)
        self.cache = RedisCache(self._scripts)
        self.changes = RedisChanges(self._redis)
        self.leases = RedisLeases(self._scripts)

    @property
    def in_flight(self) -> int:
        """How many calls to the server have no answer yet."""
        return self._scripts.in_flight

    async def check(self) -> tuple[ServerReport, ...]:
        """Return what each server says of itself; the first check fixes the number of shards.

        Raises StoreUnfitError when it must not be the only memory as it is, StoreUnavailableError.
        """
        return await check_servers(
            self._scripts,
            servers=await self._servers(),
            is_cluster=isinstance(self._redis, Cluster),
            shards=self.shards,
        )

    async def clock_offset(self, local_now: Callable[[], Instant]) -> Millis:
        """Return what must be added to the local clock to tell the time as everybody who shares the store sees it."""
        return await clock_offset(self._scripts, local_now)

    async def reseal(self) -> Resealed:
        """Bring every secret under the newest key; safe while others use the store, and to begin again.

        Raises StoreError.
        """
        return await reseal(self._scripts, servers=await self._servers(), seal=self._seal)

    async def _servers(self) -> list[Scripts]:
        """Return the way to each server that holds a part of the store."""
        if not isinstance(self._redis, Cluster):
            return [self._scripts]
        return [Scripts(server) for server in await primaries(self._redis)]

    async def aclose(self) -> None:
        """Close every connection."""
        await self.changes.aclose()
        await self._redis.aclose()


def open_store(
    url: str,
    *,
    shards: int,
    limits: Limits,
    credential_keys: Sequence[str],
    replicas: int = 0,
    meter: Meter = UNMETERED,
) -> Store:
    """Return the store at this address; nothing is connected yet.

    `credential_keys` are Fernet keys, newest first. What is written counts as answered when so many `replicas` have it.
    Raises ValueError for a key or an address that is none.
    """
    client = connect_store(url)
    return Store(client, shards=shards, limits=limits, credential_keys=credential_keys, replicas=replicas, meter=meter)
