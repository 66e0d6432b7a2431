"""The connect page, as browsers and those who only read links see it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any, Final

import httpx
import pytest
import structlog

from orchestrator.core.session import MINUTE, SessionKey
from orchestrator.core.tenants import DEFAULT_TENANT
from tests.support.away import coming_and_going
from tests.support.browsers import OF_THE_PAGE
from tests.support.deployment import ORIGIN, Deployment, problem_of
from tests.support.simulation import Simulation

ALICE: Final = {"user_id": "alice"}
OWN: Final = "http://127.0.0.1:8700"
"""Where browsers find the API."""

BACK: Final = f"{ORIGIN}/zaps/7?done=1"


class Seen(HTMLParser):
    """What a browser makes of a page: its elements, and its text."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, name: str) -> dict[str, str | None]:
        """Return the attributes of the element with this id, none where there is none."""
        return next((attributes for _, attributes in self.elements if attributes.get("id") == name), {})

    @property
    def kind(self) -> str | None:
        return self.of("connect").get("data-kind")


class Link:
    """A link of Alice's, and browsers that come by it."""

    def __init__(self, api: Deployment, session: dict[str, Any], address: str, made: dict[str, Any]) -> None:
        self.api = api
        self.session = session
        self.step = address
        self.address = f"{address}/connect-links/{made['id']}"
        self.url: str = made["url"]
        self.key = SessionKey(tenant_id=DEFAULT_TENANT, session_id=session["id"])
        self._browsers: list[httpx.AsyncClient] = []

    def browser(self) -> httpx.AsyncClient:
        """Return a browser that has never been here."""
        browser = self.api.caller({})
        self._browsers.append(browser)
        return browser

    async def see(self, browser: httpx.AsyncClient) -> Seen:
        """Read the page."""
        return Seen(await browser.get(self.url))

    async def press(self, browser: httpx.AsyncClient, headers: dict[str, str] = OF_THE_PAGE) -> Seen:
        """Read the page, press its button, and see what follows."""
        await browser.get(self.url)
        return Seen(await browser.post(self.url, headers=headers, follow_redirects=True))

    async def token(self, browser: httpx.AsyncClient) -> httpx.Response:
        """Ask for a token as the page's script does."""
        return await browser.post(f"{self.url}/client-token", headers=OF_THE_PAGE)

    async def aclose(self) -> None:
        """Close every browser."""
        for browser in self._browsers:
            await browser.aclose()


async def linked(api: Deployment, app: str = "Slack", **more: Any) -> Link:
    """Have a link."""
    session, address = await api.step(app)
    made = await api.ok("POST", f"{address}/connect-links", ALICE | more, status=201)
    return Link(api, session, address, made.json())


@pytest.fixture
async def api() -> AsyncIterator[Deployment]:
    """A deployment that browsers find on this machine."""
    deployment = Deployment(public_api_url=OWN)
    yield deployment
    await deployment.aclose()


@pytest.fixture
async def link(api: Deployment) -> AsyncIterator[Link]:
    """A link with a way back."""
    link = await linked(api, return_url=BACK)
    yield link
    await link.aclose()


async def resolve(link: Link) -> None:
    """Settle the link's step."""
    made = await link.api.sim.connect("alice", "Slack")
    await link.api.ok("PUT", f"{link.step}/authentication", {"authentication_id": made})


async def test_reading_the_page_changes_nothing(link: Link) -> None:
    """However often, by whichever method; mail programs read every link before its user does."""
    before = await link.api.store.sessions.load(link.key)
    scanner = link.browser()
    seen = [Seen(await scanner.get(link.url)).kind for _ in range(3)]
    head = await scanner.head(link.url)
    for method in ("OPTIONS", "PUT", "PROPFIND"):
        assert (await scanner.request(method, link.url)).status_code == 405

    assert (seen, head.status_code, head.content) == (["ask"] * 3, 200, b"")
    assert await link.api.store.sessions.load(link.key) == before


