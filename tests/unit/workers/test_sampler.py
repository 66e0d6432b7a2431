"""The worker's loop that reads for the metrics."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator import metrics
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.metrics import Metrics, Process
from orchestrator.sampling import Sample
from workers.sampler import keep_sampling


@pytest.mark.parametrize("fails", [False, True])
async def test_it_shows_what_was_read_until_it_stops(*, fails: bool) -> None:
    """A store that does not answer is asked again."""
    shown, stopping, read = Metrics(Process.WORKER), asyncio.Event(), asyncio.Event()
    failures = [StoreUnavailableError(problem="away")] if fails else []

    async def sample() -> Sample:
        if failures:
            raise failures.pop()
        read.set()
        return {metrics.LANES: 4}

    sampling = asyncio.create_task(keep_sampling(sample, shown, stopping=stopping))
    await asyncio.wait_for(read.wait(), 20)
    await asyncio.sleep(0)
    stopping.set()
    await asyncio.wait_for(sampling, 20)

    assert b"zapwright_webhook_lanes 4.0" in shown.render()
