"""The one way to the server: every script and every plain read passes here.

A script is a file in `lua/`, called by its name. What the server's silence means is said here too: a call that was not
answered may have happened.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from time import perf_counter
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from redis.asyncio.client import PubSub
from redis.exceptions import DataError, NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from orchestrator.core.errors.store import StoreError, StoreUnavailableError
from orchestrator.core.metering import UNMETERED, Meter
from orchestrator.core.session import SECOND, Millis
from orchestrator.store.batches import Batches, UnsendableError

Argument: TypeAlias = str | bytes | int
Command: TypeAlias = tuple[Argument, ...]
Reply: TypeAlias = Any
"""What the server answered: integers, bytes, None and lists of these; plain commands as redis-py shapes them."""


class Pipeline(Protocol):
    """Commands that are run together."""

    def execute_command(self, *command: Argument) -> object:
        """Add a command."""
        ...

    async def execute(self, raise_on_error: bool) -> list[Reply]:  # noqa: FBT001 - as redis-py has it
        """Run all of them and return their replies; an error is raised, or returned in its reply's place."""
        ...


class Client(Protocol):
    """Where commands go: redis-py's client of one server, or a cluster."""

    def pipeline(self, transaction: bool) -> Pipeline:  # noqa: FBT001 - as redis-py has it
        """Return an empty pipeline."""
        ...

    def pubsub(self) -> PubSub:
        """Return a subscriber."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


NOT_NOW: Final = (
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
)
"""Refusals that pass: nothing was done, and later it may be."""

REPLICAS_LIMIT: Final[Millis] = SECOND
"""How long replicas may take to have what was written."""

READS: Final = frozenset(
    {
        "CONFIG GET",
        "EXISTS",
        "GET",
        "HELLO",
        "HGET",
        "HGETALL",
        "HMGET",
        "INFO",
        "LRANGE",
        "PING",
        "SCARD",
        "SMEMBERS",
        "TIME",
        "XRANGE",
        "ZMSCORE",
        "ZRANGE",
    }
)
"""Plain commands that write nothing; of any other it is assumed that it does."""


class NotReplicatedError(RedisError):
    """What was written may be lost with its server: too few replicas have it yet."""


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua file; the server knows it by the digest of its text."""

    text: str
    digest: str


