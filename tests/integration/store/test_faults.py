"""Lost answers, lost connections and lost servers: nothing acknowledged is lost, and nothing is doubled."""

from __future__ import annotations

import asyncio

import hiredis
import pytest
from redis import __version__ as redis_version
from redis.asyncio.client import Pipeline
from redis.exceptions import DataError, ResponseError

from orchestrator.core.effects import ClaimAuthentication, Effect, OpenPopup
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import StaleVersionError, StoreError, StoreUnavailableError
from orchestrator.core.ports.budget import Share
from orchestrator.core.ports.sessions import Commit, SessionQuery, Written
from orchestrator.core.session import Session
from orchestrator.store import keys
from orchestrator.store.changes import RedisChanges
from orchestrator.store.client import connect
from orchestrator.store.exchange import QuickRedis
from orchestrator.store.opening import Store
from tests.integration.store.conftest import store_at
from tests.support.processes import come_true
from tests.support.proxy import Fault, FaultyProxy
from tests.support.store_values import (
    APP,
    NOON,
    TENANT,
    WATCH,
    a_record,
    a_session,
    an_event,
    committed,
    next_commit,
    session_id,
    wait,
)
from tests.support.valkey import ValkeyServer

SOON = 30_000


def a_commit() -> Commit:
    """Return a commit that writes everything a commit can write."""
    effects: list[Effect] = [
        wait(strong=NOON),
        OpenPopup(app_id=APP, step_id="st1", attempt_id="at1", until=NOON + 9),
        ClaimAuthentication(app_id=APP, step_id="st1", authentication_id="1", by_difference=True),
    ]
    return next_commit(a_session(), effects=effects, record=a_record(), events=2, wake_at=NOON)


async def assert_written_once(store: Store) -> None:
    """Everything of `a_commit` is there, and once."""
    session = await store.sessions.load_any(session_id("a"))
    page = await store.sessions.events(session.id, after=0)
    watch = await store.watches.load(WATCH, now=NOON)

    assert a_commit().session == session
    assert (an_event(1), an_event(2)) == page.events
    assert (a_record(),) == await store.sessions.signals(session.id)
    assert (watch.version, len(watch.waiters), len(watch.popups), len(watch.claims)) == (NOON, 1, 1, 1)
    assert [session] == list((await store.sessions.find(SessionQuery(tenant_id=TENANT))).sessions)


@pytest.mark.parametrize("fault", [Fault.CUT_AFTER, Fault.SILENCE])
async def test_a_commit_whose_answer_was_lost_is_written_once(
    store: Store, distant_store: Store, proxy: FaultyProxy, fault: Fault
) -> None:
    """Its outcome is unknown to the caller; the same commit again finds that it was written."""
    proxy.fail_next(fault)

    with pytest.raises(StoreUnavailableError):
        await distant_store.sessions.commit(a_commit())
    await assert_written_once(store)

    await distant_store.sessions.commit(a_commit())
    await assert_written_once(store)


async def test_a_commit_that_never_arrived_can_be_sent_again(
    store: Store, distant_store: Store, proxy: FaultyProxy
) -> None:
    """The caller cannot tell it from the other case, and need not."""
    proxy.fail_next(Fault.CUT_BEFORE)

    with pytest.raises(StoreUnavailableError):
        await distant_store.sessions.commit(a_commit())
    with pytest.raises(SessionNotFoundError):
        await store.sessions.load_any(session_id("a"))

    await distant_store.sessions.commit(a_commit())
    await assert_written_once(store)


@pytest.mark.parametrize("fault", list(Fault))
async def test_nothing_is_sent_again_behind_our_back(distant_store: Store, proxy: FaultyProxy, fault: Fault) -> None:
    """Only the caller knows whether a call may be repeated."""
    await distant_store.sessions.of_user(TENANT, "u")
    proxy.requests = b""
    proxy.fail_next(fault)

    with pytest.raises(StoreUnavailableError):
        await distant_store.sessions.commit(a_commit())

    assert proxy.requests.count(b"EVALSHA") == 1


