"""The form of a step's inputs, in Chromium, as the demo builder shows it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from itertools import product
from typing import Any, Final

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Locator, Response, Route, expect

from orchestrator.core.fields import Format, ValueType
from tests.acceptance.installation import Installation
from tests.browser.builder import Builder, tab_to
from tests.support.patience import PATIENT

pytestmark = pytest.mark.browser

HOSTILE: Final = "<img src=x onerror=document.title='gotcha'>A<script>document.title='gotcha'</script><b>B</b> 1 < 2"


@pytest.fixture
async def builder(context: BrowserContext, installation: Installation) -> AsyncIterator[Builder]:
    """The builder at its welcome; it ends without having broken its policy, and without an error."""
    builder = await Builder.opened(context, installation.variables)
    yield builder
    assert await builder.violations() == []
    assert builder.complaints == []


async def test_a_step_with_dependent_choices_and_a_mapping_is_filled_in_and_the_zap_is_created(  # noqa: PLR0915 - one story
    builder: Builder, installation: Installation
) -> None:
    """What is missing is said at its field; what depends on a changed field is emptied and asked for again."""
    await _begin(builder, "fil", "Google Sheets")
    await builder.choose_action(2, "Create Spreadsheet Row")
    step = builder.step(2)
    spreadsheet = step.get_by_role("combobox", name="Spreadsheet")
    worksheet = step.get_by_role("combobox", name="Worksheet")
    await expect(spreadsheet).to_be_visible()
    await builder.page.get_by_role("button", name="Create the Zap").click()
    await expect(spreadsheet).to_be_focused()
    await expect(spreadsheet).to_have_accessible_description(re.compile("This field must be filled"))
    builder.complaints[:] = [said for said in builder.complaints if "409" not in said]
    await builder.page.keyboard.type("spreadsheet 4")
    await expect(step.locator("li[role=option]").first).to_have_attribute("aria-selected", "true")
    await builder.page.keyboard.press("Enter")
    await expect(worksheet).to_have_accessible_description(re.compile("must be filled"))
    await _choose(step, worksheet, "Orders")
    await expect(step.get_by_role("group", name="Columns").get_by_role("textbox", name="Amount")).to_be_visible()
    await _choose(step, spreadsheet, "Spreadsheet 60")
    await expect(step.get_by_text("Emptied, because it depends on what was changed")).to_contain_text("Worksheet")
    await _choose(step, worksheet, "Leads")
    name = step.get_by_role("textbox", name="Name", exact=True)
    await name.fill("Dear , hello")
    await name.evaluate("(input) => input.setSelectionRange(5, 5)")
    await tab_to(builder.page, step.get_by_role("button", name="Use an earlier step for Name"))
    await builder.page.keyboard.press("Enter")
    await step.get_by_label("What Name takes from an earlier step").select_option(label="Owner Name (Ada)")
    await step.get_by_role("button", name="Insert into Name").click()
    await expect(step.get_by_label("Name, text after 1. Formatter: Owner Name")).to_be_focused()
    await expect(step.locator(".flaw.small")).to_have_count(0)
    await builder.page.get_by_role("button", name="Create the Zap").click()
    await expect(builder.page.locator("strong", has_text="Your Zap exists")).to_be_visible()
    session = await _session(installation, builder.session_id)
    owner = {"$ref": {"step": session["steps"][0]["id"], "field": "owner__name"}}

    assert session["steps"][1]["inputs"] == {
        "spreadsheet": "sheet-00060",
        "worksheet": "sheet-00060/leads",
        "COL$A": {"$text": ["Dear ", owner, ", hello"]},
    }


async def test_the_first_flaw_has_the_focus_once_its_field_is_there(builder: Builder) -> None:
    """Also where the Zap was to be created before; until then its step has it, unless the user goes elsewhere."""
    page, arrived = builder.page, asyncio.Event()

    async def late(route: Route) -> None:
        await arrived.wait()
        await route.continue_()

    await _begin(builder, "hasty", "Google Sheets")
    await page.route("**/fields", late)
    await builder.choose_action(2, "Create Spreadsheet Row")
    await page.get_by_role("button", name="Create the Zap").click()
    await expect(builder.step(2).get_by_role("heading", level=2)).to_be_focused()
    await expect(builder.step(2).locator(".form > .flaw")).to_have_count(0)
    builder.complaints[:] = [said for said in builder.complaints if "409" not in said]
    arrived.set()

    await expect(builder.step(2).get_by_role("combobox", name="Spreadsheet")).to_be_focused()


async def _begin(builder: Builder, user: str, app: str) -> None:
    await builder.connect_account(user, app)
    await builder.begin(user, "Formatter", app)
    await builder.button(2, "Use: ").click()
    await builder.shows(2, "resolved")
    await builder.choose_action(1, "New Formatted Batch")


async def _choose(step: Locator, field: Locator, label: str) -> None:
    await field.click()
    await step.get_by_role("option", name=label, exact=True).click()


async def _session(installation: Installation, session_id: str) -> dict[str, Any]:
    variables = installation.variables
    headers = {"Authorization": f"Bearer {variables['ZAPWRIGHT_API_KEY']}"}
    async with httpx.AsyncClient(base_url=variables["ZAPWRIGHT_API_URL"], headers=headers, **PATIENT) as api:
        session: dict[str, Any] = (await api.get(f"/v1/sessions/{session_id}")).raise_for_status().json()
    return session


async def test_choices_are_read_page_by_page_and_searched_and_known_by_their_labels_after_a_reload(
    builder: Builder,
) -> None:
    """Ten thousand are not read at once, and a search says how far it went; what the app says in HTML is text."""
    asked: list[str] = []
    builder.page.on("request", lambda request: asked.append(request.url) if "/choices?" in request.url else None)
    await _begin(builder, "cho", "Slack")
    await builder.choose_action(2, "Send Channel Message")
    step = builder.step(2)
    channel = step.get_by_role("combobox", name="Channel", exact=True)
    await expect(step.locator(".info")).to_have_text("Careful: this posts.")
    await channel.click()
    options = step.locator("li[role=option]")
    await expect(options.first).to_have_text("channel 1")
    first = await options.count()
    await step.get_by_role("button", name="Show more choices of Channel").click()
    await expect(options).to_have_count(2 * first)
    await channel.fill("channel 777")
    await expect(step.get_by_text("Not among the first 500 choices.")).to_be_visible()
    await step.get_by_role("button", name="Look further for Channel").click()
    await expect(options.first).to_have_text("channel 777")
    await builder.page.keyboard.press("Escape")
    await channel.click()
    await expect(options.first).to_have_text("channel 1")
    await builder.page.keyboard.press("ArrowDown")
    await builder.page.keyboard.press("Enter")
    await expect(channel).to_have_value("channel 1")
    await expect(step.locator(".form")).not_to_have_attribute("aria-busy", "true")
    await builder.page.reload()

    await expect(channel).to_have_value("channel 1")
    assert len(asked) <= 7


async def test_what_was_typed_and_left_is_taken_when_it_names_a_choice_and_otherwise_stays_to_be_decided_on(
    builder: Builder,
) -> None:
    """Nothing typed is lost, and no title is taken for an id unless the user says so.

    A part of a list is said to be one, also to those who only hear it, and Enter looks on.
    """
    await _begin(builder, "lea", "Slack")
    await builder.choose_action(2, "Send Channel Message")
    channel = builder.step(2).get_by_role("combobox", name="Channel", exact=True)
    missing = builder.page.locator("#missing")
    await channel.fill("nowhere")
    await channel.press("Tab")
    await expect(channel).to_have_accessible_description(re.compile("“nowhere” was not taken"))
    await expect(channel).to_have_value("nowhere")
    await expect(missing).to_have_text("Step 2: fill in Message Text; correct Channel")
    await channel.fill("Channel 7")
    await channel.press("Tab")
    await expect(missing).to_have_text("Step 2: fill in Message Text")
    await expect(channel).to_have_value("channel 7")
    await builder.page.route("**/choices?*query=Sales*", _in_parts)
    await channel.fill("Sales")
    told = builder.step(2).locator(".picker [role=status]").first
    await expect(told).to_have_text("0 choices, out of the first 500. Use “Sales” as it is")
    await channel.press("Enter")
    await expect(told).to_have_text("1 choice")
    await channel.press("Enter")
    await expect(channel).to_have_value("Sales")
    await channel.fill("C-elsewhere")
    await expect(builder.step(2).get_by_role("option", name="Use “C-elsewhere” as it is")).to_be_visible()
    await channel.press("Enter")

    await expect(channel).to_have_value("C-elsewhere")


async def _in_parts(route: Route) -> None:
    is_second = "cursor=further" in route.request.url
    page = {
        "choices": [{"id": "c1", "label": "Sales"}] if is_second else [],
        "cursor": None if is_second else "further",
        "looked_through": 500,
    }
    await route.fulfill(json=page, headers={"Access-Control-Allow-Origin": "*"})


async def test_what_a_step_gives_no_more_is_marked_where_it_is_used(builder: Builder) -> None:
    """A step without an action gives nothing, and another action what it gives; what was picked is never another."""
    await _begin(builder, "mar", "Slack")
    await builder.choose_action(2, "Send Channel Message")
    step = builder.step(2)
    await step.get_by_role("button", name="Use an earlier step for Message Text").click()
    await step.get_by_label("What Message Text takes from an earlier step").select_option(label="Owner Name (Ada)")
    await step.get_by_role("button", name="Insert into Message Text").click()
    chip = step.locator(".chip")
    await expect(chip).to_have_text(re.compile("^1. Formatter: Owner Name×$"))
    await builder.choose_app(1, "Schedule", instead_of="Formatter", is_finished=True)
    await expect(chip).to_have_text(re.compile("^1. Schedule: owner name *not given any more×$"))
    async with builder.page.expect_response("**/outputs"):
        await builder.choose_action(1, "Every Hour")
    await expect(chip).to_have_text("1. Schedule: Owner Name×")
    await step.get_by_role("button", name="Use an earlier step for Message Text").click()
    picked = step.get_by_label("What Message Text takes from an earlier step")
    await picked.select_option(index=0)
    await builder.page.route("**/outputs", _other_outputs)
    async with builder.page.expect_response("**/outputs"):
        await builder.choose_action(1, "Every Day")

    await expect(chip).to_have_text(re.compile("^1. Schedule: owner name *not given any more×$"))
    await expect(picked.get_by_role("option", name="Time (09:00)")).to_be_attached()
    await expect(picked).to_have_value("")


async def _other_outputs(route: Route) -> None:
    outputs = [{"id": "time", "title": "Time", "sample": "09:00"}]
    await route.fulfill(json={"outputs": outputs}, headers={"Access-Control-Allow-Origin": "*"})


async def test_lists_objects_and_truths_are_kept_as_what_they_are(builder: Builder, installation: Installation) -> None:
    """And what is not of a field's type is kept, too, with what is wrong with it beside it."""
    await _begin(builder, "lio", "HubSpot")
    await builder.choose_action(2, "Create Contact")
    step = builder.step(2)
    await step.get_by_role("textbox", name="Email").fill("ada@example.test")
    await step.get_by_role("textbox", name="Age").fill("old")
    await step.get_by_role("button", name="Add to Visits").click()
    await step.get_by_role("textbox", name="Visits, 1").fill("7")
    await step.get_by_role("button", name="Add to Visits").click()
    await step.get_by_role("textbox", name="Visits, 2").fill("8")
    await step.get_by_role("button", name="Add to More properties").click()
    await step.get_by_role("textbox", name="More properties, 1, name").fill("first[]name$__")
    await step.get_by_role("textbox", name="More properties, 1, value").fill("Ada")
    await builder.page.keyboard.press("Tab")
    await expect(step.get_by_role("textbox", name="Age")).to_have_accessible_description("Expected a whole number.")
    await step.get_by_role("button", name="Remove Visits, 1").click()
    await expect(step.get_by_role("textbox", name="Visits, 1")).to_have_value("8")
    await expect(step.locator(".form")).not_to_have_attribute("aria-busy", "true")
    await builder.page.reload()
    await expect(step.get_by_role("textbox", name="Visits, 1")).to_have_value("8")
    session = await _session(installation, builder.session_id)

    assert session["steps"][1]["inputs"] == {
        "email": "ada@example.test",
        "age": "old",
        "visits": ["8"],
        "properties": {"first[]name$__": "Ada"},
    }


