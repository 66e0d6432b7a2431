"""The demo builder in each of its states."""

from __future__ import annotations

import asyncio
from typing import Final

from playwright.async_api import expect

from tests.browser.builder import Builder, walk_through
from tests.browser.scenes import SOON_MS
from tests.browser.stages import ATTEMPT_S, TOKEN_S, Shown, Stage, scene

SILENT = {"message": "none"}


async def _welcome(stage: Stage, *, fragment: str = "") -> Builder:
    return await Builder.opened(stage.context, stage.variables, fragment=fragment)


async def _begun(stage: Stage, *apps: str, **popups: object) -> Builder:
    """Begin a Zap; `popups` is what goes wrong in the first app's."""
    builder = await _welcome(stage)
    if popups:
        await builder.patch_faults({"apps": {apps[0]: {"popups": popups}}})
    await builder.begin(stage.user, *apps)
    await _entitle(builder)
    return builder


async def _entitle(builder: Builder) -> None:
    title = builder.page.get_by_label("Title")
    await title.fill("New leads to the team")
    await title.blur()


def _shown(builder: Builder, number: int = 1) -> Shown:
    return builder.page, builder.step(number)


@scene
async def builder_welcome(stage: Stage) -> Shown:
    """Before anything."""
    return (await _welcome(stage)).page, None


@scene
async def builder_unreachable(stage: Stage) -> Shown:
    """The API does not answer."""
    builder = await _welcome(stage)
    await builder.page.route("**/dev/session", lambda route: route.abort())
    await builder.page.get_by_role("button", name="Start a Zap").click()
    await expect(builder.page.get_by_role("alert")).to_be_visible()
    return builder.page, None


@scene
async def builder_loading(stage: Stage) -> Shown:
    """A session is being asked for."""
    await stage.context.route("**/dev/session/**", lambda _: None)
    return (await _welcome(stage, fragment="#zs00000000000000000000000")).page, None


@scene
async def builder_gone(stage: Stage) -> Shown:
    """A session that is no longer kept."""
    builder = await _welcome(stage, fragment="#zs00000000000000000000000")
    await expect(builder.page.get_by_role("alert")).to_be_visible()
    return builder.page, None


@scene
async def builder_begun(stage: Stage) -> Shown:
    """Two steps, and nothing chosen."""
    return (await _begun(stage)).page, None


@scene
async def builder_search(stage: Stage) -> Shown:
    """Apps are being searched."""
    builder = await _begun(stage)
    field = builder.step(1).get_by_role("combobox", name="App")
    await field.fill("goo")
    await expect(builder.step(1).get_by_role("option").first).to_have_attribute("aria-selected", "true")
    return _shown(builder)


@scene
async def builder_ready(stage: Stage) -> Shown:
    """An app with accounts to choose from."""
    builder = await _welcome(stage)
    for title in ("HubSpot (sales)", "HubSpot (marketing)"):
        await builder.connect_account(stage.user, "HubSpot", title=title)
    await builder.connect_account(stage.user, "HubSpot", title="HubSpot (last year’s)", is_expired=True)
    await builder.begin(stage.user, "HubSpot", "Slack")
    await expect(builder.button(1, "Use: HubSpot (sales)")).to_be_visible()
    return _shown(builder)


@scene
async def builder_not_listed(stage: Stage) -> Shown:
    """Zapier cannot be asked about an app."""
    builder = await _welcome(stage)
    rule = {"fault": "status", "status": 503, "user": stage.user, "endpoint": "GET /v2/authentications"}
    await builder.patch_faults({"rules": {"not-listed": rule}})
    await builder.begin(stage.user)
    await builder.step(1).get_by_role("combobox", name="App").fill("Gmail")
    await builder.step(1).get_by_role("option", name="Gmail").click()
    await expect(builder.step(1).get_by_role("alert")).to_be_visible(timeout=SOON_MS)
    return _shown(builder)


@scene
async def builder_waiting(stage: Stage) -> Shown:
    """A popup is open."""
    builder = await _begun(stage, "Gmail", "Slack")
    await builder.open_popup(1)
    await builder.shows(1, "waiting")
    return _shown(builder)


