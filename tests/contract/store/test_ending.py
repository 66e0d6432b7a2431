"""A check that ends by a commit: what is left is what the commit and a settlement after it leave, on every adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from redis import Redis

from orchestrator.core.effects import Due, Effect, EndCheck, Guard, LeaseHeld, StopWaiting, Untouched
from orchestrator.core.errors.store import GuardFailedError, LeaseLostError
from orchestrator.core.ports.sessions import Written
from orchestrator.core.ports.watches import Leased, Settlement
from orchestrator.core.session import Instant, Session
from orchestrator.store.limits import Limits
from orchestrator.store.memory import MemoryStore
from orchestrator.store.opening import open_store
from tests.contract.store.conftest import SEALING_KEY
from tests.contract.store.test_agreement import dues, effects
from tests.support.store_values import (
    APP,
    NOON,
    SHARDS,
    WATCH,
    AnyStore,
    a_session,
    committed,
    next_commit,
    session_id,
    wait,
)
from tests.support.valkey import ValkeyServer

LATER: Final = NOON + 30_000
STOP: Final = StopWaiting(app_id=APP, step_id="st1")
SOON: Final = 5_000


def guards(*, version: int, token: str = "ours") -> tuple[Guard, Guard]:
    """Return what ending a check relies on."""
    return LeaseHeld(app_id=APP, token=token), Untouched(app_id=APP, version=version)


def end(due: Due | None = None, *, begun_at: Instant = NOON - 7, pages: int = 1) -> EndCheck:
    """Return the order to end the check."""
    return EndCheck(app_id=APP, begun_at=begun_at, pages=pages, due=due)


async def checked(store: AnyStore, *others: str) -> Session:
    """Have a session wait, and these others, on a watch that is leased."""
    session = await committed(store, a_session(), effects=[wait(strong=NOON, quiet=NOON)])
    for name in others:
        await committed(store, a_session(name), effects=[wait(strong=NOON)])
    assert await store.watches.lease([WATCH], token="ours", now=NOON, until=LATER)
    return session


async def test_the_commit_that_takes_a_listing_ends_its_check(store: AnyStore) -> None:
    """Its counters are written, its lease is free, and nobody waits any more; the answer says so."""
    session = await checked(store)
    commit = next_commit(session, effects=[STOP, end(pages=2)], guards=guards(version=NOON))
    written = await store.sessions.commit(commit)

    watch = await store.watches.load(WATCH, now=NOON)
    assert isinstance(written, Written)
    assert (watch.lease_token, watch.lease_until, watch.checks, watch.pages) == (None, 0, (NOON - 7,), 2)
    assert watch.version == NOON + 1
    assert (watch.waiters, watch.next_check_at) == ((), None) == ((), written.next_checks[APP])


async def test_who_still_waits_is_due_when_it_was_computed(store: AnyStore) -> None:
    """Neither what was wanted before nor the lease says when, whichever order the effects have."""
    session = await checked(store)
    due = Due(quiet=NOON + 5, visible_until=NOON + 9)
    await committed(store, session, effects=[end(due), wait(strong=NOON, quiet=NOON)], guards=guards(version=NOON))

    (found,) = await store.watches.peek(now=NOON + 5, limit=9)
    assert (found.due, found.urgency.name) == (NOON + 5, "VISIBLE")


async def test_a_check_ends_by_a_commit_that_asks_for_nothing_else(store: AnyStore) -> None:
    """No signal touched the watch, and its version says so."""
    session = await checked(store)
    await committed(store, session, effects=[end(Due(strong=NOON))], guards=guards(version=NOON))

    watch = await store.watches.load(WATCH, now=NOON)
    assert (watch.version, watch.next_check_at, watch.failures, watch.retry_at) == (NOON, NOON, 0, None)


async def test_a_repeated_commit_ends_its_check_once(store: AnyStore) -> None:
    """When its answer was lost."""
    session = await checked(store)
    commit = next_commit(session, effects=[STOP, end()], guards=guards(version=NOON))

    assert await store.sessions.commit(commit) == await store.sessions.commit(commit)
    assert (await store.watches.load(WATCH, now=NOON)).checks == (NOON - 7,)


@pytest.mark.parametrize(
    ("relied_on", "error"),
    [
        (guards(version=NOON, token="theirs"), LeaseLostError),
        (guards(version=0), GuardFailedError),
    ],
    ids=["another's lease", "another version"],
)
async def test_what_has_changed_ends_no_check_and_writes_nothing(
    store: AnyStore, relied_on: tuple[Guard, ...], error: type[Exception]
) -> None:
    """Whoever has the lease now looks again; whoever touched the watch is heard first."""
    session = await checked(store)

    with pytest.raises(error):
        await committed(store, session, effects=[STOP, end()], guards=relied_on)

    watch = await store.watches.load(WATCH, now=NOON)
    assert (watch.lease_token, watch.checks, len(watch.waiters)) == ("ours", (), 1)
    assert session == await store.sessions.load(session.key)


@pytest.mark.parametrize("relied_on", [(), guards(version=NOON)[:1], guards(version=NOON)[1:]])
async def test_no_check_is_ended_blindly(store: AnyStore, relied_on: tuple[Guard, ...]) -> None:
    """It would free another's lease, or forget what was heard."""
    session = await checked(store)

    with pytest.raises(ValueError, match="ended without"):
        await committed(store, session, effects=[end()], guards=relied_on)


