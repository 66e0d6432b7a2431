"""The one way to the server: every script and every plain read passes here.

A script is a file in `lua/`, called by its name. What the server's silence means is said here too: a call that was not
answered may have happened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, TypeAlias

from redis.asyncio import Redis
from redis.exceptions import DataError, NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from orchestrator.core.errors import StoreError, StoreUnavailableError
from orchestrator.store.batches import Batches, UnsendableError

Argument: TypeAlias = str | bytes | int
Command: TypeAlias = tuple[Argument, ...]
Reply: TypeAlias = Any
"""What the server answered: integers, bytes, None and lists of these; plain commands as redis-py shapes them."""

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


@dataclass(frozen=True, slots=True)
class Call:
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


class Scripts:
    """Runs scripts and reads; what is asked for at the same time shares an exchange (`Batches`).

    `in_flight` counts the calls that have no answer yet.

    Everything raises StoreUnavailableError when the server did not answer (what was asked may have happened) or cannot
    do it now, StoreError when it will never do it.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._batches: Batches[Command, Reply] = Batches(self._send)
        self.in_flight = 0

    async def call(self, call: Call) -> Reply:
        """Run one script."""
        (reply,) = await self.call_each([call])
        return reply

    async def call_each(self, calls: Sequence[Call]) -> list[Reply]:
        """Run several scripts in one exchange; each alone is atomic, all together are not."""
        if not calls:
            return []
        with self._under_way():
            replies = await self._batches.ask([call.by_digest for call in calls])
            unknown = [number for number, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if unknown:
                taught = await self._batches.ask([calls[number].by_text for number in unknown])
                for number, reply in zip(unknown, taught, strict=True):
                    replies[number] = reply
            return _all_answered(replies)

    async def run(self, *commands: Command, atomic: bool = False) -> list[Reply]:
        """Run plain commands in one exchange; atomic ones see one moment."""
        if not commands:
            return []
        with self._under_way():
            asked = self._exchange(commands, atomic=True) if atomic else self._batches.ask(commands)
            return _all_answered(await asked)

    async def _send(self, commands: Sequence[Command]) -> list[Reply]:
        try:
            return await self._exchange(commands, atomic=False)
        except DataError as error:
            raise UnsendableError from error

    async def _exchange(self, commands: Sequence[Command], *, atomic: bool) -> list[Reply]:
        pipeline = self._redis.pipeline(transaction=atomic)
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Reply] = await pipeline.execute(raise_on_error=False)
        return replies

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        self.in_flight += 1
        try:
            yield
        except (RedisError, OSError) as error:
            raise _store_error(error) from error
        finally:
            self.in_flight -= 1


def _all_answered(replies: list[Reply]) -> list[Reply]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _store_error(error: RedisError | OSError) -> StoreError:
    """Say what an error means, without the server's address, which is nobody's business."""
    if isinstance(error, RedisTimeoutError):
        return StoreUnavailableError(problem="no answer in time")
    if not isinstance(error, ResponseError):
        return StoreUnavailableError(problem=str(getattr(error, "status_code", None) or "no connection"))
    code = str(error.status_code or error).partition(" ")[0]
    if code in NOT_NOW:
        return StoreUnavailableError(problem=code)
    return StoreError(f"the store refused a command: {error}")
