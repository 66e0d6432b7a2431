"""HTTP/1.1 over one connection: uvicorn's, with a direct way for requests that are plainly as documented.

uvicorn makes of every request a cycle of its own: a scope, messages, an event, a task and timers. A request that may go
the direct way (`api.direct`) is collected until it is whole, and its answer is written in one piece. All else is
uvicorn's: what is pipelined, upgraded or asks whether to continue, and every request that turns out not to be plain,
which uvicorn is then given as it came. `Call` stands where uvicorn keeps the cycle of a connection, so that its rules
for order, for hanging up and for the end of the process hold for both.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Any, Final, cast
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.responses import Response
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.direct import Asked, Direct
from api.patience import Patience

MOST_UNFINISHED: Final = 65_536
"""How many bytes may come in pieces that end no head, bring nothing of a body and end none: the parser keeps them."""

_UNFIT: Final = bytes({*range(32), 127} - {9})
"""What no value of a header may have: it would end the header (RFC 9110, 5.5)."""

_END: Final = b"\r\n"
_FRAMING: Final = (b"content-length", b"transfer-encoding")
_NO_HTTP: Final = "Invalid HTTP request received."
_PLAIN: Final = re.compile(rb"/[!\"$->@-~]{0,8000}")
"""An address that is a path alone, printable, and no longer than uvicorn can certainly take apart."""


class Gathered:
    """A transport that sends what is written within one tick of the event loop in one piece.

    uvicorn writes the head of an answer and its body apart: two packets, for which the other side wakes twice. It asks
    for nothing else of a transport than what is here, but for protocols that we do not speak.
    """

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, *, on_close: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._on_close = on_close
        self._pieces: list[bytes] = []
        self.get_extra_info, self.abort = transport.get_extra_info, transport.abort
        self.pause_reading, self.resume_reading = transport.pause_reading, transport.resume_reading

    def write(self, data: bytes) -> None:
        """Send it before anything that happens later."""
        if not self._pieces:
            self._loop.call_soon(self._send)
        self._pieces.append(data)

    def write_whole(self, data: bytes) -> None:
        """Send it now, behind what was written before."""
        self._send()
        self._transport.write(data)

    def is_closing(self) -> bool:
        """Tell whether it is, or was, closed."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Send the rest, then hang up."""
        self._send()
        self._transport.close()
        self._on_close()

    def _send(self) -> None:
        if self._pieces and not self._transport.is_closing():
            self._transport.write(b"".join(self._pieces))
        self._pieces.clear()


class _Nobody:
    """Who waits for more of a request that goes the direct way."""

    def set(self) -> None:
        """Wake nobody."""


class Call:
    """A request that goes the direct way, as far as it is here. uvicorn takes it for its own cycle."""

    message_event = _Nobody()

    def __init__(self, asked: Asked, *, keep_alive: bool) -> None:
        self.asked = asked
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.is_whole = False
        self.disconnected = False
        self.response_complete = False


