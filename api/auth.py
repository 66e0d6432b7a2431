"""Who may ask for what: the caller a request names, and the scope that each route needs."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from fastapi import Depends, Request
from pydantic import SecretStr
from structlog.contextvars import bind_contextvars

from api.cors import ALLOWED
from api.errors import OriginRefusedError, ScopeMissingError, UnauthorizedError
from api.headers import header
from api.quick import of_process
from api.schemas.fields import SessionId
from api.tokens import ClientTokens, is_token
from orchestrator.core.errors.sessions import SessionNotFoundError, StepNotFoundError
from orchestrator.core.ports.around import Clock
from orchestrator.core.session import SECOND, Instant, SessionKey
from orchestrator.core.tenants import TENANT_SCOPES, ApiKey, Scope, Tenant, digest_of
from orchestrator.directory import Directory

_SCHEME: Final = "bearer"
_CALLER: Final = "caller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, what they may do, and from which origins.

    `session_id`: the only session there is for them; `until`: when they are nobody any more.

    `step_id`: the only step of it, where they are our own connect page.

    Who has a client token has no scopes: what the token is good for is said by each route.

    `operator`: who it is, where they are one.
    """

    tenant_id: str | None
    scopes: frozenset[Scope]
    origins: frozenset[str] = frozenset()
    session_id: str | None = None
    until: Instant | None = None
    step_id: str | None = None
    operator: Operator | None = None

    def key(self, session_id: str) -> SessionKey:
        """Return the session as the caller may name it. Raises SessionNotFoundError."""
        if self.tenant_id is None or self.session_id not in {None, session_id}:
            raise SessionNotFoundError(session_id=session_id)
        return SessionKey(tenant_id=self.tenant_id, session_id=session_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator, or a viewer, as their key says: who they are, and which tenants they see (None: every one)."""

    key_id: str
    name: str
    role: Literal["viewer", "operator"]
    sees: frozenset[str] | None = None

    @classmethod
    def of(cls, key: ApiKey) -> Operator:
        """Return whose key it is."""
        may_act = Scope.OPERATOR in key.scopes
        return cls(key_id=key.id, name=key.name, role="operator" if may_act else "viewer", sees=key.sees)

    def may_see(self, tenant_id: str) -> bool:
        """Tell whether what is this tenant's is theirs to see."""
        return self.sees is None or tenant_id in self.sees

    def within(self, tenant_id: str | None) -> frozenset[str] | None:
        """Return the tenants to look in when this one is asked for, or none in particular; None: in every one.

        Who asks for one that is not theirs to see looks nowhere.
        """
        if tenant_id is None:
            return self.sees
        return frozenset({tenant_id}) if self.may_see(tenant_id) else frozenset()


class ApiKeyMissingError(Exception):
    """The API does not start while there is no key by which anybody could be let in."""

    def __init__(self) -> None:
        super().__init__(
            "ZAPWRIGHT_API_KEY is not set and no other API key was made: choose a long random key that your backend "
            "sends as a bearer token, or make keys with `zapwright api-keys create`"
        )


class Callers:
    """Knows who callers are: `api_key` is the default tenant's, other keys are in the directory, tokens are read."""

    def __init__(
        self, directory: Directory, *, tokens: ClientTokens, clock: Clock, api_key: SecretStr | None = None
    ) -> None:
        self._tokens = tokens
        self._clock = clock
        key = api_key.get_secret_value().strip() if api_key is not None else ""
        self._directory = directory
        self._digest = digest_of(key) if key else None
        self._default = _backend(directory.default, TENANT_SCOPES)

    async def check(self) -> None:
        """Raise ApiKeyMissingError when nobody could be let in, StoreError when that cannot be told."""
        if self._digest is None and not await self._directory.has_keys():
            raise ApiKeyMissingError

    async def find(self, bearer: str) -> Caller:
        """Return whose key or token this is, in a time that tells nothing about it.

        Raises UnauthorizedError, StoreError. For a token the store is not asked.
        """
        if self._digest is not None and hmac.compare_digest(digest_of(bearer), self._digest):
            return self._default
        if is_token(bearer):
            claims = self._tokens.read(bearer, now=self._clock.now())
            return Caller(
                tenant_id=claims.tid,
                scopes=frozenset(),
                origins=frozenset(claims.origins),
                session_id=claims.sid,
                until=claims.exp * SECOND,
                step_id=claims.step,
            )
        key = await self._directory.key(bearer)
        if key is None:
            raise UnauthorizedError
        if key.tenant_id is None:
            return Caller(tenant_id=None, scopes=key.allowed, operator=Operator.of(key))
        tenant = await self._directory.tenant(key.tenant_id)
        if tenant is None:
            raise UnauthorizedError
        return _backend(tenant, key.scopes)

    def developer(self) -> Caller:
        """Return who may do what the default tenant's backend may."""
        return _backend(self._directory.default, TENANT_SCOPES)


def _backend(tenant: Tenant, scopes: frozenset[Scope]) -> Caller:
    return Caller(tenant_id=tenant.id, scopes=scopes, origins=frozenset(tenant.origins))


@of_process
async def _callers(request: Request) -> Callers:
    callers: Callers = request.app.state.callers
    return callers


CallersDep = Annotated[Callers, Depends(_callers)]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a route asks of its caller: an API key with this scope, or, if it says so, a client token of its session.

    `connects`: a token for one step alone will do, for it helps to connect that step.

    It stands among the route's dependencies, is checked before anything else is, and is shown by the API's description.
    """

    scope: Scope
    client_token: bool = False
    connects: bool = False

    async def __call__(self, request: Request, callers: CallersDep) -> None:
        """Let the caller through.

        Raises UnauthorizedError, ScopeMissingError, OriginRefusedError, StepNotFoundError for what is not the token's.
        """
        caller = await callers.find(bearer_of(header(request.scope, b"authorization") or ""))
        _check_origin(caller, request)
        if not self._is_met_by(caller):
            raise ScopeMissingError(scope=self.scope)
        _check_step(caller, request)
        request.scope["state"][_CALLER] = caller
        if caller.tenant_id is not None:
            bind_contextvars(tenant=caller.tenant_id)

    def _is_met_by(self, caller: Caller) -> bool:
        if caller.session_id is None:
            return self.scope in caller.scopes
        return self.client_token if caller.step_id is None else self.connects


PAGE_READS: Final = Depends(Needs(Scope.SESSIONS_READ, client_token=True))
PAGE_WRITES: Final = Depends(Needs(Scope.SESSIONS_WRITE, client_token=True))
STEP_READS: Final = Depends(Needs(Scope.SESSIONS_READ, client_token=True, connects=True))
STEP_WRITES: Final = Depends(Needs(Scope.SESSIONS_WRITE, client_token=True, connects=True))
BACKEND_READS: Final = Depends(Needs(Scope.SESSIONS_READ))
BACKEND_WRITES: Final = Depends(Needs(Scope.SESSIONS_WRITE))
USERS_WRITE: Final = Depends(Needs(Scope.USERS_WRITE))
VIEWERS: Final = Depends(Needs(Scope.VIEWER))
OPERATORS: Final = Depends(Needs(Scope.OPERATOR))


async def _be_developer(request: Request) -> None:
    """Take whoever asks for the default tenant's backend: for routes that exist only before the simulator.

    Raises OriginRefusedError.
    """
    callers: Callers = request.app.state.callers
    caller = callers.developer()
    _check_origin(caller, request)
    request.scope["state"][_CALLER] = caller


DEVELOPERS: Final = Depends(_be_developer)


def _check_origin(caller: Caller, request: Request) -> None:
    """Browsers name the origin of a page that calls; backends name none. Raises OriginRefusedError."""
    origin = header(request.scope, b"origin")
    if origin is None:
        return
    is_allowed = origin in caller.origins
    request.scope["state"][ALLOWED] = is_allowed
    if not is_allowed:
        raise OriginRefusedError(origin=origin)


def _check_step(caller: Caller, request: Request) -> None:
    """See to it that whoever has one step asks for no other. Raises StepNotFoundError."""
    asked = request.path_params.get("step_id")
    if caller.step_id is not None and asked is not None and asked != caller.step_id:
        raise StepNotFoundError(session_id=caller.session_id or "", step_id=asked)


def bearer_of(authorization: str) -> str:
    """Return what the header carries. Raises UnauthorizedError."""
    scheme, _, bearer = authorization.partition(" ")
    if scheme.lower() != _SCHEME or not bearer.strip():
        raise UnauthorizedError
    return bearer.strip()


async def _caller(request: Request) -> Caller:
    """Return who was let through; a route that forgot to say what it needs has nobody, and fails."""
    caller: Caller = request.scope["state"][_CALLER]
    return caller


async def _tenant_id(caller: CallerDep) -> str:
    if caller.tenant_id is None:
        raise UnauthorizedError
    return caller.tenant_id


async def _session_key(session_id: SessionId, caller: CallerDep) -> SessionKey:
    return caller.key(session_id)


async def _operator(caller: CallerDep) -> Operator:
    if caller.operator is None:
        raise UnauthorizedError
    return caller.operator


CallerDep = Annotated[Caller, Depends(_caller)]
TenantId = Annotated[str, Depends(_tenant_id)]
SessionDep = Annotated[SessionKey, Depends(_session_key)]
"""The session that the address names, as the caller may name it. No other route but operators' has a way to one."""
OperatorDep = Annotated[Operator, Depends(_operator)]
"""Who looks or acts, and which tenants they may see."""
