"""A cluster as one client: each command goes to the primary that has its key.

redis-py's own cluster client is not used: whenever it learns the cluster anew it closes connections that are in use,
so that what others had asked becomes unknown, and with all connections in use it refuses instead of waiting (ADR 0008).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import count
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from orchestrator.addresses import Host
from orchestrator.core.session import SECOND, Millis
from orchestrator.store.scripts import Argument, Command, Reply

WAIT: Final = "WAIT"
"""Closes an exchange: every node that took part is asked at the end of its part, and the least answer counts."""

ASKING: Final = "ASKING"
"""Before a command: the node answers for a slot that it does not have yet."""

KEYLESS: Final = frozenset({"INFO", "PING", "TIME"})
SCRIPTED: Final = frozenset({"EVAL", "EVALSHA"})

REDIRECTIONS: Final = 8
"""How often one command is sent elsewhere before we give up."""

TRY_AGAIN_PAUSE: Final[Millis] = 50
LEARNT_FOR: Final[Millis] = 100
"""While nobody knows better, the cluster is not asked more often than this who has what."""

_SAME_HOST: Final = frozenset({"", "?"})


class Cluster:
    """The primaries of a cluster. `dial` returns a client of one node; nothing is connected yet.

    A command is sent again only when its answer said that nothing was done (MOVED, ASK, TRYAGAIN). Replicas are never
    asked: they send us to their primary. After a failure the cluster is asked anew who has what.
    """

    def __init__(self, hosts: Sequence[Host], *, dial: Callable[[Host], Redis]) -> None:
        self._known = tuple(hosts)
        self._dial = dial
        self._clients: dict[Host, Redis] = {}
        self._owners: list[Host | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._failed: set[Host] = set()
        self._learning = asyncio.Lock()
        self._doubts = 1
        self._settled_doubts = 0
        self._learnt_at = 0.0
        self._turns = count()

    # --- what a client of one server can do as well ---

    def pipeline(self, transaction: bool = False) -> ClusterPipeline:  # noqa: FBT001, FBT002 - as redis-py has it
        """Return an empty pipeline; a transaction's keys must share a slot."""
        return ClusterPipeline(self, is_atomic=transaction)

    def pubsub(self) -> PubSub:
        """Return a subscriber at one node, each time another one: what is published anywhere reaches every node."""
        candidates = self._candidates()
        hosts = [host for host in candidates if host in self._owners and host not in self._failed] or candidates
        return self._client(hosts[next(self._turns) % len(hosts)]).pubsub()

    async def aclose(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(client.aclose() for client in self._clients.values()))

    # --- the cluster ---

    async def primaries(self) -> tuple[Redis, ...]:
        """Return a client of each node that has keys. Raises RedisError."""
        await self._learn()
        return tuple(self._client(host) for host in sorted({host for host in self._owners if host is not None}))

    def server_of(self, command: Command) -> Host | None:
        """Return the node that has a command's key, as far as is known."""
        return self._owner(command)

    async def exchange(self, commands: Sequence[Command], *, is_atomic: bool = False) -> list[Reply]:
        """Run commands, all nodes at once, and return a reply or an error for each.

        Each node gets its commands in their order, in one exchange.
        """
        closing = commands[-1] if commands and commands[-1][0] == WAIT else None
        asked = _Exchange(commands[:-1] if closing else commands, is_atomic=is_atomic, closing=closing)
        try:
            await self._learn()
        except (RedisError, OSError) as error:
            return [error] * len(commands)
        ways: dict[int, AskError | None] = dict.fromkeys(range(len(asked.commands)))
        for _ in range(REDIRECTIONS):
            await self._round(asked, ways)
            ways = {number: _way(asked.replies[number]) for number in ways if _is_redirected(asked.replies[number])}
            if not ways:
                break
            if is_atomic:
                ways = dict.fromkeys(ways)  # a transaction cannot be asked of a node that does not have its slot yet
            if not all(isinstance(asked.replies[number], MovedError) for number in ways):
                await asyncio.sleep(TRY_AGAIN_PAUSE / SECOND)
        return [*asked.replies, min(asked.closed, default=0)] if closing else asked.replies

    async def _round(self, asked: _Exchange, ways: Mapping[int, AskError | None]) -> None:
        """Send each of these commands once, and note the replies."""
        parts: defaultdict[tuple[Host, bool], list[int]] = defaultdict(list)
        for number, way in ways.items():
            host = self._owner(asked.commands[number]) if way is None else (way.host, way.port)
            if host is None:
                asked.replies[number] = ClusterDownError("CLUSTERDOWN nobody has the slot")
            else:
                parts[host, way is not None].append(number)
        await asyncio.gather(
            *(self._ask(host, asked, numbers, is_early=is_early) for (host, is_early), numbers in parts.items())
        )

    async def _ask(self, host: Host, asked: _Exchange, numbers: Sequence[int], *, is_early: bool) -> None:
        """Ask one node; an early question is about a slot that the node is only about to get."""
        pipeline = self._client(host).pipeline(transaction=asked.is_atomic)
        for command in asked.part(numbers, is_early=is_early):
            pipeline.execute_command(*command)
        try:
            replies: list[Reply] = await pipeline.execute(raise_on_error=False)
        except ResponseError as refused:  # a transaction: none of it was done
            replies = [refused] * len(numbers)
        except (RedisError, OSError) as lost:
            self._failed.add(host)
            self._doubts += 1
            replies = [lost] * len(numbers)
        else:
            self._failed.discard(host)
            if asked.closing:
                asked.closed.append(replies.pop())
            replies = replies[1::2] if is_early else replies
        for number, reply in zip(numbers, replies, strict=True):
            asked.replies[number] = _with_host(reply, host)
            self._note(reply)

    def _note(self, reply: Reply) -> None:
        """Learn from a refusal."""
        if isinstance(reply, MovedError):
            self._owners[reply.slot_id] = (reply.host, reply.port)
        if isinstance(reply, MovedError | ClusterDownError):
            self._doubts += 1

    def _owner(self, command: Command) -> Host | None:
        key = _key_of(command)
        if key is None:
            return next((host for host in self._owners if host is not None), None)
        return self._owners[key_slot(key if isinstance(key, bytes) else str(key).encode())]

    def _client(self, host: Host) -> Redis:
        if host not in self._clients:
            self._clients[host] = self._dial(host)
        return self._clients[host]

    # --- who has what ---

    async def _learn(self) -> None:
        """Ask who has what, when there is reason to. Raises RedisError when nobody can say."""
        if self._doubts == self._settled_doubts:
            return
        async with self._learning:
            loop, doubts = asyncio.get_running_loop(), self._doubts
            if doubts == self._settled_doubts or loop.time() < self._learnt_at + LEARNT_FOR / SECOND:
                return
            self._owners = await self._told()
            self._settled_doubts, self._learnt_at = doubts, loop.time()
            await self._drop_idle()

    async def _told(self) -> list[Host | None]:
        """Return the owner of each slot, as the first node says that knows of any."""
        problem: RedisError | OSError = ClusterDownError("CLUSTERDOWN no node has a slot")
        for host in self._candidates():
            try:
                ranges = await self._client(host).execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
            except (RedisError, OSError) as error:
                self._failed.add(host)
                problem = error
                continue
            self._failed.discard(host)
            owners = _owners_in(ranges, told_by=host)
            if any(owners):
                return owners
        raise problem

    def _candidates(self) -> list[Host]:
        """Return whom to ask, those that failed last at the end; configured names too, which may lead elsewhere now."""
        owners = {host for host in self._owners if host is not None}
        hosts = [*sorted(owners), *(host for host in self._known if host not in owners)]
        return sorted(hosts, key=lambda host: host in self._failed)

    async def _drop_idle(self) -> None:
        """Close connections that nobody uses to nodes that have nothing any more."""
        owners = set(self._owners)
        for host, client in tuple(self._clients.items()):  # others may come to know a node while this waits
            if host not in owners:
                await client.connection_pool.disconnect(inuse_connections=False)