@scene
async def builder_checking(stage: Stage) -> Shown:
    """A popup was cut off."""
    builder = await _welcome(stage)
    await builder.patch_faults({"apps": {"Notion": {"popups": {"coop": {"middle": "same-origin"}}}}})
    await builder.page.reload()
    await builder.begin(stage.user, "Google Sheets", "Notion")
    await builder.page.get_by_label("In the windows of").select_option(label="Notion")
    await walk_through(await builder.open_popup(1))
    await builder.shows(1, "resolved")
    await _entitle(builder)
    popup = await builder.open_popup(2)
    await popup.locator("#continue").click()
    await builder.shows(2, "checking")
    await expect(builder.page.get_by_text("Step 2: Window opened")).to_be_visible()
    return _shown(builder, 2)


@scene
async def builder_confirming(stage: Stage) -> Shown:
    """A popup is done, and Zapier does not list its account yet."""
    builder = await _welcome(stage)
    await builder.patch_faults({"apps": {"Airtable": {"listed_after_ms": 25_000}}})
    await builder.begin(stage.user, "Airtable", "Slack")
    await walk_through(await builder.open_popup(1))
    await builder.shows(1, "confirming")
    return _shown(builder)


@scene
async def builder_resolved(stage: Stage) -> Shown:
    """A step with its account and action, and one that needs no account."""
    builder = await _begun(stage, "Google Calendar", "Formatter")
    await walk_through(await builder.open_popup(1))
    await builder.shows(1, "resolved")
    await builder.choose_action(1, "New Event")
    await builder.shows(2, "no-auth-required")
    await expect(builder.page.get_by_text("Action chosen")).to_be_visible()
    return _shown(builder)


@scene
async def builder_another_account(stage: Stage) -> Shown:
    """A settled step whose user looks for another account."""
    builder = await _welcome(stage)
    for title in ("Salesforce (sales)", "Salesforce (support)"):
        await builder.connect_account(stage.user, "Salesforce", title=title)
    await builder.begin(stage.user, "Salesforce", "Slack")
    await builder.button(1, "Use: Salesforce (sales)").click()
    await builder.shows(1, "resolved")
    await builder.button(1, "Use another account").click()
    await expect(builder.button(1, "Use: Salesforce (support)")).to_be_visible()
    return _shown(builder)


@scene
async def builder_blocked(stage: Stage) -> Shown:
    """The browser opened no popup."""
    await stage.context.add_init_script("window.open = () => null")
    builder = await _begun(stage, "Mailchimp", "Slack")
    await builder.button(1, "Connect Mailchimp").click()
    await builder.shows(1, "blocked")
    return _shown(builder)


@scene
async def builder_ambiguous(stage: Stage) -> Shown:
    """Two accounts are new."""
    builder = await _begun(stage, "Asana", "Slack", **SILENT)
    await builder.open_popup(1)
    await builder.shows(1, "waiting")
    await builder.connect_account(stage.user, "Asana", count=2)
    await builder.button(1, "I’ve finished").click()
    await builder.shows(1, "ambiguous")
    return _shown(builder)


@scene
async def builder_nothing_new(stage: Stage) -> Shown:
    """The user has finished, and nothing is new."""
    builder = await _welcome(stage)
    await builder.connect_account(stage.user, "Typeform")
    await builder.begin(stage.user, "Typeform", "Slack")
    await builder.open_popup(1)
    await builder.shows(1, "waiting")
    await builder.button(1, "I’ve finished").click()
    await builder.shows(1, "nothing-new")
    return _shown(builder)


@scene
async def builder_not_visible(stage: Stage) -> Shown:
    """The account is somebody else's."""
    builder = await _begun(stage, "Stripe", "Slack", account="somebody-else", account_wins=True)
    await walk_through(await builder.open_popup(1))
    await builder.shows(1, "not-visible", within_s=60)
    return _shown(builder)


@scene
async def builder_timed_out(stage: Stage) -> Shown:
    """The user left."""
    builder = await _begun(stage, "Shopify", "Slack")
    popup = await builder.open_popup(1)
    await popup.close()
    await builder.shows(1, "timed-out", within_s=2 * ATTEMPT_S)
    return _shown(builder)


@scene
async def builder_cancelled(stage: Stage) -> Shown:
    """The user gave up."""
    builder = await _begun(stage, "Discord", "Slack")
    await builder.open_popup(1)
    await builder.shows(1, "waiting")
    await builder.button(1, "Cancel").click()
    await builder.shows(1, "cancelled")
    return _shown(builder)


