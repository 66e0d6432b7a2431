"""The dispatcher on a store in memory: permits, leases, batches, and what becomes of them when something fails."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.budget import Permit, Share
from orchestrator.core.session import Instant, WatchKey, shard_of
from orchestrator.store.limits import Limits
from tests.support.store_values import NOON, SHARDS
from tests.unit.workers.scene import Scene
from workers.dispatcher import MOST_IN_BATCH, NotQueuedError, Tick
from workers.timing import lease_length

SMALL = Limits(egress=12, partner=20, strong_reserve=2, quiet_reserve=6)


async def test_a_due_watch_is_sent_with_a_permit_and_a_lease() -> None:
    """What reaches the queue may be checked at once: the permit is taken and the lease is held."""
    scene = Scene()
    key = await scene.due("user1", strong=5)
    tick = await scene.dispatcher.tick()
    watch = await scene.store.watches.load(key, now=NOON)
    (batch,) = scene.queue.batches

    assert Tick(sent=1) == tick
    assert (batch.token, NOON + lease_length(scene.limits, pages=1)) == (watch.lease_token, watch.lease_until)
    assert [NOON + scene.limits.start_delay] == [permit.start_by for permit in scene.queue.permits]
    assert await scene.held() == 1


async def test_nothing_due_costs_nothing() -> None:
    """No permit is taken and nothing is sent before somebody wants a check."""
    scene = Scene()
    await scene.due("user1", quiet=-1)
    tick = await scene.dispatcher.tick()

    assert (Tick(), []) == (tick, scene.queue.batches)
    assert await scene.held() == 0


async def test_a_watch_is_sent_once_however_many_dispatchers_there_are() -> None:
    """A second process sees nothing due any more, and holds no permit."""
    scene = Scene()
    await scene.due("user1", strong=5)
    await scene.dispatcher.tick()
    tick = await scene.another_dispatcher().tick()

    assert tick.sent == 0
    assert (len(scene.queue.batches), await scene.held()) == (1, 1)


async def test_strong_signals_go_before_visible_pages_and_those_before_the_rest() -> None:
    """With room for all they still go in this order."""
    scene = Scene()
    quiet = await scene.due("user1", quiet=500)
    visible = await scene.due("user2", quiet=50, visible=True)
    strong = await scene.due("user3", strong=5)
    await scene.dispatcher.tick()

    assert scene.queue.by_permit == [strong, visible, quiet]


async def test_without_room_for_all_the_more_urgent_is_checked() -> None:
    """Checks without news leave the reserve alone; a strong signal may use most of it."""
    scene = Scene(SMALL)
    await scene.store.budget.take(6, egress="here", partner="partner", share=Share.INTERACTIVE, now=NOON)
    await scene.due("user1", quiet=500)
    strong = await scene.due("user2", strong=5)
    tick = await scene.dispatcher.tick()

    assert [strong] == scene.queue.keys
    assert tick == Tick(sent=1, retry_at=SMALL.held_unanswered(NOON))


async def test_when_the_budget_is_spent_nothing_is_leased() -> None:
    """Permits come before leases: a watch nobody may check stays due."""
    scene = Scene(SMALL)
    await scene.store.budget.take(12, egress="here", partner="partner", share=Share.INTERACTIVE, now=NOON)
    key = await scene.due("user1", strong=5)
    tick = await scene.dispatcher.tick()
    watch = await scene.store.watches.load(key, now=NOON)

    assert (tick.sent, scene.queue.batches, watch.lease_token) == (0, [], None)


async def test_a_tick_sends_what_is_due_in_every_shard_as_one_batch() -> None:
    """A job costs more than a check: watches of all shards travel together, the most deserving first."""
    scene = Scene()
    for number in range(12):
        await scene.due(f"user{number}", strong=number)
    await scene.dispatcher.tick()
    shards = {shard_of(key.tenant_id, key.user_id, shards=SHARDS) for key in scene.queue.keys}

    assert len(shards) > 1
    assert [len(batch.watches) for batch in scene.queue.batches] == [12]
    assert scene.queue.keys == scene.queue.by_permit


async def test_no_batch_is_larger_than_workers_can_share() -> None:
    """More than that go in several, and no token serves two."""
    scene = Scene(Limits(egress=1_000, partner=1_000))
    for number in range(2 * MOST_IN_BATCH + 1):
        await scene.due(f"user{number}", strong=number)
    await scene.dispatcher.tick()

    assert [len(batch.watches) for batch in scene.queue.batches] == [MOST_IN_BATCH, MOST_IN_BATCH, 1]
    assert len({batch.token for batch in scene.queue.batches}) == len(scene.queue.batches)


async def test_with_room_for_one_check_at_a_time_tenants_take_turns() -> None:
    """A tenant with many watches, all longer due, does not keep another one waiting."""
    scene = Scene(SMALL)
    for number in range(4):
        await scene.due(f"user{number}", tenant="big", strong=1_000 - number)
    await scene.due("userx", tenant="small", strong=1)
    tenants = []
    for _ in range(3):
        await scene.store.budget.take(9, egress="here", partner="partner", share=Share.INTERACTIVE, now=scene.clock.at)
        await scene.dispatcher.tick()
        tenants.append(scene.queue.keys[-1].tenant_id)
        scene.clock.at += scene.limits.window + scene.limits.call_limit + scene.limits.start_delay

    assert tenants == ["big", "small", "big"]


async def test_a_tenant_at_its_own_limit_keeps_nobody_else_waiting() -> None:
    """Partners have limits of their own."""
    scene = Scene(Limits(egress=40, partner=20, strong_reserve=2, quiet_reserve=6))
    await scene.store.budget.take(20, egress="elsewhere", partner="full", share=Share.INTERACTIVE, now=NOON)
    await scene.due("user1", tenant="acme", strong=500)
    free = await scene.due("user2", tenant="birch", strong=5)
    dispatcher = scene.another_dispatcher(partner_of={"acme": "full", "birch": "free"})
    await dispatcher.tick()

    assert [free] == scene.queue.keys


async def test_a_listing_of_several_pages_gets_a_permit_for_each() -> None:
    """A check never has to stop halfway for want of a permit."""
    scene = Scene()
    key = await scene.due("user1", strong=5)
    await scene.settled(key, pages=3)
    await scene.dispatcher.tick()
    watch = await scene.store.watches.load(key, now=NOON)

    assert len(scene.queue.permits) == 3
    assert watch.lease_until == NOON + lease_length(scene.limits, pages=3)


async def test_what_little_room_there_is_stays_with_the_watch_whose_turn_it_is() -> None:
    """A listing of several pages is not passed for ever by those of one."""
    scene = Scene(SMALL)
    await scene.store.budget.take(9, egress="here", partner="partner", share=Share.INTERACTIVE, now=NOON)
    first = await scene.due("user1", strong=500)
    await scene.settled(first, pages=3, strong=500)
    await scene.due("user2", strong=5)
    tick = await scene.dispatcher.tick()

    assert (tick.sent, await scene.held()) == (0, 9)


async def test_a_listing_of_more_pages_than_the_budget_has_is_still_checked() -> None:
    """It gets what can be given at once."""
    scene = Scene(SMALL)
    key = await scene.due("user1", quiet=5)
    await scene.settled(key, pages=50)
    tick = await scene.dispatcher.tick()

    assert (tick.sent, len(scene.queue.permits)) == (1, 6)


class LostRace:
    """Watches of which another dispatcher has leased all but those named, since they were peeked at."""

    def __init__(self, scene: Scene, *, left: Sequence[WatchKey]) -> None:
        self._watches = scene.store.watches
        self.peek = self._watches.peek
        self._left = left

    async def lease(
        self, keys: Sequence[WatchKey], *, token: str, now: Instant, until: Instant
    ) -> tuple[WatchKey, ...]:
        return await self._watches.lease([key for key in keys if key in self._left], token=token, now=now, until=until)


async def test_a_lost_lease_gives_its_permits_back() -> None:
    """Only what was leased is sent; the permits of the rest are free again at once."""
    scene = Scene()
    ours = await scene.due("user1", strong=500)
    for number in range(2, 6):
        await scene.due(f"user{number}", strong=5)
    scene.dispatcher._watches = LostRace(scene, left=[ours])  # type: ignore[assignment]
    tick = await scene.dispatcher.tick()

    assert (1, [ours], 1) == (tick.sent, scene.queue.keys, await scene.held())


async def test_permits_of_a_batch_the_queue_did_not_take_are_given_back() -> None:
    """A queue that cannot be reached costs no budget; its watches are due again when their lease is over."""
    scene = Scene()
    for number in range(8):
        await scene.due(f"user{number}", strong=5)
    scene.queue.failure = NotQueuedError(problem="refused")

    with pytest.raises(NotQueuedError):
        await scene.dispatcher.tick()

    assert await scene.held() == 0


async def test_permits_of_a_batch_the_queue_may_have_taken_stay_held() -> None:
    """A worker may be using them; those of the batches that were not tried are free."""
    scene = Scene(Limits(egress=1_000, partner=1_000))
    for number in range(2 * MOST_IN_BATCH):
        await scene.due(f"user{number}", strong=5)
    scene.queue.failure = StoreUnavailableError(problem="no answer")

    with pytest.raises(StoreUnavailableError):
        await scene.dispatcher.tick()

    assert await scene.held() == MOST_IN_BATCH


class SilentLeases:
    """Watches whose leasing is not answered."""

    def __init__(self, scene: Scene) -> None:
        self.peek = scene.store.watches.peek

    async def lease(
        self, keys: Sequence[WatchKey], *, token: str, now: Instant, until: Instant
    ) -> tuple[WatchKey, ...]:
        raise StoreUnavailableError(problem="no answer")


async def test_a_lease_that_may_have_been_taken_costs_no_budget() -> None:
    """Nothing was sent, so nobody uses the permits."""
    scene = Scene()
    await scene.due("user1", strong=5)
    scene.dispatcher._watches = SilentLeases(scene)  # type: ignore[assignment]

    with pytest.raises(StoreUnavailableError):
        await scene.dispatcher.tick()

    assert await scene.held() == 0


async def test_a_watch_whose_worker_died_is_sent_again() -> None:
    """When the lease is over it is due, under a new token, with a new permit."""
    scene = Scene()
    await scene.due("user1", strong=5)
    await scene.dispatcher.tick()
    scene.clock.at += lease_length(scene.limits, pages=1)
    await scene.dispatcher.tick()
    first, second = scene.queue.batches

    assert [key for key, _ in first.watches] == [key for key, _ in second.watches]
    assert first.token != second.token
    assert not {permit.id for permit in _permits(first.watches)} & {permit.id for permit in _permits(second.watches)}


def _permits(watches: Sequence[tuple[WatchKey, tuple[Permit, ...]]]) -> list[Permit]:
    return [permit for _, permits in watches for permit in permits]