async def test_a_row_added_while_something_else_is_sent_stays(builder: Builder) -> None:
    """It is not part of what was sent: the answer to that is no reason to take it away."""
    await _begin(builder, "row", "HubSpot")
    await builder.choose_action(2, "Create Contact")
    step, sent = builder.step(2), asyncio.Event()
    answered: list[Response] = []
    builder.page.on("response", lambda got: answered.append(got) if got.url.endswith("/inputs") else None)

    async def held(route: Route) -> None:
        await sent.wait()
        await route.continue_()

    await builder.page.route("**/inputs", held)
    await step.get_by_role("textbox", name="Email").fill("ada@example.test")
    await step.get_by_role("button", name="Add to Visits").click()
    await step.get_by_role("textbox", name="Visits, 1").fill("7")
    await step.get_by_role("button", name="Add to Visits").click()
    await expect(step.get_by_role("textbox", name="Visits, 2")).to_be_focused()
    sent.set()
    await expect(step.locator(".form")).not_to_have_attribute("aria-busy", "true")

    await expect(step.get_by_role("textbox", name="Visits, 2")).to_be_focused()
    await expect(step.get_by_role("textbox", name="Visits, 1")).to_have_value("7")
    assert [json.loads(got.request.post_data or "")["inputs"] for got in answered] == [
        {"email": "ada@example.test"},
        {"visits": ["7"]},
    ]


