"""The demo builder, in Chromium."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from orchestrator.core.events import EventName
from orchestrator.core.session import Reason
from tests.acceptance.installation import Installation
from tests.browser.builder import Builder, press, sign_in, tab_to, walk_through
from tests.browser.product import RENAMED
from tests.browser.scenes import found_by_operators

pytestmark = pytest.mark.browser

ROOT: Final = Path(__file__).parents[2]
SHOWS: Final = re.findall(
    r'"([a-z-]+)"',
    re.search(r"@typedef \{([^}]+)\} Show\b", (ROOT / "clients/browser/types.js").read_text())[1],  # type: ignore[index]
)
HOSTILE: Final = "<img src=x onerror=document.title='gotcha'>\u202etxt"
_KINDS: Final = "(select) => [...select.querySelectorAll('optgroup')].map(({ label }) => label)"
PHONE: Final = {"width": 360, "height": 740}


@pytest.fixture
async def builder(context: BrowserContext, installation: Installation) -> AsyncIterator[Builder]:
    """The builder at its welcome; it ends without having broken its policy, and without an error."""
    builder = await Builder.opened(context, installation.variables)
    yield builder
    assert await builder.violations() == []
    assert builder.complaints == []


async def test_a_zap_of_three_steps_is_built_and_created_by_keyboard_alone(builder: Builder) -> None:
    """Whoever cannot use a mouse gets from the first key to the Zap, popup included."""
    await builder.connect_account("kim", "Gmail")
    page = builder.page
    await tab_to(page, page.get_by_label("Who is building?"))
    await page.keyboard.press("Control+A")
    await page.keyboard.type("kim")
    await page.keyboard.press("Enter")
    await expect(builder.step(2)).to_be_visible()
    await press(page, page.get_by_role("button", name="Add a step"))
    await expect(builder.step(3).get_by_role("heading", level=2)).to_be_focused()
    for number, app in enumerate(("HubSpot", "Gmail", "Formatter"), start=1):
        await _choose_app_by_keyboard(builder, number, app)
    await _connect_by_keyboard(builder, 1)
    await press(page, builder.button(2, "Use: Gmail (kim@example.test)"))
    await builder.shows(2, "resolved")
    for number in (1, 2, 3):
        await expect(builder.action(number)).to_contain_text("Choose what")
        await tab_to(page, builder.action(number), backwards=number == 1)
        await page.keyboard.press("ArrowDown")
    await expect(page.get_by_text("its account and its action, and what it must be filled with.")).to_be_visible()
    await press(page, page.get_by_role("button", name="Create the Zap"))
    link = page.get_by_role("link", name="Open it at Zapier")
    await expect(page.get_by_role("heading", name="Create the Zap")).to_be_focused()
    await expect(page.locator("#told")).to_have_text("Your Zap exists")
    await tab_to(page, link)

    assert (await link.get_attribute("href") or "").startswith(builder.simulator_url)


async def _choose_app_by_keyboard(builder: Builder, number: int, app: str) -> None:
    step = builder.step(number)
    await tab_to(builder.page, step.get_by_role("combobox", name="App"), backwards=number == 1)
    await builder.page.keyboard.type(app)
    await expect(step.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    await builder.page.keyboard.press("Enter")
    await expect(step.get_by_role("heading", level=2)).to_contain_text(app)


async def _connect_by_keyboard(builder: Builder, number: int) -> None:
    await tab_to(builder.page, builder.button(number, "Connect "), backwards=True)
    async with builder.page.expect_popup() as opening:
        await builder.page.keyboard.press("Enter")
    popup = await opening.value
    await press(popup, popup.locator("#continue"))
    await tab_to(popup, popup.locator("#allow"))
    await popup.keyboard.down("Enter")  # and before it is up the popup may be gone
    await builder.shows(number, "resolved")


async def test_steps_are_moved_and_removed_and_the_focus_stays_where_the_user_is(builder: Builder) -> None:
    """A button that goes on being there keeps the focus; where a step was, its neighbour has it."""
    await builder.begin("mo", "Formatter", "Filter")
    down = builder.button(1, "Move step 1 down")
    await down.focus()
    await builder.page.keyboard.press("Enter")
    await expect(builder.step(1).get_by_role("heading", level=2)).to_contain_text("Filter")
    await expect(builder.button(2, "Move step 2 down")).to_be_focused()
    await builder.button(2, "Remove step 2, Formatter").focus()
    await builder.page.keyboard.press("Enter")
    await expect(builder.step(2)).to_have_count(0)

    await expect(builder.step(1).get_by_role("heading", level=2)).to_be_focused()


async def test_a_finished_step_is_removed_or_given_another_app_only_after_a_question(builder: Builder) -> None:
    """It asks in its place, by keyboard too; whoever keeps the step is where they were."""
    await builder.begin("ask", "Schedule")
    await builder.choose_action(1, "Every Hour")
    await expect(builder.button(1, "Test this step")).to_be_visible()
    await builder.button(1, "Remove step 1").focus()
    await builder.page.keyboard.press("Enter")
    await expect(builder.button(1, "Remove it")).to_be_focused()
    await builder.page.keyboard.press("Escape")
    await expect(builder.button(1, "Remove step 1")).to_be_focused()
    await builder.button(1, "Change the app").click()
    await builder.step(1).get_by_role("combobox", name="Instead of Schedule").fill("Formatter")
    await builder.step(1).get_by_role("option", name="Formatter").first.click()
    await expect(builder.button(1, "Change to Formatter")).to_be_focused()
    await expect(builder.step(1).get_by_role("heading", level=2)).to_contain_text("Schedule")
    await builder.page.keyboard.press("Enter")

    await expect(builder.step(1).get_by_role("heading", level=2)).to_contain_text("Formatter")


async def test_many_accounts_are_looked_for_by_words_and_another_is_connected_before_them(builder: Builder) -> None:
    """Nobody scrolls through dozens of rows."""
    for number in range(10, 20):
        await builder.connect_account("many", "HubSpot", title=f"Team {number}")
    await builder.begin("many", "HubSpot")
    await expect(builder.step(1).locator(".choices li")).to_have_count(10)
    await builder.step(1).get_by_label("Find one of 10").fill("team 17")
    await expect(builder.step(1).locator(".choices li")).to_have_count(1)
    await tab_to(builder.page, builder.button(1, "Connect another HubSpot account"), backwards=True)
    await builder.button(1, "Use: Team 17").click()

    await builder.shows(1, "resolved")


async def test_triggers_are_for_the_first_step_and_actions_for_the_others(builder: Builder) -> None:
    """A step that is moved keeps what it does, and is told when that does not fit its new place."""
    await builder.begin("tri", "Schedule", "Formatter")
    for number in (1, 2):
        await expect(builder.action(number)).to_contain_text("Choose what")
    kinds = [await builder.action(number).evaluate(_KINDS) for number in (1, 2)]
    await builder.choose_action(1, "Every Hour")
    await builder.button(1, "Move step 1 down").click()
    await expect(builder.step(2)).to_contain_text("Only a Zap’s first step can be a trigger")

    assert kinds[0] == ["When this happens"]
    assert kinds[1]
    assert "When this happens" not in kinds[1]


async def test_what_is_chosen_last_is_what_a_step_does(builder: Builder) -> None:
    """It is shown at once, and asked for once what was chosen before it is answered."""
    await builder.begin("cho", "Schedule")
    answered, asked = asyncio.Event(), list[str]()

    async def held(route: Route) -> None:
        asked.append(json.loads(route.request.post_data or "")["key"])
        await answered.wait()
        await route.continue_()

    await builder.page.route("**/action", held)
    await builder.choose_action(1, "Every Hour")
    await expect(builder.action(1)).to_have_value("READ every_hour")
    await builder.choose_action(1, "Every Day")
    await expect(builder.action(1)).to_have_value("READ every_day")
    before = list(asked)
    async with builder.page.expect_response(lambda got: "every_day" in (got.request.post_data or "")):
        answered.set()
    await expect(builder.action(1)).to_have_value("READ every_day")

    assert (before, asked) == (["every_hour"], ["every_hour", "every_day"])


async def test_a_reload_in_the_middle_of_a_popup_loses_nothing(builder: Builder) -> None:
    """The address names the session, and the popup goes on."""
    await builder.begin("rea", "HubSpot")
    popup = await builder.open_popup(1)
    await builder.shows(1, "waiting")
    await builder.page.reload()
    await builder.shows(1, "checking")
    await walk_through(popup)

    await builder.shows(1, "resolved")
    await expect(builder.step(1)).to_contain_text("HubSpot (rea@example.test)")


async def test_a_waiting_page_has_its_user_quote_what_operators_find(
    builder: Builder, installation: Installation
) -> None:
    """Where nothing went wrong, it is the Zap as a whole."""
    await builder.begin("quo", "HubSpot")
    await builder.open_popup(1)
    await builder.page.reload()
    await builder.shows(1, "checking")
    quoted = await builder.step(1).locator(".quote .mono").inner_text()

    assert await found_by_operators(installation, quoted) == builder.session_id


async def test_a_second_tab_shows_the_same_and_goes_along(
    builder: Builder, context: BrowserContext, installation: Installation
) -> None:
    """Whatever is done in one is seen in the other."""
    await builder.begin("two")
    other = await Builder.opened(context, installation.variables, fragment=f"#{builder.session_id}")
    await expect(other.step(2)).to_be_visible()
    await builder.choose_app(1, "Formatter")
    await other.shows(1, "no-auth-required")
    await other.page.get_by_label("Title").fill("From the other tab")
    await other.page.keyboard.press("Tab")

    await expect(builder.page.get_by_label("Title")).to_have_value("From the other tab")
    await expect(builder.page.get_by_role("region", name="What happened")).to_contain_text("Title changed")


async def test_zapier_is_not_asked_more_often_than_there_is_reason_to(builder: Builder) -> None:
    """A step's accounts are read when it needs one, and again when its popup has failed."""
    asked: list[str] = []
    builder.page.on("request", lambda request: asked.append(request.url) if "/authentications" in request.url else None)
    await builder.begin("sue", "HubSpot", "Slack")
    await expect(builder.button(2, "Connect Slack")).to_be_visible()
    await builder.open_popup(1)
    await builder.button(1, "Cancel").click()
    await builder.shows(1, "cancelled")
    await expect(builder.button(1, "Connect HubSpot")).to_be_visible()
    await builder.choose_app(2, "Formatter", instead_of="Slack")
    await builder.shows(2, "no-auth-required")
    await expect(builder.action(2)).to_contain_text("Choose")

    assert 3 <= len(asked) <= 4


