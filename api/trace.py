"""Every request has a reference, a line in the log and its measures, and ends in an answer (ASGI middleware).

What a request is about is bound to its lines: by its path here, and by routes as it turns out. A server runs each
request in a task, and so in a context, of its own: nothing of one stands on another's lines.

`Tracer` is for the direct way, too (`api.direct`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import Token
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from api.errors import InternalError, problem
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import StoreError
from orchestrator.metrics import Metrics

log = structlog.get_logger(__name__)

REFERENCE: Final = "Zapwright-Reference"
UNKNOWN_ROUTE: Final = "unknown"
GONE: Final = 499
"""The status noted for a caller who went away before there was an answer."""

_REFERENCE: Final = REFERENCE.lower().encode()
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_NO_STORE: Final = (b"cache-control", b"no-store")
_SESSION: Final = re.compile(r"/v1/(?:operator/)?sessions/([A-Za-z0-9]{1,64})(?:/steps/([A-Za-z0-9]{1,64}))?(?:/|$)")
_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})


Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracer:
    """Names requests, and notes how they ended. `new_reference` makes the ids by which one is found in the log."""

    metrics: Metrics
    new_reference: Callable[[], str]

    def begin(self, scope: Scope) -> Mapping[str, Token[Any]]:
        """Give a request its reference, and bind that and what it is about to its lines; return what was bound."""
        reference = scope.setdefault("state", {})["reference"] = self.new_reference()
        return bind_contextvars(reference=reference, **_of_path(scope["path"]))

    def marks(self, scope: Scope, headers: Iterable[Header]) -> list[Header]:
        """Return the headers that every answer has besides its own (ASGI: their names are in lower case)."""
        marks = [(_REFERENCE, scope["state"]["reference"].encode()), _NOSNIFF]
        for name, _ in headers:
            if name == _NO_STORE[0]:
                return marks
        marks.append(_NO_STORE)
        return marks

    def end(self, scope: Scope, status: int, *, begun_at: float) -> None:
        """Count a request, and write its line."""
        duration_s = time.perf_counter() - begun_at
        route = getattr(scope.get("route"), "path_format", UNKNOWN_ROUTE)
        self.metrics.request(route=route, method=scope["method"], status=status, duration_s=duration_s)
        record = log.debug if route in _QUIET and status < HTTPStatus.BAD_REQUEST else log.info
        record("request", method=scope["method"], route=route, status=status, duration_ms=round(duration_s * 1000))

    async def note_error(self, scope: Scope) -> None:
        """Let operators find the session by the reference its user was shown; of who was let in to it alone."""
        found, caller = _SESSION.match(scope["path"]), scope["state"].get("caller")
        if found is None or caller is None:
            return
        try:
            await scope["app"].state.zapwright.engine.note_error(caller.key(found[1]), scope["state"]["reference"])
        except SessionNotFoundError:
            return
        except StoreError as error:
            log.warning("error_not_noted", problem=str(error))
        except Exception:
            log.exception("error_not_noted")


class Trace:
    """Stands before everything else."""

    def __init__(self, app: ASGIApp, *, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Follow one request to its end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        bound = self._tracer.begin(scope)
        try:
            await self._follow(scope, receive, send)
        finally:
            reset_contextvars(**bound)

    async def _follow(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun_at = time.perf_counter()
        status = 0

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                message["headers"] = headers + self._tracer.marks(scope, headers)
            await send(message)

        try:
            await self._app(scope, receive, marked)
        except Exception:
            log.exception("request_failed")
            if status:
                raise
            await problem(InternalError(), scope)(scope, receive, marked)
        finally:
            self._tracer.end(scope, status or GONE, begun_at=begun_at)
        if status >= HTTPStatus.BAD_REQUEST:
            await self._tracer.note_error(scope)


def _of_path(path: str) -> dict[str, str]:
    """Read out of a path what it is about, for the log."""
    found = _SESSION.match(path)
    if found is None:
        return {}
    return {"session": found[1]} if found[2] is None else {"session": found[1], "step": found[2]}