@pytest.mark.parametrize("fault", list(Fault))
async def test_commits_that_shared_a_broken_connection_are_each_written_once(
    store: Store, distant_store: Store, proxy: FaultyProxy, fault: Fault
) -> None:
    """Their outcome is unknown to every one of them; the same commits again find which were written."""
    commits = [next_commit(a_session(name, user=f"u-{name}"), record=a_record(), events=1) for name in "abcdef"]
    proxy.requests = b""
    proxy.fail_next(fault)

    lost = await asyncio.gather(*map(distant_store.sessions.commit, commits), return_exceptions=True)
    shared = proxy.requests.count(b"EVALSHA")
    again = await asyncio.gather(*map(distant_store.sessions.commit, commits))

    assert [StoreUnavailableError] * 6 == [type(error) for error in lost]
    assert (shared, [type(found) for found in again]) == (6, [Written] * 6)
    for commit in commits:
        assert len((await store.sessions.events(commit.session.id, after=0)).events) == 1
        assert await store.sessions.signals(commit.session.id) == (a_record(),)


async def test_a_refused_command_is_its_callers_alone(store: Store, durable_valkey: ValkeyServer) -> None:
    """Others that shared its exchange are answered, and scripts the server forgot are taught to each."""
    session = await committed(store, a_session("a"))
    with durable_valkey.client() as client:
        client.script_flush()
        client.set(keys.session(0, session_id("b")), "not a hash")

    results = await asyncio.gather(
        store.sessions.load(a_session("a").key),
        store.sessions.load(a_session("b").key),
        store.sessions.load(a_session("c").key),
        store.sessions.commit(next_commit(session)),
        store.sessions.commit(next_commit(a_session("d"))),
        return_exceptions=True,
    )

    assert results[0] == session
    assert [type(error) for error in results[1:3]] == [StoreError, SessionNotFoundError]
    assert [type(found) for found in results[3:]] == [Written, Written]


async def test_an_answer_that_came_too_late_answers_no_other_call(distant_store: Store, proxy: FaultyProxy) -> None:
    """A connection with an answer outstanding is not used again."""
    await committed(distant_store, a_session("a"))
    await committed(distant_store, a_session("b"))
    proxy.fail_next(Fault.SILENCE)
    with pytest.raises(StoreUnavailableError):
        await distant_store.sessions.load_any(session_id("a"))

    assert session_id("b") == (await distant_store.sessions.load_any(session_id("b"))).id


async def test_a_call_that_was_given_up_answers_no_other_call(distant_store: Store) -> None:
    """Nor is one whose caller has gone."""
    await committed(distant_store, a_session("a"))
    await committed(distant_store, a_session("b"))
    for _ in range(20):
        call = asyncio.create_task(distant_store.sessions.load_any(session_id("a")))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

        assert session_id("b") == (await distant_store.sessions.load_any(session_id("b"))).id
    assert distant_store.in_flight == 0


async def test_permits_whose_answer_was_lost_are_held(store: Store, distant_store: Store, proxy: FaultyProxy) -> None:
    """The budget fails closed: nobody has them, and nobody else gets them before their time."""
    proxy.fail_next(Fault.CUT_AFTER)

    with pytest.raises(StoreUnavailableError):
        await distant_store.budget.take(3, egress="e", partner="p", share=Share.INTERACTIVE, now=NOON)

    egress, _ = await store.budget.usage(egress="e", partner="p", now=NOON)
    assert egress.held == 3


