"""Errors as HTTP: a problem document (RFC 9457) for each, and the only place that knows statuses.

ZapwrightError
├── … (the core's own)
└── RequestError                  the request never reached a use case
    ├── UnauthorizedError
    │   ├── TokenExpiredError
    │   └── TokenInvalidError
    ├── ScopeMissingError
    ├── OriginRefusedError
    ├── RouteNotFoundError
    ├── MethodNotAllowedError
    ├── BodyTooLargeError
    ├── BodyLateError
    ├── BodyUnreadableError       not JSON, too deep, or with values that no store keeps
    ├── MediaTypeError
    ├── RequestInvalidError
    ├── TooManyStreamsError
    └── InternalError             ours, not the caller's
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Final

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from api.schemas.problems import Flaw, Problem
from api.schemas.wording import said_of
from orchestrator.core.errors.base import NotFoundError, SignalRefusedError, ZapwrightError
from orchestrator.core.errors.credentials import CredentialRefusedError, SignInRefusedError, SignInRequiredError
from orchestrator.core.errors.requests import IdempotencyInFlightError, IdempotencyKeyReusedError
from orchestrator.core.errors.sessions import PreconditionFailedError
from orchestrator.core.errors.store import (
    GuardFailedError,
    LaneLostError,
    LeaseLostError,
    ReferenceTakenError,
    StaleVersionError,
    StoreError,
    StoreUnavailableError,
)
from orchestrator.core.errors.tenants import ClientMissingError, TenantTakenError
from orchestrator.core.errors.upstream import FieldsRefusedError, UpstreamBusyError, UpstreamError
from orchestrator.core.errors.webhooks import DeliveryUnderWayError, EndpointUrlRefusedError, TooManyEndpointsError
from orchestrator.core.session import SECOND

log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
MOST_FLAWS: Final = 20

_LONGEST_PLACE: Final = 200
_STORE_WAIT_S: Final = 1
_STREAM_WAIT_S: Final = 10


class RequestError(ZapwrightError):
    """The request never reached a use case."""

    code = "request"


class UnauthorizedError(RequestError):
    """A key is needed."""

    code = "unauthorized"

    def __init__(self, message: str = "send a key of this deployment as `Authorization: Bearer …`") -> None:
        super().__init__(message)


class TokenExpiredError(UnauthorizedError):
    """The client token is no longer good."""

    code = "token_expired"

    def __init__(self) -> None:
        super().__init__("this client token has expired: get a new one from your backend, then repeat the request")


class TokenInvalidError(UnauthorizedError):
    """This is no client token of this deployment."""

    code = "token_invalid"

    def __init__(self, *, why: str) -> None:
        super().__init__(f"this client token cannot be used ({why}): get a new one from your backend")


class ScopeMissingError(RequestError):
    """The caller may not do this."""

    code = "scope_missing"

    def __init__(self, *, scope: str) -> None:
        super().__init__(f"this needs an API key with the scope {scope}", scope=scope)


class OriginRefusedError(RequestError):
    """The page's origin is not one of the caller's."""

    code = "origin_refused"

    def __init__(self, *, origin: str) -> None:
        super().__init__(
            f"{origin[:_LONGEST_PLACE]!r} is no origin of this caller's pages: add it to the tenant's origins",
            origin=origin[:_LONGEST_PLACE],
        )


class RouteNotFoundError(RequestError):
    """There is nothing at this address."""

    code = "route_not_found"

    def __init__(self, *, path: str) -> None:
        super().__init__(f"no route has the path {path[:_LONGEST_PLACE]!r}")


class MethodNotAllowedError(RequestError):
    """This address does not take the method."""

    code = "method_not_allowed"

    def __init__(self, *, method: str, allowed: str) -> None:
        self.allowed = allowed
        super().__init__(f"{method[:_LONGEST_PLACE]} is not allowed here; {allowed} is", allowed=allowed.split(", "))


class BodyTooLargeError(RequestError):
    """The body is larger than this deployment reads."""

    code = "body_too_large"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"the body has more than {limit} bytes", limit=limit)


class BodyLateError(RequestError):
    """The body did not arrive in time."""

    code = "body_late"

    def __init__(self, *, limit_s: float) -> None:
        super().__init__(f"the body was not there after {limit_s:g} seconds: repeat the request", limit_s=limit_s)


class BodyUnreadableError(RequestError):
    """The body is not JSON, or not JSON that can be kept."""

    code = "body_unreadable"

    def __init__(self, *, why: str) -> None:
        super().__init__(f"the body cannot be read: {why}", why=why)


class MediaTypeError(RequestError):
    """A body must say that it is JSON."""

    code = "media_type_unsupported"

    def __init__(self) -> None:
        super().__init__("send the body as `Content-Type: application/json`")


class RequestInvalidError(RequestError):
    """The request does not have the documented form."""

    code = "request_invalid"

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        self.flaws = list(flaws[:MOST_FLAWS])
        said = "; ".join(f"{flaw.parameter or flaw.pointer or 'body'}: {flaw.detail}" for flaw in self.flaws[:3])
        more = f" (and {len(flaws) - 3} more)" if len(flaws) > 3 else ""  # noqa: PLR2004 - as many as a person reads
        super().__init__(said + more)

    @classmethod
    def of_parameter(cls, parameter: str, detail: str) -> RequestInvalidError:
        """Say what is wrong with one parameter."""
        return cls([Flaw(parameter=parameter, detail=detail)])


class TooManyStreamsError(RequestError):
    """The session has, or lately had, as many streams as it may."""

    code = "too_many_streams"

    def __init__(self, *, most: int) -> None:
        super().__init__(f"this session has, or had within a minute, {most} streams: share one among tabs", most=most)


class InternalError(RequestError):
    """Something went wrong here."""

    code: ClassVar[str] = "internal_error"

    def __init__(self) -> None:
        super().__init__("this is our fault; its reference finds what happened in the log")


STATUS: Final[Mapping[type[ZapwrightError], HTTPStatus]] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    TenantTakenError: HTTPStatus.CONFLICT,
    EndpointUrlRefusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooManyEndpointsError: HTTPStatus.CONFLICT,
    DeliveryUnderWayError: HTTPStatus.CONFLICT,
    SignalRefusedError: HTTPStatus.CONFLICT,
    PreconditionFailedError: HTTPStatus.PRECONDITION_FAILED,
    IdempotencyKeyReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    IdempotencyInFlightError: HTTPStatus.CONFLICT,
    SignInRequiredError: HTTPStatus.CONFLICT,
    CredentialRefusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    SignInRefusedError: HTTPStatus.FORBIDDEN,
    ClientMissingError: HTTPStatus.CONFLICT,
    UpstreamError: HTTPStatus.BAD_GATEWAY,
    UpstreamBusyError: HTTPStatus.SERVICE_UNAVAILABLE,
    FieldsRefusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    StaleVersionError: HTTPStatus.CONFLICT,
    GuardFailedError: HTTPStatus.CONFLICT,
    ReferenceTakenError: HTTPStatus.CONFLICT,
    LeaseLostError: HTTPStatus.CONFLICT,
    LaneLostError: HTTPStatus.CONFLICT,
    UnauthorizedError: HTTPStatus.UNAUTHORIZED,
    ScopeMissingError: HTTPStatus.FORBIDDEN,
    OriginRefusedError: HTTPStatus.FORBIDDEN,
    RouteNotFoundError: HTTPStatus.NOT_FOUND,
    MethodNotAllowedError: HTTPStatus.METHOD_NOT_ALLOWED,
    BodyTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    BodyLateError: HTTPStatus.REQUEST_TIMEOUT,
    BodyUnreadableError: HTTPStatus.BAD_REQUEST,
    MediaTypeError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    RequestInvalidError: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooManyStreamsError: HTTPStatus.TOO_MANY_REQUESTS,
    InternalError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Error class → status; a class without a line of its own has its base's."""


