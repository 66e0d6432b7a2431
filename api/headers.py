"""Reading headers of a request (ASGI: their names are in lower case); of what is not asked for no object is made."""

from __future__ import annotations

from starlette.types import Scope


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first line of a header."""
    for found, value in scope["headers"]:
        if found == name:
            line: str = value.decode("latin-1")
            return line
    return None


def header_lines(scope: Scope, name: bytes) -> list[str]:
    """Return every line of a header."""
    return [value.decode("latin-1") for found, value in scope["headers"] if found == name]
