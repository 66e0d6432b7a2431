"""A transport that goes nowhere: what is written to it is kept."""

from __future__ import annotations

from typing import Any


class Wire:
    """The server's end of a connection."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False
        self.is_aborted = False
        self.is_paused = False

    def taken(self) -> bytes:
        """Return what was written, once."""
        written, self.written = self.written, b""
        return written

    def write(self, data: bytes) -> None:
        assert not self.is_closed, "somebody wrote to a closed connection"
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"sockname": ("127.0.0.1", 8700), "peername": ("127.0.0.1", 50000)}.get(name, default)
