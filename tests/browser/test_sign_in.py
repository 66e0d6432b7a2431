"""Signing in to Zapier, in Chromium: with a popup or the whole page, and never in anybody else's browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from tests.acceptance.installation import Installation
from tests.browser.builder import Builder, sign_in
from tests.browser.connect_page import FOUND_MS, NO_POPUPS, linked, opened
from tests.browser.product import Product
from tests.support.patience import PATIENT

pytestmark = pytest.mark.browser

BUTTON: Final = """async ([api, session, user]) => {
  const { createSignIn } = await import(`${api}/web/sign-in.js`);
  const place = `/token?${new URLSearchParams({ session, user })}`;
  const signIn = createSignIn({ getToken: () => fetch(place, { method: "POST" }).then((answer) => answer.json()) });
  const button = Object.assign(document.createElement("button"), { id: "zapier", onclick: signIn.signIn });
  button.textContent = "Zapier";
  signIn.subscribe(() => (button.dataset.state = signIn.getSnapshot().state));
  document.body.append(button);
  globalThis.signIn = signIn;
}"""

EAVESDROP: Final = """address => {
  globalThis.heard = [];
  addEventListener("message", ({ data }) => heard.push(data));
  open(address);
}"""


@pytest.fixture(autouse=True)
async def _put_right(installation: Installation) -> AsyncIterator[None]:
    """Have nothing go wrong afterwards that a test had go wrong."""
    yield
    await switched(installation, sign_in=None)


async def switched(installation: Installation, **switches: Any) -> None:
    """Set what goes wrong at Zapier."""
    async with httpx.AsyncClient(base_url=installation.variables["SIMULATOR_URL"], **PATIENT) as simulator:
        (await simulator.patch("/_control/faults", json=switches)).raise_for_status()


async def begun(context: BrowserContext, installation: Installation, user: str) -> Builder:
    """Begin a Zap of a user whom Zapier does not know yet."""
    builder = await Builder.opened(context, installation.variables)
    await builder.page.get_by_label("Signed in to Zapier already").uncheck()
    await builder.begin(user)
    await expect(builder.page.locator(".banner")).to_contain_text("Sign in to Zapier")
    return builder


async def test_who_is_not_signed_in_is_asked_to_be_once_and_calmly(
    context: BrowserContext, installation: Installation
) -> None:
    """Nothing went wrong: nothing is red, there is nothing to quote, and steps say when they go on."""
    builder = await begun(context, installation, "si-new")
    steps = builder.page.locator(".step")

    await expect(builder.page.get_by_text("Sign in to Zapier")).to_have_count(2)  # what to do, and the button for it
    await expect(builder.page.locator("[data-tone=bad], .quote")).to_have_count(0)
    await expect(steps.locator(".badge")).to_have_text(["After signing in"] * 2)


async def popup_of(page: Page, button: str = "Sign in to Zapier") -> Page:
    """Press the button that opens the popup."""
    async with page.expect_popup() as opening:
        await page.get_by_role("button", name=button).click()
    return await opening.value


async def account_of(product: Product, session: dict[str, Any]) -> dict[str, Any]:
    """Return what the session shows of its user's credential."""
    answer = await product.backend.get(f"/v1/sessions/{session['id']}")
    return dict(answer.raise_for_status().json()["credential"])


async def signed_out(product: Product, user: str) -> dict[str, Any]:
    """Begin a session of a user who never signed in."""
    made = await product.backend.post("/v1/sessions", json={"user_id": user, "steps": [{}]})
    return dict(made.raise_for_status().json())


async def test_a_user_signs_in_in_a_popup_and_builds_on(context: BrowserContext, installation: Installation) -> None:
    """The popup closes itself, and the page goes on by what it hears of the session."""
    builder = await begun(context, installation, "si-ada")
    popup = await popup_of(builder.page)
    async with popup.expect_event("close", timeout=FOUND_MS):
        await sign_in(popup, "si-ada")

    await expect(builder.page.locator(".banner")).to_have_count(0, timeout=FOUND_MS)
    await expect(builder.page.locator("main")).to_contain_text("s•••@example.test")
    await expect(builder.page.get_by_text("Signed in to Zapier", exact=True)).to_be_visible()
    await builder.choose_app(1, "Slack")
    await builder.shows(1, "ready")
    assert (builder.complaints, await builder.violations()) == ([], [])


async def test_a_popup_that_is_cut_off_signs_in_all_the_same(
    context: BrowserContext, installation: Installation
) -> None:
    """Whatever Zapier's pages do to the window, what came of it is found in the session."""
    await switched(installation, sign_in={"coop": "same-origin"})
    builder = await begun(context, installation, "si-bob")
    popup = await popup_of(builder.page)
    await sign_in(popup, "si-bob")

    await expect(popup.locator("h1")).to_have_text("You are signed in to Zapier", timeout=FOUND_MS)
    await expect(builder.page.locator(".banner")).to_have_count(0, timeout=FOUND_MS)


async def test_the_whole_page_goes_to_zapier_and_comes_back(
    context: BrowserContext, installation: Installation
) -> None:
    """Where popups are blocked; the Zap is the same afterwards, and its address says nothing of all this."""
    await context.add_init_script(NO_POPUPS)
    builder = await begun(context, installation, "si-cam")
    before = builder.page.url
    await builder.page.get_by_role("button", name="Sign in to Zapier").click()
    await builder.page.get_by_role("button", name="Go there in this tab").click()
    await sign_in(builder.page, "si-cam")

    await expect(builder.page).to_have_url(before, timeout=FOUND_MS)
    await expect(builder.page.locator("main")).to_contain_text("s•••@example.test", timeout=FOUND_MS)


