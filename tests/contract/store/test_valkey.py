"""What only the store on a server promises: the keys it uses and leaves, how it calls, what it writes down."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
import structlog
from cryptography.fernet import Fernet
from redis.asyncio import Redis

from orchestrator.core.effects import ClaimAuthentication, Due, OpenPopup, StopWaiting
from orchestrator.core.errors.credentials import SignInRefusedError
from orchestrator.core.errors.store import StoreError, StoreUnavailableError
from orchestrator.core.events import Event, EventName
from orchestrator.core.health import HOUR
from orchestrator.core.ports.budget import Share
from orchestrator.core.ports.credentials import NewTokens, Profile, Refresh
from orchestrator.core.ports.sessions import SessionQuery
from orchestrator.core.ports.watches import Settlement
from orchestrator.core.session import App, SessionStatus, Step, StepState, session_shard, shard_of
from orchestrator.core.sign_ins import KEPT_FOR, OPENS_WITHIN, RETURNS_WITHIN, SignInState
from orchestrator.store import keys
from orchestrator.store.client import StoreUnfitError, connect
from orchestrator.store.credentials import CredentialUnreadableError, RedisCredentialStore
from orchestrator.store.limits import Limits
from orchestrator.store.opening import Store, open_store
from orchestrator.store.places import Place
from orchestrator.store.rules import KEPT_OUTBOX, index_entries
from orchestrator.store.scripts import Argument, Call, Reply, Scripts, script
from orchestrator.store.searching import find_places
from tests.contract.store.conftest import SEALING_KEY
from tests.support.interference import Call as AnyCall
from tests.support.interference import wrapped
from tests.support.store_values import (
    APP,
    NOON,
    SHARDS,
    TENANT,
    USER,
    WATCH,
    a_record,
    a_session,
    a_sign_in,
    committed,
    next_commit,
    wait,
)
from tests.support.valkey import ClusterNode, ValkeyServer

STEP = Step(id="st1", state=StepState.NEEDS_AUTH, app=App(id=APP, title="App"))


@pytest.fixture
async def redis(server: ValkeyServer) -> AsyncIterator[Redis]:
    """A client of the empty server itself."""
    client = connect(f"unix://{server.socket}")
    yield client
    await client.aclose()


@pytest.fixture
async def store(server: ValkeyServer) -> AsyncIterator[Store]:
    """The store on this server."""
    async with store_on(server) as store:
        yield store


@asynccontextmanager
async def store_on(
    server: ValkeyServer, *, shards: int = SHARDS, sealing_keys: Sequence[str] = (SEALING_KEY,)
) -> AsyncIterator[Store]:
    """Have one more store on a server."""
    store = open_store(server.url, shards=shards, limits=Limits(), credential_keys=sealing_keys)
    try:
        yield store
    finally:
        await store.aclose()


async def read(redis: Redis, *command: Argument) -> Reply:
    """Ask the server itself."""
    (reply,) = await Scripts(redis).run(command)
    return reply


async def names(redis: Redis) -> set[str]:
    """Return the names of all keys."""
    return {name.decode() for name in await read(redis, "KEYS", "*")}


# --- what older processes wrote -------------------------------------------------------------------------------


@pytest.mark.parametrize("moves", [False, True])
async def test_a_sign_in_that_its_user_does_not_know_of_is_erased_once_it_moves_or_forgotten_in_time(
    store: Store, redis: Redis, moves: bool
) -> None:
    """Processes did not note whose sign-ins were which: one that was begun then can come back for half an hour."""
    old = a_sign_in(made_at=NOON)
    shard = shard_of(TENANT, USER, shards=SHARDS)
    await store.sign_ins.begin(old)
    await read(redis, "DEL", keys.user_sign_ins(shard, TENANT, USER))
    if moves:
        assert await store.sign_ins.move(old, replace(old, state=SignInState.AT_ZAPIER))
    await store.users.erase(TENANT, USER, now=NOON)
    is_left = await store.sign_ins.get(old.id) is not None
    await store.sign_ins.forget(shard, now=old.kept_until, limit=9)

    assert is_left is not moves
    assert {keys.sign_ins(shard), keys.kept_sign_ins(shard)}.isdisjoint(await names(redis))
    assert OPENS_WITHIN + RETURNS_WITHIN < KEPT_FOR


# --- keys -----------------------------------------------------------------------------------------------------


async def test_every_key_of_a_user_carries_the_users_shard(store: Store, redis: Redis) -> None:
    """So that one script may touch them all, and a cluster keeps them on one node."""
    claim = ClaimAuthentication(app_id=APP, step_id="st1", authentication_id="1", by_difference=True)
    popup = OpenPopup(app_id=APP, step_id="st1", attempt_id="at1", until=NOON + 9)
    effects = [wait(strong=NOON), claim, popup]
    await committed(store, a_session(user="{x}"), effects=effects, record=a_record(), wake_at=NOON, steps=(STEP,))
    await store.credentials.put(TENANT, "{x}", NewTokens(access_token="t"), profile=None, now=NOON)

    shard = a_session(user="{x}").id[2:4]
    assert {shard} == {found[1] for name in await names(redis) if (found := re.search(r"^zw:\{([^}]*)\}", name))}
    assert all(name.startswith(f"zw:{{{shard}}}:") for name in await names(redis))


async def test_every_key_of_the_budget_shares_one_tag(store: Store, redis: Redis) -> None:
    """An address and a partner are taken at one moment."""
    await store.budget.take(1, egress="e", partner="p", share=Share.STRONG, now=NOON)
    await store.budget.cool_down(egress="e", partner="p", until=NOON)

    assert all(name.startswith("zw:{budget}:") for name in await names(redis))


async def test_a_session_that_ends_leaves_no_key(store: Store, redis: Redis) -> None:
    """After purge and forgetting, only the outbox remembers; queues and indexes are empty."""
    effects = [wait(strong=NOON, quiet=NOON, visible_until=NOON + 9)]
    session = await committed(store, a_session(), effects=effects, record=a_record(), wake_at=NOON, steps=(STEP,))
    await store.watches.lease([WATCH], token="t", now=NOON, until=NOON + 9)
    await store.watches.settle(Settlement(key=WATCH, token="t", version=NOON, now=NOON, due=Due(quiet=NOON), pages=2))
    stop = StopWaiting(app_id=APP, step_id="st1")
    session = await committed(store, session, effects=[stop], ended=SessionStatus.CANCELLED)
    await store.sessions.purge(session)
    await store.watches.forget_claims(0, before=NOON + 1, limit=9)

    assert {keys.outbox(0)} == await names(redis)


async def test_the_index_holds_exactly_what_a_session_is(store: Store, redis: Redis) -> None:
    """Entries of what it was are gone."""
    session = await committed(store, a_session(), steps=(STEP,))
    session = await committed(store, session, steps=(replace(STEP, app=App(id="app-2", title="B")),))
    session = await committed(store, session, steps=(replace(STEP, app=None, state=StepState.CHOOSE_APP),))

    members = await read(redis, "ZRANGE", keys.index(0, TENANT), 0, -1)
    assert sorted(index_entries(session, waits=False)) == sorted(member.decode() for member in members)


async def test_popups_that_are_over_are_cleared_away(store: Store, redis: Redis) -> None:
    """The next commit about the watch does it."""
    popup = OpenPopup(app_id=APP, step_id="st1", attempt_id="at1", until=NOON + 9)
    session = await committed(store, a_session(), effects=[popup])
    await committed(store, session, effects=[wait(strong=NOON)], now=NOON + 9)

    assert await redis.zcard(keys.popups(0, WATCH)) == 0


async def test_events_reach_the_outbox_in_commit_order(store: Store, redis: Redis) -> None:
    """With dense numbers of their own, so that a reader by cursor notices a gap."""
    session = await committed(store, a_session(), events=2)
    await committed(store, session, events=1)

    entries = await read(redis, "XRANGE", keys.outbox(0), "-", "+")
    assert [entry for entry, _ in entries] == [b"0-1", b"0-2", b"0-3"]
    assert {session.id.encode()} == {fields[b"session"] for _, fields in entries}
    assert [fields[b"event"][1:8] for _, fields in entries] == [b'"seq":1', b'"seq":2', b'"seq":3']


async def test_nothing_that_matters_expires(store: Store, redis: Redis) -> None:
    """Only the cache has a time to live."""
    await committed(store, a_session(), effects=[wait(strong=NOON)], record=a_record(), wake_at=NOON)
    await store.budget.take(1, egress="e", partner="p", share=Share.STRONG, now=NOON)
    await store.leases.acquire("sweep", holder="a", now=NOON, until=NOON + 1)
    await store.cache.put("key", b"", now=NOON, until=NOON + 10_000)

    assert {keys.cached("key")} == {name for name in await names(redis) if await redis.ttl(name) != -1}


# --- calls ----------------------------------------------------------------------------------------------------


async def test_a_server_that_forgot_the_scripts_is_taught_again(store: Store, redis: Redis) -> None:
    """After a restart or a fail-over the first call brings the text, alone or among others."""
    session = await committed(store, a_session(), effects=[wait(strong=NOON)])
    await redis.script_flush()
    due = await store.watches.peek(now=NOON, limit=1)
    await redis.script_flush()
    await committed(store, session)

    assert [watch.key for watch in due] == [WATCH]


async def test_calls_under_way_are_counted(store: Store) -> None:
    """From the question to the answer, whatever the answer is."""
    asked = [asyncio.create_task(store.sessions.of_user(TENANT, f"{number}")) for number in range(3)]
    await asyncio.sleep(0)
    under_way = store.in_flight
    await asyncio.gather(*asked)
    with pytest.raises(StoreUnavailableError):
        await Scripts(connect("redis://127.0.0.1:1")).run(("PING",))

    assert (under_way, store.in_flight) == (3, 0)


async def test_more_calls_than_connections_wait_for_one(valkey: ValkeyServer) -> None:
    """A burst is served, not refused."""
    client = connect(valkey.url, connections=2)
    scripts = Scripts(client)

    answers = await asyncio.gather(*(scripts.run(("PING",)) for _ in range(50)))

    await client.aclose()
    assert answers == [[True]] * 50


async def test_an_error_of_ours_is_no_silence_of_the_store(store: Store, redis: Redis) -> None:
    """A refused command is told apart from a store that cannot answer now."""
    await redis.set(keys.session(0, a_session().id), "not a hash")

    with pytest.raises(StoreError) as error:
        await store.sessions.load(a_session().key)

    assert not isinstance(error.value, StoreUnavailableError)


async def test_a_full_store_keeps_what_a_refresh_brought_and_begins_none(store: Store, redis: Redis) -> None:
    """Nobody else has those tokens; and an intent that cannot be written burns none."""
    user = (TENANT, USER)
    tokens = NewTokens(access_token="A", refresh_token="R")
    await store.credentials.put(*user, tokens, profile=None, now=NOON)
    await redis.config_set("maxmemory", 1)
    try:
        renewed = await store.credentials.renew(*user, tokens, generation=1, refresh_id="rf1", now=NOON)
        with pytest.raises(StoreError):
            await store.credentials.note_refresh(
                *user, generation=2, before=None, after=Refresh(id="rf2", tries=1, until=NOON)
            )
    finally:
        await redis.config_set("maxmemory", 0)

    assert renewed is not None
    assert renewed.generation == 2


async def test_a_full_store_is_no_error_of_ours(store: Store, redis: Redis) -> None:
    """It cannot write now; what frees memory still works."""
    session = await committed(store, a_session(), ended=SessionStatus.CANCELLED)
    await redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailableError, match="OOM"):
            await committed(store, session)
        await store.sessions.purge(session)
    finally:
        await redis.config_set("maxmemory", 0)

    assert await store.sessions.of_user(TENANT, USER) == ()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "unix:///nonexistent/valkey.sock"])
async def test_a_store_that_is_not_there_is_unavailable(url: str) -> None:
    """Every port says so, without naming the address."""
    store = open_store(url, shards=SHARDS, limits=Limits(), credential_keys=[SEALING_KEY])
    calls = [
        store.sessions.load(a_session().key),
        store.sessions.commit(next_commit(a_session())),
        store.watches.peek(now=NOON, limit=1),
        store.budget.take(1, egress="e", partner="p", share=Share.STRONG, now=NOON),
        store.credentials.get(TENANT, USER),
        store.cache.get("key", now=NOON),
        store.leases.acquire("l", holder="a", now=NOON, until=NOON),
        store.check(),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailableError) as error:
            await call

        assert "127.0.0.1" not in str(error.value)
        assert "nonexistent" not in str(error.value)
    await store.aclose()


def test_a_script_is_known_by_its_name() -> None:
    """Its call names its keys before its arguments."""
    call = Call("record", ["k1", "k2"], ["a", 1])

    assert ("EVALSHA", script("record").digest, 2, "k1", "k2", "a", 1) == call.by_digest
    assert ("EVAL", script("record").text, 2, "k1", "k2", "a", 1) == call.by_text


# --- fitness --------------------------------------------------------------------------------------------------


async def test_a_fit_server_reports_itself(store: Store, server: ValkeyServer) -> None:
    """Name, version and how it keeps what it was told."""
    (report,) = await store.check()

    assert report.name == ("redis" if server.is_redis else "valkey")
    assert int((report.version or "").partition(".")[0]) >= 7
    assert report.maxmemory_policy == "noeviction"
    assert (report.is_persistent, report.appendfsync) == (False, None)
    assert (report.is_cluster, report.is_replica, report.replicas) == (isinstance(server, ClusterNode), False, 0)


async def test_a_server_that_may_throw_results_away_is_refused(store: Store, redis: Redis) -> None:
    """And the error says what to change."""
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(StoreUnfitError, match="set it to noeviction"):
            await store.check()
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")


async def test_the_number_of_shards_cannot_change(store: Store, server: ValkeyServer) -> None:
    """The first check fixes it."""
    await store.check()

    async with store_on(server, shards=SHARDS + 1) as other:
        with pytest.raises(StoreUnfitError, match="4 shards, which cannot become 5"):
            await other.check()


async def test_the_servers_time_corrects_the_local_clock(store: Store, redis: Redis) -> None:
    """To a few milliseconds, however wrong the local clock is."""
    seconds, microseconds = await redis.time()
    offset = await store.clock_offset(lambda: 1_000)

    assert abs(1_000 + offset - (seconds * 1_000 + microseconds // 1_000)) < 2_000


# --- credentials ----------------------------------------------------------------------------------------------


async def test_a_token_is_not_readable_in_the_store(store: Store, redis: Redis) -> None:
    """Nor is an e-mail address."""
    profile = Profile(id="pr1", email="alice@example.com")
    tokens = NewTokens(access_token="secret-token", refresh_token="secret-refresh")
    await store.credentials.put(TENANT, USER, tokens, profile=profile, now=NOON)

    kept = await read(redis, "HGETALL", keys.credential(0, TENANT, USER))
    assert b"secret" not in b"".join(kept.values())
    assert b"alice" not in b"".join(kept.values())


async def test_a_token_moved_to_another_user_is_not_theirs(store: Store, redis: Redis) -> None:
    """What was sealed for one user opens for nobody else."""
    await store.credentials.put(TENANT, USER, NewTokens(access_token="t"), profile=None, now=NOON)
    await redis.copy(keys.credential(0, TENANT, USER), keys.credential(0, TENANT, "user-3"))

    with pytest.raises(CredentialUnreadableError):
        await store.credentials.get(TENANT, "user-3")


class ErasedBefore:
    """Erases the user just before one of a process's calls to the server."""

    def __init__(self, store: Store, number: int) -> None:
        self._store = store
        self._left = number

    async def __call__(self, name: str, call: AnyCall) -> Any:
        """Make a call."""
        if self._left == 0:
            await self._store.users.erase(TENANT, USER, now=NOON)
        self._left -= 1
        return await call()


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("sign_in_id", [a_sign_in().id, None], ids=["by a sign-in", "by a backend"])
async def test_who_is_erased_while_their_tokens_are_put_is_there_whole_or_not_at_all(
    store: Store, redis: Redis, number: int, sign_in_id: str | None
) -> None:
    """A sign-in brings nobody back; a backend's wish may come after the erasure, and then its user is counted, too."""
    await store.sign_ins.begin(a_sign_in())
    scripts = wrapped(store.credentials._scripts, "scripts", ErasedBefore(store, number))
    process = RedisCredentialStore(scripts, shards=SHARDS, seal=store.credentials._seal)
    profile = Profile(id="pr1")
    with suppress(SignInRefusedError):
        await process.put(TENANT, USER, NewTokens(access_token="t"), profile=profile, now=NOON, sign_in_id=sign_in_id)
    shard = shard_of(TENANT, USER, shards=SHARDS)
    noted = [keys.user_profiles(shard, TENANT, USER), keys.profile_users(TENANT, "pr1")]
    is_kept = await store.credentials.get(TENANT, USER) is not None

    assert is_kept is (sign_in_id is None)
    assert [bool(await redis.exists(name)) for name in noted] == [is_kept, is_kept]


