"""A client whose pipelines cost little: redis-py's connections and parser, with less around each command.

redis-py 8 writes commands in Python, and sets up a time limit and a task for each reply (10 to 40 µs a command). Here
hiredis writes as well as reads, and one time limit holds for the whole exchange (2 to 5 µs a command).
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import hiredis
from redis.asyncio import Redis
from redis.exceptions import DataError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    from redis.asyncio.client import Pipeline
    from redis.asyncio.connection import AbstractConnection

    from orchestrator.store.scripts import Argument, Command, Reply


MOST_AT_HAND: Final = 2
"""Connections that are kept at hand: as many exchanges as there usually are at a time (`Batches`)."""


class QuickRedis(Redis):
    """redis-py's client; only its pipelines that are no transaction are of another kind."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - those of its base
        super().__init__(*arguments, **options)
        self._at_hand: list[AbstractConnection] = []

    async def take(self) -> AbstractConnection:
        """Take a connection that can be used, for `put_back`.

        It is one that was used just now, or the pool's: from there and back the way costs half of an exchange.
        """
        while self._at_hand:
            connection = self._at_hand.pop()
            if await _is_sound(connection):
                return connection
            await connection.disconnect(nowait=True)
            await self.connection_pool.release(connection)
        return cast("AbstractConnection", await self.connection_pool.get_connection())  # type: ignore[no-untyped-call]

    async def put_back(self, connection: AbstractConnection) -> None:
        """Be done with a connection; who found it broken has closed it."""
        if len(self._at_hand) < MOST_AT_HAND and await _is_sound(connection):
            self._at_hand.append(connection)
        else:
            await self.connection_pool.release(connection)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:  # noqa: FBT001, FBT002
        """Return an empty pipeline; the signature is redis-py's."""
        if transaction:
            return super().pipeline(transaction, shard_hint)
        return cast("Pipeline", Exchange(self))


class Exchange:
    """Commands out in one piece, replies back in their order."""

    def __init__(self, redis: QuickRedis) -> None:
        self._redis = redis
        self._callbacks = redis.response_callbacks
        self._limit_s: float | None = redis.connection_pool.connection_kwargs.get("socket_timeout")
        self._commands: list[Command] = []

    def execute_command(self, *command: Argument) -> None:
        """Add a command."""
        self._commands.append(command)

    async def execute(self, *, raise_on_error: bool = True) -> list[Reply]:
        """Run the commands within the client's time limit and return their replies, errors among them.

        `raise_on_error` raises the first of these instead. Raises DataError for a command that cannot be written:
        nothing was sent. Raises another RedisError, or OSError, when the connection broke: nobody knows which of the
        commands were run, and the connection is not used again.
        """
        packed = [_packed(command) for command in self._commands]
        connection = await self._redis.take()
        try:
            async with asyncio.timeout(self._limit_s):
                await connection.send_packed_command(packed)
                replies = [self._shaped(command, await _reply(connection)) for command in self._commands]
        except TimeoutError as error:
            await connection.disconnect(nowait=True)
            raise RedisTimeoutError("no answer in time") from error
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._redis.put_back(connection)
        for reply in replies:
            if raise_on_error and isinstance(reply, ResponseError):
                raise reply
        return replies

    def _shaped(self, command: Command, reply: Reply) -> Reply:
        callback = self._callbacks.get(cast("str", command[0]))
        return reply if callback is None or isinstance(reply, ResponseError) else callback(reply)


_Words: TypeAlias = tuple[Any]
"""What hiredis' stub calls a tuple of any length."""


def _packed(command: Command) -> bytes:
    """Write a command; its name may be several words (`CONFIG GET`)."""
    words = (*cast("str", command[0]).split(), *command[1:])
    try:
        return bytes(hiredis.pack_command(cast("_Words", words)))
    except TypeError as error:
        raise DataError(str(error)) from error


async def _is_sound(connection: AbstractConnection) -> bool:
    """Tell whether a connection is as it should be between two exchanges; the pool asks the same."""
    try:
        return connection.is_connected and not await connection.can_read()
    except (RedisError, OSError):
        return False


async def _reply(connection: AbstractConnection) -> Reply:
    try:
        return await connection.read_response(timeout=math.inf)
    except ResponseError as error:
        return error
