"""Who may ask for what: the caller a request names, and the scope that each route needs."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from pydantic import SecretStr

from api.errors import ScopeMissingError, UnauthorizedError
from api.schemas.fields import SessionId
from orchestrator.core.errors import SessionNotFoundError
from orchestrator.core.session import SessionKey
from orchestrator.core.tenants import TENANT_SCOPES, Scope
from orchestrator.settings import DEFAULT_TENANT

_SCHEME: Final = "bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and what they may do. `session_id`: the only session there is for them."""

    tenant_id: str | None
    scopes: frozenset[Scope]
    session_id: str | None = None

    def key(self, session_id: str) -> SessionKey:
        """Return the session as the caller may name it. Raises SessionNotFoundError."""
        if self.tenant_id is None or self.session_id not in {None, session_id}:
            raise SessionNotFoundError(session_id=session_id)
        return SessionKey(tenant_id=self.tenant_id, session_id=session_id)


class ApiKeyMissingError(Exception):
    """The API does not start without a key: everybody could use it."""

    def __init__(self) -> None:
        super().__init__("ZAPWRIGHT_API_KEY is not set: choose a long random key; backends send it as a bearer token")


class Callers:
    """Knows who callers are. Raises ApiKeyMissingError when there is no key by which anybody could be known."""

    def __init__(self, api_key: SecretStr | None) -> None:
        key = api_key.get_secret_value() if api_key is not None else ""
        if not key.strip():
            raise ApiKeyMissingError
        self._hash = _hash(key)

    async def find(self, bearer: str) -> Caller:
        """Return whose key this is, in a time that tells nothing about it. Raises UnauthorizedError."""
        if not hmac.compare_digest(_hash(bearer), self._hash):
            raise UnauthorizedError
        return Caller(tenant_id=DEFAULT_TENANT, scopes=TENANT_SCOPES)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a route asks of its caller: an API key with this scope, or, if it says so, a client token of its session.

    It stands among the route's dependencies, is checked before anything else is, and is shown by the API's description.
    """

    scope: Scope
    client_token: bool = False

    async def __call__(self, request: Request) -> None:
        """Let the caller through. Raises UnauthorizedError, ScopeMissingError."""
        callers: Callers = request.app.state.callers
        caller = await callers.find(bearer_of(request.headers.get("authorization", "")))
        if self.scope not in caller.scopes:
            raise ScopeMissingError(scope=self.scope)
        request.state.caller = caller


PAGE_READS: Final = Depends(Needs(Scope.SESSIONS_READ, client_token=True))
PAGE_WRITES: Final = Depends(Needs(Scope.SESSIONS_WRITE, client_token=True))
BACKEND_READS: Final = Depends(Needs(Scope.SESSIONS_READ))
BACKEND_WRITES: Final = Depends(Needs(Scope.SESSIONS_WRITE))
USERS_WRITE: Final = Depends(Needs(Scope.USERS_WRITE))


def bearer_of(authorization: str) -> str:
    """Return what the header carries. Raises UnauthorizedError."""
    scheme, _, bearer = authorization.partition(" ")
    if scheme.lower() != _SCHEME or not bearer.strip():
        raise UnauthorizedError
    return bearer.strip()


async def _caller(request: Request) -> Caller:
    """Return who was let through; a route that forgot to say what it needs has nobody, and fails."""
    caller: Caller = request.state.caller
    return caller


async def _tenant_id(caller: CallerDep) -> str:
    if caller.tenant_id is None:
        raise UnauthorizedError
    return caller.tenant_id


async def _session_key(session_id: SessionId, caller: CallerDep) -> SessionKey:
    return caller.key(session_id)


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


CallerDep = Annotated[Caller, Depends(_caller)]
TenantId = Annotated[str, Depends(_tenant_id)]
SessionDep = Annotated[SessionKey, Depends(_session_key)]
"""The session that the address names, as the caller may name it. No route has another way to one."""
