"""The promises of `DeliveryStore`, on every adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Final

import pytest

from orchestrator.core.deliveries import HOLD, Answer, Delivery, DeliveryState, Lane
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import LaneLostError, StaleVersionError
from orchestrator.core.errors.webhooks import DeliveryUnderWayError
from orchestrator.core.ports.webhooks import Backlog, DeliverySearch, Held, Parcel
from orchestrator.core.session import SECOND, Instant, Session
from orchestrator.store.memory import MemoryStore
from tests.support.store_values import NOON, SHARDS, TENANT, AnyStore, a_session, next_commit
from tests.support.webhook_values import BROKEN, OK, a_lane, an_endpoint, relayed, told

LATER: Final[Instant] = NOON + 20 * SECOND
OTHER: Final = an_endpoint("b")


async def lease(store: AnyStore, *lanes: Lane, token: str = "t", now: Instant = NOON, most: int = 9) -> list[int]:
    """Lease lanes for twenty seconds; give the seqs whose turn it is."""
    held = await store.deliveries.lease(lanes, token=token, now=now, until=now + 20 * SECOND, most=most)
    return [one.seq for one in held]


async def begin(store: AnyStore, lane: Lane, seq: int, *, token: str = "t", now: Instant = NOON) -> Parcel | None:
    """Begin one delivery."""
    held = [Held(lane=lane, seq=seq)]
    (parcel,) = await store.deliveries.begin(held, token=token, now=now, until=now + 20 * SECOND)
    return parcel


async def tried(
    store: AnyStore,
    lane: Lane,
    answer: Answer,
    *,
    token: str = "t",
    now: Instant = NOON,
    goes_on: bool = False,
) -> Parcel | None:
    """Lease, begin and settle what is next in a lane."""
    (seq,) = await lease(store, lane, token=token, now=now)
    parcel = await begin(store, lane, seq, token=token, now=now)
    assert parcel is not None
    after = parcel.delivery.after(answer, at=now, now=now, jitter=0.5)
    until = now + 20 * SECOND if goes_on else None
    return await store.deliveries.settle(after, token=token, now=now, until=until)


async def due(store: AnyStore, *, now: Instant = NOON) -> list[tuple[Instant, str]]:
    """Give what is due: since when, and to which endpoint."""
    found = await store.deliveries.due(range(SHARDS), now=now, limit=100)
    return [(one.due, one.lane.endpoint_id) for one in found]


async def record(store: AnyStore, lane: Lane) -> Delivery:
    """Give the record of the first event's delivery."""
    found = await store.deliveries.get(lane, 1)
    assert found is not None
    return found


async def states(store: AnyStore, *, state: DeliveryState | None = None) -> list[tuple[int, str]]:
    """Give the deliveries of the usual endpoint, youngest first: seq and state."""
    page = await store.deliveries.find(DeliverySearch(tenant_id=TENANT, endpoint_id=an_endpoint().id, state=state))
    return [(one.seq, one.state.value) for one in page.deliveries]


async def test_events_wait_in_the_outbox_in_the_order_of_commits(store: AnyStore) -> None:
    """Until they are relayed."""
    commit = next_commit(a_session(), events=2)
    await store.sessions.commit(commit)
    await store.sessions.commit(next_commit(commit.session))

    found = await store.deliveries.outgoing(range(SHARDS), limit=10)

    assert [(one.session_id, one.event.seq) for one in found] == [(commit.session.id, seq) for seq in (1, 2, 3)]
    assert found[0].event == commit.events[0]
    assert {one.tenant_id for one in found} == {commit.session.tenant_id}
    assert await store.deliveries.backlog(range(SHARDS), now=NOON) == Backlog(events=3, oldest=NOON)
    assert len(await store.deliveries.outgoing(range(SHARDS), limit=2)) == 2


async def test_the_backlog_says_what_waits_and_since_when(store: AnyStore) -> None:
    """Events that were not relayed, and lanes: those in which something is due, and those that are held or put off."""
    first = await told(store, a_session("a"))
    second = await told(store, a_session("b"))
    await lease(store, a_lane(first))
    await store.sessions.commit(next_commit(second, now=NOON + 5, events=2))

    assert await store.deliveries.backlog(range(SHARDS), now=NOON + 9) == Backlog(events=2, oldest=NOON, lanes=2, due=1)
    assert await store.deliveries.backlog([1], now=NOON + 9) == Backlog()


