"""A user in front of a product's page: what they do, and what they are shown."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, TypeVar

import httpx
from playwright.async_api import Browser, BrowserContext, Page, Request, expect

from tests.acceptance.installation import Installation
from tests.browser.product import Product
from tests.support.patience import PATIENT

SOON_MS: Final = 60_000
MOST_SCENES: Final = 4
"""A browser has six connections to a server, and each scene keeps one."""

_numbers = count(1)
Found = TypeVar("Found")


class Tab:
    """The product's page in one tab of one browser."""

    def __init__(self, page: Page, step: str) -> None:
        self.page = page
        self._step = step
        self.row = page.locator(f"#{step}")

    async def shows(self, *shows: str, within_ms: float = SOON_MS) -> None:
        """Wait until the step shows one of these."""
        await expect(self.row).to_have_attribute("data-show", re.compile(f"^({'|'.join(shows)})$"), timeout=within_ms)

    async def press(self, button: str) -> None:
        """Press one of the step's buttons."""
        await self.row.locator(f".{button}").click()

    async def connect(self) -> Page:
        """Press "connect", and return the popup."""
        async with self.page.expect_popup() as opening:
            await self.press("connect")
        return await opening.value

    async def authentication(self) -> str | None:
        """Return the id that the step shows."""
        return await self.row.get_attribute("data-authentication") or None

    async def seen(self) -> list[dict[str, Any]]:
        """Return everything that was shown for the step since the page was loaded."""
        found: list[dict[str, Any]] = await self.page.evaluate("step => seen[step] ?? []", self._step)
        return found

    async def snapshot(self) -> dict[str, Any]:
        """Return what the page was told."""
        found: dict[str, Any] = await self.page.evaluate("JSON.parse(JSON.stringify(connect.getSnapshot()))")
        return found

    @asynccontextmanager
    async def offline(self) -> AsyncIterator[None]:
        """Have no network in this tab, while popups have theirs."""
        control = await self.page.context.new_cdp_session(self.page)
        await control.send("Network.enable")
        conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        await control.send("Network.emulateNetworkConditions", {"offline": True, **conditions})
        try:
            yield
        finally:
            await control.send("Network.emulateNetworkConditions", {"offline": False, **conditions})


class Scene:
    """One user with a browser of their own, a session with one step, and the tabs that show it."""

    def __init__(self, product: Product, context: BrowserContext, *, user: str, app: str, session: Any) -> None:
        self.context = context
        self.user = user
        self.app = app
        self.session = session
        self.step: str = session["steps"][0]["id"]
        self.pages: list[Page] = []
        self._product = product

    async def tab(self) -> Tab:
        """Open the product's page."""
        page = await self.context.new_page()
        self.pages.append(page)
        tab, met, under_way = Tab(page, self.step), list[str](), set[Request]()
        page.on("request", lambda request: under_way.add(request))  # noqa: PLW0108 - it takes no built-in
        for end in ("requestfinished", "requestfailed"):
            page.on(end, lambda request: under_way.discard(request))  # noqa: PLW0108
        page.on("requestfailed", lambda request: met.append(f"{request.method} {request.url}: {request.failure}"))
        page.on("pageerror", lambda error: met.append(str(error)))
        await page.goto(self._product.page(self.session))
        try:
            await expect(tab.row).to_be_attached(timeout=SOON_MS)
        except AssertionError as error:
            error.add_note(f"On its way the page met: {met or 'nothing that failed'}")
            error.add_note(f"Without an end are: {[f'{one.method} {one.url}' for one in under_way]}")
            raise
        return tab

    async def accounts(self) -> list[str]:
        """Return the ids of what the user has connected, at Zapier."""
        return await self._product.accounts(self.user, self.app)


class Visitor:
    """One user with a browser of their own, who builds one Zap after the other, or several at once."""

    def __init__(self, product: Product, context: BrowserContext, *, user: str) -> None:
        self._product = product
        self._context = context
        self._user = user
        self._room = asyncio.Semaphore(MOST_SCENES)

    @asynccontextmanager
    async def scene(self, app: str, *, accounts: int = 0) -> AsyncIterator[Scene]:
        """Have them begin a session with an app of which they have connected so many accounts before.

        There are a few such scenes at a time; the tabs of each are closed after it.
        """
        async with self._room:
            for _ in range(accounts):
                await self._product.connect_account(self._user, app)
            session = await self._product.begin(self._user, app)
            meant = Scene(self._product, self._context, user=self._user, app=app, session=session)
            try:
                yield meant
            finally:
                for page in meant.pages:
                    await page.close()


@asynccontextmanager
async def visitor(product: Product, browser: Browser, *, signed_in_as: str | None = None) -> AsyncIterator[Visitor]:
    """Have a user whose browser is signed in to Zapier as they are, or as another one; no page's script may fail."""
    user = f"user-{next(_numbers)}"
    await product.sign_in(user)
    context = await browser.new_context()
    account = signed_in_as or user
    await context.add_cookies([{"name": "zapier_account", "value": account, "url": product.simulator_url}])
    failures: list[str] = []
    context.on("weberror", lambda failed: failures.append(str(failed.error)))
    try:
        yield Visitor(product, context, user=user)
    finally:
        await context.close()
    assert failures == []


@asynccontextmanager
async def scene(product: Product, browser: Browser, app: str) -> AsyncIterator[Scene]:
    """Have a user who has a browser of their own, and builds one Zap."""
    async with visitor(product, browser) as user, user.scene(app) as meant:
        yield meant


async def walk_to_login(popup: Page) -> None:
    """Go from Zapier's page to the app's."""
    await popup.locator("#continue").click()
    await popup.locator("#allow").wait_for(timeout=SOON_MS)


async def until(look: Callable[[], Awaitable[Found | None]], *, within_s: float = SOON_MS / 1_000) -> Found:
    """Return what `look` finds as soon as it finds something."""
    async with asyncio.timeout(within_s):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.05)


async def found_by_operators(installation: Installation, text: str | None) -> str | None:
    """Return which session operators find by this text, if it is one."""
    headers = {"Authorization": f"Bearer {installation.variables['ZAPWRIGHT_OPERATOR_KEY']}"}
    async with httpx.AsyncClient(base_url=installation.variables["ZAPWRIGHT_API_URL"], **PATIENT) as api:
        answer = await api.get("/v1/operator/sessions", params={"q": text}, headers=headers)
    found = [one["id"] for one in answer.raise_for_status().json()["sessions"]]
    return str(found[0]) if len(found) == 1 else None
