"""The relay's turns, on the store in memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import cast

from orchestrator.core.deliveries import Lane
from orchestrator.core.endpoints import Pause
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.sessions import SessionStore
from orchestrator.core.ports.workers import DeliveryBatch
from orchestrator.core.session import SECOND, Session
from orchestrator.queries import Queries
from orchestrator.relaying import Relay
from orchestrator.store.memory import MemoryStore
from tests.support.clocks import NOON, CountedIds, ManualClock
from tests.support.store_values import SHARDS, a_session, next_commit
from tests.support.webhook_values import an_endpoint
from workers.relay import MOST_DUE, MOST_IN_BATCH, MOST_OF_ENDPOINT, RELAY_LEASE, ShardRelay


class Unreadable:
    """Sessions that cannot be read."""

    async def load_any(self, session_id: str) -> Session:
        raise StoreUnavailableError(problem=session_id)


class Scene:
    """A store, a clock, and relays that hand their batches in here."""

    def __init__(self) -> None:
        self.store = MemoryStore(shards=SHARDS)
        self.clock = ManualClock()
        self.ids = CountedIds()
        self.batches: list[DeliveryBatch] = []
        self._holders = count(1)

    async def enqueue(self, batch: DeliveryBatch) -> None:
        self.batches.append(batch)

    def relay(self, *, sessions: SessionStore | None = None) -> ShardRelay:
        """Have one more relay."""
        store = self.store
        queries = Queries(
            sessions=store.sessions,
            watches=store.watches,
            credentials=store.credentials,
            clock=self.clock,
        )
        relay = Relay(
            deliveries=store.deliveries,
            endpoints=store.endpoints,
            sessions=sessions or store.sessions,
            queries=queries,
            clock=self.clock,
            ids=self.ids,
            render=lambda event, _: str(event.seq).encode(),
        )
        return ShardRelay(
            relay,
            deliveries=store.deliveries,
            endpoints=store.endpoints,
            queue=self,
            leases=store.leases,
            clock=self.clock,
            ids=self.ids,
            holder=f"relay-{next(self._holders)}",
            shards=SHARDS,
            lease=20 * SECOND,
        )

    async def commit(self, *names: str, user: str | None = None) -> None:
        """Have sessions, each with one event; all of one user lie in one shard."""
        for name in names:
            await self.store.sessions.commit(next_commit(a_session(name, user=user or name)))

    async def begun(self, batch: DeliveryBatch) -> int:
        """Begin a batch as a worker does; return of how many lanes."""
        now = self.clock.now()
        parcels = [
            parcel
            for one in batch.held
            for parcel in await self.store.deliveries.begin([one], token=batch.token, now=now, until=now + SECOND)
        ]
        return len(parcels) - parcels.count(None)

    @property
    def sent(self) -> list[Lane]:
        """The lanes that were handed in."""
        return [held.lane for batch in self.batches for held in batch.held]


async def test_events_of_every_shard_share_a_batch() -> None:
    """One job for the queue, however many shards there are."""
    scene = Scene()
    await scene.store.endpoints.create(an_endpoint())
    await scene.commit("a", "b", "c", "d", "e")
    await scene.relay().turn()

    assert len(scene.batches) == 1
    assert len(scene.sent) == 5
    assert len({lane.shard for lane in scene.sent}) > 1


async def test_an_event_that_does_not_say_whose_it_is_is_relayed_all_the_same() -> None:
    """Those of before say nothing; then the session does."""
    scene = Scene()
    await scene.store.endpoints.create(an_endpoint())
    await scene.commit("a", "b")
    outbox = scene.store.deliveries._state.outbox
    outbox.update({place: replace(one, tenant_id=None) for place, one in list(outbox.items())[:1]})
    await scene.relay().turn()

    assert len(scene.sent) == 2


async def test_of_an_event_that_nobody_hears_of_no_session_is_read() -> None:
    """It leaves the outbox, and that is all."""
    scene = Scene()
    await scene.commit("a")
    await scene.store.endpoints.create(an_endpoint(tenant_id="beta"))
    is_more = await scene.relay(sessions=cast("SessionStore", Unreadable())).turn()

    assert is_more
    assert scene.sent == []
    assert await scene.store.deliveries.outgoing(range(SHARDS), limit=1) == ()


async def test_of_two_relays_one_has_a_shard_until_its_lease_is_over() -> None:
    """The other does nothing meanwhile, and everything afterwards."""
    scene = Scene()
    await scene.store.endpoints.create(an_endpoint())
    first, second = scene.relay(), scene.relay()
    await first.turn()
    await scene.commit("a")
    await second.turn()
    before = list(scene.sent)
    scene.clock.advance(RELAY_LEASE + 1)
    await second.turn()

    assert before == []
    assert len(scene.sent) == 1


async def test_a_large_load_is_cut_into_batches() -> None:
    """Whoever gets one can begin all of its lanes; there is more to do at once."""
    scene = Scene()
    for number in range(10):
        await scene.store.endpoints.create(an_endpoint(f"{number}"))
    await scene.commit(*(f"{number}" for number in range(15)))
    is_more = await scene.relay().turn()
    begun = [await scene.begun(batch) for batch in scene.batches]

    assert is_more
    assert [len(batch.held) for batch in scene.batches] == [MOST_IN_BATCH, 50]
    assert begun == [MOST_IN_BATCH, 50]


async def test_nothing_is_sent_to_a_paused_endpoint_and_what_is_for_one_that_is_gone_is_dropped() -> None:
    """The first waits until it is woken, the second is forgotten."""
    scene = Scene()
    paused = an_endpoint("paused").pause(Pause.REQUESTED, now=NOON)
    gone = an_endpoint("gone")
    for endpoint in (paused, gone):
        await scene.store.endpoints.create(endpoint)
    await scene.commit("a")
    relay = scene.relay()
    await relay._relay.relay(range(SHARDS))
    await scene.store.endpoints.delete(gone, now=NOON, until=NOON)
    await relay.turn()
    before = list(scene.sent)
    await scene.store.endpoints.change(paused.resume())
    await scene.store.deliveries.wake("acme", paused.id, now=scene.clock.now())
    await relay.turn()

    assert before == []
    assert [lane.endpoint_id for lane in scene.sent] == [paused.id]


async def test_a_crowd_of_one_endpoint_lets_others_into_view() -> None:
    """Its lanes fill all that is looked at; the next turn sees who stands behind them."""
    scene = Scene()
    await scene.store.endpoints.create(an_endpoint("crowd"))
    for begin in range(0, MOST_DUE + 50, 50):
        await scene.commit(*(f"{number}" for number in range(begin, begin + 50)), user="u")
    relay = scene.relay()
    while await relay._relay.relay(range(SHARDS)):
        pass
    await scene.store.endpoints.create(an_endpoint("late"))
    scene.clock.advance(1)
    await scene.commit("late", user="u")
    turns = []
    for _ in range(4):
        await relay.turn()
        turns.append(sorted({lane.endpoint_id for lane in scene.sent}))
        scene.clock.advance(10)

    assert turns[0] == ["whcrowd"]
    assert turns[-1] == ["whcrowd", "whlate"]
    assert sum(lane.endpoint_id == "whcrowd" for lane in scene.sent) == MOST_OF_ENDPOINT


async def test_a_session_that_is_gone_keeps_no_outbox_waiting() -> None:
    """Its events have nobody to be told of."""
    scene = Scene()
    await scene.store.endpoints.create(an_endpoint())
    await scene.commit("a")
    kept = next_commit(a_session("b", user="b"))
    await scene.store.sessions.commit(kept)
    await scene.store.sessions.purge(kept.session)
    await scene.relay().turn()

    assert len(scene.sent) == 1
    assert (await scene.store.deliveries.backlog(range(SHARDS), now=NOON)).events == 0
