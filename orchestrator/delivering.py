"""Delivering: what is due in a lane that is leased to us is posted, signed anew for each try, and the outcome kept."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Final

import structlog

from orchestrator.core.deliveries import Answer, Delivery, DeliveryState
from orchestrator.core.endpoints import Endpoint, Pause
from orchestrator.core.errors.store import LaneLostError, StaleVersionError
from orchestrator.core.errors.webhooks import EndpointNotFoundError
from orchestrator.core.metering import UNMETERED, Meter
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.webhooks import DeliveryStore, EndpointStore, Held, Parcel, Post
from orchestrator.core.ports.workers import DeliveryBatch
from orchestrator.core.session import SECOND, Millis
from orchestrator.signing import signed

log = structlog.get_logger(__name__)

MOST_IN_A_ROW: Final = 16
"""Deliveries of one lane before its lease is given back, so that a pause or a new URL is noticed."""

LEASE_MARGIN: Final[Millis] = 3 * SECOND
"""What a try may take beside its POST."""

MOST_TRIES_TO_PAUSE: Final = 5


class Courier:
    """Tries what is due. `limit` is how long a POST may take.

    A courier that is killed anywhere loses nothing: a lane is due again when its lease is over, and what was sent and
    not settled is sent again, under the same message id.
    """

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        deliveries: DeliveryStore,
        endpoints: EndpointStore,
        post: Post,
        clock: Clock,
        chance: Callable[[], float],
        limit: Millis,
        meter: Meter = UNMETERED,
    ) -> None:
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._post = post
        self._clock = clock
        self._chance = chance
        self._lease = limit + LEASE_MARGIN
        self._is_finishing = False
        self._meter = meter

    def finish(self) -> None:
        """Go on in no lane: each is given back when its try has ended, to whoever works then."""
        self._is_finishing = True

    @property
    def lease(self) -> Millis:
        """How long a lane is leased: until a try that begins now has surely ended."""
        return self._lease

    async def begin(self, batch: DeliveryBatch) -> tuple[tuple[Parcel, Endpoint], ...]:
        """Return what there is to send of a batch, and where to.

        Lanes that were lost meanwhile, and those of endpoints that are paused or gone, are left to whoever looks next.
        Raises StoreError.
        """
        names = list(dict.fromkeys((one.lane.tenant_id, one.lane.endpoint_id) for one in batch.held))
        found = dict(zip(names, await self._endpoints.get_each(names), strict=True))
        by_shard: defaultdict[int, list[Held]] = defaultdict(list)
        for one in batch.held:
            by_shard[one.lane.shard].append(one)
        now = self._clock.now()
        begun = await asyncio.gather(
            *(
                self._deliveries.begin(held, token=batch.token, now=now, until=now + self._lease)
                for held in by_shard.values()
            )
        )
        parcels = [parcel for of_shard in begun for parcel in of_shard if parcel is not None]
        return tuple(
            (parcel, endpoint)
            for parcel in parcels
            if (endpoint := found[parcel.delivery.lane.tenant_id, parcel.delivery.lane.endpoint_id]) is not None
            and endpoint.paused is None
        )

    async def deliver(self, parcel: Parcel, endpoint: Endpoint, *, token: str) -> None:
        """Try a delivery, and what is due in its lane after it. Raises StoreError."""
        following: Parcel | None = parcel
        for left in reversed(range(MOST_IN_A_ROW)):
            if following is None:
                return
            at = self._clock.now()
            answer = await self.send(following.delivery.message_id, following.body, endpoint)
            now = self._clock.now()
            after = following.delivery.after(answer, at=at, now=now, jitter=self._chance())
            self._meter.tried(after, answer, age=now - after.created_at)
            goes_on = left > 0 and answer.is_receipt and not self._is_finishing
            try:
                following = await self._settle(after, token=token, goes_on=goes_on)
            except LaneLostError:
                log.info("webhook_lane_lost", seq=after.seq)
                return
            await self._heed(after, answer, endpoint)

    async def send(self, message_id: str, body: bytes, endpoint: Endpoint) -> Answer:
        """Make one try."""
        headers = signed(message_id, body, secrets=endpoint.secrets, now=self._clock.now())
        return await self._post.post(endpoint.url, headers=headers, body=body)

    async def _settle(self, after: Delivery, *, token: str, goes_on: bool) -> Parcel | None:
        now = self._clock.now()
        until = now + self._lease if goes_on else None
        return await self._deliveries.settle(after, token=token, now=now, until=until)

    async def _heed(self, after: Delivery, answer: Answer, tried: Endpoint) -> None:
        """Log a failure, and pause the endpoint where nobody listens any more."""
        if after.state is DeliveryState.DELIVERED:
            return
        log.info(
            "webhook_not_received",
            seq=after.seq,
            status=answer.status,
            problem=answer.problem,
            failures=after.failures,
            state=after.state,
        )
        if answer.is_goodbye:
            await self._pause(tried, Pause.GONE)
        elif after.state is DeliveryState.DEAD and not await self._heard_lately(after):
            await self._pause(tried, Pause.DEAD)

    async def _heard_lately(self, dead: Delivery) -> bool:
        """Tell whether the endpoint received anything else in all the time that this one was tried."""
        lane = dead.lane
        return await self._deliveries.delivered_since(lane.tenant_id, lane.endpoint_id, since=dead.tried_at)

    async def _pause(self, tried: Endpoint, why: Pause) -> None:
        """Pause the endpoint, but not after it moved; that it is gone, or changed by others ever again, is theirs."""
        for _ in range(MOST_TRIES_TO_PAUSE):
            endpoint = await self._endpoints.get(tried.tenant_id, tried.id)
            if endpoint is None or endpoint.paused is not None or endpoint.url != tried.url:
                return
            try:
                await self._endpoints.change(endpoint.pause(why, now=self._clock.now()))
            except (StaleVersionError, EndpointNotFoundError):
                continue
            log.warning("webhook_endpoint_paused", endpoint=endpoint.id, tenant=endpoint.tenant_id, why=why)
            return
