"""What connect.js promises a page: tokens, blocked popups, tabs, and what it asks of whom."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request, Route, expect

from tests.acceptance.installation import Installation
from tests.browser.product import Product
from tests.browser.scenes import SOON_MS, Tab, found_by_operators, scene, until, walk_to_login

pytestmark = [pytest.mark.browser, pytest.mark.slow]


_OF_THE_STEP: Final = "connect.getSnapshot().steps[0].support"


async def status_is(page: Page, status: str) -> None:
    """Wait until the page shows this status."""
    await expect(page.locator("#status")).to_have_text(status, timeout=SOON_MS)


async def finish(popup: Page) -> None:
    """Go through the popup as a user does."""
    await walk_to_login(popup)
    await popup.locator("#allow").click()


async def test_the_token_is_asked_for_first_and_again_when_most_of_its_life_is_over(
    context: BrowserContext, product: Product
) -> None:
    """80 % of it, by what the token says; nothing else is asked of the page's backend."""
    session = await product.session("token-ada", "Slack")
    given_at: list[datetime] = []

    def lives_for_8_s(count: int, given: dict[str, Any]) -> dict[str, Any]:
        given_at.append(datetime.now(UTC))
        ends = given_at[0] + timedelta(seconds=8)
        soon = ends.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return given | ({"expires_at": soon} if count == 1 else {})

    product.alter[session["id"]] = lives_for_8_s
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(product.page(session))
    await status_is(page, "live")
    token_at = next(place for place, url in enumerate(asked) if "/token?" in url)
    await until(lambda: _is(lambda: len(given_at) == 2))

    first, second = given_at
    assert second - first > timedelta(seconds=6)
    assert not any("/v1/" in url for url in asked[:token_at])


async def test_a_refused_token_is_replaced_once(context: BrowserContext, product: Product) -> None:
    """What was asked with it is asked again, and nobody notices."""
    session = await product.session("token-bob", "Slack")
    product.alter[session["id"]] = lambda count, given: given | ({"token": "a.b.c"} if count == 1 else {})
    page = await context.new_page()
    await page.goto(product.page(session))
    await status_is(page, "live")

    assert product.tokens_given[session["id"]] == 2


async def test_a_token_that_is_refused_twice_is_said(context: BrowserContext, product: Product) -> None:
    """The page's backend is not asked again and again; once the user has signed in, it is when the page says so."""
    session = await product.session("token-cam", "Slack")
    product.alter[session["id"]] = lambda count, given: given | ({"token": "a.b.c"} if count <= 2 else {})
    page = await context.new_page()
    await page.goto(product.page(session))
    await status_is(page, "token-expired")
    await asyncio.sleep(1)
    asked_before = product.tokens_given[session["id"]]
    await page.evaluate("connect.refresh()")
    await status_is(page, "live")

    assert (asked_before, product.tokens_given[session["id"]]) == (2, 3)


async def test_a_token_of_another_session_opens_nothing(context: BrowserContext, product: Product) -> None:
    """The API does not find the session, and the page says that it is refused."""
    mine, other = await product.session("token-dee", "Slack"), await product.session("token-eve", "Slack")
    product.alter[mine["id"]] = lambda _, given: given | {"session_id": other["id"]}
    page = await context.new_page()
    await page.goto(product.page(mine))
    await status_is(page, "refused")
    snapshot = await page.evaluate("({ code: connect.getSnapshot().problem.code, steps: connect.getSnapshot().steps })")

    assert snapshot == {"code": "session_not_found", "steps": []}


async def test_what_a_user_is_told_to_quote_is_found_by_operators(
    context: BrowserContext, product: Product, installation: Installation
) -> None:
    """The session's id where nothing went wrong, afterwards the reference of what did."""
    session = await product.session("quote-ida", "Slack")
    page = await context.new_page()
    await page.goto(product.page(session))
    await status_is(page, "live")
    quoted = [await page.evaluate("connect.getSnapshot().support"), await page.evaluate(_OF_THE_STEP)]
    refused = await page.evaluate("connect.choose(connect.getSnapshot().steps[0].id, 'nobody').catch((e) => e.support)")
    quoted.append(await page.evaluate(_OF_THE_STEP))

    assert quoted == [session["id"], session["id"], refused]
    assert await until(lambda: found_by_operators(installation, refused)) == session["id"]
    assert await found_by_operators(installation, session["id"]) == session["id"]