class Protocol(HttpToolsProtocol):
    """One connection."""

    transport: Gathered  # type: ignore[assignment]
    cycle: Any

    def __init__(self, *, direct: Direct, patience: Patience, **rest: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(**rest)
        self._direct = direct
        self._patience = patience
        self._is_amid_head = False
        self._is_told_again = False
        self._unfinished = 0

    # --- the connection ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        gathered = Gathered(transport, self.loop, on_close=partial(self._patience.for_reader, self))
        super().connection_made(cast("asyncio.Transport", gathered))
        self._patience.for_head(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        super().connection_lost(exc)
        self._patience.end(self)

    def pause_writing(self) -> None:
        """Much was written, and is not read yet."""
        super().pause_writing()
        self._patience.for_reader(self)

    def resume_writing(self) -> None:
        """Most of it is read; where nothing more will come, the rest is waited for, too."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._patience.has_read(self)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._patience.is_here(self)
        self._unfinished += len(data)
        self._read(data)
        call = self.cycle
        if self._unfinished > MOST_UNFINISHED:
            self._read_no_more()
        if self._is_amid_head or call is None or call.response_complete:
            self._patience.for_head(self)  # nothing is under way, whatever it was that came
        elif type(call) is Call and not call.is_whole:
            self._patience.for_body(self)

    def shutdown(self) -> None:
        """Hang up, after the answer that is under way."""
        self.let_body_come()
        super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; behind a request that is under way there is only its own answer, and then an end."""
        before = self.cycle
        is_here = before is not None and (before.is_whole if type(before) is Call else not before.more_body)
        if is_here and not before.response_complete:
            before.keep_alive = False
            self.flow.pause_reading()
        else:
            super().send_400_response(msg)

    def _read(self, data: bytes) -> None:
        """Have it parsed; uvicorn drops what stands behind the head of a request that asks for another protocol."""
        rest: memoryview | None = memoryview(data)
        try:
            while rest:
                rest = self._fed(rest)
        except HttpParserError:
            self.logger.warning(_NO_HTTP)
            self.send_400_response(_NO_HTTP)

    def _fed(self, data: memoryview) -> memoryview | None:
        """Have it parsed; return what stands behind a request for another protocol, if there is one."""
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as asked:
            self._stay()
            return data[asked.args[0] :]
        return None

    def _stay(self) -> None:
        """Read on in the protocol that we speak, whatever a request asked for: it is answered as if it had not.

        The parser counts its body as the other protocol's, and would take it for requests. So another one is told how
        long the body is.
        """
        framing = [header for header in self.headers if header[0] in _FRAMING]
        if not self.cycle.keep_alive:
            framing.append((b"connection", b"close"))
        self.parser = HttpRequestParser(self)
        self._is_told_again = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join([b"%b: %b\r\n" % header for header in framing]))

    # --- what is given up ---

    def give_up_head(self) -> None:
        """Hang up on who does not come to an end, or to a beginning."""
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._patience.for_head(self)  # an answer is under way, and comes first
            return
        if self._is_amid_head:
            self.logger.warning("The head of a request did not come in time.")
            self.transport.write_whole(_LATE)
        self.transport.close()

    def _read_no_more(self) -> None:
        """Hang up on who does not come to an end; what is under way comes to its own first."""
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.flow.pause_reading()
            return
        if self._is_amid_head:
            self.logger.warning("The head of a request was too large.")
            self.transport.write_whole(_LARGE)
        self.transport.close()

    def give_up_reader(self) -> None:
        """Hang up on who does not read, whatever was written."""
        self.logger.warning("What was written was not read in time.")
        self.transport.abort()

    def let_body_come(self) -> None:
        """Leave a request whose body is still on its way to who can wait for it."""
        if type(self.cycle) is Call and not self.cycle.is_whole:
            self._leave(self.cycle)

    # --- the parser tells ---

    def on_message_begin(self) -> None:
        """A request begins."""
        if not self._is_told_again:
            self._is_amid_head = True
            super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of its head is here. What stands behind a body in chunks is no part of that (RFC 9110, 6.5.1)."""
        if self._is_amid_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Its head is here."""
        if self._is_told_again:
            self._is_told_again = False
            return
        self._is_amid_head = False
        self._unfinished = 0
        self._patience.has_head(self)
        call = self._call()
        if call is None:
            super().on_headers_complete()
        else:
            self.cycle = call

    def on_body(self, body: bytes) -> None:
        """A piece of its body is here."""
        self._unfinished = 0
        call = self.cycle
        if type(call) is not Call:
            super().on_body(body)
            return
        call.body += body
        if len(call.body) > self._direct.max_bytes:
            self._leave(call)

    def on_message_complete(self) -> None:
        """It is whole."""
        if self.parser.should_upgrade():
            return  # its head is
        self._unfinished = 0
        call = self.cycle
        if type(call) is Call and not call.is_whole:
            call.is_whole = True
            if self._direct.takes(call.asked, bytes(call.body)):
                self._begin(call)
                return
            self._leave(call)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with what waits behind this answer, or wait for another request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            # We are in the task of the request before, whose names would stand on the lines of the next.
            Context().run(self._start_asgi_task, *self.pipeline.pop())
        else:
            self._patience.for_another(self)

    # --- the direct way ---

    def _call(self) -> Call | None:
        """Return the request, if it may go the direct way."""
        before, parser, scope = self.cycle, self.parser, self.scope
        if before is not None and not before.response_complete:
            return None
        if self.expect_100_continue or not _PLAIN.fullmatch(self.url):
            return None
        if parser.should_upgrade() or parser.get_http_version() != "1.1":
            return None
        path = self.url.decode("ascii")
        scope["method"] = parser.get_method().decode("ascii")
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"], scope["query_string"] = self.url, b""
        asked = self._direct.find(cast("Scope", scope))
        return None if asked is None else Call(asked, keep_alive=parser.should_keep_alive())

    def _leave(self, call: Call) -> None:
        """Let uvicorn have a request as if it had been uvicorn's from the beginning."""
        self.cycle = None
        super().on_headers_complete()
        super().on_body(bytes(call.body))

    def _begin(self, call: Call) -> None:
        task = self.loop.create_task(self._carry_out(call))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _carry_out(self, call: Call) -> None:
        """Answer. What goes wrong is for the log, as with every server, and nobody else's."""

        async def send(response: Response) -> None:
            if self.flow.write_paused and not call.disconnected:
                await self.flow.drain()
            if not (call.disconnected or self.transport.is_closing()):
                self._answer(call, response)

        try:
            await self._direct.answer(call.asked, send)
        except BaseException:  # as in uvicorn's own cycle: there is nobody above
            self.logger.exception("Exception in ASGI application\n")
            call.keep_alive = False
            if call.response_complete:
                self.transport.close()
            elif not (call.disconnected or self.transport.is_closing()):
                self._answer(call, Response("Internal Server Error", 500, media_type="text/plain"))

    def _answer(self, call: Call, response: Response) -> None:
        """Write an answer; the connection is then free for the next. Raises ValueError for a header that is none."""
        headers = [*self.server_state.default_headers, *response.raw_headers]
        if not call.keep_alive:
            headers.append((b"connection", b"close"))
        head = b"".join([b"%b: %b\r\n" % header for header in headers])
        if len(head) - len(head.translate(None, _UNFIT)) != len(_END) * len(headers):
            raise ValueError("a header has a value that no header may have: " + repr(response.raw_headers))
        self.transport.write_whole(b"".join((STATUS_LINE[response.status_code], head, _END, response.body)))
        call.response_complete = True
        if not call.keep_alive:
            self.transport.close()
        self.on_response_complete()


def _refusal(status: int, why: bytes) -> bytes:
    """Write an answer to a request that has no end."""
    size = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(why)
    return STATUS_LINE[status] + size + why


_LATE: Final = _refusal(408, b"The head of the request was not there in time.")
_LARGE: Final = _refusal(431, b"The head of the request is too large.")
