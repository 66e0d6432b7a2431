"""What a request's address and body may be, checked before anything else looks at them (ASGI middleware).

A body is read up to a limit of size and time, whatever its length header says, and must be JSON that every store, log
and reader of ours can bear: UTF-8, no number beyond 64 bits, no NUL in a text, and not too deep.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from email.message import Message as Header
from typing import Final

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import (
    BodyLateError,
    BodyTooLargeError,
    BodyUnreadableError,
    MediaTypeError,
    RequestInvalidError,
    problem,
)
from api.headers import header
from orchestrator.core.errors.base import ZapwrightError

DEEPEST: Final = 32

_JSON: Final = "application/json"
_DIGITS_OF_A_LENGTH: Final = 18
_INTEGERS: Final = range(-(2**63), 2**64)
_TOO_DEEP: Final = f"it is nested more than {DEEPEST} deep"
_NUL: Final = rb"\u0000"
"""What every document with a NUL contains."""

_LARGE: Final = re.compile(rb"\d{18}")
"""What every document with a number beyond 64 bits contains."""

DOCUMENT: Final = "zapwright.document"
"""In a request's scope: what its body says, or NO_DOCUMENT."""

NO_DOCUMENT: Final = object()
"""The body is empty."""


class BodyLimits:
    """Answers for requests whose bodies are too large or not fit, and hands on the others with their bodies read."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, max_s: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_s = max_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request; the caller hearing no answer has gone before its body was whole."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            check_address(scope["path"])
            body = await self._body(header(scope, b"content-length") or "", receive)
            if body is None:
                return
            scope[DOCUMENT] = read(body, header(scope, b"content-type") or "")
        except ZapwrightError as error:
            await problem(error, scope)(scope, receive, send)
        else:
            await self._app(scope, replayed(body, receive), send)

    async def _body(self, announced: str, receive: Receive) -> bytes | None:
        """Read the body, None when its sender went away. Raises BodyTooLargeError as soon as it is, BodyLateError."""
        if is_longer(announced, self._max_bytes):
            raise BodyTooLargeError(limit=self._max_bytes)
        try:
            async with asyncio.timeout(self._max_s):
                return await self._whole(receive)
        except TimeoutError as error:
            raise BodyLateError(limit_s=self._max_s) from error

    async def _whole(self, receive: Receive) -> bytes | None:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                raise BodyTooLargeError(limit=self._max_bytes)
            if not message.get("more_body", False):
                return bytes(body)


def is_longer(announced: str, limit: int) -> bool:
    """Tell whether the length that a header announces is above a limit; what is no length is not."""
    return announced.isdecimal() and (len(announced) > _DIGITS_OF_A_LENGTH or int(announced) > limit)


def check_address(path: str) -> None:
    """Refuse an address with a line break. Raises RequestInvalidError.

    Routes are regular expressions, to whose end a line break is nothing: it would name the user without it.
    """
    if "\n" in path:
        raise RequestInvalidError.of_parameter("path", "an address has no line break")


def read(body: bytes, content_type: str) -> object:
    """Return what a body of JSON says that can be kept, NO_DOCUMENT for an empty one.

    Raises MediaTypeError, BodyUnreadableError.
    """
    if not body:
        return NO_DOCUMENT
    if not _is_json(content_type):
        raise MediaTypeError
    try:
        document = msgspec.json.decode(body)
    except RecursionError as error:
        raise BodyUnreadableError(why=_TOO_DEEP) from error
    except UnicodeDecodeError as error:
        raise BodyUnreadableError(why="it is not UTF-8") from error
    except ValueError as error:
        raise BodyUnreadableError(why=str(error)) from error
    if body.count(b"{") + body.count(b"[") > DEEPEST or _NUL in body or _LARGE.search(body):
        _check_values(document)
    return document


def _is_json(content_type: str) -> bool:
    if content_type == _JSON:
        return True
    header = Header()
    header["Content-Type"] = content_type
    subtype = header.get_content_subtype()
    return header.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))


def _check_values(document: object) -> None:
    """Walk the document level by level, so that no depth can exhaust the walker."""
    level: list[object] = [document]
    for _ in range(DEEPEST + 1):
        inner: list[object] = []
        for value in level:
            inner.extend(_checked(value))
        if not inner:
            return
        level = inner
    raise BodyUnreadableError(why=_TOO_DEEP)


def _checked(value: object) -> Iterable[object]:
    """Check one value; return those inside it."""
    match value:
        case str() if "\0" in value:
            raise BodyUnreadableError(why="a text in it contains NUL")
        case int() if value not in _INTEGERS:
            raise BodyUnreadableError(why="a number in it has more than 64 bits")
        case list():
            return value
        case dict():
            return (*value.keys(), *value.values())
        case _:
            return ()


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body that was read, then whatever comes after it."""
    is_read = False

    async def replay() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
