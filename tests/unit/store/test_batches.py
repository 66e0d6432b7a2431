"""Group commit: many callers share exchanges, and each is as alone as before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.store.batches import MOST_COMMANDS, MOST_UNDER_WAY, Batches, UnsendableError


class BrokenError(Exception):
    """The connection broke."""


class Server:
    """Answers each command with itself. It breaks, stays silent or refuses to write as a test says.

    `exchanges` is what was sent together.
    """

    def __init__(self) -> None:
        self.exchanges: list[list[str]] = []
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.breaks: Callable[[Sequence[str]], bool] = lambda _: False

    async def send(self, commands: Sequence[str]) -> list[object]:
        """Exchange commands for replies; one that begins with `!` has an error for its reply."""
        if any(command.startswith("?") for command in commands):
            raise UnsendableError from TypeError("?")
        self.exchanges.append(list(commands))
        await self.is_open.wait()
        if self.breaks(commands):
            raise BrokenError
        return [ValueError(command) if command.startswith("!") else command for command in commands]


@dataclass(frozen=True, slots=True)
class Story:
    """A caller: what it asks for, after how many ticks, and after how many more it gives up."""

    name: str
    kinds: list[str]
    after: int
    patience: int | None

    async def live(self, batches: Batches[str, object], server: Server, broken: set[int]) -> None:
        """Ask, and hold the outcome against what the server saw."""
        commands = [f"{kind}{self.name}.{place}" for place, kind in enumerate(self.kinds)]
        for _ in range(self.after):
            await asyncio.sleep(0)
        asked = batches.ask(commands)
        if self.patience is not None:
            for _ in range(self.patience):
                await asyncio.sleep(0)
            asked.cancel()
        (found,) = await asyncio.gather(asked, return_exceptions=True)
        sent = [at for at, exchange in enumerate(server.exchanges) if commands[0] in exchange]
        assert len(sent) <= 1
        match found:
            case list():
                assert commands == [str(reply) for reply in found]
            case BrokenError():
                assert broken.issuperset(sent)
            case TypeError():
                assert ("?" in self.kinds, sent) == (True, [])
            case _:
                assert isinstance(found, asyncio.CancelledError)


async def test_what_is_asked_for_at_the_same_time_shares_one_exchange() -> None:
    """A hundred callers, one round trip."""
    server = Server()
    batches = Batches(server.send)

    replies = await asyncio.gather(*(batches.ask([f"{number}"]) for number in range(100)))

    assert [[f"{number}"] for number in range(100)] == replies
    assert [len(exchange) for exchange in server.exchanges] == [100]


async def test_a_lone_caller_does_not_wait_for_company() -> None:
    """Its command is sent before the loop does anything else that was asked for later."""
    server = Server()
    batches = Batches(server.send)
    order: list[str] = []

    async def ask() -> None:
        await batches.ask(["a"])
        order.append("answered")

    asked = asyncio.create_task(ask())
    for _ in range(4):
        await asyncio.sleep(0)

    assert server.exchanges == [["a"]]
    await asked


async def test_while_exchanges_are_under_way_the_next_gathers() -> None:
    """The slower the server, the more callers share a round trip."""
    server = Server()
    server.is_open.clear()
    batches = Batches(server.send)
    asked = []
    for number in range(10):
        asked.append(batches.ask([f"{number}"]))
        for _ in range(3):
            await asyncio.sleep(0)
    sent = len(server.exchanges)
    server.is_open.set()

    assert [[f"{number}"] for number in range(10)] == await asyncio.gather(*asked)
    assert sent == MOST_UNDER_WAY
    assert [len(exchange) for exchange in server.exchanges] == [1] * MOST_UNDER_WAY + [10 - MOST_UNDER_WAY]


async def test_an_exchange_is_bounded() -> None:
    """A broken connection concerns a bounded number of callers; one that asks for more at once gets all it asks for."""
    server = Server()
    batches = Batches(server.send)
    large = [f"large {number}" for number in range(MOST_COMMANDS + 1)]

    replies = await asyncio.gather(batches.ask(large), *(batches.ask(["x", "y"]) for _ in range(MOST_COMMANDS)))

    assert [large, *[["x", "y"]] * MOST_COMMANDS] == replies
    assert [len(exchange) for exchange in server.exchanges] == [MOST_COMMANDS + 1, MOST_COMMANDS, MOST_COMMANDS]


async def test_a_broken_connection_is_everybodys_and_the_next_exchange_nobodys() -> None:
    """No member of it can know what was done; who comes later is not concerned."""
    server = Server()
    server.breaks = lambda commands: "c" in commands
    batches = Batches(server.send)

    first = await asyncio.gather(*(batches.ask([name]) for name in "abc"), return_exceptions=True)
    then = await batches.ask(["d"])

    assert [BrokenError] * 3 == [type(error) for error in first]
    assert then == ["d"]


async def test_a_command_that_cannot_be_written_is_its_members_alone() -> None:
    """Nothing was sent, so the others are sent without it."""
    server = Server()
    batches = Batches(server.send)

    replies = await asyncio.gather(*(batches.ask([name]) for name in ("a", "?", "c")), return_exceptions=True)

    assert replies[0::2] == [["a"], ["c"]]
    assert isinstance(replies[1], TypeError)


async def test_who_gives_up_before_it_was_sent_sends_nothing() -> None:
    """And the others of its exchange are sent."""
    server = Server()
    batches = Batches(server.send)
    asked = [batches.ask([name]) for name in "abc"]
    asked[1].cancel()
    done = await asyncio.gather(*asked, return_exceptions=True)

    assert server.exchanges == [["a", "c"]]
    assert isinstance(done[1], asyncio.CancelledError)


async def test_when_the_loop_ends_nobody_is_left_waiting() -> None:
    """An exchange that is cancelled ends its members' waits."""
    server = Server()
    server.is_open.clear()
    batches = Batches(server.send)
    asked = [batches.ask([name]) for name in "ab"]
    for _ in range(3):
        await asyncio.sleep(0)
    (exchange,) = batches._under_way
    exchange.cancel()

    done = await asyncio.gather(*asked, return_exceptions=True)
    assert [asyncio.CancelledError] * 2 == [type(error) for error in done]


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["a", "b", "!", "?"]), min_size=1, max_size=3),
            st.integers(0, 3),  # ticks before it asks
            st.none() | st.integers(0, 5),  # ticks after which it gives up
        ),
        max_size=30,
    ),
    st.sets(st.integers(0, 10)),
)
def test_every_caller_gets_its_own_replies_or_is_told(
    callers: list[tuple[list[str], int, int | None]], broken: set[int]
) -> None:
    """Whoever else asks, gives up, or breaks the connection: replies in order, or an error that is true."""

    async def run() -> None:
        server = Server()
        server.breaks = lambda _: len(server.exchanges) - 1 in broken
        batches = Batches(server.send)
        stories = (Story(f"{number}", *caller) for number, caller in enumerate(callers))
        await asyncio.wait_for(asyncio.gather(*(story.live(batches, server, broken) for story in stories)), 20)

    asyncio.run(run())


@pytest.mark.parametrize("size", [1, 7])
async def test_one_callers_commands_stay_together_in_their_order(size: int) -> None:
    """What is asked for in one call is not interleaved with others' commands."""
    server = Server()
    batches = Batches(server.send)
    calls = [[f"{caller}.{place}" for place in range(size)] for caller in range(5)]

    await asyncio.gather(*(batches.ask(call) for call in calls))

    assert [command for call in calls for command in call] == server.exchanges[0]
