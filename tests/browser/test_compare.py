"""The comparison of two pages that open the same popup, as its visitor walks through it."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.acceptance.installation import Installation

pytestmark = pytest.mark.browser

#: The waits of the schedule are its own: 20 s after a popup reads closed, or once a page is gone.
A_CHECK_MS = 60_000


@pytest.fixture(name="address")
def comparison(installation: Installation) -> str:
    """Where the page is."""
    return f"{installation.variables['ZAPWRIGHT_API_URL']}/demo/compare"


@pytest.fixture(name="simulator")
async def zapier(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    """What stands for Zapier."""
    async with installation.simulator() as client:
        yield client
        (await client.delete("/_control/faults")).raise_for_status()


async def connected(simulator: httpx.AsyncClient, side: Locator) -> list[str]:
    """Return the ids of what the user who is named on a side has connected."""
    title = await side.locator(".note", has_text="@example.test").inner_text()
    user = title.partition("(")[2].partition("@")[0]
    found = await simulator.get("/_control/authentications", params={"user": user})
    return [one["id"] for one in found.json()["authentications"]]


async def press(page: Page, side: Locator) -> Page:
    """Open a side's popup, and go as far as the login that cuts it off."""
    button = side.get_by_role("button", name="Connect HubSpot")
    await expect(button).not_to_have_attribute("aria-disabled", "true", timeout=20_000)
    async with page.expect_popup() as opening:
        await button.click()
    popup = await opening.value
    await popup.click("#continue")
    await popup.wait_for_selector("#allow")
    return popup


async def sign_in(popup: Page) -> None:
    """Finish in a popup, and close it."""
    await popup.click("#allow")
    await popup.click("#done")


async def test_one_page_gives_up_what_the_other_finds(
    context: BrowserContext, simulator: httpx.AsyncClient, address: str
) -> None:
    """Left the account is lost, right it is connected, each its own user's."""
    page = await context.new_page()
    await page.goto(address)
    left, right = page.locator("#left"), page.locator("#right")

    first = await press(page, left)
    await expect(left).to_have_attribute("data-show", "gave-up")
    await sign_in(first)
    await expect(left).to_contain_text("Zapier has the account", timeout=20_000)

    second = await press(page, right)
    await expect(right).to_have_attribute("data-show", "checking")
    await expect(right).to_contain_text("Next check in")
    await sign_in(second)
    await right.get_by_role("button", name="I have finished").click()
    await expect(right).to_have_attribute("data-show", "resolved", timeout=A_CHECK_MS)

    assert [await left.locator(".id").inner_text()] == await connected(simulator, left)
    assert [await right.locator(".id").inner_text()] == await connected(simulator, right)
    assert await left.get_attribute("data-show") == "gave-up"


async def test_it_resolves_with_the_tab_closed_and_the_worker_killed(
    context: BrowserContext, simulator: httpx.AsyncClient, installation: Installation, address: str
) -> None:
    """Who opens the page again sees what became of it meanwhile."""
    page = await context.new_page()
    await page.goto(address)
    await page.get_by_role("button", name="Skip this one").click()
    popup = await press(page, page.locator("#right"))
    await expect(page.locator("#right")).to_have_attribute("data-show", "checking")
    await page.close(run_before_unload=True)
    os.kill(installation.pids["worker-1"], signal.SIGKILL)
    await sign_in(popup)
    again = await context.new_page()
    await again.goto(address)
    right = again.locator("#right")
    await expect(right).to_have_attribute("data-show", "resolved", timeout=A_CHECK_MS)

    assert [await right.locator(".id").inner_text()] == await connected(simulator, right)
    assert "This page was closed" in await right.inner_text()
