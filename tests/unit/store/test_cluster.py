"""What a cluster's client does while others use it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.store.cluster import Cluster
from orchestrator.store.scripts import Call, Scripts


class Node:
    """A node which says that the one at port 1 has every slot; closing its idle connections takes a moment."""

    def __init__(self, closing: asyncio.Event, closed: asyncio.Event) -> None:
        self.connection_pool = self
        self._closing = closing
        self._closed = closed

    async def execute_command(self, *command: object) -> list[Any]:
        return [[0, 16383, [b"127.0.0.1", 1, b"id"]]]

    async def disconnect(self, *, inuse_connections: bool) -> None:
        self._closing.set()
        await self._closed.wait()

    def pubsub(self) -> Node:
        return self


class Lost:
    """Commands on a connection that is reset before there is an answer."""

    def execute_command(self, *command: object) -> None:
        return None

    async def execute(self, *, raise_on_error: bool) -> list[Any]:
        raise ConnectionResetError(104, "Connection reset by peer")


class Resetting(Node):
    """A node which resets connections on which it is asked for more than who has what."""

    def pipeline(self, transaction: bool) -> Lost:
        return Lost()


async def test_a_node_may_become_known_while_idle_connections_are_closed() -> None:
    """Somebody who listens, or was sent elsewhere, makes a client of another node just then."""
    closing, closed = asyncio.Event(), asyncio.Event()
    cluster = Cluster([("127.0.0.1", 2), ("127.0.0.1", 3)], dial=lambda _: cast("Redis", Node(closing, closed)))
    learning = asyncio.create_task(cluster.primaries())
    await asyncio.wait_for(closing.wait(), 20)
    for _ in range(2):
        cluster.pubsub()
    closed.set()

    assert len(await learning) == 1


async def test_a_connection_that_was_reset_is_no_answer() -> None:
    """What was asked for may have happened: whoever took it for a refusal would do it again."""
    node = cast("Redis", Resetting(asyncio.Event(), asyncio.Event()))
    scripts = Scripts(Cluster([("127.0.0.1", 1)], dial=lambda _: node))
    with pytest.raises(StoreUnavailableError):
        await scripts.run(("GET", "session"))
    with pytest.raises(StoreUnavailableError):
        await scripts.call(Call("commit", ["session"]))
