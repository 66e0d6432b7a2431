"""The pages on which a user lets a client act for them. What browsers make of them is for `tests/browser`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from tests.support.simulation import UNLIMITED, Simulation

BACK: Final = "https://api.example/zapier-sign-in/callback"
ASKED: Final = {
    "response_type": "code",
    "client_id": "acme",
    "redirect_uri": BACK,
    "scope": "profile zap",
    "state": "s1",
}
ANN: Final = {"sign_up_email": "ann@example.test", "sign_up_first_name": "Ann", "sign_up_last_name": "B"}


class Visitor:
    """Somebody with a browser that keeps cookies and stops at every page."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.http = sim.client()

    async def arrive(self, **more: str | None) -> httpx.Response:
        """Begin at the front door, and follow it to a page."""
        asked = {name: value for name, value in {**ASKED, **more}.items() if value is not None}
        return await self.follow(await self.http.get(f"/v2/authorize?{urlencode(asked)}"))

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        """Follow redirects within the simulator."""
        while answer.is_redirect and not answer.headers["location"].startswith(BACK):
            answer = await self.http.get(answer.headers["location"])
        return answer

    async def sign_in(self, at: httpx.Response, account: str = "ann") -> httpx.Response:
        """Sign in on the page that asks for it."""
        found = re.search(r'name="next" value="([^"]*)"', at.text)
        assert found is not None, at.text
        fields = {"account": account, "next": unescape(found[1])}
        return await self.follow(await self.http.post("/engine/account", data=fields))

    async def answer(self, at: httpx.Response, answer: str = "allowed") -> httpx.Response:
        """Answer on the page that asks for consent."""
        assert 'id="allow"' in at.text
        return await self.http.post(str(at.url), data={"answer": answer})


@pytest.fixture(name="visitor")
async def _visitor() -> AsyncIterator[Visitor]:
    """A visitor who is nobody yet."""
    one = Visitor(Simulation(switches=UNLIMITED))
    yield one
    await one.http.aclose()


def brought_back(answer: httpx.Response) -> dict[str, str]:
    """Read what the browser brings back."""
    location = answer.headers["location"]
    assert answer.status_code == 303
    assert location.startswith(BACK + "?")
    return {name: value for name, (value,) in parse_qs(urlsplit(location).query).items()}


async def exchanged(visitor: Visitor, code: str, redirect_uri: str = BACK) -> httpx.Response:
    """Exchange a code as its client does."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    return await visitor.http.post("/oauth/token/", data=form, auth=("acme", "secret-of-acme"))


async def test_who_signs_in_and_allows_is_led_back_with_a_code(visitor: Visitor) -> None:
    """It is good for a token of theirs, with what was asked for."""
    consent = await visitor.sign_in(await visitor.arrive())
    back = brought_back(await visitor.answer(consent))
    document = (await exchanged(visitor, back["code"])).json()
    async with visitor.sim.client(document["access_token"]) as client:
        profile = (await client.get("/v1/profiles/me")).json()

    assert 'id="who">ann<' in consent.text
    assert back["state"] == "s1"
    assert (document["scope"], profile["email"]) == ("profile zap", "ann@example.test")


async def test_a_code_is_good_where_it_was_sent_alone(visitor: Visitor) -> None:
    """The address must be the same to the letter."""
    back = brought_back(await visitor.answer(await visitor.sign_in(await visitor.arrive())))

    assert (await exchanged(visitor, back["code"], BACK + "/")).json() == {"error": "invalid_grant"}


async def test_who_denies_is_led_back_with_an_error(visitor: Visitor) -> None:
    """And nothing else; or stays, by the switch."""
    consent = await visitor.sign_in(await visitor.arrive())
    back = brought_back(await visitor.answer(consent, "denied"))
    await visitor.sim.switch({"sign_in": {"denial": "page"}})
    stays = await visitor.answer(consent, "denied")

    assert back == {"error": "access_denied", "state": "s1"}
    assert (stays.status_code, "close this window" in stays.text) == (200, True)


async def test_who_is_signed_in_is_asked_at_once(visitor: Visitor) -> None:
    """And may sign in as somebody else instead."""
    await visitor.sign_in(await visitor.arrive())
    again = await visitor.arrive()
    found = re.search(r'id="switch" href="([^"]*)"', again.text)
    assert found is not None
    other = await visitor.sign_in(await visitor.http.get(unescape(found[1])), "bob")

    assert 'id="who">ann<' in again.text
    assert 'id="who">bob<' in other.text


async def test_an_account_is_created_where_all_three_are_given(visitor: Visitor) -> None:
    """With fewer, the ordinary page asks; for an address that has an account, too."""
    fewer = await visitor.arrive(**(ANN | {"sign_up_last_name": ""}))
    offer = await visitor.arrive(**ANN)
    created = await visitor.follow(await visitor.http.post(str(offer.url)))
    await visitor.answer(created)
    visitor.http.cookies.clear()
    known = await visitor.arrive(**ANN)

    assert ['id="create-account"' in one.text for one in (fewer, offer, known)] == [False, True, False]
    assert 'id="who">ann<' in created.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": ""},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": BACK + "#x"},
        {"response_type": "token"},
        {"scope": ""},
    ],
    ids=str,
)
async def test_a_wish_with_a_flaw_is_not_led_back(visitor: Visitor, wrong: dict[str, str | None]) -> None:
    """A page says what is wrong with it."""
    assert (await visitor.arrive(**wrong)).status_code == 400


async def test_an_address_that_was_not_registered_is_refused(visitor: Visitor) -> None:
    """Where some are."""
    await visitor.sim.switch({"sign_in": {"redirect_uris": [BACK + "/"]}})

    assert (await visitor.arrive()).status_code == 400


@pytest.mark.parametrize(
    ("switch", "state"),
    [({"state": "other"}, "a-state-of-somebody-else"), ({"state": "absent"}, None), ({"redirect_after_ms": 70}, "s1")],
)
async def test_what_goes_wrong_on_the_way_back_is_a_switch(
    visitor: Visitor, switch: dict[str, Any], state: str | None
) -> None:
    """Another state, none, or a long way."""
    await visitor.sim.switch({"sign_in": switch})
    back = brought_back(await visitor.answer(await visitor.sign_in(await visitor.arrive())))

    assert back.get("state") == state
    assert visitor.sim.clock.naps == [0.07] * ("redirect_after_ms" in switch)


async def test_a_visitor_needs_no_clicks(visitor: Visitor) -> None:
    """The page's script makes them; and every page may cut itself off from who opened it."""
    walks = {"account": "ann", "visitor": "allows", "visitor_ms": 5, "coop": "same-origin"}
    await visitor.sim.switch({"sign_in": walks})
    page = await visitor.arrive()

    assert "&quot;click&quot;: &quot;allow&quot;, &quot;after_ms&quot;: 5" in page.text
    assert page.headers["cross-origin-opener-policy"] == "same-origin"


async def test_a_form_may_lead_back_to_its_client(visitor: Visitor) -> None:
    """Browsers hold the whole way of a form against the page's policy."""
    page = await visitor.sign_in(await visitor.arrive())

    assert "form-action 'self' https://api.example" in page.headers["content-security-policy"]
