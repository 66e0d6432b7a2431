"""The dispatcher: finds due watches, takes their permits, leases them, sends them to the workers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count

import structlog

from orchestrator.core.errors.store import StoreError, StoreUnavailableError
from orchestrator.core.metering import UNMETERED, Meter
from orchestrator.core.ports.around import Changes, Clock, Ids, Subscription
from orchestrator.core.ports.budget import Budget, Permit
from orchestrator.core.ports.watches import DueWatch, WatchStore
from orchestrator.core.ports.workers import CheckBatch, CheckQueue
from orchestrator.core.session import Instant, Millis, WatchKey
from orchestrator.core.values import replace
from orchestrator.store.limits import UNLIMITED, Limits
from workers.choosing import Asking, allot, askings, fair_order
from workers.patience import Patience, repeat
from workers.timing import TICK_IDLE, TICK_SPACING, lease_length

log = structlog.get_logger(__name__)

MOST_PEEKED = 100
"""Due watches looked at per shard and urgency."""

MOST_IN_BATCH = 25
"""A job of RQ's costs more than a check does; yet what many workers could share, one should not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What a tick did: how many checks it sent, and when there may be room for those it could not (None: no such)."""

    sent: int = 0
    retry_at: Instant | None = None


class NotQueuedError(StoreUnavailableError):
    """The queue surely did not take the batch; any other StoreUnavailableError of it leaves that open."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A watch with permits for its pages."""

    watch: DueWatch
    permits: tuple[Permit, ...]


