"""The connect page as a product and its user have it: links, browsers that come by them, and what goes wrong."""

from __future__ import annotations

from typing import Any, Final

import httpx
from playwright.async_api import BrowserContext, Locator, Page

from tests.browser.product import Product
from tests.support.patience import PATIENT

FOUND_MS: Final = 60_000
"""The longest that Zapier may be asked for what a popup did not say, on a busy machine."""

NO_POPUPS: Final = "window.open = () => null"

OWN: Final = "Acme Orders"
"""The tenant's own app, which asks for a user name and a password."""


class Link:
    """A connect link that the product's backend made for one of its users."""

    def __init__(self, product: Product, session: dict[str, Any], made: dict[str, Any]) -> None:
        self.product = product
        self.session = session
        self.url: str = made["url"]
        self.path = f"/v1/sessions/{session['id']}/steps/{made['step_id']}/connect-links/{made['id']}"

    async def read(self) -> dict[str, Any]:
        """Return the session as it is."""
        answer = await self.product.backend.get(f"/v1/sessions/{self.session['id']}")
        session: dict[str, Any] = answer.json()
        return session

    async def state(self) -> str:
        """Return what the backend is told of the link."""
        answer = await self.product.backend.get(self.path.rpartition("/")[0])
        return str(answer.json()["links"][0]["state"])


async def linked(product: Product, user: str, *apps: str, **more: Any) -> Link:
    """Begin a session and make a link for its first step."""
    session = await product.session(user, *apps)
    path = f"/v1/sessions/{session['id']}/steps/{session['steps'][0]['id']}/connect-links"
    made = await product.backend.post(path, json={"user_id": user, **more})
    return Link(product, session, made.raise_for_status().json())


async def another(product: Product, link: Link, step: int) -> Link:
    """Make a link for another step of the same session."""
    path = f"/v1/sessions/{link.session['id']}/steps/{link.session['steps'][step]['id']}/connect-links"
    made = await product.backend.post(path, json={"user_id": link.session["user_id"]})
    return Link(product, link.session, made.raise_for_status().json())


async def faults(product: Product, app: str, **popups: Any) -> None:
    """Have an app's popups go wrong."""
    async with httpx.AsyncClient(base_url=product.simulator_url, **PATIENT) as simulator:
        answer = await simulator.patch("/_control/faults", json={"apps": {app: {"popups": popups}}})
    answer.raise_for_status()


async def filled_in(page: Page, *, password: str, username: str = "ann") -> Locator:
    """Fill in what the tenant's own app asks for; return the form."""
    form = page.get_by_role("form", name=f"Connect {OWN} by its fields")
    await form.get_by_label("What to call this account").fill("The shop", timeout=FOUND_MS)
    await form.get_by_label("Username", exact=True).fill(username)
    await form.get_by_label("Password", exact=True).fill(password)
    return form


async def loses_its_answer(product: Product, user: str, *, when: str = "after") -> None:
    """Have Zapier's next answer to what this user filled in get lost, after or before it was carried out."""
    lost = {"fault": "status", "status": 504, "when": when, "endpoint": "POST /v2/authentications"}
    rules = {f"own-{user}": lost | {"user": user, "times": 1}}
    (await product.simulator.patch("/_control/faults", json={"rules": rules})).raise_for_status()


async def opened(context: BrowserContext, link: Link) -> Page:
    """Come by the link, and continue."""
    page = await context.new_page()
    await page.goto(link.url)
    await page.click("#continue")
    return page
