"""Every test of this folder runs on the store in plain dicts and on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from orchestrator.store.limits import Limits
from orchestrator.store.memory import MemoryStore
from orchestrator.store.opening import open_store
from tests.support.store_values import SHARDS, AnyStore
from tests.support.valkey import REDIS_SERVER, ClusterNode, ValkeyServer, running_cluster_node, running_valkey

SEALING_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
SERVERS: Final = ["valkey", pytest.param("redis", marks=pytest.mark.redis_server), "cluster"]


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """One server for all tests."""
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[ValkeyServer]:
    """One of Debian's for all tests."""
    with running_valkey(program=REDIS_SERVER) as server:
        yield server


@pytest.fixture(scope="session")
def cluster_server() -> Iterator[ClusterNode]:
    """One cluster for all tests."""
    with running_cluster_node() as node:
        yield node


@pytest.fixture
def valkey(valkey_server: ValkeyServer) -> ValkeyServer:
    """The bundled server, empty."""
    valkey_server.flush()
    return valkey_server


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> ValkeyServer:
    """Each server, empty."""
    server: ValkeyServer = request.getfixturevalue(f"{request.param}_server")
    server.flush()
    return server


@pytest.fixture
def limits() -> Limits:
    """Rate limits small enough to be counted by hand."""
    return Limits(egress=10, partner=20, user=6, strong_reserve=2, quiet_reserve=4)


@pytest.fixture(params=["memory", *SERVERS])
async def store(request: pytest.FixtureRequest, limits: Limits) -> AsyncIterator[AnyStore]:
    """An empty store."""
    if request.param == "memory":
        yield MemoryStore(shards=SHARDS, limits=limits)
        return
    server: ValkeyServer = request.getfixturevalue(f"{request.param}_server")
    server.flush()
    opened = open_store(server.url, shards=SHARDS, limits=limits, credential_keys=[SEALING_KEY])
    try:
        yield opened
    finally:
        await opened.aclose()
