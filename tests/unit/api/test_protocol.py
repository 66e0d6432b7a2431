"""A connection keeps its order, its promises at the end, and its patience, whichever way its requests go."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from itertools import count
from typing import Final

import pytest
import structlog
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, field_validator
from starlette.middleware import Middleware
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import bind_contextvars
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from api.direct import Direct
from api.limits import BodyLimits
from api.patience import READ_S, Patience
from api.protocol import Protocol
from api.quick import Ways
from api.trace import Trace, Tracer
from orchestrator.metrics import Metrics
from tests.support.transports import Wire

LIMIT: Final = 1_000
HEAD_S, ANOTHER_S = 10.0, 5.0


class Given(BaseModel):
    """A body."""

    name: str = "none"

    @field_validator("name")
    @classmethod
    def _fails(cls, name: str) -> str:
        if name == "fail":
            raise RuntimeError("nobody foresaw this")
        return name


@dataclass
class Shown:
    """An answer."""

    said: str


NOBODY = Given()


async def make(thing_id: str, request: Request, given: Given = NOBODY) -> Shown:
    """Take as long as the test wants."""
    request.app.state.begun.append(thing_id)
    bind_contextvars(thing=thing_id)
    await request.app.state.gate.wait()
    request.app.state.done.append(thing_id)
    return Shown(f"{thing_id} {given.name}")


async def name(request: Request) -> Shown:
    """Say who asks."""
    return Shown(request.headers.get("authorization", "nobody"))


async def fail(request: Request) -> Shown:
    """Fail in a way nobody foresaw."""
    raise RuntimeError("the password is hunter2")


async def split(response: Response) -> Shown:
    """Try to say more than one header."""
    response.headers["x-bad"] = "a\r\nx-evil: b"
    return Shown("never")


async def stream() -> Shown | Response:
    """Give something that is sent piece by piece."""
    return StreamingResponse(iter(["a", "b"]))


class Seen:
    """Notes which requests came to the application."""

    def __init__(self, app: ASGIApp, *, paths: list[str]) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._paths.append(scope["path"])
        await self._app(scope, receive, send)


class Peer:
    """A client of one connection, and the server's side of it."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.now = 0.0
        self.metrics = Metrics()
        self.left: list[str] = []
        numbers = count(1)
        tracer = Tracer(metrics=self.metrics, new_reference=lambda: f"ref{next(numbers)}")
        self.app = FastAPI(
            middleware=[Middleware(Trace, tracer=tracer), Middleware(BodyLimits, max_bytes=LIMIT, max_s=30)]
        )
        self.app.state.gate, self.app.state.begun, self.app.state.done = asyncio.Event(), [], []
        if is_open:
            self.app.state.gate.set()
        self.app.post("/things/{thing_id}", status_code=201)(make)
        self.app.post("/names", status_code=201)(name)
        self.app.get("/failing")(fail)
        self.app.get("/splitting")(split)
        self.app.get("/streaming", response_model=Shown)(stream)
        ways = Ways(route for route in self.app.routes if isinstance(route, APIRoute))
        self.patience = Patience(lambda: self.now, head_s=HEAD_S, another_s=ANOTHER_S)
        config = uvicorn.Config(
            Seen(self.app, paths=self.left), log_config=None, access_log=False, lifespan="off", ws="none"
        )
        config.load()
        self.state = ServerState()
        self.wire = Wire()
        self.protocol = Protocol(
            direct=Direct(self.app, ways=ways, tracer=tracer, max_bytes=LIMIT),
            patience=self.patience,
            config=config,
            server_state=self.state,
            app_state={},
        )
        self.protocol.connection_made(self.wire)  # type: ignore[arg-type]

    async def send(self, *pieces: bytes) -> bytes:
        """Send; return what came of it by the time that all who can go on have gone on."""
        for piece in pieces:
            self.protocol.data_received(piece)
        for _ in range(20):
            await asyncio.sleep(0)
        return self.wire.taken()

    async def let_go_on(self) -> bytes:
        """Let calls end; return what is answered."""
        self.app.state.gate.set()
        return await self.send()

    async def after(self, seconds: float) -> bytes:
        """Let time go by; return what the server says then."""
        self.now += seconds
        self.patience.look()
        self.patience.look()
        return await self.send()

    def counted(self, status: int) -> bool:
        """Tell whether a request was counted with this status."""
        return f'status="{status}"}} 1.0' in self.metrics.render().decode()


