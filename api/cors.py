"""Which pages' scripts may call the API, and read its answers (ASGI middleware; the Fetch standard, CORS).

A preflight carries no token, so it is answered for the origin of any tenant's page. The request itself says who asks:
then the caller's own origins count (`api.auth.Needs`). Cookies are never allowed.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import OriginRefusedError, problem
from api.headers import header
from orchestrator.core.errors.store import StoreError
from orchestrator.directory import Directory

PREFIXES: Final = ("/v1/", "/dev/")
METHODS: Final = "GET, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID"
EXPOSED: Final = "Date, ETag, Idempotency-Replayed, Location, Retry-After, Zapwright-Reference"
MAX_AGE_S: Final = 600
"""How long a browser may remember a preflight; a tenant's new origin needs none remembered before."""

_VARY: Final = (b"vary", b"Origin")
_EXPOSES: Final = (b"access-control-expose-headers", EXPOSED.encode())
_WANTED: Final = b"access-control-request-method"

ALLOWED: Final = "origin_allowed"
"""In the request's state: whether the caller's own origins hold the one that it came from."""


class Cors:
    """Answers preflights, and says of other answers which page may read them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request pass, or answer it when it is a preflight."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIXES):
            await self._app(scope, receive, send)
            return
        origin = header(scope, b"origin")

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *await permission(scope)]
            await send(message)

        if origin is not None and scope["method"] == "OPTIONS" and header(scope, _WANTED) is not None:
            answer = await self._preflight(scope, origin)
            await answer(scope, receive, marked)
            return
        await self._app(scope, receive, marked)

    async def _preflight(self, scope: Scope, origin: str) -> Response:
        try:
            if origin not in await _directory(scope).origins():
                return problem(OriginRefusedError(origin=origin), scope)
        except StoreError as error:
            return problem(error, scope)
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": METHODS,
                "Access-Control-Allow-Headers": REQUEST_HEADERS,
                "Access-Control-Max-Age": str(MAX_AGE_S),
            },
        )


async def permission(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the headers that say whether the page that asked may read the answer."""
    if not scope["path"].startswith(PREFIXES):
        return []
    origin = header(scope, b"origin")
    if origin is None or not await _may_read(scope, origin):
        return [_VARY]
    return [_VARY, (b"access-control-allow-origin", origin.encode("latin-1")), _EXPOSES]


async def _may_read(scope: Scope, origin: str) -> bool:
    """Tell whether the page may read the answer; one to nobody known holds nothing, and any tenant's page may."""
    allowed: bool | None = scope.get("state", {}).get(ALLOWED)
    if allowed is not None:
        return allowed
    try:
        return origin in await _directory(scope).origins()
    except StoreError:
        return False


def _directory(scope: Scope) -> Directory:
    directory: Directory = scope["app"].state.zapwright.directory
    return directory
