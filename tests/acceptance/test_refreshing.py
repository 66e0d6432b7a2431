"""One dead access token and real processes: however many want another one, and whatever becomes of them.

Whoever comes "later" has a clock that is ahead by as much.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from orchestrator.core.ports.credentials import Kept, NewTokens
from orchestrator.core.session import SECOND
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.core.upkeep import LEASE, PAUSE
from orchestrator.store.limits import Limits
from orchestrator.store.opening import Store, open_store
from tests.support.patience import PATIENT
from tests.support.processes import SEALING_KEY, a_simulator, eventually
from tests.support.refreshers import CLIENT, DONE, USER, Place, call, refreshers
from tests.support.valkey import running_valkey

pytestmark = pytest.mark.slow

ENDPOINT = "POST /oauth/token/"
LATER = LEASE + SECOND
SIGN_IN = "zapier_sign_in_required"
LOST = "needs_sign_in", "refresh_outcome_lost"
GOOD = "active", None


class Office:
    """A store and a simulator, and how alice's credential is."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._simulator = httpx.Client(base_url=place.simulator_url, **PATIENT)

    def close(self) -> None:
        self._simulator.close()

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Use a control route of the simulator."""
        answer = self._simulator.request(method, f"/_control{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def goes(self, **fault: object) -> None:
        """Have the next request to the token endpoint meet a fault."""
        self.control("PATCH", "/faults", {"rules": {"once": {"endpoint": ENDPOINT, "times": 1, **fault}}})

    def is_asked(self) -> bool:
        """Whether the fault was met."""
        return bool(self.control("GET", "/faults")["met"]["once"])

    def exchanges(self) -> dict[str, int]:
        """How requests to the token endpoint were answered."""
        found: dict[str, int] = self.control("GET", "/stats")["requests"]["by_endpoint"].get(ENDPOINT, {})
        return found

    def hand_over(self) -> None:
        """Sign alice in, and keep her tokens; the access token is dead."""
        tokens = self.control("POST", "/grants", {"user": USER, "client_id": CLIENT})
        self.control("PATCH", f"/tokens/{tokens['access_token']}", {"revoked": True})

        async def put(store: Store) -> None:
            await store.credentials.put(
                DEFAULT_TENANT,
                USER,
                NewTokens(access_token=tokens["access_token"], refresh_token=tokens["refresh_token"]),
                profile=None,
                now=time.time_ns() // 1_000_000,
            )

        self._with_store(put)

    def stands(self) -> tuple[str, str | None]:
        """How alice's credential is, and why."""
        found = self.kept().credential
        return found.state.value, None if found.reason is None else found.reason.value

    def kept(self) -> Kept:
        """Read all that is kept of alice's access."""

        async def read(store: Store) -> Kept | None:
            return await store.credentials.kept(DEFAULT_TENANT, USER)

        found: Kept | None = self._with_store(read)
        assert found is not None
        return found

    def _with_store(self, use: Any) -> Any:
        async def used() -> Any:
            store = open_store(self.place.redis_url, shards=16, limits=Limits(), credential_keys=[SEALING_KEY])
            try:
                return await use(store)
            finally:
                await store.aclose()

        return asyncio.run(used())


