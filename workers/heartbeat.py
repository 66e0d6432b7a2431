"""A worker process shows that it lives, and what it has in hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Protocol

import structlog

from orchestrator.core.errors.store import StoreError
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.workers import WorkerReport, WorkerRoll
from workers.patience import rest
from workers.timing import HEARTBEAT, ROLL_KEPT

log = structlog.get_logger(__name__)


class Busy(Protocol):
    """Something that has work in hand."""

    @property
    def under_way(self) -> int:
        """How much that is now."""
        ...


class Heartbeat:
    """Reports a worker every few seconds, and takes it off the roll at its end. A store that is away stops nothing."""

    def __init__(
        self,
        report: WorkerReport,
        *,
        roll: WorkerRoll,
        checks: Busy,
        deliveries: Busy,
        clock: Clock,
    ) -> None:
        self._report = report
        self._roll = roll
        self._checks = checks
        self._deliveries = deliveries
        self._clock = clock

    async def run(self, *, stopping: asyncio.Event) -> None:
        """Report until we are stopping. Whoever was killed is forgotten in time."""
        while not stopping.is_set():
            await self.beat()
            await rest(HEARTBEAT, stopping=stopping)

    async def beat(self) -> None:
        """Report once."""
        now = self._clock.now()
        held = replace(self._report, seen_at=now, checks=self._checks.under_way, deliveries=self._deliveries.under_way)
        try:
            await self._roll.report(held)
            await self._roll.forget(before=now - ROLL_KEPT)
        except StoreError as error:
            log.warning("heartbeat_missed", problem=str(error))

    async def leave(self) -> None:
        """Take the worker off the roll: it has nothing in hand any more."""
        try:
            await self._roll.leave(self._report.id)
        except StoreError as error:
            log.warning("heartbeat_missed", problem=str(error))
