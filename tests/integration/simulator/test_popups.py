"""The connect popup's pages and switches, over HTTP. What browsers make of them is for `tests/browser`."""

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any, Final
from urllib.parse import unquote, urlencode, urlsplit

import httpx
import pytest

from simulator.world import World
from tests.integration.simulator.conftest import Served, serving

CONNECTED: Final = "zapier.popup.close"


class Page:
    """A page of a popup, as a browser gets it."""

    def __init__(self, response: httpx.Response) -> None:
        assert response.headers["content-type"].startswith("text/html"), response.text
        self.status = response.status_code
        self.text = response.text
        self.origin = f"{response.url.scheme}://{response.url.netloc.decode()}"
        self.coop = response.headers.get("cross-origin-opener-policy")
        self.policy = response.headers["content-security-policy"]
        found = re.search(r'<body data-steps="([^"]*)">', self.text)
        self.steps: dict[str, Any] = json.loads(unescape(found[1])) if found else {}

    def link(self, element: str) -> str:
        """Return where the link with this id leads."""
        found = re.search(rf'id="{element}" href="([^"]*)"', self.text)
        assert found is not None, self.text
        return unescape(found[1])

    @property
    def options(self) -> dict[str, str]:
        """The accounts that the login offers, by what is written beside them."""
        return {
            unescape(title): value for value, title in re.findall(r'value="([^"]*)"[^>]*> <span>([^<]*)<', self.text)
        }

    @property
    def chosen(self) -> str:
        """The one that it has chosen."""
        return "".join(re.findall(r'value="([^"]*)" checked', self.text))


