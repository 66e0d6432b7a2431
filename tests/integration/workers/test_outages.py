"""What workers outlive, and how they end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.core.session import HintKind
from tests.integration.workers.site import LISTINGS, Site, a_site
from tests.support.processes import Process, come_true
from tests.support.valkey import running_valkey

OUTAGE_S = 10.0


@pytest.fixture
async def frail_site(simulator_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    """A site whose store may be killed."""
    with running_valkey("--appendonly", "yes", "--appendfsync", "always") as valkey:
        async with a_site(valkey, simulator_url=simulator_url, folder=tmp_path) as site:
            yield site


@pytest.mark.slow
async def test_workers_outlive_a_store_that_is_gone_for_ten_seconds(frail_site: Site) -> None:
    """It is killed and comes back with its data: what waited is found, by the very same process."""
    site = frail_site
    with site.worker() as worker:
        told = await site.waiting("told-later")
        gone = await site.waiting("gone-before")
        await site.hint(gone, HintKind.CLOSED, gone=True)
        site.valkey.kill()
        made = {told: await site.finish(told), gone: await site.finish(gone)}
        await asyncio.sleep(OUTAGE_S)
        assert worker.is_alive, worker.output
        site.valkey.start()
        await site.hint(told, HintKind.FINISHED)
        for waiting in (told, gone):
            step = await site.resolution(waiting, within_s=60)
            assert step.authentication is not None
            assert step.authentication.id == made[waiting]

        assert worker.is_alive


@pytest.mark.slow
async def test_a_worker_that_starts_before_the_store_waits_for_it(frail_site: Site) -> None:
    """The order in which processes start does not matter."""
    site = frail_site
    waiting, made = await site.lose_message("early")
    site.valkey.kill()
    with site.worker(is_awaited=False) as worker:
        await come_true(lambda: _said(worker, "store_away"), what=worker.output)
        site.valkey.start()
        step = await site.resolution(waiting, within_s=60)

    assert step.authentication is not None
    assert step.authentication.id == made


@pytest.mark.slow
async def test_a_worker_asked_to_end_finishes_its_checks(site: Site) -> None:
    """SIGTERM during a call: the answer still counts, then the process ends with status 0."""
    waiting, made = await site.lose_message("slow")
    await site.set_rule("slow", {"fault": "slow", "ms": 500, "endpoint": LISTINGS, "user": "slow"})
    with site.worker() as worker:
        await come_true(lambda: site.met("slow"), what=worker.output)
        worker.send(signal.SIGTERM)
        status = await asyncio.to_thread(worker.wait)
        step = (await site.session(waiting)).steps[0]

    assert status == 0, worker.output
    assert step.authentication is not None
    assert step.authentication.id == made


@pytest.mark.slow
async def test_a_worker_asked_twice_ends_at_once(site: Site) -> None:
    """A second signal does not wait for a call that hangs."""
    await site.lose_message("stuck")
    await site.set_rule("stuck", {"fault": "hang", "endpoint": LISTINGS, "user": "stuck"})
    with site.worker() as worker:
        await come_true(lambda: site.met("stuck"), what=worker.output)
        worker.send(signal.SIGTERM)
        await come_true(lambda: _said(worker, "worker_stopping"), what=worker.output)
        worker.send(signal.SIGTERM)
        status = await asyncio.to_thread(worker.wait)
    await site.set_rule("stuck", None)

    assert status == 128 + signal.SIGTERM


async def _said(worker: Process, event: str) -> bool:
    return event in worker.output
