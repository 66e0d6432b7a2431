"""Tenants, and the keys by which their backends are known."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from orchestrator.core.session import Instant

DEFAULT_TENANT: Final = "default"
"""The tenant that is always there; the settings describe it."""

KEY_PREFIX: Final = "zwk_"


class Scope(StrEnum):
    """What a key may do."""

    SESSIONS_READ = "sessions:read"
    SESSIONS_WRITE = "sessions:write"
    USERS_WRITE = "users:write"
    VIEWER = "viewer"
    OPERATOR = "operator"


TENANT_SCOPES: Final = frozenset({Scope.SESSIONS_READ, Scope.SESSIONS_WRITE, Scope.USERS_WRITE})
"""All that a tenant's key can have; an operator's key has its role alone."""

ROLES: Final = frozenset({Scope.VIEWER, Scope.OPERATOR})
"""What an operator's key can have, one of them: a viewer looks, an operator looks and acts."""

_TENANT_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_KEY: Final = re.compile(rf"{KEY_PREFIX}([a-z0-9]{{1,64}})_([A-Za-z0-9_-]{{32,128}})")
_OWN_APP: Final = re.compile(r"[!-*,-<>-~]{1,128}")
_OWN_FIELD: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_HOST: Final = re.compile(r"[a-z0-9.-]+|\[[0-9a-f:.]+\]")
_USUAL_PORT: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, kw_only=True)
class OwnApp:
    """An app of a tenant's own: its id at Zapier, and what its authentications are made of.

    `fields` are the names of its authentication scheme's fields, as far as the tenant says them: Zapier tells them
    nobody (its reference of `POST /v2/authentications` takes any).
    """

    id: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """A company whose product uses this deployment.

    `origins` are those of its pages, `own_apps` its own apps at Zapier, as `own_app_of` reads them.
    `zapier_client_id` None: the deployment's own. The client secret is not among these; it is asked for where it is
    needed.
    """

    id: str
    name: str
    origins: tuple[str, ...] = ()
    zapier_client_id: str | None = None
    has_client_secret: bool = False
    own_apps: tuple[str, ...] = ()
    created_at: Instant

    @property
    def public_name(self) -> str | None:
        """What users know it by; None while it has no name but that of the tenant which is always there."""
        return None if self.name in {"", DEFAULT_TENANT} else self.name

    def own_app(self, app_id: str) -> OwnApp | None:
        """Return the app, if it is one of the tenant's own."""
        return next((app for text in self.own_apps if (app := own_app_of(text)).id == app_id), None)


@dataclass(frozen=True, kw_only=True)
class TenantChange:
    """What becomes different about a tenant; None leaves it as it is."""

    name: str | None = None
    origins: tuple[str, ...] | None = None
    zapier_client_id: str | None = None
    client_secret: str | None = None
    own_apps: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """What is kept of a key: everything but its secret. `last_used_at` is about.

    `tenant_id` None: an operator's, which sees the tenants in `sees`, or every one when that is None.
    """

    id: str
    tenant_id: str | None
    name: str
    scopes: frozenset[Scope]
    digest: str
    created_at: Instant
    sees: frozenset[str] | None = None
    last_used_at: Instant | None = None
    revoked_at: Instant | None = None

    @property
    def allowed(self) -> frozenset[Scope]:
        """All that the key may do: who may act may look, too."""
        return self.scopes | {Scope.VIEWER} if Scope.OPERATOR in self.scopes else self.scopes

    def opens(self, secret: str) -> bool:
        """Tell, in a time that says nothing, whether this is the key's secret and the key was not revoked."""
        return hmac.compare_digest(digest_of(secret), self.digest) and self.revoked_at is None


def digest_of(secret: str) -> str:
    """Return what is kept of a secret: it is random and long, so that a plain hash cannot be turned back."""
    return hashlib.sha256(secret.encode()).hexdigest()


def key_text(key_id: str, secret: str) -> str:
    """Write a key as its owner sends it."""
    return f"{KEY_PREFIX}{key_id}_{secret}"


def parts_of_key(text: str) -> tuple[str, str] | None:
    """Read `key_text` back: the id and the secret, None for what is no key."""
    found = _KEY.fullmatch(text)
    return (found[1], found[2]) if found else None


def tenant_id_of(text: str) -> str:
    """Return a tenant's id. Raises ValueError for what is none."""
    if not _TENANT_ID.fullmatch(text):
        raise ValueError(f"{text!r} is no id of a tenant: up to 63 of a-z, 0-9 and -, not beginning with -")
    return text


def own_app_of(text: str) -> OwnApp:
    """Read an app of a tenant's own: `id`, or `id=username+password` with the names of its fields.

    Raises ValueError for what is none.
    """
    app_id, _, named = text.strip().partition("=")
    fields = tuple(named.split("+")) if named else ()
    if not _OWN_APP.fullmatch(app_id) or not all(_OWN_FIELD.fullmatch(name) for name in fields):
        raise ValueError(f"{text!r} is no app of one's own: write its id, or id=username+password with its fields")
    return OwnApp(id=app_id, fields=fields)


def origin_of(text: str) -> str:
    """Return an origin as browsers write it. Raises ValueError for what is none, or names more than an origin."""
    refusal = ValueError(f"{text!r} is no origin: write it as https://app.example.com, without a path")
    try:
        url = urlsplit(text.strip().lower())
        port = url.port
    except ValueError:
        raise refusal from None
    host = url.netloc.rpartition(":")[0] if port is not None else url.netloc
    if url.scheme not in _USUAL_PORT or not _HOST.fullmatch(host) or url.path.strip("/") or url.query or url.fragment:
        raise refusal
    return f"{url.scheme}://{host}" + ("" if port in {None, _USUAL_PORT[url.scheme]} else f":{port}")
