"""Our client over real sockets, where connections drop, hang and are refused."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from orchestrator.clock import SystemClock
from orchestrator.core.errors.upstream import UpstreamUnavailableError
from orchestrator.core.ports.credentials import Credential, NewTokens
from orchestrator.core.ports.upstream import ZapDraft, ZapMade, ZapNotMade, ZapStep, ZapUnknown
from orchestrator.core.session import MINUTE, Millis
from orchestrator.store.memory import MemoryStore
from orchestrator.zapier import ZapierClient
from simulator.apps import CATALOGUE
from simulator.world import World
from tests.integration.simulator.conftest import Served, serving
from tests.integration.zapier.conftest import client_of
from tests.support.patience import PATIENT
from tests.support.ports import free_port

CHAT = next(app for app in CATALOGUE.apps if app.title == "Slack").id
HASTY = 500


class Line:
    """A client, and what it keeps; as patient as a busy machine needs it to be, or `HASTY` where nothing answers."""

    def __init__(self, http: httpx.AsyncClient, base_url: str, *, call_limit: Millis = MINUTE) -> None:
        self.store = MemoryStore()
        self.client: ZapierClient = client_of(
            http, self.store, clock=SystemClock(), base_url=base_url, call_limit=call_limit
        )

    async def sign_in(self) -> Credential:
        """Keep Alice's token."""
        return await self.store.credentials.put(
            "acme", "alice", NewTokens(access_token="sim-alice"), profile=None, now=SystemClock().now()
        )

    async def held(self) -> int:
        """How many permits are held."""
        by_egress, _ = await self.store.budget.usage(egress="out", partner="demo-partner", now=SystemClock().now())
        return by_egress.held

    async def created(self) -> ZapMade | ZapNotMade | ZapUnknown:
        """Create a Zap that needs no authentication."""
        credential = await self.sign_in()
        draft = ZapDraft(title="Greet", steps=(ZapStep(action_id="core:none", authentication_id=None, inputs={}),))
        return await self.client.create_zap(credential, draft, permit=await self.client.permit("acme"))


@pytest.fixture
def served() -> Iterator[Served]:
    """A simulator that listens."""
    with serving(World()) as simulator:
        yield simulator


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """The connections of one process."""
    async with httpx.AsyncClient(**PATIENT) as client:
        yield client


async def test_a_listing_comes_over_a_socket(served: Served, http: httpx.AsyncClient) -> None:
    """Twice over one connection."""
    line = Line(http, served.url)
    credential = await line.sign_in()
    listings = [await line.client.authentications(credential, CHAT) for _ in range(2)]

    assert [listing.complete for listing in listings] == [True, True]


@pytest.mark.parametrize("fault", ["drop", "truncate", "hang", "oversized", "malformed"])
async def test_a_connection_that_fails_is_an_ordinary_failure(
    served: Served, http: httpx.AsyncClient, fault: str
) -> None:
    """And the next call, over the same pool, is a good one."""
    line, patient = Line(http, served.url, call_limit=HASTY), Line(http, served.url)
    credential = await line.sign_in()
    served.switch({"rules": {"one": {"fault": fault}}})
    with pytest.raises(UpstreamUnavailableError):
        await line.client.authentications(credential, CHAT)

    served.switch({"rules": {"one": None}})

    assert (await patient.client.authentications(await patient.sign_in(), CHAT)).complete is True


async def test_a_dropped_connection_is_replaced_for_a_user_who_waits(served: Served, http: httpx.AsyncClient) -> None:
    """Both requests have a permit, as both may count."""
    line = Line(http, served.url)
    credential = await line.sign_in()
    served.switch({"rules": {"one": {"fault": "drop", "times": 1}}})

    assert (await line.client.authentications(credential, CHAT)).complete is True
    assert await line.held() == 2


@pytest.mark.parametrize("fault", ["drop", "hang"])
async def test_a_zap_whose_connection_fails_is_unknown(served: Served, http: httpx.AsyncClient, fault: str) -> None:
    """Its permit stays held."""
    line = Line(http, served.url, call_limit=HASTY)
    served.switch({"rules": {"one": {"fault": fault, "endpoint": "POST /v2/zaps"}}})

    assert isinstance(await line.created(), ZapUnknown)
    assert await line.held() == 1


async def test_a_service_that_is_not_there_costs_no_permit(http: httpx.AsyncClient) -> None:
    """Nothing reached it, so nothing counts; and a Zap is surely not made."""
    line = Line(http, f"http://127.0.0.1:{free_port()}")
    credential = await line.sign_in()

    with pytest.raises(UpstreamUnavailableError):
        await line.client.authentications(credential, CHAT)
    outcome = await line.created()

    assert isinstance(outcome, ZapNotMade)
    assert (outcome.status, await line.held()) == (None, 0)
