"""`zapwright api-keys`: what backends and operators are known by."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from api.schemas.fields import timestamp
from cli import tables
from cli.errors import CommandError
from cli.remote import Json
from cli.rows import Cell, Rows
from cli.storage import on_store
from orchestrator.clock import RandomIds, SystemClock
from orchestrator.core.errors.tenants import TenantNotFoundError
from orchestrator.core.session import Instant
from orchestrator.core.tenants import DEFAULT_TENANT, TENANT_SCOPES, ApiKey, Scope, digest_of, key_text, parts_of_key
from orchestrator.settings import Settings
from orchestrator.store.opening import Store

_BYTES_OF_SECRET: Final = 32


@dataclass(frozen=True, kw_only=True)
class KeyWish:
    """What kind of key is wanted. `tenants`: whose, or the ones that an operator's is restricted to."""

    tenants: Sequence[str]
    operator: bool
    viewer: bool
    name: str
    scopes: Sequence[str]

    @property
    def is_operators(self) -> bool:
        """Whether it is no tenant's."""
        return self.operator or self.viewer


def create_key(data_dir: Path | None, wish: KeyWish, *, as_json: bool) -> int:
    """Make a key and print it, this once. Raises CommandError."""
    _check(wish)
    secret = secrets.token_urlsafe(_BYTES_OF_SECRET)
    owner = None if wish.is_operators else next(iter(wish.tenants), DEFAULT_TENANT)
    key = ApiKey(
        id=RandomIds().new("ak"),
        tenant_id=owner,
        name=wish.name,
        scopes=_role(wish) if wish.is_operators else _scopes(wish.scopes),
        digest=digest_of(secret),
        created_at=SystemClock().now(),
        sees=frozenset(wish.tenants) if wish.is_operators and wish.tenants else None,
    )

    async def create(store: Store, _: Settings) -> None:
        for tenant_id in wish.tenants:
            if tenant_id != DEFAULT_TENANT and await store.tenants.get(tenant_id) is None:
                raise TenantNotFoundError(tenant_id=tenant_id)
        await store.api_keys.create(key)

    on_store(data_dir, create)
    console = Console(highlight=False)
    text = key_text(key.id, secret)
    if as_json:
        tables.as_json(console, {**_document(key), "key": text})
    else:
        console.out(text, highlight=False)
        Console(stderr=True, highlight=False).print("[dim]Keep it now: it is not shown again.[/]")
    return 0


async def keep_operator_key(store: Store, text: str) -> None:
    """See to it that this operator's key is known. One that was revoked stays so."""
    parts = parts_of_key(text)
    if parts is None:
        raise CommandError("ZAPWRIGHT_OPERATOR_KEY is no key: remove its line from dev.env, and a new one is made")
    key_id, secret = parts
    if await store.api_keys.get(key_id) is None:
        key = ApiKey(
            id=key_id,
            tenant_id=None,
            name="zapwright up",
            scopes=frozenset({Scope.OPERATOR}),
            digest=digest_of(secret),
            created_at=SystemClock().now(),
        )
        await store.api_keys.create(key)


def list_keys(data_dir: Path | None, *, tenant_id: str | None, operator: bool, as_json: bool) -> int:
    """Print the keys there are, without their secrets. Raises CommandError."""

    async def found(store: Store, _: Settings) -> Sequence[ApiKey]:
        return await store.api_keys.all()

    keys = [
        key
        for key in on_store(data_dir, found)
        if (not operator or key.tenant_id is None) and tenant_id in {None, key.tenant_id}
    ]
    _show(keys, as_json=as_json)
    return 0


def revoke_key(data_dir: Path | None, key_id: str, *, as_json: bool) -> int:
    """End a key and print it. Raises CommandError."""

    async def revoke(store: Store, _: Settings) -> ApiKey:
        return await store.api_keys.revoke(key_id, now=SystemClock().now())

    key = on_store(data_dir, revoke)
    console = Console(highlight=False)
    if as_json:
        tables.as_json(console, _document(key))
    else:
        console.print(f"{key.id} lets nobody in any more; processes that know it forget it within seconds")
    return 0


def _check(wish: KeyWish) -> None:
    if wish.operator and wish.viewer:
        raise CommandError("an operator may look anyway: leave --viewer out, or --operator for who may only look")
    if wish.is_operators and wish.scopes:
        raise CommandError("an operator's key has its role and no other scope: leave --scope out")
    if not wish.is_operators and len(wish.tenants) > 1:
        raise CommandError("a backend's key is one tenant's: give --tenant once, or make a key for each")


def _role(wish: KeyWish) -> frozenset[Scope]:
    return frozenset({Scope.OPERATOR if wish.operator else Scope.VIEWER})


def _scopes(given: Sequence[str]) -> frozenset[Scope]:
    unknown = sorted(set(given) - TENANT_SCOPES)
    if unknown:
        raise CommandError(f"there is no scope {', '.join(unknown)}; there are {', '.join(sorted(TENANT_SCOPES))}")
    return frozenset(map(Scope, given)) or TENANT_SCOPES


def _show(keys: Sequence[ApiKey], *, as_json: bool) -> None:
    console = Console(highlight=False)
    if as_json:
        tables.as_json(console, {"api_keys": [_document(key) for key in keys]})
    else:
        console.print(_drawn(keys) if keys else "no API keys")


def _document(key: ApiKey) -> Json:
    return {
        "id": key.id,
        "tenant_id": key.tenant_id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "sees": None if key.sees is None else sorted(key.sees),
        "created_at": timestamp(key.created_at),
        "last_used_at": _moment(key.last_used_at),
        "revoked_at": _moment(key.revoked_at),
    }


def _drawn(keys: Sequence[ApiKey]) -> Rows:
    rows: list[Mapping[str, Cell]] = [
        {
            "key": key.id,
            "name": tables.plain(key.name),
            "of": key.tenant_id or Text(f"operators, {_seen(key)}", style="bold"),
            "scopes": "\n".join(sorted(key.scopes)),
            "when (UTC)": "\n".join(f"{what} {tables.moment(timestamp(at))}" for what, at in _moments(key) if at),
        }
        for key in keys
    ]
    return Rows(groups=(("key", "name", "of"), ("scopes",), ("when (UTC)",)), rows=rows)


def _moments(key: ApiKey) -> Sequence[tuple[str, Instant | None]]:
    return (("made", key.created_at), ("last used", key.last_used_at), ("revoked", key.revoked_at))


def _seen(key: ApiKey) -> str:
    return "every tenant" if key.sees is None else ", ".join(sorted(key.sees))


def _moment(at: Instant | None) -> str | None:
    return None if at is None else timestamp(at)
