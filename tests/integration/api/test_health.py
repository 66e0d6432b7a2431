"""Probes: alive, ready, counted. Nobody needs a key for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.budget import Usage
from orchestrator.store.memory import MemoryStore
from orchestrator.store.memory.budget import MemoryBudget
from tests.support.deployment import Deployment, problem_of


class Unwell(MemoryBudget):
    """A budget whose store does not answer as it should."""

    def __init__(self, happens: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(MemoryStore().budget._limits)
        self._happens = happens

    async def usage(self, *, egress: str, partner: str, now: int) -> tuple[Usage, Usage]:
        await self._happens()
        raise AssertionError


async def away() -> None:
    """Fail as a connection that is refused."""
    raise StoreUnavailableError(problem="connection refused")


async def silent() -> None:
    """Never answer."""
    await asyncio.Event().wait()


@pytest.mark.parametrize(("path", "status"), [("/healthz", "alive"), ("/readyz", "ready")])
async def test_a_healthy_process_says_so_to_everybody(api: Deployment, path: str, status: str) -> None:
    """A probe has no key."""
    async with api.caller({}) as probe:
        answer = await probe.get(path)

    assert (answer.status_code, answer.json()) == (200, {"status": status})


@pytest.mark.parametrize("happens", [away, silent])
async def test_without_its_store_a_process_is_alive_and_not_ready(happens: Callable[[], Awaitable[Any]]) -> None:
    """It gets no requests until the store answers again, and is not restarted for it."""
    store = MemoryStore()
    store.budget = Unwell(happens)
    api = Deployment(store=store)

    alive = await api.client.get("/healthz")
    ready = await asyncio.wait_for(api.client.get("/readyz"), timeout=15)

    assert alive.status_code == 200
    assert problem_of(ready) == (503, "store_unavailable")
    assert ready.headers["retry-after"] == "1"
    await api.aclose()


async def test_metrics_are_in_prometheus_format(api: Deployment) -> None:
    """Routes are counted by their patterns."""
    session = await api.session()
    await api.read(session)

    async with api.caller({}) as prometheus:
        answer = await prometheus.get("/metrics")

    counted = 'zapwright_http_requests_total{method="GET",route="/v1/sessions/{session_id}",status="200"} 1.0'
    assert answer.headers["content-type"].startswith("text/plain")
    assert counted in answer.text
    assert session["id"] not in answer.text
