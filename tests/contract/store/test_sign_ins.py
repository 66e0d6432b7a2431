"""The promises of `SignInStore`, on every adapter."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import pytest

from orchestrator.core.errors.credentials import SignInRefusedError
from orchestrator.core.session import shard_of
from orchestrator.core.sign_ins import KEPT_FOR, MOST_KEPT, Newcomer, Refusal, SignIn, SignInState
from tests.support.store_values import NOON, SHARDS, TENANT, USER, AnyStore, a_sign_in

FULL: Final = Newcomer(email="ann@example.com", first_name="Änn", last_name="B")


async def test_a_sign_in_is_kept_as_it_was_begun(store: AnyStore) -> None:
    """Every field of it."""
    full = replace(a_sign_in(), return_url="https://app.example/a?b", newcomer=FULL)
    await store.sign_ins.begin(full)

    assert await store.sign_ins.get(full.id) == full
    assert await store.sign_ins.get(a_sign_in("none").id) is None


async def test_what_is_no_id_is_refused(store: AnyStore) -> None:
    """An address may hold anything."""
    with pytest.raises(SignInRefusedError) as refused:
        await store.sign_ins.get("si:")

    assert refused.value.why == Refusal.UNKNOWN


async def test_of_many_who_go_on_at_once_one_does(store: AnyStore) -> None:
    """The others are told so, and overwrite nothing."""
    begun = a_sign_in()
    await store.sign_ins.begin(begun)
    wishes = [replace(begun, state=SignInState.AT_ZAPIER, digest=f"d{number}") for number in range(5)]

    went = await asyncio.gather(*(store.sign_ins.move(begun, wish) for wish in wishes))

    assert sorted(went) == [False] * 4 + [True]
    assert await store.sign_ins.get(begun.id) == wishes[went.index(True)]


async def test_a_sign_in_that_is_gone_cannot_go_on(store: AnyStore) -> None:
    """Nothing brings it back."""
    begun = a_sign_in()

    assert not await store.sign_ins.move(begun, replace(begun, state=SignInState.AT_ZAPIER))
    assert await store.sign_ins.get(begun.id) is None


async def test_sign_ins_are_forgotten_the_oldest_first(store: AnyStore) -> None:
    """As many as asked for, and none before its time."""
    all_three = [a_sign_in(name, made_at=NOON + number) for number, name in enumerate("abc")]
    for one in all_three:
        await store.sign_ins.begin(one)
    shard, then = shard_of(TENANT, USER, shards=SHARDS), NOON + KEPT_FOR + 1

    assert await store.sign_ins.forget(shard, now=then, limit=1) == 1
    assert await store.sign_ins.forget(shard, now=then, limit=10) == 1
    assert [await store.sign_ins.get(one.id) for one in all_three] == [None, None, all_three[2]]


async def begun(store: AnyStore, number: int, **whose: str) -> list[SignIn]:
    """Begin so many sign-ins, each a moment after the one before."""
    sign_ins = [a_sign_in(f"n{place}", made_at=NOON + place, **whose) for place in range(number)]
    for one in sign_ins:
        await store.sign_ins.begin(one)
    return sign_ins


async def left(store: AnyStore, sign_ins: list[SignIn]) -> list[int]:
    """Say which are there still."""
    found = [await store.sign_ins.get(one.id) for one in sign_ins]
    return [place for place, one in enumerate(found) if one is not None]


async def test_of_too_many_sign_ins_of_a_user_the_oldest_go(store: AnyStore) -> None:
    """Whoever begins one more means that one. Another user's are not counted with them."""
    others = await begun(store, MOST_KEPT, user="user-10")
    mine = await begun(store, MOST_KEPT + 3)
    went_on = await store.sign_ins.move(mine[-1], replace(mine[-1], state=SignInState.AT_ZAPIER))

    assert (await left(store, mine), went_on) == (list(range(3, MOST_KEPT + 3)), True)
    assert await left(store, others) == list(range(MOST_KEPT))


async def test_a_sign_in_that_is_being_finished_goes_last(store: AnyStore) -> None:
    """Zapier may have handed out tokens for it, which nobody else has."""
    first = replace(a_sign_in("first"), state=SignInState.AT_ZAPIER)
    await store.sign_ins.begin(first)
    await store.sign_ins.move(first, replace(first, state=SignInState.RETURNED))
    following = await begun(store, MOST_KEPT)

    assert await store.sign_ins.get(first.id) is not None
    assert await left(store, following) == list(range(1, MOST_KEPT))


async def test_sign_ins_that_are_all_being_finished_are_bounded_too(store: AnyStore) -> None:
    """The oldest goes even so, and never the one that has just come."""
    for number in range(MOST_KEPT + 1):
        one = replace(a_sign_in(f"r{number}", made_at=NOON - number), state=SignInState.RETURNED)
        await store.sign_ins.begin(one)
        assert await store.sign_ins.get(one.id) is not None

    assert await store.sign_ins.get(a_sign_in(f"r{MOST_KEPT - 1}").id) is None


async def test_what_was_forgotten_counts_no_more(store: AnyStore) -> None:
    """A user who comes back later begins with none."""
    old = await begun(store, MOST_KEPT)
    shard = shard_of(TENANT, USER, shards=SHARDS)
    await store.sign_ins.forget(shard, now=NOON + KEPT_FOR + MOST_KEPT, limit=99)
    new = replace(a_sign_in("new"), made_at=NOON - 1)
    await store.sign_ins.begin(new)
    for place in range(MOST_KEPT - 1):
        await store.sign_ins.begin(a_sign_in(f"m{place}"))

    assert await left(store, [*old, new]) == [MOST_KEPT]


async def test_sign_ins_of_an_erased_user_are_gone(store: AnyStore) -> None:
    """Others' stay, and what is gone can neither be opened nor come back."""
    mine, others = a_sign_in(), [a_sign_in("n", user="user-10"), a_sign_in("t", tenant="other")]
    for one in (mine, *others):
        await store.sign_ins.begin(one)

    await store.users.erase(TENANT, USER, now=NOON)

    assert await store.sign_ins.get(mine.id) is None
    assert [await store.sign_ins.get(one.id) for one in others] == others
