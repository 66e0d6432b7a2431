"""Faults over real sockets: what a client of the network meets."""

import json
import socket
import time

import httpx
import pytest

from tests.integration.simulator.conftest import Served
from tests.support.simulation import zap


def rule(fault: str, **members: object) -> object:
    """Return a patch that sets one rule."""
    return {"rules": {"rule": {"fault": fault, **members}}}


def connected(served: Served) -> socket.socket:
    """Connect to the simulator."""
    host, _, port = served.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def test_a_listing_is_paged_over_absolute_links(served: Served) -> None:
    """On the simulator's own origin, port and all."""
    with served.client("sim-collector") as client:
        app = client.get("/v2/apps", params={"query": "Google Sheets"}).json()["data"][0]["id"]
        url, ids = f"/v2/authentications?app={app}", []
        while url:
            page = client.get(url).json()
            ids += [row["id"] for row in page["data"]]
            url = page["links"]["next"]
            assert url is None or url.startswith(f"{served.url}/v2/authentications?")

    assert len(set(ids)) == len(ids) == 35


def test_a_dropped_connection_is_closed_without_an_answer(served: Served) -> None:
    """Every time, and the simulator goes on."""
    served.switch(rule("drop", times=2))
    with served.client() as client:
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
                client.get("/v2/apps")

        assert client.get("/v2/apps").status_code == 200


def test_a_dropped_connection_sends_no_byte(served: Served) -> None:
    """Seen from the socket itself."""
    served.switch(rule("drop"))
    with connected(served) as connection:
        connection.sendall(b"GET /v2/apps HTTP/1.1\r\nHost: x\r\n\r\n")

        assert connection.recv(1) == b""


def test_an_answer_lost_after_a_zap_was_created_leaves_the_zap(served: Served) -> None:
    """The case that no retry may answer."""
    with served.client() as client:
        app = client.get("/v2/apps", params={"query": "Webhooks"}).json()["data"][0]["id"]
        action = client.get("/v2/actions", params={"app": app, "action_type": "WRITE"}).json()["data"][0]["id"]
        served.switch(rule("drop", when="after", endpoint="POST /v2/zaps"))
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/v2/zaps", json=zap({"action": action, "inputs": {}, "authentication": None}))

        assert client.get("/v2/zaps").json()["meta"]["count"] == 1


def test_a_truncated_answer_breaks_off_in_its_body(served: Served) -> None:
    """The announced length is never reached."""
    served.switch(rule("truncate", times=1))
    with served.client() as client:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
            client.get("/v2/apps")

        assert client.get("/v2/apps").status_code == 200


def test_a_hanging_connection_ends_with_the_callers_patience(served: Served) -> None:
    """And does not keep the simulator from stopping."""
    served.switch(rule("hang", times=1))
    with served.client(timeout_s=0.2) as client, pytest.raises(httpx.ReadTimeout):
        client.get("/v2/apps")


def test_a_request_meets_a_fault_once_all_of_it_has_come(served: Served) -> None:
    """Whoever kills a caller when the fault is met finds the effect of what it asked for."""
    served.switch(rule("hang", when="after", endpoint="POST /oauth/token/"))
    head = b"POST /oauth/token/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    with served.client(None) as client, connected(served) as connection:
        connection.sendall(head)
        is_read = connection.recv(12)
        amid = client.get("/_control/faults").json()["met"]
        connection.sendall(b"a=")
        deadline = time.monotonic() + 60
        while client.get("/_control/faults").json()["met"] == amid:
            assert time.monotonic() < deadline

    assert (is_read, amid) == (b"HTTP/1.1 100", {"rule": 0})


def test_a_slow_answer_comes_late(served: Served) -> None:
    """By real time."""
    served.switch(rule("slow", ms=300))
    with served.client() as client:
        started = time.monotonic()
        answer = client.get("/v2/apps")

    assert answer.status_code == 200
    assert time.monotonic() - started >= 0.3


def test_an_oversized_answer_comes_in_pieces(served: Served) -> None:
    """A client that counts can stop reading, and the simulator goes on."""
    served.switch(rule("oversized", size=64 * 2**20, times=1))
    with served.client() as client:
        with client.stream("GET", "/v2/apps") as answer:
            read = 0
            for piece in answer.iter_raw():
                read += len(piece)
                if read > 2**20:
                    break

        assert "content-length" not in answer.headers
        assert client.get("/v2/apps").status_code == 200


@pytest.mark.parametrize(
    ("fault", "content_type"), [("html", "text/html; charset=utf-8"), ("malformed", "application/json")]
)
def test_an_answer_that_is_not_json_is_complete(served: Served, fault: str, content_type: str) -> None:
    """Its bytes are all there, and mean nothing."""
    served.switch(rule(fault))
    with served.client() as client:
        answer = client.get("/v2/apps")

    assert answer.headers["content-type"] == content_type
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_the_limit_of_an_address_holds_over_connections(served: Served) -> None:
    """Sixty, then 429 with a word on when to come back."""
    answers = []
    for token in ("sim-ann", "sim-bob@acme"):
        with served.client(token) as client:
            answers += [client.get("/v1/profiles/me") for _ in range(31)]

    assert [answer.status_code for answer in answers] == [200] * 60 + [429] * 2
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60


def test_a_request_that_is_no_http_does_no_harm(served: Served) -> None:
    """Others are answered as before."""
    with connected(served) as connection:
        connection.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        connection.recv(100)
    with served.client() as client:
        assert client.get("/v2/apps").status_code == 200


def test_a_caller_without_a_host_header_gets_links_all_the_same(served: Served) -> None:
    """HTTP/1.0 knows none: links name the address that was reached."""
    with connected(served) as connection:
        connection.sendall(b"GET /v2/apps?client_id=c HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert f'"next":"{served.url}/v2/apps?client_id=c&limit=10&offset=10"'.encode() in answer


def test_a_caller_who_leaves_amid_its_request_does_no_harm(served: Served) -> None:
    """No Zap comes of half a body, and others are answered as before."""
    with connected(served) as connection:
        connection.sendall(
            b"POST /v2/zaps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sim-alice\r\nContent-Length: 9999\r\n\r\n{"
        )
    with served.client() as client:
        assert client.get("/v2/zaps").json()["meta"]["count"] == 0
