"""`zapwright webhooks` and `zapwright listen`: where events are sent, and what came of it, through the API."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
from rich.console import Console
from rich.text import Text

from cli import interrupts, tables
from cli.errors import CommandError
from cli.remote import Json, Remote
from cli.rows import Cell, Rows
from cli.sessions import OPERATOR, api_of, looking

_WEBHOOKS: Final = "/v1/webhooks"
_FORWARD_LIMIT_S: Final = 14.0
_PASSED_ON: Final = ("content-type", "webhook-id", "webhook-timestamp", "webhook-signature", "user-agent")


def create(data_dir: Path | None, url: str, given: Mapping[str, Any], *, as_json: bool) -> int:
    """Make an endpoint and print its secret, this once. Raises CommandError."""
    with api_of(data_dir) as api:
        made = api.ask("POST", _WEBHOOKS, {"url": url, **_given(given)})
    _show_secret(made, as_json=as_json)
    return 0


def list_endpoints(data_dir: Path | None, *, session_id: str | None, as_json: bool) -> int:
    """Print the endpoints there are: a tenant's, or those of every one that an operator sees. Raises CommandError."""
    if session_id is None:
        with looking(data_dir) as (api, is_operators):
            found = api.get(f"{OPERATOR}/endpoints" if is_operators else _WEBHOOKS)
    else:
        with api_of(data_dir) as api:
            found = api.get(_WEBHOOKS, session_id=session_id)
    console = Console(highlight=False)
    if as_json:
        tables.as_json(console, found)
    else:
        console.print(_drawn(found["webhooks"]) if found["webhooks"] else "no webhook endpoints")
    return 0


def update(data_dir: Path | None, endpoint: str, given: Mapping[str, Any], *, as_json: bool) -> int:
    """Change what is given and print the endpoint. Raises CommandError."""
    with api_of(data_dir) as api:
        changed = api.ask("PATCH", _path(endpoint), _given(given))
    console = Console(highlight=False)
    tables.as_json(console, changed) if as_json else console.print(_drawn([changed]))
    return 0


def rotate(data_dir: Path | None, endpoint: str, *, as_json: bool) -> int:
    """Give an endpoint a new secret and print it, this once. Raises CommandError."""
    with api_of(data_dir) as api:
        made = api.ask("POST", f"{_path(endpoint)}/secrets", {})
    _show_secret(made, as_json=as_json)
    return 0


def fire(data_dir: Path | None, endpoint: str, *, event: str | None, as_json: bool) -> int:
    """Send a made-up event and print what came of it; 1 when it was not received. Raises CommandError."""
    with api_of(data_dir) as api:
        answer = api.ask("POST", f"{_path(endpoint)}/test", _given({"event": event}))
    console = Console(highlight=False)
    if as_json:
        tables.as_json(console, answer)
    else:
        how = Text("received", "green") if answer["received"] else Text("not received", "red")
        said = f": {answer['status'] or answer['problem']} ({answer['took_ms']} ms)"
        console.print(Text.assemble(how, tables.plain(said)))
        if answer["answer"]:
            console.print(tables.plain(answer["answer"], most=500), style="dim")
    return 0 if answer["received"] else 1


def delete(data_dir: Path | None, endpoint: str, *, as_json: bool) -> int:
    """Send nothing there any more. Raises CommandError."""
    with api_of(data_dir) as api:
        api.ask("DELETE", _path(endpoint))
    console = Console(highlight=False)
    tables.as_json(console, {"deleted": endpoint}) if as_json else console.print(f"{endpoint} is gone")
    return 0


def deliveries(data_dir: Path | None, endpoint: str, query: Mapping[str, str | int | None], *, as_json: bool) -> int:
    """Print one page of what was sent to an endpoint: a tenant's, or any that an operator sees. Raises CommandError."""
    with looking(data_dir) as (api, is_operators):
        place = f"{OPERATOR}/endpoints/{quote(endpoint, safe='')}" if is_operators else _path(endpoint)
        page = api.get(f"{place}/deliveries", **query)
    console = Console(highlight=False)
    if as_json:
        tables.as_json(console, page)
        return 0
    console.print(_sent(page["deliveries"]) if page["deliveries"] else "no deliveries")
    tables.show_more(console, page)
    return 0


def replay(data_dir: Path | None, endpoint: str, session_id: str, seq: int, *, as_json: bool) -> int:
    """Send one event once more. Raises CommandError."""
    with api_of(data_dir) as api:
        path = f"{_path(endpoint)}/deliveries/{quote(session_id, safe='')}/{seq}/replay"
        delivery = api.ask("POST", path, {})
    console = Console(highlight=False)
    tables.as_json(console, delivery) if as_json else console.print(_sent([delivery]))
    return 0