@cache
def script(name: str) -> Script:
    """Return the script in `lua/<name>.lua`."""
    text = resources.files("orchestrator.store").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    return Script(text=text, digest=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Call(NamedTuple):
    """One script to be run on these keys."""

    name: str
    keys: Sequence[str]
    arguments: Sequence[Argument] = ()

    @property
    def by_digest(self) -> Command:
        """The command that runs a script the server has."""
        return ("EVALSHA", script(self.name).digest, len(self.keys), *self.keys, *self.arguments)

    @property
    def by_text(self) -> Command:
        """The command that runs any script, and leaves it with the server."""
        return ("EVAL", script(self.name).text, len(self.keys), *self.keys, *self.arguments)


@cache
def _read_scripts() -> frozenset[Argument]:
    """Return how scripts that write nothing are named to a server: by digest or by text."""
    files = resources.files("orchestrator.store").joinpath("lua").iterdir()
    scripts = [script(file.name.removesuffix(".lua")) for file in files if file.name.endswith(".lua")]
    reading = [one for one in scripts if "no-writes" in one.text.partition("\n")[0]]
    return frozenset([*(one.digest for one in reading), *(one.text for one in reading)])


def _writes(command: Command) -> bool:
    if command[0] in {"EVAL", "EVALSHA"}:
        return command[1] not in _read_scripts()
    return command[0] not in READS


def _lacks(acknowledged: Reply, wanted: int) -> bool:
    return isinstance(acknowledged, Exception) or int(acknowledged) < wanted


class Scripts:
    """Runs scripts and reads; what is asked for at the same time shares an exchange (`Batches`).

    `in_flight` counts the calls that have no answer yet. `server_of` names the server that has a command's key, where
    there are several. Nothing that was written counts as answered before so many `replicas` have it.

    Everything raises StoreUnavailableError when the server did not answer (what was asked may have happened) or cannot
    do it now, StoreError when it will never do it.
    """

    def __init__(
        self,
        redis: Client,
        *,
        server_of: Callable[[Command], Hashable] | None = None,
        replicas: int = 0,
        meter: Meter = UNMETERED,
    ) -> None:
        self._redis = redis
        self._replicas = replicas
        self._server_of = server_of
        self._meter = meter
        self._batches: defaultdict[Hashable, Batches[Command, Reply]] = defaultdict(lambda: Batches(self._send))
        self.in_flight = 0

    async def call(self, call: Call) -> Reply:
        """Run one script."""
        (reply,) = await self.call_each([call])
        return reply

    async def call_each(self, calls: Sequence[Call]) -> list[Reply]:
        """Run several scripts in one exchange; each alone is atomic, all together are not."""
        if not calls:
            return []
        replies = await self._counted(self._ask([call.by_digest for call in calls]))
        unknown = [number for number, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            taught = await self._counted(self._ask([calls[number].by_text for number in unknown]))
            for number, reply in zip(unknown, taught, strict=True):
                replies[number] = reply
        return _all_answered(replies)

    async def run(self, *commands: Command, atomic: bool = False) -> list[Reply]:
        """Run plain commands in one exchange; atomic ones see one moment."""
        if not commands:
            return []
        asked = self._exchange(commands, atomic=True) if atomic else self._ask(commands)
        return _all_answered(await self._counted(asked))

    async def _counted(self, asked: Awaitable[list[Reply]]) -> list[Reply]:
        self.in_flight += 1
        try:
            return await asked
        except (RedisError, OSError) as error:
            raise store_error(error) from error
        finally:
            self.in_flight -= 1

    def _ask(self, commands: Sequence[Command]) -> Awaitable[list[Reply]]:
        """Ask in batches: each server has its own, so that none waits for another one's answers."""
        if self._server_of is None:
            return self._batches[None].ask(commands)
        return self._ask_each(commands, self._server_of)

    async def _ask_each(self, commands: Sequence[Command], server_of: Callable[[Command], Hashable]) -> list[Reply]:
        by_server: defaultdict[Hashable, list[int]] = defaultdict(list)
        for number, command in enumerate(commands):
            by_server[server_of(command)].append(number)
        found = await asyncio.gather(
            *(self._batches[server].ask([commands[one] for one in part]) for server, part in by_server.items())
        )
        numbers = [number for part in by_server.values() for number in part]
        replies = dict(zip(numbers, [reply for part in found for reply in part], strict=True))
        return [replies[number] for number in range(len(commands))]

    async def _send(self, commands: Sequence[Command]) -> list[Reply]:
        writes = [number for number, command in enumerate(commands) if self._replicas and _writes(command)]
        closing: list[Command] = [("WAIT", self._replicas, REPLICAS_LIMIT)] if writes else []
        try:
            replies = await self._exchange([*commands, *closing], atomic=False)
        except DataError as error:
            raise UnsendableError from error
        if closing and _lacks(replies.pop(), self._replicas):
            for number in writes:
                if not isinstance(replies[number], Exception):
                    replies[number] = NotReplicatedError()
        return replies

    async def _exchange(self, commands: Sequence[Command], *, atomic: bool) -> list[Reply]:
        pipeline = self._redis.pipeline(transaction=atomic)
        for command in commands:
            pipeline.execute_command(*command)
        began, is_whole = perf_counter(), False
        try:
            replies: list[Reply] = await pipeline.execute(raise_on_error=False)
            is_whole = True
        finally:
            self._meter.exchanged(len(commands), took_s=perf_counter() - began, is_whole=is_whole)
        return replies


def _all_answered(replies: list[Reply]) -> list[Reply]:
    for reply in replies:
        if isinstance(reply, RedisError | OSError):
            raise store_error(reply) from reply
    return replies


def store_error(error: RedisError | OSError) -> StoreError:
    """Say what an error means, without the server's address, which is nobody's business."""
    if isinstance(error, RedisTimeoutError):
        return StoreUnavailableError(problem="no answer in time")
    if isinstance(error, NotReplicatedError):
        return StoreUnavailableError(problem="too few replicas")
    if not isinstance(error, ResponseError):
        return StoreUnavailableError(problem=str(getattr(error, "status_code", None) or "no connection"))
    code = str(error.status_code or error).partition(" ")[0]
    if code in NOT_NOW:
        return StoreUnavailableError(problem=code)
    return StoreError(f"the store refused a command: {error}")
