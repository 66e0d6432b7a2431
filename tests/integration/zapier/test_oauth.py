"""Our token endpoint's client beside the simulated endpoint: each fault, and what became of the token."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from orchestrator.core.ports.tokens import Client, Tokens, TokensOver, TokensRefused, TokensUnknown
from orchestrator.zapier import ZapierOAuth
from simulator.accounts import secret_of
from simulator.app import create_app
from simulator.inprocess import InProcessTransport
from simulator.upstream import Upstream
from simulator.world import World
from tests.integration.zapier.conftest import SharedClock
from tests.support.simulation import ManualClock
from tests.support.zapier import RecordingBudget, permit

CLIENT = Client(id="acme", secret=secret_of("acme"))
BACK = "https://app.example.com/back"


class Pair:
    """The endpoint and who asks it."""

    def __init__(self, http: httpx.AsyncClient, upstream: Upstream, time: ManualClock) -> None:
        self.upstream = upstream
        self.time = time
        self.oauth = ZapierOAuth(
            token_url="http://sim.test/oauth/token/", http=http, budget=RecordingBudget(), clock=SharedClock(time)
        )

    def granted(self) -> str:
        """Return the refresh token of a new sign-in."""
        switches = self.upstream.switches.tokens
        issued = self.upstream.tokens.grant("ann", client_id="acme", scope="zap", now=self.time(), switches=switches)
        return issued.refresh_token

    def code(self) -> str:
        """Return the code of a new sign-in."""
        return self.upstream.tokens.issue_code(
            "ann",
            client_id="acme",
            redirect_uri=BACK,
            scope="zap profile",
            now=self.time(),
            switches=self.upstream.switches.tokens,
        )

    def goes(self, **fault: object) -> None:
        """Have every request meet a fault."""
        self.upstream.switch({"rules": {"r": {"endpoint": "POST /oauth/token/", **fault}}})

    async def refresh(self, token: str, *, client: Client = CLIENT) -> Any:
        """Ask for a refresh."""
        ours = permit("p", start_by=self.time() + 1)
        return await self.oauth.refresh(client, token, limit=100, permit=ours)

    async def exchange(self, code: str, *, redirect_uri: str = BACK) -> Any:
        """Exchange a code."""
        ours = permit("p", start_by=self.time() + 1)
        return await self.oauth.exchange_code(CLIENT, code, redirect_uri=redirect_uri, limit=100, permit=ours)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """An endpoint that nobody has asked yet."""
    time = ManualClock()
    app = create_app(World(), clock=time, sleep=time.sleep)
    async with httpx.AsyncClient(transport=InProcessTransport(app)) as http:
        yield Pair(http, app.state.upstream, time)


async def test_a_sign_in_lives_from_refresh_to_refresh(pair: Pair) -> None:
    """A code brings tokens, each refresh token the next ones, and none is good twice."""
    first = await pair.exchange(pair.code())
    second = await pair.refresh(first.refresh_token)
    again = await pair.refresh(first.refresh_token)

    assert isinstance(first, Tokens)
    assert isinstance(second, Tokens)
    assert (first.expires_in, first.scopes) == (36_000_000, frozenset({"zap", "profile"}))
    assert (second.access_token != first.access_token, again) == (True, TokensOver())


async def test_what_is_over_is_told_from_what_is_refused(pair: Pair) -> None:
    """A code that is old or was sent elsewhere is over; a client that is not known burns nothing."""
    old, token = pair.code(), pair.granted()
    elsewhere = await pair.exchange(pair.code(), redirect_uri="https://evil.example/")
    pair.time.advance(120_000)
    wrong = await pair.refresh(token, client=Client(id="acme", secret="guessed"))

    assert (elsewhere, await pair.exchange(old)) == (TokensOver(), TokensOver())
    assert wrong == TokensRefused(problem="status 401: invalid_client", status=401, is_client_wrong=True)
    assert isinstance(await pair.refresh(token), Tokens)


@pytest.mark.parametrize(
    ("fault", "outcome", "is_burnt"),
    [
        ({"fault": "drop", "when": "before"}, TokensUnknown, False),
        ({"fault": "drop", "when": "after"}, TokensUnknown, True),
        ({"fault": "hang", "when": "after"}, TokensUnknown, True),
        ({"fault": "status", "status": 500}, TokensUnknown, False),
        ({"fault": "status", "status": 504, "when": "after"}, TokensUnknown, True),
        ({"fault": "html"}, TokensUnknown, False),
        ({"fault": "truncate"}, TokensUnknown, True),
        ({"fault": "malformed"}, TokensUnknown, True),
        ({"fault": "wrong_types"}, TokensUnknown, True),
        ({"fault": "status", "status": 429}, TokensRefused, False),
        ({"fault": "status", "status": 503}, TokensRefused, False),
        ({"fault": "status", "status": 400}, TokensRefused, False),
        ({"fault": "oauth_error", "error": "invalid_client", "status": 401}, TokensRefused, False),
        ({"fault": "oauth_error"}, TokensOver, False),
    ],
    ids=str,
)
async def test_whatever_burns_a_token_is_never_called_a_refusal(
    pair: Pair, fault: dict[str, object], outcome: type, *, is_burnt: bool
) -> None:
    """Only what is sure is said to be; the rest nobody knows."""
    token = pair.granted()
    pair.goes(**fault)
    found = await pair.refresh(token)
    pair.upstream.switch_back()

    assert type(found) is outcome
    assert isinstance(await pair.refresh(token), TokensOver if is_burnt else Tokens)
