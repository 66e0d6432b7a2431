"""The comparison of two pages that open the same popup."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import BrowserContext

from tests.acceptance.installation import Installation
from tests.browser.comparison import A_CHECK_MS, Comparison, signs_in, walk

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
async def nothing_goes_wrong_afterwards(installation: Installation) -> AsyncIterator[None]:
    """What the page has set in the simulator is taken back."""
    yield
    async with installation.simulator() as simulator:
        (await simulator.delete("/_control/faults")).raise_for_status()


async def test_one_page_gives_up_what_the_other_finds(context: BrowserContext, installation: Installation) -> None:
    """Left the account is lost, right it is connected, each its own user's."""
    comparison = await Comparison.opened(context, installation.variables)
    states = [state async for state in walk(comparison)]

    assert states == ["ready", "gave-up", "waiting", "checking", "connected"]
    assert await comparison.side("left").get_attribute("data-show") == "gave-up"
    assert await comparison.side("right").get_attribute("data-show") == "resolved"
    assert [await comparison.account("left")] == await comparison.connected("left")
    assert [await comparison.account("right")] == await comparison.connected("right")
    assert (comparison.errors, await comparison.violations()) == ([], [])


async def test_it_resolves_with_the_tab_closed_and_the_worker_killed(
    context: BrowserContext, installation: Installation
) -> None:
    """Who opens the page again, without its address, sees what became of it meanwhile."""
    comparison = await Comparison.opened(context, installation.variables)
    await comparison.page.get_by_role("button", name="Skip this one").click()
    popup = await comparison.is_cut_off("right")
    await comparison.shows("right", "checking")
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
    await comparison.shows("left", "ready")
    await comparison.side("left").get_by_role("button", name="Connect HubSpot").focus()
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