async def test_a_page_of_a_foreign_origin_learns_nothing(context: BrowserContext, product: Product) -> None:
    """Not even with a token that is good; a browser does not tell such a page from one without a network."""
    session = await product.session("token-fay", "Slack")
    page = await context.new_page()
    await page.goto(product.page(session).replace("//product.", "//foreign."))
    await status_is(page, "offline")

    assert await page.evaluate("connect.getSnapshot().session") is None


async def test_a_page_without_a_network_says_so_at_once_and_comes_back(
    context: BrowserContext, product: Product
) -> None:
    """Though the stream it had open is silent, not broken: nothing can come by it any more."""
    session = await product.session("offline-dan", "Slack")
    page = await context.new_page()
    await page.goto(product.page(session))
    await status_is(page, "live")
    await context.set_offline(offline=True)
    await status_is(page, "offline")
    await context.set_offline(offline=False)

    await status_is(page, "live")


async def test_the_page_asks_nobody_but_its_backend_and_the_api(chromium: Browser, product: Product) -> None:
    """From its first request to the end of a popup."""
    async with scene(product, chromium, "Slack") as meant:
        tab = await meant.tab()
        asked: set[str] = set()
        tab.page.on("request", lambda request: asked.add("/".join(request.url.split("/")[:3])))
        await tab.page.reload()
        await tab.shows("ready")
        await finish(await tab.connect())
        await tab.shows("resolved")

    assert asked == {product.origin, product.api_url}


async def test_a_blocked_popup_gets_a_real_link_and_another_try(chromium: Browser, product: Product) -> None:
    """Without a click the browser opens nothing; the link's tab is as good as a popup."""
    async with scene(product, chromium, "Slack") as meant:
        tab = await meant.tab()
        await tab.shows("ready")
        control = await meant.context.new_cdp_session(tab.page)

        async def said(expression: str) -> Any:
            return (await control.send("Runtime.evaluate", {"expression": expression}))["result"]["value"]

        await until(lambda: said("!navigator.userActivation.isActive"))
        opened = await said(f"connect.connect('{meant.step}')")
        await tab.shows("blocked")
        async with tab.page.expect_popup() as opening:
            await tab.row.locator("a").click()
        await finish(await opening.value)
        await tab.shows("resolved")
        evidence = (await tab.snapshot())["steps"][0]["evidence"]["channels"]

    assert opened is False
    assert "message" in evidence


async def test_popups_of_several_steps_do_not_cross(chromium: Browser, product: Product) -> None:
    """Each message settles the step whose popup it came from, for the same app too, in whatever order they end."""
    user = "crossing"
    session = await product.session(user, "Slack", "Slack", "Gmail")
    context = await chromium.new_context()
    await context.add_cookies([{"name": "zapier_account", "value": user, "url": product.simulator_url}])
    page = await context.new_page()
    await page.goto(product.page(session))
    tabs = [Tab(page, step["id"]) for step in session["steps"]]
    popups = []
    for tab in tabs:
        await tab.shows("ready")
        popups.append(await tab.connect())
    ids: dict[int, str | None] = {}
    for place in (1, 2, 0):
        known = set(await product.accounts(user, "Slack")) | set(await product.accounts(user, "Gmail"))
        await finish(popups[place])
        await tabs[place].shows("resolved")
        everything = set(await product.accounts(user, "Slack")) | set(await product.accounts(user, "Gmail"))
        (ids[place],) = everything - known
    shown = {place: await tab.authentication() for place, tab in enumerate(tabs)}
    await context.close()

    assert shown == ids


