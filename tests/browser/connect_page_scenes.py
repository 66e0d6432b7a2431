"""The connect page in each of its moments."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from playwright.async_api import Page, expect

from tests.browser.connect_page import (
    FOUND_MS,
    NO_POPUPS,
    OWN,
    Link,
    faults,
    filled_in,
    linked,
    loses_its_answer,
    opened,
)
from tests.browser.product import Product
from tests.browser.stages import Shown, Stage, scene
from tests.support.patience import PATIENT

SHORTEST_TTL_S = 60


async def _linked(stage: Stage, app: str = "Slack", **more: Any) -> Link:
    """Have a link whose way back leads to an origin of the installation's own."""
    product = Product(
        stage.variables["ZAPWRIGHT_API_URL"],
        api_url=stage.variables["ZAPWRIGHT_API_URL"],
        api_key=stage.variables["ZAPWRIGHT_API_KEY"],
        simulator_url=stage.variables["SIMULATOR_URL"],
    )
    return await linked(product, stage.user, app, return_url=f"{product.origin}/demo", **more)


async def _connect_account(stage: Stage, app: str) -> None:
    async with httpx.AsyncClient(base_url=stage.variables["SIMULATOR_URL"], **PATIENT) as simulator:
        made = await simulator.post("/_control/authentications", json={"user": stage.user, "app": app})
    made.raise_for_status()


async def _seen(stage: Stage, link: Link) -> Page:
    page = await stage.context.new_page()
    await page.goto(link.url)
    return page


async def _taken(stage: Stage, link: Link) -> None:
    """Have another browser continue first."""
    assert stage.context.browser is not None
    first = await stage.context.browser.new_context()
    await opened(first, link)
    await first.close()


async def _ready(stage: Stage, link: Link, app: str = "Slack") -> Page:
    page = await opened(stage.context, link)
    await expect(page.get_by_role("button", name=f"Connect {app}")).to_be_visible(timeout=FOUND_MS)
    return page


async def _popup(page: Page, app: str = "Slack") -> Page:
    async with page.expect_popup() as opening:
        await page.get_by_role("button", name=f"Connect {app}").click()
    await expect(page.get_by_role("button", name="I’ve finished")).to_be_visible(timeout=FOUND_MS)
    return await opening.value


@scene
async def connect_ask(stage: Stage) -> Shown:
    """Who asks for what."""
    return await _seen(stage, await _linked(stage)), None


@scene
async def connect_elsewhere(stage: Stage) -> Shown:
    """Another browser has the link."""
    link = await _linked(stage)
    await _taken(stage, link)
    return await _seen(stage, link), None


@scene
async def connect_waiting(stage: Stage) -> Shown:
    """This browser waits to be let in."""
    link = await _linked(stage)
    await _taken(stage, link)
    page = await opened(stage.context, link)
    await expect(page.locator("#code")).to_be_visible()
    return page, None


@scene
async def connect_ready(stage: Stage) -> Shown:
    """The link is this browser's."""
    return await _ready(stage, await _linked(stage)), None


@scene
async def connect_accounts(stage: Stage) -> Shown:
    """There are accounts already."""
    await _connect_account(stage, "Slack")
    await _connect_account(stage, "Slack")
    page = await _ready(stage, await _linked(stage))
    await expect(page.get_by_role("button", name="Use").first).to_be_visible(timeout=FOUND_MS)
    return page, None


@scene
async def connect_popup(stage: Stage) -> Shown:
    """A popup is open."""
    page = await _ready(stage, await _linked(stage))
    await _popup(page)
    return page, None


@scene
async def connect_checking(stage: Stage) -> Shown:
    """The popup was cut off."""
    link = await _linked(stage, "Notion")
    await faults(link.product, "Notion", coop={"middle": "same-origin"})
    page = await _ready(stage, link, "Notion")
    popup = await _popup(page, "Notion")
    await popup.click("#continue")
    await expect(page.locator("strong", has_text="No word from the window")).to_be_visible(timeout=FOUND_MS)
    return page, None


