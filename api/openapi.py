"""The description of the API (`/openapi.json`): which problems each route may answer with, and their shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema
from starlette.types import ASGIApp

from api import views
from api.auth import Needs
from api.errors import (
    MEDIA_TYPE,
    BodyLateError,
    BodyTooLargeError,
    BodyUnreadableError,
    InternalError,
    MediaTypeError,
    OriginRefusedError,
    RequestInvalidError,
    ScopeMissingError,
    TokenExpiredError,
    TokenInvalidError,
    TooManyStreamsError,
    UnauthorizedError,
    status_of,
    title_of,
)
from api.schemas import answers
from api.schemas.problems import Problem
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.requests import IdempotencyInFlightError, IdempotencyKeyReusedError
from orchestrator.core.errors.sessions import (
    PreconditionFailedError,
    SessionLockedError,
    SessionNotFoundError,
    StepNotFoundError,
)
from orchestrator.core.errors.store import GuardFailedError, StaleVersionError, StoreUnavailableError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamRefusedError, UpstreamUnavailableError
from orchestrator.core.events import CATALOGUE, EventName, example
from orchestrator.core.events import Kind as EventKind
from orchestrator.core.session import Instant

Kind = type[ZapwrightError]

WITHOUT_KEY: Final[tuple[Kind, ...]] = (
    BodyLateError,
    BodyTooLargeError,
    BodyUnreadableError,
    MediaTypeError,
    InternalError,
)
ALWAYS: Final[tuple[Kind, ...]] = (
    *WITHOUT_KEY,
    UnauthorizedError,
    TokenExpiredError,
    TokenInvalidError,
    ScopeMissingError,
    OriginRefusedError,
    RequestInvalidError,
    StoreUnavailableError,
)
SESSION: Final[tuple[Kind, ...]] = (SessionNotFoundError,)
COMMIT: Final[tuple[Kind, ...]] = (*SESSION, SessionLockedError, StaleVersionError, GuardFailedError)
STEP: Final[tuple[Kind, ...]] = (*COMMIT, StepNotFoundError)
CONDITIONAL: Final[tuple[Kind, ...]] = (PreconditionFailedError,)
KEYED: Final[tuple[Kind, ...]] = (IdempotencyKeyReusedError,)
UPSTREAM: Final[tuple[Kind, ...]] = (
    SignInRequiredError,
    UpstreamBusyError,
    UpstreamUnavailableError,
    UpstreamRefusedError,
)

API_KEY: Final = "api_key"
CLIENT_TOKEN: Final = "client_token"  # noqa: S105 - the name of a scheme
SCHEMES: Final = {
    API_KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "A backend's or an operator's key. Each operation names the scope it must have in `x-scope`.",
    },
    CLIENT_TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A page's token: good for one session, for minutes, from the tenant's origins.",
    },
}

_REF: Final = "#/components/schemas/{model}"
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}

ETAG: Final = {"ETag": {"description": "The session's `seq`, quoted.", "schema": {"type": "string"}}}
REPLAY: Final = {
    "Idempotency-Replayed": {
        "description": "`true` when the request had been carried out before, and this is what is known of it.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}


def problems(*kinds: Kind, always: tuple[Kind, ...] = ALWAYS) -> dict[int | str, dict[str, Any]]:
    """Describe the problems a route may answer with, those of every route included, by status."""
    by_status: dict[int | str, list[Kind]] = {}
    for kind in dict.fromkeys((*always, *kinds)):
        by_status.setdefault(status_of(kind).value, []).append(kind)
    return {status: _answer(found) for status, found in sorted(by_status.items(), key=str)}


def _answer(kinds: list[Kind]) -> dict[str, Any]:
    codes = {"properties": {"code": {"enum": sorted(kind.code for kind in kinds)}}}
    answer: dict[str, Any] = {
        "description": "  \n".join(f"`{kind.code}`: {title_of(kind)}." for kind in kinds),
        "content": {MEDIA_TYPE: {"schema": {"allOf": [{"$ref": _REF.format(model=Problem.__name__)}, codes]}}},
    }
    headers = (_RETRY_AFTER if any(_asks_to_wait(kind) for kind in kinds) else {}) | (
        ETAG if PreconditionFailedError in kinds else {}
    )
    return answer | ({"headers": headers} if headers else {})


def _asks_to_wait(kind: Kind) -> bool:
    return issubclass(kind, UpstreamBusyError | StoreUnavailableError | IdempotencyInFlightError | TooManyStreamsError)


class Api(FastAPI):
    """An application whose description has the shape of its problems, and says what each route needs.

    `resources`: the routes of its resources, in the order in which they are asked.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the framework's own
        self.resources: list[APIRoute] = []
        super().__init__(**options)

    def add(self, resource: APIRouter) -> None:
        """Serve the routes of a resource as they are.

        Included the framework's way, all would be made again for each application, while the first request waits that
        is answered the ordinary way.
        """
        routes = [route for route in resource.routes if isinstance(route, APIRoute)]
        for route in routes:
            route.unique_id = route.name  # the id of its operation
        self.resources += routes
        self.router.routes += routes

    def build_middleware_stack(self) -> ASGIApp:
        """Begin with the first middleware of ours; those of the framework's around it have nothing to do.

        They answer what fails, measure it, and limit bodies, as `Trace` and `BodyLimits` do.
        """
        stack: Any = super().build_middleware_stack()
        while self.user_middleware and not isinstance(stack, cast("type", self.user_middleware[0].cls)):
            stack = stack.app
        return cast("ASGIApp", stack)

    def openapi(self) -> dict[str, Any]:
        """Return the description of every route."""
        if self.openapi_schema is None:
            _, shapes = models_json_schema([(Problem, "serialization")], ref_template=_REF)
            described = super().openapi()
            message, shown = _message_schema()
            described["components"]["schemas"] |= {**shown, **described["components"]["schemas"], **shapes["$defs"]}
            described["webhooks"] = {name.value: _webhook(name, kind, message) for name, kind in CATALOGUE.items()}
            described["components"]["securitySchemes"] = SCHEMES
            for route, needs in self.needs():
                for method in route.methods or ():
                    described["paths"][route.path_format][method.lower()] |= _security(needs)
        return super().openapi()

    def needs(self) -> Iterator[tuple[APIRoute, Needs]]:
        """Give every route that asks something of its caller, with what that is."""
        for route in self.resources:
            for dependency in route.dependencies:
                if isinstance(dependency.dependency, Needs):
                    yield route, dependency.dependency


