"""What only the store knows, read now and then for the gauges among the metrics."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from orchestrator.core.endpoints import Pause
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.census import CensusStore, WaitingSession
from orchestrator.core.ports.webhooks import DeliveryStore, EndpointStore
from orchestrator.core.session import SECOND, Instant
from orchestrator.core.waiting import stuck_by
from orchestrator.directory import Directory
from orchestrator.metrics import (
    BUDGET_COOLDOWN,
    BUDGET_HELD,
    BUDGET_LIMIT,
    LANES,
    OUTBOX,
    OUTBOX_OLDEST,
    PAUSED,
    SAMPLED,
    STUCK,
    WAITING,
    WAITING_OLDEST,
    Metric,
)
from orchestrator.oversight import Oversight, Side

Sample = Mapping[Metric, float | Mapping[str, float]]
"""Gauges and what they show; those with a label by its values."""


class Sampler:
    """Reads of every tenant. Any number of processes may do so, and show the same."""

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        census: CensusStore,
        deliveries: DeliveryStore,
        endpoints: EndpointStore,
        directory: Directory,
        oversight: Oversight,
        clock: Clock,
        shards: int,
    ) -> None:
        self._census = census
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._directory = directory
        self._oversight = oversight
        self._clock = clock
        self._shards = shards

    async def sample(self) -> Sample:
        """Read everything once. Raises StoreError."""
        now = self._clock.now()
        tenants = [tenant.id for tenant in await self._directory.tenants()]
        waiting, backlog, sides, endpoints = await asyncio.gather(
            self._census.waiting(tenants, now=now),
            self._deliveries.backlog(range(self._shards), now=now),
            self._oversight.sides(None),
            asyncio.gather(*map(self._endpoints.all, tenants)),
        )
        paused = Counter(one.paused.value for of_tenant in endpoints for one in of_tenant if one.paused is not None)
        return {
            **_of_waiting(waiting, now=now),
            **_of_budget(sides, now=now),
            OUTBOX: backlog.events,
            OUTBOX_OLDEST: 0 if backlog.oldest is None else max(0, now - backlog.oldest) / SECOND,
            LANES: backlog.lanes,
            PAUSED: {why.value: paused[why.value] for why in Pause},
            SAMPLED: now / SECOND,
        }


def _of_waiting(waiting: tuple[WaitingSession, ...], *, now: Instant) -> Sample:
    stuck = Counter(stuck_by(one.waiting, is_overdue=one.is_overdue, now=now) for one in waiting)
    since = min((one.waiting.since for one in waiting), default=now)
    return {
        WAITING: len(waiting),
        WAITING_OLDEST: max(0, now - since) / SECOND,
        STUCK: {by: stuck[by] for by in ("signal", "check")},
    }


def _of_budget(sides: tuple[Side, ...], *, now: Instant) -> Sample:
    """Of many partners the one that holds most stands for all: their names are no closed set."""
    fullest: dict[str, Side] = {}
    for side in sorted(sides, key=lambda one: one.usage.held):
        fullest["egress" if side.is_egress else "partner"] = side
    cooled = {
        name: max(one.usage.cooldown_until for one in sides if one.is_egress == side.is_egress)
        for name, side in fullest.items()
    }
    return {
        BUDGET_HELD: {name: side.usage.held for name, side in fullest.items()},
        BUDGET_LIMIT: {name: side.usage.limit for name, side in fullest.items()},
        BUDGET_COOLDOWN: {name: max(0, until - now) / SECOND for name, until in cooled.items()},
    }