async def _settled(stage: Stage, app: str) -> tuple[Builder, str]:
    """Settle the first step on an account, and return its id."""
    builder = await _welcome(stage)
    account = await builder.connect_account(stage.user, app)
    await builder.begin(stage.user, app, "Slack")
    await builder.button(1, "Use: ").click()
    await builder.shows(1, "resolved")
    return builder, account["id"]


async def _look_again(stage: Stage, builder: Builder) -> None:
    session = await stage.read(f"/v1/sessions/{builder.session_id}")
    await stage.read(f"/v1/sessions/{session['id']}/steps/{session['steps'][0]['id']}/authentications?refresh=true")


@scene
async def builder_expired(stage: Stage) -> Shown:
    """An account that must be connected again."""
    builder, account = await _settled(stage, "Jira")
    await builder.change_account(account, is_expired=True)
    await _look_again(stage, builder)
    await builder.shows(1, "expired")
    return _shown(builder)


@scene
async def builder_revoked(stage: Stage) -> Shown:
    """An account that is no longer there."""
    builder, account = await _settled(stage, "GitHub")
    await builder.delete_account(account)
    for _ in range(40):
        await _look_again(stage, builder)
        if await builder.step(1).get_attribute("data-show") == "revoked":
            break
        await asyncio.sleep(5)
    await builder.shows(1, "revoked")
    return _shown(builder)


@scene
async def builder_claimed_elsewhere(stage: Stage) -> Shown:
    """An account that turned out to be another step's."""
    builder = await _begun(stage, "Zendesk", "Zendesk", **SILENT)
    await walk_through(await builder.open_popup(1))
    await builder.button(1, "I’ve finished").click()
    await builder.shows(1, "resolved")
    await builder.button(2, "Use: ").click()
    await builder.shows(1, "claimed-elsewhere")
    return _shown(builder)


OWN: Final = "Acme Orders"


async def _own_app(stage: Stage, *, password: str, **rule: object) -> Builder:
    """Fill in what the tenant's own app asks for; `rule` is what goes wrong then."""
    builder = await _begun(stage, OWN, "Slack")
    if rule:
        lost = {"user": stage.user, "endpoint": "POST /v2/authentications", **rule}
        await builder.patch_faults({"rules": {f"own-{stage.user}": lost}})
    form = builder.step(1).get_by_role("form")
    await form.get_by_label("What to call this account").fill("Our shop")
    await form.get_by_label("username").fill("ada")
    await form.get_by_label("password").fill(password)
    return builder


@scene
async def builder_own_app(stage: Stage) -> Shown:
    """An app of the tenant's own, which can be connected by its fields."""
    builder = await _own_app(stage, password="battery-staple")
    return _shown(builder)


@scene
async def builder_unanswered(stage: Stage) -> Shown:
    """Zapier's answer to what was filled in is lost, and looked for."""
    lost = {"fault": "status", "status": 504, "when": "before"}
    builder = await _own_app(stage, password="battery-staple", **lost)
    await builder.button(1, "Connect with these").click()
    await builder.shows(1, "unanswered")
    await expect(builder.step(1).get_by_role("form")).to_have_count(0)
    return _shown(builder)


@scene
async def builder_not_made(stage: Stage) -> Shown:
    """Zapier does not take what was filled in."""
    builder = await _own_app(stage, password="wrong-horse")
    await builder.button(1, "Connect with these").click()
    await builder.shows(1, "not-made")
    await expect(builder.step(1).locator(".note")).to_be_visible()
    return _shown(builder)


async def _tried(stage: Stage) -> Builder:
    """Fill a step in, and ask for its test."""
    builder = await _welcome(stage)
    await builder.connect_account(stage.user, "HubSpot")
    await builder.begin(stage.user, "Schedule", "HubSpot")
    await builder.button(2, "Use: ").click()
    await builder.choose_action(1, "Every Hour")
    await builder.choose_action(2, "Create Contact")
    email = builder.step(2).get_by_role("textbox", name="Email")
    await email.fill("ada@example.test")
    await email.blur()
    await builder.button(2, "Test this step").click()
    return builder


@scene
async def builder_test(stage: Stage) -> Shown:
    """Somebody must confirm that a step is really carried out."""
    builder = await _tried(stage)
    await expect(builder.button(2, "Carry it out once")).to_be_visible()
    return builder.page, builder.step(2).locator(".test")


@scene
async def builder_tested(stage: Stage) -> Shown:
    """What a step gave when it was carried out."""
    builder = await _tried(stage)
    await builder.button(2, "Carry it out once").click()
    await expect(builder.step(2).get_by_label("What the step gave")).to_be_visible()
    return builder.page, builder.step(2).locator(".test")


