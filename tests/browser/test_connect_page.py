"""The connect page, in Chromium: from a link in somebody's hand to an account at Zapier."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.product import Product

pytestmark = pytest.mark.browser

FOUND_MS: Final = 20_000
"""The longest that Zapier may be asked for what a popup did not say, on a busy machine."""

NO_POPUPS: Final = "window.open = () => null"


class Link:
    """A connect link that the product's backend made for one of its users."""

    def __init__(self, product: Product, session: dict[str, Any], made: dict[str, Any]) -> None:
        self._product = product
        self.session = session
        self.url: str = made["url"]
        self.path = f"/v1/sessions/{session['id']}/steps/{made['step_id']}/connect-links/{made['id']}"

    async def read(self) -> dict[str, Any]:
        """Return the session as it is."""
        answer = await self._product.backend.get(f"/v1/sessions/{self.session['id']}")
        session: dict[str, Any] = answer.json()
        return session

    async def state(self) -> str:
        """Return what the backend is told of the link."""
        answer = await self._product.backend.get(self.path.rpartition("/")[0])
        return str(answer.json()["links"][0]["state"])


async def linked(product: Product, user: str, *apps: str, **more: str) -> Link:
    """Begin a session and make a link for its first step."""
    session = await product.session(user, *apps)
    path = f"/v1/sessions/{session['id']}/steps/{session['steps'][0]['id']}/connect-links"
    made = await product.backend.post(path, json={"user_id": user, **more})
    return Link(product, session, made.raise_for_status().json())


async def another(product: Product, link: Link, step: int) -> Link:
    """Make a link for another step of the same session."""
    path = f"/v1/sessions/{link.session['id']}/steps/{link.session['steps'][step]['id']}/connect-links"
    made = await product.backend.post(path, json={"user_id": link.session["user_id"]})
    return Link(product, link.session, made.raise_for_status().json())


async def faults(product: Product, app: str, **popups: Any) -> None:
    """Have an app's popups go wrong."""
    async with httpx.AsyncClient(base_url=product.simulator_url, trust_env=False) as simulator:
        answer = await simulator.patch("/_control/faults", json={"apps": {app: {"popups": popups}}})
    answer.raise_for_status()


async def opened(context: BrowserContext, link: Link) -> Page:
    """Come by the link, and continue."""
    page = await context.new_page()
    await page.goto(link.url)
    await page.click("#continue")
    return page


async def test_a_link_leads_to_an_account(context: BrowserContext, product: Product) -> None:
    """Continue, connect, sign in, done; then the page's own button leads back, and the link says that it is done."""
    back = f"{product.origin}/back"
    link = await linked(product, "page-ada", "Slack", return_url=back)
    page = await opened(context, link)
    await expect(page.locator("h1")).to_have_text("Connect Slack")
    async with page.expect_popup() as opening:
        await page.get_by_role("button", name="Connect Slack").click()
    popup = await opening.value
    await popup.click("#continue")
    await popup.click("#allow")

    await expect(page.locator("h1")).to_have_text("Slack is connected", timeout=FOUND_MS)
    await expect(page.locator("#back")).to_have_attribute("href", back)
    session = await link.read()
    assert (session["state"], await link.state()) == ("resolved", "done")
    assert session["steps"][0]["authentication"]["title"] in await page.inner_text("main")
    await page.reload()
    await expect(page.locator("h1")).to_have_text("Slack is connected", timeout=FOUND_MS)
    await expect(page.locator("#back")).to_have_count(1)


async def test_a_second_browser_goes_on_once_it_is_let_in(
    context: BrowserContext, chromium: Browser, product: Product
) -> None:
    """By itself; until then it shows a code and nothing of the session."""
    link = await linked(product, "page-bob", "Trello")
    await opened(context, link)
    other = await chromium.new_context()
    waiting = await other.new_page()
    await waiting.goto(link.url)
    await expect(waiting.locator("h1")).to_have_text("This link was opened elsewhere")
    await waiting.click("#continue")
    code = await waiting.inner_text("#code")
    await product.backend.post(f"{link.path}/allow", json={"code": code})

    await expect(waiting.get_by_role("button", name="Connect Trello")).to_be_visible(timeout=FOUND_MS)
    await other.close()