def status_of(kind: type[ZapwrightError]) -> HTTPStatus:
    """Return the status an error of this class is answered with. Raises LookupError when it has none."""
    found = next((STATUS[base] for base in kind.__mro__ if base in STATUS), None)
    if found is None:
        raise LookupError(kind.__name__)
    return found


def title_of(kind: type[ZapwrightError]) -> str:
    """Return what every error of this class has in common, in words; `code` says the same to programs."""
    return (kind.__doc__ or kind.code).partition("\n")[0].rstrip(".")


def type_of(kind: type[ZapwrightError]) -> str:
    """Return the URI that names this kind of problem."""
    return f"urn:zapwright:problem:{kind.code}"


def problem(error: ZapwrightError, scope: Scope) -> Response:
    """Return the answer for an error, and log it under the request's reference."""
    status = status_of(type(error))
    record = log.warning if status >= HTTPStatus.INTERNAL_SERVER_ERROR else log.info
    # An address that leads nowhere is shown to who asked for it alone: it may be a link, or a token, that went astray.
    detail = {} if isinstance(error, RouteNotFoundError) else {"detail": error.message}
    record("problem", code=error.code, status=status.value, **detail)
    document = Problem(
        type=type_of(type(error)),
        title=title_of(type(error)),
        status=status.value,
        detail=error.message,
        code=error.code,
        reference=scope.get("state", {}).get("reference", ""),
        facts=error.facts,
        errors=error.flaws if isinstance(error, RequestInvalidError) else None,
    )
    content = document.model_dump(mode="json", exclude_none=True)
    return JSONResponse(content, status.value, headers=_headers(error), media_type=MEDIA_TYPE)


