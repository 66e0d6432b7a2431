"""Calls without a socket that fail as over one."""

import asyncio
import selectors

import httpx
import pytest

from simulator.app import create_app
from simulator.inprocess import InProcessTransport
from simulator.world import World
from tests.support.simulation import Simulation


async def test_an_answer_comes_as_over_a_network(sim: Simulation) -> None:
    """Status, headers and body."""
    answer = await sim.get("/v1/profiles/me", token="sim-ann")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["email"] == "ann@example.test"


async def test_a_time_limit_holds_by_the_loops_own_clock() -> None:
    """Also where sleeping is real."""
    rules = {"r": {"fault": "slow", "ms": 60_000}}
    app = create_app(World(), switches={"rules": rules})
    transport = InProcessTransport(app)
    started = asyncio.get_running_loop().time()
    async with httpx.AsyncClient(transport=transport, base_url="http://sim.test", timeout=0.02) as client:
        with pytest.raises(httpx.ReadTimeout) as failure:
            await client.get("/v2/apps")

    assert failure.value.request.url.path == "/v2/apps"
    assert asyncio.get_running_loop().time() - started < 5


async def test_callers_may_come_from_several_addresses(sim: Simulation) -> None:
    """Each with limits of its own."""
    await sim.switch({"limits": {"ip": 1}})
    statuses = []
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.1"):
        async with sim.client("sim-ann", address=address) as client:
            statuses.append((await client.get("/v2/apps")).status_code)

    assert statuses == [200, 200, 429]


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that does not wait: time passes instead."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now, and let the time that would have been waited pass."""
        self.passed += timeout or 0
        return super().select(0)


class _SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes as fast as it is waited for."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the simulated seconds since the beginning."""
        return self._jumping.passed


async def _three_slow_answers() -> list[tuple[int, float]]:
    """Ask three times, ten minutes apart, and say how it went and when."""
    loop = asyncio.get_running_loop()
    app = create_app(
        World(),
        clock=lambda: round(loop.time() * 1000),
        switches={"limits": {"ip": 1, "window_ms": 900_000}, "rules": {"r": {"fault": "slow", "ms": 5_000}}},
    )
    seen = []
    async with httpx.AsyncClient(transport=InProcessTransport(app), base_url="http://sim.test", timeout=6) as client:
        for _ in range(3):
            answer = await client.get("/v2/apps", params={"client_id": "c"})
            seen.append((answer.status_code, loop.time()))
            await asyncio.sleep(600)
    return seen


def test_all_of_it_can_live_in_simulated_time() -> None:
    """Delays, limits and time limits follow the loop; twenty minutes take no time at all."""
    with asyncio.Runner(loop_factory=_SimulatedLoop) as runner:
        seen = runner.run(_three_slow_answers())

    assert [status for status, _ in seen] == [200, 429, 200]
    assert [at for _, at in seen] == pytest.approx([5, 605, 1_210], abs=0.1)
