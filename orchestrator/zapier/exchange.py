"""One request and what came of it, bounded in time and size.

Requests are built here, not by httpx's client: what a client carries along (cookies that one user's answer left,
credentials of an address) has no business in another user's request. Redirects are never followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias, cast

import httpx

from orchestrator.core.session import Millis
from orchestrator.zapier.limits import Limits

_CONNECT_LIMIT: Final[Millis] = 5_000
_HEADERS: Final = {
    "Accept": "application/vnd.api+json, application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "zapwright",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request. `endpoint` (`GET /v2/apps`) is its name in logs; the token and the query are in none.

    With an empty token there is no `Authorization`. `app_id`: the app that it is about, if it is about one.
    """

    endpoint: str
    method: str
    url: httpx.URL = field(repr=False)
    token: str = field(default="", repr=False)
    scheme: str = "Bearer"
    body: bytes | None = field(default=None, repr=False)
    media_type: str = "application/json"
    app_id: str | None = None


class Flaw(StrEnum):
    """Why an exchange brought no whole answer."""

    DROPPED = "connection dropped"
    TIMED_OUT = "time limit"
    TOO_BIG = "answer too big"
    ENCODED = "answer compressed against our word"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Zapier answered. With a flaw the status and the headers are true, and the body is empty."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    flaw: Flaw | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """The request may have reached Zapier, and no answer began to come."""

    flaw: Flaw


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """Not one byte of the request reached Zapier."""

    flaw: Flaw


Outcome: TypeAlias = Answer | Unanswered | NotSent


class Exchange:
    """Sends requests over one client's connections, each within `call_limit`, and reads at most `max_body` bytes.

    Every failure between here and Zapier is an Outcome; nothing is repeated.
    """

    def __init__(self, http: httpx.AsyncClient, *, limits: Limits) -> None:
        self._http = http
        self._limits = limits
        limit = limits.call_limit / 1000
        connect = min(_CONNECT_LIMIT, limits.call_limit / 2) / 1000
        self._timeouts = httpx.Timeout(limit, connect=connect, pool=connect).as_dict()

    async def send(self, request: Request) -> Outcome:
        """Send one request and read its answer."""
        head: httpx.Response | None = None
        try:
            async with asyncio.timeout(self._limits.call_limit / 1000):
                sent = self._http.send(self._on_the_wire(request), stream=True, auth=None, follow_redirects=False)
                head = await sent
                return await self._read(head)
        except (httpx.ConnectError, httpx.UnsupportedProtocol):
            return NotSent(flaw=Flaw.DROPPED)
        except (httpx.ConnectTimeout, httpx.PoolTimeout):
            return NotSent(flaw=Flaw.TIMED_OUT)
        except (TimeoutError, httpx.TimeoutException):
            flaw = Flaw.TIMED_OUT
        except (OSError, httpx.HTTPError):
            flaw = Flaw.DROPPED
        finally:
            await _close(head)
        return Unanswered(flaw=flaw) if head is None else _flawed(head, flaw)

    def _on_the_wire(self, request: Request) -> httpx.Request:
        headers = _HEADERS | ({"Authorization": f"{request.scheme} {request.token}"} if request.token else {})
        if request.body is not None:
            headers["Content-Type"] = request.media_type
        timeouts = {"timeout": self._timeouts}
        return httpx.Request(request.method, request.url, headers=headers, content=request.body, extensions=timeouts)

    async def _read(self, response: httpx.Response) -> Answer:
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            return _flawed(response, Flaw.ENCODED)
        body = bytearray()
        async with aclosing(cast("AsyncGenerator[bytes]", response.aiter_bytes())) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > self._limits.max_body:
                    return _flawed(response, Flaw.TOO_BIG)
        return Answer(status=response.status_code, headers=response.headers, body=bytes(body))


def _flawed(response: httpx.Response, flaw: Flaw) -> Answer:
    return Answer(status=response.status_code, headers=response.headers, flaw=flaw)


async def _close(response: httpx.Response | None) -> None:
    """Let go of the connection; one that breaks while it is closed is closed as well."""
    if response is not None:
        with suppress(OSError, httpx.HTTPError):
            await response.aclose()