async def test_a_hostile_title_is_text(builder: Builder) -> None:
    """An app may be called what it likes: nothing of it runs, widens the page, or turns the words beside it around.

    It is one that no other test asks for.
    """
    await builder.patch_faults({"apps": {RENAMED: {"title": HOSTILE + "T" * 90}}})
    await builder.page.set_viewport_size({"width": 360, "height": 740})
    await builder.begin("eve")
    field = builder.step(1).get_by_role("combobox", name="App")
    await field.fill(RENAMED)
    await builder.step(1).get_by_role("option", name="<img").click()
    await expect(builder.step(1).get_by_role("heading", level=2)).to_contain_text("<img src=x onerror=")
    await builder.shows(1, "ready")
    await expect(builder.button(1, "Connect ")).to_be_visible()
    width = await _width(builder.page)
    await builder.patch_faults({"apps": {RENAMED: None}})

    assert await builder.page.title() == "Build a Zap · Zapwright"
    assert await builder.page.locator("img[src=x]").count() == 0
    assert width == 360


async def test_an_api_that_is_away_is_said_and_waited_for(builder: Builder) -> None:
    """The page goes on by itself when it is back."""
    await builder.begin("off", "Formatter")
    session = builder.session_id
    await builder.page.route("**/dev/session/**", lambda route: route.abort())
    await builder.page.reload()
    await expect(builder.page.get_by_role("alert")).to_contain_text("The API does not answer")
    await builder.page.unroute("**/dev/session/**")
    await builder.shows(1, "no-auth-required")
    await expect(builder.page.get_by_role("alert")).to_have_count(0)
    builder.complaints[:] = [said for said in builder.complaints if "ERR_FAILED" not in said]

    assert builder.session_id == session