async def test_what_was_relayed_once_is_not_relayed_again(store: AnyStore) -> None:
    """Two relays that read the same events make one delivery of each."""
    await store.sessions.commit(next_commit(a_session(), events=2))
    found = await store.deliveries.outgoing(range(SHARDS), limit=10)
    first = [relayed(one, an_endpoint()) for one in found]

    taken = await asyncio.gather(*(store.deliveries.relay(first, now=NOON) for _ in range(3)))

    assert sorted(taken) == [0, 0, 2]
    assert await store.deliveries.outgoing(range(SHARDS), limit=10) == ()
    assert await states(store) == [(2, "pending"), (1, "pending")]


async def test_an_event_that_nobody_wants_only_leaves_the_outbox(store: AnyStore) -> None:
    """No lane, no record."""
    await told(store, endpoints=[])

    assert await store.deliveries.backlog(range(SHARDS), now=NOON) == Backlog()
    assert await due(store) == []


async def test_a_lane_is_due_at_once_and_held_by_one(store: AnyStore) -> None:
    """Of many who want it one gets it, until the lease is over."""
    lane = a_lane(await told(store, events=2))

    taken = await asyncio.gather(*(lease(store, lane, token=f"t{number}") for number in range(4)))

    assert sorted(taken) == [[], [], [], [1]]
    assert await due(store) == []
    assert await due(store, now=LATER) == [(LATER, "wha")]
    assert await lease(store, lane, token="next", now=LATER) == [1]


async def test_what_is_sent_are_the_bytes_that_were_relayed(store: AnyStore) -> None:
    """The same ones for both endpoints; and nothing for who has lost the lane."""
    session = await told(store, endpoints=[an_endpoint(), OTHER])
    one, other = a_lane(session), a_lane(session, OTHER)
    await lease(store, one, other)

    parcels = [await begin(store, lane, 1) for lane in (one, other)]

    assert [parcel.body for parcel in parcels if parcel] == [b"body of 1"] * 2
    assert parcels[0] is not None
    assert parcels[0].delivery.message_id == f"msg-{session.id}-1"
    assert await begin(store, one, 1, token="another") is None


async def test_what_was_received_is_not_sent_again(store: AnyStore) -> None:
    """Its record says so, with the try; the next one has its turn."""
    session = await told(store, events=2)
    lane = a_lane(session)

    following = await tried(store, lane, OK, goes_on=True)

    assert following is not None
    assert (following.delivery.seq, following.body) == (2, b"body of 2")
    assert await states(store) == [(2, "pending"), (1, "delivered")]
    found = await store.deliveries.get(lane, 1)
    assert found is not None
    assert [(one.at, one.status) for one in found.tries] == [(NOON, 204)]
    assert await store.deliveries.delivered_since(TENANT, "wha", since=NOON)
    assert not await store.deliveries.delivered_since(TENANT, "wha", since=NOON + 1)


async def test_a_failure_holds_the_lane_for_a_minute_and_no_longer(store: AnyStore) -> None:
    """First it is tried again itself; a minute after its first try the next one passes it."""
    lane = a_lane(await told(store, events=2))
    await tried(store, lane, BROKEN)
    again = NOON + 5 * SECOND
    early = await lease(store, lane, now=again - 1)
    await tried(store, lane, Answer(status=503, took=1, retry_after=600 * SECOND), now=again)

    assert early == []
    assert await due(store, now=NOON + HOLD - 1) == []
    assert await lease(store, lane, now=NOON + HOLD) == [2]


async def test_a_lane_that_is_held_up_is_joined_by_new_events(store: AnyStore) -> None:
    """They wait for the minute like the others, and are not waited for when it is over."""
    session = await told(store)
    lane = a_lane(session)
    await tried(store, lane, Answer(status=503, took=1, retry_after=600 * SECOND))
    joined = NOON + 10 * SECOND
    session = await told(store, session, now=joined)

    assert await due(store, now=NOON + HOLD - 1) == []
    assert await lease(store, lane, now=NOON + HOLD) == [2]
    assert await tried(store, lane, OK, token="t2", now=NOON + HOLD + 20 * SECOND) is None
    await told(store, session, now=NOON + HOLD + 30 * SECOND)
    assert await lease(store, lane, now=NOON + HOLD + 30 * SECOND) == [3]


