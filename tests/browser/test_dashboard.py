"""The dashboard in real Chromium, over a real installation: one incident from its first sign to the audit."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Route, expect

from tests.acceptance.installation import Installation
from tests.browser.builder import press, tab_to
from tests.browser.dashboard import SOON_MS, Dashboard, Waiting, a_key, signed_in, usual, waiting
from tests.browser.product import Product
from tests.browser.scenes import scene, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CUT: Final = "Airtable"
HOSTILE: Final = "<img src=x onerror=document.title='gotcha'>\u202etxt"
STUCK_WITHIN_MS: Final = 90_000
CLICKS: Final = 3
AMID_S: Final = 0.25
NO_TURN_S: Final = 4.0


@dataclass(frozen=True)
class Incident:
    """Somebody who said that they are done, while the only worker stands still."""

    stuck: Waiting
    worker: int

    def over(self) -> None:
        """Have the worker go on."""
        os.kill(self.worker, signal.SIGCONT)


@pytest.fixture(scope="module")
async def well(product: Product, installation: Installation) -> None:
    """An app whose popups went well until now."""
    app = (await product.session("usual", CUT))["steps"][0]["app"]
    await usual(installation.variables, app["id"], app["title"], now=round(time.time() * 1000))


@pytest.fixture(scope="module")
async def incident(product: Product, installation: Installation) -> AsyncIterator[Incident]:
    """A worker that hangs: half a minute later whoever waits is stuck."""
    stuck = await waiting(product, "stuck-ada", "Slack", title=f"stuck-ada {HOSTILE}")
    worker = installation.pids["worker-1"]
    os.kill(worker, signal.SIGSTOP)
    try:
        await stuck.finish()
        yield Incident(stuck, worker)
    finally:
        os.kill(worker, signal.SIGCONT)


@pytest.fixture
async def dashboard(chromium: Browser, installation: Installation) -> AsyncIterator[Dashboard]:
    """The dashboard, with an operator; no page breaks its policy, fails, or asks anybody else."""
    async with signed_in(chromium, installation.variables) as dashboard:
        yield dashboard
        assert dashboard.complaints == []
        assert dashboard.asked == {dashboard.url, dashboard.url.replace("http:", "ws:")}


async def test_the_first_page_renews_itself(well: None, dashboard: Dashboard) -> None:
    """Counts, funnel, limits and apps, with the time they are of; and it is the API's answer of just now."""
    page = dashboard.page
    for title in ("Stuck", "Lost messages by app", "The last 24 hours", "Zapier's limits"):
        await expect(page.get_by_role("region", name=title)).to_be_visible()
    first = await page.locator("#board .as-of").inner_text()

    await expect(page.locator("#board .as-of")).not_to_have_text(first, timeout=SOON_MS)


async def test_one_app_starts_cutting_openers_and_it_shows_soon(
    well: None, chromium: Browser, product: Product, dashboard: Dashboard, record_property: Any
) -> None:
    """Three users whose popups are cut off in real browsers, in an app that was well: it is the first thing said.

    Ten seconds are promised where nothing else keeps the machine busy; what is measured is printed.
    """
    page = dashboard.page
    await product.popups(**{CUT: {"coop": {"middle": "same-origin"}, "visitor": "allows", "visitor_ms": 50}})
    try:
        await asyncio.gather(*(_cut_off(product, chromium) for _ in range(3)))
    finally:
        await product.popups(**{CUT: {}})
    note = page.get_by_role("alert").filter(has_text=f"{CUT} loses messages")
    began = time.monotonic()
    await expect(note).to_be_visible(timeout=SOON_MS)
    took = time.monotonic() - began
    record_property("table", f"from the last cut popup's result to the note: {took:.1f} s, promised 10 s")
    await note.get_by_role("link", name=f"Look at {CUT}").click()
    await expect(page.locator("#board h1")).to_have_text(CUT)
    await expect(page.get_by_role("alert")).to_contain_text("100 % of 3 connected popups came without a message")


async def _cut_off(product: Product, chromium: Browser) -> None:
    """Have a user connect whose popup is cut off, and who says on the page that they are done."""
    async with scene(product, chromium, CUT) as user:
        tab = await user.tab()
        await tab.shows("ready")
        await tab.connect()
        await until(user.accounts)
        await tab.press("finished")
        await tab.shows("resolved")