async def test_a_title_typed_while_the_api_is_away_is_kept_once_it_is_back(builder: Builder) -> None:
    """Until then it is said at the field that it is not."""
    await builder.begin("tia")
    title = builder.page.get_by_role("textbox", name="Title")
    await builder.page.route("**/dev/session/**", lambda route: route.abort())
    await title.fill("Leads")
    await title.blur()
    await expect(title).to_have_accessible_description(re.compile("Not kept yet"))
    await builder.page.unroute("**/dev/session/**")
    await expect(builder.page.get_by_role("region", name="What happened")).to_contain_text("Title changed")
    await expect(title).to_have_accessible_description("")
    await builder.page.reload()
    builder.complaints[:] = [said for said in builder.complaints if "ERR_FAILED" not in said]

    await expect(title).to_have_value("Leads")


async def test_a_zap_is_created_by_the_title_that_was_typed_last(builder: Builder) -> None:
    """Also where an earlier one is still being kept, and the last is the one that there was before."""
    await builder.begin("tit", "Schedule", "Formatter")
    await builder.choose_action(1, "Every Hour")
    await builder.choose_action(2, "Text")
    page, answered, asked = builder.page, asyncio.Event(), list[str]()

    async def held(route: Route) -> None:
        asked.append(route.request.post_data or "")
        await answered.wait()
        await route.continue_()

    await page.route("**/dev/session/*", held)
    await page.route("**/zap", held)
    title = page.get_by_role("textbox", name="Title")
    await title.fill("Leads")
    await title.blur()
    await title.fill("New Zap")
    await builder.choose_action(2, "Date / Time")
    await page.get_by_role("button", name="Create the Zap").click()
    await expect(page.get_by_role("region", name="Create the Zap").locator(".spinner")).to_be_visible()
    answered.set()
    await expect(page.locator("strong", has_text="Your Zap exists")).to_be_visible()
    await expect(title).to_have_value("New Zap")

    assert asked == ['{"title":"Leads"}', '{"title":"New Zap"}', "{}"]