async def test_whoever_waits_is_told_that_the_check_has_ended(store: AnyStore) -> None:
    """Their pages show when the next one is due; others are left alone."""
    session = await checked(store, "b")
    await committed(store, a_session("c"))
    async with (
        store.changes.session(session_id("b")) as waiting,
        store.changes.session(session_id("c")) as other,
        store.changes.due() as due,
    ):
        await committed(store, session, effects=[STOP, end(Due(strong=NOON))], guards=guards(version=NOON + 1))

        assert await waiting.changed(timeout=SOON)
        assert await due.changed(timeout=SOON)
        assert not await other.changed(timeout=60)


async def test_a_check_begins_with_what_its_lease_holds(store: AnyStore) -> None:
    """Its failures, its pages and who waits, as long as the lease is good; nobody else's lease gives anything."""
    session = await checked(store, "b")
    seen, due = NOON + 1, Due(strong=NOON)
    settlement = Settlement(key=WATCH, token="ours", version=seen, now=NOON, due=due, pages=3, failures=2)
    first = await store.watches.leased(WATCH, token="ours", now=NOON)
    await store.watches.settle(settlement)
    between = await store.watches.leased(WATCH, token="ours", now=NOON)
    await store.watches.lease([WATCH], token="again", now=NOON, until=LATER)

    waiting = frozenset({session.id, session_id("b")})
    assert (Leased(failures=0, pages=1, session_ids=waiting), None) == (first, between)
    assert await store.watches.leased(WATCH, token="ours", now=NOON) is None
    assert await store.watches.leased(WATCH, token="again", now=LATER) is None
    assert await store.watches.leased(WATCH, token="again", now=LATER - 1) == Leased(
        failures=2, pages=3, session_ids=waiting
    )


async def test_a_watch_and_sessions_are_read_together(store: AnyStore) -> None:
    """Those that are there and its user's; the watch is as it is when it is read alone."""
    session = await checked(store, "b")
    foreign = await committed(store, a_session("f", user="user-2"))
    wanted = [session.id, session_id("b"), session_id("gone"), foreign.id]
    watch, found = await store.watches.load_with_sessions(WATCH, wanted, now=NOON)

    assert await store.watches.load(WATCH, now=NOON) == watch
    assert {session.id, session_id("b")} == {one.id for one in found}
    assert session in found


# --- by one step or by two ------------------------------------------------------------------------------------


async def one_step(store: AnyStore, session: Session, wanted: Sequence[Effect], ended: EndCheck) -> bool:
    """Commit and end the check by it."""
    watch = await store.watches.load(WATCH, now=NOON)
    relied_on = guards(version=watch.version)
    commit = next_commit(session, commit_id="last", effects=[*wanted, ended], guards=relied_on)
    try:
        await store.sessions.commit(commit)
    except LeaseLostError:
        return False
    return True


