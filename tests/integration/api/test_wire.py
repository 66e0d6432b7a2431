"""What comes over the wire and is no good request: every answer is clear, and the next request is served."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest

from cli.walking import browser_in
from orchestrator.core.session import MINUTE
from tests.support.patience import PATIENT
from tests.support.processes import SEALING_KEY, a_simulator
from tests.support.servers import KEY, TOKEN_KEY, process, said
from tests.support.valkey import ValkeyServer, running_valkey

CLOCKS_AGREE_S: Final = 120
"""Less than a wrong clock is wrong, and more than a busy machine takes from one request to the next."""

LONG: Final = b"a" * 10_240
NEW_KEY: Final = "n" * 32
WITH_KEY: Final = f"Authorization: Bearer {KEY}".encode()
JSON: Final = b"Content-Type: application/json"
ANN: Final = b'{"user_id": "ann"}'
BEGIN: Final = b"POST /v1/sessions"
LIST: Final = b"GET /v1/sessions"
HEALTH: Final = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
AT_ZAPIER: Final = {
    "ZAPWRIGHT_ZAPIER_CLIENT_SECRET": "secret-of-the-client",
    "ZAPWRIGHT_ZAPIER_AUTHORIZE_URL": "https://zapier.test/authorize",
    "ZAPWRIGHT_ORIGINS": "https://app.example",
}
"""Where users sign in, as whose, and from which pages."""

SOUND: Final = b"dGhlIHNhbXBsZSBub25jZQ=="
"""A key as pages send it that want a WebSocket."""

NO_HTTP: Final = b"Invalid HTTP request received."


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A store server."""
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def address(valkey: ValkeyServer) -> Iterator[str]:
    """The API; its log holds no failure of ours when all is done."""
    settings = {"ZAPWRIGHT_MAX_BODY_S": "2", "ZAPWRIGHT_MAX_HEAD_S": "2", "ZAPWRIGHT_LOG_LEVEL": "debug"}
    with process(valkey.url, clock_ahead_ms=0, **settings, **AT_ZAPIER) as (running, where):
        yield where
        running.terminate()
        log = said(running)

    assert '"request_failed"' not in log
    assert "Traceback" not in log
    assert KEY not in log


def asking(line: bytes, *headers: bytes, body: bytes = b"", length: bytes | None = None) -> bytes:
    """Write a request down."""
    sized = (length or b"Content-Length: %d" % len(body),) if body else ()
    return b"\r\n".join((line + b" HTTP/1.1", b"Host: x", *headers, *sized, b"Connection: close", b"", body))


def told(address: str, request: bytes, *, then: bytes = b"") -> tuple[int, bytes]:
    """Send bytes as they are; return the last answer's status, and its body."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        with suppress(ConnectionError):
            connection.sendall(request)
            if then:
                time.sleep(0.05)
                connection.sendall(then)
        with suppress(ConnectionError):
            while piece := connection.recv(65_536):
                answer += piece
    head, _, body = answer[answer.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def hung_up_on(address: str) -> bytes:
    """Send nothing; return what there is to read when the connection ends."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        return connection.recv(65_536)


def beginning(*headers: bytes) -> bytes:
    """Write down a request that begins a session."""
    return asking(BEGIN, WITH_KEY, *headers, body=ANN)