async def test_who_denies_is_told_and_may_try_again(context: BrowserContext, installation: Installation) -> None:
    """In the popup, and on the page that opened it."""
    builder = await begun(context, installation, "si-dee")
    popup = await popup_of(builder.page)
    await sign_in(popup, "si-dee", answer="#deny")
    await expect(popup.locator("h1")).to_have_text("You did not allow it")
    await expect(builder.page.get_by_role("alert")).to_contain_text("Nothing has changed")
    found = await Axe().run(popup)
    async with popup.expect_event("close"):
        await popup.evaluate("setTimeout(() => document.querySelector('#close').click())")
    again = await popup_of(builder.page, "Try again")
    await again.click("#allow")

    assert [violation["id"] for violation in found.response["violations"]] == []
    await expect(builder.page.locator(".banner")).to_have_count(0, timeout=FOUND_MS)


async def test_a_products_own_page_signs_its_user_in(context: BrowserContext, product: Product) -> None:
    """On its own origin, under a strict policy, without third-party cookies."""
    session = await signed_out(product, "si-eve")
    page = await context.new_page()
    await page.goto(product.page(session))
    await page.evaluate(BUTTON, [product.api_url, session["id"], "si-eve"])
    async with page.expect_popup() as opening:
        await page.click("#zapier")
    await sign_in(await opening.value, "si-eve")

    await expect(page.locator("#zapier")).to_have_attribute("data-state", "signed-in", timeout=FOUND_MS)
    await expect(page.locator("#status")).to_have_text("live", timeout=FOUND_MS)
    credential = await account_of(product, session)
    assert (credential["state"], credential["account"]) == ("active", "s•••@example.test")


async def test_nobody_signs_in_for_somebody_else(context: BrowserContext, chromium: Browser, product: Product) -> None:
    """An attacker's address, and what Zapier gave an attacker's browser, do nothing in a victim's."""
    theirs = await signed_out(product, "si-mallory")
    attacker = await context.new_page()
    victims = await chromium.new_context()
    victim = await victims.new_page()
    await _name_of(victim, product)  # it has been here before, and has a cookie
    name = await _name_of(attacker, product)
    address = await _address_for(product, "si-mallory", name)

    await victim.goto(address)
    await expect(victim.locator("h1")).to_have_text("This sign-in belongs to another browser")
    await attacker.goto(address)
    await attacker.fill("#account", "si-mallory")
    await attacker.click("#sign-in")
    stolen: list[str] = []
    await attacker.route("**/oauth/authorize/**", lambda route: _keep(route, stolen))
    async with attacker.expect_response("**/oauth/authorize/**"):
        await attacker.click("#allow")
    await victim.goto(stolen[0])
    await expect(victim.locator("h1")).to_have_text("This sign-in belongs to another browser")
    await victims.close()

    assert "code=" not in victim.url
    assert (await account_of(product, theirs))["state"] == "missing"


async def _keep(route: Route, stolen: list[str]) -> None:
    """Take down where Zapier leads, and stay."""
    answer = await route.fetch(max_redirects=0)
    stolen.append(answer.headers["location"])
    await route.fulfill(status=204)


async def _name_of(page: Page, product: Product) -> str:
    await page.goto(f"{product.api_url}/zapier-sign-in?origin={product.origin}")
    return str(await page.locator("#sign-in").get_attribute("data-browser"))


async def _address_for(product: Product, user: str, browser: str) -> str:
    begun = await product.backend.post(f"/v1/users/{user}/zapier-sign-in", json={"browser": browser})
    return str(begun.raise_for_status().json()["url"])


async def test_a_page_of_another_site_does_not_learn_what_the_browser_is_called(
    context: BrowserContext, product: Product
) -> None:
    """It may open the window, in whoever's name; the message goes to pages of that origin only."""
    page = await context.new_page()
    await page.goto(f"{product.simulator_url}/engine/account")
    async with page.expect_popup() as opening:
        await page.evaluate(EAVESDROP, f"{product.api_url}/zapier-sign-in?origin={product.origin}")
    popup = await opening.value
    await expect(popup.locator("h1")).to_have_text("One moment")
    await popup.wait_for_load_state("networkidle")

    assert await page.evaluate("heard.filter(({ type }) => String(type).startsWith('zapwright'))") == []


async def test_the_connect_page_signs_its_user_in_and_goes_on(
    context: BrowserContext, product: Product, installation: Installation
) -> None:
    """It says what signing in gives away, and to whom."""
    link = await linked(product, "si-fay", "Slack")
    page = await opened(context, link)
    await switched(installation, rules={"si": {"fault": "status", "status": 401, "user": "si-fay", "times": 1}})
    await page.reload()
    await product.backend.get(f"/v1/sessions/{link.session['id']}/apps", params={"query": "slack"})
    await expect(page.locator("main")).to_contain_text("Do so only if you know", timeout=FOUND_MS)
    popup = await popup_of(page)
    await sign_in(popup, "si-fay")

    await expect(page.get_by_role("button", name="Connect Slack")).to_be_visible(timeout=FOUND_MS)