def _message_schema() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of what endpoints are sent, and the shapes it refers to."""
    shape = TypeAdapter(answers.WebhookMessage)
    found, schemas = TypeAdapter.json_schemas([("message", "serialization", shape)], ref_template=_REF)
    return found["message", "serialization"], schemas["$defs"]


def _webhook(name: EventName, kind: EventKind, message: dict[str, Any]) -> dict[str, Any]:
    shown = example(name, seq=7, at=_EXAMPLE_AT)
    content = {
        "schema": {"allOf": [message, {"properties": {"type": {"const": name.value}}}]},
        "x-data-example": views.data(shown.data),
    }
    return {
        "post": {
            "operationId": f"hear_{name}",
            "summary": name.value,
            "description": f"Sent when {kind.when}." + (" An outcome: sent by default." if kind.is_outcome else ""),
            "parameters": _MESSAGE_HEADERS,
            "requestBody": {"required": True, "content": {"application/json": content}},
            "responses": _RECEIVED,
            "x-schema": kind.schema,
        }
    }


_EXAMPLE_AT: Final[Instant] = 1_764_072_000_250
_MESSAGE_HEADERS: Final = [
    {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
    for name, text in {
        "webhook-id": "The message's id: the same for every try, so that a duplicate can be told.",
        "webhook-timestamp": "When this try was made, in seconds since the Unix epoch.",
        "webhook-signature": "`v1,` and a signature for each live secret, separated by spaces (Standard Webhooks).",
    }.items()
]
_RECEIVED: Final = {
    "2XX": {"description": "Received; it is not sent again."},
    "410": {"description": "Nobody listens here any more: the endpoint is paused."},
    "default": {"description": "Not received; it is sent again later, not before `Retry-After` says."},
}


def _security(needs: Needs) -> dict[str, Any]:
    schemes = (API_KEY, CLIENT_TOKEN) if needs.client_token else (API_KEY,)
    return {"security": [{scheme: []} for scheme in schemes], "x-scope": needs.scope.value}