def changing(header: bytes) -> bytes:
    """Write down a request that cancels a session that is not there."""
    return asking(b"DELETE /v1/sessions/zs00nobody000", WITH_KEY, header)


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (asking(LIST, b"Authorization: Bearer " + LONG), 401, b"unauthorized"),
        (asking(LIST, b"Authorization: " + LONG), 401, b"unauthorized"),
        (asking(LIST, b"Authorization: Bearer a." + LONG + b".c"), 401, b"token_invalid"),
        (asking(LIST, b"Authorization: Bearer \xff\xfe"), 401, b"unauthorized"),
        (asking(LIST, b"Authorization: Bearer \xff.\xfe."), 401, b"token_invalid"),
        (asking(LIST, WITH_KEY, b"Origin: https://" + LONG), 403, b"origin_refused"),
        (asking(LIST, WITH_KEY, b"Origin: null"), 403, b"origin_refused"),
        (asking(LIST, WITH_KEY, b"Origin: \xff"), 403, b"origin_refused"),
        (asking(LIST, WITH_KEY, b"X-Unknown: " + LONG), 200, b'"sessions"'),
        (asking(LIST, WITH_KEY, LONG + b": x"), 200, b'"sessions"'),
        (asking(LIST, WITH_KEY, *(b"X-%d: x" % number for number in range(1_000))), 200, b'"sessions"'),
        (beginning(JSON, b"Idempotency-Key: " + LONG), 422, b"request_invalid"),
        (beginning(JSON, b"Idempotency-Key: \xc3\xa9"), 422, b"request_invalid"),
        (beginning(JSON, b"Idempotency-Key: a", b"Idempotency-Key: b"), 422, b"request_invalid"),
        (beginning(JSON + b"; charset=" + LONG), 201, b'"id"'),
        (beginning(b"Content-Type: " + LONG), 415, b"media_type_unsupported"),
        (beginning(b"Content-Type: \xff"), 415, b"media_type_unsupported"),
        (changing(b"If-Match: " + LONG), 422, b"request_invalid"),
        (changing(b"If-Match: " + b"," * len(LONG)), 422, b"request_invalid"),
        (changing(b'If-Match: "' + LONG + b'"'), 404, b"session_not_found"),
        (changing(b"If-Match: " + b'"1",' * 2_500), 404, b"session_not_found"),
        (asking(LIST + b"?user_id=" + LONG, WITH_KEY), 422, b"request_invalid"),
        (asking(LIST + b"?user_id=%ff%00", WITH_KEY), 422, b"request_invalid"),
        (asking(LIST + b"/" + LONG, WITH_KEY), 422, b"request_invalid"),
        (asking(LIST + b"/%zz%ff%00", WITH_KEY), 404, b"session_not_found"),
        (asking(LIST + b"/%2e%2e%2foperator%2fsessions", WITH_KEY), 404, b"route_not_found"),
        (asking(b"OPTIONS *"), 404, b"route_not_found"),
        (asking(LIST + b"/" + LONG * 10, WITH_KEY), 400, NO_HTTP),
    ],
    ids=[
        "long key",
        "long scheme",
        "long token",
        "key of other bytes",
        "token of other bytes",
        "long origin",
        "no origin",
        "origin of other bytes",
        "long unknown header",
        "long name",
        "a thousand headers",
        "long idempotency key",
        "idempotency key of other bytes",
        "two idempotency keys",
        "long charset",
        "long media type",
        "media type of other bytes",
        "long condition",
        "nothing but commas",
        "long tag",
        "many tags",
        "long query",
        "query of other bytes",
        "long id",
        "id of other bytes",
        "dots",
        "star",
        "100 kB address",
    ],
)
def test_headers_and_addresses_of_any_size_are_answered(
    address: str, request_: bytes, status: int, code: bytes
) -> None:
    """Ten thousand bytes in each header that is read and in one that is not, and bytes that are no text."""
    answer = told(address, request_)

    assert answer[0] == status
    assert code in answer[1]


@pytest.mark.parametrize(
    ("length", "pieces", "status"),
    [
        (b"Transfer-Encoding: chunked", (b"12", ANN, b"0", b"", b""), 201),
        (b"Transfer-Encoding: chunked", (b"zz", ANN, b"0", b"", b""), 400),
        (b"Transfer-Encoding: chunked", (b"10000", b" " * 65_536) * 5, 413),
        (b"Content-Length: 18\r\nTransfer-Encoding: chunked", (b"12", ANN, b"0", b"", b""), 400),
        (b"Content-Length: 18\r\nContent-Length: 5", (ANN,), 400),
        (b"Content-Length: -1", (ANN,), 400),
        (b"Content-Length: 18\r\nExpect: 100-continue", (ANN,), 201),
    ],
    ids=["chunked", "no chunks", "endless", "two ways", "two lengths", "negative", "expecting"],
)
def test_a_body_is_as_long_as_it_is(address: str, length: bytes, pieces: tuple[bytes, ...], status: int) -> None:
    """Chunks need no length; two lengths, by which two readers could differ, are none."""
    answer = told(address, asking(BEGIN, WITH_KEY, JSON, body=b"\r\n".join(pieces), length=length))

    assert answer[0] == status


