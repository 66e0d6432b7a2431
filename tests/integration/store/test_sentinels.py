"""The store on a primary that sentinels watch, while it dies, hangs and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.store import keys
from orchestrator.store.client import StoreUnfitError, connect
from orchestrator.store.limits import Limits
from orchestrator.store.opening import Store, open_store
from tests.integration.store.conftest import SEALING_KEY, until_known
from tests.support.fleets import DURABLE, Watched, running_watched
from tests.support.store_values import SHARDS, a_session, committed, next_commit
from tests.support.valkey import ValkeyServer

BACK_WITHIN_S: Final = 60.0
SOON: Final = 30_000


@pytest.fixture
def watched() -> Iterator[Watched]:
    """A primary, two replicas and three sentinels."""
    with running_watched(*DURABLE) as watched:
        yield watched


@pytest.fixture(scope="module")
def shared_watched() -> Iterator[Watched]:
    """The same for tests that leave everybody alive."""
    with running_watched(replicas=1) as watched:
        yield watched


@pytest.fixture
async def store(watched: Watched) -> AsyncIterator[Store]:
    """The store behind them."""
    store = store_at(watched.url)
    yield store
    await store.aclose()


def store_at(url: str) -> Store:
    """Return a store at an address."""
    return open_store(url, shards=SHARDS, limits=Limits(), credential_keys=[SEALING_KEY])


async def test_after_the_primary_died_another_is_used(store: Store, watched: Watched) -> None:
    """By the same store, with nothing to be done; those who wait for news are told."""
    session = await committed(store, a_session())
    former = watched.primary
    async with store.changes.session(session.id) as subscription:
        former.kill()
        with pytest.raises(StoreUnavailableError):
            await store.sessions.load(session.key)
        commit = next_commit(session, events=1)
        await until_known(store, commit, within_s=BACK_WITHIN_S)

        assert commit.session == await store.sessions.load(session.key)
        assert await subscription.changed(timeout=SOON)
        while await subscription.changed(timeout=200):
            pass
        await committed(store, commit.session, events=1)
        assert await subscription.changed(timeout=SOON)


async def test_a_primary_that_hung_and_was_replaced_is_not_used_again(store: Store, watched: Watched) -> None:
    """It wakes up with our connections and believes to be the primary, until the sentinels tell it."""
    session = await committed(store, a_session())
    former = watched.primary
    former.freeze()
    commit = next_commit(session, events=1)
    await until_known(store, commit, within_s=BACK_WITHIN_S)
    session = commit.session
    former.thaw()

    for _ in range(50):
        session = await committed(store, session, events=1)
        assert session == await store.sessions.load(session.key)
        await asyncio.sleep(0.02)
    assert watched.primary is not former


async def test_a_server_that_is_demoted_under_us_is_left(watched: Watched) -> None:
    """Without sentinels too: after its first refusal every connection is made anew, wherever the name leads by then."""
    server, other = watched.servers[1], watched.servers[2]
    for sentinel in watched.sentinels:
        sentinel.stop()
    with server.client() as client:
        client.replicaof("NO", "ONE")
    redis = connect(f"redis://127.0.0.1:{server.port}")
    store = Store(redis, shards=SHARDS, limits=Limits(), credential_keys=[SEALING_KEY])
    session = await committed(store, a_session())
    await asyncio.gather(*(redis.ping() for _ in range(10)))
    before = connections(server)
    with server.client() as client:
        client.replicaof("127.0.0.1", other.port)

    with pytest.raises(StoreUnavailableError, match="READONLY"):
        await committed(store, session, events=1)
    await asyncio.gather(*(redis.ping() for _ in before))
    after = connections(server)
    await store.aclose()
    assert len(after) == len(before) > 10
    assert before & after == set()


def connections(server: ValkeyServer) -> set[int]:
    """Return the ids of the connections to its port."""
    with server.client() as client:
        return {int(one["id"]) for one in client.client_list() if one["laddr"].endswith(f":{server.port}")}


async def test_a_replica_is_no_store(shared_watched: Watched) -> None:
    """It would answer with what was, and take nothing."""
    replica = next(server for server in shared_watched.servers if server is not shared_watched.primary)
    store = store_at(f"redis://127.0.0.1:{replica.port}")

    with pytest.raises(StoreUnfitError, match="replica"):
        await store.check()
    await store.aclose()


async def test_sentinels_that_are_not_there_are_passed_over(watched: Watched) -> None:
    """One that answers is enough; with none, the store is unavailable."""
    watched.sentinels[0].kill()
    store = store_at(watched.url)
    await committed(store, a_session())
    await store.aclose()
    for sentinel in watched.sentinels[1:]:
        sentinel.kill()
    store = store_at(watched.url)

    with pytest.raises(StoreUnavailableError):
        await store.check()
    await store.aclose()


async def test_sentinels_that_do_not_know_the_service_are_no_way_to_the_store(shared_watched: Watched) -> None:
    """As if there was none."""
    store = store_at(shared_watched.url.replace("/zapwright", "/other"))

    with pytest.raises(StoreUnavailableError):
        await store.check()
    await store.aclose()


async def test_what_no_replica_has_is_not_answered(watched: Watched) -> None:
    """Where replicas are waited for. The same commit again is answered once one has it, and not before."""
    store = open_store(
        watched.url, shards=SHARDS, limits=Limits(), credential_keys=[SEALING_KEY], replicas=len(watched.servers) - 1
    )
    session = await committed(store, a_session())
    replica = next(server for server in watched.servers if server is not watched.primary)
    replica.freeze()
    commit = next_commit(session, events=1)
    for _ in range(3):
        with pytest.raises(StoreUnavailableError, match="too few replicas"):
            await store.sessions.commit(commit)
    assert commit.session == await store.sessions.load(session.key)
    replica.thaw()

    await until_known(store, commit, within_s=BACK_WITHIN_S)
    with replica.client() as client:
        version = client.hget(keys.session(0, session.id), "version")
    await store.aclose()
    assert version == str(commit.session.version).encode()
