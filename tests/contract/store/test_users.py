"""The promises of erasing a user, on every adapter."""

from __future__ import annotations

from typing import Final

import pytest

from orchestrator.core.effects import ClaimAuthentication, Due, OpenPopup
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import LeaseLostError, StaleVersionError
from orchestrator.core.ports.credentials import NewTokens, Profile
from orchestrator.core.ports.sessions import SessionPage, SessionQuery
from orchestrator.core.ports.watches import Settlement, Watch
from orchestrator.core.session import Session, SessionStatus, WatchKey
from tests.support.store_values import (
    APP,
    NOON,
    SHARDS,
    TENANT,
    USER,
    WATCH,
    AnyStore,
    a_receipt,
    a_record,
    a_session,
    committed,
    next_commit,
    wait,
)

OTHER: Final = "other-app"
CLAIM: Final = ClaimAuthentication(app_id=APP, step_id="st1", authentication_id="77", by_difference=True)
POPUP: Final = OpenPopup(app_id=APP, step_id="st1", attempt_id="at1", until=NOON + 600_000)
NEIGHBOURS: Final = ["user-10", "user-", f"{USER}:x", "User-1"]
"""Users whose ids look like the one that is erased; some of them share their shard."""


async def sign_in(store: AnyStore, user: str, *, profile: str = "pr1", tenant: str = TENANT) -> None:
    """Put a credential."""
    known = Profile(id=profile)
    await store.credentials.put(tenant, user, NewTokens(access_token="token"), profile=known, now=NOON)


async def a_life(store: AnyStore, user: str, *, tenant: str = TENANT) -> list[Session]:
    """Have a user of whom everything is kept that can be: return the sessions, one of them ended."""
    await sign_in(store, user, profile="pr0", tenant=tenant)
    await sign_in(store, user, tenant=tenant)
    waiting = await committed(
        store,
        a_session("a", user=user, tenant=tenant),
        events=3,
        effects=[wait(strong=NOON, visible_until=NOON + 9), POPUP, CLAIM, wait(quiet=NOON + 5, app=OTHER)],
        record=a_record(),
        wake_at=NOON,
        receipt=a_receipt(),
        reference="order",
    )
    other = a_session("b", user=user, tenant=tenant)
    ended = await committed(store, other, ended=SessionStatus.CANCELLED, wake_at=NOON)
    return [waiting, ended]


async def erase(store: AnyStore, user: str = USER) -> None:
    """Erase a user."""
    await store.users.erase(TENANT, user, now=NOON)


async def seen(store: AnyStore, user: str, sessions: list[Session], *, tenant: str = TENANT) -> list[object]:
    """Read everything that can be read of a user."""
    found: list[object] = []
    for session in sessions:
        for read in (
            store.sessions.load_any(session.id),
            store.sessions.signals(session.id),
            store.sessions.events(session.id, after=0),
        ):
            try:
                found.append(await read)
            except SessionNotFoundError:
                found.append(None)
    keys = [WatchKey(tenant_id=tenant, user_id=user, app_id=app) for app in (APP, OTHER)]
    due = await store.watches.peek(now=NOON + 9, limit=99)
    woken = [await store.sessions.to_wake(shard, now=NOON, limit=99) for shard in range(SHARDS)]
    return [
        *found,
        await store.sessions.find(SessionQuery(tenant_id=tenant, user_id=user)),
        await store.sessions.of_user(tenant, user),
        await store.sessions.referred(tenant, user, "order"),
        await store.receipts.find(tenant, user, "r1", now=NOON),
        await store.credentials.get(tenant, user),
        *[await store.watches.load(key, now=NOON) for key in keys],
        [watch for watch in due if watch.key in keys],
        [session.id for session in sessions if any(session.id in ids for ids in woken)],
    ]


async def test_nothing_is_kept_of_an_erased_user(store: AnyStore) -> None:
    """Neither what was being built, nor what had ended, nor who they were."""
    sessions = await a_life(store, USER)
    before = await seen(store, USER, sessions)
    await erase(store)

    nothing: list[object] = [*[None] * 6, SessionPage(sessions=()), (), None, None, None]
    nothing += [Watch(key=WATCH), Watch(key=WatchKey(tenant_id=TENANT, user_id=USER, app_id=OTHER)), [], []]
    assert await seen(store, USER, sessions) == nothing
    assert all(one != other for one, other in zip(before, nothing, strict=True))


