"""Every request ends in an answer, a line in the log and a measure."""

from __future__ import annotations

import asyncio
import json
from itertools import count

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs

from api.trace import Trace, Tracer
from orchestrator.metrics import Metrics


class Route:
    """A route with a pattern."""

    path_format = "/v1/sessions/{session_id}"


async def ask(app: ASGIApp, metrics: Metrics, *, path: str = "/v1/sessions/zs1", method: str = "GET") -> list[Message]:
    """Send one request through the trace; return what was answered."""
    numbers, sent = count(1), list[Message]()

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    trace = Trace(app, tracer=Tracer(metrics=metrics, new_reference=lambda: f"ref{next(numbers)}"))
    scope = {"type": "http", "method": method, "path": path, "headers": []}
    await trace(scope, receive, send)
    return sent


async def answers(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 204, from a known route."""
    scope["route"] = Route
    structlog.get_logger("test").info("at_work")
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def fails(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail in a way nobody foresaw."""
    raise RuntimeError("the password is hunter2")


async def leaves(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nothing, as for somebody who has gone."""


def counted(metrics: Metrics) -> dict[tuple[str, str, str], float]:
    """Return how many requests were counted, by route, method and status."""
    return {
        (sample.labels["route"], sample.labels["method"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name == "zapwright_http_requests_total"
    }


async def test_the_reference_is_in_the_answer_and_on_every_line() -> None:
    """Whoever reports it has named the lines to read."""
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        sent = await ask(answers, Metrics())

    assert (b"zapwright-reference", b"ref1") in sent[0]["headers"]
    found = [(line["event"], line["reference"], line["session"]) for line in lines]
    assert found == [("at_work", "ref1", "zs1"), ("request", "ref1", "zs1")]


async def test_what_a_request_is_about_is_on_every_line() -> None:
    """The session and the step of its path, and what is found out on its way; nothing of it on another's."""

    async def works(scope: Scope, receive: Receive, send: Send) -> None:
        structlog.contextvars.bind_contextvars(tenant="acme", attempt="at1")
        await answers(scope, receive, send)

    structlog.contextvars.clear_contextvars()
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        for app, path in ((works, "/v1/sessions/zs1/steps/st1/popup"), (answers, "/v1/users/ada")):
            await asyncio.create_task(ask(app, Metrics(), path=path))

    names = ("session", "step", "tenant", "attempt")
    found = [tuple(line.get(name) for name in names) for line in lines]
    assert found == [("zs1", "st1", "acme", "at1")] * 2 + [(None,) * 4] * 2


async def test_answers_are_not_kept_and_not_guessed_at() -> None:
    """Sessions are nobody else's, and their media type is what it says."""
    headers = dict((await ask(answers, Metrics()))[0]["headers"])

    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-content-type-options"] == b"nosniff"


async def test_a_request_is_counted_by_its_route() -> None:
    """Never by its path, of which there is no end."""
    metrics = Metrics()
    await ask(answers, metrics)

    assert counted(metrics) == {("/v1/sessions/{session_id}", "GET", "204"): 1}


async def test_labels_stay_few_whatever_is_asked() -> None:
    """Made-up methods and paths share one label each."""
    metrics = Metrics()
    for number in range(3):
        await ask(leaves, metrics, path=f"/nowhere/{number}", method=f"BREW{number}")

    assert counted(metrics) == {("unknown", "other", "499"): 3}


async def test_what_nobody_foresaw_is_answered_without_its_insides() -> None:
    """The caller gets a reference, the log the exception."""
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        sent = await ask(fails, metrics := Metrics())

    document = json.loads(sent[1]["body"])
    failed = next(line for line in lines if line["event"] == "request_failed")
    assert (sent[0]["status"], document["code"], document["reference"]) == (500, "internal_error", "ref1")
    assert b"hunter2" not in sent[1]["body"]
    assert (failed["reference"], failed["exc_info"]) == ("ref1", True)
    assert counted(metrics) == {("unknown", "GET", "500"): 1}


async def test_a_failure_in_the_middle_of_an_answer_breaks_the_answer_off() -> None:
    """Half an answer must not look whole."""

    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        await answers(scope, receive, send)
        raise RuntimeError("too late")

    with pytest.raises(RuntimeError, match="too late"), capture_logs():
        await ask(breaks, Metrics())


async def test_what_asks_all_the_time_is_not_logged_all_the_time() -> None:
    """Probes are heard only at `debug`."""

    class Probe:
        path_format = "/healthz"

    async def healthy(scope: Scope, receive: Receive, send: Send) -> None:
        await answers(scope, receive, send)
        scope["route"] = Probe

    with capture_logs() as lines:
        await ask(healthy, Metrics(), path="/healthz")

    assert [line["log_level"] for line in lines if line["event"] == "request"] == ["debug"]