@scene
async def connect_blocked(stage: Stage) -> Shown:
    """The browser opens no popup."""
    await stage.context.add_init_script(NO_POPUPS)
    page = await _ready(stage, await _linked(stage))
    await page.get_by_role("button", name="Connect Slack").click()
    await expect(page.get_by_role("link", name="Open it in a new tab")).to_be_visible()
    return page, None


@scene
async def connect_own_app(stage: Stage) -> Shown:
    """An app of the tenant's own, which can be connected by its fields."""
    page = await _ready(stage, await _linked(stage, OWN), OWN)
    return page, await filled_in(page, password="battery-staple", username="ada")


@scene
async def connect_not_made(stage: Stage) -> Shown:
    """Zapier does not take what was filled in."""
    page = await _ready(stage, await _linked(stage, OWN), OWN)
    form = await filled_in(page, password="wrong-horse", username="ada")
    await form.get_by_role("button", name="Connect with these").click()
    await expect(form.locator(".flaw")).to_be_visible(timeout=FOUND_MS)
    return page, None


@scene
async def connect_unanswered(stage: Stage) -> Shown:
    """Zapier's answer to what was filled in is lost, and looked for."""
    link = await _linked(stage, OWN)
    await loses_its_answer(link.product, stage.user, when="before")
    page = await _ready(stage, link, OWN)
    form = await filled_in(page, password="battery-staple", username="ada")
    await form.get_by_role("button", name="Connect with these").click()
    await expect(form).to_have_count(0, timeout=FOUND_MS)
    await expect(page.locator(".note")).to_contain_text("Next check in", timeout=FOUND_MS)
    return page, None


@scene
async def connect_offline(stage: Stage) -> Shown:
    """The API cannot be reached."""
    page = await _ready(stage, await _linked(stage))
    await stage.context.set_offline(offline=True)
    await expect(page.locator(".note")).to_be_visible(timeout=FOUND_MS)
    return page, None


@scene
async def connect_done(stage: Stage) -> Shown:
    """The account is there."""
    simulator = stage.variables["SIMULATOR_URL"]
    await stage.context.add_cookies([{"name": "zapier_account", "value": stage.user, "url": simulator}])
    page = await _ready(stage, await _linked(stage))
    popup = await _popup(page)
    await popup.click("#continue")
    await popup.click("#allow")
    await expect(page.locator("h1")).to_have_text("Slack is connected", timeout=FOUND_MS)
    return page, None


@scene
async def connect_expired(stage: Stage) -> Shown:
    """Nobody opened it in time."""
    link = await _linked(stage, ttl_s=SHORTEST_TTL_S)
    await asyncio.sleep(SHORTEST_TTL_S)
    return await _seen(stage, link), None


@scene
async def connect_revoked(stage: Stage) -> Shown:
    """The backend took it back."""
    link = await _linked(stage)
    await opened(stage.context, link)
    await stage.api.delete(link.path)
    return await _seen(stage, link), None


@scene
async def connect_replaced(stage: Stage) -> Shown:
    """There is a newer one."""
    link = await _linked(stage)
    await stage.api.post(link.path.rpartition("/")[0], json={"user_id": stage.user})
    return await _seen(stage, link), None


@scene
async def connect_over(stage: Stage) -> Shown:
    """The session was given up."""
    link = await _linked(stage)
    await stage.api.delete(f"/v1/sessions/{link.session['id']}")
    return await _seen(stage, link), None


@scene
async def connect_unknown(stage: Stage) -> Shown:
    """The address lacks a part."""
    link = await _linked(stage)
    page = await stage.context.new_page()
    await page.goto(link.url[:-4])
    return page, None


@scene
async def connect_sign_in(stage: Stage) -> Shown:
    """The user's token is no longer good, and must be replaced before anything can be connected."""
    link = await _linked(stage)
    page = await _ready(stage, link)
    rule = {"fault": "status", "status": 401, "user": stage.user, "times": 1}
    async with httpx.AsyncClient(base_url=stage.variables["SIMULATOR_URL"], **PATIENT) as simulator:
        await simulator.patch("/_control/faults", json={"rules": {f"signed-out-{stage.user}": rule}})
    await stage.api.get(f"/v1/sessions/{link.session['id']}/apps", params={"query": "slack"})
    await expect(page.get_by_role("button", name="Sign in to Zapier")).to_be_visible()
    return page, None
