"""The store on a cluster of three primaries, while slots move and primaries die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
from redis.crc import key_slot

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.sessions import SessionQuery
from orchestrator.core.session import SECOND, Session
from orchestrator.store import keys
from orchestrator.store.client import ANSWER_LIMIT, StoreUnfitError
from orchestrator.store.limits import Limits
from orchestrator.store.opening import Store, open_store
from tests.integration.store.conftest import SEALING_KEY, until_known
from tests.support.fleets import DURABLE, ServerCluster, running_cluster
from tests.support.store_values import NOON, SHARDS, TENANT, a_session, committed, next_commit, wait
from tests.support.valkey import ClusterNode

SLOT: Final = key_slot(keys.wake(0).encode())
"""Where everything of shard 0 is, and so of the user in these tests."""

BACK_WITHIN_S: Final = 60.0
SOON: Final = 30_000
HELD_UP_S: Final = ANSWER_LIMIT / SECOND - 0.5
"""Less than a store's answer may take before it counts as lost."""


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[ServerCluster]:
    """A cluster for tests that leave its nodes alive."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: ServerCluster) -> ServerCluster:
    """The same, empty."""
    for node in shared_cluster.primaries:
        node.flush()
    return shared_cluster


@pytest.fixture
async def store(cluster: ServerCluster) -> AsyncIterator[Store]:
    """The store on it."""
    async for store in opened(cluster):
        yield store


@pytest.fixture
def mortal_cluster() -> Iterator[ServerCluster]:
    """A cluster of the test's own, whose nodes may die; it writes everything down before it answers."""
    with running_cluster(*DURABLE) as cluster:
        yield cluster


@pytest.fixture
async def mortal_store(mortal_cluster: ServerCluster) -> AsyncIterator[Store]:
    """The store on that."""
    async for store in opened(mortal_cluster):
        yield store


async def opened(cluster: ServerCluster) -> AsyncIterator[Store]:
    """Have a store on a cluster."""
    store = open_store(cluster.url, shards=SHARDS, limits=Limits(), credential_keys=[SEALING_KEY])
    yield store
    await store.aclose()


class Migration:
    """A slot on its way from the node that has it to another one."""

    def __init__(self, cluster: ServerCluster, slot: int) -> None:
        self.source = cluster.owner(slot)
        self.target = next(node for node in cluster.primaries if node is not self.source)
        self._cluster = cluster
        self._slot = slot

    def begin(self) -> None:
        """Let the target take in what the source has no more."""
        self.target.cluster("SETSLOT", self._slot, "IMPORTING", self.source.cluster_id)
        self.source.cluster("SETSLOT", self._slot, "MIGRATING", self.target.cluster_id)

    def finish(self) -> None:
        """Move what is left, and let everybody know."""
        with self.source.client() as source:
            while names := self.source.cluster("GETKEYSINSLOT", self._slot, 100):
                source.migrate("127.0.0.1", self.target.port, names, 0, 1_000)
        for node in (self.target, self.source, *self._cluster.primaries):
            node.cluster("SETSLOT", self._slot, "NODE", self.target.cluster_id)


# --- spread ---------------------------------------------------------------------------------------------------


async def test_everything_is_reached_wherever_it_is(store: Store, cluster: ServerCluster) -> None:
    """Lists and queues span all nodes; each thing lies on one."""
    sessions = [
        await committed(
            store,
            a_session(f"{number:02}", user=f"user-{number}", created_at=NOON + number),
            effects=[wait(strong=NOON + number)],
        )
        for number in range(12)
    ]

    found = await store.sessions.find(SessionQuery(tenant_id=TENANT))
    assert [session.id for session in found.sessions] == [session.id for session in reversed(sessions)]
    due = await store.watches.peek(now=NOON + 99, limit=99)
    assert [watch.due - NOON for watch in due] == list(range(12))
    assert all(holds_something(node) for node in cluster.primaries)


def holds_something(node: ClusterNode) -> bool:
    """Tell whether a node has a key."""
    with node.client() as client:
        return int(client.dbsize()) > 0


async def test_every_primary_is_examined(store: Store, cluster: ServerCluster) -> None:
    """One that may throw results away spoils the store."""
    assert len(await store.check()) == 3

    with cluster.primaries[2].client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(StoreUnfitError, match="allkeys-lru"):
            await store.check()
        client.config_set("maxmemory-policy", "noeviction")


async def test_a_node_of_a_cluster_is_no_store_by_itself(cluster: ServerCluster) -> None:
    """The error says how to write the address."""
    alone = open_store(
        f"redis://{cluster.primaries[0].host_and_port}", shards=SHARDS, limits=Limits(), credential_keys=[SEALING_KEY]
    )

    with pytest.raises(StoreUnfitError, match=r"redis\+cluster://"):
        await alone.check()
    await alone.aclose()