def listen(data_dir: Path | None, *, forward: str | None, events: Sequence[str], port: int) -> int:
    """Have events sent here until Ctrl-C, print them, and pass them on. Raises CommandError.

    Bytes and signatures are passed on as they are; what the other side answers is what the API hears.
    """
    console = Console(highlight=False)
    with (
        interrupts.interruptible(),
        suppress(KeyboardInterrupt),
        api_of(data_dir) as api,
        _listening(console, forward, port) as url,
        _hearing(api, url, events) as made,
    ):
        console.print(f"listening as {made['id']}; its secret is {made['secret']}")
        console.print(f"passing on to {forward}" if forward else "[dim]--forward URL passes messages on[/]")
        while True:
            signal.pause()
    return 0


@contextmanager
def _hearing(api: Remote, url: str, events: Sequence[str]) -> Iterator[Json]:
    """Have an endpoint for as long as we listen."""
    made = api.ask(
        "POST", _WEBHOOKS, {"url": url, "description": "zapwright listen", **_given({"events": list(events)})}
    )
    try:
        yield made
    finally:
        api.ask("DELETE", _path(made["id"]))


@contextmanager
def _listening(console: Console, forward: str | None, port: int) -> Iterator[str]:
    """Have a receiver on this machine."""
    with httpx.Client(trust_env=False, timeout=_FORWARD_LIMIT_S) as client:

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
                status = _passed_on(client, forward, headers, body)
                console.print(_heard(body, status))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Say nothing."""

        try:
            server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise CommandError(f"nothing can listen at port {port}: {error.strerror}; choose another --port") from error
        thread = threading.Thread(target=server.serve_forever, name="listen", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            server.server_close()


def _passed_on(client: httpx.Client, forward: str | None, headers: Mapping[str, str], body: bytes) -> int:
    if forward is None:
        return HTTPStatus.NO_CONTENT
    try:
        return client.post(forward, content=body, headers=headers).status_code
    except httpx.TransportError:
        return HTTPStatus.BAD_GATEWAY


def _heard(body: bytes, status: int) -> Text:
    document = httpx.Response(200, content=body).json()
    data = document["data"]
    return Text(f"{document['timestamp']}  {data['session']['id']} #{data['seq']} {document['type']} → {status}")


def _path(endpoint: str) -> str:
    return f"{_WEBHOOKS}/{quote(endpoint, safe='')}"


def _given(values: Mapping[str, Any]) -> Json:
    return {name: value for name, value in values.items() if value is not None and value != []}


def _show_secret(made: Json, *, as_json: bool) -> None:
    console = Console(highlight=False)
    if as_json:
        tables.as_json(console, made)
        return
    console.out(f"{made['id']} {made['secret']}", highlight=False)
    Console(stderr=True, highlight=False).print("[dim]Keep the secret now: it is not shown again.[/]")


def _drawn(endpoints: Sequence[Json]) -> Rows:
    rows: list[Mapping[str, Cell]] = [
        {
            "endpoint": one["id"],
            "of": one["session_id"] or "every session",
            "tenant": tables.tenant(one),
            "url": tables.plain(one["url"]),
            "description": tables.plain(one["description"]),
            "events": str(len(one["events"])),
            "not received": _missing(one),
            "paused": Text(one["paused"] or "", style="red"),
        }
        for one in endpoints
    ]
    groups = (("endpoint", "of", "tenant"), ("url", "description"), ("events",), ("not received", "paused"))
    return Rows(groups=groups, rows=rows)


def _missing(endpoint: Json) -> str:
    """Say what an endpoint has not received, where that is known."""
    counts = ((endpoint.get("pending", 0), "pending"), (endpoint.get("dead", 0), "dead"))
    return ", ".join(f"{count} {what}" for count, what in counts if count)


def _sent(found: Sequence[Json]) -> Rows:
    rows = [
        {
            "session": one["session_id"],
            "event": one["event"],
            "seq": str(one["seq"]),
            "state": one["state"],
            "tries": str(len(one["tries"])),
            "last": tables.plain(_last(one["tries"])),
            "next try (UTC)": tables.moment(one["next_try_at"] or ""),
        }
        for one in found
    ]
    groups = (("session", "event"), ("seq",), ("state", "last"), ("tries",), ("next try (UTC)",))
    return Rows(groups=groups, rows=rows, numbers=frozenset({"seq", "tries"}))


def _last(tries: Sequence[Json]) -> str:
    return str(tries[-1]["status"] or tries[-1]["problem"]) if tries else ""
