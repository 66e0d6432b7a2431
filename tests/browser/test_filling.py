"""What the builder does beside filling in: own apps by their fields, tests of steps, moments, steps in between."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Final

import pytest
from playwright.async_api import BrowserContext, Locator, Route, expect

from tests.acceptance.installation import Installation
from tests.browser.builder import Builder, refusals

pytestmark = pytest.mark.browser

LOST: Final = {
    "rules": {"lost": {"fault": "status", "status": 504, "when": "before", "endpoint": "POST /v2/authentications"}}
}
"""Zapier gives no answer, and has made nothing yet."""

SLOW_PRESS_MS: Final = 1_200
KEPT: Final = "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"


@pytest.fixture
async def builder(context: BrowserContext, installation: Installation) -> AsyncIterator[Builder]:
    """The builder at its welcome; it ends without having broken its policy, and without an error."""
    builder = await Builder.opened(context, installation.variables)
    yield builder
    await builder.patch_faults({"rules": None})
    assert await builder.violations() == []
    assert builder.complaints == []


async def _fill_in(builder: Builder, password: str) -> None:
    form = builder.step(1).get_by_role("form", name="Connect Acme Orders by its fields")
    await form.get_by_label("What to call this account").fill("The shop")
    await form.get_by_label("username").fill("ann")
    await form.get_by_label("password").fill(password)
    await form.get_by_role("button", name="Connect with these").click()


async def test_an_own_app_is_connected_by_its_fields(builder: Builder) -> None:
    """What was wrong stays to be corrected, offline too; what is secret is masked, and nothing typed is kept then."""
    await builder.begin("own", "Acme Orders")
    form = builder.step(1).get_by_role("form", name="Connect Acme Orders by its fields")
    await expect(form.get_by_label("Password", exact=True)).to_have_attribute("type", "password")
    await expect(form.get_by_label("Username", exact=True)).to_have_attribute("type", "text")
    refused = refusals(builder.page)
    await _fill_in(builder, "wrong-horse")
    await builder.shows(1, "not-made")
    await expect(builder.step(1).locator(".quote .mono")).to_be_visible()
    quoted = await builder.step(1).locator(".quote .mono").inner_text()
    await expect(builder.step(1).locator(".note")).to_contain_text("Acme Orders did not accept what you filled in")
    await expect(builder.button(1, "Connect with these")).not_to_have_attribute("aria-disabled", "true")
    await expect(builder.step(1).locator(".note")).to_have_count(1)
    await builder.page.context.set_offline(True)
    await builder.shows(1, "offline")
    await builder.page.context.set_offline(False)
    await expect(form.get_by_label("username")).to_have_value("ann")
    builder.complaints[:] = [said for said in builder.complaints if not re.search("422|ERR_INTERNET", said)]
    await form.get_by_label("Show what I type").check()
    await expect(form.get_by_label("password")).to_have_attribute("type", "text")
    await _fill_in(builder, "battery-staple")
    await builder.shows(1, "resolved")
    await expect(builder.step(1).get_by_text("Known by what you filled in")).to_be_visible()
    kept = await builder.page.evaluate(KEPT)
    shown = await builder.page.content()

    assert [quoted] == refused
    assert "battery-staple" not in kept + shown
    assert "wrong-horse" not in kept + shown


async def test_a_lost_answer_is_found_while_the_page_waits(builder: Builder) -> None:
    """It says that nothing is sent again, and when Zapier is asked next; Zapier makes it only then."""
    await builder.begin("lost", "Acme Orders")
    await builder.patch_faults(LOST)
    await _fill_in(builder, "battery-staple")
    await builder.shows(1, "unanswered")
    await expect(builder.step(1).get_by_text("is not sent again")).to_be_visible()
    await expect(builder.step(1).locator(".countdown")).to_be_visible()
    await expect(builder.step(1).get_by_role("form")).to_have_count(0)
    await builder.connect_account("lost", "Acme Orders")
    await builder.shows(1, "resolved")

    await expect(builder.step(1).get_by_text("by what you filled in and by being new")).to_be_visible()


async def test_an_app_of_others_has_no_such_form(builder: Builder) -> None:
    """Its popup is the way."""
    await builder.begin("others", "Slack")
    await expect(builder.button(1, "Connect Slack")).to_be_visible()

    await expect(builder.step(1).get_by_role("form")).to_have_count(0)


async def test_a_step_is_carried_out_once_somebody_confirmed(  # noqa: PLR0915 - one story
    builder: Builder, installation: Installation
) -> None:
    """With a value in place of what an earlier step gives; what came of it is shown, and what failed said."""
    await builder.connect_account("tess", "Slack")
    await builder.begin("tess", "Formatter", "Slack")
    await builder.button(2, "Use: ").click()
    await builder.choose_action(1, "New Formatted Batch")
    await builder.choose_action(2, "Send Channel Message")
    step, sent = builder.step(2), []
    builder.page.on("request", lambda request: sent.append(request) if request.url.endswith("/test") else None)
    channel = step.get_by_role("combobox", name="Channel", exact=True)
    await channel.fill("channel 7")
    await step.get_by_role("option", name="channel 7", exact=True).click()
    await step.get_by_role("button", name="Use an earlier step for Message Text").click()
    source = step.get_by_label("What Message Text takes from an earlier step")
    await expect(source).not_to_have_value("")  # once what there is has been read
    await step.get_by_role("button", name="Insert into Message Text").click()
    await expect(step.locator(".chip")).to_be_visible()
    await builder.button(1, "Test this step").click()
    await expect(builder.step(1).get_by_text("It only reads")).to_be_visible()
    await builder.button(2, "Test this step").click()
    await expect(builder.button(2, "Carry it out once")).to_be_focused()
    await expect(step.get_by_text("This is no rehearsal.")).to_be_visible()
    await builder.button(2, "Carry it out once").click()
    await expect(step.get_by_role("alert").first).to_contain_text("this step")
    builder.complaints[:] = [said for said in builder.complaints if "409" not in said]
    await step.get_by_label("Message Text, for this test").fill("Hello from a test")
    await builder.button(2, "Carry it out once").click()
    await expect(step.get_by_text("It was carried out, and gave this")).to_be_visible()
    await expect(step.get_by_label("What the step gave")).to_contain_text('"text": "Hello"')
    await expect(step.get_by_text("This is no rehearsal.")).to_have_count(0)

    assert [json.loads(request.post_data)["confirm"] for request in sent] == [True, True]
    assert json.loads(sent[1].post_data)["inputs"] == {"text": "Hello from a test"}


async def test_what_was_pressed_is_clicked_whatever_its_press_brings(builder: Builder) -> None:
    """Leaving a field says what is wrong with it, and moves what is beneath; no click is lost by that.

    Of a value that is still being sent nothing is said.
    """
    await builder.connect_account("pia", "Slack")
    await builder.begin("pia", "Formatter", "Slack")
    await builder.button(2, "Use: ").click()
    await builder.choose_action(1, "New Formatted Batch")
    await builder.choose_action(2, "Send Channel Message")
    step, sent = builder.step(2), asyncio.Event()

    async def held(route: Route) -> None:
        await sent.wait()
        await route.continue_()

    await builder.page.evaluate("document.documentElement.style.overflowAnchor = 'none'")  # as in Safari
    await builder.page.route("**/inputs", held)
    await step.get_by_role("combobox", name="Channel", exact=True).fill("channel 7")
    await step.get_by_role("option", name="channel 7", exact=True).click()
    await step.get_by_role("textbox", name="Message Text", exact=True).click()
    flaws, test = step.locator(".flaw.small"), builder.button(2, "Test this step")
    await expect(flaws).to_have_count(0)
    moved = await _pressed(builder, test)
    sent.set()

    await expect(flaws).to_have_text("This field must be filled.")
    await expect(builder.button(2, "Carry it out once")).to_be_focused()
    assert moved == 0


async def _pressed(builder: Builder, button: Locator) -> float:
    """Press a button as slowly as a hand that is not quick; return how far it moved under the pointer."""
    await button.scroll_into_view_if_needed()
    before = await button.bounding_box()
    assert before is not None
    await builder.page.mouse.move(before["x"] + before["width"] / 2, before["y"] + before["height"] / 2)
    await builder.page.mouse.down()
    await builder.page.evaluate(f"new Promise((done) => setTimeout(done, {SLOW_PRESS_MS}))")
    after = await button.bounding_box()
    await builder.page.mouse.up()
    assert after is not None
    return after["y"] - before["y"]


async def test_a_moment_is_picked_or_typed(builder: Builder) -> None:
    """A date alone and a reference can be typed; what was picked says how far its time is from UTC."""
    await builder.connect_account("mo", "HubSpot")
    await builder.begin("mo", "Formatter", "HubSpot")
    await builder.button(2, "Use: ").click()
    await builder.choose_action(2, "Create Contact")
    step = builder.step(2)
    text = step.get_by_role("textbox", name="Birthday", exact=True)
    picker = step.get_by_label("Pick date and time for Birthday")
    await expect(step.get_by_text("Or pick date and time")).to_be_visible()
    await picker.fill("2026-11-25T14:30")
    await picker.blur()
    await expect(text).to_have_value(re.compile(r"2026-11-25T14:30:00(Z|[+-]\d\d:\d\d)"))
    await text.fill("2026-12-24")
    await text.blur()
    await expect(picker).to_have_value("2026-12-24T00:00")
    await text.fill("tomorrow")
    await text.blur()

    await expect(text).to_have_accessible_description(re.compile("Expected a date"))
    await expect(picker).to_have_value("")


async def test_a_field_that_is_only_shown_says_so(builder: Builder) -> None:
    """Its name does not stand there alone."""
    await builder.connect_account("only", "HubSpot")
    await builder.begin("only", "Schedule", "HubSpot")
    await builder.button(2, "Use: ").click()
    await builder.choose_action(2, "Create Contact")

    await expect(builder.step(2).locator("[data-field=lifecycle]")).to_have_text(re.compile("Only shown"))


async def test_what_was_found_wrong_is_no_longer_said_once_it_was_changed(builder: Builder) -> None:
    """The banner goes with what it spoke of; and a step is put in between two.

    What must still be filled in is said before the Zap is to be created, and leads to its field.
    """
    await builder.connect_account("ban", "Slack")
    await builder.begin("ban", "Schedule", "Slack")
    await builder.button(2, "Use: ").click()
    await builder.choose_action(1, "Every Hour")
    await builder.choose_action(2, "Send Channel Message")
    await builder.page.get_by_role("button", name="Step 2: fill in Message Text").click()
    await expect(builder.step(2).get_by_role("textbox", name="Message Text", exact=True)).to_be_focused()
    await builder.page.get_by_role("button", name="Create the Zap").click()
    banner = builder.page.get_by_role("alert").filter(has_text="Something is not filled in")
    await expect(banner).to_be_visible()
    builder.complaints[:] = [said for said in builder.complaints if "409" not in said]
    text = builder.step(2).get_by_role("textbox", name="Message Text", exact=True)
    await text.fill("Hello")
    await text.blur()
    await expect(banner).to_have_count(0)
    await expect(builder.page.locator("#missing")).to_have_text("Step 2: fill in Channel")
    await builder.button(2, "Insert a step before step 2").click()
    await expect(builder.page.locator(".step")).to_have_count(3)
    await expect(builder.step(2).get_by_role("heading", level=2)).to_be_focused()
    headings = [builder.step(number).get_by_role("heading", level=2) for number in (1, 2, 3)]

    assert [(await heading.inner_text()).split("\n")[-1] for heading in headings] == [
        "Schedule",
        "Choose an app",
        "Slack",
    ]
