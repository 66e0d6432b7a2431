"""Every port of the store in plain dicts: for tests, for simulations, and as the model the real one is held against."""

from __future__ import annotations

from orchestrator.store.limits import Limits
from orchestrator.store.memory.around import MemoryCache, MemoryChanges, MemoryLeases, MemoryWorkerRoll
from orchestrator.store.memory.audit import MemoryAuditLog, MemoryCallLog
from orchestrator.store.memory.budget import MemoryBudget
from orchestrator.store.memory.census import MemoryCensusStore
from orchestrator.store.memory.credentials import MemoryCredentialStore
from orchestrator.store.memory.deliveries import MemoryDeliveryStore
from orchestrator.store.memory.endpoints import MemoryEndpointStore
from orchestrator.store.memory.receipts import MemoryReceiptStore
from orchestrator.store.memory.sessions import MemorySessionStore
from orchestrator.store.memory.sign_ins import MemorySignInStore
from orchestrator.store.memory.state import State
from orchestrator.store.memory.tenants import MemoryApiKeyStore, MemoryTenantStore
from orchestrator.store.memory.users import MemoryUserStore
from orchestrator.store.memory.watches import MemoryWatchStore
from orchestrator.store.switchboard import Switchboard

__all__ = ["MemoryStore"]


class MemoryStore:
    """A store that lives as long as its process, with the ports as attributes; `state` is what most of them hold."""

    def __init__(self, *, shards: int = 16, limits: Limits | None = None) -> None:
        state, switchboard = State(shards), Switchboard()
        self.state = state
        self.shards = shards
        self.credentials = MemoryCredentialStore(state, switchboard)
        self.sessions = MemorySessionStore(state, switchboard, self.credentials)
        self.census = MemoryCensusStore(state)
        self.receipts = MemoryReceiptStore(state)
        self.watches = MemoryWatchStore(state, switchboard)
        self.budget = MemoryBudget(limits or Limits())
        self.sign_ins = MemorySignInStore(state)
        self.users = MemoryUserStore(state, self.credentials, switchboard)
        self.tenants = MemoryTenantStore()
        self.api_keys = MemoryApiKeyStore()
        self.endpoints = MemoryEndpointStore(state)
        self.deliveries = MemoryDeliveryStore(state)
        self.audit = MemoryAuditLog(state)
        self.calls = MemoryCallLog(state)
        self.workers = MemoryWorkerRoll()
        self.cache = MemoryCache()
        self.changes = MemoryChanges(switchboard)
        self.leases = MemoryLeases()
