"""The promises of `Cache`, `Leases` and `Changes`, on every adapter."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from orchestrator.core.effects import Due
from orchestrator.core.errors.store import LeaseLostError
from orchestrator.core.ports.around import Subscription
from orchestrator.core.ports.watches import Settlement
from tests.support.store_values import (
    NOON,
    WATCH,
    AnyStore,
    a_record,
    a_session,
    committed,
    session_id,
    signed_in,
    wait,
)

SOON: Final = 5_000
AT_ONCE: Final = 60


async def is_told(subscription: Subscription) -> bool:
    """Tell whether news has come or comes soon."""
    return await subscription.changed(timeout=SOON)


async def is_left_alone(subscription: Subscription) -> bool:
    """Tell whether no news came."""
    return not await subscription.changed(timeout=AT_ONCE)


# --- cache ----------------------------------------------------------------------------------------------------


async def test_a_value_is_cached_until_its_time_is_over(store: AnyStore) -> None:
    """By the caller's clock, to the millisecond; any bytes, and any key."""
    await store.cache.put("apps:{x} ü", b"\x00\xff", now=NOON, until=NOON + 10_000)

    assert await store.cache.get("apps:{x} ü", now=NOON + 9_999) == b"\x00\xff"
    assert await store.cache.get("apps:{x} ü", now=NOON + 10_000) is None
    assert await store.cache.get("other", now=NOON) is None


async def test_a_new_value_replaces_the_old_one(store: AnyStore) -> None:
    """With its own time."""
    await store.cache.put("key", b"old", now=NOON, until=NOON + 10_000)
    await store.cache.put("key", b"new", now=NOON, until=NOON + 20_000)

    assert await store.cache.get("key", now=NOON + 15_000) == b"new"


async def test_a_value_that_is_over_is_not_kept(store: AnyStore) -> None:
    """Nor does it stay because something older was there."""
    await store.cache.put("key", b"old", now=NOON, until=NOON + 10_000)
    await store.cache.put("key", b"new", now=NOON, until=NOON)

    assert await store.cache.get("key", now=NOON) is None


# --- leases ---------------------------------------------------------------------------------------------------


async def test_one_holder_at_a_time(store: AnyStore) -> None:
    """Its holder prolongs the lease, others get it once it has run out."""
    outcomes = [
        await store.leases.acquire("sweep:1", holder="a", now=NOON, until=NOON + 10),
        await store.leases.acquire("sweep:1", holder="b", now=NOON, until=NOON + 10),
        await store.leases.acquire("sweep:2", holder="b", now=NOON, until=NOON + 10),
        await store.leases.acquire("sweep:1", holder="a", now=NOON + 9, until=NOON + 20),
        await store.leases.acquire("sweep:1", holder="b", now=NOON + 19, until=NOON + 30),
        await store.leases.acquire("sweep:1", holder="b", now=NOON + 20, until=NOON + 30),
    ]

    assert outcomes == [True, False, True, True, False, True]


async def test_only_its_holder_frees_a_lease(store: AnyStore) -> None:
    """Freeing what is not ours, or nothing, is fine and does nothing."""
    await store.leases.acquire("sweep", holder="a", now=NOON, until=NOON + 10)

    await store.leases.release("sweep", holder="b")
    await store.leases.release("unknown", holder="b")
    still_held = not await store.leases.acquire("sweep", holder="b", now=NOON, until=NOON + 10)
    await store.leases.release("sweep", holder="a")

    assert still_held
    assert await store.leases.acquire("sweep", holder="b", now=NOON, until=NOON + 10)


# --- changes --------------------------------------------------------------------------------------------------


async def test_a_commit_wakes_those_who_wait_for_the_session(store: AnyStore) -> None:
    """Everybody once, however many commits there were; others are left alone."""
    async with (
        store.changes.session(session_id("a")) as one,
        store.changes.session(session_id("a")) as another,
        store.changes.session(session_id("b")) as other,
    ):
        session = await committed(store, a_session("a"))

        assert await is_told(one)
        assert await is_told(another)
        assert await is_left_alone(other)
        assert await is_left_alone(one)

        await committed(store, session)
        assert await is_told(one)


async def test_news_from_before_the_question_is_not_lost(store: AnyStore) -> None:
    """Who reads between subscribing and asking misses nothing."""
    async with store.changes.session(session_id("a")) as subscription:
        await committed(store, a_session("a"))
        await store.sessions.load_any(session_id("a"))

        assert await is_told(subscription)


async def test_what_changes_nothing_wakes_nobody(store: AnyStore) -> None:
    """A refused signal and a repeated commit are no news."""
    session = await committed(store, a_session("a"), commit_id="once")
    async with store.changes.session(session.id) as subscription:
        await store.sessions.record(session.id, a_record())
        await committed(store, a_session("a"), commit_id="once")

        assert await is_left_alone(subscription)


async def test_a_signal_wakes_the_dispatcher(store: AnyStore) -> None:
    """A watch that is due at once is news; one that is due later is not."""
    async with store.changes.due() as subscription:
        session = await committed(store, a_session(), effects=[wait(strong=NOON + 1, quiet=NOON + 1)])
        assert await is_left_alone(subscription)

        await committed(store, session, effects=[wait(strong=NOON)])
        assert await is_told(subscription)


async def test_a_signal_during_a_check_wakes_the_dispatcher_after_it(store: AnyStore) -> None:
    """While the watch is leased there is nothing to dispatch; its settlement tells."""
    session = await committed(store, a_session(), effects=[wait(strong=NOON)])
    await store.watches.lease([WATCH], token="t", now=NOON, until=NOON + 30_000)
    async with store.changes.due() as subscription:
        await committed(store, session, effects=[wait(strong=NOON)])
        assert await is_left_alone(subscription)

        await store.watches.settle(Settlement(key=WATCH, token="t", version=NOON + 1, now=NOON, due=Due(strong=NOON)))
        assert await is_told(subscription)


async def test_the_end_of_a_check_tells_the_sessions_that_wait_on_it(store: AnyStore) -> None:
    """Though nothing was found, their next check has moved. A check that cannot settle tells nobody."""
    await committed(store, a_session("a"), effects=[wait(strong=NOON), wait(strong=NOON, step="st2")])
    await committed(store, a_session("b"), effects=[wait(strong=NOON)])
    await committed(store, a_session("c"))
    await store.watches.lease([WATCH], token="t", now=NOON, until=NOON + 30_000)
    settlement = Settlement(key=WATCH, token="t", version=NOON + 1, now=NOON, due=Due(quiet=NOON + 60_000))
    async with (
        store.changes.session(session_id("a")) as one,
        store.changes.session(session_id("b")) as another,
        store.changes.session(session_id("c")) as other,
    ):
        with pytest.raises(LeaseLostError):
            await store.watches.settle(replace(settlement, token="another"))
        assert await is_left_alone(one)

        await store.watches.settle(settlement)
        assert await is_told(one)
        assert await is_told(another)
        assert await is_left_alone(other)


async def test_resumed_watches_wake_the_dispatcher(store: AnyStore) -> None:
    """A new credential is as good as a signal."""
    await committed(store, a_session(), effects=[wait(strong=NOON)])
    await store.watches.lease([WATCH], token="t", now=NOON, until=NOON + 30_000)
    paused = Settlement(key=WATCH, token="t", version=NOON, now=NOON, due=Due(strong=NOON), paused_for=0)
    await store.watches.settle(paused)
    async with store.changes.due() as subscription:
        await signed_in(store, user="user-2")
        assert await is_left_alone(subscription)

        await signed_in(store)
        assert await is_told(subscription)