async def test_sealing_keys_can_be_renewed(store: Store, server: ValkeyServer) -> None:
    """A new first key seals, older ones still open; without them a token is unreadable, until it is put again."""
    new_key = Fernet.generate_key().decode()
    async with (
        store_on(server, sealing_keys=[new_key, SEALING_KEY]) as both,
        store_on(server, sealing_keys=[new_key]) as new,
    ):
        credential = await store.credentials.put(TENANT, USER, NewTokens(access_token="t"), profile=None, now=NOON)

        assert credential == await both.credentials.get(TENANT, USER)
        with pytest.raises(CredentialUnreadableError):
            await new.credentials.get(TENANT, USER)

        renewed = await both.credentials.put(TENANT, USER, NewTokens(access_token="t2"), profile=None, now=NOON)
        assert renewed == await new.credentials.get(TENANT, USER)


# --- lists ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("looked_at", [1, 3, 100])
async def test_a_rare_match_among_many_is_found(redis: Redis, store: Store, looked_at: int) -> None:
    """A walk that is cut short, so that it never holds the server up, goes on where it was."""
    expected = []
    for number in range(21):
        is_rare, is_of_user = number in {4, 13}, number % 3 == 1
        session = a_session(f"{number:02}", user=f"u{number % 3}", created_at=NOON + number)
        steps = {"steps": (STEP,)} if is_rare or not is_of_user else {}
        await committed(store, session, **steps)
        expected += [Place.of(session)] if is_rare else []
    query = SessionQuery(tenant_id=TENANT, user_id="u1", app_id=APP, limit=5)

    found = await find_places(Scripts(redis), query, shards=SHARDS, looked_at=looked_at)

    assert expected[::-1] == found


