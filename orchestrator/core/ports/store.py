"""Everything a store serves."""

from __future__ import annotations

from typing import Protocol

from orchestrator.core.ports.around import Cache, Changes, Leases
from orchestrator.core.ports.audit import AuditLog
from orchestrator.core.ports.budget import Budget
from orchestrator.core.ports.calls import CallLog
from orchestrator.core.ports.census import CensusStore
from orchestrator.core.ports.credentials import CredentialStore, SignInStore
from orchestrator.core.ports.sessions import ReceiptStore, SessionStore
from orchestrator.core.ports.tenants import ApiKeyStore, TenantStore, UserStore
from orchestrator.core.ports.watches import WatchStore
from orchestrator.core.ports.webhooks import DeliveryStore, EndpointStore
from orchestrator.core.ports.workers import WorkerRoll


class Store(Protocol):
    """Everything a store serves."""

    @property
    def sessions(self) -> SessionStore:
        """Sessions."""
        ...

    @property
    def census(self) -> CensusStore:
        """What operators count."""
        ...

    @property
    def receipts(self) -> ReceiptStore:
        """Receipts."""
        ...

    @property
    def watches(self) -> WatchStore:
        """Watches."""
        ...

    @property
    def budget(self) -> Budget:
        """The rate limits."""
        ...

    @property
    def credentials(self) -> CredentialStore:
        """Credentials."""
        ...

    @property
    def sign_ins(self) -> SignInStore:
        """Sign-ins to Zapier."""
        ...

    @property
    def users(self) -> UserStore:
        """Users."""
        ...

    @property
    def tenants(self) -> TenantStore:
        """Tenants."""
        ...

    @property
    def api_keys(self) -> ApiKeyStore:
        """API keys."""
        ...

    @property
    def endpoints(self) -> EndpointStore:
        """Webhook endpoints."""
        ...

    @property
    def deliveries(self) -> DeliveryStore:
        """Webhook deliveries."""
        ...

    @property
    def audit(self) -> AuditLog:
        """What operators did."""
        ...

    @property
    def calls(self) -> CallLog:
        """Calls that were made to Zapier."""
        ...

    @property
    def workers(self) -> WorkerRoll:
        """The workers there are."""
        ...

    @property
    def cache(self) -> Cache:
        """The shared cache."""
        ...

    @property
    def changes(self) -> Changes:
        """News of commits."""
        ...

    @property
    def leases(self) -> Leases:
        """Named leases."""
        ...
