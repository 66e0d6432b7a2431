"""The pages around a sign-in to Zapier, in the moments that a user sees longest."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.browser.builder import sign_in
from tests.browser.stages import Shown, Stage, scene


async def _begun(stage: Stage) -> Page:
    """Have a page that knows this browser's name begin a sign-in, and open its address."""
    page = await stage.context.new_page()
    url = stage.variables["ZAPWRIGHT_API_URL"]
    await page.goto(f"{url}/zapier-sign-in?origin={url}")
    name = await page.locator("#sign-in").get_attribute("data-browser")
    await page.goto(await _address(stage, str(name), return_url=f"{url}/demo"))
    return page


async def _address(stage: Stage, browser: str, **wish: str) -> str:
    begun = await stage.api.post(f"/v1/users/{stage.user}/zapier-sign-in", json={"browser": browser, **wish})
    return str(begun.raise_for_status().json()["url"])


@scene
async def signin_done(stage: Stage) -> Shown:
    """What a popup says before it closes itself."""
    page = await stage.context.new_page()
    url = stage.variables["ZAPWRIGHT_API_URL"]
    await page.goto(f"{url}/zapier-sign-in?origin={url}")
    name = await page.locator("#sign-in").get_attribute("data-browser")
    await page.add_init_script("window.close = () => {}")
    await page.goto(await _address(stage, str(name)))
    await sign_in(page, stage.user)
    await expect(page.locator("h1")).to_have_text("You are signed in to Zapier")
    return page, None


@scene
async def signin_denied(stage: Stage) -> Shown:
    """The user did not allow it."""
    page = await _begun(stage)
    await sign_in(page, stage.user, answer="#deny")
    await expect(page.locator("h1")).to_have_text("You did not allow it")
    return page, None


@scene
async def signin_another_browser(stage: Stage) -> Shown:
    """Somebody opens an address that was given to another browser."""
    page = await stage.context.new_page()
    await page.goto(await _address(stage, "0" * 64))
    await expect(page.locator("h1")).to_have_text("This sign-in belongs to another browser")
    return page, None