async def test_a_user_whom_zapier_forgot_signs_in_and_goes_on(builder: Builder) -> None:
    """What was waited for is still waited for, and found."""
    await builder.begin("iris", "Zoom")
    popup = await builder.open_popup(1)
    await builder.shows(1, "waiting")
    rule = {"fault": "status", "status": 401, "times": 1, "user": "iris", "endpoint": "GET /v2/authentications"}
    await builder.patch_faults({"rules": {"iris": rule}})
    await builder.button(1, "I’ve finished").click()
    await builder.shows(1, "sign-in-needed")
    async with builder.page.expect_popup() as opening:
        await builder.page.get_by_role("button", name="Sign in to Zapier").click()
    await sign_in(await opening.value, "iris")
    await builder.shows(1, "waiting")
    await walk_through(popup)

    await builder.shows(1, "resolved")


async def test_a_zap_that_is_no_longer_there_is_said_to_be_gone(
    context: BrowserContext, installation: Installation
) -> None:
    """And another can be started."""
    builder = await Builder.opened(context, installation.variables, fragment="#zs00000000000000000000000")
    await expect(builder.page.get_by_role("alert")).to_contain_text("This Zap is no longer kept")
    await builder.page.get_by_role("button", name="Start another").click()

    await expect(builder.page.get_by_role("button", name="Start a Zap")).to_be_visible()


