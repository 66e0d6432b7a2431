"""Every test of this folder runs on the store in plain dicts and on the bundled Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from orchestrator.store.limits import Limits
from orchestrator.store.memory import MemoryStore
from orchestrator.store.opening import open_store
from tests.support.store_values import SHARDS, AnyStore
from tests.support.valkey import ValkeyServer, running_valkey

SEALING_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """One server for all tests."""
    with running_valkey() as server:
        yield server


@pytest.fixture
def valkey(valkey_server: ValkeyServer) -> ValkeyServer:
    """The server, empty."""
    valkey_server.flush()
    return valkey_server


@pytest.fixture
def limits() -> Limits:
    """Rate limits small enough to be counted by hand."""
    return Limits(egress=10, partner=20, strong_reserve=2, quiet_reserve=4)


@pytest.fixture(params=["memory", "valkey"])
async def store(request: pytest.FixtureRequest, limits: Limits) -> AsyncIterator[AnyStore]:
    """An empty store."""
    if request.param == "memory":
        yield MemoryStore(shards=SHARDS, limits=limits)
        return
    server: ValkeyServer = request.getfixturevalue("valkey")
    opened = open_store(server.url, shards=SHARDS, limits=limits, credential_keys=[SEALING_KEY])
    try:
        yield opened
    finally:
        await opened.aclose()