class Dispatcher:
    """Sends due watches to the workers. Any number may run at the same time: a watch is leased to one of them.

    A dispatcher killed anywhere loses nothing: permits it held are free again, and watches it leased due again, once
    their time is over.
    """

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        watches: WatchStore,
        budget: Budget,
        limits: Limits,
        clock: Clock,
        ids: Ids,
        queue: CheckQueue,
        egress: str,
        partner_of: Callable[[str], Awaitable[str]],
        meter: Meter = UNMETERED,
    ) -> None:
        self._watches = watches
        self._budget = budget
        self._limits = limits
        self._clock = clock
        self._ids = ids
        self._queue = queue
        self._egress = egress
        self._partner_of = partner_of
        self._meter = meter
        self._served: dict[str, int] = {}
        self._turns = count()

    async def run(self, changes: Changes, *, stopping: asyncio.Event) -> None:
        """Tick at every news of a watch that is due, and every quarter of a second, until we are stopping."""
        patience = Patience()

        async def listen() -> None:
            async with changes.due() as news:
                while not stopping.is_set():
                    await self.tick()
                    patience.reset()
                    await self._pause(news)

        await repeat(listen, name="dispatcher", stopping=stopping, patience=patience)

    async def tick(self) -> Tick:
        """Send every due watch the budget has room for, in fair order.

        Raises StoreError when the store or the queue fails: what was not sent is due again when its lease runs out.
        """
        due = await self._watches.peek(now=self._clock.now(), limit=MOST_PEEKED)
        self._forget_absent(due)
        ordered = fair_order([self._affordable(watch) for watch in due], served=self._served)
        chosen, retry_at = await self._take_permits(ordered)
        return Tick(sent=await self._send(chosen), retry_at=retry_at)

    # --- permits ---

    def _affordable(self, watch: DueWatch) -> DueWatch:
        """Cap the pages at what the budget can ever give at once; a check takes permits for further pages itself."""
        ceilings = [
            limit - self._limits.quiet_reserve
            for limit in (self._limits.egress, self._limits.partner)
            if limit != UNLIMITED
        ]
        return replace(watch, pages=min([max(1, watch.pages), *ceilings]))

    async def _take_permits(self, ordered: Sequence[DueWatch]) -> tuple[list[Chosen], Instant | None]:
        partners = {tenant: await self._partner_of(tenant) for tenant in {one.key.tenant_id for one in ordered}}
        chosen: list[Chosen] = []
        refused: dict[tuple[str, int], Instant] = {}
        try:
            for asking in askings(ordered, partner_of=partners.__getitem__):
                if any(side[0] == asking.partner and side[1] <= asking.share for side in refused):
                    continue  # who was refused a larger share gets no smaller one either
                is_partial = await self._ask(asking, chosen, refused)
                if is_partial:
                    break  # what little room there is stays with the watch whose turn it is
        except StoreError:
            await self._give_back(chosen)
            raise
        return chosen, min(refused.values(), default=None)

    async def _ask(self, asking: Asking, chosen: list[Chosen], refused: dict[tuple[str, int], Instant]) -> bool:
        """Take permits for one asking; says whether some came that do not suffice for the next watch."""
        now = self._clock.now()
        grant = await self._budget.take(
            asking.pages, egress=self._egress, partner=asking.partner, share=asking.share, now=now
        )
        allotment = allot(asking.watches, grant.permits)
        chosen.extend(Chosen(watch, permits) for watch, permits in allotment.given)
        if grant.retry_at is not None:
            refused[asking.partner, asking.share] = grant.retry_at
        if allotment.rest:
            await self._budget.give_back(allotment.rest)
        return bool(allotment.rest)

    async def _give_back(self, unsent: Sequence[Chosen]) -> None:
        """Free permits; if the budget cannot be told, they are free when their time is over."""
        permits = [permit for chosen in unsent for permit in chosen.permits]
        if not permits:
            return
        try:
            await self._budget.give_back(permits)
        except StoreError as error:
            log.warning("permits_not_given_back", permits=len(permits), problem=str(error))

    # --- leases ---

    async def _send(self, chosen: Sequence[Chosen]) -> int:
        batches = [chosen[begin : begin + MOST_IN_BATCH] for begin in range(0, len(chosen), MOST_IN_BATCH)]
        sent = 0
        for place, batch in enumerate(batches):
            try:
                sent += await self._send_batch(batch)
            except StoreError:
                await self._give_back([one for rest in batches[place + 1 :] for one in rest])
                raise
        return sent

    async def _send_batch(self, batch: Sequence[Chosen]) -> int:
        try:
            token, leased = await self._lease(batch)
        except StoreError:
            await self._give_back(batch)
            raise
        ours = [one for one in batch if one.watch.key in leased]
        await self._give_back([one for one in batch if one.watch.key not in leased])
        if not ours:
            return 0
        watches = tuple((one.watch.key, one.permits) for one in ours)
        try:
            await self._queue.enqueue(CheckBatch(token=token, watches=watches))
        except NotQueuedError:
            await self._give_back(ours)
            raise
        now = self._clock.now()
        for one in ours:
            self._served[one.watch.key.tenant_id] = next(self._turns)
            self._meter.dispatched(one.watch.urgency, late=now - one.watch.due)
        return len(ours)

    async def _lease(self, batch: Sequence[Chosen]) -> tuple[str, frozenset[WatchKey]]:
        token, now = self._ids.new("ck"), self._clock.now()
        until = now + lease_length(self._limits, pages=max(len(one.permits) for one in batch))
        keys = [one.watch.key for one in batch]
        return token, frozenset(await self._watches.lease(keys, token=token, now=now, until=until))

    # --- turns ---

    def _forget_absent(self, due: Sequence[DueWatch]) -> None:
        """Forget the turns of tenants who want nothing now; when they come back they are first, as is fair."""
        present = {watch.key.tenant_id for watch in due}
        self._served = {tenant: turn for tenant, turn in self._served.items() if tenant in present}

    async def _pause(self, news: Subscription) -> None:
        began = self._clock.now()
        if await news.changed(timeout=TICK_IDLE):
            await self._clock.sleep(_left(TICK_SPACING, since=began, now=self._clock.now()))


def _left(duration: Millis, *, since: Instant, now: Instant) -> Millis:
    return max(0, since + duration - now)