async def test_the_fault_menu_breaks_the_popups_of_one_app(
    builder: Builder, context: BrowserContext, installation: Installation
) -> None:
    """What was chosen is what the simulator does, and what another tab sees chosen."""
    await builder.begin("fay", "Trello", "HubSpot")
    page = builder.page
    await page.get_by_label("In the windows of").select_option(label="Trello")
    await page.get_by_label("This goes wrong").select_option(label="A page on the way cuts it off")
    await expect(page.get_by_role("button", name="Nothing should go wrong")).to_be_visible()
    await expect(page.get_by_text("In the windows of Trello: A page on the way cuts it off.")).to_be_visible()
    other = await Builder.opened(context, installation.variables, fragment=f"#{builder.session_id}")
    await other.page.get_by_label("In the windows of").select_option(label="Trello")
    await expect(other.page.get_by_label("This goes wrong")).to_have_value("cut")
    popup = await builder.open_popup(1)
    await popup.locator("#continue").click()
    await builder.shows(1, "checking")
    await popup.locator("#allow").click()
    await expect(popup.locator("#done")).to_be_visible()
    await builder.says_it_has_finished(1)
    await builder.shows(1, "resolved")
    await expect(builder.step(1)).to_contain_text("Known by being new")
    await page.get_by_role("button", name="Put it right").click()

    await expect(page.get_by_role("button", name="Nothing should go wrong")).to_have_count(0)


async def test_it_fits_a_small_phone(chromium: Browser, installation: Installation) -> None:
    """Nothing is wider than the screen, whatever is shown, and however long the names are."""
    user = "p" * 64
    context = await chromium.new_context(viewport={"width": 360, "height": 740})
    builder = await Builder.opened(context, installation.variables)
    widths = [await _width(builder.page)]
    await builder.connect_account(user, "HubSpot", title="H" * 64)
    await builder.begin(user, "HubSpot", "Formatter")
    await expect(builder.button(1, "Use: ")).to_be_visible()
    widths.append(await _width(builder.page))
    await builder.open_popup(1)
    await builder.shows(1, "waiting")
    widths.append(await _width(builder.page))
    await context.close()

    assert widths == [360, 360, 360]


async def _width(page: Page) -> int:
    width: int = await page.evaluate("document.documentElement.scrollWidth")
    return width


async def test_there_are_words_for_everything(builder: Builder) -> None:
    """Every show, every event and every reason has its own; none is shown by its name."""
    wordless = await builder.page.evaluate(
        """async ({ shows, events, reasons }) => {
          const { wordsOf, eventInWords } = await import("/web/builder-words.js");
          const place = { app: "Slack", account: null };
          const data = { evidence: [], position: 0 };
          const named = (reason) => eventInWords({ name: "auth_needed", data: { reason } }, place)[1];
          return [
            ...shows.filter((show) => wordsOf(show, "Slack").badge === show),
            ...events.filter((name) => eventInWords({ name, data }, place)[1] === name),
            ...reasons.filter((reason) => reason !== "cancelled" && named(reason).endsWith(`: ${reason}`)),
          ];
        }""",
        {"shows": SHOWS, "events": list(EventName), "reasons": list(Reason)},
    )

    assert len(SHOWS) > 15
    assert wordless == []


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing(chromium: Browser, installation: Installation, theme: str) -> None:
    """Neither in the welcome, nor in a search, nor in any kind of card, nor when the Zap is there."""
    context = await chromium.new_context(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    builder = await Builder.opened(context, installation.variables)
    found = {"welcome": await _axe(builder.page)}
    user = f"axe-{theme}"
    await builder.connect_account(user, "Gmail")
    await builder.begin(user, "HubSpot", "Gmail")
    await builder.shows(2, "ready")
    await builder.button(2, "Use: ").click()
    await builder.shows(2, "resolved")
    await builder.button(2, "Use another account").click()
    await builder.open_popup(1)
    await builder.shows(1, "waiting")
    found["waiting and picking"] = await _axe(builder.page)
    await builder.button(1, "Cancel").click()
    await builder.shows(1, "cancelled")
    await builder.button(1, "Change the app of step 1").click()
    await expect(builder.step(1).get_by_role("option").first).to_be_visible()
    found["cancelled and searching"] = await _axe(builder.page)
    await context.close()

    assert found == dict.fromkeys(found, "")


async def _axe(page: Page) -> str:
    found: str = (await Axe().run(page)).generate_snapshot()
    return found
