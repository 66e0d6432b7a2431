"""A simulator inside the test's own process, with a clock that the test moves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from simulator.app import create_app
from simulator.inprocess import InProcessTransport
from simulator.upstream import Upstream
from simulator.world import World

#: A moment in Unix ms, with a fraction of a second.
SOME_TIME: Final = 1_790_000_000_250
UNLIMITED: Final = {"limits": {"ip": 0, "partner": 0}}


@dataclass(slots=True)
class ManualClock:
    """A clock in Unix ms that moves when a test says so, or when somebody sleeps by it."""

    now: int = SOME_TIME
    naps: list[float] = field(default_factory=list)

    def __call__(self) -> int:
        return self.now

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self.now += ms

    async def sleep(self, seconds: float) -> None:
        """Let time pass as a sleeper would, at once."""
        self.naps.append(seconds)
        self.advance(round(seconds * 1000))


class Simulation:
    """A simulator and those who call it."""

    def __init__(
        self, world: World | None = None, *, switches: object = None, trust_forwarded_for: bool = False
    ) -> None:
        self.clock = ManualClock()
        self.world = world or World()
        self._app = create_app(
            self.world,
            clock=self.clock,
            sleep=self.clock.sleep,
            switches=switches,
            trust_forwarded_for=trust_forwarded_for,
        )

    @property
    def upstream(self) -> Upstream:
        upstream = self._app.state.upstream
        assert isinstance(upstream, Upstream)
        return upstream

    def app_id(self, title: str) -> str:
        """Return the uuid of an app of the catalogue."""
        app = self.world.catalogue.find(title)
        assert app is not None
        return app.id

    def transport(self, *, address: str = "127.0.0.1") -> InProcessTransport:
        """Return a way to it for whoever comes from this address."""
        return InProcessTransport(self._app, address=address)

    def client(
        self, token: str | None = None, *, address: str = "127.0.0.1", timeout_s: float | None = None
    ) -> httpx.AsyncClient:
        """Return a client with this token, coming from this address."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = self.transport(address=address)
        return httpx.AsyncClient(transport=transport, base_url="http://sim.test", headers=headers, timeout=timeout_s)

    async def get(self, path: str, *, token: str | None = "sim-alice", **query: str | int) -> httpx.Response:
        """Ask the API once."""
        async with self.client(token) as client:
            return await client.get(path, params=query)

    async def post(self, path: str, body: object, *, token: str | None = "sim-alice") -> httpx.Response:
        """Send the API a document once."""
        async with self.client(token) as client:
            return await client.post(path, json=body)

    async def control(self, method: str, path: str, body: object = None, **query: str) -> httpx.Response:
        """Use a control route."""
        async with self.client() as client:
            return await client.request(method, f"/_control{path}", params=query, json=body)

    async def switch(self, patch: Mapping[str, Any]) -> None:
        """Set switches, which must be accepted."""
        answer = await self.control("PATCH", "/faults", patch)
        assert answer.status_code == 200, answer.text

    async def connect(self, user: str, app: str, **more: Any) -> str:
        """Finish a popup, and return the id of what it made."""
        answer = await self.control("POST", "/authentications", {"user": user, "app": app, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def action_id(self, app: str, action_type: str = "WRITE", *, token: str = "sim-alice") -> str:
        """Look up an action, and return the id it has this time."""
        answer = await self.get("/v2/actions", token=token, app=self.app_id(app), action_type=action_type)
        return str(answer.json()["data"][0]["id"])

    async def step(self, app: str, authentication: str | None = None, **more: Any) -> dict[str, Any]:
        """Return a step of a Zap that may be created."""
        return {"action": await self.action_id(app), "inputs": {}, "authentication": authentication, **more}


def zap(*steps: object, title: str = "A Zap") -> dict[str, Any]:
    """Return the body of a request to create a Zap."""
    return {"data": {"title": title, "steps": list(steps)}}
