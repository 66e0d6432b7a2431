"""The token endpoint as we ask it: what is sent, and what each answer means for the code or refresh token."""

import asyncio
import base64
from urllib.parse import parse_qs

import httpx
import pytest

from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.tokens import Client, Tokens, TokensOver, TokensRefused, TokensUnknown
from orchestrator.zapier import ZapierOAuth
from tests.support.zapier import NOON, ManualClock, RecordingBudget, Scripted, ScriptedZapier, answer, permit, raw, torn

URL = "https://zapier.test/oauth/token/"
CLIENT = Client(id="acme", secret="s&cret:of acme")
GOOD = {
    "access_token": "A2",
    "refresh_token": "R2",
    "expires_in": 36_000,
    "token_type": "Bearer",
    "scope": "zap profile",
}


class Endpoint:
    """A scripted token endpoint, and who asks it."""

    def __init__(self) -> None:
        self.zapier = ScriptedZapier()
        self.budget = RecordingBudget()
        self.clock = ManualClock()
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.zapier.handle))
        self.oauth = ZapierOAuth(token_url=URL, http=http, budget=self.budget, clock=self.clock)

    async def refresh(
        self, *script: Scripted, permit: Permit | None = None
    ) -> Tokens | TokensOver | TokensRefused | TokensUnknown:
        """Let the endpoint answer so, and ask for a refresh."""
        self.zapier.answers(*script)
        return await self.oauth.refresh(CLIENT, "R1", limit=50, permit=permit or a_permit())


def a_permit(*, start_by: int = NOON) -> Permit:
    """Return a permit that is good at noon."""
    return permit("p1", start_by=start_by)


@pytest.fixture
def endpoint() -> Endpoint:
    """An endpoint that nobody has asked yet."""
    return Endpoint()


async def test_a_refresh_is_one_urlencoded_post_by_the_client(endpoint: Endpoint) -> None:
    """The client in the header, written as RFC 6749 has it; the token is handed out with its life."""
    outcome = await endpoint.refresh(answer(GOOD))
    (request,) = endpoint.zapier.requests
    name, _, secret = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode().partition(":")

    assert (request.method, str(request.url)) == ("POST", URL)
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.content.decode()) == {"grant_type": ["refresh_token"], "refresh_token": ["R1"]}
    assert (name, secret) == ("acme", "s%26cret%3Aof+acme")
    assert outcome == Tokens(
        access_token="A2", refresh_token="R2", expires_in=36_000_000, scopes=frozenset({"zap", "profile"})
    )


async def test_a_code_is_exchanged_with_the_address_it_was_sent_to(endpoint: Endpoint) -> None:
    """Exactly."""
    endpoint.zapier.answers(answer(GOOD))
    uri = "https://app.example.com/back?x=1"
    outcome = await endpoint.oauth.exchange_code(CLIENT, "C1", redirect_uri=uri, limit=50, permit=a_permit())
    (request,) = endpoint.zapier.requests

    assert parse_qs(request.content.decode()) == {
        "grant_type": ["authorization_code"],
        "code": ["C1"],
        "redirect_uri": [uri],
    }
    assert isinstance(outcome, Tokens)


@pytest.mark.parametrize(
    ("told", "life"),
    [(36_000, 36_000_000), ("7", 7_000), (None, None), (0, None), (-5, None), (10**12, None), ([], None)],
)
async def test_a_life_that_cannot_be_is_no_life(endpoint: Endpoint, told: object, life: int | None) -> None:
    """Then nobody knows when the token ends; the token is good all the same."""
    outcome = await endpoint.refresh(answer(GOOD | {"expires_in": told}))

    assert isinstance(outcome, Tokens)
    assert outcome.expires_in == life


async def test_without_another_refresh_token_the_one_that_was_used_is_good_still(endpoint: Endpoint) -> None:
    """As RFC 6749 has it."""
    outcome = await endpoint.refresh(answer({"access_token": "A2"}))

    assert outcome == Tokens(access_token="A2", refresh_token=None, expires_in=None)


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refusal_of_the_grant_says_that_it_is_over(endpoint: Endpoint, status: int) -> None:
    """Whatever the status beside it."""
    assert await endpoint.refresh(answer({"error": "invalid_grant"}, status=status)) == TokensOver()


