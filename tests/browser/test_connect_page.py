"""The connect page, in Chromium: from a link in somebody's hand to an account at Zapier."""

from __future__ import annotations

from typing import Final

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.acceptance.installation import Installation
from tests.browser.builder import refusals
from tests.browser.connect_page import (
    FOUND_MS,
    NO_POPUPS,
    OWN,
    another,
    faults,
    filled_in,
    linked,
    loses_its_answer,
    opened,
)
from tests.browser.product import Product
from tests.browser.scenes import found_by_operators, press_if_there

pytestmark = pytest.mark.browser

KEPT: Final = "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
TYPED: Final = "[...document.querySelectorAll('input')].map(({ value }) => value).join(' ')"
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}


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
    finished = page.get_by_role("button", name="I’ve finished")
    await expect(finished).to_be_visible(timeout=FOUND_MS)
    await popup.click("#allow")
    await popup.wait_for_selector("#done")
    await press_if_there(finished)

    await expect(page.locator("h1")).to_have_text("Google Sheets is connected", timeout=FOUND_MS)
    await product.popups(**{"Google Sheets": {}})


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


async def test_an_own_app_is_connected_by_its_fields(  # noqa: PLR0915 - one story
    chromium: Browser, product: Product, installation: Installation
) -> None:
    """By keyboard, on a dark phone, whose connection is lost for a while: what was typed stays.

    What is wrong stands at its field; what is secret stays nowhere once it is sent.
    """
    context = await chromium.new_context(color_scheme="dark", reduced_motion="reduce", viewport=PHONE)
    link = await linked(product, "page-own", OWN)
    page = await opened(context, link)
    bodies: list[str] = []
    page.on("request", lambda sent: bodies.append(sent.post_data or "") if sent.method == "POST" else None)
    refused = refusals(page)
    form = await filled_in(page, password="wrong-horse")
    await context.set_offline(True)
    await expect(page.locator(".card")).to_have_attribute("data-show", "offline", timeout=FOUND_MS)
    await context.set_offline(False)
    await expect(form).to_be_visible(timeout=FOUND_MS)
    found = [await axe(page)]
    password = form.get_by_label("Password", exact=True)
    await expect(password).to_have_attribute("type", "password")
    await password.press("Enter")
    await expect(password).to_have_value("")
    await expect(password).to_be_focused(timeout=FOUND_MS)
    await expect(password).to_have_accessible_description("This is not accepted.")
    await expect(form.get_by_label("Username", exact=True)).to_have_value("ann")
    await expect(page.locator(".note")).to_contain_text("Acme Orders was not connected")
    found.append(await axe(page))
    width = await page.evaluate("document.documentElement.scrollWidth")
    quoted = await page.locator("main .mono").inner_text()
    await page.keyboard.type("battery-staple")
    await expect(password).not_to_have_attribute("aria-invalid", "true")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("Acme Orders is connected", timeout=FOUND_MS)
    left = await page.evaluate(KEPT) + await page.evaluate(TYPED) + await page.content()
    await context.close()

    assert found == ["", ""]
    assert width <= PHONE["width"]
    assert [quoted] == refused
    assert await found_by_operators(installation, quoted) == link.session["id"]
    assert [secret for secret in ("wrong-horse", "battery-staple") if secret in left] == []
    assert [sum(secret in body for body in bodies) for secret in ("wrong-horse", "battery-staple")] == [1, 1]


async def test_a_lost_answer_to_what_was_filled_in_is_found(context: BrowserContext, product: Product) -> None:
    """The page says that nothing is sent again, and offers no form meanwhile; what Zapier makes then is found."""
    await loses_its_answer(product, "page-lost", when="before")
    page = await opened(context, await linked(product, "page-lost", OWN))
    form = await filled_in(page, password="battery-staple")
    await form.get_by_role("button", name="Connect with these").click()
    note = page.locator(".note", has_text="Waiting for Zapier’s answer")
    await expect(note).to_contain_text("it is not sent again", timeout=FOUND_MS)
    await expect(note).to_contain_text("Next check in", timeout=FOUND_MS)
    await expect(form).to_have_count(0)
    assert "battery-staple" not in await page.evaluate(TYPED)
    await product.connect_account("page-lost", OWN)
    await expect(page.locator("h1")).to_have_text("Acme Orders is connected", timeout=FOUND_MS)

    assert len(await product.accounts("page-lost", OWN)) == 1


async def test_a_page_that_gets_no_answer_says_so_and_goes_on(
    context: BrowserContext, product: Product, installation: Installation
) -> None:
    """With what operators find the session by, whether or not the page knew of its step already."""
    link = await linked(product, "page-away", "Slack")
    await context.route("**/client-token", lambda route: route.fulfill(status=503, json={}))
    page = await opened(context, link)
    trouble = page.locator(".note", has_text="This does not work right now")
    await expect(trouble).to_be_visible(timeout=FOUND_MS)
    quoted = await page.locator("main .mono").inner_text()
    await context.unroute("**/client-token")
    await expect(page.get_by_role("button", name="Connect Slack")).to_be_visible(timeout=FOUND_MS)
    await context.set_offline(True)
    await expect(trouble).to_be_visible(timeout=FOUND_MS)
    await expect(page.locator("main .mono")).to_have_text(quoted)
    await context.set_offline(False)
    await expect(page.get_by_role("button", name="Connect Slack")).to_be_visible(timeout=FOUND_MS)

    assert await found_by_operators(installation, quoted) == link.session["id"]


async def test_what_cannot_be_read_is_read_again_when_the_user_says_so(
    context: BrowserContext, product: Product
) -> None:
    """What the app asks for is not known before; the popup is offered meanwhile."""
    busy = {"code": "upstream_busy", "detail": "no room"}
    await context.route("**/authentications", lambda route: route.fulfill(status=503, json=busy))
    page = await opened(context, await linked(product, "page-busy", OWN))
    await expect(page.get_by_role("alert")).to_contain_text("Try again in a moment", timeout=FOUND_MS)
    await expect(page.get_by_role("button", name="Connect Acme Orders")).to_be_visible()
    await context.unroute("**/authentications")
    await page.get_by_role("button", name="Look again").click()

    await expect(page.get_by_role("form")).to_be_visible(timeout=FOUND_MS)
    await expect(page.get_by_role("alert")).to_have_count(0)


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
    await expect(waiting.locator("#code")).to_be_visible()
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