async def test_a_lease_that_was_lost_settles_nothing(store: AnyStore) -> None:
    """Whoever came late may have sent it, and is told that another has it."""
    lane = a_lane(await told(store))
    await lease(store, lane, token="slow")
    parcel = await begin(store, lane, 1, token="slow")
    await lease(store, lane, token="quick", now=LATER)

    assert parcel is not None
    with pytest.raises(LaneLostError):
        await store.deliveries.settle(
            parcel.delivery.after(OK, at=NOON, now=NOON, jitter=0), token="slow", now=LATER, until=None
        )
    assert await states(store) == [(1, "pending")]


async def test_one_endpoint_never_has_more_than_its_share_of_lanes(store: AnyStore) -> None:
    """A lane that is settled makes room; one whose holder died keeps its own."""
    lanes = [a_lane(await told(store, a_session(name))) for name in "abc"]
    other = a_lane(await told(store, a_session("d"), endpoints=[OTHER]), OTHER)

    first = await lease(store, *lanes, other, most=2)
    dead = await lease(store, *lanes, token="t2", now=LATER, most=2)
    await store.deliveries.settle(
        (await begin_of(store, lanes[0], token="t2")).after(OK, at=LATER, now=LATER, jitter=0),
        token="t2",
        now=LATER,
        until=None,
    )

    assert (first, dead) == ([1, 1, 1], [1, 1])
    assert await lease(store, *lanes, token="t3", now=LATER, most=2) == [1]


async def begin_of(store: AnyStore, lane: Lane, *, token: str) -> Delivery:
    """Begin the first delivery of a lane."""
    parcel = await begin(store, lane, 1, token=token, now=LATER)
    assert parcel is not None
    return parcel.delivery


async def test_a_dead_delivery_is_on_record_and_can_be_replayed(store: AnyStore) -> None:
    """With the bytes it had; a received one gets those that are given."""
    session = await told(store)
    lane = a_lane(session)
    now, found = NOON, await record(store, lane)
    while found.next_at is not None:
        now = found.next_at
        await tried(store, lane, BROKEN, now=now)
        found = await record(store, lane)
    dead = await states(store, state=DeliveryState.DEAD)
    await store.deliveries.replay(found.again(now=now, asked_by="r"), was=DeliveryState.DEAD, body=b"anew", now=now)
    (seq,) = await lease(store, lane, now=now)
    parcel = await begin(store, lane, seq, now=now)
    assert parcel is not None
    await store.deliveries.settle(parcel.delivery.after(OK, at=now, now=now, jitter=0), token="t", now=now, until=None)
    received = await record(store, lane)
    await store.deliveries.replay(
        received.again(now=now, asked_by=None), was=DeliveryState.DELIVERED, body=b"anew", now=now
    )
    await lease(store, lane, now=now)
    again = await begin(store, lane, 1, now=now)

    assert dead == [(1, "dead")]
    assert parcel.body == b"body of 1"
    assert len(received.tries) == 14
    assert again is not None
    assert again.body == b"anew"
    assert await states(store) == [(1, "pending")]


async def test_only_what_belongs_to_a_session_is_replayed(store: AnyStore) -> None:
    """A session that is gone has nothing to tell."""
    session = await told(store)
    found = await store.deliveries.get(a_lane(session), 1)
    assert found is not None
    await store.sessions.purge(session)

    with pytest.raises(SessionNotFoundError):
        await store.deliveries.replay(
            found.again(now=NOON, asked_by=None), was=DeliveryState.PENDING, body=b"", now=NOON
        )
    assert await states(store) == []


async def test_what_may_be_on_its_way_is_not_sent_again_beside_that(store: AnyStore) -> None:
    """A pending one is refused while its lane is held; when the lease is over it is due at once."""
    session = await told(store, events=2)
    lane = a_lane(session)
    await lease(store, lane)
    again = (await record(store, lane)).again(now=NOON, asked_by=None)

    with pytest.raises(DeliveryUnderWayError):
        await store.deliveries.replay(again, was=DeliveryState.PENDING, body=b"", now=LATER - 1)
    await store.deliveries.replay(again, was=DeliveryState.PENDING, body=b"", now=LATER)
    assert await lease(store, lane, token="next", now=LATER) == [1]


