"""The dashboard as an operator has it, and what makes an incident of an installation."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import redis.asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from orchestrator.core.health import Fate, Popups
from orchestrator.core.session import BrowserFamily
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.store import keys
from tests.acceptance.installation import Installation
from tests.browser.product import Product

SOON_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
USUAL: Final = 60
"""Popups of an hour ago that ended well: what is usual for an app."""


class Dashboard:
    """One browser that an operator, or a viewer, is signed in with."""

    def __init__(self, context: BrowserContext, page: Page, url: str) -> None:
        self.context = context
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.add("/".join(request.url.split("/")[:3])))
        page.on("websocket", lambda socket: self.asked.add("/".join(socket.url.split("/")[:3])))

    async def sign_in(self, key: str) -> None:
        """Fill in the form that is shown."""
        await self.page.get_by_label("Operator key").fill(key)
        await self.page.get_by_role("button", name="Sign in").click()

    async def open(self, path: str, heading: str | None = None) -> None:
        """Go to a page, and wait until it is drawn."""
        await self.page.goto(f"{self.url}{path}")
        heads = self.page.locator("#board h1")
        await (expect(heads).to_be_visible() if heading is None else expect(heads).to_have_text(heading))
        await expect(self.page.get_by_text("This page broke")).to_have_count(0)

    async def act(self, button: str, reason: str) -> None:
        """Do something that asks for a reason."""
        await self.page.get_by_role("button", name=button, exact=True).first.click()
        dialog = self.page.locator("dialog[open]")
        await dialog.get_by_label("Why?").fill(reason)
        await dialog.get_by_role("button", name=button, exact=True).click()


@asynccontextmanager
async def signed_in(
    browser: Browser, variables: Mapping[str, str], *, key: str | None = None, **context: Any
) -> AsyncIterator[Dashboard]:
    """Have somebody signed in, in a browser of their own."""
    made = await browser.new_context(reduced_motion="reduce", **context)
    url = variables["ZAPWRIGHT_DASHBOARD_URL"]
    dashboard = Dashboard(made, await made.new_page(), url)
    try:
        await dashboard.page.goto(url)
        await dashboard.sign_in(key or variables["ZAPWRIGHT_OPERATOR_KEY"])
        await expect(dashboard.page.locator("#board h1")).to_have_text("Overview", timeout=SOON_MS)
        yield dashboard
    finally:
        await made.close()


def a_key(installation: Installation, *options: str) -> str:
    """Make an operator's or a viewer's key."""
    place = ("--data-dir", str(installation.folder), "--json")
    made: str = installation.says("api-keys", "create", *options, *place)["key"]
    return made


async def usual(variables: Mapping[str, str], app_id: str, title: str, *, now: int) -> None:
    """Have an app whose popups went well an hour ago."""
    kind = Popups(tenant_id=DEFAULT_TENANT, app_id=app_id, browser=BrowserFamily.CHROME)
    hour = keys.hour(0, now - now % HOUR_MS - HOUR_MS)
    client = redis.asyncio.from_url(variables["REDIS_URL"])
    async with client:
        await client.hset(hour, keys.title_field(app_id), title)
        for fate in (Fate.OPENED, Fate.BY_MESSAGE):
            await client.hincrby(hour, keys.popup_field(kind, fate), USUAL)


class Waiting:
    """A user who has opened a popup, without a browser."""

    def __init__(self, product: Product, session: dict[str, Any]) -> None:
        self._product = product
        self.session = session
        self.user: str = session["user_id"]
        self.id: str = session["id"]
        self.title: str = session["steps"][0]["app"]["title"]
        self._step = f"/v1/sessions/{session['id']}/steps/{session['steps'][0]['id']}"
        self._attempt = str(uuid.uuid4())

    async def open(self) -> None:
        """Open the popup."""
        agent = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36"}
        opened = await self._product.backend.post(
            f"{self._step}/popup", json={"attempt_id": self._attempt}, headers=agent
        )
        opened.raise_for_status()

    async def finish(self) -> None:
        """Connect an account in the popup, whose message gets lost, and say so on the page."""
        await self._product.connect_account(self.user, self.title)
        heard = await self._product.backend.post(
            f"{self._step}/popup/signals", json={"attempt_id": self._attempt, "kind": "finished"}
        )
        heard.raise_for_status()

    async def state(self) -> str:
        """Return the step's state."""
        read = await self._product.backend.get(f"/v1/sessions/{self.id}")
        return str(read.raise_for_status().json()["steps"][0]["state"])


async def waiting(product: Product, user: str, app: str, *, title: str | None = None) -> Waiting:
    """Have a user with a popup open."""
    session = await product.session(user, app)
    if title is not None:
        changed = await product.backend.patch(f"/v1/sessions/{session['id']}", json={"title": title})
        session = changed.raise_for_status().json()
    one = Waiting(product, session)
    await one.open()
    return one
