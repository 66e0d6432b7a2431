"""The simulated Zapier of a run: real limits, simulated time, answers that take a while."""

from __future__ import annotations

from collections import Counter

import httpx

from bench.virtual import VirtualClock, VirtualTimeLoop
from simulator.app import create_app
from simulator.apps import App
from simulator.inprocess import InProcessTransport
from simulator.upstream import Upstream
from simulator.world import World

ORIGIN = "http://zapier.test"
ANSWER_MS = 300


class Zapier:
    """A simulator in this process, limiting as Zapier does."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self.world = World()
        app = create_app(
            self.world,
            clock=VirtualClock(loop).now,
            origin=ORIGIN,
            switches={"rules": {"latency": {"fault": "slow", "ms": ANSWER_MS}}},
        )
        self.upstream: Upstream = app.state.upstream
        self.app = app
        self.apps = [app for app in self.world.catalogue.apps if app.implementation is not None]

    def client(self) -> httpx.AsyncClient:
        """Return a client that comes from one address."""
        return httpx.AsyncClient(transport=InProcessTransport(self.app), base_url=ORIGIN)

    def finish(self, user: str, app: App) -> str:
        """A user finishes a popup; returns the id of the authentication that now exists."""
        return self.upstream.finish_popup(user, app)[0].id

    @property
    def refused(self) -> int:
        """How often it answered 429."""
        return self.upstream.counts.refused

    @property
    def listings(self) -> int:
        """How many listings of authentications it was asked for."""
        return self.upstream.counts.by_endpoint.get("GET /v2/authentications", Counter()).total()