async def test_a_replay_of_something_else_waits_for_what_is_being_tried(store: AnyStore) -> None:
    """One that was received goes into its lane, behind whoever holds that, and is sent when it is free."""
    session = await told(store, events=2)
    lane = a_lane(session)
    await tried(store, lane, OK)
    await lease(store, lane)
    received = await record(store, lane)
    await store.deliveries.replay(
        received.again(now=NOON, asked_by=None), was=DeliveryState.DELIVERED, body=b"anew", now=NOON
    )

    assert await due(store) == []
    parcel = await begin(store, lane, 2)
    assert parcel is not None
    after = parcel.delivery.after(OK, at=NOON, now=NOON, jitter=0)
    following = await store.deliveries.settle(after, token="t", now=NOON, until=LATER)
    assert following is not None
    assert (following.delivery.seq, following.body) == (1, b"anew")


async def test_a_replay_is_of_the_state_that_was_read(store: AnyStore) -> None:
    """Of one that was received meanwhile the bytes are gone: whoever thought it pending must write them anew."""
    lane = a_lane(await told(store))
    again = (await record(store, lane)).again(now=NOON, asked_by=None)
    await tried(store, lane, OK)

    with pytest.raises(StaleVersionError):
        await store.deliveries.replay(again, was=DeliveryState.PENDING, body=b"", now=NOON)
    assert await states(store) == [(1, "delivered")]


async def test_lanes_are_put_off_and_woken(store: AnyStore) -> None:
    """All those of one endpoint; nobody else's, and none that is held."""
    lanes = [a_lane(await told(store, a_session(name, user=name))) for name in "abc"]
    other = a_lane(await told(store, a_session("d"), endpoints=[OTHER]), OTHER)
    for lane in (*lanes, other):
        await store.deliveries.put_off([lane], until=LATER)
    put_off = await due(store)
    await store.deliveries.wake(TENANT, "wha", now=NOON)

    assert put_off == []
    assert await due(store) == [(NOON, "wha")] * 3


async def test_a_lane_woken_for_nothing_waits_for_its_time(store: AnyStore) -> None:
    """What failed is not tried sooner because somebody looked."""
    lane = a_lane(await told(store))
    await tried(store, lane, BROKEN)
    await store.deliveries.wake(TENANT, "wha", now=NOON)

    assert await lease(store, lane) == []
    assert await due(store, now=NOON + 5 * SECOND) == [(NOON + 5 * SECOND, "wha")]


async def test_a_dropped_lane_leaves_nothing_that_is_pending(store: AnyStore) -> None:
    """What was received stays on record; another endpoint's message stays what it was."""
    session = await told(store, events=2, endpoints=[an_endpoint(), OTHER])
    lane, other = a_lane(session), a_lane(session, OTHER)
    await tried(store, lane, OK)
    for _ in range(2):
        await store.deliveries.drop(lane)

    assert await states(store) == [(1, "delivered")]
    assert await due(store) == [(NOON, "whb")]
    assert await lease(store, other) == [1]
    assert await begin(store, other, 1) is not None


async def test_deliveries_are_listed_a_page_at_a_time(store: AnyStore) -> None:
    """The youngest first, each once, over all shards; only one state's if that is asked for."""
    for number in range(6):
        await told(store, a_session(f"{number}", user=f"u{number}"), now=NOON + number)
    lane = a_lane(a_session("3", user="u3"))
    await tried(store, lane, OK, now=NOON + 9)
    found: list[tuple[Instant, str]] = []
    cursor = None
    while not found or cursor is not None:
        page = await store.deliveries.find(DeliverySearch(tenant_id=TENANT, endpoint_id="wha", cursor=cursor, limit=4))
        found += [(one.created_at, one.state.value) for one in page.deliveries]
        cursor = page.cursor

    assert found == [(NOON + at, "delivered" if at == 3 else "pending") for at in (5, 4, 3, 2, 1, 0)]
    assert await states(store, state=DeliveryState.DELIVERED) == [(1, "delivered")]
    for foreign in ("x", "MDAwOnpz"):
        with pytest.raises(ValueError, match="no cursor"):
            await store.deliveries.find(DeliverySearch(tenant_id=TENANT, endpoint_id="wha", cursor=foreign))