async def test_no_step_is_carried_out_by_an_answer_about_what_it_did_before(
    builder: Builder, installation: Installation
) -> None:
    """What was confirmed waits until everything is sent; another tab gives the step another action meanwhile."""
    await _begin(builder, "asked", "HubSpot")
    await builder.choose_action(2, "Create Contact")
    step, answered, asked = builder.step(2), asyncio.Event(), list[str]()
    builder.page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/test") else None)

    async def held(route: Route) -> None:
        answer = await route.fetch()
        await answered.wait()
        await route.fulfill(response=answer)

    await builder.page.route("**/inputs", held)
    await step.get_by_role("textbox", name="Email").fill("ada@example.test")
    await builder.button(2, "Test this step").click()
    await expect(step.locator(".form")).to_have_attribute("aria-busy", "true")
    await builder.button(2, "Carry it out once").click()
    await _elsewhere(installation, builder, "PUT", "action", {"key": "create_deal", "action_type": "WRITE"})
    await expect(builder.action(2)).to_have_value("WRITE create_deal")
    answered.set()
    await expect(step.locator(".form")).not_to_have_attribute("aria-busy", "true")
    await expect(step.get_by_role("textbox", name="Email")).to_have_count(0)
    await expect(step.locator("[data-field]").first).to_be_visible()
    await builder.button(2, "Test this step").click()
    await expect(builder.button(2, "Carry it out once")).not_to_have_attribute("aria-disabled", "true")

    assert asked == []


