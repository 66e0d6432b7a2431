"""Counts requests for the metrics (ASGI middleware)."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.metrics import Metrics

UNKNOWN_ROUTE: Final = "unknown"


class Counting:
    """Stands before everything else. What ends without an answer was a failure of ours, and is counted as one."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count one request by its route, and how long it took."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun_at, status = time.perf_counter(), int(HTTPStatus.INTERNAL_SERVER_ERROR)

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path_format", UNKNOWN_ROUTE)
            self._metrics.request(
                route=route, method=scope["method"], status=status, duration_s=time.perf_counter() - begun_at
            )
