"""A server that answers as a test tells it to, request by request, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

HANG_UP: Final = "hang up"
"""Instead of an answer: close the connection once the request was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer."""

    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str


def json_answer(value: object, *, status: int = 200) -> Answer:
    """Answer with a document."""
    return Answer(status=status, body=json.dumps(value), headers={"Content-Type": "application/json"})


def problem(
    status: int, code: str, *, retry_after: int | str | None = None, date: str | None = None, **more: Any
) -> Answer:
    """Answer with a problem."""
    document = {
        "type": f"urn:zapwright:problem:{code}",
        "title": "A title",
        "status": status,
        "detail": "What is wrong",
        "code": code,
        "reference": "8m0q2f6v1c4x",
        "facts": {"a": 1},
        **more,
    }
    headers = {"Content-Type": "application/problem+json"}
    headers |= {} if retry_after is None else {"Retry-After": str(retry_after)}
    headers |= {} if date is None else {"Date": date}
    return Answer(status=status, body=json.dumps(document), headers=headers)


class Stubborn:
    """What it will answer, in order, and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self._answers: list[Answer | str] = []

    def will(self, *answers: Answer | str) -> None:
        """Answer the next requests so."""
        self._answers += answers

    def forget(self) -> None:
        """Begin anew."""
        self.asked.clear()
        self._answers.clear()

    def next(self, asked: Asked) -> Answer | str:
        """Return the answer to a request."""
        self.asked.append(asked)
        return self._answers.pop(0)


@contextmanager
def a_stubborn_server() -> Iterator[Stubborn]:
    """Have one that listens as long as the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length).decode()
            asked = Asked(method=self.command, path=self.path, headers=dict(self.headers), body=body)
            match stubborn.next(asked):
                case Answer() as answer:
                    content = answer.body.encode()
                    self.send_response_only(answer.status)
                    always = {"Date": self.date_time_string(), "Content-Length": str(len(content))}
                    for name, value in {**always, **answer.headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                case _:
                    self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stubborn = Stubborn(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stubborn
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
