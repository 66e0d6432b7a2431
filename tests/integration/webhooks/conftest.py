"""A store and a station for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.webhooks.station import LIMIT_S, Station, a_station
from tests.support.valkey import ValkeyServer, running_valkey


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    """A store that writes everything down before it answers."""
    with running_valkey("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@pytest.fixture
def limit_s() -> float:
    """How long a receiver may take."""
    return LIMIT_S


@pytest.fixture
async def station(server: ValkeyServer, tmp_path: Path, limit_s: float) -> AsyncIterator[Station]:
    """A station on an empty store, without workers."""
    server.flush()
    async with a_station(server, tmp_path, limit_s=limit_s) as one:
        yield one
