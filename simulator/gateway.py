"""What stands before the API: it counts, refuses what exceeds the limits, and makes faults happen.

Order: limits, the request's body, faults that come before anything is done, the API, faults that come after. So a
fault that answers, hangs or drops `before` leaves the world alone, and the same one `after` leaves its effect. Only a
request that has come whole meets faults: whoever sees that one was met `after` can rely on its effect.

A connection can only be closed by the server that holds it. `main` puts a function for that into the request's scope
(`CONNECTION`); where there is none, as in an in-process call, AnswerAbandonedError is raised instead.
"""

import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_plus

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from simulator.accounts import Bearer, bearer_of
from simulator.answers import Answer, RefusedError, error_answer, waiting_headers
from simulator.faults import HTML_PAGE, first_of, with_wrong_types
from simulator.switches import (
    DropFault,
    HangFault,
    HtmlFault,
    MalformedFault,
    OAuthErrorFault,
    OversizedFault,
    Rule,
    SlowFault,
    StatusFault,
    Switches,
    TruncateFault,
    When,
    WrongTypesFault,
)
from simulator.upstream import Upstream

#: The name in `scope["extensions"]` of what the server and the application share about a connection: `close`, a
#: function of the server's, and `is_hung`, which the application sets.
CONNECTION: Final = "simulator.connection"

MOST_BODY_BYTES: Final = 2**20

_PIECE: Final = b"x" * 65_536
_ANNOUNCED_WAITS: Final = frozenset({429, 503})


class AnswerAbandonedError(Exception):
    """The answer ends here, and no server is at hand to close the connection."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that reached the API, and everything needed to answer it."""

    upstream: Upstream
    request: Request
    switches: Switches
    faults: Sequence[Rule]
    origin: str  #: scheme and authority under which the simulator was asked
    body: bytes | None  #: absent: more than MOST_BODY_BYTES
    now: int  #: Unix ms: when it came, or when a fault let it through
    bearer: Bearer | None  #: whom the token speaks for, if it is a good one
    client_id: str | None  #: only where no `Authorization` header was sent


Handle: TypeAlias = Callable[[Call], Awaitable[Answer]]


class Gateway:
    """Passes requests to the API and answers back, with what goes wrong between."""

    def __init__(self, upstream: Upstream, *, origin: str | None = None, trust_forwarded_for: bool = False) -> None:
        """`origin` is the simulator's address as others see it, where that is not the one they ask for."""
        self._upstream = upstream
        self._origin = origin
        self._trust_forwarded_for = trust_forwarded_for

    def route(self, endpoint: str, handle: Handle) -> Callable[[Request], Awaitable[Response]]:
        """Return the Starlette endpoint that answers with `handle`, behind everything the gateway does."""

        async def respond(request: Request) -> Response:
            outcome = "abandoned"
            try:
                response = await self._respond(request, endpoint, handle)
                outcome = _outcome(response)
            except Exception:
                outcome = "500"
                raise
            finally:
                self._upstream.counts.add(endpoint, outcome)
            return response

        return respond

    async def _respond(self, request: Request, endpoint: str, handle: Handle) -> Response:
        upstream, now = self._upstream, self._upstream.clock()
        limits, shape = upstream.switches.limits, upstream.switches.answers
        bearer, client_id = _who(request)
        partner = bearer.partner if bearer is not None else client_id or basic_of(request)[0] or None
        refusal = upstream.limits.admit(limits, address=self._address(request), partner=partner, now=now)
        if refusal is not None:
            headers = waiting_headers(limits, limit=refusal.limit, now=now, until=refusal.until)
            return _json(error_answer(RefusedError(429, headers=headers), shape), shape.media_type)
        try:
            body = await _body_of(request)
        except ClientDisconnect:
            return _json(error_answer(RefusedError(400), shape), shape.media_type)
        call = Call(
            upstream=upstream,
            request=request,
            body=body,
            switches=upstream.switches,
            faults=self._faults(request, endpoint, bearer),
            origin=self._origin or origin_of(request.scope),
            now=now,
            bearer=bearer if bearer is not None and upstream.is_good(bearer.token) else None,
            client_id=client_id,
        )
        if call.faults:
            return await _interfered(call, handle)
        return _json(await _answered(call, handle), shape.media_type)

    def _faults(self, request: Request, endpoint: str, bearer: Bearer | None) -> tuple[Rule, ...]:
        rules = self._upstream.switches.rules
        if not rules:
            return ()
        query = request.query_params
        return self._upstream.faults.pick(
            rules,
            endpoint=endpoint,
            app=query.get("app", "").lower() or None,
            user=bearer.account if bearer is not None else None,
            first_page=query.get("offset", "0") == "0",
        )

    def _address(self, request: Request) -> str:
        forwarded = request.headers.get("x-forwarded-for") if self._trust_forwarded_for else None
        if forwarded:
            return forwarded.split(",")[0].strip()
        return request.client.host if request.client is not None else "unknown"


async def _body_of(request: Request) -> bytes | None:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY_BYTES:
            return None
    return bytes(body)


async def _answered(call: Call, handle: Handle) -> Answer:
    """Let the API answer; what it refuses becomes an error envelope."""
    try:
        return await handle(call)
    except RefusedError as refused:
        return error_answer(refused, call.switches.answers)


