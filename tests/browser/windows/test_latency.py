"""How soon a page shows the result once its popup's last page has posted it."""

from __future__ import annotations

import statistics
from typing import Any, Final

import pytest
from playwright.async_api import Browser

from orchestrator.core.schedule import CLOSED_WAIT
from tests.browser.product import Product
from tests.browser.scenes import scene, walk_to_login

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROUNDS: Final = 5
SOON_MS: Final = CLOSED_WAIT / 2
"""Long before the schedule alone would look.

150 ms are promised where nothing else keeps the machine busy; what is measured is printed.
"""


async def test_a_message_is_shown_as_a_result_soon(chromium: Browser, product: Product, record_property: Any) -> None:
    """The message, the signal, Zapier's listing, the commit, the stream and the page's own work are all in it."""
    took = []
    for _ in range(ROUNDS):
        async with scene(product, chromium, "Slack") as meant:
            tab = await meant.tab()
            await tab.shows("ready")
            popup = await tab.connect()
            await walk_to_login(popup)
            await popup.locator("#allow").click()
            await tab.shows("resolved")
            shown = (await tab.seen())[-1]["at"]
            took.append(shown - await tab.page.evaluate("heard.message"))
    median = statistics.median(took)
    rounds = " ".join(f"{ms:.0f}" for ms in sorted(took))
    record_property("table", f"from the message to the result: median {median:.0f} ms, promised 150 ms ({rounds})")

    assert median <= SOON_MS
