"""The simulator's popups in Chromium: each switch does to a page what it says, and what real sites do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx
import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.support.patience import PATIENT
from tests.support.processes import a_simulator, come_true

pytestmark = pytest.mark.browser

APP: Final = "Trello"
OPENER: Final = "http://opener.localhost/"
#: A page that opens a popup in a click, and notes every message: where from, whether from the popup, what, and when.
OPENS: Final = """<!doctype html><button>Open</button><script>
const heard = [], times = [];
let popup = null;
addEventListener("message", ({ origin, source, data }) =>
  times.push(Date.now()) &&
  heard.push({ origin, isPopup: source === popup, id: data.authentication_id, size: data.padding?.length ?? 0 }));
document.querySelector("button").onclick = () => popup = open(location.hash.slice(1), "_blank", "width=600,height=600");
</script>"""


class Visit:
    """One popup, seen from the page that opened it."""

    def __init__(self, page: Page, popup: Page, *, simulator: httpx.AsyncClient, user: str) -> None:
        self._page = page
        self.popup = popup
        self._simulator = simulator
        self._user = user

    async def heard(self) -> list[dict[str, Any]]:
        """Return the messages that came so far."""
        heard: list[dict[str, Any]] = await self._page.evaluate("heard")
        return heard

    async def times(self) -> list[int]:
        """Return when they came, in milliseconds."""
        times: list[int] = await self._page.evaluate("times")
        return times

    async def reads_closed(self) -> bool:
        """Return what `popup.closed` is for the page."""
        return bool(await self._page.evaluate("popup.closed"))

    async def comes_to_read_closed(self) -> None:
        """Wait until `popup.closed` is true for the page, which another process tells its own."""
        await self._page.wait_for_function("popup.closed")

    async def ids(self) -> list[str]:
        """Return the ids of what the user has connected, oldest first."""
        found = await self._simulator.get("/_control/authentications", params={"user": self._user, "app": APP})
        return [one["id"] for one in found.json()["authentications"]]

    async def is_over(self) -> None:
        """Wait for the last page."""
        await self.popup.wait_for_selector("#done")

    async def has_heard(self, count: int) -> None:
        """Wait for so many messages."""
        await self._page.wait_for_function("count => heard.length >= count", arg=count)

    async def is_gone(self) -> None:
        """Wait until the popup is closed, whatever its page says, and whoever opened it can know."""

        async def is_closed() -> bool:
            return self.popup.is_closed()

        await come_true(is_closed, what="the popup closes")
        await self.comes_to_read_closed()


@pytest.fixture(name="address", scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a simulator is."""
    with a_simulator(tmp_path_factory.mktemp("simulator")) as address:
        yield address


@pytest.fixture(name="simulator")
async def control(address: str) -> AsyncIterator[httpx.AsyncClient]:
    """Its control routes."""
    async with httpx.AsyncClient(base_url=address, **PATIENT) as client:
        yield client


async def opened(context: BrowserContext, simulator: httpx.AsyncClient, *, user: str, **switches: object) -> Visit:
    """Open the app's popup for a user, with these switches, and with nobody at the mouse unless they say so."""
    popups = {"account": user, "visitor": "allows", "visitor_ms": 0, **switches}
    for patch in ({"popups": None}, {"popups": popups}):
        (await simulator.patch("/_control/faults", json={"apps": {APP: patch}})).raise_for_status()
    headers = {"Authorization": f"Bearer sim-{user}"}
    app = (await simulator.get("/v2/apps", params={"query": APP}, headers=headers)).json()["data"][0]
    await context.route(OPENER, lambda route: route.fulfill(body=OPENS, content_type="text/html"))
    page = await context.new_page()
    await page.goto(f"{OPENER}#{app['links']['connect_new_authentication']}")
    async with page.expect_popup() as opening:
        await page.click("button")
    return Visit(page, await opening.value, simulator=simulator, user=user)


async def test_a_popup_tells_the_page_that_opened_it(context: BrowserContext, simulator: httpx.AsyncClient) -> None:
    """Once, from Zapier's origin, with the id of what the user has connected."""
    visit = await opened(context, simulator, user="pat", visitor="person")
    await visit.popup.click("#continue")
    login = await visit.popup.evaluate("location.origin")
    await visit.popup.click("#allow")
    await visit.has_heard(1)
    (id_,) = await visit.ids()

    assert login != str(simulator.base_url)
    assert await visit.heard() == [{"origin": str(simulator.base_url), "isPopup": True, "id": id_, "size": 0}]
    assert not await visit.reads_closed()