async def test_a_popup_whose_address_is_old_waits_on_a_page_of_ours(chromium: Browser, product: Product) -> None:
    """It opens inside the click, goes on when the address is there, and its message is believed."""
    async with scene(product, chromium, "Slack") as meant:
        tab = await meant.tab()
        await tab.shows("ready")

        async def later(route: Route) -> None:
            answer = await route.fetch()
            date = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
            await route.fulfill(response=answer, headers=answer.headers | {"date": date})

        await tab.page.route("**/apps?*", later)
        await tab.page.evaluate("connect.searchApps('Slack')")
        popup = await tab.connect()
        await finish(popup)
        await tab.shows("resolved")
        names = [event["name"] for event in (await tab.snapshot())["events"]]

    assert names.count("popup_opened") == 1


async def test_what_could_not_be_told_is_told_after_a_reload(chromium: Browser, product: Product) -> None:
    """The popup was opened while the API could not be reached; nothing of it is lost."""
    async with scene(product, chromium, "Slack") as meant:
        tab = await meant.tab()
        await tab.shows("ready")
        await tab.page.route("**/popup**", lambda route: route.abort())
        popup = await tab.connect()
        await tab.shows("offline")
        await tab.page.unroute("**/popup**")
        await tab.page.reload()
        await finish(popup)
        await tab.shows("resolved")
        kept = await tab.page.evaluate("JSON.stringify({ ...sessionStorage })")

    assert "Bearer" not in kept
    assert "eyJ" not in kept


async def test_seven_tabs_of_one_session_stay_live_and_share_a_connection(chromium: Browser, product: Product) -> None:
    """A browser opens six connections to one origin; when the tab that follows is closed, another one does."""
    async with scene(product, chromium, "Slack") as meant:
        streams: dict[Page, int] = defaultdict(int)

        def count(change: int) -> Callable[[Request], None]:
            def changed(request: Request) -> None:
                if "/stream" in request.url:
                    streams[request.frame.page] += change

            return changed

        meant.context.on("request", count(1))
        meant.context.on("requestfinished", count(-1))
        meant.context.on("requestfailed", count(-1))
        tabs = [await meant.tab() for _ in range(7)]
        await asyncio.gather(*(tab.shows("ready") for tab in tabs))
        await until(lambda: _is(lambda: sum(streams.values()) == 1))
        popup = await tabs[0].connect()
        await asyncio.gather(*(tab.shows("waiting", "checking") for tab in tabs))
        following = await until(lambda: _first(tabs, lambda tab: streams[tab.page]))
        tabs.remove(following)
        await following.page.close()
        await until(lambda: _is(lambda: sum(streams[tab.page] for tab in tabs) == 1))
        await finish(popup)
        await asyncio.gather(*(tab.shows("resolved") for tab in tabs))


async def test_subscribing_twice_follows_once(chromium: Browser, product: Product) -> None:
    """As React's strict mode does it, in whatever order; the last one who leaves ends the following."""
    async with scene(product, chromium, "Slack") as meant:
        tab = await meant.tab()
        await tab.shows("ready")
        asked: list[str] = []
        tab.page.on("request", lambda request: asked.append(request.url))
        await tab.page.evaluate(
            "const once = () => {}; connect.subscribe(once)(); const end = connect.subscribe(once);"
        )
        await asyncio.sleep(1.5)
        before = await tab.page.evaluate("connect.getSnapshot() === connect.getSnapshot()")

    assert asked == []
    assert before is True


async def test_a_hostile_title_is_text(chromium: Browser, product: Product) -> None:
    """Whatever an app calls itself."""
    title = '<img src=x onerror="document.title = 1">'
    apps = {"Gmail": {"title": title}}
    (await product.simulator.patch("/_control/faults", json={"apps": apps})).raise_for_status()
    try:
        async with scene(product, chromium, "Gmail") as meant:
            tab = await meant.tab()
            await expect(tab.row).to_contain_text(title, timeout=SOON_MS)
            images = await tab.row.locator("img").count()
    finally:
        await product.simulator.delete("/_control/faults")

    assert images == 0


async def _first(tabs: list[Tab], condition: Callable[[Tab], object]) -> Tab | None:
    return next((tab for tab in tabs if condition(tab)), None)


async def _is(condition: Callable[[], bool]) -> bool:
    return condition()
