"""The promises of `Budget`, on every adapter. The limits are 10 per address and 20 per partner."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.ports.budget import Grant, Permit, Share, Usage
from orchestrator.core.session import Instant
from orchestrator.store.limits import Limits
from tests.support.store_values import NOON, AnyStore

LIMITS = Limits(egress=10, partner=20, user=6, strong_reserve=2, quiet_reserve=4)
HELD_UNANSWERED = LIMITS.held_unanswered(NOON)


async def taken(
    store: AnyStore,
    wanted: int,
    *,
    egress: str = "eg",
    partner: str = "pa",
    share: Share = Share.INTERACTIVE,
    now: Instant = NOON,
    user: str | None = None,
) -> Grant:
    """Take permits."""
    return await store.budget.take(wanted, egress=egress, partner=partner, share=share, now=now, user=user)


async def held(store: AnyStore, *, egress: str = "eg", partner: str = "pa", now: Instant = NOON) -> tuple[int, int]:
    """Return how many permits both sides hold."""
    by_egress, by_partner = await store.budget.usage(egress=egress, partner=partner, now=now)
    return by_egress.held, by_partner.held


async def test_permits_are_given_while_there_is_room(store: AnyStore) -> None:
    """Each has its own id, names both sides and says until when it may be used."""
    grant = await taken(store, 3)

    assert len({permit.id for permit in grant.permits}) == 3
    assert {("eg", "pa", NOON + LIMITS.start_delay)} == {
        (permit.egress, permit.partner, permit.start_by) for permit in grant.permits
    }
    assert grant.retry_at is None
    assert await held(store) == (3, 3)


async def test_more_than_there_is_room_for_is_given_in_part(store: AnyStore) -> None:
    """Who gets fewer than wanted is told when the next one may be had."""
    await taken(store, 7)

    grant = await taken(store, 5)

    assert len(grant.permits) == 3
    assert grant.retry_at == HELD_UNANSWERED


async def test_both_limits_count(store: AnyStore) -> None:
    """Two addresses share their partner's limit, two partners their address's."""
    first = await taken(store, 10, egress="eg1")
    second = await taken(store, 10, egress="eg2")
    third = await taken(store, 10, egress="eg3")
    other_partner = await taken(store, 10, egress="eg1", partner="pa2")

    assert [len(grant.permits) for grant in (first, second, third, other_partner)] == [10, 10, 0, 0]


async def test_a_share_is_left_to_more_urgent_takers(store: AnyStore) -> None:
    """Quiet checks stop first, strong ones next; calls a user waits on may have all."""
    quiet = await taken(store, 10, share=Share.QUIET)
    strong = await taken(store, 10, share=Share.STRONG)
    interactive = await taken(store, 10)

    assert [len(grant.permits) for grant in (quiet, strong, interactive)] == [6, 2, 2]


async def test_one_user_leaves_room_for_others(store: AnyStore) -> None:
    """What one does is bounded, however often it is repeated; what another one waits on is not held up."""
    first = await taken(store, 4, user="ann")
    again = await taken(store, 4, user="ann")
    other = await taken(store, 2, user="bob")
    nobodys = await taken(store, 2)

    assert [len(grant.permits) for grant in (first, again, other, nobodys)] == [4, 2, 2, 2]
    assert (again.retry_at, {permit.user for permit in again.permits}) == (HELD_UNANSWERED, {"ann"})


async def test_what_a_user_holds_is_held_as_long_as_everywhere_else(store: AnyStore) -> None:
    """A window from the answer; what was given back, not at all."""
    grant = await taken(store, 6, user="ann")
    await store.budget.answered(grant.permits[:3], now=NOON + 700)
    await store.budget.give_back(grant.permits[3:])
    returned = await taken(store, 4, user="ann", now=NOON + 800)
    free_at = NOON + 700 + LIMITS.window

    assert (len(returned.permits), returned.retry_at) == (3, free_at)
    assert (await taken(store, 1, user="ann", now=free_at - 1)).permits == ()
    assert len((await taken(store, 4, user="ann", now=free_at)).permits) == 3


async def test_an_unanswered_permit_is_held_as_long_as_its_call_may_count(store: AnyStore) -> None:
    """Start delay, call and window together; then there is room again."""
    await taken(store, 10)

    assert (await taken(store, 1, now=HELD_UNANSWERED - 1)).permits == ()
    assert len((await taken(store, 10, now=HELD_UNANSWERED)).permits) == 10


async def test_an_answered_permit_is_held_one_window_longer(store: AnyStore) -> None:
    """The window counts from the answer, not from the taking."""
    grant = await taken(store, 10)
    answered_at = NOON + 700
    await store.budget.answered(grant.permits[:4], now=answered_at)

    free_at = answered_at + LIMITS.window
    assert Grant(permits=(), retry_at=free_at) == await taken(store, 1, now=free_at - 1)
    assert len((await taken(store, 9, now=free_at)).permits) == 4


async def test_when_to_ask_again_reckons_with_the_reserve(store: AnyStore) -> None:
    """A quiet taker needs more room than an urgent one, and so waits for more permits to end."""
    grant = await taken(store, 10)
    for number, permit in enumerate(grant.permits):
        await store.budget.answered([permit], now=NOON + number)

    quiet = await taken(store, 1, share=Share.QUIET, now=NOON + 10)
    interactive = await taken(store, 1, now=NOON + 10)

    assert NOON + 4 + LIMITS.window == quiet.retry_at
    assert NOON + LIMITS.window == interactive.retry_at


async def test_an_unused_permit_can_be_given_back(store: AnyStore) -> None:
    """Its place is free at once; twice is fine."""
    grant = await taken(store, 10)

    await store.budget.give_back(grant.permits[:3])
    await store.budget.give_back(grant.permits[:3])

    assert await held(store) == (7, 7)


async def test_an_answered_permit_cannot_be_given_back(store: AnyStore) -> None:
    """The call was made, and Zapier counts it."""
    grant = await taken(store, 2)

    await store.budget.answered(grant.permits, now=NOON)
    await store.budget.give_back(grant.permits)
    await store.budget.answered(grant.permits, now=NOON - 1)

    assert await held(store, now=NOON + LIMITS.window - 1) == (2, 2)
    assert await held(store, now=NOON + LIMITS.window) == (0, 0)


async def test_a_late_answer_counts_although_its_permit_was_given_up(store: AnyStore) -> None:
    """Zapier counted the call, whatever we thought of it."""
    late = Permit(id="9000", egress="eg", partner="pa", start_by=NOON)

    await store.budget.answered([late], now=NOON)

    assert await held(store) == (1, 1)


async def test_after_a_refusal_nothing_is_given_for_a_while(store: AnyStore) -> None:
    """Only the refused address and partner cool down, each by itself, and never shorter."""
    await store.budget.cool_down(egress="eg", partner="pa", until=NOON + 60_000)
    await store.budget.cool_down(egress="eg", partner="pa2", until=NOON + 5_000)

    refused = Grant(permits=(), retry_at=NOON + 60_000)
    assert refused == await taken(store, 1)
    assert refused == await taken(store, 1, egress="other")
    assert refused == await taken(store, 1, partner="other")
    assert (await taken(store, 1, egress="other", partner="pa2")).retry_at == NOON + 5_000
    assert len((await taken(store, 1, egress="other", partner="other")).permits) == 1
    assert len((await taken(store, 1, now=NOON + 60_000)).permits) == 1


async def test_room_after_a_cooldown_is_reckoned_with_what_is_held(store: AnyStore) -> None:
    """The later of both says when to ask again."""
    await taken(store, 10)
    await store.budget.cool_down(egress="eg", partner="pa", until=NOON + 1)

    assert (await taken(store, 1)).retry_at == HELD_UNANSWERED


async def test_usage_takes_nothing(store: AnyStore) -> None:
    """Held permits, limits and cooldowns of both sides; a cooldown that is over is none."""
    await taken(store, 4)
    await store.budget.cool_down(egress="eg", partner="other", until=NOON + 1)

    expected = Usage(name="eg", held=4, limit=10, cooldown_until=NOON + 1), Usage(name="pa", held=4, limit=20)
    assert expected == await store.budget.usage(egress="eg", partner="pa", now=NOON)
    assert (
        replace(expected[0], cooldown_until=0)
        == ((await store.budget.usage(egress="eg", partner="pa", now=NOON + 1))[0])
    )


async def test_nothing_wanted_is_nothing_given(store: AnyStore) -> None:
    """Not even when there is no room."""
    await taken(store, 10)

    assert Grant(permits=()) == await taken(store, 0)
    await store.budget.answered([], now=NOON)
    await store.budget.give_back([])


@pytest.mark.parametrize("limits", [Limits(egress=0, partner=0)])
async def test_a_limit_of_nothing_is_no_limit(store: AnyStore) -> None:
    """Permits are still counted, and cooldowns still kept."""
    grant = await taken(store, 500, share=Share.QUIET)

    assert len(grant.permits) == 500
    assert await held(store) == (500, 500)
    await store.budget.cool_down(egress="eg", partner="pa", until=NOON + 1)
    assert Grant(permits=(), retry_at=NOON + 1) == await taken(store, 1)