async def test_the_page_says_who_asks_for_what() -> None:
    """The company, the app, the Zap, and the Zapier account; it shows nothing else of the session."""
    api = Deployment(tenant_name="Acme & Sons")
    await api.sign_in()
    app_id = api.sim.app_id("Slack")
    body = {"title": "New leads", "reference": "private-reference", "metadata": {"note": "private-metadata"}}
    session = (await api.ok("POST", "/v1/sessions", ALICE | body | {"steps": [{"app_id": app_id}]}, status=201)).json()
    address = f"/v1/sessions/{session['id']}/steps/{session['steps'][0]['id']}"
    made = (await api.ok("POST", f"{address}/connect-links", ALICE, status=201)).json()
    link = Link(api, session, address, made)
    answer = await link.browser().get(link.url)
    text = " ".join(Seen(answer).text.split())
    await link.aclose()
    await api.aclose()

    assert "Acme & Sons asks you to connect your Slack account." in text
    assert "It is for “New leads”." in text
    assert f"It will be kept in the Zapier account {session['credential']['account']}." in text
    assert [word for word in ("private", "alice", session["steps"][0]["id"]) if word in answer.text] == []


async def test_the_page_says_where_a_password_goes() -> None:
    """Of an app of the tenant's own with fields they may be filled in here; of every other only where it is."""
    api = Deployment(own_apps=f"{Simulation().app_id('Acme Orders')}=username+password")
    said = []
    for app in ("Acme Orders", "Slack"):
        link = await linked(api, app)
        said.append((await link.see(link.browser())).text)
        await link.aclose()
    await api.aclose()

    assert ["fill in here what Acme Orders asks for" in text for text in said] == [True, False]
    assert ["Your password stays there." in text for text in said] == [False, True]


async def test_a_page_of_nobodys_name_still_makes_sentences(link: Link) -> None:
    """A tenant that was given no name is not called `default`."""
    text = " ".join((await link.see(link.browser())).text.split())

    assert "Whoever sent you this link asks you to connect your Slack account." in text


async def test_the_page_runs_and_asks_nothing_but_ours(link: Link) -> None:
    """No inline script or style, no referrer, nothing kept, no frame, and no popup of it is cut off."""
    browser = link.browser()
    for answer in (await browser.get(link.url), await browser.post(link.url, headers=OF_THE_PAGE)):
        headers = answer.headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")
        assert "cross-origin-opener-policy" not in headers
    seen = await link.see(browser)
    assert [attributes for tag, attributes in seen.elements if "style" in attributes or tag == "style"] == []
    assert [attributes["src"] for tag, attributes in seen.elements if tag == "script"] == ["/web/connect-page.js"]


async def test_the_browser_that_continues_has_the_link(link: Link) -> None:
    """It goes on, with a token that is good for its step; pressing twice, or after a lost answer, is fine."""
    phone = link.browser()
    first = await link.press(phone)
    again = await link.press(phone)
    token = (await link.token(phone)).json()
    async with link.api.caller({"Authorization": f"Bearer {token['token']}", "Origin": OWN}) as page:
        session = await page.get(f"/v1/sessions/{link.session['id']}")
        other = await page.get(f"/v1/sessions/{link.session['id']}/apps")
    events = (await link.api.ok("GET", f"/v1/sessions/{link.session['id']}/events")).json()["events"]

    assert (first.kind, again.kind) == ("follow", "follow")
    assert first.of("connect")["data-step"] == link.session["steps"][0]["id"]
    assert first.of("connect")["data-back"] == BACK
    assert (token["session_id"], token["api_url"]) == (link.session["id"], OWN)
    assert session.status_code == 200
    assert problem_of(other) == (403, "scope_missing")
    assert [event["name"] for event in events].count("connect_link_opened") == 1


