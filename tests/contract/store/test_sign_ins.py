"""The promises of `SignInStore`, on every adapter."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import pytest

from orchestrator.core.errors import SignInRefusedError
from orchestrator.core.session import shard_of
from orchestrator.core.sign_ins import KEPT_FOR, Newcomer, Refusal, SignIn, SignInState, id_prefix
from tests.support.store_values import NOON, SHARDS, TENANT, USER, AnyStore

FULL: Final = Newcomer(email="ann@example.com", first_name="Änn", last_name="B")


def a_sign_in(name: str = "a", *, user: str = USER, tenant: str = TENANT, made_at: int = NOON) -> SignIn:
    """Return a sign-in as it is begun: it lies in its user's shard."""
    return SignIn(
        id=f"{id_prefix(shard_of(tenant, user, shards=SHARDS))}{name:x>20}",
        tenant_id=tenant,
        user_id=user,
        browser="known",
        origins=("https://app.example",),
        digest="d1",
        made_at=made_at,
    )


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


async def test_sign_ins_of_an_erased_user_are_gone(store: AnyStore) -> None:
    """Others' stay, and what is gone can neither be opened nor come back."""
    mine, others = a_sign_in(), [a_sign_in("n", user="user-10"), a_sign_in("t", tenant="other")]
    for one in (mine, *others):
        await store.sign_ins.begin(one)

    await store.users.erase(TENANT, USER, now=NOON)

    assert await store.sign_ins.get(mine.id) is None
    assert [await store.sign_ins.get(one.id) for one in others] == others
