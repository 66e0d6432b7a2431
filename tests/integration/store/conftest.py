"""A store on a server that really writes to disk, that can be killed, and whose connections can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.budget import Share
from orchestrator.core.ports.sessions import Commit
from orchestrator.core.session import Millis
from orchestrator.store.client import ANSWER_LIMIT, connect
from orchestrator.store.limits import Limits
from orchestrator.store.opening import Store
from tests.support.proxy import FaultyProxy, running_proxy
from tests.support.store_values import NOON, SHARDS, a_session, committed
from tests.support.valkey import ValkeyServer, running_valkey

SEALING_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@pytest.fixture
def durable_valkey() -> Iterator[ValkeyServer]:
    """A server with the durability the product asks for."""
    with running_valkey("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@pytest.fixture
async def proxy(durable_valkey: ValkeyServer) -> AsyncIterator[FaultyProxy]:
    """The way to that server."""
    async with running_proxy(durable_valkey.socket) as proxy:
        yield proxy


def store_at(url: str, *, answer_limit: Millis = ANSWER_LIMIT) -> Store:
    """Return a store that gives up on an answer after so long."""
    redis = connect(url, answer_limit=answer_limit)
    return Store(redis, shards=SHARDS, limits=Limits(), credential_keys=[SEALING_KEY])


async def until_known(store: Store, commit: Commit, *, within_s: float) -> None:
    """Write the very same commit again and again, until it is answered."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                await store.sessions.commit(commit)
            except StoreUnavailableError:
                await asyncio.sleep(0.05)
            else:
                return


@pytest.fixture
async def store(durable_valkey: ValkeyServer) -> AsyncIterator[Store]:
    """The store, reached directly."""
    store = store_at(durable_valkey.url)
    yield store
    await store.aclose()


@pytest.fixture
async def distant_store(proxy: FaultyProxy) -> AsyncIterator[Store]:
    """The same store, reached through the proxy; the connection is open and the scripts are known already."""
    store = store_at(proxy.url, answer_limit=2_000)
    await committed(store, a_session(tenant="other"))
    await store.budget.take(0, egress="e", partner="p", share=Share.INTERACTIVE, now=NOON)
    yield store
    await store.aclose()
