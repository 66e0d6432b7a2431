"""Popups, in Chromium."""

from __future__ import annotations

import httpx
import pytest
from playwright.async_api import BrowserContext, expect

from tests.browser.product import Product
from tests.support.patience import PATIENT

pytestmark = pytest.mark.browser


async def test_a_popup_whose_message_is_lost_is_found_when_the_user_says_so(
    context: BrowserContext, product: Product
) -> None:
    """The page needs no message: the user's word is a reason to look, and the popup is closed when all is done."""
    session = await product.session("ada", "Slack")
    page = await context.new_page()
    await page.goto(product.page(session))
    row = page.locator(f"#{session['steps'][0]['id']}")
    await expect(row).to_have_attribute("data-show", "ready")
    async with page.expect_popup() as opening:
        await row.locator(".connect").click()
    popup = await opening.value
    await expect(row).to_have_attribute("data-show", "waiting")
    await _connect_account(product, "ada", "Slack")
    async with popup.expect_event("close"):
        await row.locator(".finished").click()

        await expect(row).to_have_attribute("data-show", "resolved")


async def _connect_account(product: Product, user: str, app: str) -> None:
    async with httpx.AsyncClient(base_url=product.simulator_url, **PATIENT) as simulator:
        made = await simulator.post("/_control/authentications", json={"user": user, "app": app})
    made.raise_for_status()
