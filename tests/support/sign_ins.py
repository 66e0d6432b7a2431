"""Browsers that sign in: each keeps its own cookies, and goes where it is led, to the API and to the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx

from cli.walking import browser_in, outcome_in, walk
from tests.support.deployment import ORIGIN, Deployment

API: Final = "https://zapwright.test"
SIMULATOR: Final = "http://sim.test"


class SigningBrowser:
    """A browser before a deployment: it reads what it is shown, and runs no script."""

    def __init__(self, api: Deployment) -> None:
        self.api = api
        self.http = httpx.AsyncClient(
            mounts={API: httpx.ASGITransport(api.app), SIMULATOR: api.sim.transport()}, trust_env=False
        )

    async def name(self, origin: str = ORIGIN) -> str:
        """Return the browser's name for pages of an origin, as a page that opened it there is told."""
        return browser_in(await self.http.get(f"{API}/zapier-sign-in", params={"origin": origin}))

    async def begin(self, user: str = "alice", **wish: Any) -> str:
        """Begin a sign-in as the user's backend does, for this browser; return its address."""
        wish.setdefault("browser", await self.name())
        begun = await self.api.ok("POST", f"/v1/users/{user}/zapier-sign-in", wish, status=201)
        return str(begun.json()["url"])

    async def take(
        self, address: str, *, account: str = "alice", answer: str = "allowed", until: str | None = None
    ) -> httpx.Response:
        """Go on from an address to the end of the way, or until the browser would ask for one that begins so."""
        steps = walk(address, account=account, answer=answer)
        method, here, form = next(steps)
        while True:
            if until is not None and here.startswith(until):
                steps.close()
                return httpx.Response(303, headers={"location": here})
            found = await self.http.request(method, here, data=form)
            try:
                method, here, form = steps.send(found)
            except StopIteration as end:
                last: httpx.Response = end.value
                return last

    async def sign_in(self, user: str = "alice", **how: Any) -> str:
        """Sign the user in from beginning to end; return what the last page says came of it."""
        return outcome_in(await self.take(await self.begin(user), **how))

    async def callback(self, user: str = "alice", **how: Any) -> str:
        """Go as far as Zapier's answer, and return the address at which the browser would bring it back."""
        stopped = await self.take(await self.begin(user), until=f"{API}/zapier-sign-in/callback", **how)
        return str(stopped.headers["location"])

    async def get(self, address: str) -> str:
        """Open an address and follow it; return what the last page says."""
        return outcome_in(await self.http.get(address, follow_redirects=True))

    async def aclose(self) -> None:
        """Close it."""
        await self.http.aclose()


def query_of(address: str) -> Mapping[str, str]:
    """Return an address's query, each name with its last value."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(address).query).items()}
