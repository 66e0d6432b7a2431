"""The relay: of each shard one takes events out of the outbox and sends lanes that are due to the workers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from orchestrator.core.deliveries import Lane
from orchestrator.core.endpoints import Endpoint
from orchestrator.core.errors.store import StoreError
from orchestrator.core.ports.around import Changes, Clock, Ids, Leases
from orchestrator.core.ports.webhooks import DeliveryStore, EndpointStore, Held
from orchestrator.core.ports.workers import DeliveryBatch, DeliveryQueue
from orchestrator.core.session import MINUTE, SECOND, Instant, Millis
from orchestrator.relaying import Relay
from workers.patience import Patience, repeat
from workers.timing import TICK_IDLE

log = structlog.get_logger(__name__)

MOST_DUE: Final = 200
"""Lanes looked at per shard."""

MOST_OF_ENDPOINT: Final = 16
"""Lanes of one endpoint that are held at a time, per shard."""

MOST_IN_BATCH: Final = 100

RELAY_LEASE: Final[Millis] = 2 * SECOND
RELAY_RENEWED: Final[Millis] = 500
RELAY_SPACING: Final[Millis] = 30
"""Turns begin no closer together than this: what comes meanwhile is looked at together."""

PAUSED_LOOK: Final[Millis] = 5 * MINUTE
CROWDED_LOOK: Final[Millis] = 1 * SECOND


class ShardRelay:
    """Relays every shard of which nobody else is the relay just now.

    Any number may run at the same time; `holder` tells them apart. The leases only save work: an event leaves the
    outbox once, and a lane is leased to one. `lease` is how long a lane is.
    """

    def __init__(  # noqa: PLR0913 - the ports
        self,
        relay: Relay,
        *,
        deliveries: DeliveryStore,
        endpoints: EndpointStore,
        queue: DeliveryQueue,
        leases: Leases,
        clock: Clock,
        ids: Ids,
        holder: str,
        shards: int,
        lease: Millis,
    ) -> None:
        self._relay = relay
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._queue = queue
        self._leases = leases
        self._clock = clock
        self._ids = ids
        self._holder = holder
        self._shards = shards
        self._lease = lease
        self._held: list[int] = []
        self._renew_at: Instant = 0

    async def run(self, changes: Changes, *, stopping: asyncio.Event) -> None:
        """Take turns at every news of an outbox, and every quarter of a second, until we are stopping."""
        patience = Patience()

        async def listen() -> None:
            async with changes.outgoing() as news:
                while not stopping.is_set():
                    begun = self._clock.now()
                    is_more = await self.turn()
                    patience.reset()
                    if is_more or await news.changed(timeout=TICK_IDLE):
                        passed = self._clock.now() - begun
                        await self._clock.sleep(min(max(RELAY_SPACING - passed, 0), RELAY_SPACING))

        await repeat(listen, name="relay", stopping=stopping, patience=patience)
        await self._release()

    async def turn(self) -> bool:
        """Relay and send once; tell whether there was anything.

        There may be more then: of what comes into an outbox that is not empty there is no news. Raises StoreError.
        """
        await self._acquire()
        if not self._held:
            return False
        relayed = await self._relay.relay(self._held)
        sent = await self.send_due()
        return relayed > 0 or sent > 0

    async def send_due(self) -> int:
        """Lease lanes in which something is due, and send them to the workers; returns how many."""
        now = self._clock.now()
        due = [one.lane for one in await self._deliveries.due(self._held, now=now, limit=MOST_DUE)]
        if not due:
            return 0
        names = list(dict.fromkeys((lane.tenant_id, lane.endpoint_id) for lane in due))
        endpoints = dict(zip(names, await self._endpoints.get_each(names), strict=True))
        live = await self._live(due, endpoints, now=now)
        token = self._ids.new("wd")
        held = await self._leased(live, token=token, now=now)
        for begin in range(0, len(held), MOST_IN_BATCH):
            part = tuple(held[begin : begin + MOST_IN_BATCH])
            await self._queue.enqueue(DeliveryBatch(token=token, held=part))
        return len(held)

    async def _live(
        self, due: Sequence[Lane], endpoints: dict[tuple[str, str], Endpoint | None], *, now: Instant
    ) -> list[Lane]:
        """Return the lanes whose endpoint listens; those of a paused one are put off, of one that is gone dropped."""
        found = {lane: endpoints[lane.tenant_id, lane.endpoint_id] for lane in due}
        gone = [lane for lane, endpoint in found.items() if endpoint is None]
        paused = [lane for lane, endpoint in found.items() if endpoint is not None and endpoint.paused is not None]
        await asyncio.gather(*map(self._deliveries.drop, gone))
        if paused:
            await self._deliveries.put_off(paused, until=now + PAUSED_LOOK)
        return [lane for lane, endpoint in found.items() if endpoint is not None and endpoint.paused is None]

    async def _leased(self, lanes: Sequence[Lane], *, token: str, now: Instant) -> list[Held]:
        by_shard = _by_shard(lanes)
        taken = await asyncio.gather(
            *(
                self._deliveries.lease(of_shard, token=token, now=now, until=now + self._lease, most=MOST_OF_ENDPOINT)
                for of_shard in by_shard.values()
            )
        )
        await self._step_aside(by_shard.values(), taken, now=now)
        return [one for of_shard in taken for one in of_shard]

    async def _step_aside(
        self, wanted: Iterable[Sequence[Lane]], taken: Sequence[Sequence[Held]], *, now: Instant
    ) -> None:
        """Where endpoints with all their lanes held fill the view of a shard, let others come into it."""
        for lanes, held in zip(wanted, taken, strict=True):
            rest = {*lanes} - {one.lane for one in held}
            if len(lanes) >= MOST_DUE and rest:
                await self._deliveries.put_off(sorted(rest), until=now + CROWDED_LOOK)

    async def _acquire(self) -> None:
        now = self._clock.now()
        if now < self._renew_at:
            return
        are_ours = await asyncio.gather(
            *(
                self._leases.acquire(_lease(shard), holder=self._holder, now=now, until=now + RELAY_LEASE)
                for shard in range(self._shards)
            )
        )
        self._held = [shard for shard, is_ours in enumerate(are_ours) if is_ours]
        self._renew_at = now + RELAY_RENEWED

    async def _release(self) -> None:
        try:
            for shard in self._held:
                await self._leases.release(_lease(shard), holder=self._holder)
        except StoreError as error:
            log.warning("relay_not_released", problem=str(error))


def _by_shard(lanes: Sequence[Lane]) -> dict[int, list[Lane]]:
    found: defaultdict[int, list[Lane]] = defaultdict(list)
    for lane in lanes:
        found[lane.shard].append(lane)
    return dict(found)


def _lease(shard: int) -> str:
    return f"relay:{shard:02x}"