def asking(path: str, body: bytes | None = None, *headers: bytes, method: str = "POST") -> bytes:
    """Write a request down."""
    sized = () if body is None else (b"Content-Type: application/json", b"Content-Length: %d" % len(body))
    return b"\r\n".join((f"{method} {path} HTTP/1.1".encode(), b"Host: x", *headers, *sized, b"", body or b""))


def said(answer: bytes) -> list[str]:
    """Return what answers say, in their order."""
    return [json.loads(part.partition(b"\r\n\r\n")[2])["said"] for part in answer.split(b"HTTP/1.1 201 ")[1:]]


ADA: Final = asking("/things/a", b'{"name": "ada"}')
ENDLESS: Final = asking("/things/a", None, b"X-Long: ")[:-4]


async def test_a_plain_request_never_comes_to_the_application() -> None:
    """It is answered whole, in one piece, and the connection is kept."""
    answer = await (peer := Peer()).send(ADA)

    assert answer.startswith(b"HTTP/1.1 201 Created\r\ncontent-length: 16\r\ncontent-type: application/json\r\n")
    assert (said(answer), peer.left, peer.wire.is_closed) == (["a ada"], [], False)
    assert peer.counted(201)


@pytest.mark.parametrize("at", [1, 20, len(ADA) - 16, len(ADA) - 8, len(ADA) - 1])
async def test_where_a_request_is_cut_in_two_makes_no_difference(at: int) -> None:
    """Many clients send a body behind its head, on its own."""
    peer = Peer()
    nothing, answer = await peer.send(ADA[:at]), await peer.send(ADA[at:])

    assert (nothing, said(answer), peer.left) == (b"", ["a ada"], [])


async def test_requests_in_one_piece_are_answered_in_order() -> None:
    """Though the first takes longest."""
    peer = Peer(is_open=False)
    nothing = await peer.send(ADA + asking("/things/b") + asking("/things/c", b"{}"))
    answer = await peer.let_go_on()

    assert (nothing, said(answer)) == (b"", ["a ada", "b none", "c none"])
    assert said(await peer.send(ADA)) == ["a ada"]


@pytest.mark.parametrize("pause", [0, 1], ids=["direct", "uvicorn's"])
async def test_what_stands_behind_a_body_is_no_part_of_its_head(pause: float) -> None:
    """A proxy that looks after heads does not see it, so nobody is let in by it."""
    peer = Peer()
    await peer.send(asking("/names", None, b"Transfer-Encoding: chunked"))
    await peer.after(pause)
    answer = await peer.send(b"0\r\nAuthorization: Bearer stolen\r\n\r\n")

    assert said(answer) == ["nobody"]


@pytest.mark.parametrize("is_open", [True, False], ids=["at once", "later"])
@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"HTTP/2.0, foo"])
@pytest.mark.parametrize("body", [None, b'{"name": "up"}'], ids=["no body", "a body"])
async def test_what_stands_behind_a_request_for_another_protocol_is_answered(
    body: bytes | None, protocol: bytes, is_open: bool
) -> None:
    """The protocol stays what it was, so what follows is a request; how the pieces were cut makes no difference."""
    upgrading = asking("/things/u", body, b"Connection: Upgrade", b"Upgrade: " + protocol)
    peer = Peer(is_open=is_open)
    answers = await peer.send(upgrading + ADA + upgrading + ADA[:20], ADA[20:] + upgrading) + await peer.let_go_on()
    called = "u up" if body else "u none"

    assert said(answers) == [called, "a ada", called, "a ada", called]
    assert not peer.wire.is_closed


async def test_a_request_for_another_protocol_whose_body_has_no_end_is_refused() -> None:
    """As one that asks for no other is."""
    framed = b"Transfer-Encoding: gzip"
    plain, upgrading = Peer(), Peer()
    refusals = [
        await plain.send(asking("/things/u", None, framed)),
        await upgrading.send(asking("/things/u", None, framed, b"Connection: Upgrade", b"Upgrade: h2c")),
    ]

    assert [refusal.split(b"\r\n")[0] for refusal in refusals] == [b"HTTP/1.1 400 Bad Request"] * 2
    assert (plain.wire.is_closed, upgrading.wire.is_closed) == (True, True)


