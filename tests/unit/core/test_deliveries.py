"""When a delivery is tried, and what it holds up."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.deliveries import (
    DELAYS,
    HOLD,
    MOST_TRIES_KEPT,
    UNTRIED,
    Answer,
    Delivery,
    DeliveryState,
    Lane,
    Queued,
    Turn,
    turn,
)
from orchestrator.core.events import EventName
from orchestrator.core.session import MINUTE, SECOND, Instant, Millis
from tests.support.stories import NOON

DAY: Final[Millis] = 24 * 60 * MINUTE
OK: Final = Answer(status=200, took=7)
BROKEN: Final = Answer(status=500, took=7, text="oops")
ONE: Final = Delivery(
    lane=Lane(tenant_id="default", endpoint_id="wh1", session_id="zs03abcdefghij"),
    seq=1,
    name=EventName.ZAP_CREATED,
    message_id="msg1",
    created_at=NOON,
    next_at=NOON,
)


def failing(delivery: Delivery, *, jitter: float) -> list[Instant]:
    """Let every try fail at once; give the moments of the tries."""
    moments = []
    while delivery.next_at is not None:
        moments.append(delivery.next_at)
        delivery = delivery.after(BROKEN, at=delivery.next_at, now=delivery.next_at, jitter=jitter)
    assert delivery.state is DeliveryState.DEAD
    return moments


@given(st.floats(0, 1))
def test_tries_grow_rarer_over_three_days(jitter: float) -> None:
    """The first again after about five seconds, the last about three days later; then it is dead."""
    moments = failing(ONE, jitter=jitter)
    waits = [later - earlier for earlier, later in pairwise(moments)]

    assert waits == sorted(waits)
    assert 4_500 <= waits[0] <= 5_500
    assert len(moments) == len(DELAYS) + 1
    assert 2.5 * DAY < moments[-1] - moments[0] < 3.5 * DAY


def test_what_failed_together_does_not_come_back_together() -> None:
    """Chance moves each wait by a tenth, either way."""
    chance = Random(7)

    again = {ONE.after(BROKEN, at=NOON, now=NOON, jitter=chance.random()).next_at for _ in range(50)}

    assert len(again) > 40


@pytest.mark.parametrize(
    ("status", "is_receipt"),
    [(200, True), (204, True), (299, True), (199, False), (300, False), (302, False), (404, False), (500, False)],
)
def test_only_a_success_is_a_receipt(status: int, is_receipt: bool) -> None:
    """A redirect is not followed, so it is none."""
    after = ONE.after(Answer(status=status, took=1), at=NOON, now=NOON, jitter=0.5)

    assert (after.state is DeliveryState.DELIVERED) == is_receipt
    assert (after.next_at is None) == is_receipt


def test_no_answer_is_no_receipt() -> None:
    """Its problem is on record."""
    after = ONE.after(Answer(status=None, took=9, problem="no answer in time"), at=NOON, now=NOON + 9, jitter=0.5)

    assert after.next_at == NOON + 9 + 5 * SECOND
    assert [(one.status, one.problem, one.took) for one in after.tries] == [(None, "no answer in time", 9)]


@pytest.mark.parametrize(("asked", "wait"), [(1, 5_000), (60_000, 60_000), (9 * DAY, DAY), (None, 5_000)])
def test_a_receiver_may_ask_for_a_longer_wait(asked: Millis | None, wait: Millis) -> None:
    """A day at most, and never for a shorter one."""
    after = ONE.after(replace(BROKEN, retry_after=asked), at=NOON, now=NOON, jitter=0.5)

    assert after.next_at == NOON + wait


def test_gone_is_said_by_its_status() -> None:
    """410 and no other."""
    assert Answer(status=410, took=1).is_goodbye
    assert not any(Answer(status=status, took=1).is_goodbye for status in (200, 404, 500, None))


def test_a_replay_begins_anew_and_forgets_nothing() -> None:
    """The tries of the round before stay on record, the newest ones."""
    dead = ONE
    while dead.next_at is not None:
        dead = dead.after(BROKEN, at=dead.next_at, now=dead.next_at, jitter=0.5)
    again = dead.again(now=NOON, asked_by="r1")
    after = again.after(BROKEN, at=NOON, now=NOON, jitter=0.5)
    while after.next_at is not None:
        after = after.after(BROKEN, at=after.next_at, now=after.next_at, jitter=0.5)

    assert (again.state, again.tried_at, again.failures) == (DeliveryState.PENDING, UNTRIED, 0)
    assert again.tries == dead.tries
    assert len(after.tries) == MOST_TRIES_KEPT


QUEUED = st.builds(
    Queued,
    st.integers(1, 30),
    st.one_of(st.just(UNTRIED), st.integers(NOON, NOON + 5 * MINUTE)),
    st.integers(NOON, NOON + 10 * MINUTE),
)
LANES = st.lists(QUEUED, unique_by=lambda queued: queued.seq)


@given(LANES, st.randoms())
def test_whose_turn_it_is_depends_on_nothing_but_the_lane(lane: list[Queued], chance: Random) -> None:
    """Not on the order in which it is read; an empty one has none."""
    shuffled = list(lane)
    chance.shuffle(shuffled)

    assert turn(lane) == turn(shuffled)
    assert (turn(lane) is None) == (not lane)


@given(LANES)
def test_nobody_passes_who_was_never_tried(lane: list[Queued]) -> None:
    """Order is kept, but for what a failure cannot hold any longer."""
    following = turn(lane)
    untried = [queued.seq for queued in lane if queued.tried_at == UNTRIED]

    assert following is None or following.seq <= min(untried, default=following.seq)


@given(LANES)
def test_nobody_passes_a_failure_before_its_minute_is_over(lane: list[Queued]) -> None:
    """Nor is anybody tried before their own time."""
    following = turn(lane)
    if following is not None:
        mine = next(queued for queued in lane if queued.seq == following.seq)
        passed = [queued for queued in lane if queued.seq < following.seq]

        assert following.at >= mine.next_at
        assert all(following.at >= queued.tried_at + HOLD for queued in passed)


@given(LANES)
def test_a_failure_holds_nobody_longer_than_its_minute(lane: list[Queued]) -> None:
    """The earliest that was never tried has its turn once all before it were tried a minute ago, or something has."""
    following = turn(lane)
    ordered = sorted(lane)
    first = next((queued for queued in ordered if queued.tried_at == UNTRIED), None)
    if first is not None and following is not None:
        held = max((queued.tried_at + HOLD for queued in ordered if queued.seq < first.seq), default=0)

        assert following.at <= max(first.next_at, held)


def test_a_lane_goes_on_by_seq() -> None:
    """The lowest that may be tried, at the same moment."""
    lane = [Queued(3, UNTRIED, NOON), Queued(2, UNTRIED, NOON)]

    assert turn(lane) == Turn(NOON, 2)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(2, 6), st.randoms())
def test_any_receiver_gets_everything_in_order_but_for_what_a_minute_let_pass(
    outcomes: list[bool], size: int, chance: Random
) -> None:
    """Played to its end: a receiver that fails at random, then works, and a lane with one try at a time."""
    lane = {seq: replace(ONE, seq=seq) for seq in range(1, size + 1)}
    pending, now, received, tried_first = dict(lane), NOON, list[int](), dict[int, Instant]()
    answers = iter([*outcomes, *[True] * 200])
    while pending:
        following = turn(Queued(one.seq, one.tried_at, one.next_at or 0) for one in pending.values())
        assert following is not None
        now = max(now, following.at)
        tried_first.setdefault(following.seq, now)
        answer = OK if next(answers) else BROKEN
        after = pending.pop(following.seq).after(answer, at=now, now=now, jitter=chance.random())
        if after.state is DeliveryState.DELIVERED:
            received.append(after.seq)
        elif after.state is DeliveryState.PENDING:
            pending[after.seq] = after
    passed = [(early, late) for early in received for late in received if early < late]

    for early, late in passed:
        is_in_order = received.index(early) < received.index(late)

        assert is_in_order or tried_first[late] >= tried_first[early] + HOLD
    assert sorted(tried_first) == sorted(lane)