@dataclass(slots=True)
class _Exchange:
    """Commands and what became of them; `closed` has each node's answer to `closing`."""

    commands: Sequence[Command]
    _: KW_ONLY
    is_atomic: bool
    closing: Command | None
    replies: list[Reply] = field(init=False)
    closed: list[Reply] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.replies = [None] * len(self.commands)

    def part(self, numbers: Sequence[int], *, is_early: bool) -> Iterator[Command]:
        """Return what one node is asked for these commands."""
        for number in numbers:
            if is_early:
                yield (ASKING,)
            yield self.commands[number]
        if self.closing:
            yield self.closing


class ClusterPipeline:
    """Commands that are run together."""

    def __init__(self, cluster: Cluster, *, is_atomic: bool) -> None:
        self._cluster = cluster
        self._is_atomic = is_atomic
        self._commands: list[Command] = []

    def execute_command(self, *command: Argument) -> None:
        """Add a command."""
        self._commands.append(command)

    async def execute(self, raise_on_error: bool = True) -> list[Reply]:  # noqa: FBT001, FBT002 - as redis-py has it
        """Run all of them and return their replies; an error is raised, or returned in its reply's place."""
        commands, self._commands = self._commands, []
        replies = await self._cluster.exchange(commands, is_atomic=self._is_atomic)
        for reply in replies:
            if raise_on_error and isinstance(reply, Exception):
                raise reply
        return replies


def _is_redirected(reply: Reply) -> bool:
    return isinstance(reply, AskError | TryAgainError)


def _owners_in(ranges: Reply, *, told_by: Host) -> list[Host | None]:
    """Read the reply to CLUSTER SLOTS: first and last slot, primary, replicas, for each range."""
    owners: list[Host | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
    for first, last, (name, port, *_), *_ in ranges:
        host = (name or b"").decode()
        owner = (told_by[0] if host in _SAME_HOST else host, int(port))
        owners[first : last + 1] = [owner] * (last - first + 1)
    return owners


def _way(reply: Reply) -> AskError | None:
    """Return where else to ask; None for the slot's owner, whom we know by now."""
    return reply if isinstance(reply, AskError) and not isinstance(reply, MovedError) else None


def _with_host(reply: Reply, host: Host) -> Reply:
    """Fill in the host of a redirection that names none: it is that of the node which sent it."""
    if isinstance(reply, AskError) and reply.host in _SAME_HOST:
        reply.host = host[0]
    return reply


def _key_of(command: Command) -> Argument | None:
    if command[0] in KEYLESS:
        return None
    return command[3] if command[0] in SCRIPTED else command[1]
