"""Hostile bodies end at the door."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from api.errors import BodyUnreadableError, MediaTypeError
from api.limits import DEEPEST, BodyLimits, read

LIMIT = 1_000
JSON = "application/json"


class Inner:
    """The application behind the door: it remembers the body that reached it, and what comes after the body."""

    def __init__(self) -> None:
        self.body: bytes | None = None
        self.after: Message | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.body = (await receive())["body"]
        self.after = await receive()


class Sender:
    """Somebody who sends a body in pieces, and counts how many of them were taken."""

    def __init__(self, pieces: Iterable[bytes], *, leaves: bool = False) -> None:
        self._pieces = iter(pieces)
        self._leaves = leaves
        self.taken = 0

    async def receive(self) -> Message:
        piece = next(self._pieces, None)
        if piece is None:
            return {"type": "http.disconnect"} if self._leaves or self.taken else {"type": "http.request"}
        self.taken += 1
        return {"type": "http.request", "body": piece, "more_body": True}


async def knock(sender: Sender, *, max_s: float = 30, **headers: str) -> tuple[Inner, list[Message]]:
    """Send a request to the door; return what is behind it, and what was answered."""
    inner, sent = Inner(), list[Message]()
    named = {"content_type": JSON, **headers}.items()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in named],
        "state": {"reference": "r1"},
    }

    async def send(message: Message) -> None:
        sent.append(message)

    await BodyLimits(inner, max_bytes=LIMIT, max_s=max_s)(scope, sender.receive, send)
    return inner, sent


def whole(body: bytes) -> Sender:
    """Send a body as one message, the last."""

    class Whole(Sender):
        async def receive(self) -> Message:
            self.taken += 1
            return (
                {"type": "http.request", "body": body, "more_body": False}
                if self.taken == 1
                else {"type": "http.disconnect"}
            )

    return Whole([])


def nested(depth: int) -> bytes:
    """Give arrays in arrays."""
    return b"[" * depth + b"]" * depth


async def test_a_good_body_goes_through_as_it_came() -> None:
    """And what comes after it, too: a caller who leaves is heard of."""
    inner, sent = await knock(whole(b'{"a": [1, "x"]}'))

    assert (inner.body, sent) == (b'{"a": [1, "x"]}', [])
    assert inner.after == {"type": "http.disconnect"}


async def test_no_body_needs_no_media_type() -> None:
    """GET and DELETE have none."""
    inner, _ = await knock(whole(b""), content_type="")

    assert inner.body == b""


async def test_a_body_announced_as_too_large_is_not_read() -> None:
    """Five megabytes cost one look at a header."""
    sender = Sender([b"x" * 100])

    inner, sent = await knock(sender, content_length="5000000")

    assert (inner.body, sender.taken) == (None, 0)
    assert sent[0]["status"] == 413


async def test_a_body_that_does_not_end_is_read_to_the_limit() -> None:
    """Chunked bodies announce nothing, and are cut off as soon as they are too large."""
    sender = Sender(b" " * 100 for _ in range(10_000))

    _, sent = await knock(sender)

    assert sent[0]["status"] == 413
    assert sender.taken == LIMIT // 100 + 1


@pytest.mark.parametrize("length", ["10", "nonsense", "-1", "²"])
async def test_a_length_that_lies_does_not_help(length: str) -> None:
    """What counts is what comes."""
    _, sent = await knock(Sender([b" " * (LIMIT + 1)]), content_length=length)

    assert sent[0]["status"] == 413


async def test_a_length_of_many_digits_is_only_large() -> None:
    """Not even the number is worked out."""
    _, sent = await knock(whole(b"1"), content_length="9" * 5_000)

    assert sent[0]["status"] == 413


async def test_a_body_that_does_not_come_is_given_up() -> None:
    """The answer ends the connection: nobody reads what may still come of it."""

    class Silent(Sender):
        async def receive(self) -> Message:
            await asyncio.Event().wait()
            raise AssertionError

    inner, sent = await knock(Silent([]), max_s=0.01)

    assert (inner.body, sent[0]["status"]) == (None, 408)
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_who_leaves_in_the_middle_gets_no_answer() -> None:
    """Half a request is none."""
    inner, sent = await knock(Sender([b"{"], leaves=True))

    assert (inner.body, sent) == (None, [])


async def test_websockets_and_lifespans_are_not_requests() -> None:
    """They pass."""
    seen: list[Scope] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def nobody(*_: Any) -> Any:
        raise AssertionError

    await BodyLimits(inner, max_bytes=LIMIT, max_s=30)({"type": "lifespan"}, nobody, nobody)

    assert seen == [{"type": "lifespan"}]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "Input data was truncated"),
        (b"{} {}", "trailing characters"),
        (b"{'a': 1}", "malformed"),
        (b"NaN", "malformed"),
        (b"[Infinity]", "malformed"),
        (b"1e999", "out of range"),
        (b'"\xff\xfe"', "it is not UTF-8"),
        (b"\xef\xbb\xbf{}", "malformed"),
        (b'"\\ud800 and more"', "surrogate"),
        (b'"a\x00b"', "malformed"),
        (b'{"a": "x\\u0000"}', "contains NUL"),
        (b'{"x\\u0000": 1}', "contains NUL"),
        (str(2**64).encode(), "more than 64 bits"),
        (str(-(2**63) - 1).encode(), "more than 64 bits"),
        (b"9" * 900, "more than 64 bits"),
        (b"9" * 5_000, "out of range"),
        (nested(DEEPEST + 2), "nested more than 32 deep"),
        (nested(50_000), "nested more than 32 deep"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "nested more than 32 deep"),
    ],
    ids=lambda value: f"{value[:20]!r}, {len(value)}",
)
def test_what_no_store_could_keep_is_refused_with_the_reason(body: bytes, why: str) -> None:
    """JSON that Python would take, and nobody after it, is not taken."""
    with pytest.raises(BodyUnreadableError, match=why):
        read(body, JSON)


@pytest.mark.parametrize(
    "body",
    [
        nested(DEEPEST),
        str(2**64 - 1).encode(),
        str(-(2**63)).encode(),
        b'"\\ud83d\\ude00"',
        b"1.5e308",
        b"true",
        b"null",
        b'"\\\\u0000"',
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_large_but_good_is_taken(body: bytes) -> None:
    """Limits are exact."""
    read(body, JSON)


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_a_body_says_that_it_is_json(media_type: str) -> None:
    """A form that another site's page can post is never taken for JSON."""
    with pytest.raises(MediaTypeError):
        read(b"{}", media_type)


@pytest.mark.parametrize("media_type", [JSON, "application/json; charset=utf-8", "application/merge-patch+json"])
def test_json_has_several_names(media_type: str) -> None:
    """Parameters and suffixes do not matter."""
    read(b"{}", media_type)


@given(st.binary(max_size=300))
def test_any_bytes_are_taken_or_refused(body: bytes) -> None:
    """Nothing else than a refusal comes of them; what is taken, Python reads as well."""
    try:
        read(body, JSON)
    except BodyUnreadableError:
        return

    assert not body or json.loads(body) is not ...
