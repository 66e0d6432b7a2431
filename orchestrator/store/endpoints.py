"""Webhook endpoints in a Redis-protocol store; those of a session lie beside it, and go with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from orchestrator.core.endpoints import MOST_OF_SESSION, MOST_OF_TENANT, Endpoint, session_of
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import StaleVersionError
from orchestrator.core.errors.webhooks import EndpointNotFoundError, TooManyEndpointsError
from orchestrator.core.ports.webhooks import EndpointStore
from orchestrator.core.session import Instant, session_shard
from orchestrator.store import keys
from orchestrator.store.codec import decode_endpoint, encode
from orchestrator.store.scripts import Call, Reply, Scripts
from orchestrator.store.sealing import Seal

SECRETS_REMEMBERED: Final = 1024


class RedisEndpointStore:
    """`EndpointStore` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts, *, seal: Seal) -> None:
        self._scripts = scripts
        self._seal = seal
        self._opened = lru_cache(maxsize=SECRETS_REMEMBERED)(self._open)

    async def create(self, endpoint: Endpoint) -> None:
        """Keep a new endpoint."""
        await self._write(endpoint, read=0, now=endpoint.created_at)

    async def get(self, tenant_id: str, endpoint_id: str) -> Endpoint | None:
        """Return the tenant's endpoint, if there is one."""
        (found,) = await self.get_each([(tenant_id, endpoint_id)])
        return found

    async def get_each(self, names: Sequence[tuple[str, str]]) -> tuple[Endpoint | None, ...]:
        """Return the endpoints with these tenants and ids, in this order."""
        reads = [("HGET", _owner(tenant_id, session_of(name)), name) for tenant_id, name in names]
        found = [document and self._read(document) for document in await self._scripts.run(*reads)]
        return tuple(
            endpoint if endpoint is not None and endpoint.tenant_id == tenant_id else None
            for endpoint, (tenant_id, _) in zip(found, names, strict=True)
        )

    async def all(self, tenant_id: str, *, session_id: str | None = None) -> tuple[Endpoint, ...]:
        """Return the endpoints that hear of every session of the tenant, or of this one alone; oldest first."""
        (found,) = await self._scripts.run(("HGETALL", _owner(tenant_id, session_id)))
        return tuple(endpoint for endpoint in self._read_all(found) if endpoint.tenant_id == tenant_id)

    async def listening(self, sessions: Sequence[tuple[str, str]]) -> tuple[tuple[Endpoint, ...], ...]:
        """Return who hears of each session."""
        tenants = list(dict.fromkeys(tenant_id for tenant_id, _ in sessions))
        found = await self._scripts.run(
            *(("HGETALL", keys.tenant_endpoints(tenant_id)) for tenant_id in tenants),
            *(("HGETALL", keys.session_endpoints(session_shard(session), session)) for _, session in sessions),
        )
        of_tenants = {
            tenant_id: self._read_all(reply) for tenant_id, reply in zip(tenants, found[: len(tenants)], strict=True)
        }
        return tuple(
            (*of_tenants[tenant_id], *self._read_all(reply))
            for (tenant_id, _), reply in zip(sessions, found[len(tenants) :], strict=True)
        )

    async def change(self, endpoint: Endpoint) -> Endpoint:
        """Write the endpoint over the version it was read as."""
        changed = replace(endpoint, version=endpoint.version + 1)
        await self._write(changed, read=endpoint.version)
        return changed

    async def delete(self, endpoint: Endpoint, *, now: Instant, until: Instant) -> None:
        """Forget the endpoint, and until then make none of its id."""
        names = [_owner(endpoint.tenant_id, endpoint.session_id), _deleted(endpoint)]
        await self._scripts.call(Call("delete_endpoint", names, [endpoint.id, now, until]))

    async def _write(self, endpoint: Endpoint, *, read: int, now: Instant = 0) -> None:
        owner = _owner(endpoint.tenant_id, endpoint.session_id)
        session_id = endpoint.session_id
        session = owner if session_id is None else keys.session(session_shard(session_id), session_id)
        most = MOST_OF_TENANT if session_id is None else MOST_OF_SESSION
        sealed = tuple(self._seal.close(secret.encode()).decode() for secret in endpoint.secrets)
        document = encode(replace(endpoint, secrets=sealed))
        names = [owner, session, _deleted(endpoint)]
        match await self._scripts.call(Call("write_endpoint", names, [endpoint.id, document, read, most, now])):
            case [b"stale"]:
                raise StaleVersionError(endpoint_id=endpoint.id)
            case [b"missing"]:
                raise EndpointNotFoundError(endpoint_id=endpoint.id)
            case [b"no session"]:
                raise SessionNotFoundError(session_id=session_id or "")
            case [b"full"]:
                raise TooManyEndpointsError(most=most, of="tenant" if session_id is None else "session")
            case _:
                return

    def _read_all(self, reply: Reply) -> tuple[Endpoint, ...]:
        found = [self._read(document) for document in reply.values()]
        return tuple(sorted(found, key=lambda endpoint: (endpoint.created_at, endpoint.id)))

    def _read(self, document: bytes) -> Endpoint:
        endpoint = decode_endpoint(document)
        return replace(endpoint, secrets=tuple(map(self._opened, endpoint.secrets)))

    def _open(self, sealed: str) -> str:
        return self._seal.open(sealed).decode()


def _owner(tenant_id: str, session_id: str | None) -> str:
    if session_id is None:
        return keys.tenant_endpoints(tenant_id)
    return keys.session_endpoints(session_shard(session_id), session_id)


def _deleted(endpoint: Endpoint) -> str:
    if endpoint.session_id is None:
        return keys.deleted_endpoints(endpoint.tenant_id)
    return keys.session_deleted_endpoints(session_shard(endpoint.session_id), endpoint.session_id)


if TYPE_CHECKING:
    _: type[EndpointStore] = RedisEndpointStore
