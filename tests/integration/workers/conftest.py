"""One store, simulator and engine for all tests of the workers; each test has its own users."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.integration.workers.site import Site, a_site
from tests.support.processes import a_simulator
from tests.support.valkey import ValkeyServer, running_valkey


@pytest.fixture(scope="module")
def simulator_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A simulator without rate limits."""
    with a_simulator(tmp_path_factory.mktemp("simulator")) as url:
        yield url


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A store that writes everything down before it answers."""
    with running_valkey("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@pytest.fixture(scope="module")
async def site(
    valkey: ValkeyServer, simulator_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """A site without workers."""
    async with a_site(valkey, simulator_url=simulator_url, folder=tmp_path_factory.mktemp("site")) as one:
        yield one