@pytest.mark.parametrize("length", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_a_body_that_does_not_come_is_not_waited_for(address: str, length: bytes) -> None:
    """The answer says so and the connection ends, so that nobody can keep thousands open for nothing."""
    request = asking(BEGIN, WITH_KEY, JSON, body=b"1\r\n", length=length).replace(b"Connection: close\r\n", b"")
    status, body = told(address, request)

    assert (status, b"body_late" in body) == (408, True)


def test_a_head_that_does_not_come_is_not_waited_for(address: str) -> None:
    """Nor is a request that does not begin; and whoever sends nothing holds nobody up."""
    with ThreadPoolExecutor() as pool:
        part = pool.submit(told, address, HEALTH[:-2])
        nothing = pool.submit(hung_up_on, address)
        health = httpx.get(f"{address}/healthz", **PATIENT)

    assert part.result()[0] == 408
    assert nothing.result() == b""
    assert health.status_code == 200


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"NONSENSE \x00\x01\r\n\r\n",
        asking(LIST, b"X-A: b\x00c"),
        b"GET / HTTP/3.0\r\n\r\n",
    ],
    ids=["TLS", "HTTP/2", "nonsense", "NUL", "HTTP/3"],
)
def test_what_is_no_http_ends_its_connection_and_no_other(address: str, junk: bytes) -> None:
    """Also behind a good request, which is answered or not, but never with what follows it."""
    alone, behind = told(address, junk), told(address, HEALTH, then=junk)

    assert alone == behind == (400, NO_HTTP)
    assert httpx.get(f"{address}/healthz", **PATIENT).status_code == 200


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_another_protocol_is_not_spoken(address: str, protocol: bytes) -> None:
    """Who asks for one is answered as everybody is, under a reference of the log."""
    request = asking(
        LIST, WITH_KEY, b"Upgrade: " + protocol, b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + SOUND
    )
    status, body = told(address, request.replace(b"Connection: close", b"Connection: close, Upgrade"))

    assert (status, body[:12]) == (200, b'{"sessions":')


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
@pytest.mark.parametrize("cut", [0, 1, 19], ids=["whole", "cut", "cut behind its head"])
def test_a_request_for_another_protocol_is_carried_out_with_its_body(address: str, protocol: bytes, cut: int) -> None:
    """Some clients ask for HTTP/2 with each first request of a connection, and send it whole."""
    request = beginning(JSON, b"Upgrade: " + protocol).replace(b"Connection: close", b"Connection: close, Upgrade")
    at = len(request) - cut
    status, answer = told(address, request[:at], then=request[at:])

    assert (status, b'"user_id":"ann"' in answer) == (201, True)


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
@pytest.mark.parametrize("is_cut", [False, True], ids=["whole", "cut behind its head"])
def test_nothing_is_left_out_behind_a_request_for_another_protocol(address: str, protocol: bytes, is_cut: bool) -> None:
    """Whoever does not hear of the second head takes its body for a request, and carries it out."""
    first = beginning(JSON, b"Upgrade: " + protocol).replace(b"Connection: close", b"Connection: Upgrade")
    body = asking(b"DELETE /v1/users/nobody", WITH_KEY)
    head = asking(BEGIN, WITH_KEY, JSON, body=body).removesuffix(body)
    status, answer = told(address, first + head, then=body) if is_cut else told(address, first + head + body)

    assert (status, b"body_unreadable" in answer) == (400, True)


def test_requests_that_come_together_are_answered_in_order(address: str) -> None:
    """Pipelined, each with its own answer."""
    status, body = told(address, HEALTH * 3 + beginning(JSON))

    assert (status, b'"user_id":"ann"' in body) == (201, True)


@pytest.mark.parametrize("ahead", [-5 * MINUTE, 5 * MINUTE])
def test_a_process_whose_clock_is_wrong_makes_good_sessions_and_tokens(
    valkey: ValkeyServer, address: str, ahead: int
) -> None:
    """It goes by the store's time: its tokens are good elsewhere, and its sessions end when they should.

    A sign-in is opened elsewhere as if there were one clock, and pages are told the right time.
    """
    headers = {"Authorization": f"Bearer {KEY}"}
    with (
        httpx.Client(base_url=address, **PATIENT) as browser,
        process(valkey.url, clock_ahead_ms=ahead, **AT_ZAPIER) as (_, wrong),
    ):
        name = browser_in(browser.get("/zapier-sign-in", params={"origin": AT_ZAPIER["ZAPWRIGHT_ORIGINS"]}))
        asked = httpx.post(f"{wrong}/v1/sessions", headers=headers, json={"user_id": "ann"}, **PATIENT)
        sign_in = httpx.post(
            f"{wrong}/v1/users/ann/zapier-sign-in", headers=headers, json={"browser": name}, **PATIENT
        ).json()
        opened = browser.get(urlsplit(sign_in["url"]).path)
    begun, told_at = asked.json(), parsedate_to_datetime(asked.headers["Date"]).timestamp()
    right = httpx.post(f"{address}/v1/sessions", headers=headers, json={"user_id": "ann"}, **PATIENT).json()
    token = {"Authorization": f"Bearer {begun['client_token']['token']}"}

    def apart(one: str, other: str) -> float:
        return abs((datetime.fromisoformat(one) - datetime.fromisoformat(other)).total_seconds())

    assert httpx.get(f"{address}/v1/sessions/{begun['id']}", headers=token, **PATIENT).status_code == 200
    assert apart(begun["deadline"], right["deadline"]) < CLOCKS_AGREE_S
    assert apart(begun["client_token"]["expires_at"], right["client_token"]["expires_at"]) < CLOCKS_AGREE_S
    assert (opened.status_code, opened.headers["Location"].partition("?")[0]) == (303, "https://zapier.test/authorize")
    assert abs(told_at - time.time()) < CLOCKS_AGREE_S