async def test_a_full_outbox_loses_its_oldest_events_and_says_so(store: Store, redis: Redis) -> None:
    """No worker fetched them for long; the store must not run full of them."""
    session = await committed(store, a_session())
    outbox = keys.outbox(session_shard(session.id))
    fill = f"for _ = 1, {KEPT_OUTBOX + 200} do redis.call('XADD', KEYS[1], '0-*', 'session', 'x', 'event', '{{}}') end"
    await read(redis, "EVAL", fill, 1, outbox)
    with structlog.testing.capture_logs() as logs:
        await committed(store, session)

    kept = await read(redis, "XLEN", outbox)
    assert KEPT_OUTBOX <= kept < KEPT_OUTBOX + 200
    (line,) = logs
    assert (line["event"], line["events_lost"]) == ("outbox_overflowed", KEPT_OUTBOX + 202 - kept)


async def test_events_that_nobody_fetched_are_forgotten_in_their_time(store: Store, redis: Redis) -> None:
    """The oldest first, so many at a time, and none that is younger."""
    session = a_session()
    shard = session_shard(session.id)
    for number in range(4):
        session = await committed(store, session, commit_id=f"c{number}", events=2)

    kept = [await read(redis, "XLEN", keys.outbox(shard))]
    for before, limit in ((NOON, 9), (NOON + 1, 3), (NOON + 1, 9), (NOON + 1, 9)):
        kept.append(await store.sessions.forget_outbox(shard, before=before, limit=limit))

    assert kept == [8, 0, 3, 5, 0]