async def test_others_keep_everything(store: AnyStore) -> None:
    """Also those whose ids look alike, and the user of the same id in another tenant."""
    lives = {user: await a_life(store, user) for user in [USER, *NEIGHBOURS]}
    theirs = await a_life(store, USER, tenant="other")
    before = [await seen(store, user, lives[user]) for user in NEIGHBOURS]
    namesake = await seen(store, USER, theirs, tenant="other")
    await erase(store)

    assert [await seen(store, user, lives[user]) for user in NEIGHBOURS] == before
    assert await seen(store, USER, theirs, tenant="other") == namesake


async def test_erasing_twice_or_nobody_is_fine(store: AnyStore) -> None:
    """There is nothing to erase then."""
    await a_life(store, USER)
    for _ in range(2):
        await erase(store)
    await erase(store, "nobody")

    assert await store.sessions.of_user(TENANT, USER) == ()


async def test_what_was_read_before_brings_nothing_back(store: AnyStore) -> None:
    """A commit, a log entry, a check and a refused token that come late find nothing to change."""
    (waiting, ended) = sessions = await a_life(store, USER)
    (leased,) = await store.watches.lease([WATCH], token="t1", now=NOON, until=NOON + 9)
    watch = await store.watches.load(WATCH, now=NOON)
    credential = await store.credentials.get(TENANT, USER)
    assert credential is not None
    await erase(store)
    nothing = await seen(store, USER, sessions)

    late = next_commit(waiting, effects=[wait(strong=NOON), POPUP, CLAIM], record=a_record(), receipt=a_receipt("r9"))
    with pytest.raises(StaleVersionError):
        await store.sessions.commit(late)
    with pytest.raises(SessionNotFoundError):
        await store.sessions.record(waiting.id, a_record())
    settlement = Settlement(key=leased, token="t1", version=watch.version, now=NOON, due=Due(strong=NOON))
    with pytest.raises(LeaseLostError):
        await store.watches.settle(settlement)
    assert await store.watches.lease([WATCH], token="t2", now=NOON, until=NOON + 9) == ()
    assert not await store.credentials.need_sign_in(TENANT, USER, generation=credential.generation)
    for shard in range(SHARDS):
        assert await store.watches.forget_claims(shard, before=NOON + 9, limit=9) == 0
        assert await store.receipts.forget(shard, now=NOON + 99_999, limit=9) == 0
    await store.sessions.purge(ended)

    assert await seen(store, USER, sessions) == nothing


async def test_nobody_is_to_be_told_of_an_erased_users_credential(store: AnyStore) -> None:
    """Who is about to note that they were finds it gone; others who are to be told still are."""
    for user in (USER, NEIGHBOURS[0]):
        await sign_in(store, user)
        await store.credentials.need_sign_in(TENANT, user, generation=1)
    standing = await store.credentials.standing(TENANT, USER)
    assert standing is not None
    await erase(store)

    untold = [await store.credentials.untold(shard, limit=9) for shard in range(SHARDS)]
    assert [user for users in untold for user in users] == [(TENANT, NEIGHBOURS[0])]
    assert not await store.credentials.told(standing)


async def test_an_erased_user_may_come_back(store: AnyStore) -> None:
    """As somebody new: nothing of before is theirs, and what was under way for it is not taken for theirs."""
    await a_life(store, USER)
    before = await store.credentials.get(TENANT, USER)
    await erase(store)
    sessions = await a_life(store, USER)

    assert await store.sessions.of_user(TENANT, USER) == (sessions[0].id,)
    assert (await store.watches.load(WATCH, now=NOON)).version == NOON
    credential = await store.credentials.get(TENANT, USER)
    assert before is not None
    assert credential is not None
    assert credential.generation == before.generation + 2


async def test_an_erased_user_is_counted_while_a_popup_may_yield_something(store: AnyStore) -> None:
    """Under every profile they had, without a name; somebody else may have the same profile."""
    await a_life(store, USER)
    await sign_in(store, "user-2")
    await sign_in(store, "no-popup")

    async def count(profile: str, now: int) -> int:
        return await store.credentials.users_of_profile(TENANT, profile, now=now)

    assert [await count("pr0", NOON), await count("pr1", NOON)] == [1, 3]
    for user in (USER, USER, "no-popup"):
        await erase(store, user)

    assert [await count("pr0", POPUP.until - 1), await count("pr1", POPUP.until - 1)] == [1, 2]
    assert [await count("pr0", POPUP.until), await count("pr1", POPUP.until)] == [0, 1]


async def test_whoever_follows_a_session_hears_of_its_end(store: AnyStore) -> None:
    """A page that waits for news is told to look."""
    (waiting, _) = await a_life(store, USER)

    async with store.changes.session(waiting.id) as subscription:
        await erase(store)
        heard = await subscription.changed(timeout=5_000)

    assert heard