async def test_a_link_is_given_by_the_page_alone(link: Link) -> None:
    """Not to a program that posts without having read it, nor by another site's form."""
    stranger = link.browser()
    blind = await stranger.post(link.url, headers=OF_THE_PAGE)
    await stranger.get(link.url)
    forged = [
        await stranger.post(link.url, headers=headers)
        for headers in (
            {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.test"},
            {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
            {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:9999"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": "https://evil.example.test"},
            {"Origin": "https://127.0.0.1:8700"},
        )
    ]
    listed = (await link.api.ok("GET", link.address.rpartition("/")[0])).json()["links"]

    assert (blind.status_code, Seen(blind).kind) == (403, "no_cookie")
    assert {(answer.status_code, Seen(answer).kind) for answer in forged} == {(403, "another_site")}
    assert listed[0]["state"] == "new"


async def test_a_browser_of_yesterday_says_where_it_comes_from(link: Link) -> None:
    """By its origin, or not at all; the cookie stays away from what other sites send."""
    old, older = link.browser(), link.browser()

    assert (await link.press(old, {"Origin": OWN})).kind == "follow"
    assert (await link.press(older, {"Origin": "null"})).kind == "waiting"


async def test_another_browser_waits_until_it_is_let_in(link: Link) -> None:
    """It is shown a code; once the backend has said yes it goes on, and the first browser does not."""
    phone, laptop = link.browser(), link.browser()
    await link.press(phone)
    met = await link.see(laptop)
    waiting = await link.press(laptop)
    (code,) = re.findall(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", waiting.text)
    refused = await link.token(laptop)
    await link.api.ok("POST", f"{link.address}/allow", {"code": code})
    seen = [(await link.see(browser)).kind for browser in (laptop, phone)]

    assert (met.kind, met.of("connect").get("data-back")) == ("elsewhere", None)
    assert waiting.kind == "waiting"
    assert problem_of(refused) == (409, "connect_link_over")
    assert seen == ["follow", "elsewhere"]
    assert (await link.token(laptop)).status_code == 200
    assert problem_of(await link.token(phone)) == (409, "connect_link_over")


async def test_of_two_browsers_that_continue_at_once_one_has_the_link(link: Link) -> None:
    """And the other one waits; neither is forgotten, and neither has it by half."""
    browsers = [link.browser() for _ in range(2)]
    for browser in browsers:
        await browser.get(link.url)
    await asyncio.gather(*(browser.post(link.url, headers=OF_THE_PAGE) for browser in browsers))

    assert sorted([str((await link.see(browser)).kind) for browser in browsers]) == ["follow", "waiting"]


async def test_a_link_in_many_hands_is_good_for_few(link: Link) -> None:
    """Its page says so, and the session does not grow."""
    seen = [(await link.press(link.browser())).kind for _ in range(7)]

    assert seen == ["follow", *["waiting"] * 5, "too_many"]


async def test_a_link_that_has_done_its_work_says_so_to_everybody(link: Link) -> None:
    """And leads back whoever did it; nobody else is told where."""
    phone, laptop = link.browser(), link.browser()
    await link.press(phone)
    await resolve(link)
    own, other = await link.see(phone), await link.see(laptop)
    late = await link.press(laptop)

    assert (own.kind, other.kind, late.kind) == ("done", "done", "done")
    assert "Slack is connected" in own.text
    assert (own.of("back")["href"], other.of("back")) == (BACK, {})
    assert (await link.token(phone)).status_code == 200
    assert problem_of(await link.token(laptop)) == (409, "connect_link_over")


async def test_a_link_that_has_done_its_work_gives_no_token_after_its_end(link: Link) -> None:
    """The page still says what was done; changing it takes another link."""
    phone = link.browser()
    await link.press(phone)
    await resolve(link)
    await _later(link.api, 61 * MINUTE)

    assert (await link.see(phone)).kind == "done"
    assert problem_of(await link.token(phone)) == (409, "connect_link_over")


@pytest.mark.parametrize("is_opened", [False, True])
async def test_each_end_has_a_page_of_its_own(api: Deployment, is_opened: bool) -> None:
    """Expired, revoked, replaced, given up: gone, in words; nobody gets a token any more."""
    ends: dict[str, Any] = {
        "expired": lambda link: _later(api, 61 * MINUTE),
        "revoked": lambda link: api.ok("DELETE", link.address),
        "replaced": lambda link: api.ok("POST", f"{link.step}/connect-links", ALICE, status=201),
        "session_over": lambda link: api.ok("DELETE", f"/v1/sessions/{link.session['id']}"),
    }
    for kind, end in ends.items():
        link = await linked(api, return_url=BACK)
        phone = link.browser()
        if is_opened:
            await link.press(phone)
        await end(link)
        answer = await phone.get(link.url)
        pressed = await link.press(phone)
        token = await link.token(phone)
        await link.aclose()

        assert (answer.status_code, Seen(answer).kind, pressed.kind) == (410, kind, kind)
        assert bool(Seen(answer).of("back")) == is_opened
        assert problem_of(token) == (409, "connect_link_over")


async def _later(api: Deployment, duration: int) -> None:
    api.sim.clock.advance(duration)


async def test_what_is_no_link_is_not_known(link: Link) -> None:
    """A letter too few, another session's, a word; nothing of it is repeated, and no browser gets a name."""
    token = link.url.rpartition("/")[2]
    for wrong in (
        token[:-1],
        f"{link.session['id']}-",
        link.session["id"],
        "zs",
        "%00",
        "%2e%2e",
        "a" * 3000,
        f"{token}/x",
    ):
        answer = await link.browser().get(f"{OWN}/connect/{wrong}")

        assert (answer.status_code, Seen(answer).kind) == (404, "unknown"), wrong
        assert "set-cookie" not in answer.headers
        assert wrong[:8] not in answer.text
    posted = await link.press(link.browser())
    assert posted.kind == "follow"
    stranger = link.browser()
    stranger.cookies.set("zapwright-browser", "a" * 20)
    assert Seen(await stranger.post(f"{link.url}x", headers=OF_THE_PAGE)).kind == "unknown"
    assert problem_of(await stranger.post(f"{link.url}x/client-token", headers=OF_THE_PAGE)) == (
        404,
        "session_not_found",
    )


@pytest.mark.parametrize(
    ("url", "path", "is_secure"),
    [
        ("http://127.0.0.1:8700", "", False),
        ("http://localhost", "", False),
        ("https://zaps.example.test", "", True),
        ("https://example.test/zaps/", "/zaps", True),
        ("http://zaps.example.test", "", True),
    ],
)
async def test_a_browsers_name_is_for_this_page_alone(url: str, path: str, is_secure: bool) -> None:
    """No script reads it, no other page and no other link is sent it, and it crosses no network in the clear."""
    api = Deployment(public_api_url=url)
    link = await linked(api)
    token = link.url.rpartition("/")[2]
    async with api.caller({}) as browser:
        answer = await browser.get(f"http://zapwright.test/connect/{token}")
        again = await browser.get(
            f"http://zapwright.test/connect/{token}", headers={"Cookie": answer.headers["set-cookie"].split(";")[0]}
        )
    await api.aclose()
    parts = answer.headers["set-cookie"].split("; ")

    assert re.fullmatch(r"zapwright-browser=[a-z0-9]{20}", parts[0])
    assert f"Path={path}/connect/{token}" in parts
    assert {"HttpOnly", "SameSite=lax", "Max-Age=90000"} <= set(parts)
    assert ("Secure" in parts) == is_secure
    assert "set-cookie" not in again.headers
    assert f'href="{path}/web/look.css"' in answer.text


async def test_a_store_that_does_not_answer_is_said_in_words() -> None:
    """With what operators find the session by, in the log too; an answer that was lost is no second browser."""
    api, sessions = coming_and_going(public_api_url=OWN)
    link = await linked(api)
    phone = link.browser()
    await phone.get(link.url)
    sessions.is_away = True
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logged:
        read = await phone.get(link.url)
    pressed = await phone.post(link.url, headers=OF_THE_PAGE)
    nonsense = Seen(await phone.get("/connect/call%20us-x"))
    sessions.is_away = False
    sessions.loses_answers = 1
    following = await link.press(phone)
    await link.aclose()
    await api.aclose()

    assert (read.status_code, Seen(read).kind, pressed.status_code) == (503, "trouble", 503)
    assert f"quote {link.session['id']}" in Seen(read).text
    assert [line["session"] for line in logged if line["event"] == "connect_page_failed"] == [link.session["id"]]
    assert "quote" not in nonsense.text
    assert (following.kind, following.of("connect")["data-reference"]) == ("follow", link.session["id"])
