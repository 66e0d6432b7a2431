"""Requests that go the direct way are answered as all others are, byte by byte, and leave the same traces."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import pytest
import structlog
import uvicorn
from structlog.testing import capture_logs
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from api.direct import Direct
from api.patience import Patience
from api.protocol import Protocol
from tests.support.deployment import AN_ATTEMPT, API_KEY, ORIGIN, Deployment
from tests.support.transports import Wire

KEY: Final = f"Authorization: Bearer {API_KEY}"
_NAMED: Final = re.compile(rb'(zapwright-reference: |"reference":")[^"\r]{12}')


class Door:
    """One connection to a deployment, by uvicorn alone or with the direct way."""

    def __init__(self, deployment: Deployment, *, is_direct: bool) -> None:
        config = uvicorn.Config(deployment.app, log_config=None, access_log=False, server_header=False, lifespan="off")
        config.load()
        self.direct: Direct = deployment.app.state.direct
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"today")]
        self.wire = Wire()
        self.patience = Patience(lambda: 0.0, head_s=1, another_s=1)
        given: dict[str, Any] = {"config": config, "server_state": self.state, "app_state": {}}
        self.protocol: HttpToolsProtocol = (
            Protocol(direct=self.direct, patience=self.patience, **given) if is_direct else HttpToolsProtocol(**given)
        )
        self.protocol.connection_made(self.wire)  # type: ignore[arg-type]

    async def ask(self, request: bytes) -> bytes:
        """Send a request; return what is answered, without what names it."""
        self.protocol.data_received(request)
        while self.state.tasks:
            await asyncio.wait(self.state.tasks)
        await asyncio.sleep(0)
        return _NAMED.sub(rb"\1-", self.wire.taken())


def asking(line: str, *headers: str, body: object = None) -> bytes:
    """Write a request down."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    sized = () if body is None else ("Content-Type: application/json", f"Content-Length: {len(content)}")
    return "\r\n".join((f"{line} HTTP/1.1", "Host: api.test", *headers, *sized, "", "")).encode("latin-1") + content


@pytest.fixture
async def deployment() -> AsyncIterator[Deployment]:
    """A deployment of its own."""
    deployment = Deployment()
    yield deployment
    await deployment.aclose()