@pytest.mark.parametrize("body", [None, b"{"], ids=["none", "on its way"])
async def test_an_address_that_nobody_can_take_apart_is_refused(body: bytes | None) -> None:
    """Whichever way it would have gone, and whenever its body comes; other connections never hear of it."""
    peer = Peer()
    request = asking("/things/" + "a" * 70_000, body).replace(b"Length: 1", b"Length: 2")
    answer = await peer.send(request) + await peer.after(1)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert (peer.wire.is_closed, peer.app.state.begun) == (True, [])


async def test_lines_of_a_request_do_not_name_the_one_before_it() -> None:
    """Though that was answered just before, on the same connection."""
    structlog.contextvars.clear_contextvars()
    peer = Peer(is_open=False)
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await peer.send(ADA + asking("/nothing"))
        await peer.let_go_on()

    assert [(line["status"], line.get("thing")) for line in lines] == [(201, "a"), (404, None)]


async def test_a_body_that_takes_a_while_is_left_to_who_can_wait() -> None:
    """It is answered when it is there, like any other."""
    peer = Peer()
    begun = await peer.send(ADA[:-3]) + await peer.after(1)
    answer = await peer.send(ADA[-3:])

    assert (begun, said(answer), peer.left) == (b"", ["a ada"], ["/things/a"])


@pytest.mark.parametrize("length", [b"Content-Length: 5000", b"Transfer-Encoding: chunked"])
async def test_a_body_that_is_too_large_is_refused_as_soon_as_it_is(length: bytes) -> None:
    """Whatever its length header says."""
    head = asking("/things/a", None, b"Content-Type: application/json", length)
    answer = await (peer := Peer()).send(head + b"1388\r\n" + b" " * 2_000)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert (peer.wire.is_closed, peer.app.state.begun) == (True, [])


async def test_a_process_that_ends_answers_what_is_under_way() -> None:
    """And then hangs up."""
    peer = Peer(is_open=False)
    await peer.send(ADA)
    peer.protocol.shutdown()
    answer = await peer.let_go_on()

    assert (said(answer), b"\r\nconnection: close\r\n" in answer, peer.wire.is_closed) == (["a ada"], True, True)


async def test_a_process_that_ends_waits_for_a_body_that_is_on_its_way() -> None:
    """For as long as it lets requests go on."""
    peer = Peer()
    await peer.send(ADA[:-3])
    peer.protocol.shutdown()
    answer = await peer.send(ADA[-3:])

    assert (said(answer), b"\r\nconnection: close\r\n" in answer, peer.wire.is_closed) == (["a ada"], True, True)


@pytest.mark.parametrize("sent", [b"", ADA, ADA[:20]], ids=["nothing", "a request", "part of a head"])
async def test_a_process_that_ends_waits_for_nobody_else(sent: bytes) -> None:
    """What has not come by then would not be answered."""
    peer = Peer()
    await peer.send(sent)
    peer.protocol.shutdown()

    assert peer.wire.is_closed


async def test_who_leaves_does_not_stop_what_they_asked_for() -> None:
    """It is carried out to its end, is counted, and nobody is written to."""
    peer = Peer(is_open=False)
    await peer.send(ADA)
    peer.wire.close()
    peer.protocol.connection_lost(None)
    answer = await peer.let_go_on()

    assert (answer, peer.app.state.done) == (b"", ["a"])
    assert peer.counted(201)
    assert not peer.state.tasks


async def test_a_client_that_says_so_is_hung_up_on() -> None:
    """After its answer."""
    answer = await (peer := Peer()).send(asking("/things/a", None, b"Connection: close"))

    assert (said(answer), b"\r\nconnection: close\r\n" in answer, peer.wire.is_closed) == (["a none"], True, True)