@pytest.mark.parametrize(
    ("hop", "policy"),
    [("first", "same-origin-allow-popups"), ("middle", "same-origin"), ("last", "noopener-allow-popups")],
)
async def test_any_page_with_a_policy_cuts_the_popup_off(
    context: BrowserContext, simulator: httpx.AsyncClient, hop: str, policy: str
) -> None:
    """It reads as closed while it is open, no message comes, and the account is connected all the same."""
    visit = await opened(context, simulator, user=f"cut-{hop}-{policy}", coop={hop: policy})
    await visit.is_over()

    await expect(visit.popup.get_by_text("cannot be told")).to_be_visible()
    await visit.comes_to_read_closed()
    assert await visit.heard() == []
    assert len(await visit.ids()) == 1


async def test_only_one_of_many_messages_comes_from_the_popup_and_from_zapier(
    context: BrowserContext, simulator: httpx.AsyncClient
) -> None:
    """A frame and another window have the right origin, the login page is the right window; all name a wrong id."""
    body = {"user": "spoofed", "app": APP}
    wrong = (await simulator.post("/_control/authentications", json=body)).json()["id"]
    visit = await opened(context, simulator, user="spoofed", login="new", spoofs=["frame", "window", "origin"])
    await visit.is_over()
    await visit.popup.click("#done")
    await visit.has_heard(4)
    zapier = str(simulator.base_url)
    heard = [(one["origin"] == zapier, one["isPopup"], one["id"]) for one in await visit.heard()]

    assert heard == [
        (False, True, wrong),
        (True, False, wrong),
        (True, False, wrong),
        (True, True, (await visit.ids())[1]),
    ]


async def test_a_message_can_come_late_twice_and_be_big(context: BrowserContext, simulator: httpx.AsyncClient) -> None:
    """A megabyte arrives as one."""
    switches = {"message_after_ms": 400, "message_times": 2, "message_bytes": 1_000_000}
    visit = await opened(context, simulator, user="late", **switches)
    await visit.is_over()
    last_page_began: float = await visit.popup.evaluate("performance.timeOrigin")
    await visit.has_heard(2)

    assert min(await visit.times()) >= last_page_began + 400
    assert [one["size"] for one in await visit.heard()] == [1_000_000, 1_000_000]


@pytest.mark.parametrize("coop", [{}, {"middle": "same-origin"}], ids=["reachable", "cut off"])
async def test_the_last_page_can_close_itself(
    context: BrowserContext, simulator: httpx.AsyncClient, coop: dict[str, str]
) -> None:
    """Also where the page behind it cannot be told any more."""
    visit = await opened(context, simulator, user=f"closing-{len(coop)}", closes_after_ms=0, coop=coop)
    await visit.is_gone()
    await visit.has_heard(0 if coop else 1)

    assert len(await visit.heard()) == (0 if coop else 1)
    assert len(await visit.ids()) == 1


@pytest.mark.parametrize(("visitor", "closes"), [("closes", True), ("denies", False), ("stays", False)])
async def test_a_user_can_give_up(
    context: BrowserContext, simulator: httpx.AsyncClient, visitor: str, closes: bool
) -> None:
    """By closing the window, by denying, or by going away: nothing is connected and nobody is told."""
    visit = await opened(context, simulator, user=f"who-{visitor}", visitor=visitor)
    if closes:
        await visit.is_gone()
    else:
        await visit.popup.wait_for_selector("#done" if visitor == "denies" else "#allow")

    assert (await visit.heard(), await visit.ids(), await visit.reads_closed()) == ([], [], closes)


async def test_a_browser_that_is_somebody_else_can_be_switched(
    context: BrowserContext, simulator: httpx.AsyncClient
) -> None:
    """The popup's first page says who it is signed in as, and leads to a page that changes that."""
    visit = await opened(context, simulator, user="owner", account="somebody-else", visitor="person")
    popup = visit.popup
    said = await popup.text_content("main")
    await popup.click("#switch")
    await popup.fill("#account", "owner")
    await popup.click("#sign-in")
    await popup.click("#continue")
    await popup.click("#allow")
    await visit.has_heard(1)
    (id_,) = await visit.ids()

    assert "Signed in to Zapier as somebody-else" in (said or "")
    assert [one["id"] for one in await visit.heard()] == [id_]


@pytest.mark.parametrize(("name", "is_one"), [("ada", True), ("ada.l-1_x", True), ("a b", False), ("sim-ada", False)])
async def test_the_browser_itself_checks_the_name_of_an_account(
    context: BrowserContext, address: str, name: str, is_one: bool
) -> None:
    """Its pattern is one that browsers understand: what they do not, they ignore."""
    page = await context.new_page()
    await page.goto(f"{address}/engine/account")
    await page.fill("#account", name)

    assert await page.locator("#account").evaluate("(field) => field.validity.valid") is is_one
