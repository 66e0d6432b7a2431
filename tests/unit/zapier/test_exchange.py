"""One request: what goes out, and every way in which an answer does not come back."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from orchestrator.zapier import Limits
from orchestrator.zapier.exchange import Answer, Exchange, Flaw, NotSent, Outcome, Request, Unanswered
from tests.support.zapier import BASE, TOKEN, Scripted, ScriptedZapier, answer, raw, torn

HASTY = Limits(call_limit=30, max_body=100)


async def sent(*script: Scripted, zapier: ScriptedZapier | None = None, body: bytes | None = None) -> Outcome:
    """Send one request, and return what came of it."""
    zapier = zapier or ScriptedZapier()
    zapier.answers(*script)
    async with httpx.AsyncClient(transport=httpx.MockTransport(zapier.handle)) as http:
        return await Exchange(http, limits=HASTY).send(request(body=body))


def request(*, body: bytes | None = None) -> Request:
    """Return a request with a query that is nobody's business."""
    url = httpx.URL(f"{BASE}/v2/apps?query=salaries")
    return Request(endpoint="GET /v2/apps", method="POST" if body else "GET", url=url, token=TOKEN, body=body)


async def test_a_request_says_what_it_wants_and_for_whom() -> None:
    """Both media types are accepted, whatever is answered; nothing is compressed."""
    zapier = ScriptedZapier()
    await sent(answer({}), zapier=zapier)
    headers = zapier.requests[0].headers

    assert headers["Accept"] == "application/vnd.api+json, application/json"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Accept-Encoding"] == "identity"
    assert headers["Host"] == "zapier.test"
    assert "Content-Type" not in headers


async def test_a_document_is_sent_as_json() -> None:
    """With the length of its bytes."""
    zapier = ScriptedZapier()
    await sent(answer({}), zapier=zapier, body=b'{"data":{}}')
    asked = zapier.requests[0]

    assert (asked.headers["Content-Type"], asked.headers["Content-Length"]) == ("application/json", "11")
    assert asked.content == b'{"data":{}}'


async def test_an_answer_is_read_whatever_its_media_type() -> None:
    """Its status, its headers, its bytes."""
    outcome = await sent(raw(b'{"data": []}', status=203, Content_Type="application/vnd.api+json"))

    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.body, outcome.flaw) == (203, b'{"data": []}', None)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (httpx.ConnectError("refused"), NotSent(flaw=Flaw.DROPPED)),
        (httpx.ConnectTimeout("slow"), NotSent(flaw=Flaw.TIMED_OUT)),
        (httpx.PoolTimeout("busy"), NotSent(flaw=Flaw.TIMED_OUT)),
        (httpx.UnsupportedProtocol("x"), NotSent(flaw=Flaw.DROPPED)),
        (httpx.ReadTimeout("slow"), Unanswered(flaw=Flaw.TIMED_OUT)),
        (httpx.WriteTimeout("slow"), Unanswered(flaw=Flaw.TIMED_OUT)),
        (httpx.ReadError("reset"), Unanswered(flaw=Flaw.DROPPED)),
        (httpx.WriteError("reset"), Unanswered(flaw=Flaw.DROPPED)),
        (httpx.RemoteProtocolError("disconnected"), Unanswered(flaw=Flaw.DROPPED)),
        (httpx.LocalProtocolError("state"), Unanswered(flaw=Flaw.DROPPED)),
        (ConnectionResetError("reset"), Unanswered(flaw=Flaw.DROPPED)),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_failure_before_an_answer_is_told_apart_by_what_may_have_arrived(
    error: Exception, outcome: Outcome
) -> None:
    """Only what surely never left counts as not sent."""
    assert await sent(error) == outcome


async def forever(_: httpx.Request) -> httpx.Response:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_request_ends_at_its_time_limit() -> None:
    """However the transport counts."""
    assert await sent(forever) == Unanswered(flaw=Flaw.TIMED_OUT)