HANDLED: Final = (ZapwrightError, RequestValidationError, HTTPException)
"""What `answer` knows an answer to."""


async def answer(request: Request, error: Exception) -> Response:
    """Answer an exception that left a route; those not foreseen here go on, and are answered as InternalError."""
    match error:
        case ZapwrightError():
            return problem(error, request.scope)
        case RequestValidationError():
            return problem(RequestInvalidError([_flaw(found) for found in error.errors()]), request.scope)
        case HTTPException():
            return problem(_of_framework(request, error), request.scope)
        case _:
            raise error


def _of_framework(request: Request, error: HTTPException) -> RequestError:
    """Translate what the framework raises by itself."""
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            return RouteNotFoundError(path=request.url.path)
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return MethodNotAllowedError(method=request.method, allowed=_allowed(request))
        case HTTPStatus.BAD_REQUEST:
            return BodyUnreadableError(why=str(error.detail))
        case _:
            raise error


def _allowed(request: Request) -> str:
    """Name the methods taken at this address: it is that of the first route with such a path, and of its namesakes."""
    known = (*getattr(request.app, "resources", ()), *request.app.routes)
    routes = [
        route for route in known if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    ]
    methods = {method for route in routes if route.path == routes[0].path for method in route.methods or ()}
    return ", ".join(sorted(methods))


def _headers(error: ZapwrightError) -> dict[str, str]:
    match error:
        case UnauthorizedError():
            return {"WWW-Authenticate": "Bearer"}
        case MethodNotAllowedError():
            return {"Allow": error.allowed}
        case BodyTooLargeError() | BodyLateError():
            return {"Connection": "close"}  # the rest of the body is not read
        case PreconditionFailedError():
            return {"ETag": f'"{error.seq}"'}
        case UpstreamBusyError() | IdempotencyInFlightError():
            return {"Retry-After": str(max(1, math.ceil(error.retry_after / SECOND)))}
        case StoreUnavailableError():
            return {"Retry-After": str(_STORE_WAIT_S)}
        case TooManyStreamsError():
            return {"Retry-After": str(_STREAM_WAIT_S)}
        case _:
            return {}


def _flaw(found: Mapping[str, Any]) -> Flaw:
    """Say where a value was not as documented and what should be there; the value itself is not repeated."""
    where, *path = found["loc"]
    if where == "body":
        return Flaw(pointer=_pointer(path), detail=said_of(found))
    return Flaw(parameter=str(path[0] if path else where)[:_LONGEST_PLACE], detail=said_of(found))


def _pointer(path: Iterable[object]) -> str:
    """Write a place in the body as a JSON pointer (RFC 6901), cut to a length that an answer can bear."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return "".join(f"/{part}" for part in parts)[:_LONGEST_PLACE]
