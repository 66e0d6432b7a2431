"""The comparison of two pages that open the same popup."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, expect

from tests.acceptance.installation import Installation
from tests.browser.comparison import A_CHECK_MS, Comparison, signs_in, walk

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
async def nothing_goes_wrong_afterwards(installation: Installation) -> AsyncIterator[None]:
    """What the page has set in the simulator is taken back."""
    yield
    async with installation.simulator() as simulator:
        (await simulator.delete("/_control/faults")).raise_for_status()


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_one_page_gives_up_what_the_other_finds(
    chromium: Browser, installation: Installation, theme: Literal["light", "dark"]
) -> None:
    """Left the account is lost, right it is connected, each its own user's; axe finds nothing in any state."""
    context = await chromium.new_context(color_scheme=theme, reduced_motion="reduce")
    comparison = await Comparison.opened(context, installation.variables)
    found = {state: (await Axe().run(comparison.page)).generate_snapshot() async for state in walk(comparison)}

    assert found == dict.fromkeys(["new", "ready", "gave-up", "waiting", "checking", "connected"], "")
    assert await comparison.side("left").get_attribute("data-show") == "gave-up"
    assert await comparison.side("right").get_attribute("data-show") == "resolved"
    assert [await comparison.account("left")] == await comparison.connected("left")
    assert [await comparison.account("right")] == await comparison.connected("right")
    assert (comparison.errors, await comparison.violations()) == ([], [])
    await context.close()


async def test_who_only_looks_leaves_nothing_behind(context: BrowserContext, installation: Installation) -> None:
    """Sessions are made for those who begin, and for those who begin again at once."""
    comparison = await Comparison.opened(context, installation.variables)
    made: list[str] = []
    comparison.page.on("request", lambda sent: made.append(sent.url) if sent.method != "GET" else None)
    await comparison.page.reload(wait_until="networkidle")
    await comparison.shows("left", "new")
    before = len(made)
    await comparison.starts()
    await comparison.page.get_by_role("button", name="Skip this one").click()
    sessions = sum(url.endswith("/dev/session") for url in made)
    await comparison.page.get_by_role("button", name="Begin again").click()
    await comparison.shows("left", "ready")

    assert (before, sessions, sum(url.endswith("/dev/session") for url in made)) == (0, 2, 4)
    assert "#" not in comparison.page.url


async def test_it_resolves_with_the_tab_closed_and_the_worker_killed(
    context: BrowserContext, installation: Installation
) -> None:
    """Who opens the page again, without its address, sees what became of it meanwhile."""
    comparison = await Comparison.opened(context, installation.variables)
    await comparison.starts()
    await comparison.page.get_by_role("button", name="Skip this one").click()
    popup = await comparison.is_cut_off("right")
    await comparison.shows("right", "checking")
    async with comparison.page.expect_event("close"):
        await comparison.page.close(run_before_unload=True)
    os.kill(installation.pids["worker-1"], signal.SIGKILL)
    await signs_in(popup)
    again = await Comparison.opened(context, installation.variables)
    await again.shows("right", "resolved", within_ms=A_CHECK_MS)

    assert [await again.account("right")] == await again.connected("right")
    assert "This page was closed" in await again.side("right").inner_text()


async def test_it_can_be_walked_through_by_keyboard(context: BrowserContext, installation: Installation) -> None:
    """The focus is never lost with a button that goes away, and what happens is said."""
    comparison = await Comparison.opened(context, installation.variables)
    page = comparison.page
    await comparison.side("left").get_by_role("button", name="Begin").focus()
    await page.keyboard.press("Enter")
    await comparison.shows("left", "ready")
    await expect(comparison.side("left").get_by_role("button", name="Connect Salesforce")).to_be_focused()
    async with page.expect_popup() as opening:
        await page.keyboard.press("Enter")
    popup = await opening.value
    await popup.wait_for_selector("#continue")
    focused = await page.evaluate("document.activeElement.id")
    await popup.keyboard.press("Tab")
    await popup.keyboard.press("Enter")
    await comparison.shows("left", "gave-up")

    assert focused == "left-title"
    assert await page.text_content("#told") == "The published snippet: Gave up, and stopped listening."