class Browser:
    """Somebody who goes through popups; follows redirects and keeps cookies, and runs no script."""

    def __init__(self, served: Served) -> None:
        self.url = served.url
        self._client = httpx.Client(base_url=served.url, timeout=60, follow_redirects=True, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def ask(self, user: str, path: str, **query: str) -> list[dict[str, Any]]:
        """Ask the API, as the user's backend does."""
        answer = self._client.get(path, params=query, headers={"Authorization": f"Bearer sim-{user}"})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"])

    def control(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """Use a control route."""
        answer = self._client.request(method, f"/_control{path}", json=body, params=query)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def switch(self, patch: object) -> None:
        """Set switches."""
        self.control("PATCH", "/faults", patch)

    def connect_link(self, user: str, app: str) -> str:
        """Return the app's connect link, asked for by the user's backend."""
        found = self.ask(user, "/v2/apps", query=app)[0]
        return str(self.ask(user, "/v2/apps", ids=found["id"])[0]["links"]["connect_new_authentication"])

    def get(self, address: str) -> Page:
        return Page(self._client.get(address))

    def post(self, address: str, **fields: str) -> Page:
        return Page(self._client.post(address, data=fields))

    def reach_login(self, user: str = "alice", app: str = "Slack") -> tuple[Page, str]:
        """Open the popup, continue, and return the login page and its address."""
        address = self.get(self.connect_link(user, app)).link("continue")
        return self.get(address), address

    def go_through(self, user: str = "alice", app: str = "Slack", *, answer: str = "allowed") -> Page:
        """Go through the popup with what the login page has chosen, and return the last page."""
        login, address = self.reach_login(user, app)
        return self.post(address, answer=answer, account=login.chosen)

    def listed(self, user: str = "alice", app: str = "Slack") -> list[str]:
        """Return the ids of what the user has connected, listed or not."""
        return [one["id"] for one in self.control("GET", "/authentications", user=user, app=app)["authentications"]]

    def connected(self, user: str = "alice", app: str = "Slack", **more: object) -> str:
        """Connect without a popup."""
        return str(self.control("POST", "/authentications", {"user": user, "app": app, **more})["id"])


@pytest.fixture(name="site", scope="module")
def simulator() -> Iterator[Served]:
    """A simulator for all tests of this file, each of which begins with a reset."""
    with serving(World()) as served:
        yield served


@pytest.fixture(name="browser")
def somebody(site: Served) -> Iterator[Browser]:
    """A browser that is signed in to Zapier as nobody in particular."""
    browser = Browser(site)
    browser.control("POST", "/reset")
    yield browser
    browser.close()


def popups(browser: Browser, **switches: object) -> None:
    """Set switches for Slack's popups."""
    browser.switch({"apps": {"Slack": {"popups": switches}}})


def messages(page: Page) -> list[dict[str, Any]]:
    """Return what a page posts to the window that opened the popup."""
    return [post["message"] for post in page.steps.get("posts", []) if post["to"] == "page"]


# ------------------------------------------------------------------------------------------------ the way through


def test_a_popup_leads_through_three_pages_and_makes_one_authentication(browser: Browser) -> None:
    """The login is another site's; the last page is Zapier's, and says what was made."""
    first = browser.get(browser.connect_link("alice", "Slack"))
    login = browser.get(first.link("continue"))
    last = browser.post(first.link("continue"), answer="allowed")

    assert (first.origin, last.origin) == (browser.url, browser.url)
    assert urlsplit(login.origin)[:2] == ("http", f"localhost:{urlsplit(browser.url).port}")
    assert messages(last) == [{"type": CONNECTED, "authentication_id": browser.listed()[0]}]
    assert len(browser.listed()) == 1


def test_the_last_page_shown_again_makes_nothing_anew(browser: Browser) -> None:
    """A reload repeats the message."""
    _, address = browser.reach_login()
    first, again = browser.post(address, answer="allowed"), browser.post(address, answer="denied")

    assert messages(again) == messages(first) != []
    assert len(browser.listed()) == 1


def test_who_denies_connects_nothing(browser: Browser) -> None:
    """And nobody is told."""
    last = browser.go_through(answer="denied")

    assert (messages(last), browser.listed()) == ([], [])
    assert "was not connected" in last.text


def test_an_answer_that_is_none_decides_nothing(browser: Browser) -> None:
    """The user may still answer."""
    _, address = browser.reach_login()
    refused, last = browser.post(address, answer="perhaps"), browser.post(address, answer="allowed")

    assert refused.status == 422
    assert len(messages(last)) == 1


def test_pages_of_a_visit_that_nobody_began_lead_nowhere(browser: Browser) -> None:
    """Nor does the last page before the user has answered."""
    _, address = browser.reach_login()
    visit = address.rpartition("/")[2]
    paths = [
        "/login/x",
        f"/v2/authentications/redirect?visit={visit}",
        "/engine/auth/hop/x/1",
        "/engine/auth/spoof/x/frame",
    ]
    statuses = [browser.get(path).status for path in paths]
    statuses.append(browser.post("/login/x", answer="allowed").status)

    assert statuses == [404] * 5
    assert browser.listed() == []


def test_a_last_page_whose_authentication_was_deleted_makes_no_other(browser: Browser) -> None:
    """It is gone, and the page says that it knows nothing."""
    _, address = browser.reach_login()
    browser.post(address, answer="allowed")
    browser.control("DELETE", f"/authentications/{browser.listed()[0]}")
    again = browser.post(address, answer="allowed")

    assert (again.status, browser.listed()) == (404, [])


def test_a_link_that_comes_back_elsewhere_is_refused(browser: Browser) -> None:
    """The real one leads back to Zapier only."""
    link = browser.connect_link("alice", "Slack").partition("?")[0]
    statuses = [browser.get(f"{link}?redirect={where}").status for where in ("https://elsewhere.example/", "/x", "")]

    assert statuses == [400, 400, 400]
    assert browser.get(link).status == 200


def test_titles_are_text_on_every_page(browser: Browser) -> None:
    """An app's and an authentication's, whatever they hold."""
    app, mine = "<script>alert('app')</script>", "<script>alert('mine')</script>"
    browser.switch({"apps": {"Slack": {"title": app}}})
    browser.connected(title=mine)
    link = browser.connect_link("alice", "Slack")
    login, address = browser.reach_login()
    pages = [browser.get(link), login, browser.post(address, answer="allowed", account=browser.listed()[0])]

    assert browser.ask("alice", "/v2/apps", query="Slack")[0]["title"] == app
    assert mine in login.options
    assert all("<script>alert" not in page.text and "&lt;script&gt;alert" in page.text for page in pages)


def test_pages_run_no_script_but_their_own(browser: Browser) -> None:
    """None is inline, no style either."""
    link = browser.connect_link("alice", "Slack")
    login, address = browser.reach_login()
    pages = [browser.get(link), login, browser.post(address, answer="allowed"), browser.get("/engine/account")]

    assert all("default-src 'none'; script-src 'self'; style-src 'self'" in page.policy for page in pages)
    assert all(
        re.findall(r"<script(?! type=\"module\" src=\"/web/popup.js\">)|<style|style=|\bon\w+=", page.text) == []
        for page in pages
    )


def test_popups_are_counted(browser: Browser) -> None:
    """As users went through them."""
    browser.go_through()
    browser.go_through(answer="denied")
    browser.reach_login()
    counted = browser.control("GET", "/stats")["popups"]
    browser.control("POST", "/reset")
    anew = browser.control("GET", "/stats")["popups"]

    assert counted == {"begun": 3, "allowed": 1, "denied": 1}
    assert anew == {"begun": 0, "allowed": 0, "denied": 0}


# ------------------------------------------------------------------------------------------------ whose popup


def test_a_popup_is_that_of_the_account_which_asked_for_the_app_last(browser: Browser) -> None:
    """For each app."""
    for_slack, for_gmail = browser.connect_link("alice", "Slack"), browser.connect_link("bob", "Gmail")

    assert "as <b>alice</b>" in browser.get(for_slack).text
    assert "as <b>bob</b>" in browser.get(for_gmail).text


def test_a_first_listing_counts_and_further_ones_do_not(browser: Browser) -> None:
    """An API may share an app's look-up among users, and lists for all of them as time goes by."""
    link = browser.connect_link("alice", "Slack")
    app = browser.ask("bob", "/v2/apps", query="Slack")[0]["id"]
    for user in ("alice", "bob", "alice"):
        browser.ask(user, "/v2/authentications", app=app)

    assert "as <b>bob</b>" in browser.get(link).text


def test_a_browser_can_be_signed_in_as_somebody_else(browser: Browser) -> None:
    """By its cookie, which the page of accounts sets; signing out takes it back."""
    link = browser.connect_link("alice", "Slack")
    path = link.removeprefix(browser.url)
    signed_in = browser.post("/engine/account", account="grace", next=path)
    last = browser.go_through()
    shown = browser.get("/engine/account")
    signed_out = browser.post("/engine/account", sign_out="1", next=path)

    assert "as <b>grace</b>" in signed_in.text
    assert (browser.listed("alice"), len(browser.listed("grace")), len(messages(last))) == ([], 1, 1)
    assert "signed in as <b>grace</b>" in shown.text
    assert "as <b>alice</b>" in signed_out.text


def test_a_switch_signs_browsers_in_as_another_account_unless_they_say_otherwise(browser: Browser) -> None:
    """Who sees it may switch back."""
    popups(browser, account="eve")
    link = browser.connect_link("alice", "Slack")
    by_switch = browser.get(link)
    browser.post("/engine/account", account="alice")

    assert "as <b>eve</b>" in by_switch.text
    assert "as <b>alice</b>" in browser.get(link).text


def test_a_switch_signs_browsers_in_as_another_account_whatever_they_said_before(browser: Browser) -> None:
    """Who sees it may still switch back, on the way."""
    browser.post("/engine/account", account="alice")
    popups(browser, account="eve", account_wins=True)
    by_switch = browser.get(browser.connect_link("alice", "Slack"))
    way = re.search(r'id="switch" href="/engine/account\?next=([^"]+)"', by_switch.text)
    assert way is not None
    switched = browser.post("/engine/account", account="alice", next=unquote(way[1]))

    assert "as <b>eve</b>" in by_switch.text
    assert "as <b>alice</b>" in switched.text


def test_who_signs_in_on_the_way_to_an_app_is_offered_the_name_that_asked_for_it(browser: Browser) -> None:
    """Nobody can be signed out who is not signed in."""
    path = browser.connect_link("alice", "Slack").removeprefix(browser.url)
    asked = browser.get(f"/engine/account?{urlencode({'next': path})}").text
    unasked = browser.get("/engine/account").text

    assert 'value="alice"' in asked
    assert 'value="alice"' not in unasked
    assert "sign-out" not in asked + unasked


@pytest.mark.parametrize("account", ["", "a b", "<b>", "sim-ada", "x" * 65])
def test_what_is_no_account_signs_nobody_in(browser: Browser, account: str) -> None:
    """422, and no cookie."""
    refused = browser.post("/engine/account", account=account)

    assert (refused.status, "Nobody is signed in" in browser.get("/engine/account").text) == (422, True)


@pytest.mark.parametrize("elsewhere", ["https://elsewhere.example/", "//elsewhere.example", "/v2/apps", ""])
def test_signing_in_leads_back_to_popups_only(browser: Browser, elsewhere: str) -> None:
    """It is no way to anywhere else."""
    after = browser.post("/engine/account", account="grace", next=elsewhere)

    assert (after.status, after.origin) == (200, browser.url)
    assert "signed in as <b>grace</b>" in after.text


def test_a_popup_that_nobody_asked_for_asks_who_it_is(browser: Browser) -> None:
    """And goes on from there."""
    asked = browser.get("/engine/auth/start/SlackCLIAPI@1.33.2")
    form = unescape(re.findall(r'name="next" value="([^"]*)"', asked.text)[0])
    first = browser.post("/engine/account", account="ada", next=form)

    assert form == "/engine/auth/start/SlackCLIAPI@1.33.2"
    assert "as <b>ada</b>" in first.text


# ------------------------------------------------------------------------------------------------ switches


@pytest.mark.parametrize("policy", ["same-origin", "same-origin-allow-popups", "noopener-allow-popups"])
@pytest.mark.parametrize("hop", ["first", "middle", "last"])
def test_each_page_can_cut_the_popup_off(browser: Browser, hop: str, policy: str) -> None:
    """That one, and no other."""
    popups(browser, coop={hop: policy})
    first = browser.get(browser.connect_link("alice", "Slack"))
    middle = browser.get(first.link("continue"))
    last = browser.post(first.link("continue"), answer="allowed")

    assert {"first": first.coop, "middle": middle.coop, "last": last.coop} == {
        "first": None,
        "middle": None,
        "last": None,
        hop: policy,
    }


def test_a_switch_for_one_app_leaves_the_others_alone(browser: Browser) -> None:
    """It takes the place of the switches for all."""
    browser.switch({"popups": {"message": "none", "redirects": 1}})
    popups(browser, redirects=0)
    slack, gmail = browser.go_through(), browser.go_through(app="Gmail")

    assert (len(messages(slack)), len(messages(gmail))) == (1, 0)


def test_a_message_can_stay_away(browser: Browser) -> None:
    """The authentication is there all the same."""
    popups(browser, message="none")
    last = browser.go_through()

    assert (messages(last), len(browser.listed())) == ([], 1)


def test_a_message_can_come_late_and_more_than_once(browser: Browser) -> None:
    """The page's script is told."""
    popups(browser, message_after_ms=750, message_times=2)
    last = browser.go_through()

    assert (last.steps["after_ms"], len(messages(last))) == (750, 2)
    assert messages(last)[0] == messages(last)[1]


def test_a_message_can_name_the_wrong_authentication(browser: Browser) -> None:
    """Another of the same account, or somebody else's, or one that never was."""
    other = browser.connected()
    found = {}
    for kind in ("other", "foreign", "unknown"):
        popups(browser, message_id=kind, login="new")
        found[kind] = messages(browser.go_through())[0]["authentication_id"]

    assert found["other"] == other
    assert browser.listed("stranger") == [found["foreign"]]
    assert found["unknown"] not in browser.listed() + browser.listed("stranger")


def test_another_id_is_somebody_elses_where_the_account_has_no_other(browser: Browser) -> None:
    """A wrong id is never the right one by chance."""
    popups(browser, message_id="other")
    last = browser.go_through()

    assert messages(last)[0]["authentication_id"] in browser.listed("stranger")


@pytest.mark.parametrize(
    ("kind", "sort"), [("number", int), ("object", dict), ("null", type(None))], ids=["number", "object", "null"]
)
def test_a_message_can_carry_an_id_that_is_no_text(browser: Browser, kind: str, sort: type) -> None:
    """The authentication is there all the same."""
    popups(browser, message_id=kind)
    last = browser.go_through()

    assert isinstance(messages(last)[0]["authentication_id"], sort)
    assert len(browser.listed()) == 1


def test_a_message_can_carry_no_id(browser: Browser) -> None:
    """As the message that ends Zapier's sign-in does."""
    popups(browser, message_id="absent")

    assert messages(browser.go_through()) == [{"type": CONNECTED}]


def test_a_message_can_be_big(browser: Browser) -> None:
    """The page's script pads it: the page stays small."""
    popups(browser, message_bytes=1_000_000)
    last = browser.go_through()

    assert (last.steps["posts"][0]["padding"], len(last.text) < 10_000) == (1_000_000, True)


def test_messages_can_be_spoofed(browser: Browser) -> None:
    """By the login page, by a frame and by another window: each with a wrong id, the right one afterwards."""
    popups(browser, spoofs=["frame", "window", "origin"])
    wrong = browser.connected(is_expired=False)
    login, address = browser.reach_login()
    last = browser.post(address, answer="allowed")
    spoofing = {one["where"]: browser.get(one["address"]) for one in last.steps["spoofs"]}
    posts = {where: page.steps["posts"] for where, page in spoofing.items()}

    assert messages(login) == [{"type": CONNECTED, "authentication_id": wrong}]
    assert {where: (post["to"], post["message"]["authentication_id"]) for where, (post,) in posts.items()} == {
        "frame": ("frame", wrong),
        "window": ("window", wrong),
    }
    assert messages(last)[0]["authentication_id"] == browser.listed()[1] != wrong


@pytest.mark.parametrize(
    ("visitor", "first", "login"),
    [
        ("person", None, {}),
        ("allows", "continue", {"walk": {"click": "allow", "after_ms": 50}}),
        ("denies", "continue", {"walk": {"click": "deny", "after_ms": 50}}),
        ("closes", "continue", {"close_after_ms": 50}),
        ("stays", "continue", {}),
    ],
)
def test_pages_can_walk_themselves(browser: Browser, visitor: str, first: str | None, login: dict[str, Any]) -> None:
    """As far as such a visitor goes."""
    popups(browser, visitor=visitor, visitor_ms=50)
    start = browser.get(browser.connect_link("alice", "Slack"))
    walk = start.steps["walk"]

    assert (walk and walk["click"]) == first
    assert browser.get(start.link("continue")).steps == login


def test_the_last_page_can_close_itself(browser: Browser) -> None:
    """After its message."""
    popups(browser, closes_after_ms=20)

    assert browser.go_through().steps["close_after_ms"] == 20


def test_the_way_back_can_be_long(browser: Browser) -> None:
    """Over both origins in turn, and what is connected is there at its end only."""
    popups(browser, redirects=3, redirect_ms=1)
    _, address = browser.reach_login()
    hops, response = [], browser._client.post(address, data={"answer": "allowed"}, follow_redirects=False)
    while response.is_redirect:
        hops.append((response.next_request.url.host if response.next_request else "", len(browser.listed())))
        response = browser._client.get(response.headers["location"], follow_redirects=False)

    assert hops == [("localhost", 0), ("127.0.0.1", 0), ("localhost", 0), ("127.0.0.1", 0)]
    assert len(messages(Page(response))) == 1


def test_an_expired_authentication_is_repaired_in_place(browser: Browser) -> None:
    """The login offers it first; the message has its id."""
    expired = browser.connected(is_expired=True)
    last = browser.go_through()

    assert (messages(last)[0]["authentication_id"], browser.listed()) == (expired, [expired])


def test_a_repaired_authentication_can_get_a_new_id(browser: Browser) -> None:
    """By the switch that control routes obey as well."""
    browser.switch({"authentications": {"reconnect": "new_id"}})
    expired = browser.connected(is_expired=True)
    last = browser.go_through()

    assert browser.listed() == [expired, messages(last)[0]["authentication_id"]]


def test_the_login_can_begin_with_a_new_account_or_with_one_that_is_there(browser: Browser) -> None:
    """Whatever is chosen first, all are offered."""
    healthy, expired = browser.connected(), browser.connected(is_expired=True)
    chosen = {}
    for kind in ("due", "new", "again"):
        popups(browser, login=kind)
        chosen[kind] = browser.reach_login()[0].chosen
    browser.control("DELETE", f"/authentications/{expired}")
    again = browser.go_through()

    assert chosen == {"due": expired, "new": "", "again": expired}
    assert (messages(again)[0]["authentication_id"], browser.listed()) == (healthy, [healthy])


def test_somebody_elses_authentication_is_not_signed_in_with(browser: Browser) -> None:
    """A form that names one connects a new one."""
    foreign = browser.connected("bob")
    _, address = browser.reach_login()
    last = browser.post(address, answer="allowed", account=foreign)

    assert messages(last)[0]["authentication_id"] == browser.listed()[0] != foreign


def test_what_a_popup_connects_can_be_listed_late(browser: Browser) -> None:
    """By the switch that control routes obey as well."""
    browser.switch({"apps": {"Slack": {"listed_after_ms": 60_000}}})
    last = browser.go_through()
    app = browser.ask("alice", "/v2/apps", query="Slack")[0]["id"]
    listed = browser.ask("alice", "/v2/authentications", app=app)

    assert (listed, len(messages(last))) == ([], 1)


def test_the_same_story_gives_the_same_ids(browser: Browser) -> None:
    """Visits and authentications follow from the seed."""
    told = []
    for _ in range(2):
        browser.control("POST", "/reset")
        popups(browser, spoofs=["frame"])
        _, address = browser.reach_login()
        last = browser.post(address, answer="allowed")
        told.append((urlsplit(address).path, last.steps))

    assert told[0] == told[1]
