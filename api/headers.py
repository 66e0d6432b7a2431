"""Reading single headers of a request (ASGI: their names are in lower case)."""

from __future__ import annotations

from starlette.types import Scope


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first line of a header; of what else there is no object is made."""
    for found, value in scope["headers"]:
        if found == name:
            line: str = value.decode("latin-1")
            return line
    return None