async def test_of_two_rival_processes_exactly_one_wins_each_round(store: Store, durable_valkey: ValkeyServer) -> None:
    """The version is compared where it is written."""
    rival = store_at(durable_valkey.url)
    session = await committed(store, a_session())
    for number in range(20):
        writers = [committed(store, session, commit_id=f"a{number}"), committed(rival, session, commit_id=f"b{number}")]
        outcomes = await asyncio.gather(*writers, return_exceptions=True)
        (session,) = [outcome for outcome in outcomes if isinstance(outcome, Session)]

        assert sum(isinstance(outcome, StaleVersionError) for outcome in outcomes) == 1
    await rival.aclose()

    assert session == await store.sessions.load(session.key)
    assert len((await store.sessions.events(session.id, after=0)).events) == 21


# --- the server itself ----------------------------------------------------------------------------------------


async def test_every_acknowledged_commit_survives_kill_9(store: Store, durable_valkey: ValkeyServer) -> None:
    """With AOF `always`; a commit that was not acknowledged is there whole, or not at all."""
    sessions = {name: await committed(store, a_session(name), commit_id="1") for name in ("a", "b", "c", "d")}
    well_under_way = asyncio.Event()

    async def write(name: str) -> Commit:
        """Commit again and again; return the commit that was not acknowledged."""
        while True:
            commit = next_commit(sessions[name], effects=[wait(strong=NOON)], record=a_record())
            try:
                await store.sessions.commit(commit)
            except StoreUnavailableError:
                return commit
            sessions[name] = commit.session
            if commit.session.version == 50:
                well_under_way.set()

    writers = [asyncio.create_task(write(name)) for name in sessions]
    await well_under_way.wait()
    durable_valkey.kill()
    pending = await asyncio.gather(*writers)
    durable_valkey.start()

    for acknowledged, unknown in zip(sessions.values(), pending, strict=True):
        found = await store.sessions.load(acknowledged.key)
        assert found in (acknowledged, unknown.session)
        assert found.seq == (await store.sessions.events(found.id, after=0, limit=10_000)).events[-1].seq
        assert min(200, found.version - 1) == len(await store.sessions.signals(found.id))
        await store.sessions.commit(unknown)
        assert unknown.session == await store.sessions.load(acknowledged.key)


async def test_a_store_that_was_away_is_used_again(store: Store, durable_valkey: ValkeyServer) -> None:
    """Calls fail while it is away, and work when it is back, with nothing to be done in between."""
    session = await committed(store, a_session())
    durable_valkey.kill()
    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            await store.sessions.load(session.key)
    durable_valkey.start()

    calls = [store.sessions.load(session.key) for _ in range(20)]
    assert [session] * 20 == await asyncio.gather(*calls)
    await committed(store, session)


async def test_who_waits_for_changes_is_told_that_the_store_was_away(
    store: Store, durable_valkey: ValkeyServer
) -> None:
    """Once, so that they read again; and then news comes as before."""
    session = await committed(store, a_session())
    async with store.changes.session(session.id) as subscription, store.changes.due() as due:
        durable_valkey.kill()
        assert not await subscription.changed(timeout=300)
        durable_valkey.start()

        assert await subscription.changed(timeout=SOON)
        assert await due.changed(timeout=SOON)
        assert not await subscription.changed(timeout=100)

        await committed(store, session, effects=[wait(strong=NOON)])
        assert await subscription.changed(timeout=SOON)
        assert await due.changed(timeout=SOON)


async def test_who_begins_to_wait_while_the_store_is_away_is_told_when_it_is_back(
    store: Store, durable_valkey: ValkeyServer
) -> None:
    """Nobody waits for a connection that was never there."""
    durable_valkey.kill()
    async with store.changes.due() as due:
        durable_valkey.start()

        assert await due.changed(timeout=SOON)


async def test_who_waits_for_work_is_not_sent_what_becomes_of_sessions(
    store: Store, durable_valkey: ValkeyServer
) -> None:
    """There is news of sessions with every commit of everybody; a worker would read it all for nothing."""
    redis = connect(durable_valkey.url)
    async with store.changes.due(), store.changes.outgoing():
        of_work = await redis.pubsub_numpat()
        async with store.changes.session(session_id("a")):
            of_both = await redis.pubsub_numpat()
    await redis.aclose()

    assert (of_work, of_both) == (2, 3)


