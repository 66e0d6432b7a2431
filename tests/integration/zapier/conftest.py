"""A `ZapierClient` beside a simulator in the same process, both living by one clock."""

from collections.abc import AsyncIterator

import httpx
import pytest

from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.credentials import Credential, NewTokens
from orchestrator.core.session import SECOND, Instant, Millis
from orchestrator.store.memory import MemoryStore
from orchestrator.zapier import Limits, ZapierClient
from orchestrator.zapier.permits import PermitSource
from simulator.app import create_app
from simulator.inprocess import InProcessTransport
from simulator.upstream import Upstream
from simulator.world import World
from tests.support.simulation import ManualClock
from tests.support.zapier import an_access, own_client_id

ADDRESS = "http://sim.test"


class SharedClock:
    """The simulator's clock as our port."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def now(self) -> Instant:
        return self._clock()

    async def sleep(self, duration: Millis) -> None:
        await self._clock.sleep(duration / 1000)


class Neighbours:
    """A simulator and a client of it."""

    def __init__(self, http: httpx.AsyncClient, upstream: Upstream, time: ManualClock) -> None:
        self.upstream = upstream
        self.time = time
        self.http = http
        self.store = MemoryStore()
        self.client = client_of(http, self.store, clock=SharedClock(time))

    def app_id(self, title: str) -> str:
        """Return the uuid of an app of the catalogue."""
        app = self.upstream.world.catalogue.find(title)
        assert app is not None
        return app.id

    def switch(self, **patch: object) -> None:
        """Set switches."""
        self.upstream.switch(patch)

    def connect(self, user: str, app: str) -> str:
        """Finish a popup, and return the id of what it made."""
        found = self.upstream.world.catalogue.find(app)
        assert found is not None
        return self.upstream.finish_popup(user, found)[0].id

    async def sign_in(self, account: str = "alice") -> Credential:
        """Keep a token for a user of the tenant `acme`."""
        return await self.store.credentials.put(
            "acme", account, NewTokens(access_token=f"sim-{account}"), profile=None, now=self.time()
        )

    @property
    def refused(self) -> int:
        """How many requests the simulator answered with 429."""
        return self.upstream.counts.refused


def client_of(
    http: httpx.AsyncClient,
    store: MemoryStore,
    *,
    clock: Clock,
    base_url: str = ADDRESS,
    call_limit: Millis = 200,
) -> ZapierClient:
    """Return a client whose budget and cache are the store's."""
    return ZapierClient(
        base_url=base_url,
        http=http,
        permits=PermitSource(
            budget=store.budget, clock=clock, egress="out", partner_of=own_client_id, patience=3 * SECOND
        ),
        access=an_access(store.credentials, clock),
        calls=store.calls,
        cache=store.cache,
        clock=clock,
        limits=Limits(call_limit=call_limit, max_body=200_000),
    )


@pytest.fixture
async def neighbours() -> AsyncIterator[Neighbours]:
    """A simulator in its seeded world, and a client nobody has used yet."""
    time = ManualClock()
    app = create_app(World(), clock=time, sleep=time.sleep)
    async with httpx.AsyncClient(transport=InProcessTransport(app)) as http:
        yield Neighbours(http, app.state.upstream, time)