@pytest.mark.parametrize(
    ("script", "problem", "is_client_wrong"),
    [
        (answer({"error": "invalid_client"}, status=401), "status 401: invalid_client", True),
        (answer({"error": "unauthorized_client"}, status=400), "status 400: unauthorized_client", True),
        (answer({"errors": ["no"]}, status=401), "status 401: no reason given", True),
        (answer({"error": "invalid_request"}, status=400), "status 400: invalid_request", False),
        (answer({"error": "token R1 is bad"}, status=400), "status 400: no reason given", False),
        (raw(b"<html>", status=403), "status 403: no reason given", False),
        (raw(b"", status=301, location="https://zapier.test/oauth/token"), "status 301: no reason given", False),
        (httpx.ConnectError("down"), "not reached: connection dropped", False),
    ],
)
async def test_any_other_refusal_leaves_the_refresh_token_as_good_as_before(
    endpoint: Endpoint, script: Scripted, problem: str, *, is_client_wrong: bool
) -> None:
    """It says what is wrong in words that hold no secret, and whether the client is."""
    outcome = await endpoint.refresh(script)

    assert isinstance(outcome, TokensRefused)
    assert (outcome.problem, outcome.is_client_wrong) == (problem, is_client_wrong)


@pytest.mark.parametrize("status", [429, 503])
async def test_being_asked_to_wait_is_a_refusal_with_a_time(endpoint: Endpoint, status: int) -> None:
    """And a 429 cools the budget down like every other."""
    outcome = await endpoint.refresh(answer({}, status=status, Retry_After="7"))

    assert outcome == TokensRefused(problem=f"status {status}", status=status, retry_after=7_000)
    assert endpoint.budget.cooled == ([("out", "client-of-acme", NOON + 7_000)] if status == 429 else [])


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (answer({}, status=500), "status 500"),
        (raw(b"<html>", status=502), "status 502"),
        (answer({}, status=503), "status 503"),
        (raw(b"not JSON"), "status 200, without an access token"),
        (answer({"refresh_token": "R2"}), "status 200, without an access token"),
        (answer({"access_token": "with space"}), "status 200, without an access token"),
        (answer(GOOD | {"refresh_token": 7}), "status 200, without an access token"),
        (torn(), "status 200, connection dropped"),
        (torn(error=httpx.ReadTimeout("late")), "status 200, time limit"),
        (httpx.ReadError("reset"), "no answer: connection dropped"),
        (httpx.ReadTimeout("late"), "no answer: time limit"),
    ],
)
async def test_whatever_else_comes_nobody_knows(endpoint: Endpoint, script: Scripted, problem: str) -> None:
    """The tokens may have been handed out; the request is not repeated."""
    outcome = await endpoint.refresh(script)

    assert outcome == TokensUnknown(problem=problem)
    assert len(endpoint.zapier.requests) == 1


async def test_an_answer_that_takes_longer_than_the_limit_is_not_waited_for(endpoint: Endpoint) -> None:
    """The limit is the caller's, not that of other calls."""

    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    assert await endpoint.refresh(hang) == TokensUnknown(problem="no answer: time limit")


async def test_a_permit_that_is_late_is_given_back_and_nothing_is_sent(endpoint: Endpoint) -> None:
    """The refresh token was not used."""
    outcome = await endpoint.refresh(permit=a_permit(start_by=NOON - 1))

    assert outcome == TokensRefused(problem="too late: the call could not begin in time")
    assert endpoint.zapier.requests == []
    assert endpoint.budget.fate_of("p1") == ["given back"]


async def test_each_request_costs_its_permit(endpoint: Endpoint) -> None:
    """It is held until a minute after the answer; nothing further is taken."""
    await endpoint.refresh(answer(GOOD))

    assert endpoint.budget.fate_of("p1") == ["answered"]
    assert endpoint.budget.taken == []


async def test_no_secret_prints_itself(endpoint: Endpoint) -> None:
    """Neither the client's, nor what was handed out."""
    outcome = await endpoint.refresh(answer(GOOD))

    assert not any(secret in repr((CLIENT, outcome)) for secret in ("cret:of", "A2", "R2"))
