"""`zapwright tenants`: the companies that use this deployment."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from cli import tables
from cli.errors import CommandError
from cli.remote import Json
from cli.rows import Cell, Rows
from cli.storage import on_store
from orchestrator.clock import SystemClock
from orchestrator.core.tenants import DEFAULT_TENANT, Tenant, TenantChange, origin_of, own_app_of, tenant_id_of
from orchestrator.settings import Settings
from orchestrator.store.opening import Store

_DESCRIBED_BY_SETTINGS: Final = (
    f"the tenant {DEFAULT_TENANT!r} is always there and described by settings: ZAPWRIGHT_TENANT_NAME, "
    "ZAPWRIGHT_ORIGINS, ZAPWRIGHT_ZAPIER_CLIENT_ID, ZAPWRIGHT_ZAPIER_CLIENT_SECRET"
)


def create_tenant(data_dir: Path | None, tenant_id: str, change: TenantChange, *, as_json: bool) -> int:
    """Make a tenant and print it. Raises CommandError."""
    if tenant_id == DEFAULT_TENANT:
        raise CommandError(_DESCRIBED_BY_SETTINGS)
    try:
        tenant_id_of(tenant_id)
    except ValueError as error:
        raise CommandError(str(error)) from error

    async def create(store: Store, _: Settings) -> Tenant | None:
        tenant = Tenant(
            id=tenant_id,
            name=change.name or tenant_id,
            origins=change.origins or (),
            zapier_client_id=change.zapier_client_id,
            own_apps=change.own_apps or (),
            created_at=SystemClock().now(),
        )
        await store.tenants.create(tenant, client_secret=change.client_secret)
        return await store.tenants.get(tenant_id)

    return _show([tenant for tenant in [on_store(data_dir, create)] if tenant], as_json=as_json, is_list=False)


def update_tenant(data_dir: Path | None, tenant_id: str, change: TenantChange, *, as_json: bool) -> int:
    """Change a tenant and print it. Raises CommandError."""
    if tenant_id == DEFAULT_TENANT:
        raise CommandError(_DESCRIBED_BY_SETTINGS)

    async def update(store: Store, _: Settings) -> Tenant:
        return await store.tenants.change(tenant_id, change)

    return _show([on_store(data_dir, update)], as_json=as_json, is_list=False)


def list_tenants(data_dir: Path | None, *, as_json: bool) -> int:
    """Print every tenant, the default one first. Raises CommandError."""

    async def found(store: Store, settings: Settings) -> list[Tenant]:
        return [settings.default_tenant(), *await store.tenants.all()]

    return _show(on_store(data_dir, found), as_json=as_json, is_list=True)


def change_of(
    *,
    name: str | None,
    origins: Sequence[str] | None,
    client_id: str | None,
    with_secret: bool,
    own_apps: Sequence[str] | None,
) -> TenantChange:
    """Return what the options say; a list that is not given stays, and `""` in one empties it. Raises CommandError."""
    try:
        return TenantChange(
            name=name,
            origins=tuple(map(origin_of, filter(None, origins))) if origins else None,
            zapier_client_id=client_id,
            client_secret=_secret() if with_secret else None,
            own_apps=tuple(map(_own_app, filter(None, own_apps))) if own_apps else None,
        )
    except ValueError as error:
        raise CommandError(str(error)) from error


def _own_app(text: str) -> str:
    own_app_of(text)
    return text.strip()


def _secret() -> str:
    """Ask for the secret, or read it from what is piped in: in an option it would stay in the shell's history."""
    secret = getpass.getpass("Zapier client secret: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not secret.strip():
        raise CommandError("no client secret was given: type it, or pipe it in")
    return secret.strip()


def _show(tenants: Sequence[Tenant], *, as_json: bool, is_list: bool) -> int:
    console = Console(highlight=False)
    if as_json:
        documents = [_document(tenant) for tenant in tenants]
        tables.as_json(console, {"tenants": documents} if is_list else documents[0])
    else:
        console.print(_drawn(tenants))
    return 0


def _document(tenant: Tenant) -> Json:
    return {
        "id": tenant.id,
        "name": tenant.name,
        "origins": list(tenant.origins),
        "zapier_client_id": tenant.zapier_client_id,
        "has_client_secret": tenant.has_client_secret,
        "own_apps": list(tenant.own_apps),
    }


def _drawn(tenants: Sequence[Tenant]) -> Rows:
    rows: list[Mapping[str, Cell]] = [
        {
            "tenant": tenant.id,
            "name": tables.plain(tenant.name),
            "origins": "\n".join(tenant.origins) or _no_origins(tenant),
            "Zapier client": _client(tenant),
            "own apps": "\n".join(tenant.own_apps),
        }
        for tenant in tenants
    ]
    return Rows(groups=(("tenant", "name"), ("origins",), ("Zapier client", "own apps")), rows=rows)


def _no_origins(tenant: Tenant) -> str:
    """The default tenant's are a setting, which processes may have from elsewhere: `zapwright up` adds its own."""
    return "none in ZAPWRIGHT_ORIGINS here" if tenant.id == DEFAULT_TENANT else "none: no page can use it"


def _client(tenant: Tenant) -> str:
    client = tenant.zapier_client_id or "the deployment's"
    return f"{client}, with a secret" if tenant.has_client_secret else client
