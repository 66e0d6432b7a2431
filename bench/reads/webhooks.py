"""Endpoints of every tenant, with deliveries on their way to them, failing, and dead."""

from __future__ import annotations

from typing import Final

from api.views import rendering
from bench.reads.lives import TENANTS
from orchestrator.bootstrap import Zapwright
from orchestrator.core.deliveries import DELAYS, Answer
from orchestrator.core.events import EventName
from orchestrator.relaying import Relay
from orchestrator.webhooks import NewEndpoint

ENDPOINTS: Final = 2
"""Of each tenant."""

ROUNDS: Final = 2
"""Relayed of each shard's outbox: two hundred events."""

_REFUSED: Final = Answer(status=503, took=20, text="down")
_TOKEN: Final = "seeding"  # noqa: S105 - the token of a lease


async def relay_some(zapwright: Zapwright) -> None:
    """Have endpoints that hear of everything, and put some of the events that were committed on their way to them."""
    store = zapwright.store
    for tenant_id in TENANTS:
        for number in range(ENDPOINTS):
            url = f"https://93.184.215.14/{tenant_id}/{number}"
            await zapwright.webhooks.create(NewEndpoint(tenant_id=tenant_id, url=url, events=frozenset(EventName)))
    relay = Relay(
        deliveries=store.deliveries,
        endpoints=store.endpoints,
        sessions=store.sessions,
        queries=zapwright.queries,
        clock=zapwright.clock,
        ids=zapwright.ids,
        render=rendering(zapwright.settings),
    )
    for _ in range(ROUNDS):
        await relay.relay(range(zapwright.settings.shards))
    for shard in range(zapwright.settings.shards):
        await _try_in_vain(zapwright, shard)


async def _try_in_vain(zapwright: Zapwright, shard: int) -> None:
    """Let what is first in each lane of the shard fail: in half of them for good."""
    deliveries, now = zapwright.store.deliveries, zapwright.clock.now()
    lanes = [due.lane for due in await deliveries.due([shard], now=now, limit=10_000)]
    held = await deliveries.lease(lanes, token=_TOKEN, now=now, until=now + 60_000, most=10_000)
    parcels = await deliveries.begin(held, token=_TOKEN, now=now, until=now + 60_000)
    for number, parcel in enumerate(parcels):
        if parcel is None:
            continue
        tried = parcel.delivery
        for _ in range(len(DELAYS) + 1 if number % 2 else 1):
            tried = tried.after(_REFUSED, at=now, now=now, jitter=0.5)
        await deliveries.settle(tried, token=_TOKEN, now=now, until=None)