async def test_pages_lead_to_each_other_by_keyboard(dashboard: Dashboard) -> None:
    """Short cuts lead to every page, `/` to the search, and the skip link past the bar."""
    page = dashboard.page
    for key, heading in (("s", "Sessions"), ("a", "Apps"), ("u", "Audit"), ("o", "Overview")):
        await page.keyboard.press("g")
        await page.keyboard.press(key)
        await expect(page.locator("#board h1")).to_have_text(heading)
    await dashboard.open("/sessions", "Sessions")
    await page.keyboard.press("/")
    await expect(page.get_by_label("Quoted text")).to_be_focused()
    await page.keyboard.type("nobody-has-this")
    await page.keyboard.press("Enter")

    await expect(page.get_by_text("No session is like that")).to_be_visible()
    assert page.url == f"{dashboard.url}/sessions?q=nobody-has-this"


async def test_a_page_says_that_it_loads_and_holds_its_place(dashboard: Dashboard) -> None:
    """While its scripts are on their way: what comes stands where the word stood."""
    page, arrived = dashboard.page, asyncio.Event()

    async def late(route: Route) -> None:
        await arrived.wait()
        await route.continue_()

    await page.route("**/nicegui.js", late)
    await page.goto(f"{dashboard.url}/audit", wait_until="commit")
    await expect(page.get_by_role("status")).to_have_text("Loading …")
    before = await page.get_by_role("heading", name="Audit").bounding_box()
    arrived.set()
    await expect(page.locator("#board h1")).to_be_visible(timeout=SOON_MS)
    after = await page.get_by_role("heading", name="Audit").bounding_box()

    assert before is not None
    assert after is not None
    assert (before["x"], before["y"]) == (after["x"], after["y"])
    await expect(page.get_by_text("Loading …")).to_be_hidden()


async def test_a_browser_without_scripts_is_told_what_the_page_needs(
    chromium: Browser, installation: Installation
) -> None:
    """Instead of that it loads, for ever."""
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(installation.variables["ZAPWRIGHT_DASHBOARD_URL"])
    await Dashboard(context, page, "").sign_in(installation.variables["ZAPWRIGHT_OPERATOR_KEY"])

    note = page.locator("noscript .note")  # nothing in there is found by its text
    await expect(note).to_be_visible()
    await expect(note).to_contain_text("it needs JavaScript")
    await expect(page.get_by_text("Loading …")).to_be_hidden()
    await context.close()