async def two_steps(store: AnyStore, session: Session, wanted: Sequence[Effect], ended: EndCheck) -> bool:
    """Commit, and settle the watch afterwards."""
    try:
        await store.sessions.commit(
            next_commit(session, commit_id="last", effects=wanted, guards=guards(version=0)[:1])
        )
        watch = await store.watches.load(WATCH, now=NOON)
        settlement = Settlement(
            key=WATCH,
            token="ours",
            version=watch.version,
            now=NOON,
            due=ended.due,
            checked_at=ended.begun_at,
            pages=ended.pages,
        )
        await store.watches.settle(settlement)
    except LeaseLostError:
        return False
    return True


async def lived(store: AnyStore, before: Sequence[tuple[str, Sequence[Effect]]]) -> Session:
    """Let sessions commit these effects, some before the check has its lease and some since; return one of them."""
    sessions = {name: a_session(name) for name in "ab"}
    for number, (name, wanted) in enumerate([("a", [wait(strong=NOON, quiet=NOON)]), *before]):
        if number == len(before) // 2 + 1:
            await store.watches.lease([WATCH], token="ours", now=NOON, until=LATER)
        commit = next_commit(sessions[name], commit_id=f"c{number}", effects=wanted)
        await store.sessions.commit(commit)
        sessions[name] = commit.session
    await store.watches.lease([WATCH], token="ours", now=NOON, until=LATER)
    return sessions["a"]


def contents(server: ValkeyServer) -> dict[bytes, object]:
    """Return all that a server holds."""
    readers = {b"hash": "HGETALL", b"set": "SMEMBERS", b"string": "GET"}
    ranges = {b"zset": ("ZRANGE", 0, -1, "WITHSCORES"), b"list": ("LRANGE", 0, -1), b"stream": ("XRANGE", "-", "+")}
    with Redis.from_url(server.url) as redis:
        found: dict[bytes, object] = {}
        for key in redis.scan_iter():
            kind = redis.type(key)
            command, *rest = ranges.get(kind) or (readers[kind],)
            found[key] = redis.execute_command(command, key, *rest)
        return found


histories = st.lists(st.tuples(st.sampled_from("ab"), st.lists(effects(NOON), max_size=3)), max_size=4)
last_effects = st.lists(effects(NOON), max_size=3)
endings = st.builds(
    EndCheck,
    app_id=st.just(APP),
    begun_at=st.sampled_from([NOON - 9, NOON]),
    pages=st.integers(1, 2),
    due=st.none() | dues(NOON),
)
SEVERAL: Final = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@given(before=histories, wanted=last_effects, ended=endings)
@settings(SEVERAL, max_examples=200)
def test_one_step_leaves_in_memory_what_two_leave(
    before: list[tuple[str, list[Effect]]], wanted: list[Effect], ended: EndCheck
) -> None:
    """Whatever came before, and whatever else the commit asks for."""

    async def both() -> None:
        joined, apart = MemoryStore(shards=SHARDS), MemoryStore(shards=SHARDS)
        assume(await one_step(joined, await lived(joined, before), wanted, ended))

        assert await two_steps(apart, await lived(apart, before), wanted, ended)
        assert joined.state == apart.state

    asyncio.run(both())


@pytest.mark.slow
def test_one_step_leaves_on_a_server_what_two_leave(valkey: ValkeyServer) -> None:
    """Every key, field by field."""

    async def left(
        end: Callable[..., Awaitable[bool]],
        before: list[tuple[str, list[Effect]]],
        wanted: list[Effect],
        ended: EndCheck,
    ) -> dict[bytes, object] | None:
        valkey.flush()
        store = open_store(valkey.url, shards=SHARDS, limits=Limits(), credential_keys=[SEALING_KEY])
        try:
            session = await lived(store, before)
            is_done = await end(store, session, wanted, ended)
        finally:
            await store.aclose()
        return contents(valkey) if is_done else None

    @given(before=histories, wanted=last_effects, ended=endings)
    @SEVERAL
    def same(before: list[tuple[str, list[Effect]]], wanted: list[Effect], ended: EndCheck) -> None:
        joined = asyncio.run(left(one_step, before, wanted, ended))
        assume(joined is not None)

        assert joined == asyncio.run(left(two_steps, before, wanted, ended))

    same()
