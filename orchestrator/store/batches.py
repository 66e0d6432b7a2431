"""Group commit: what callers ask of one server at the same time shares one exchange with it.

A round trip costs a process several times what the commands in it cost, so what is asked for within one tick of the
event loop is sent together, each member's commands in their order and side by side. To its caller a member is as alone
as before: it gets its own replies, an error among them is nobody else's, and giving up waiting disturbs nobody. Only
the fate of the connection is shared: when it breaks, nobody knows which commands were run, and every member is told.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

Command = TypeVar("Command")
Reply = TypeVar("Reply")

MOST_COMMANDS: Final = 128
"""In one exchange, unless a single member has more: a broken connection concerns no more callers than this."""

MOST_UNDER_WAY: Final = 2
"""Exchanges at a time. While so many wait for their answers, what is asked for gathers for the next."""


class UnsendableError(Exception):
    """Some command cannot be written; nothing was sent."""


class _Member(NamedTuple, Generic[Command, Reply]):
    commands: Sequence[Command]
    answered: asyncio.Future[list[Reply]]


class Batches(Generic[Command, Reply]):
    """Gathers what is asked for, and sends it by `send`.

    `send` exchanges commands for as many replies, errors of single commands among these. It raises UnsendableError
    before anything is sent; whatever else it raises is raised to every member.
    """

    def __init__(self, send: Callable[[Sequence[Command]], Awaitable[list[Reply]]]) -> None:
        self._send = send
        self._gathered: deque[_Member[Command, Reply]] = deque()
        self._is_planned = False
        self._under_way: set[asyncio.Task[None]] = set()

    def ask(self, commands: Sequence[Command]) -> asyncio.Future[list[Reply]]:
        """Promise the replies to these commands, which are sent in this order, with others before and after them."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[list[Reply]] = loop.create_future()
        self._gathered.append(_Member(commands, answered))
        self._plan(loop)
        return answered

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_planned and len(self._under_way) < MOST_UNDER_WAY:
            self._is_planned = True
            loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Send what was gathered, but for members that nobody waits for any more."""
        self._is_planned = False
        members: list[_Member[Command, Reply]] = []
        number = 0
        while self._gathered and (not members or number + len(self._gathered[0].commands) <= MOST_COMMANDS):
            member = self._gathered.popleft()
            if not member.answered.done():
                members.append(member)
                number += len(member.commands)
        if members:
            exchange = asyncio.get_running_loop().create_task(self._exchange(members))
            self._under_way.add(exchange)
            exchange.add_done_callback(self._end)
        if self._gathered:
            self._plan(asyncio.get_running_loop())

    def _end(self, exchange: asyncio.Task[None]) -> None:
        self._under_way.discard(exchange)
        if self._gathered:
            self._plan(exchange.get_loop())

    async def _exchange(self, members: list[_Member[Command, Reply]]) -> None:
        """Let every member know what became of it, whatever that is."""
        try:
            replies = await self._send([command for member in members for command in member.commands])
        except UnsendableError as error:
            await self._exchange_singly(members, error)
        except BaseException as error:
            for member in members:
                _fail(member.answered, error)
            if not isinstance(error, Exception):
                raise
        else:
            place = 0
            for member in members:
                following = place + len(member.commands)
                if not member.answered.done():
                    member.answered.set_result(replies[place:following])
                place = following

    async def _exchange_singly(self, members: list[_Member[Command, Reply]], error: UnsendableError) -> None:
        """Only the member whose command cannot be written is told so."""
        if len(members) == 1:
            _fail(members[0].answered, error.__cause__ or error)
        else:
            for member in members:
                await self._exchange([member])


def _fail(answered: asyncio.Future[list[Reply]], error: BaseException) -> None:
    if answered.done():
        return
    if isinstance(error, asyncio.CancelledError):
        answered.cancel()
    else:
        answered.set_exception(error)
