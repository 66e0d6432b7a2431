"""What carries messages: over real sockets, to receivers that nobody trusts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict

from orchestrator.clock import SystemClock
from orchestrator.core.deliveries import LONGEST_ANSWER_KEPT, Answer
from orchestrator.core.endpoints import Networks
from orchestrator.core.session import SECOND, Millis
from orchestrator.posting import MOST_OF_ANSWER, AiohttpPost
from tests.support.ports import free_port
from tests.support.receivers import Heard, Receiver, a_receiver

HERE: Final = ("127.0.0.0/8", "::1/128")
REFUSED: Final = "its address is not one that messages are sent to"


class Names(AbstractResolver):
    """Names that lead where a test says; each look-up of a name takes its next answer, and then its last one again."""

    def __init__(self, addresses: Mapping[str, Sequence[str]] | None = None) -> None:
        self._addresses = {name: list(found) for name, found in (addresses or {}).items()}
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self._addresses:
            raise OSError(socket.EAI_NONAME, "no such name")
        found = self._addresses[host]
        address = found.pop(0) if len(found) > 1 else found[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def a_post(
    *allowed: str, limit: Millis = 5 * SECOND, names: AbstractResolver | None = None
) -> AsyncIterator[AiohttpPost]:
    """Have a post for these networks."""
    post = AiohttpPost(networks=Networks.of(allowed), limit=limit, clock=SystemClock(), resolver=names)
    try:
        yield post
    finally:
        await post.aclose()


async def posted(receiver: Receiver, *, limit: Millis = 5 * SECOND) -> Answer:
    """Post something to a receiver that may be spoken to."""
    async with a_post(*HERE, limit=limit) as post:
        return await post.post(f"{receiver.url}/a?b=c", headers={"webhook-id": "m1"}, body=b'{"\xc3\xa9": 1}')


async def test_exactly_these_bytes_arrive() -> None:
    """With the headers that were given, as JSON; and what was answered is known."""

    async def answer(_: Heard) -> web.Response:
        return web.Response(status=202, text="thänks")

    async with a_receiver(answer) as receiver:
        got = await posted(receiver)

    (heard,) = receiver.heard
    assert (heard.path, heard.body, heard.message_id) == ("/a?b=c", b'{"\xc3\xa9": 1}', "m1")
    assert heard.headers["content-type"] == "application/json"
    assert (got.status, got.text, got.problem, got.is_receipt) == (202, "thänks", None, True)


async def test_a_connection_is_used_again() -> None:
    """A handshake for every message would cost more than the message."""
    ports = set()

    async with a_receiver() as receiver:

        async def noted(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            ports.add(request.transport.get_extra_info("peername")[1])
            return web.Response()

        receiver.handle = noted  # type: ignore[method-assign]
        async with a_post(*HERE) as post:
            for _ in range(5):
                await post.post(receiver.url, headers={}, body=b"{}")

    assert len(ports) <= 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    """Wherever it leads; it is an answer that is no receipt."""
    async with a_receiver() as trap:

        async def lead_on(_: Heard) -> web.Response:
            return web.Response(status=status, headers={"Location": trap.url})

        async with a_receiver(lead_on) as receiver:
            got = await posted(receiver)

    assert (got.status, got.is_receipt, trap.heard) == (status, False, [])


async def test_who_asks_twice_to_be_left_alone_is_left_alone_longer() -> None:
    """A proxy may add a header of its own to the receiver's."""

    async def busy(_: Heard) -> web.Response:
        return web.Response(status=503, headers=CIMultiDict([("Retry-After", "5"), ("Retry-After", "90")]))

    async with a_receiver(busy) as receiver:
        got = await posted(receiver)

    assert (got.status, got.retry_after) == (503, 90_000)


async def test_a_receiver_that_does_not_answer_in_time_is_left() -> None:
    """Whether it never begins or never ends."""

    async def never(_: Heard) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with a_receiver(never) as receiver:
        got = await posted(receiver, limit=200)

    assert (got.status, got.problem) == (None, "no answer in time")
    assert got.took >= 190


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    """Its beginning is kept; what follows costs the connection."""

    async def on_and_on(heard: Heard) -> web.StreamResponse:
        return web.Response(status=500, body=b"x" * (20 * MOST_OF_ANSWER))

    async with a_receiver(on_and_on) as receiver:
        got = await posted(receiver)

    assert (got.status, got.text) == (500, "x" * LONGEST_ANSWER_KEPT)


async def test_an_answer_that_no_one_can_print_is_kept_readable() -> None:
    """It is shown to people."""

    async def noise(_: Heard) -> web.Response:
        return web.Response(status=500, body=b"a\x00\x1b[31m\xff\nb")

    async with a_receiver(noise) as receiver:
        got = await posted(receiver)

    assert got.text == "a��[31m�\nb"