async def test_a_connection_that_fell_silent_is_replaced(store: Store, proxy: FaultyProxy) -> None:
    """A server that does not even answer a ping brings no news; another connection may."""
    redis = connect(proxy.url, answer_limit=1_000)
    changes = RedisChanges(redis, silence_limit=100, pong_limit=1_000)
    session = await committed(store, a_session())
    async with changes.session(session.id) as subscription:
        assert not await subscription.changed(timeout=500)
        before = proxy.connections
        proxy.is_silent = True
        await come_true(lambda: exceeds(proxy, before), what="another connection")
        proxy.is_silent = False

        assert await subscription.changed(timeout=SOON)
        await committed(store, session)
        assert await subscription.changed(timeout=SOON)
    await changes.aclose()
    await redis.aclose()


async def exceeds(proxy: FaultyProxy, before: int) -> bool:
    """Tell whether there were more connections than before."""
    return proxy.connections > before


async def test_our_exchange_reads_what_redis_pys_own_would(durable_valkey: ValkeyServer) -> None:
    """It uses parts of redis-py's connection that nobody promises, and must follow when they change."""
    commands: list[tuple[str, ...]] = [
        ("SET", "long", "x" * 300_000),
        ("GET", "long"),
        ("GET", "none"),
        ("INCR", "number"),
        ("EVAL", "return {1, {'a', false, {}}, redis.status_reply('FINE')}", "0"),
        ("LPUSH", "long", "x"),
        ("CONFIG GET", "appendfsync"),
    ]
    redis = connect(durable_valkey.url)
    assert isinstance(redis, QuickRedis)
    connection = await redis.take()
    parts = type(connection._reader), type(connection._writer), type(getattr(connection._parser, "_reader", None))
    await redis.put_back(connection)
    ours = redis.pipeline(transaction=False)
    for command in commands:
        ours.execute_command(*command)
    found = [_plain(reply) for reply in await ours.execute(raise_on_error=False)]
    await redis.delete("number")
    theirs = [_plain(await _asked(redis, command)) for command in commands]
    await redis.aclose()

    expected = (asyncio.StreamReader, asyncio.StreamWriter, hiredis.Reader)
    assert parts == expected, f"redis-py {redis_version} keeps these elsewhere than `QuickConnection` looks for them"
    assert found == theirs, f"redis-py {redis_version} reads replies otherwise than `QuickConnection`"


async def _asked(redis: QuickRedis, command: tuple[str, ...]) -> object:
    try:
        return await redis.execute_command(*command)  # type: ignore[no-untyped-call]
    except ResponseError as error:
        return error


def _plain(reply: object) -> object:
    return (type(reply), str(reply)) if isinstance(reply, Exception) else reply


async def test_an_error_among_replies_is_a_reply_or_raised_as_the_caller_likes(durable_valkey: ValkeyServer) -> None:
    """And either way the others were run, and the connection stays good."""
    redis = connect(durable_valkey.url)

    def commands() -> Pipeline:
        pipeline = redis.pipeline(transaction=False)
        pipeline.execute_command("SET", "text", "t")
        pipeline.execute_command("LPUSH", "text", "x")
        pipeline.execute_command("CONFIG GET", "appendfsync")
        return pipeline

    replies = await commands().execute(raise_on_error=False)
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await commands().execute(raise_on_error=True)
    unwritable = redis.pipeline(transaction=False)
    unwritable.execute_command("SET", "text", None)
    with pytest.raises(DataError):
        await unwritable.execute()

    assert (replies[0], replies[2]) == (True, {"appendfsync": "always"})
    assert isinstance(replies[1], ResponseError)
    assert await redis.get("text") == b"t"
    await redis.aclose()
