"""Calls a simulator without a socket, with the failures that a socket would have.

`httpx.ASGITransport` alone knows no time limits and no broken connections; this adds both, so that a client meets the
same exceptions as over a network. Time limits follow the running loop's clock, simulated or not.
"""

import asyncio

import httpx
from starlette.applications import Starlette

from simulator.gateway import AnswerAbandonedError


class InProcessTransport(httpx.AsyncBaseTransport):
    """An httpx transport to an application made by `create_app`."""

    def __init__(self, app: Starlette, *, address: str = "127.0.0.1") -> None:
        """Come from `address`, which is what the simulator limits."""
        self._inner = httpx.ASGITransport(app, client=(address, 50_000))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or raise what httpx raises for a time limit or a connection that breaks."""
        limits = request.extensions.get("timeout", {})
        try:
            async with asyncio.timeout(limits.get("read")):
                return await self._inner.handle_async_request(request)
        except TimeoutError as problem:
            raise httpx.ReadTimeout("The simulator did not answer in time", request=request) from problem
        except AnswerAbandonedError as problem:
            message = "The simulator closed the connection before its answer was complete"
            raise httpx.RemoteProtocolError(message, request=request) from problem
