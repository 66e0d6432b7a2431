"""Whether the process lives, whether it can serve, and what it has counted. Nobody needs a key for these."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from api.deps import Here, MetricsDep
from api.openapi import WITHOUT_KEY, problems
from api.schemas import answers
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.metrics import CONTENT_TYPE

router = APIRouter(tags=["operations"])

STORE_LIMIT_S: Final = 1


@router.get("/healthz", responses=problems(always=WITHOUT_KEY))
async def read_health() -> answers.Health:
    """Answer: the process lives."""
    return answers.Health(status="alive")


@router.get("/readyz", responses=problems(StoreUnavailableError, always=WITHOUT_KEY))
async def read_readiness(here: Here) -> answers.Health:
    """Answer 200 when the store answers within a second, else 503."""
    settings = here.settings
    try:
        async with asyncio.timeout(STORE_LIMIT_S):
            await here.store.budget.usage(
                egress=settings.egress_group, partner=settings.zapier_client_id, now=here.clock.now()
            )
    except TimeoutError as error:
        raise StoreUnavailableError(problem=f"no answer in {STORE_LIMIT_S} s") from error
    return answers.Health(status="ready")


@router.get("/metrics", response_class=PlainTextResponse, responses=problems(always=WITHOUT_KEY))
async def read_metrics(metrics: MetricsDep) -> PlainTextResponse:
    """Return what this process has counted, in Prometheus's text format."""
    return PlainTextResponse(metrics.render(), media_type=CONTENT_TYPE)
