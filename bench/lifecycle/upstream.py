"""The Partner API at zero latency: answers made in the process that asks, where the socket would be.

All that is ours still happens, down to the HTTP client: permits taken and given account of, the catalogue's cache,
requests written, answers read and judged. Only the way there and Zapier itself take no time.
"""

from __future__ import annotations

import json
from typing import Final

import httpx

APP: Final = "a2c5c3a4-0d2f-4d0b-9a6f-5b7d0c1e2f30"
ORIGIN: Final = "http://zapier.test"

_TOKEN: Final = "bench-"  # noqa: S105 - it opens nothing
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
                "links": {"connect_new_authentication": f"https://zapier.test/connect/{APP}?token=0123456789abcdef"},
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
