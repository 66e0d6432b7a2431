"""Batches of lanes in one process: many at a time, none in the way of another."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from orchestrator.core.deliveries import Delivery, Lane
from orchestrator.core.endpoints import Endpoint
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.events import EventName
from orchestrator.core.ports.webhooks import Held, Parcel
from orchestrator.core.ports.workers import DeliveryBatch
from tests.support.store_values import NOON
from tests.support.webhook_values import an_endpoint
from workers.deliverer import BatchDeliverer


class Courier:
    """Delivers when told to."""

    def __init__(self, *, fails: Exception | None = None) -> None:
        self.begun: list[int] = []
        self.leased: list[int] = []
        self.lost: set[int] = set()
        self.may_end = asyncio.Event()
        self._fails = fails
        self.is_finishing = False

    def finish(self) -> None:
        self.is_finishing = True

    async def begin(self, batch: DeliveryBatch) -> tuple[tuple[Parcel, Endpoint], ...]:
        if isinstance(self._fails, StoreUnavailableError):
            raise self._fails
        self.leased += [held.seq for held in batch.held]
        return tuple((a_parcel(held.seq), an_endpoint()) for held in batch.held if held.seq not in self.lost)

    async def deliver(self, parcel: Parcel, endpoint: Endpoint, *, token: str) -> None:
        self.begun.append(parcel.delivery.seq)
        if self._fails is not None and parcel.delivery.seq == 0:
            raise self._fails
        await self.may_end.wait()


LANE: Final = Lane(tenant_id="acme", endpoint_id="wha", session_id="zs00abcdefghij")


def a_parcel(seq: int) -> Parcel:
    """Give something to be sent."""
    delivery = Delivery(lane=LANE, seq=seq, name=EventName.ZAP_CREATED, message_id="m", created_at=NOON)
    return Parcel(delivery=delivery, body=b"")


def a_batch(size: int) -> DeliveryBatch:
    """Give a batch of so many lanes."""
    return DeliveryBatch(token=str(size), held=tuple(Held(lane=LANE, seq=seq) for seq in range(size)))


async def test_a_batch_is_admitted_before_it_ends() -> None:
    """The next one is fetched meanwhile; draining waits for both."""
    courier = Courier()
    deliverer = BatchDeliverer(courier)
    await deliverer.admit(a_batch(3))
    await deliverer.admit(a_batch(2))
    await asyncio.sleep(0)
    draining = asyncio.create_task(deliverer.drain())
    await asyncio.sleep(0)
    is_waiting = not draining.done()
    courier.may_end.set()
    await draining

    assert is_waiting
    assert courier.is_finishing
    assert courier.begun == [0, 1, 2, 0, 1]


async def test_a_full_process_admits_no_more() -> None:
    """Until a place is free."""
    courier = Courier()
    deliverer = BatchDeliverer(courier, most_at_once=2)
    admitting = asyncio.create_task(deliverer.admit(a_batch(3)))
    for _ in range(5):
        await asyncio.sleep(0)
    begun = list(courier.begun)
    courier.may_end.set()
    await admitting
    await deliverer.drain()

    assert begun == [0, 1]
    assert courier.begun == [0, 1, 2]


async def test_a_lane_is_begun_when_there_is_a_place_for_it() -> None:
    """Not while others hang in every place: its lease would run out before its POST, and somebody else make one too."""
    courier = Courier()
    deliverer = BatchDeliverer(courier, most_at_once=2)
    await deliverer.admit(a_batch(2))
    admitting = asyncio.create_task(deliverer.admit(a_batch(3)))
    for _ in range(5):
        await asyncio.sleep(0)
    while_full = list(courier.leased)
    courier.lost = {1}
    courier.may_end.set()
    await admitting
    await deliverer.drain()

    assert while_full == [0, 1]
    assert courier.leased == [0, 1, 0, 1, 2]
    assert courier.begun == [0, 1, 0, 2]


async def test_one_that_fails_stops_no_other() -> None:
    """Whatever it is; its lane is due again when its lease is over."""
    for error in (ValueError("odd"), StoreUnavailableError(problem="away")):
        courier = Courier(fails=error)
        courier.may_end.set()
        deliverer = BatchDeliverer(courier)
        await deliverer.admit(a_batch(3))
        await deliverer.drain()

        assert courier.begun == ([] if isinstance(error, StoreUnavailableError) else [0, 1, 2])


async def test_every_line_of_a_delivery_says_whose_it_is() -> None:
    """Tenant, endpoint, session and job."""
    courier = Courier(fails=ValueError("odd"))
    courier.may_end.set()
    deliverer = BatchDeliverer(courier)
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await deliverer.admit(a_batch(1))
        await deliverer.drain()

    (line,) = lines
    assert (line["tenant"], line["endpoint"], line["session"], line["job"]) == ("acme", "wha", LANE.session_id, "1")