async def test_what_one_user_held_of_the_budget_is_cleared_away_by_the_server(store: Store, redis: Redis) -> None:
    """Also once their one call was answered: there are as many users as there were calls of any."""
    taken = await store.budget.take(
        1, egress="e", partner="p", share=Share.INTERACTIVE, now=NOON, user=f"{TENANT} {USER}"
    )
    held = keys.user_share(f"{TENANT} {USER}")
    before = await redis.pttl(held)
    await store.budget.answered(taken.permits, now=NOON)

    assert before > 0
    assert 0 < await redis.pttl(held) <= before


async def test_an_hour_in_which_nothing_but_an_app_was_named_is_cleared_away_too(store: Store, redis: Redis) -> None:
    """A session counts once for each stage; the title of its second app may be all there is to an hour."""
    session = a_session()
    for at in (NOON, NOON + HOUR):
        commit = next_commit(session, now=at, steps=(STEP,))
        events = (Event(seq=commit.session.seq, name=EventName.APP_CHOSEN, at=at, step_id=STEP.id, data={}),)
        await store.sessions.commit(replace(commit, events=events))
        session = commit.session
    later = keys.hour(session_shard(session.id), NOON - NOON % HOUR + HOUR)

    assert await redis.exists(later) == 1
    assert await redis.ttl(later) > 0
