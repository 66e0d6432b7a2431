"""A simulator on a real socket, in a thread of its own."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from simulator.app import create_app
from simulator.main import address_of, listen, server_of
from simulator.world import World


class Served:
    """A simulator that listens."""

    def __init__(self, url: str) -> None:
        self.url = url

    def client(self, token: str | None = "sim-alice", *, timeout_s: float = 60) -> httpx.Client:
        """Return a client with this token, which does not look for proxies."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s, trust_env=False)

    def switch(self, patch: object) -> None:
        """Set switches, which must be accepted."""
        with self.client(None) as client:
            answer = client.patch("/_control/faults", json=patch)
            assert answer.status_code == 200, answer.text


@contextmanager
def serving(world: World) -> Iterator[Served]:
    """Serve `world` until the block ends."""
    with listen("127.0.0.1", 0) as listening:
        server = server_of(create_app(world))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            deadline = time.monotonic() + 60
            while not server.started and thread.is_alive() and time.monotonic() < deadline:
                time.sleep(0.005)
            assert server.started
            yield Served(address_of(listening))
        finally:
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture
def served() -> Iterator[Served]:
    """A simulator in its seeded world."""
    with serving(World()) as simulator:
        yield simulator
