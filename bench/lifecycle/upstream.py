"""The Partner API at zero latency, in two places.

`Answers` stands in the place of our client (the port `Upstream`): what is measured is the transitions, as with the
rivals, who call nobody. Zapier allows 60 calls a minute, so that what a call costs us decides nothing.

`Zapier` stands where the socket would be, so that our client works as ever: permits taken and given account of, the
catalogue's cache, requests written, answers read and judged. Only the way there and Zapier itself take no time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Final

import httpx

from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.credentials import Credential
from orchestrator.core.ports.upstream import CatalogApp
from orchestrator.core.session import App, Connect, Listing

APP: Final = "a2c5c3a4-0d2f-4d0b-9a6f-5b7d0c1e2f30"
ORIGIN: Final = "http://zapier.test"

_TOKEN: Final = "bench-"  # noqa: S105 - it opens nothing
_CONNECT: Final = f"https://zapier.test/connect/{APP}?token=0123456789abcdef"
_APPS: Final = json.dumps(
    {
        "links": {"next": None, "prev": None},
        "meta": {"count": 1, "limit": 100, "offset": 0},
        "data": [
            {
                "type": "app",
                "id": APP,
                "title": "HubSpot",
                "description": "Marketing, sales and service.",
                "image": "https://zapier.test/hubspot.png",
                "hex_color": "ff7a59",
                "action_types": ["READ", "WRITE"],
                "links": {"connect_new_authentication": _CONNECT},
            }
        ],
    }
).encode()


def token(number: int) -> str:
    """Return the token of the user of this number."""
    return f"{_TOKEN}{number}"


def made(number: int) -> str:
    """Return the id of what this user connects in the popup."""
    return str(100_000 + number)


class Answers:
    """The port `Upstream`, as far as a session's life needs it: one app, nothing connected yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def app(self, _: Credential, app_id: str) -> CatalogApp:
        """Return the app."""
        connect = Connect(url=_CONNECT, read_at=self._clock.now())
        return CatalogApp(app=App(id=app_id, title="HubSpot"), connect=connect)

    async def learn_apps(self, _: Credential, app_ids: Collection[str]) -> None:
        """Know all of them."""

    async def authentications(self, credential: Credential, app_id: str, *, permits: Sequence[Permit] = ()) -> Listing:
        """Return an empty listing."""
        del permits
        return Listing(app_id=app_id, authentications=(), begun_at=self._clock.now(), account=credential.account)


class Zapier(httpx.AsyncBaseTransport):
    """Knows one app, and of each user what was connected: nothing before the popup, one authentication after it.

    `is_connected` says which of both this process sees: the API lists before the popup opens, a worker after it closed.
    """

    def __init__(self, *, is_connected: bool) -> None:
        self._is_connected = is_connected

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer at once."""
        match request.url.path:
            case "/v2/apps":
                return httpx.Response(200, content=_APPS)
            case "/v2/authentications":
                return httpx.Response(200, content=self._authentications(request))
            case _:
                return httpx.Response(404, content=b'{"errors": []}')

    def _authentications(self, request: httpx.Request) -> bytes:
        number = int(request.headers["Authorization"].rpartition(_TOKEN)[2])
        found = [{"type": "authentication", "id": made(number), "app": APP, "is_expired": False, "title": "HubSpot"}]
        rows = found if self._is_connected else []
        links, meta = {"next": None, "prev": None}, {"count": len(rows), "limit": 100, "offset": 0}
        return json.dumps({"links": links, "meta": meta, "data": rows}).encode()