async def test_readers_of_mail_change_nothing(chromium: Browser, product: Product) -> None:
    """Not even one that runs the page's scripts."""
    link = await linked(product, "page-cam", "Gmail")
    before = await link.read()
    scanner = await chromium.new_context()
    page = await scanner.new_page()
    for _ in range(2):
        await page.goto(link.url)
        await page.wait_for_load_state("networkidle")
    await scanner.close()

    assert (await link.state(), await link.read()) == ("new", before)


async def test_a_blocked_popup_becomes_a_tab(context: BrowserContext, product: Product) -> None:
    """By a link that no blocker minds; the page stays and finds the result."""
    link = await linked(product, "page-dee", "HubSpot")
    await context.add_init_script(NO_POPUPS)
    page = await opened(context, link)
    await page.get_by_role("button", name="Connect HubSpot").click()
    tab_link = page.get_by_role("link", name="Open it in a new tab")
    async with context.expect_page() as opening:
        await tab_link.click()
    tab = await opening.value
    await tab.click("#continue")
    await tab.click("#allow")

    await expect(page.locator("h1")).to_have_text("HubSpot is connected", timeout=FOUND_MS)


async def test_a_lost_message_is_found_by_the_page(context: BrowserContext, product: Product) -> None:
    """The app cuts the popup off; the user says that they are done, and the page still ends well."""
    await faults(product, "Google Sheets", coop={"middle": "same-origin"})
    link = await linked(product, "page-eve", "Google Sheets")
    page = await opened(context, link)
    async with page.expect_popup() as opening:
        await page.get_by_role("button", name="Connect Google Sheets").click()
    popup = await opening.value
    await popup.click("#continue")
    (away,) = [one for one in context.pages if one is not page]
    await away.click("#allow")
    await page.get_by_role("button", name="I’ve finished").click()

    await expect(page.locator("h1")).to_have_text("Google Sheets is connected", timeout=FOUND_MS)


async def test_a_link_that_is_taken_back_says_so_while_the_page_is_open(
    context: BrowserContext, product: Product
) -> None:
    """As soon as the page asks for anything."""
    link = await linked(product, "page-fay", "Notion")
    page = await opened(context, link)
    await expect(page.get_by_role("button", name="Connect Notion")).to_be_visible(timeout=FOUND_MS)
    await product.backend.delete(link.path)
    await page.reload()

    await expect(page.locator("h1")).to_have_text("This link is no longer good")
    assert await page.locator("script").count() == 0


async def test_links_for_two_steps_in_one_browser_do_not_mix(context: BrowserContext, product: Product) -> None:
    """Each page follows its own step, though both are of one session."""
    first = await linked(product, "page-gus", "Slack", "Trello")
    slack = await opened(context, first)
    await expect(slack.get_by_role("button", name="Connect Slack")).to_be_visible(timeout=FOUND_MS)
    trello = await opened(context, await another(product, first, 1))
    await expect(trello.get_by_role("button", name="Connect Trello")).to_be_visible(timeout=FOUND_MS)
    async with trello.expect_popup() as opening:
        await trello.get_by_role("button", name="Connect Trello").click()
    popup = await opening.value
    await popup.click("#continue")
    await popup.click("#allow")
    await expect(trello.locator("h1")).to_have_text("Trello is connected", timeout=FOUND_MS)
    await slack.bring_to_front()

    await expect(slack.locator("h1")).to_have_text("Connect Slack")
    await expect(slack.get_by_role("button", name="Connect Slack")).to_be_visible(timeout=FOUND_MS)
