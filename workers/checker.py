"""Runs the checks of batches: many at a time, none in the way of another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from orchestrator.core.errors.store import StoreError
from orchestrator.core.metering import UNMETERED, Meter
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.upstream import Upstream
from orchestrator.core.ports.workers import CheckBatch
from orchestrator.core.session import SECOND, WatchKey
from orchestrator.store.limits import Limits
from workers.timing import check_limit

log = structlog.get_logger(__name__)

MOST_AT_ONCE: Final = 32
"""Checks under way in one process."""


class Check(Protocol):
    """Makes one check (`orchestrator.checking.Checker`)."""

    async def check(self, key: WatchKey, *, token: str, permits: Sequence[Permit]) -> bool:
        """Make the one check this lease is for."""
        ...


class BatchChecker:
    """Makes the checks of batches on the running loop, at most `most_at_once` at a time.

    A check that fails is logged and stops no other; one that is not finished in its time ends. Either way its watch
    is due again when its lease runs out.
    """

    def __init__(
        self,
        checker: Check,
        *,
        upstream: Upstream,
        clock: Clock,
        limits: Limits,
        most_at_once: int = MOST_AT_ONCE,
        meter: Meter = UNMETERED,
    ) -> None:
        self._checker = checker
        self._upstream = upstream
        self._clock = clock
        self._limits = limits
        self._meter = meter
        self._places = asyncio.Semaphore(most_at_once)
        self._running: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        """How many checks have begun and not ended."""
        return len(self._running)

    async def admit(self, batch: CheckBatch) -> tuple[asyncio.Task[None], ...]:
        """Begin every check of the batch, as places become free; return when the last one has begun.

        A check that could not begin while its permits were good gives them back. So a batch is admitted, at the latest,
        when the checks of those before it have ended.
        """
        begun = []
        for key, permits in batch.watches:
            await self._places.acquire()
            if any(permit.start_by < self._clock.now() for permit in permits):
                self._places.release()
                log.info("check_begun_too_late", tenant=key.tenant_id, app=key.app_id)
                await self._upstream.give_back(permits)
                continue
            task = asyncio.create_task(self._check(key, batch.token, permits))
            self._running.add(task)
            task.add_done_callback(self._end)
            begun.append(task)
        return tuple(begun)

    async def run(self, batch: CheckBatch) -> None:
        """Make every check of the batch; return when the last one has ended."""
        await asyncio.gather(*await self.admit(batch))

    async def drain(self) -> None:
        """Return when no check is under way."""
        while self._running:
            await asyncio.wait(self._running)

    async def _check(self, key: WatchKey, token: str, permits: Sequence[Permit]) -> None:
        with structlog.contextvars.bound_contextvars(tenant=key.tenant_id, user=key.user_id, app=key.app_id, job=token):
            is_complete = False
            try:
                async with asyncio.timeout(check_limit(self._limits, pages=len(permits)) / SECOND):
                    is_complete = await self._checker.check(key, token=token, permits=permits)
            except TimeoutError:
                log.warning("check_took_too_long")
            except StoreError as error:
                log.warning("check_not_kept", problem=str(error))
            except Exception:
                log.exception("check_failed")
            self._meter.checked(is_complete=is_complete)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._places.release()