def requests(session: Mapping[str, Any], step: str, token: str, app: str) -> dict[str, bytes]:
    """Return requests of every kind, each by what is special about it."""
    at, own = f"/v1/sessions/{session['id']}", f"Authorization: Bearer {token}"
    signal = {"attempt_id": AN_ATTEMPT, "kind": "focus"}
    message = {"attempt_id": AN_ATTEMPT, "kind": "message", "authentication_id": "7"}
    return {
        "read": asking(f"GET {at}", KEY),
        "known": asking(f"GET {at}", KEY, "If-None-Match: *"),
        "not known": asking(f"GET {at}", KEY, 'If-None-Match: "9999"'),
        "no tag": asking(f"GET {at}", KEY, "If-None-Match: 7"),
        "a query": asking(f"GET {at}?after_seq=0", KEY),
        "an unknown query": asking(f"GET {at}?nonsense=0", KEY),
        "hang up": asking(f"GET {at}", KEY, "Connection: close"),
        "HTTP/1.0": asking(f"GET {at}", KEY).replace(b"HTTP/1.1", b"HTTP/1.0"),
        "whole address": asking(f"GET http://api.test{at}", KEY),
        "fragment": asking(f"GET {at}#x", KEY),
        "escaped": asking(f"GET /v1/%73essions/{session['id']}", KEY),
        "line break": asking("DELETE /v1/users/ada%0A", KEY),
        "head": asking(f"HEAD {at}", KEY),
        "not allowed": asking(f"PUT {at}", KEY),
        "nothing": asking("GET /v1/nothing", KEY),
        "no one's": asking("GET /v1/sessions/zs00nobody000", KEY),
        "id of other bytes": asking("GET /v1/sessions/\xff", KEY),
        "id of marks": asking("GET /v1/sessions/%zz;a=b:c@d", KEY),
        "long id": asking(f"GET /v1/sessions/{'a' * 65}", KEY),
        "no key": asking(f"GET {at}"),
        "wrong key": asking(f"GET {at}", "Authorization: Bearer nothing"),
        "wrong scheme": asking(f"GET {at}", "Authorization: Basic nothing"),
        "wrong token": asking(f"GET {at}", "Authorization: Bearer a.b.c"),
        "token": asking(f"GET {at}", own),
        "token of another": asking("GET /v1/sessions/zs00nobody000", own),
        "token without right": asking(f"DELETE {at}", own),
        "page": asking(f"GET {at}", own, f"Origin: {ORIGIN}"),
        "page of others": asking(f"GET {at}", own, "Origin: https://evil.test"),
        "page without key": asking(f"GET {at}", f"Origin: {ORIGIN}"),
        "preflight": asking(f"OPTIONS {at}", f"Origin: {ORIGIN}", "Access-Control-Request-Method: GET"),
        "signal": asking(f"POST {step}/popup/signals", own, f"Origin: {ORIGIN}", "Idempotency-Key: s1", body=signal),
        "repeated": asking(f"POST {step}/popup/signals", own, "Idempotency-Key: s2", body=message),
        "key of another": asking(f"POST {step}/popup/signals", own, "Idempotency-Key: s1", body=message),
        "two keys": asking(f"POST {step}/popup/signals", KEY, "Idempotency-Key: a", "Idempotency-Key: b", body=signal),
        "bad key": asking(f"POST {step}/popup/signals", KEY, "Idempotency-Key: \xe9", body=signal),
        "popup": asking(f"POST {step}/popup", KEY, "Idempotency-Key: p1", body={"attempt_id": AN_ATTEMPT}),
        "popup without a body": asking(f"POST {step}/popup", KEY, "Idempotency-Key: p2"),
        "create": asking("POST /v1/sessions", KEY, "Idempotency-Key: c1", body={"user_id": "alice", "steps": [{}]}),
        "app": asking(f"PUT {step}/app", KEY, body={"app_id": app}),
        "unknown app": asking(f"PUT {step}/app", KEY, body={"app_id": "nothing"}),
        "late": asking(f"PUT {step}/app", KEY, 'If-Match: "1"', body={"app_id": app}),
        "wrong type": asking(f"PUT {step}/app", KEY, body={"app_id": 7}),
        "unknown field": asking(f"PUT {step}/app", KEY, body={"app_id": app, "more": 1}),
        "no body": asking(f"PUT {step}/app", KEY),
        "no JSON": asking(f"PUT {step}/app", KEY, body=b"{"),
        "NUL": asking(f"PUT {step}/app", KEY, body=b'{"app_id":"\\u0000"}'),
        "no UTF-8": asking(f"PUT {step}/app", KEY, body=b'{"app_id":"\xff"}'),
        "form": asking(f"PUT {step}/app", KEY, body={}).replace(b"/json", b"/x-www-form-urlencoded"),
        "charset": asking(f"PUT {step}/app", KEY, body={"app_id": app}).replace(b"/json", b"/json; charset=utf-8"),
        "too long": asking(f"PUT {step}/app", KEY, body=b" " * 300_000),
        "chunks": asking(f"PUT {step}/app", KEY, "Content-Type: application/json", "Transfer-Encoding: chunked")
        + b"2\r\n{}\r\n0\r\n\r\n",
        "expecting": asking(f"PUT {step}/app", KEY, "Expect: 100-continue", body={"app_id": app}),
        "upgrade": asking(f"GET {at}", KEY, "Connection: Upgrade", "Upgrade: h2c"),
        "no HTTP": b"NONSENSE \x00\x01\r\n\r\n",
        "healthy": asking("GET /healthz"),
        "list": asking("GET /v1/sessions", KEY),
        "description": asking("GET /openapi.json"),
    }


def _told(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in {"reference", "duration_ms", "timestamp"}}


async def test_both_ways_answer_the_same(deployment: Deployment) -> None:
    """Status, headers, body, and the lines in the log; each is asked once before, so that both are repeats."""
    session, step = await deployment.awaiting("Slack")
    wish = {"user_id": "alice"}
    token = (await deployment.ok("POST", f"/v1/sessions/{session['id']}/client-tokens", wish, status=201)).json()
    differing = {}
    for name, request in requests(session, step, token["token"], deployment.sim.app_id("Slack")).items():
        found = []
        for is_direct in (False, False, True):
            structlog.contextvars.clear_contextvars()
            with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
                answer = await Door(deployment, is_direct=is_direct).ask(request)
            found.append((answer, [_told(line) for line in lines]))
        if found[1] != found[2]:
            differing[name] = found[1:]

    assert differing == {}