@pytest.mark.parametrize(
    "garbage", [b"", b"HTTP/1.1 200", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000 + b"\r\n\r\n"]
)
async def test_what_is_no_http_is_no_receipt(garbage: bytes) -> None:
    """A closed connection, half an answer, another protocol, a header without end."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(garbage)
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with a_post(*HERE) as post:
            got = await post.post(url, headers={}, body=b"{}")

    assert (got.status, got.is_receipt) == (None, False)
    assert got.problem in {"the connection was closed before an answer came", "the answer cannot be read"}


async def test_nobody_there_is_an_answer_too() -> None:
    """No connection, no such name, no TLS: each said for what it is."""
    async with a_receiver() as receiver, a_post(*HERE, names=Names()) as post:
        urls = [f"http://127.0.0.1:{free_port()}/", "https://nobody.example/", receiver.url.replace("http", "https")]
        answers = [await post.post(url, headers={}, body=b"{}") for url in urls]

    assert [answer.problem for answer in answers] == ["no connection", "nobody has this name", "no TLS connection"]


LITERALS: Final = (
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "0.0.0.0",  # noqa: S104 - nobody binds to it here
    "0",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
)
"""Ways to write this machine, or what leads to it."""

NAMES: Final = {
    "loopback.example": "127.0.0.1",
    "mapped.example": "::ffff:127.0.0.1",
    "six.example": "::1",
    "private.example": "10.0.0.1",
    "metadata.example": "169.254.169.254",
    "metadata6.example": "fd00:ec2::254",
    "linklocal.example": "fe80::1",
    "carrier.example": "100.64.0.1",
    "broadcast.example": "255.255.255.255",
    "zero.example": "0.0.0.0",  # noqa: S104 - nobody binds to it here
    "nat64.example": "64:ff9b::a9fe:a9fe",
    "sixtofour.example": "2002:7f00:1::",
}
"""Names of the Internet that lead where they should not."""


_SYSTEMS: Final = {
    name: ["127.0.0.1"]
    for name in (
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "localhost",
    )
}
"""What system resolvers make of odd notations."""


class Trap:
    """Counts who connects, whatever they mean to say."""

    def __init__(self) -> None:
        self.port = 0
        self.reached = 0

    def connected(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reached += 1
        writer.close()


@asynccontextmanager
async def a_trap() -> AsyncIterator[Trap]:
    """Have a trap on a port of every address of this machine that a test may open."""
    trap = Trap()
    trap.port = free_port()
    server = await asyncio.start_server(trap.connected, "127.0.0.1", trap.port)
    six = await asyncio.start_server(trap.connected, "::1", trap.port)
    async with server, six:
        yield trap


async def test_a_trap_is_reached_where_it_may_be() -> None:
    """The tests below are about something."""
    async with a_trap() as trap, a_post(*HERE) as post:
        for host in ("127.0.0.1", "[::1]", "localhost"):
            await post.post(f"https://{host}:{trap.port}/", headers={}, body=b"{}")

    assert trap.reached == 3


@pytest.mark.parametrize("host", [*LITERALS, *NAMES])
async def test_no_hostile_target_is_reached(host: str) -> None:
    """However it is written, and whoever has the name: no socket to it is made, by either scheme."""
    names = Names(_SYSTEMS | {name: [to] for name, to in NAMES.items()})
    async with a_trap() as trap, a_post(names=names) as post:
        urls = [f"{scheme}://{host}:{trap.port}/" for scheme in ("http", "https")]
        answers = [await post.post(url, headers={}, body=b"{}") for url in urls]

    assert trap.reached == 0
    assert {answer.problem for answer in answers} <= {REFUSED, "nobody has this name", "its URL cannot be read"}


async def test_the_systems_own_resolver_opens_no_way_either() -> None:
    """Odd notations are its to read; what it makes of them is checked."""
    async with a_trap() as trap, a_post() as post:
        for host in ("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost"):
            got = await post.post(f"https://{host}:{trap.port}/", headers={}, body=b"{}")
            assert got.problem in {REFUSED, "nobody has this name", "its URL cannot be read"}

    assert trap.reached == 0


async def test_a_name_that_changes_between_look_and_connection_gains_nothing() -> None:
    """The address that was checked is the one that is connected to, each time anew."""
    names = Names({"rebinding.example": ["8.8.8.8", "127.0.0.1"]})
    checked: list[str] = []

    class Watched(Networks):
        def admits(self, address: str, *, is_secure: bool) -> bool:
            checked.append(address)
            return False if address == "8.8.8.8" else super().admits(address, is_secure=is_secure)

    async with a_trap() as trap:
        post = AiohttpPost(networks=Watched(), limit=SECOND, clock=SystemClock(), resolver=names)
        url = f"https://rebinding.example:{trap.port}/"
        answers = [await post.post(url, headers={}, body=b"{}") for _ in range(3)]
        await post.aclose()

    assert trap.reached == 0
    assert [answer.problem for answer in answers] == [REFUSED] * 3
    assert set(checked) <= {"8.8.8.8", "127.0.0.1"}
    assert checked


async def test_plain_http_reaches_allowed_networks_and_no_others() -> None:
    """Even where the address is one of the Internet."""
    names = Names({"inside.example": ["127.0.0.1"], "outside.example": ["8.8.8.8"]})
    async with a_receiver() as receiver, a_post("127.0.0.0/8", names=names) as post:
        port = receiver.url.rpartition(":")[2]
        inside = await post.post(f"http://inside.example:{port}/", headers={}, body=b"{}")
        outside = await post.post("http://outside.example/", headers={}, body=b"{}")

    assert (inside.status, outside.problem) == (204, REFUSED)
