"""The comparison in one tab, walked through as its visitor would."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import httpx
from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.browser.scenes import press_if_there
from tests.support.patience import PATIENT

Side = Literal["left", "right"]

#: The schedule's own waits: 20 s after a popup reads closed, or once a page is gone.
A_CHECK_MS: Final = 60_000
_SOON_MS: Final = 60_000
_LISTEN: Final = """
globalThis.violations = [];
addEventListener("securitypolicyviolation", ({ blockedURI, violatedDirective }) =>
  violations.push(`${violatedDirective}: ${blockedURI}`));
"""


@dataclass
class Comparison:
    """One tab. `errors` is what its scripts threw."""

    page: Page
    simulator_url: str
    errors: list[str]

    @classmethod
    async def opened(cls, context: BrowserContext, variables: Mapping[str, str], *, fragment: str = "") -> Comparison:
        """Open it in a new tab."""
        page = await context.new_page()
        comparison = cls(page, variables["SIMULATOR_URL"], [])
        page.on("pageerror", lambda error: comparison.errors.append(str(error)))
        await page.add_init_script(_LISTEN)
        await page.goto(f"{variables['ZAPWRIGHT_API_URL']}/demo/compare{fragment}")
        return comparison

    def side(self, side: Side) -> Locator:
        """Return one of the two pages."""
        return self.page.locator(f"#{side}")

    async def shows(self, side: Side, show: str, *, within_ms: int = _SOON_MS) -> None:
        """Wait until a side shows this."""
        await expect(self.side(side)).to_have_attribute("data-show", show, timeout=within_ms)

    async def starts(self) -> None:
        """Press the button before which nothing happens."""
        await self.page.get_by_role("button", name="Begin", exact=True).click()
        await self.shows("left", "ready")

    async def begins(self, side: Side) -> Page:
        """Open a side's popup, as soon as that may be done, and return it."""
        button = self.side(side).get_by_role("button", name="Connect Salesforce")
        await expect(button).not_to_have_attribute("aria-disabled", "true", timeout=_SOON_MS)
        async with self.page.expect_popup() as opening:
            await button.click()
        popup = await opening.value
        await popup.wait_for_selector("#continue")
        return popup

    async def is_cut_off(self, side: Side) -> Page:
        """Open a side's popup, go as far as the login, and return it."""
        popup = await self.begins(side)
        await popup.click("#continue")
        await popup.wait_for_selector("#allow")
        return popup

    async def says_it_has_finished(self) -> None:
        """Press the right side's button, if it is still there, and wait until it is connected."""
        await press_if_there(self.side("right").get_by_role("button", name="I’ve finished"))
        await self.shows("right", "resolved", within_ms=A_CHECK_MS)

    async def account(self, side: Side) -> str:
        """Return the id of the account that a side speaks of."""
        return await self.side(side).locator(".id").inner_text()

    async def connected(self, side: Side) -> list[str]:
        """Return the ids of what Zapier has of the user whom a side names."""
        title = await self.side(side).locator(".note", has_text="@example.test").inner_text()
        user = title.partition("(")[2].partition("@")[0]
        async with httpx.AsyncClient(base_url=self.simulator_url, **PATIENT) as simulator:
            found = await simulator.get("/_control/authentications", params={"user": user})
        return [one["id"] for one in found.json()["authentications"]]

    async def violations(self) -> list[str]:
        """Return what the page did against its policy."""
        found: list[str] = await self.page.evaluate("violations")
        return found


async def signs_in(popup: Page) -> None:
    """Finish in a popup, and close it."""
    await popup.click("#allow")
    await popup.wait_for_selector("#done")
    await popup.close()


async def walk(comparison: Comparison) -> AsyncGenerator[str]:
    """Walk through the whole comparison; yield the name of each state that it comes to."""
    await comparison.shows("left", "new")
    yield "new"
    await comparison.starts()
    yield "ready"
    first = await comparison.is_cut_off("left")
    await comparison.shows("left", "gave-up")
    yield "gave-up"
    await signs_in(first)
    await expect(comparison.side("left")).to_contain_text("Zapier has the account", timeout=_SOON_MS)
    second = await comparison.begins("right")
    await comparison.shows("right", "waiting")
    yield "waiting"
    await second.click("#continue")
    await comparison.shows("right", "checking")
    await expect(comparison.side("right")).to_contain_text("Next check in", timeout=_SOON_MS)
    yield "checking"
    await signs_in(second)
    await comparison.says_it_has_finished()
    yield "connected"
