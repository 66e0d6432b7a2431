"""The sampler: reads from the store what only it knows, for the metrics of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from orchestrator.metrics import Metrics
from orchestrator.sampling import Sample
from workers.patience import Patience, repeat, rest
from workers.timing import SAMPLE_PAUSE

log = structlog.get_logger(__name__)


async def keep_sampling(sample: Callable[[], Awaitable[Sample]], metrics: Metrics, *, stopping: asyncio.Event) -> None:
    """Show what is sampled, every few seconds until we are stopping."""

    async def turn() -> None:
        metrics.show(await sample())
        await rest(SAMPLE_PAUSE, stopping=stopping)

    await repeat(turn, name="sampler", stopping=stopping, patience=Patience())