class Stalled(httpx.AsyncByteStream):
    """A body that begins and never ends."""

    def __init__(self) -> None:
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"data": '
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.is_closed = True


async def test_a_body_that_stalls_ends_at_the_time_limit() -> None:
    """The status came, so Zapier has answered; the connection is let go."""
    stream = Stalled()
    outcome = await sent(httpx.Response(200, stream=stream))

    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.body, outcome.flaw) == (200, b"", Flaw.TIMED_OUT)
    assert stream.is_closed


async def flawed(response: httpx.Response) -> tuple[int, bytes, Flaw | None]:
    """Return what remains of an answer."""
    outcome = await sent(response)
    assert isinstance(outcome, Answer)
    return outcome.status, outcome.body, outcome.flaw


async def test_a_body_that_breaks_off_leaves_a_status() -> None:
    """A 401 is a 401, whether or not its explanation came."""
    assert await flawed(torn(401)) == (401, b"", Flaw.DROPPED)
    assert await flawed(torn(error=httpx.RemoteProtocolError("incomplete"))) == (200, b"", Flaw.DROPPED)
    assert await flawed(torn(error=httpx.ReadTimeout("slow"))) == (200, b"", Flaw.TIMED_OUT)
    assert await flawed(torn(error=ConnectionResetError("reset"))) == (200, b"", Flaw.DROPPED)


async def test_a_body_is_read_up_to_its_bound_only() -> None:
    """Whatever length it announces, or none."""
    assert await flawed(raw(b"x" * 100)) == (200, b"x" * 100, None)
    assert await flawed(raw(b"x" * 101)) == (200, b"", Flaw.TOO_BIG)
    assert await flawed(httpx.Response(500, stream=Endless())) == (500, b"", Flaw.TOO_BIG)


class Endless(httpx.AsyncByteStream):
    """A body without an end."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 64


async def test_a_compressed_body_is_not_unpacked() -> None:
    """A few bytes could become any number of them."""
    packed = httpx.Response(200, stream=Endless(), headers={"Content-Encoding": "gzip"})

    assert await flawed(packed) == (200, b"", Flaw.ENCODED)


async def test_a_redirect_is_an_answer() -> None:
    """Nothing is sent where it points."""
    assert await flawed(raw(b"", status=302, Location="https://elsewhere.test/")) == (302, b"", None)


class Stubborn(httpx.AsyncByteStream):
    """A body whose connection breaks while it is closed."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x" * 1_000

    async def aclose(self) -> None:
        raise httpx.ReadError("reset")


async def test_a_connection_that_breaks_while_it_is_closed_is_closed() -> None:
    """What was read before stays read."""
    assert await flawed(httpx.Response(200, stream=Stubborn())) == (200, b"", Flaw.TOO_BIG)


async def test_cookies_are_not_carried_from_one_user_to_the_next() -> None:
    """One answer's cookie is in no later request."""
    zapier = ScriptedZapier()
    zapier.answers(answer({}, Set_Cookie="sessionid=ann; Path=/"), answer({}))
    async with httpx.AsyncClient(transport=httpx.MockTransport(zapier.handle)) as http:
        exchange = Exchange(http, limits=HASTY)
        await exchange.send(request())
        await exchange.send(request())

    assert "Cookie" not in zapier.requests[1].headers


async def test_a_call_that_is_given_up_is_given_up() -> None:
    """Whoever cancels us is not told of a time limit."""
    zapier = ScriptedZapier()
    zapier.answers(forever)
    async with httpx.AsyncClient(transport=httpx.MockTransport(zapier.handle)) as http:
        call = asyncio.ensure_future(Exchange(http, limits=Limits()).send(request()))
        await asyncio.sleep(0)
        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            await call


def test_nothing_secret_shows_in_a_representation() -> None:
    """Neither the token nor the query nor what was answered."""
    shown = repr(request(body=b"salaries")) + repr(
        Answer(status=200, headers={"Set-Cookie": "salaries"}, body=b"salaries")
    )

    assert (TOKEN in shown, "salaries" in shown) == (False, False)