@pytest.fixture(name="place", scope="module")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One store and one simulator for all of these tests."""
    folder = tmp_path_factory.mktemp("refreshing")
    with running_valkey("--appendonly", "yes") as store, a_simulator(folder) as simulator_url:
        yield Place(store.url, simulator_url)


@pytest.fixture(name="office")
def _office(place: Place) -> Iterator[Office]:
    """Alice has been signed in, and her access token has ended."""
    office = Office(place)
    office.control("POST", "/reset")
    office.hand_over()
    yield office
    office.close()


def test_ten_processes_that_find_one_token_dead_refresh_it_once(office: Office) -> None:
    """All of them go on with what that brought."""
    office.goes(fault="slow", ms=300, when="after")
    with refreshers(office.place, 10, limit_s=30, patience_s=30) as ten:
        for one in ten:
            one.go()
        outcomes = [one.said() for one in ten]

    assert outcomes == [DONE] * 10
    assert (office.exchanges(), office.stands()) == ({"200": 1}, GOOD)


def test_a_holder_killed_before_zapier_took_the_token_costs_nothing(office: Office) -> None:
    """Its intent is found orphaned, and the token used once more."""
    office.goes(fault="hang", when="before")
    with refreshers(office.place) as (holder,):
        holder.go()
        eventually(office.is_asked, what="the holder asks")
        holder.send(signal.SIGKILL)
    meanwhile = office.kept().refresh
    outcome = call(office.place, ahead=LATER)

    assert meanwhile is not None
    assert (meanwhile.tries, outcome, office.stands()) == (1, DONE, GOOD)


def test_a_holder_killed_before_it_read_the_answer_is_said_to_have_lost_it(office: Office) -> None:
    """The token is used once more, by one of all who come later; what is put then goes on."""
    office.goes(fault="hang", when="after")
    with refreshers(office.place) as (holder,):
        holder.go()
        eventually(office.is_asked, what="the holder asks")
        holder.send(signal.SIGKILL)
    with refreshers(office.place, 4, ahead=LATER) as later:
        for one in later:
            one.go()
        outcomes = [one.said() for one in later]
    lost, exchanges = office.stands(), office.exchanges()
    office.hand_over()

    assert (outcomes, lost) == ([SIGN_IN] * 4, LOST)
    assert {status: times for status, times in exchanges.items() if status.isdigit()} == {"400": 1}
    assert (call(office.place), office.stands()) == (DONE, GOOD)


@pytest.mark.parametrize("fault", [{"fault": "drop"}, {"fault": "truncate"}, {"fault": "slow", "ms": 6_000}])
def test_an_answer_that_is_lost_is_said_to_be(office: Office, fault: dict[str, object]) -> None:
    """The holder lives, and tells those who come at once when to come again; then the token is used once more."""
    office.goes(**fault, **({} if fault["fault"] == "truncate" else {"when": "after"}))
    with refreshers(office.place, limit_s=3, patience_s=0.2) as (holder,):
        holder.go()
        at_once = holder.said()
    meanwhile = office.stands()

    assert (at_once, meanwhile) == ("upstream_busy", GOOD)
    assert (call(office.place, ahead=PAUSE + SECOND), office.stands()) == (SIGN_IN, LOST)


def test_a_holder_stopped_past_its_lease_brings_its_tokens_all_the_same(office: Office) -> None:
    """Others took it for dead and said so; its time limit is over too when it wakes up, with the answer beside it."""
    office.goes(fault="slow", ms=3_000, when="after")
    with refreshers(office.place, limit_s=4) as (holder,):
        holder.go()
        eventually(office.is_asked, what="the holder asks")
        holder.send(signal.SIGSTOP)
        stopped_at = time.monotonic()
        other = call(office.place, ahead=LATER)
        said = office.stands()
        eventually(lambda: "200" in office.exchanges(), what="its answer")
        eventually(lambda: time.monotonic() > stopped_at + 4.5, what="its time limit is over")
        holder.send(signal.SIGCONT)
        outcome = holder.said()

    assert (other, said) == (SIGN_IN, LOST)
    assert (outcome, office.stands()) == (DONE, GOOD)
    assert call(office.place) == DONE


def test_a_process_that_is_told_to_end_ends_what_it_began(office: Office) -> None:
    """Whoever called is gone by then; what Zapier hands out is kept."""
    office.goes(fault="slow", ms=500, when="after")
    with refreshers(office.place) as (holder,):
        holder.go()
        eventually(office.is_asked, what="the holder asks")
        holder.send(signal.SIGINT)
        eventually(lambda: not holder.process.is_alive(), what="its end")

    assert (office.stands(), call(office.place), office.exchanges()) == (GOOD, DONE, {"200": 1})
