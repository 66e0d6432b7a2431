"""What is read from the store for the metrics, on a deployment whose clock the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from orchestrator import metrics
from orchestrator.core.session import MINUTE, SECOND
from orchestrator.metrics import Metrics, Process
from tests.support.deployment import Deployment


@pytest.fixture
async def api() -> AsyncIterator[Deployment]:
    """A deployment with Zapier's usual limits, in which nothing happened yet."""
    deployment = Deployment(rate_limit_egress=60, rate_limit_partner=0)
    yield deployment
    await deployment.aclose()


async def test_an_idle_deployment_shows_nothing_but_its_limits(api: Deployment) -> None:
    """Every value there is, so that none is missing where it matters."""
    found = await api.zapwright.sampler.sample()

    assert found == {
        metrics.WAITING: 0,
        metrics.WAITING_OLDEST: 0,
        metrics.STUCK: {"signal": 0, "check": 0},
        metrics.BUDGET_HELD: {"egress": 0, "partner": 0},
        metrics.BUDGET_LIMIT: {"egress": 60, "partner": 0},
        metrics.BUDGET_COOLDOWN: {"egress": 0, "partner": 0},
        metrics.OUTBOX: 0,
        metrics.OUTBOX_OLDEST: 0,
        metrics.LANES: 0,
        metrics.PAUSED: {"requested": 0, "gone": 0, "dead": 0},
        metrics.SAMPLED: api.clock.now() / SECOND,
    }


async def test_who_waits_is_shown_and_who_is_stuck(api: Deployment) -> None:
    """Half a minute after somebody said that they are done."""
    _, address = await api.awaiting()
    api.clock.manual.advance(2 * SECOND)
    await api.signal(address, "finished")
    soon = await api.zapwright.sampler.sample()
    api.clock.manual.advance(40 * SECOND)
    later = await api.zapwright.sampler.sample()

    assert (soon[metrics.WAITING], soon[metrics.WAITING_OLDEST]) == (1, 2)
    assert soon[metrics.STUCK] == {"signal": 0, "check": 0}
    assert (later[metrics.WAITING_OLDEST], later[metrics.STUCK]) == (42, {"signal": 1, "check": 0})


async def test_the_budget_is_shown_with_its_cooldown(api: Deployment) -> None:
    """By side; of many partners the one that holds most."""
    await api.step()
    used = await api.zapwright.sampler.sample()
    now = api.clock.now()
    await api.store.budget.cool_down(
        egress=api.settings.egress_group, partner=api.settings.zapier_client_id, until=now + MINUTE
    )
    cooling = await api.zapwright.sampler.sample()
    held = used[metrics.BUDGET_HELD]

    assert isinstance(held, dict)
    assert held["egress"] > 0
    assert cooling[metrics.BUDGET_COOLDOWN] == {"egress": 60, "partner": 60}


async def test_what_waits_to_be_sent_is_shown_and_who_is_paused(api: Deployment) -> None:
    """Events and lanes, and endpoints by the reason of their pause."""
    made = (await api.ok("POST", "/v1/webhooks", {"url": "https://hooks.example/"}, status=201)).json()
    session = await api.session()
    api.clock.manual.advance(3 * SECOND)
    waits = await api.zapwright.sampler.sample()
    await api.ok("DELETE", f"/v1/sessions/{session['id']}")
    await api.ok("PATCH", f"/v1/webhooks/{made['id']}", {"paused": True})
    await api.deliver()
    paused = await api.zapwright.sampler.sample()

    assert (waits[metrics.OUTBOX], waits[metrics.OUTBOX_OLDEST], waits[metrics.LANES]) == (1, 3, 0)
    assert (paused[metrics.OUTBOX], paused[metrics.LANES]) == (0, 1)
    assert paused[metrics.PAUSED] == {"requested": 1, "gone": 0, "dead": 0}


async def test_all_of_it_can_be_shown(api: Deployment) -> None:
    """By a worker's metrics, under the names of the catalogue."""
    shown = Metrics(Process.WORKER)
    shown.show(await api.zapwright.sampler.sample())

    assert b'zapwright_budget_limit{side="egress"} 60.0' in shown.render()
