"""The connect page, in Chromium: from a link in somebody's hand to an account at Zapier."""

from __future__ import annotations

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.connect_page import FOUND_MS, NO_POPUPS, another, faults, linked, opened
from tests.browser.product import Product

pytestmark = pytest.mark.browser


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


async def test_the_demo_says_who_asks(context: BrowserContext, product: Product) -> None:
    """By a name of its own, where whoever runs it gave none."""
    link = await linked(product, "page-who", "Slack")
    page = await context.new_page()
    await page.goto(link.url)

    await expect(page.locator("main")).to_contain_text("Zapwright demo asks you to connect your Slack account.")


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


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_and_the_policy_is_kept(chromium: Browser, product: Product, theme: str) -> None:
    """Neither where the page is written by us, nor where its script goes on; nothing asks for more than is allowed."""
    user = f"page-axe-{theme}"
    link = await linked(product, user, "Slack", return_url=f"{product.origin}/back")
    own, other = [await chromium.new_context(color_scheme=theme, reduced_motion="reduce") for _ in range(2)]  # type: ignore[arg-type]
    violations: list[str] = []
    pages = [await context.new_page() for context in (own, other)]
    for page in pages:
        page.on("console", lambda said: violations.append(said.text) if "Content Security" in said.text else None)
        await page.goto(link.url)
    page, waiting = pages
    found = {"ask": await axe(page)}
    await page.click("#continue")
    await waiting.reload()
    found["elsewhere"] = await axe(waiting)
    await waiting.click("#continue")
    found["waiting"] = await axe(waiting)
    await expect(page.get_by_role("button", name="Connect Slack")).to_be_visible(timeout=FOUND_MS)
    found["ready"] = await axe(page)
    async with page.expect_popup() as opening:
        await page.get_by_role("button", name="Connect Slack").click()
    popup = await opening.value
    await expect(page.get_by_role("button", name="I’ve finished")).to_be_visible(timeout=FOUND_MS)
    found["popup"] = await axe(page)
    await popup.click("#continue")
    await popup.click("#allow")
    await expect(page.locator("h1")).to_have_text("Slack is connected", timeout=FOUND_MS)
    found["done"] = await axe(page)
    for context in (own, other):
        await context.close()

    assert found == dict.fromkeys(found, "")
    assert violations == []


async def axe(page: Page) -> str:
    """Return what axe has to say against a page."""
    found: str = (await Axe().run(page)).generate_snapshot()
    return found