async def test_what_was_typed_stays_until_it_is_kept_whatever_is_answered_or_changed_meanwhile(  # noqa: PLR0915 - one story
    builder: Builder, installation: Installation
) -> None:
    """A row that says nothing yet, a value without a name, what a window was left amid: nothing takes it away.

    What was put back is sent, too, when its change could not be; and another account gets what was typed for the last.
    """
    await _begin(builder, "stays", "HubSpot")
    await builder.choose_action(2, "Create Contact")
    step, page = builder.step(2), builder.page
    email, age = (step.get_by_role("textbox", name=name) for name in ("Email", "Age"))
    value = step.get_by_role("textbox", name="More properties, 1, value")
    form = step.locator(".form")
    await step.get_by_role("button", name="Add to Visits").click()
    await step.get_by_role("button", name="Add to More properties").click()
    await value.fill("Ada")
    await age.fill("4")
    await age.evaluate(WINDOW_LEFT)
    await expect(form).not_to_have_attribute("aria-busy", "true")
    await _elsewhere(installation, builder, "PATCH", "inputs", {"inputs": {"email": "bob@example.test"}})
    await expect(email).to_have_value("bob@example.test")
    await expect(age).to_have_value("4")
    await expect(value).to_have_value("Ada")
    await expect(step.get_by_role("textbox", name="Visits, 1")).to_have_value("")
    await step.get_by_role("textbox", name="More properties, 1, name").fill("first")
    await step.get_by_role("button", name="Add to More properties").click()
    await step.get_by_role("textbox", name="More properties, 2, value").fill("Lovelace")
    async with page.expect_response("**/inputs"):
        await value.fill("Grace")
        await value.blur()
    await expect(form).not_to_have_attribute("aria-busy", "true")
    await expect(step.get_by_role("textbox", name="More properties, 2, value")).to_have_value("Lovelace")
    await expect(page.locator("#missing")).to_contain_text("correct More properties")
    await step.get_by_role("button", name="Remove More properties, 2").click()
    await expect(page.locator("#missing")).to_have_count(0)
    trouble = form.get_by_role("alert")
    await page.route("**/inputs", lambda route: route.abort())
    await email.fill("eve@example.test")
    await email.blur()
    await expect(trouble).to_be_visible()
    await page.unroute("**/inputs")
    await email.fill("bob@example.test")
    await email.blur()
    await expect(trouble).to_have_count(0)
    await expect(form).not_to_have_attribute("aria-busy", "true")
    put_back = await _session(installation, builder.session_id)
    await page.route("**/inputs", lambda route: route.abort())
    await email.fill("zoe@example.test")
    await email.blur()
    await expect(trouble).to_be_visible()
    await page.unroute("**/inputs")
    other = await builder.connect_account("stays", "HubSpot")
    await _elsewhere(installation, builder, "PUT", "authentication", {"authentication_id": other["id"]})
    await expect(email).to_have_value("zoe@example.test")
    await expect(form).not_to_have_attribute("aria-busy", "true")
    session = await _session(installation, builder.session_id)
    builder.complaints[:] = [said for said in builder.complaints if "ERR_FAILED" not in said]

    assert put_back["steps"][1]["inputs"]["email"] == "bob@example.test"
    assert session["steps"][1]["authentication"]["id"] == other["id"]
    assert session["steps"][1]["inputs"] == {
        "email": "zoe@example.test",
        "age": "4",
        "properties": {"first": "Grace"},
    }


