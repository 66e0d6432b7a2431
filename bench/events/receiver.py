"""A receiver that does as little as one can: it answers 204, and notes when each message came and how old it was.

`python -m bench.events.receiver LISTENING` serves on a socket that was handed to it; `GET /` returns what it noted.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import time
from typing import Final, cast

import uvloop

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SEEN_AT: Final = re.compile(rb'"title":"(\d+)"')
_RECEIVED: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_END: Final = b"\r\n\r\n"


class Noting(asyncio.Protocol):
    """One connection. `notes`: pairs of when a message came and when its session was committed, in milliseconds."""

    notes: Final[list[tuple[float, float]]] = []

    def __init__(self) -> None:
        self._read = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._read += data
        while (end := self._read.find(_END)) >= 0:
            head = self._read[:end]
            found = _LENGTH.search(head)
            length = int(found[1]) if found else 0
            if len(self._read) < end + len(_END) + length:
                return
            body = self._read[end + len(_END) : end + len(_END) + length]
            self._read = self._read[end + len(_END) + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if self._transport is None:
            return
        if head.startswith(b"GET"):
            noted = json.dumps(self.notes).encode()
            if b"/forget" in head:
                self.notes.clear()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(noted) + noted)
            return
        seen = _SEEN_AT.search(body)
        self.notes.append((time.time_ns() / 1e6, float(seen[1]) if seen else 0.0))
        self._transport.write(_RECEIVED)


async def serve(descriptor: int) -> None:
    """Serve until killed."""
    listening = socket.socket(fileno=descriptor)
    server = await asyncio.get_running_loop().create_server(Noting, sock=listening)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