@scene
async def builder_offline(stage: Stage) -> Shown:
    """The API cannot be reached."""
    builder = await _begun(stage, "Intercom", "Slack")
    await builder.open_popup(1)
    await builder.shows(1, "waiting")
    await stage.context.set_offline(offline=True)
    await builder.shows(1, "offline", within_s=60)
    return builder.page, builder.page.locator(".banner")


@scene
async def builder_token_expired(stage: Stage) -> Shown:
    """The page's token has ended, and there is no other."""
    builder = await _begun(stage, "Dropbox", "Slack")
    refused = {"code": "session_not_found", "title": "Not found", "detail": "the user is signed out"}
    await builder.page.route("**/dev/session/**", lambda route: route.fulfill(status=403, json=refused))
    await builder.shows(1, "token-expired", within_s=2 * TOKEN_S)
    return builder.page, builder.page.locator(".banner")


@scene
async def builder_newcomer(stage: Stage) -> Shown:
    """The user was never signed in to Zapier."""
    builder = await _welcome(stage)
    await builder.page.get_by_label("Signed in to Zapier already").uncheck()
    await builder.begin(stage.user)
    await expect(builder.page.locator(".banner")).to_be_visible()
    return builder.page, None


@scene
async def builder_sign_in_needed(stage: Stage) -> Shown:
    """Zapier refuses the user's token."""
    builder = await _begun(stage, "Pipedrive", "Slack", **SILENT)
    rule = {"fault": "status", "status": 401, "user": stage.user, "endpoint": "GET /v2/authentications"}
    await builder.open_popup(1)
    await builder.shows(1, "waiting")
    await builder.patch_faults({"rules": {"signed-out": rule}})
    await builder.button(1, "I’ve finished").click()
    await builder.shows(1, "sign-in-needed")
    return builder.page, builder.page.locator(".banner")


@scene
async def builder_faults(stage: Stage) -> Shown:
    """The fault menu."""
    builder = await _welcome(stage)
    await builder.patch_faults({"apps": {"Calendly": {"popups": {"coop": {"middle": "same-origin"}}}}})
    await builder.page.reload()
    await builder.begin(stage.user, "Calendly", "Slack")
    page = builder.page
    await page.get_by_label("In the windows of").select_option(label="Calendly")
    await expect(page.get_by_label("This goes wrong")).to_have_value("cut")
    return page, page.locator(".faults")


async def _ready(stage: Stage) -> Builder:
    builder = await _begun(stage, "Webhooks", "Formatter", "Filter")
    for number in (1, 2, 3):
        await builder.shows(number, "no-auth-required")
        await builder.action(number).select_option(index=1)
    await expect(builder.page.get_by_text("and what it must be filled with.")).to_be_visible()
    return builder


@scene
async def builder_complete(stage: Stage) -> Shown:
    """Everything is ready."""
    builder = await _ready(stage)
    return builder.page, builder.page.locator(".finish")


@scene
async def builder_created(stage: Stage) -> Shown:
    """The Zap is there."""
    builder = await _ready(stage)
    await builder.page.get_by_role("button", name="Create the Zap").click()
    await expect(builder.page.get_by_role("link", name="Open it at Zapier")).to_be_visible()
    return builder.page, builder.page.locator(".finish")


@scene
async def builder_refused(stage: Stage) -> Shown:
    """Zapier refused the Zap."""
    builder = await _ready(stage)
    rule = {"fault": "status", "status": 400, "user": stage.user, "endpoint": "POST /v2/zaps"}
    await builder.patch_faults({"rules": {"refused": rule}})
    await builder.page.get_by_role("button", name="Create the Zap").click()
    await expect(builder.page.get_by_role("button", name="Try again")).to_be_visible()
    return builder.page, builder.page.locator(".finish")


@scene
async def builder_unknown(stage: Stage) -> Shown:
    """Nobody knows whether the Zap is there."""
    builder = await _ready(stage)
    rule = {"fault": "drop", "when": "after", "user": stage.user, "endpoint": "POST /v2/zaps"}
    await builder.patch_faults({"rules": {"unknown": rule}})
    await builder.page.get_by_role("button", name="Create the Zap").click()
    await expect(builder.page.get_by_role("button", name="I looked")).to_be_visible()
    return builder.page, builder.page.locator(".finish")
