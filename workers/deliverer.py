"""Delivers batches: many lanes at a time, none in the way of another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

import structlog

from orchestrator.core.endpoints import Endpoint
from orchestrator.core.errors.store import StoreError
from orchestrator.core.ports.webhooks import Held, Parcel
from orchestrator.core.ports.workers import DeliveryBatch

log = structlog.get_logger(__name__)

MOST_AT_ONCE: Final = 512
"""Lanes under way in one process."""


class Deliver(Protocol):
    """Tries what is due (`orchestrator.delivering.Courier`)."""

    async def begin(self, batch: DeliveryBatch) -> tuple[tuple[Parcel, Endpoint], ...]:
        """Return what there is to send."""
        ...

    async def deliver(self, parcel: Parcel, endpoint: Endpoint, *, token: str) -> None:
        """Try one delivery, and what is due in its lane after it."""
        ...

    def finish(self) -> None:
        """Go on in no lane."""
        ...


class BatchDeliverer:
    """Delivers batches on the running loop.

    A delivery that fails is logged and stops no other; its lane is due again when its lease is over.
    """

    def __init__(self, courier: Deliver, *, most_at_once: int = MOST_AT_ONCE) -> None:
        self._courier = courier
        self._places = asyncio.Semaphore(most_at_once)
        self._running: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        """How many lanes are being tried."""
        return len(self._running)

    async def admit(self, batch: DeliveryBatch) -> None:
        """Begin every lane of the batch, as places become free; return when the last one has begun.

        A lane is begun when there is a place for it and not before: its lease is renewed then, or found to be lost, so
        that nothing is posted which somebody else may be posting already, however long every place was taken.
        """
        waiting = batch.held
        while waiting:
            room = await self._room(len(waiting))
            part, waiting = waiting[:room], waiting[room:]
            try:
                await self._begin(batch, part)
            except StoreError as error:
                log.warning("deliveries_not_begun", problem=str(error))
                return

    async def _room(self, wanted: int) -> int:
        """Take as many places as are free, at least one and at most so many; return how many."""
        await self._places.acquire()
        taken = 1
        while taken < wanted and not self._places.locked():
            await self._places.acquire()
            taken += 1
        return taken

    async def _begin(self, batch: DeliveryBatch, part: Sequence[Held]) -> None:
        """Begin some lanes, for each of which a place was taken; places that are not needed are given back."""
        begun: Sequence[tuple[Parcel, Endpoint]] = ()
        try:
            begun = await self._courier.begin(replace(batch, held=tuple(part)))
        finally:
            for _ in range(len(part) - len(begun)):
                self._places.release()
        for parcel, endpoint in begun:
            task = asyncio.create_task(self._deliver(parcel, endpoint, batch.token))
            self._running.add(task)
            task.add_done_callback(self._end)

    async def drain(self) -> None:
        """Begin nothing more in any lane; return when no delivery is under way."""
        self._courier.finish()
        while self._running:
            await asyncio.wait(self._running)

    async def _deliver(self, parcel: Parcel, endpoint: Endpoint, token: str) -> None:
        lane = parcel.delivery.lane
        with structlog.contextvars.bound_contextvars(
            tenant=lane.tenant_id, endpoint=lane.endpoint_id, session=lane.session_id, job=token
        ):
            try:
                await self._courier.deliver(parcel, endpoint, token=token)
            except StoreError as error:
                log.warning("delivery_not_kept", problem=str(error))
            except Exception:
                log.exception("delivery_failed")

    def _end(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._places.release()
