"""Webhook endpoints in plain dicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.endpoints import MOST_OF_SESSION, MOST_OF_TENANT, Endpoint
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import StaleVersionError
from orchestrator.core.errors.webhooks import EndpointNotFoundError, TooManyEndpointsError
from orchestrator.core.ports.webhooks import EndpointStore
from orchestrator.core.session import Instant
from orchestrator.store.memory.state import State


class MemoryEndpointStore:
    """`EndpointStore` of one process, gone with it."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def create(self, endpoint: Endpoint) -> None:
        """Keep a new endpoint."""
        session_id = endpoint.session_id
        if session_id is not None and session_id not in self._state.sessions:
            raise SessionNotFoundError(session_id=session_id)
        if (endpoint.tenant_id, endpoint.id) in self._state.endpoints:
            raise StaleVersionError(endpoint_id=endpoint.id)
        if self._state.deleted.get((endpoint.tenant_id, endpoint.id), 0) > endpoint.created_at:
            raise EndpointNotFoundError(endpoint_id=endpoint.id)
        most, of = (MOST_OF_TENANT, "tenant") if session_id is None else (MOST_OF_SESSION, "session")
        if len(await self.all(endpoint.tenant_id, session_id=session_id)) >= most:
            raise TooManyEndpointsError(most=most, of=of)
        self._state.endpoints[endpoint.tenant_id, endpoint.id] = endpoint

    async def get(self, tenant_id: str, endpoint_id: str) -> Endpoint | None:
        """Return the tenant's endpoint, if there is one."""
        return self._state.endpoints.get((tenant_id, endpoint_id))

    async def get_each(self, names: Sequence[tuple[str, str]]) -> tuple[Endpoint | None, ...]:
        """Return the endpoints with these tenants and ids, in this order."""
        return tuple(self._state.endpoints.get(name) for name in names)

    async def all(self, tenant_id: str, *, session_id: str | None = None) -> tuple[Endpoint, ...]:
        """Return the endpoints that hear of every session of the tenant, or of this one alone; oldest first."""
        found = [
            endpoint
            for endpoint in self._state.endpoints.values()
            if (endpoint.tenant_id, endpoint.session_id) == (tenant_id, session_id)
        ]
        return tuple(sorted(found, key=lambda endpoint: (endpoint.created_at, endpoint.id)))

    async def listening(self, sessions: Sequence[tuple[str, str]]) -> tuple[tuple[Endpoint, ...], ...]:
        """Return who hears of each session."""
        return tuple(
            [
                (*await self.all(tenant_id), *await self.all(tenant_id, session_id=session_id))
                for tenant_id, session_id in sessions
            ]
        )

    async def change(self, endpoint: Endpoint) -> Endpoint:
        """Write the endpoint over the version it was read as."""
        kept = self._state.endpoints.get((endpoint.tenant_id, endpoint.id))
        if kept is None:
            raise EndpointNotFoundError(endpoint_id=endpoint.id)
        if kept.version != endpoint.version:
            raise StaleVersionError(endpoint_id=endpoint.id)
        changed = replace(endpoint, version=endpoint.version + 1)
        self._state.endpoints[endpoint.tenant_id, endpoint.id] = changed
        return changed

    async def delete(self, endpoint: Endpoint, *, now: Instant, until: Instant) -> None:
        """Forget the endpoint, and until then make none of its id."""
        self._state.deleted = {name: kept for name, kept in self._state.deleted.items() if kept > now}
        if self._state.endpoints.pop((endpoint.tenant_id, endpoint.id), None) is not None:
            self._state.deleted[endpoint.tenant_id, endpoint.id] = until


if TYPE_CHECKING:
    _: type[EndpointStore] = MemoryEndpointStore
