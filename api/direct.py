"""The direct way: from a request that is plainly as documented to its answer, without ASGI in between.

ASGI hands a request from one to the next in messages: head, body, head, body, each with its own wait. Our server has
the whole request when it begins (`api.protocol`), and an answer is whole when it is sent; so what middleware does
(`Trace`, `Cors`, `BodyLimits`, `Quick`) is done here in one go, by the same functions.

What is not plainly as documented is left to the application, which says what is wrong with it. Nothing was called by
then, and nothing noted.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from api.cors import permission
from api.errors import HANDLED, InternalError, answer, problem
from api.headers import header
from api.limits import DOCUMENT, check_address, is_longer, read
from api.quick import Plan, Ways
from api.trace import GONE, Tracer

log = structlog.get_logger(__name__)

Send = Callable[[Response], Awaitable[None]]


class NotWholeError(Exception):
    """A route promised an answer of a certain shape, and gave one that is sent piece by piece, or goes on behind it."""


@dataclass(slots=True)
class Asked:
    """A request whose head is there, and what it asks for."""

    plan: Plan
    scope: Scope
    begun_at: float
    given: list[object] = field(default_factory=list)


class Direct:
    """Knows which requests go this way, and answers them."""

    def __init__(self, app: FastAPI, *, ways: Ways, tracer: Tracer, max_bytes: int) -> None:
        self._app = app
        self._ways = ways
        self._tracer = tracer
        self.max_bytes = max_bytes

    def find(self, scope: Scope) -> Asked | None:
        """Tell what a request asks for when its head is there; None when it goes another way."""
        if scope["query_string"] or scope["root_path"]:
            return None
        found = self._ways.find(scope["method"], scope["path"])
        if found is None or is_longer(header(scope, b"content-length") or "", self.max_bytes):
            return None
        plan, scope["path_params"] = found
        return Asked(plan, scope, time.perf_counter())

    def takes(self, asked: Asked, body: bytes) -> bool:
        """Take the request if it is plain, now that its body is there, too. What is wrong is not judged here."""
        scope = asked.scope
        try:
            check_address(scope["path"])
            scope[DOCUMENT] = read(body, header(scope, b"content-type") or "")
            asked.given = asked.plan.given(scope)
        except Exception:  # noqa: BLE001 - the application comes to the same, and answers it
            return False
        scope["app"], scope["route"] = self._app, asked.plan.route
        return True

    async def answer(self, asked: Asked, send: Send) -> None:
        """Carry a request out that was taken, once, and send the answer. Raises what `send` raises."""
        scope, status = asked.scope, GONE
        self._tracer.begin(scope)
        try:
            response = await self._answered(asked)
            status = response.status_code
            await send(response)
        finally:
            self._tracer.end(scope, status, begun_at=asked.begun_at)
        if status >= HTTPStatus.BAD_REQUEST:
            await self._tracer.note_error(scope)

    async def _answered(self, asked: Asked) -> Response:
        scope, request = asked.scope, Request(asked.scope)
        try:
            try:
                response = await asked.plan.answer(request, asked.given)
            except HANDLED as error:
                response = await answer(request, error)
            _check_whole(response, asked.plan)
            response.raw_headers += await permission(scope)
        except Exception:
            log.exception("request_failed")
            response = problem(InternalError(), scope)
        response.raw_headers += self._tracer.marks(scope, response.raw_headers)
        return response


def _check_whole(response: Response, plan: Plan) -> None:
    if type(response).__call__ is not Response.__call__ or response.background is not None:
        raise NotWholeError(plan.route.name)