def test_a_token_lives_as_long_as_its_key(valkey: ValkeyServer, address: str) -> None:
    """While the old key is only behind the new one it is good; retired, it is refused with what to do."""
    begun = httpx.post(
        f"{address}/v1/sessions", headers={"Authorization": f"Bearer {KEY}"}, json={"user_id": "ann"}, **PATIENT
    ).json()
    token = {"Authorization": f"Bearer {begun['client_token']['token']}"}

    def asked(keys: str) -> httpx.Response:
        with process(valkey.url, ZAPWRIGHT_TOKEN_KEYS=keys) as (_, where):
            return httpx.get(f"{where}/v1/sessions/{begun['id']}", headers=token, **PATIENT)

    behind = asked(f"{NEW_KEY},{TOKEN_KEY}")
    retired = asked(NEW_KEY)

    assert behind.status_code == 200
    assert (retired.status_code, retired.json()["code"]) == (401, "token_invalid")
    assert "get a new one from your backend" in retired.json()["detail"]


def test_no_secret_is_in_the_log(valkey: ValkeyServer, tmp_path: Path) -> None:
    """At its most talkative, of requests that are carried out and of those that are refused for every reason."""
    secrets = {
        "key": KEY,
        "signing key": TOKEN_KEY,
        "sealing key": SEALING_KEY,
        "client secret": "zapier-client-secret",
        "access token": "sim-ada",
        "refused access token": "refused-access-token",
        "misspelt access token": "misspelt-access-token",
        "key in vain": "zwk_abc_" + "k" * 40,
        "key in the address": "key-in-the-address",
    }
    with (
        a_simulator(tmp_path) as simulator,
        process(
            valkey.url,
            ZAPWRIGHT_ZAPIER_API_URL=simulator,
            ZAPWRIGHT_ZAPIER_CLIENT_SECRET=secrets["client secret"],
            ZAPWRIGHT_CREDENTIAL_KEYS=SEALING_KEY,
            ZAPWRIGHT_LOG_LEVEL="debug",
        ) as (running, where),
        httpx.Client(base_url=f"{where}/v1/", headers={"Authorization": f"Bearer {KEY}"}, **PATIENT) as backend,
    ):
        kept = backend.put("users/ada/credential", json={"access_token": secrets["access token"]})
        begun = backend.post("sessions", json={"user_id": "ada", "steps": [{}]}).json()
        secrets["client token"] = token = begun["client_token"]["token"]
        page = {"Authorization": f"Bearer {token}"}
        found = backend.get(f"sessions/{begun['id']}/apps", params={"query": "slack"}, headers=page)
        answers = [
            backend.put("users/ada/credential", json={"access_token": secrets["refused access token"]}),
            backend.put("users/ada/credential", json={"acces_token": secrets["misspelt access token"]}),
            backend.put("users/ada/credential", json=secrets["misspelt access token"]),
            backend.get("sessions", headers=page),
            backend.get(f"sessions/{begun['id']}", headers={"Authorization": f"Bearer {token}x"}),
            backend.get(f"sessions/{begun['id']}", headers={"Authorization": f"Basic {KEY}"}),
            backend.get("sessions", headers={"Authorization": f"Bearer {secrets['key in vain']}"}),
            backend.get("sessions", params={"api_key": secrets["key in the address"]}),
        ]
        running.terminate()
        log = said(running)

    assert (kept.status_code, found.status_code) == (200, 200)
    assert [answer.status_code for answer in answers] == [422, 422, 422, 403, 401, 401, 401, 422]
    assert '"upstream_call"' in log
    assert [name for name, secret in secrets.items() if secret in log] == []
    assert [name for name, secret in secrets.items() for answer in answers if secret in answer.text] == []
