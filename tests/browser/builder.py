"""The demo builder in one tab, used as a person uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx
from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.browser.scenes import SOON_MS, press_if_there
from tests.support.patience import PATIENT

_LISTEN: Final = """
globalThis.violations = [];
addEventListener("securitypolicyviolation", ({ blockedURI, violatedDirective, sample }) =>
  violations.push(`${violatedDirective}: ${blockedURI} ${sample}`));
"""
MOST_STOPS: Final = 80


@dataclass
class Builder:
    """One tab. `complaints` is what the browser had to say about the page."""

    page: Page
    api_url: str
    simulator_url: str
    complaints: list[str]

    @classmethod
    async def opened(cls, context: BrowserContext, variables: Mapping[str, str], *, fragment: str = "") -> Builder:
        """Open it in a new tab, at the welcome or at a session."""
        page = await context.new_page()
        builder = cls(page, variables["ZAPWRIGHT_API_URL"], variables["SIMULATOR_URL"], [])
        page.on("pageerror", lambda error: builder.complaints.append(str(error)))
        page.on("console", lambda said: builder.complaints.append(said.text) if said.type == "error" else None)
        await page.add_init_script(_LISTEN)
        await page.goto(f"{builder.api_url}/demo{fragment}")
        return builder

    async def violations(self) -> list[str]:
        """Return what the page did against its policy."""
        found: list[str] = await self.page.evaluate("violations")
        return found

    async def begin(self, user: str, *apps: str) -> None:
        """Start a Zap of this user, and give its steps these apps."""
        await self.page.get_by_label("Who is building?").fill(user)
        await self.page.get_by_role("button", name="Start a Zap").click()
        await expect(self.step(1)).to_be_visible()
        for number, app in enumerate(apps, start=1):
            if number > await self.page.locator(".step").count():
                await self.page.get_by_role("button", name="Add a step").click()
                await expect(self.step(number)).to_be_visible()
            await self.choose_app(number, app)

    @property
    def session_id(self) -> str:
        """Return which session the address names."""
        return self.page.url.partition("#")[2]

    def step(self, number: int) -> Locator:
        """Return a step's card; the first is 1."""
        return self.page.locator(".step").nth(number - 1)

    def button(self, number: int, name: str) -> Locator:
        """Return a button of a step's card."""
        return self.step(number).get_by_role("button", name=name)

    async def shows(self, number: int, show: str, *, within_s: float = SOON_MS / 1_000) -> None:
        """Wait until a step shows this."""
        await expect(self.step(number)).to_have_attribute("data-show", show, timeout=within_s * 1_000)

    async def choose_app(
        self, number: int, title: str, *, instead_of: str | None = None, is_finished: bool = False
    ) -> None:
        """Search for an app and take it; who has finished the step is asked first."""
        if instead_of:
            await self.button(number, "Change the app").click()
        field = self.step(number).get_by_role("combobox", name=f"Instead of {instead_of}" if instead_of else "App")
        await field.fill(title)
        await self.step(number).get_by_role("option", name=title).first.click()
        if is_finished:
            await self.button(number, f"Change to {title}").click()
        await expect(self.step(number).get_by_role("heading", level=2)).to_contain_text(title)

    async def choose_action(self, number: int, title: str) -> None:
        """Say what a settled step should do."""
        await self.action(number).select_option(label=title)

    def action(self, number: int) -> Locator:
        """Return where a settled step says what it does; the first, what starts the Zap."""
        return self.step(number).get_by_label("Trigger" if number == 1 else "Action")

    async def says_it_has_finished(self, number: int) -> None:
        """Press the button for it, if it is still there: the page may have found the account by itself."""
        await press_if_there(self.button(number, "I’ve finished"))

    async def open_popup(self, number: int) -> Page:
        """Open a step's popup by its button."""
        async with self.page.expect_popup() as opening:
            await self.button(number, "Connect ").click()
        return await opening.value

    async def patch_faults(self, faults: Mapping[str, Any]) -> None:
        """Change the simulator's switches by a merge patch."""
        await self._control("PATCH", "faults", faults)

    async def connect_account(self, user: str, app: str, **more: Any) -> dict[str, Any]:
        """Make an authentication, as a popup does that nobody hears of."""
        return await self._control("POST", "authentications", {"user": user, "app": app, **more})

    async def change_account(self, account: str, **what: Any) -> None:
        """Change an authentication at Zapier."""
        await self._control("PATCH", f"authentications/{quote(account)}", what)

    async def delete_account(self, account: str) -> None:
        """Delete an authentication at Zapier."""
        await self._control("DELETE", f"authentications/{quote(account)}")

    async def _control(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=self.simulator_url, **PATIENT) as simulator:
            answer = await simulator.request(method, f"/_control/{path}", json=body)
        done: dict[str, Any] = answer.raise_for_status().json() if answer.content else {}
        return done


def refusals(page: Page) -> list[str]:
    """Return what will be the references of requests that are refused because of what they hold."""
    found: list[str] = []
    page.on("response", lambda got: found.append(got.headers["zapwright-reference"]) if got.status == 422 else None)
    return found


async def walk_through(popup: Page) -> None:
    """Go through a popup's pages, as somebody who connects."""
    await popup.locator("#continue").click()
    await popup.locator("#allow").click()


async def sign_in(page: Page, account: str, *, answer: str = "#allow") -> None:
    """Go through the pages on which a user lets a client act for them."""
    await page.fill("#account", account)
    await page.click("#sign-in")
    await page.click(answer)


async def tab_to(page: Page, target: Locator, *, backwards: bool = False) -> None:
    """Move the focus by the Tab key until it is there."""
    for _ in range(MOST_STOPS):
        if await target.evaluate("(element) => element === document.activeElement"):
            return
        await page.keyboard.press("Shift+Tab" if backwards else "Tab")
    raise AssertionError(f"no Tab leads to {target}")


async def press(page: Page, target: Locator, *, backwards: bool = False) -> None:
    """Go to a button by the Tab key and press Enter."""
    await tab_to(page, target, backwards=backwards)
    await page.keyboard.press("Enter")