WINDOW_LEFT: Final = "(element) => element.dispatchEvent(new FocusEvent('focusout', {bubbles: true}))"


async def _elsewhere(installation: Installation, builder: Builder, method: str, what: str, body: object) -> None:
    """Change the second step as another tab does."""
    variables = installation.variables
    headers = {"Authorization": f"Bearer {variables['ZAPWRIGHT_API_KEY']}"}
    async with httpx.AsyncClient(base_url=variables["ZAPWRIGHT_API_URL"], headers=headers, **PATIENT) as api:
        session = await _session(installation, builder.session_id)
        path = f"/v1/sessions/{builder.session_id}/steps/{session['steps'][1]['id']}/{what}"
        (await api.request(method, path, json=body)).raise_for_status()


async def test_whatever_an_action_asks_for_is_shown_and_what_it_says_of_itself_is_text(
    chromium: Browser, installation: Installation
) -> None:
    """Every type in every format has a control with a name, on a phone too; axe finds nothing, and no markup runs."""
    context = await chromium.new_context(viewport={"width": 360, "height": 740}, reduced_motion="reduce")
    builder = await Builder.opened(context, installation.variables)
    await builder.page.route("**/fields", _anything)
    await _begin(builder, "any", "HubSpot")
    await builder.choose_action(2, "Create Contact")
    step = builder.step(2)
    await expect(step.locator("[data-field]")).to_have_count(len(EVERYTHING))
    await expect(step.locator(".info").first).to_have_text("AB 1 < 2")
    await expect(step.locator("[data-field='STRING None'] > div.soft")).to_have_text(re.compile("^AB 1 < 2"))
    await step.get_by_role("button", name="Use an earlier step for STRING None").first.click()
    await expect(step.get_by_label("What STRING None takes from an earlier step")).to_be_visible()
    found = ""
    for theme in ("light", "dark"):
        await builder.page.emulate_media(color_scheme=theme)
        found += (await Axe().run(builder.page)).generate_snapshot()
    width = await builder.page.evaluate("document.documentElement.scrollWidth")
    title = await builder.page.title()
    markup = await step.locator(".form :is(img, script, b)").count()
    violations = await builder.violations()
    await context.close()

    assert (found, width, title, markup, violations) == ("", 360, "Build a Zap · Zapwright", 0, [])
    assert builder.complaints == []


def _field(kind: str, name: str, **more: Any) -> dict[str, Any]:
    empty = {"value_type": None, "format": None, "is_required": False, "default": None, "placeholder": ""}
    return {
        "kind": kind,
        "id": name,
        "title": name,
        "description": HOSTILE,
        "depends_on": [],
        "invalidates": False,
        "items": None,
        "fields": [],
    } | (empty | more)


EVERYTHING: Final = [
    _field("input", f"{kind} {how}", value_type=kind, format=how, is_required=True, default="true", items="STRING")
    for kind, how in product(map(str, ValueType), [None, *map(str, Format)])
]
FLAWS: Final = [{"field": one["id"], "code": "wrong_type", "detail": HOSTILE} for one in EVERYTHING]
FILLED: Final = {"ARRAY None": ["one"], "OBJECT None": {"a": "b"}, "__proto__ ": "x", "INTEGER None": [{"odd": None}]}


async def _anything(route: Route) -> None:
    parts = [_field("info", "note"), _field("fieldset", "set", fields=EVERYTHING[:9]), *EVERYTHING[9:]]
    form = {"fields": parts, "inputs": FILLED, "problems": FLAWS}
    await route.fulfill(
        body=json.dumps(form), content_type="application/json", headers={"Access-Control-Allow-Origin": "*"}
    )
