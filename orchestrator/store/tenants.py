"""Tenants and API keys in a Redis-protocol store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from orchestrator.core.errors.tenants import ApiKeyNotFoundError, TenantNotFoundError, TenantTakenError
from orchestrator.core.ports.tenants import ApiKeyStore, TenantStore
from orchestrator.core.session import Instant
from orchestrator.core.tenants import ApiKey, Scope, Tenant, TenantChange
from orchestrator.store import keys
from orchestrator.store.scripts import Argument, Call, Reply, Scripts
from orchestrator.store.sealing import Seal

_SEALED: Final = "sealed"


class RedisTenantStore:
    """`TenantStore` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts, *, seal: Seal) -> None:
        self._scripts = scripts
        self._seal = seal

    async def create(self, tenant: Tenant, *, client_secret: str | None = None) -> None:
        """Keep a new tenant; it is listed before it is there, so that none can be there and not be listed."""
        fields: dict[str, Argument] = {
            "name": tenant.name,
            "origins": _lines(tenant.origins),
            "own_apps": _lines(tenant.own_apps),
            "client_id": tenant.zapier_client_id or "",
            _SEALED: self._sealed(client_secret),
            "created_at": tenant.created_at,
        }
        await self._scripts.run(("SADD", keys.tenants(), tenant.id))
        if not await _created(self._scripts, keys.tenant(tenant.id), fields):
            raise TenantTakenError(tenant_id=tenant.id)

    async def get(self, tenant_id: str) -> Tenant | None:
        """Return the tenant, if there is one."""
        (reply,) = await self._scripts.run(("HGETALL", keys.tenant(tenant_id)))
        return _tenant(tenant_id, reply) if reply else None

    async def all(self) -> tuple[Tenant, ...]:
        """Return every tenant, by id."""
        (found,) = await self._scripts.run(("SMEMBERS", keys.tenants()))
        ids = sorted(tenant_id.decode() for tenant_id in found)
        replies = await self._scripts.run(*[("HGETALL", keys.tenant(tenant_id)) for tenant_id in ids])
        return tuple(_tenant(tenant_id, reply) for tenant_id, reply in zip(ids, replies, strict=True) if reply)

    async def change(self, tenant_id: str, change: TenantChange) -> Tenant:
        """Change what is given and return the tenant as it is then."""
        fields: dict[str, Argument | None] = {
            "name": change.name,
            "origins": None if change.origins is None else _lines(change.origins),
            "own_apps": None if change.own_apps is None else _lines(change.own_apps),
            "client_id": change.zapier_client_id,
            _SEALED: None if change.client_secret is None else self._sealed(change.client_secret),
        }
        given = {name: value for name, value in fields.items() if value is not None}
        changed = await _changed(self._scripts, keys.tenant(tenant_id), given)
        if not changed:
            raise TenantNotFoundError(tenant_id=tenant_id)
        return _tenant(tenant_id, changed)

    async def client_secret(self, tenant_id: str) -> str | None:
        """Return the tenant's client secret at Zapier. Raises SealBrokenError."""
        (sealed,) = await self._scripts.run(("HGET", keys.tenant(tenant_id), _SEALED))
        return self._seal.open(sealed).decode() if sealed else None

    def _sealed(self, secret: str | None) -> bytes:
        return self._seal.close(secret.encode()) if secret else b""


class RedisApiKeyStore:
    """`ApiKeyStore` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def create(self, key: ApiKey) -> None:
        """Keep a new key; it is listed before it is there, so that none can be there and not be listed."""
        fields: dict[str, Argument] = {
            "tenant": key.tenant_id or "",
            "name": key.name,
            "scopes": _lines(sorted(key.scopes)),
            "digest": key.digest,
            "created_at": key.created_at,
            **({} if key.sees is None else {"sees": _lines(sorted(key.sees))}),
        }
        await self._scripts.run(("ZADD", keys.api_keys(), key.created_at, key.id))
        await _created(self._scripts, keys.api_key(key.id), fields)

    async def get(self, key_id: str) -> ApiKey | None:
        """Return the key, if there is one."""
        (reply,) = await self._scripts.run(("HGETALL", keys.api_key(key_id)))
        return _api_key(key_id, reply) if reply else None

    async def all(self) -> tuple[ApiKey, ...]:
        """Return every key, oldest first."""
        (found,) = await self._scripts.run(("ZRANGE", keys.api_keys(), 0, -1))
        ids = [key_id.decode() for key_id in found]
        replies = await self._scripts.run(*[("HGETALL", keys.api_key(key_id)) for key_id in ids])
        return tuple(_api_key(key_id, reply) for key_id, reply in zip(ids, replies, strict=True) if reply)

    async def revoke(self, key_id: str, *, now: Instant) -> ApiKey:
        """End a key and return it."""
        kept = await self.get(key_id)
        if kept is None or kept.revoked_at is not None:
            return _known(kept, key_id)
        return _known(await self._changed(key_id, revoked_at=now), key_id)

    async def note_use(self, key_id: str, *, now: Instant) -> None:
        """Note that the key was used."""
        _known(await self._changed(key_id, last_used_at=now), key_id)

    async def _changed(self, key_id: str, **fields: Argument) -> ApiKey | None:
        changed = await _changed(self._scripts, keys.api_key(key_id), fields)
        return _api_key(key_id, changed) if changed else None


async def _created(scripts: Scripts, key: str, fields: Mapping[str, Argument]) -> bool:
    pairs = [part for pair in fields.items() for part in pair]
    return bool(await scripts.call(Call("create_record", [key], pairs)))


async def _changed(scripts: Scripts, key: str, fields: Mapping[str, Argument]) -> dict[bytes, bytes]:
    """Change a record and return all its fields, none when it is not there."""
    pairs = [part for pair in fields.items() for part in pair]
    reply = await scripts.call(Call("change_record", [key], pairs))
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _known(key: ApiKey | None, key_id: str) -> ApiKey:
    if key is None:
        raise ApiKeyNotFoundError(key_id=key_id)
    return key


def _tenant(tenant_id: str, reply: Reply) -> Tenant:
    kept = _texts(reply)
    return Tenant(
        id=tenant_id,
        name=kept["name"],
        origins=tuple(kept["origins"].splitlines()),
        zapier_client_id=kept["client_id"] or None,
        has_client_secret=bool(kept[_SEALED]),
        own_apps=tuple(kept["own_apps"].splitlines()),
        created_at=int(kept["created_at"]),
    )


def _api_key(key_id: str, reply: Reply) -> ApiKey:
    kept = _texts(reply)
    return ApiKey(
        id=key_id,
        tenant_id=kept["tenant"] or None,
        name=kept["name"],
        scopes=frozenset(map(Scope, kept["scopes"].splitlines())),
        digest=kept["digest"],
        created_at=int(kept["created_at"]),
        sees=frozenset(kept["sees"].splitlines()) if "sees" in kept else None,
        last_used_at=int(kept["last_used_at"]) if "last_used_at" in kept else None,
        revoked_at=int(kept["revoked_at"]) if "revoked_at" in kept else None,
    )


def _texts(reply: Reply) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in reply.items()}


def _lines(values: Sequence[str]) -> str:
    return "\n".join(values)


if TYPE_CHECKING:
    _tenants: type[TenantStore] = RedisTenantStore
    _api_keys: type[ApiKeyStore] = RedisApiKeyStore