async def test_any_node_knows_the_others(cluster: ServerCluster) -> None:
    """A replica too, and beside hosts that are not there."""
    replica = next(node for node in cluster.nodes if not node.is_primary)
    url = f"redis+cluster://127.0.0.1:1,{replica.host_and_port}"
    store = open_store(url, shards=SHARDS, limits=Limits(), credential_keys=[SEALING_KEY])
    session = await committed(store, a_session())

    assert session == await store.sessions.load(session.key)
    await store.aclose()


# --- slots that move ------------------------------------------------------------------------------------------


async def test_a_slot_that_has_moved_is_followed(store: Store, cluster: ServerCluster) -> None:
    """The first who asks the former node learns it; what was asked is done, once."""
    session = await committed(store, a_session())
    migration = Migration(cluster, SLOT)
    migration.begin()
    migration.finish()

    session = await committed(store, session, events=1)
    assert session == await store.sessions.load(session.key)
    assert [event.seq for event in (await store.sessions.events(session.id, after=0)).events] == [1, 2]
    assert cluster.owner(SLOT) is migration.target


async def test_what_is_torn_between_two_nodes_waits(store: Store, cluster: ServerCluster) -> None:
    """While some of a user's keys have moved nothing is written; what has moved is read where it is now."""
    session = await committed(store, a_session(), effects=[wait(strong=NOON)])
    migration = Migration(cluster, SLOT)
    migration.begin()
    with migration.source.client() as source:
        source.migrate("127.0.0.1", migration.target.port, keys.session(0, session.id), 0, 1_000)
    commit = next_commit(session, events=1)

    assert session == await store.sessions.load(session.key)
    with pytest.raises(StoreUnavailableError, match="TRYAGAIN"):
        await store.sessions.commit(commit)

    migration.finish()
    assert session == await store.sessions.load(session.key)
    await store.sessions.commit(commit)
    assert commit.session == await store.sessions.load(session.key)


# --- primaries that die ---------------------------------------------------------------------------------------


async def test_after_a_primary_died_its_replica_is_used(mortal_store: Store, mortal_cluster: ServerCluster) -> None:
    """By the same store, without anything to be done; other shards are served throughout."""
    session = await committed(mortal_store, a_session())
    victim = mortal_cluster.owner(SLOT)
    elsewhere = await committed(mortal_store, served_by_another(victim, mortal_cluster))
    async with mortal_store.changes.session(session.id) as subscription:
        victim.kill()
        commit = next_commit(session, events=1)
        writing = asyncio.create_task(until_known(mortal_store, commit, within_s=BACK_WITHIN_S))
        while not writing.done():
            assert elsewhere == await mortal_store.sessions.load(elsewhere.key)
            await asyncio.sleep(0.05)
        await writing

        assert commit.session == await mortal_store.sessions.load(session.key)
        assert await subscription.changed(timeout=SOON)


async def test_what_no_replica_has_is_not_answered(mortal_cluster: ServerCluster) -> None:
    """Where a replica is waited for, and by the one node that has what was written."""
    store = open_store(mortal_cluster.url, shards=SHARDS, limits=Limits(), credential_keys=[SEALING_KEY], replicas=1)
    session = await committed(store, a_session())
    owner = mortal_cluster.owner(SLOT)
    elsewhere = await committed(store, served_by_another(owner, mortal_cluster))
    mortal_cluster.replica_of(owner).freeze()

    with pytest.raises(StoreUnavailableError, match="too few replicas"):
        await committed(store, session, events=1)
    await committed(store, elsewhere, events=1)
    await store.aclose()


async def test_a_primary_that_comes_back_as_a_replica_is_not_asked(
    mortal_store: Store, mortal_cluster: ServerCluster
) -> None:
    """One that hung, which held up nobody else, and still has our connections, sends us to its heir."""
    session = await committed(mortal_store, a_session())
    former = mortal_cluster.owner(SLOT)
    elsewhere = await committed(mortal_store, served_by_another(former, mortal_cluster))
    former.freeze()
    commit = next_commit(session, events=1)
    writing = asyncio.create_task(until_known(mortal_store, commit, within_s=BACK_WITHIN_S))
    while not writing.done():
        async with asyncio.timeout(HELD_UP_S):
            assert elsewhere == await mortal_store.sessions.load(elsewhere.key)
        await asyncio.sleep(0.05)
    await writing
    former.thaw()

    for _ in range(20):
        session = await committed(mortal_store, commit.session if session.version == 1 else session, events=1)
        assert session == await mortal_store.sessions.load(session.key)
    assert mortal_cluster.owner(SLOT) is not former


def served_by_another(node: ClusterNode, cluster: ServerCluster) -> Session:
    """Return a session of a user whose shard another node has."""
    sessions = (a_session(user=f"user-{number}") for number in range(1_000))
    return next(session for session in sessions if cluster.owner(slot_of(session)) is not node)


def slot_of(session: Session) -> int:
    """Return where a session is."""
    return key_slot(keys.session(int(session.id[2:4], 16), session.id).encode())