async def _interfered(call: Call, handle: Handle) -> Response:
    """Answer a request that meets faults."""
    instead = await _instead(call, "before")
    if instead is not None:
        return instead
    answer = await _answered(replace(call, now=call.upstream.clock()), handle)
    instead = await _instead(call, "after")
    return instead if instead is not None else _spoiled(answer, call)


async def _instead(call: Call, when: When) -> Response | None:
    """Do what the faults of this moment do, and return the answer that one of them puts in place of the real one."""
    for fault in call.faults:
        match fault:
            case SlowFault(when=moment, ms=delay) if moment == when:
                await call.upstream.sleep(delay / 1000)
            case StatusFault(when=moment) if moment == when:
                return _error(fault, call)
            case HtmlFault(when=moment, status=status) if moment == when:
                return Response(HTML_PAGE, status, media_type="text/html")
            case OAuthErrorFault(when=moment, error=error, status=status) if moment == when:
                return _json(Answer(status, {"error": error}), call.switches.answers.media_type)
            case DropFault(when=moment) if moment == when:
                return DroppedResponse()
            case HangFault(when=moment) if moment == when:
                return HungResponse()
            case _:
                continue
    return None


def _error(fault: StatusFault, call: Call) -> Response:
    limits, shape, headers = call.switches.limits, call.switches.answers, {}
    if fault.status in _ANNOUNCED_WAITS:
        wait_ms = limits.cooldown_ms if fault.retry_after_s is None else fault.retry_after_s * 1_000
        headers = waiting_headers(limits, limit=limits.ip, now=call.now, until=call.now + wait_ms)
    return _json(error_answer(RefusedError(fault.status, headers=headers), shape), shape.media_type)


def _spoiled(answer: Answer, call: Call) -> Response:
    """Return the answer with what the faults do to its values and its bytes."""
    wrong = first_of(WrongTypesFault, call.faults)
    document = answer.document if wrong is None else with_wrong_types(answer.document, wrong)
    response = _json(Answer(answer.status, document, answer.headers), call.switches.answers.media_type)
    body = bytes(response.body)
    for fault in call.faults:
        match fault:
            case TruncateFault():
                return TruncatedResponse(body, answer.status, media_type=response.media_type)
            case MalformedFault():
                return Response(body[:-1] + b",]", answer.status, media_type=response.media_type)
            case OversizedFault(size=size):
                return OversizedResponse(body, answer.status, media_type=response.media_type, size=size)
            case _:
                continue
    return response


def _json(answer: Answer, media_type: str) -> Response:
    return Response(msgspec.json.encode(answer.document), answer.status, answer.headers, media_type)


class DroppedResponse(Response):
    """No answer: the connection is closed before the first byte."""

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        """Close the connection."""
        await close(scope, receive)


class HungResponse(Response):
    """No answer, and no end either: the connection stays open until the caller goes."""

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        """Wait for the caller to go, and tell the server that it need not wait when it stops."""
        _connection(scope)["is_hung"] = True
        await gone(receive)


class TruncatedResponse(Response):
    """Half of the body that was announced, then the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the first half and close the connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
        await close(scope, receive)


class OversizedResponse(Response):
    """The real document with a member `padding` that makes it as big as wanted, in pieces."""

    def __init__(self, content: bytes, status_code: int, *, media_type: str | None, size: int) -> None:
        super().__init__(content, status_code, media_type=media_type)
        self._size = size

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the document, padded."""
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await _piece(send, bytes(self.body[:-1]) + b',"padding":"')
        for start in range(0, self._size, len(_PIECE)):
            await _piece(send, _PIECE[: self._size - start])
        await send({"type": "http.response.body", "body": b'"}', "more_body": False})


async def _piece(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})


async def close(scope: Scope, receive: Receive) -> None:
    """Close the connection after what was sent so far. Raises AnswerAbandonedError where that is not possible."""
    server_closes = _connection(scope).get("close")
    if server_closes is None:
        raise AnswerAbandonedError
    server_closes()
    await gone(receive)


def _connection(scope: Scope) -> dict[str, Any]:
    """Return what the server and the application share about a request's connection."""
    shared: dict[str, Any] = scope.get("extensions", {}).get(CONNECTION, {})
    return shared


async def gone(receive: Receive) -> None:
    """Wait until the caller is gone, leaving unread what was still to be read."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _outcome(response: Response) -> str:
    match response:
        case DroppedResponse():
            return "dropped"
        case HungResponse():
            return "hung"
        case TruncatedResponse():
            return "truncated"
        case _:
            return str(response.status_code)


def _who(request: Request) -> tuple[Bearer | None, str | None]:
    """Return whose token the request bears, and the client id that stands in for one where there is no header."""
    header = request.headers.get("authorization")
    if header is None:
        return None, request.query_params.get("client_id") or None
    scheme, _, token = header.partition(" ")
    return (bearer_of(token.strip()) if scheme.lower() == "bearer" else None), None


def basic_of(request: Request) -> tuple[str, str]:
    """Return the client id and secret of an `Authorization: Basic` (RFC 6749, 2.3.1), empty where there are none."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote_plus(name), unquote_plus(password)


def origin_of(scope: Scope) -> str:
    """Return the origin under which the simulator was asked."""
    for name, value in scope["headers"]:
        if name == b"host":
            return f"{scope['scheme']}://{value.decode('latin-1')}"
    host, port = scope.get("server") or ("localhost", None)
    return f"{scope['scheme']}://{host}" + (f":{port}" if port else "")
