"""A client whose pipelines cost little: redis-py's connections and parser, with less around each command.

redis-py 8 writes commands in Python, and sets up a task and a time limit for each thing that it writes or reads (10 to
40 µs a command). Here hiredis writes as well as reads, and one time limit holds for the whole exchange.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import hiredis
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    from redis.asyncio.client import Pipeline

    from orchestrator.store.scripts import Argument, Command, Reply


MOST_AT_HAND: Final = 2
"""Connections that are kept at hand: as many exchanges as there usually are at a time (`Batches`)."""

READ_AT_ONCE: Final = 65_536


class QuickConnection(AbstractConnection):
    """A connection of redis-py's that can also exchange many commands for their replies at once."""

    async def exchange(self, commands: Sequence[bytes], *, limit_s: float | None) -> list[Reply]:
        """Write the commands in one piece and return their replies, errors among them.

        Raises RedisError, or OSError, when the connection broke or the limit passed: nobody knows then which of the
        commands were run, and the connection must not be used again.
        """
        stream, writer = self._reader, self._writer
        if stream is None or writer is None:
            raise RedisConnectionError("the connection is closed")
        parser: Any = self._parser
        reader = parser._reader  # noqa: SLF001 - the parser's own way is a coroutine for each reply
        loop = asyncio.get_running_loop()
        ends_at = None if limit_s is None else loop.time() + limit_s
        ending = None if ends_at is None else loop.call_at(ends_at, writer.transport.abort)
        replies: list[Reply] = []
        try:
            writer.write(b"".join(commands))
            while len(replies) < len(commands):
                reply = reader.gets()
                if reply is NOT_ENOUGH_DATA:
                    data = await stream.read(READ_AT_ONCE)
                    if not data:
                        raise _broken(is_late=ends_at is not None and loop.time() >= ends_at)
                    reader.feed(data)
                else:
                    self.notice(reply)
                    replies.append(reply)
        finally:
            if ending is not None:
                ending.cancel()
        return replies

    def notice(self, reply: Reply) -> None:
        """Take note of a reply. Raises those that say that nothing more will come."""
        if isinstance(reply, RedisConnectionError):
            raise reply


class QuickByPath(QuickConnection, UnixDomainSocketConnection):
    """The same over a Unix socket."""


def _broken(*, is_late: bool) -> RedisError:
    return RedisTimeoutError("no answer in time") if is_late else RedisConnectionError("the server hung up")


class QuickRedis(Redis):
    """redis-py's client; only its pipelines that are no transaction are of another kind."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - those of its base
        super().__init__(*arguments, **options)
        self._at_hand: list[QuickConnection] = []

    async def take(self) -> QuickConnection:
        """Take a connection that can be used, for `put_back`.

        It is one that was used just now, or the pool's: from there and back the way costs half of an exchange.
        """
        while self._at_hand:
            connection = self._at_hand.pop()
            if await _is_sound(connection):
                return connection
            await connection.disconnect(nowait=True)
            await self.connection_pool.release(connection)
        return cast("QuickConnection", await self.connection_pool.get_connection())  # type: ignore[no-untyped-call]

    async def put_back(self, connection: QuickConnection) -> None:
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
            replies = await connection.exchange(packed, limit_s=self._limit_s)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._redis.put_back(connection)
        replies = [self._shaped(command, reply) for command, reply in zip(self._commands, replies, strict=True)]
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
    name = cast("str", command[0])
    words = (*name.split(), *command[1:]) if " " in name else command
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