@pytest.mark.parametrize("end", ["purge", "erase"])
async def test_nothing_of_a_session_is_delivered_after_its_end(store: AnyStore, end: str) -> None:
    """Not what is due, not what is held, not what waits in the outbox; and whoever holds it is told."""
    session = await told(store, events=2)
    lane = a_lane(session)
    await tried(store, lane, OK)
    await lease(store, lane)
    parcel = await begin(store, lane, 2)
    if end == "purge":
        await store.sessions.purge(session)
    else:
        await store.sessions.commit(next_commit(session))
        await store.users.erase(TENANT, session.user_id, now=NOON)

    assert parcel is not None
    assert await due(store, now=LATER) == []
    assert await states(store) == []
    assert await store.deliveries.backlog(range(SHARDS), now=NOON) == Backlog()
    with pytest.raises(LaneLostError):
        await store.deliveries.settle(
            parcel.delivery.after(OK, at=NOON, now=NOON, jitter=0), token="t", now=NOON, until=None
        )


class Walk:
    """Random steps of relays and workers on one store."""

    def __init__(self, store: AnyStore, chance: Random) -> None:
        self.store = store
        self.chance = chance
        self.now = NOON
        self.sessions: dict[str, Session] = {name: a_session(name, user=name) for name in "abc"}
        self.parcels: list[tuple[str, Parcel]] = []
        self.seen: list[object] = []

    async def step(self, number: int) -> None:
        """Take one step, and note what was seen."""
        self.now += self.chance.randrange(30) * SECOND
        deed = self.chance.choice((self.commit, self.work, self.work, self.finish, self.finish, self.look))
        await deed(f"t{number}")

    async def commit(self, _: str) -> None:
        name = self.chance.choice("abc")
        endpoints = [one for one in (an_endpoint(), OTHER) if self.chance.random() < 0.7]
        events = self.chance.randint(1, 3)
        self.sessions[name] = await told(
            self.store, self.sessions[name], events=events, endpoints=endpoints, now=self.now
        )

    async def work(self, token: str) -> None:
        found = await self.store.deliveries.due(range(SHARDS), now=self.now, limit=100)
        self.seen.append(found)
        for lane in sorted({one.lane for one in found}):
            held = await self.store.deliveries.lease(
                [lane], token=token, now=self.now, until=self.now + 40 * SECOND, most=2
            )
            self.seen.append(held)
            begun = await self.store.deliveries.begin(held, token=token, now=self.now, until=self.now + 40 * SECOND)
            self.parcels += [(token, parcel) for parcel in begun if parcel is not None]

    async def finish(self, _: str) -> None:
        if not self.parcels:
            return
        token, parcel = self.parcels.pop(self.chance.randrange(len(self.parcels)))
        answer = OK if self.chance.random() < 0.5 else BROKEN
        after = parcel.delivery.after(answer, at=self.now, now=self.now, jitter=self.chance.random())
        until = self.now + 40 * SECOND if self.chance.random() < 0.5 else None
        try:
            following = await self.store.deliveries.settle(after, token=token, now=self.now, until=until)
        except LaneLostError:
            self.seen.append("lost")
            return
        self.seen.append(following)
        if following is not None:
            self.parcels.append((token, following))

    async def look(self, _: str) -> None:
        for endpoint in (an_endpoint(), OTHER):
            page = await self.store.deliveries.find(DeliverySearch(tenant_id=TENANT, endpoint_id=endpoint.id))
            self.seen.append(page)
        if self.chance.random() < 0.2:
            await self.store.deliveries.wake(TENANT, OTHER.id, now=self.now)


async def walked(store: AnyStore, seed: int, *, steps: int) -> Sequence[object]:
    """Give everything that was seen on a random walk."""
    walk = Walk(store, Random(seed))
    for number in range(steps):
        await walk.step(number)
    return walk.seen


@pytest.mark.parametrize("seed", range(8))
async def test_every_store_does_the_same_on_any_walk(store: AnyStore, seed: int) -> None:
    """What the scripts decide is what the rules of the core say, whatever comes before."""
    expected = await walked(MemoryStore(shards=SHARDS), seed, steps=80)

    assert await walked(store, seed, steps=80) == expected