async def test_every_entry_of_the_menu_is_in_sight(chromium: Browser, installation: Installation) -> None:
    """However narrow the window, and long the name of who is signed in; and no page scrolls sideways because of it."""
    key = a_key(installation, "--viewer", "--name", "Grace Brewster Murray Hopper 2nd")
    async with signed_in(chromium, installation.variables, key=key) as dashboard:
        page, sideways = dashboard.page, []
        for width in (320, 375, 768, 1030, 1280):
            await page.set_viewport_size({"width": width, "height": 844})
            for entry in await page.get_by_role("navigation", name="Pages").get_by_role("link").all():
                await expect(entry).to_be_in_viewport(ratio=1)
            await expect(page.get_by_role("button", name="Sign out")).to_be_in_viewport(ratio=1)
            sideways.append(await page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    assert sideways == [0] * 5


async def test_an_address_without_a_page_says_so(dashboard: Dashboard) -> None:
    """By a page that our policy lets be drawn, with the bar and a way to the overview."""
    page = dashboard.page
    answer = await page.goto(f"{dashboard.url}/nonsense")
    await expect(page.get_by_role("heading", name="There is no such page here")).to_be_visible()
    await page.get_by_role("link", name="To the overview").click()
    await expect(page.locator("#board h1")).to_have_text("Overview")

    assert answer is not None
    assert answer.status == 404
    assert dashboard.complaints == ["Failed to load resource: the server responded with a status of 404 (Not Found)"]
    dashboard.complaints.clear()


async def test_filters_stand_in_the_address_and_a_shared_link_shows_the_same(
    incident: Incident, dashboard: Dashboard, chromium: Browser, installation: Installation
) -> None:
    """To who is not signed in yet, too, once they are."""
    page = dashboard.page
    await dashboard.open("/sessions", "Sessions")
    await tab_to(page, page.get_by_label("State"))
    for _ in range(3):
        await page.keyboard.press("ArrowDown")
    await expect(page.get_by_label("State")).to_have_value("awaiting-popup")
    await press(page, page.get_by_role("button", name="Look"))
    await expect(page.locator(".chips")).to_contain_text("state: awaiting-popup")
    await page.locator("summary", has_text="More filters").click()
    await page.get_by_label("User").fill(incident.stuck.user)
    await page.get_by_role("button", name="Look").click()
    await expect(page.locator(".chips")).to_contain_text(incident.stuck.user)
    rows = page.locator("#board tbody tr")
    await expect(rows).to_have_count(1)
    shared = page.url
    context = await chromium.new_context()
    other = await context.new_page()
    await other.goto(shared)
    await Dashboard(context, other, dashboard.url).sign_in(installation.variables["ZAPWRIGHT_OPERATOR_KEY"])
    await expect(other.locator("#board tbody tr")).to_have_count(1)
    same = other.url
    await context.close()

    assert same == shared
    assert "user_id=stuck-ada" in shared


async def test_what_users_wrote_is_shown_and_does_nothing(incident: Incident, dashboard: Dashboard) -> None:
    """Markup is text, and nothing reverses what stands beside it."""
    page = dashboard.page
    await dashboard.open(f"/sessions/{incident.stuck.id}")
    await expect(page.locator("#board h1")).to_contain_text("<img src=x onerror=document.title='gotcha'>\ufffdtxt")

    assert await page.locator("#board img").count() == 0
    assert "gotcha" not in await page.title()


async def test_what_somebody_types_stays_while_the_page_renews_itself(incident: Incident, dashboard: Dashboard) -> None:
    """Neither the text nor the focus nor an open dialog goes when news arrive."""
    page = dashboard.page
    await dashboard.open(f"/sessions/{incident.stuck.id}")
    await page.get_by_role("button", name="End it").click()
    reason = page.locator("dialog[open]").get_by_label("Why?")
    await reason.fill("half a sen")
    shown = await page.locator("#board .as-of").inner_text()
    await expect(page.locator("#board .as-of")).not_to_have_text(shown, timeout=SOON_MS)

    await expect(reason).to_have_value("half a sen")
    await expect(reason).to_be_focused()


async def test_a_dialog_begins_with_its_first_question_and_forgets_nothing(
    incident: Incident, dashboard: Dashboard
) -> None:
    """What was refused is told by names, and stands in the dialog when it is opened again."""
    page, given = dashboard.page, "Give it an account"
    await dashboard.open(f"/sessions/{incident.stuck.id}")
    await page.get_by_role("button", name=given).first.click()
    await expect(page.locator("dialog[open]").get_by_label("Its id")).to_be_focused()
    await page.keyboard.type("nobodys-account")
    await page.locator("dialog[open]").get_by_label("Why?").fill("the user called")
    await page.keyboard.press("Enter")
    told = page.locator("#told")
    await expect(told).to_contain_text(f"cannot be used for step 1 ({incident.stuck.title}): ", timeout=SOON_MS)
    await page.get_by_role("button", name=given).first.click()

    await expect(page.locator("dialog[open]").get_by_label("Its id")).to_have_value("nobodys-account")
    await expect(page.locator("dialog[open]").get_by_label("Why?")).to_have_value("the user called")
    await expect(told).not_to_contain_text(incident.stuck.id)


async def test_on_a_phone_the_lit_state_is_in_view(incident: Incident, dashboard: Dashboard) -> None:
    """However far to the right of the machine it stands."""
    page = dashboard.page
    await page.set_viewport_size({"width": 390, "height": 844})
    await dashboard.open(f"/sessions/{incident.stuck.id}")
    lit = page.locator(".machine .state.lit rect")
    await expect(lit).to_be_visible(timeout=SOON_MS)
    await page.locator(".drawing").evaluate("drawing => scrollTo(0, drawing.getBoundingClientRect().top)")

    await expect(lit).to_be_in_viewport(ratio=0.99)


async def test_a_viewer_sees_no_action(incident: Incident, chromium: Browser, installation: Installation) -> None:
    """On the page where an operator has five."""
    key = a_key(installation, "--viewer", "--name", "looks on")
    async with signed_in(chromium, installation.variables, key=key) as viewer:
        await viewer.open(f"/sessions/{incident.stuck.id}")
        await expect(viewer.page.get_by_role("region", name="What happened")).to_be_visible()
        found = await viewer.page.locator("#board button, #board form, #board dialog").count()
        said = await viewer.page.locator(".who").inner_text()

    assert found == 0
    assert "looks on" in said


async def test_signing_out_in_one_tab_ends_the_other(dashboard: Dashboard) -> None:
    """And the back button shows nothing of what was there."""
    page = dashboard.page
    second = await dashboard.context.new_page()
    await second.goto(f"{dashboard.url}/audit")
    await expect(second.locator("#board h1")).to_have_text("Audit")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Operator key")).to_be_visible()
    await expect(second.get_by_label("Operator key")).to_be_visible(timeout=SOON_MS)
    await page.go_back()

    await expect(page.get_by_label("Operator key")).to_be_visible()


async def test_a_wrong_key_and_a_cookie_of_nobodys_lead_to_the_form(
    chromium: Browser, installation: Installation
) -> None:
    """Each with its words; a backend's key is told apart."""
    variables = installation.variables
    context = await chromium.new_context()
    url = variables["ZAPWRIGHT_DASHBOARD_URL"]
    await context.add_cookies([{"name": "zapwright-dashboard", "value": "of-a-visit-that-ended", "url": url}])
    dashboard = Dashboard(context, await context.new_page(), url)
    await dashboard.page.goto(f"{url}/audit")
    await expect(dashboard.page.get_by_role("alert")).to_contain_text("You were signed out")
    await dashboard.sign_in("not-a-key")
    await expect(dashboard.page.get_by_role("alert")).to_contain_text("No operator has this key")
    await dashboard.sign_in(variables["ZAPWRIGHT_API_KEY"])
    await expect(dashboard.page.get_by_role("alert")).to_contain_text("That key opens something else")
    await dashboard.sign_in(variables["ZAPWRIGHT_OPERATOR_KEY"])
    await expect(dashboard.page.locator("#board h1")).to_have_text("Audit")
    (cookie,) = await context.cookies()
    await context.close()

    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")


async def test_a_link_on_another_site_finds_who_is_signed_in(
    dashboard: Dashboard, product: Product, incident: Incident
) -> None:
    """Though a browser keeps the cookie from a request that another site made."""
    link = f"{dashboard.url}/sessions/{incident.stuck.id}"
    product.files["chat"] = f'<a href="{link}">why does this not go on?</a>'
    page = await dashboard.context.new_page()
    await page.goto(f"{product.origin}/chat")
    await page.get_by_role("link").click()

    await expect(page.get_by_role("region", name="What happened")).to_be_visible(timeout=SOON_MS)


async def test_while_the_api_is_down_the_page_says_so_and_comes_back(
    dashboard: Dashboard, installation: Installation
) -> None:
    """What was seen stays, with why it is old; nobody has to reload anything."""
    page, supervisor = dashboard.page, installation.supervisor
    assert supervisor is not None
    supervisor.send(signal.SIGSTOP)  # or the API is there again before anybody looks
    try:
        os.kill(installation.pids["api"], signal.SIGKILL)
        away = page.get_by_role("alert").filter(has_text="The API does not answer.")
        await expect(away).to_be_visible(timeout=SOON_MS)
        await expect(page.locator("#board .as-of")).to_contain_text("stands still")
        await expect(page.get_by_role("region", name="Zapier's limits")).to_be_visible()
    finally:
        supervisor.send(signal.SIGCONT)
    await expect(page.locator("#board .as-of")).not_to_contain_text("stands still", timeout=SOON_MS)

    await expect(page.get_by_text("The API does not answer.")).to_have_count(0)


async def test_a_page_comes_however_long_its_process_gets_no_turn(
    dashboard: Dashboard, installation: Installation
) -> None:
    """Late, and whole: a busy machine breaks no page."""
    page = dashboard.page
    both = [installation.pids[name] for name in ("api", "dashboard")]
    try:
        os.kill(both[0], signal.SIGSTOP)  # so that the page waits for what it shows, and is being made
        going = asyncio.create_task(page.goto(f"{dashboard.url}/audit"))
        await asyncio.sleep(AMID_S)
        os.kill(both[1], signal.SIGSTOP)
        await asyncio.sleep(NO_TURN_S)
    finally:
        for process in both:
            os.kill(process, signal.SIGCONT)
    answer = await going

    assert answer is not None
    assert answer.status == 200
    await expect(page.locator("#board h1")).to_have_text("Audit")


async def test_a_dashboard_that_is_started_anew_asks_for_the_key_and_shows_the_page_again(
    dashboard: Dashboard, installation: Installation
) -> None:
    """By itself, and why it asks: nobody waits before a page that looks for a connection it cannot have."""
    page = dashboard.page
    await dashboard.open("/sessions?q=nobody-has-this", "Sessions")
    os.kill(installation.pids["dashboard"], signal.SIGKILL)
    await expect(page.get_by_role("alert")).to_contain_text("the dashboard was started anew", timeout=SOON_MS)
    await dashboard.sign_in(installation.variables["ZAPWRIGHT_OPERATOR_KEY"])

    await expect(page.get_by_text("No session is like that")).to_be_visible(timeout=SOON_MS)
    assert page.url == f"{dashboard.url}/sessions?q=nobody-has-this"
    dashboard.complaints.clear()


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
async def test_axe_finds_nothing(
    incident: Incident, chromium: Browser, installation: Installation, theme: str, width: int
) -> None:
    """Neither before the door nor on any page, nor in a dialog, on a desktop and on a phone; none scrolls sideways."""
    found: dict[str, str] = {}
    sideways: dict[str, int] = {}
    size = {"width": width, "height": 844}
    async with signed_in(chromium, installation.variables, color_scheme=theme, viewport=size) as dashboard:
        page = dashboard.page
        few = ("/", "/sessions?state=awaiting-popup", f"/sessions/{incident.stuck.id}")
        more = ("/apps", "/deliveries", "/workers", "/audit", "/sessions?state=nothing")
        for path in few if theme == "dark" else few + more:
            await dashboard.open(path)
            if path.startswith("/sessions/"):
                await page.get_by_role("button", name="Check now").click()
            found[path] = (await Axe().run(page)).generate_snapshot()
            sideways[path] = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        await page.context.clear_cookies()
        await page.goto(dashboard.url)
        found["door"] = (await Axe().run(page)).generate_snapshot()

    assert found == dict.fromkeys(found, "")
    assert sideways == dict.fromkeys(sideways, 0)


async def test_three_clicks_say_why_a_session_is_stuck(incident: Incident, dashboard: Dashboard) -> None:
    """The overview lists it, its page says why and what to do; once that is done, the page shows it connected."""
    page, clicks = dashboard.page, 1
    listed = page.get_by_role("region", name="Stuck").get_by_role("link", name="stuck-ada")
    await expect(listed).to_be_visible(timeout=STUCK_WITHIN_MS)
    await listed.click()
    clicks += 1
    why = page.get_by_role("region", name="Why")
    await expect(why).to_contain_text("Somebody has to help")
    await expect(why).to_contain_text(re.compile("a check has been due for .* no worker"))
    assert clicks <= CLICKS
    incident.over()

    await expect(page.locator(".badge", has_text="resolved").first).to_be_visible(timeout=SOON_MS)
    assert await incident.stuck.state() == "resolved"


async def test_check_now_finds_what_nobody_told_of_and_the_audit_has_it(
    incident: Incident, dashboard: Dashboard, product: Product
) -> None:
    """A user whose popup was cut off and who left: Zapier would be asked a minute after the popup was opened."""
    page = dashboard.page
    incident.over()
    left = await waiting(product, "left-bob", "Slack", title="left-bob")
    await product.connect_account(left.user, left.title)
    await dashboard.open(f"/sessions/{left.id}", "left-bob")
    await dashboard.act("Check now", "the user called: Slack does not connect")
    await expect(page.locator("#told")).to_contain_text("It is in the audit")
    await expect(page.locator(".badge", has_text="resolved").first).to_be_visible(timeout=SOON_MS)
    assert await left.state() == "resolved"
    await dashboard.open("/audit", "Audit")
    row = page.locator("#board tbody tr", has_text=left.id)

    await expect(row).to_contain_text("asked for a check")
    await expect(row).to_contain_text("the user called: Slack does not connect")