async def test_what_nobody_foresaw_is_answered_without_its_insides() -> None:
    """And ends nothing but its request."""
    peer = Peer()
    with capture_logs() as lines:
        answer = await peer.send(asking("/failing", method="GET"))

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b'"reference":"ref1"' in answer
    assert b"hunter2" not in answer
    assert [line["event"] for line in lines] == ["request_failed", "problem", "request"]
    assert said(await peer.send(ADA)) == ["a ada"]


async def test_a_route_that_promised_a_whole_answer_gives_one() -> None:
    """Or it is a mistake of ours, which is found by its line in the log: half of it would get lost."""
    with capture_logs() as lines:
        answer = await Peer().send(asking("/streaming", method="GET"))

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert lines[0]["event"] == "request_failed"


async def test_what_cannot_be_judged_before_a_call_is_left() -> None:
    """A check of ours that fails in a way nobody foresaw is no flaw of the request."""
    peer = Peer()
    with capture_logs() as lines:
        answer = await peer.send(asking("/things/a", b'{"name": "fail"}'))

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert (lines[0]["event"], peer.left) == ("request_failed", ["/things/a"])


async def test_no_value_becomes_another_header(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever could write one could write the next answer, too."""
    answer = await (peer := Peer()).send(asking("/splitting", method="GET"))

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert (b"evil" in answer, peer.wire.is_closed) == (False, True)
    assert "x-bad" in caplog.text


async def test_a_call_that_is_cut_off_is_answered() -> None:
    """When a process may wait no longer."""
    peer = Peer(is_open=False)
    await peer.send(ADA)
    for task in peer.state.tasks:
        task.cancel()
    answer = await peer.send()

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert (peer.wire.is_closed, peer.counted(499)) == (True, True)


async def test_who_reads_nothing_is_sent_nothing_more() -> None:
    """Until there is room again."""
    peer = Peer()
    peer.protocol.pause_writing()
    nothing = await peer.send(ADA)
    peer.protocol.resume_writing()

    assert (nothing, said(await peer.send())) == (b"", ["a ada"])


@pytest.mark.parametrize("is_open", [True, False], ids=["written to", "waiting to be"])
async def test_who_reads_nothing_is_given_up(is_open: bool) -> None:
    """What was written to them, and what they asked for besides, is not kept for ever."""
    peer = Peer(is_open=is_open)
    peer.protocol.pause_writing()
    await peer.send(ADA)
    await peer.after(READ_S - 1)
    early = peer.wire.is_aborted
    await peer.after(1)

    assert (early, peer.wire.is_aborted) == (False, True)


async def test_who_reads_in_the_end_is_not_given_up() -> None:
    """However slow that was."""
    peer = Peer()
    peer.protocol.pause_writing()
    await peer.send(ADA)
    await peer.after(READ_S - 1)
    peer.protocol.resume_writing()
    answer = await peer.send()
    await peer.after(ANOTHER_S - 1)

    assert (said(answer), peer.wire.is_closed) == (["a ada"], False)


async def test_who_does_not_read_the_last_answer_is_given_up() -> None:
    """The system hangs up when it has sent all; it waits for ever."""
    peer = Peer()
    await peer.send(asking("/things/a", None, b"Connection: close"))
    early = peer.wire.is_closed, peer.wire.is_aborted
    peer.protocol.resume_writing()
    await peer.after(READ_S)

    assert (early, peer.wire.is_aborted) == ((True, False), True)


async def test_who_is_gone_is_not_written_to() -> None:
    """Though what is for them was on its way."""
    peer, failures = Peer(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, failure: failures.append(failure))
    peer.protocol.transport.write(b"half an answer")
    peer.wire.abort()

    assert (await peer.send(), failures) == (b"", [])


async def test_who_has_left_is_not_waited_for() -> None:
    """Nothing of a connection is kept once it is gone."""
    peer = Peer()
    await peer.send(ADA)
    peer.wire.close()
    peer.protocol.connection_lost(None)
    await peer.after(READ_S)

    assert not peer.wire.is_aborted


async def test_a_head_that_does_not_come_to_its_end_is_given_up() -> None:
    """With an answer, though it comes on byte by byte."""
    peer = Peer()
    answer = b""
    for place in range(11):
        answer += await peer.send(ADA[place : place + 1]) + await peer.after(HEAD_S / 10)

    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert peer.wire.is_closed


@pytest.mark.parametrize("first", [ADA, asking("/things/a?", b'{"name": "ada"}')], ids=["direct", "uvicorn's"])
async def test_a_request_is_not_answered_as_what_stands_behind_it(first: bytes) -> None:
    """It was carried out: whoever is told that it was no HTTP would send it again."""
    peer = Peer(is_open=False)
    early = await peer.send(first), await peer.send(b"NONSENSE\r\n\r\n")
    answer = await peer.let_go_on()

    assert (early, said(answer), peer.app.state.done) == ((b"", b""), ["a ada"], ["a"])
    assert (b"\r\nconnection: close\r\n" in answer, peer.wire.is_closed) == (True, True)


async def test_a_head_without_an_end_is_refused() -> None:
    """Before it fills what the process has."""
    peer, answers = Peer(), [b""]
    while not peer.wire.is_closed and len(answers) < 100:
        answers.append(await peer.send(ENDLESS if len(answers) == 1 else b"a" * 10_000))

    assert answers[-1].startswith(b"HTTP/1.1 431 ")
    assert len(answers) < 10


async def test_what_stands_behind_a_body_comes_to_an_end_or_is_not_read() -> None:
    """Nobody needs it, and the parser keeps it."""
    peer = Peer()
    chunked = asking("/things/a", None, b"Content-Type: application/json", b"Transfer-Encoding: chunked")
    await peer.send(chunked + b"2\r\n{}\r\n0\r\nX-Long: ")
    await peer.after(1)
    sent = 0
    while not peer.wire.is_paused and sent < 1_000_000:
        await peer.send(b"a" * 10_000)
        sent += 10_000

    assert sent < 100_000


async def test_a_head_without_an_end_waits_for_the_answer_before_it() -> None:
    """No more of it is read meanwhile."""
    peer = Peer(is_open=False)
    nothing = await peer.send(ADA + ENDLESS, b"a" * 70_000)
    is_paused = peer.wire.is_paused
    answer = await peer.let_go_on()
    refusal = await peer.send(b"a")

    assert (nothing, is_paused, said(answer), peer.wire.is_paused) == (b"", True, ["a ada"], False)
    assert refusal.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("sent", "more"),
    [(ADA, b"\r\n"), (asking("/things/a%0A", None, b"Content-Length: 900"), b"x")],
    ids=["an empty line", "a body that nobody waits for"],
)
async def test_a_connection_on_which_nothing_is_under_way_is_given_up(sent: bytes, more: bytes) -> None:
    """Whatever comes now and then instead of a request."""
    peer = Peer()
    await peer.send(sent)
    for _ in range(11):
        await peer.send(*() if peer.wire.is_closed else (more,))
        await peer.after(HEAD_S / 10)

    assert peer.wire.is_closed


async def test_a_connection_without_a_request_is_given_up() -> None:
    """Nothing was asked, so nothing is answered."""
    peer = Peer()
    early, _ = await peer.after(HEAD_S - 1), peer.wire.is_closed

    assert not peer.wire.is_closed
    assert (early, await peer.after(1), peer.wire.is_closed) == (b"", b"", True)


@pytest.mark.parametrize("sent", [(), (ADA[:20],)], ids=["nothing more", "part of the next head"])
async def test_a_connection_is_kept_for_another_request_for_a_while(sent: tuple[bytes, ...]) -> None:
    """Time for one begins with the answer before it, or with its first byte."""
    peer = Peer()
    await peer.send(ADA)
    early = await peer.after(ANOTHER_S - 1), peer.wire.is_closed
    await peer.send(*sent)
    await peer.after(HEAD_S)

    assert (early, peer.wire.is_closed) == ((b"", False), True)


@pytest.mark.parametrize("behind", [ADA[:20], b""], ids=["part of the next head", "nothing"])
async def test_nobody_is_given_up_while_an_answer_is_under_way(behind: bytes) -> None:
    """However long it takes, and whatever else has come by then."""
    peer = Peer(is_open=False)
    await peer.send(ADA + behind)
    late = await peer.after(10 * HEAD_S), peer.wire.is_closed
    answer = await peer.let_go_on()

    assert (late, said(answer)) == ((b"", False), ["a ada"])
