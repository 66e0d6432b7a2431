"""Fields: what actions ask for, filled as a form is filled, tried out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator.core.session import MINUTE
from tests.support.deployment import Deployment, problem_of

FIELDS = {"endpoint": "POST /v2/actions/{action_id}/inputs"}
TEST = {"endpoint": "POST /v2/actions/{action_id}/test"}


async def usable(api: Deployment, app: str, key: str, action_type: str = "WRITE") -> str:
    """Begin a session of one step that has its authentication and its action; return where the step is."""
    await api.sign_in()
    connected = await api.sim.connect("alice", app)
    session = await api.session(app)
    address = f"/v1/sessions/{session['id']}/steps/{session['steps'][0]['id']}"
    await api.ok("PUT", f"{address}/authentication", {"authentication_id": connected})
    await api.ok("PUT", f"{address}/action", {"key": key, "action_type": action_type})
    return address


async def form(api: Deployment, address: str) -> dict[str, Any]:
    """Read the step's form."""
    found: dict[str, Any] = (await api.ok("GET", f"{address}/fields")).json()
    return found


async def fill(api: Deployment, address: str, **inputs: Any) -> dict[str, Any]:
    """Change some inputs."""
    found: dict[str, Any] = (await api.ok("PATCH", f"{address}/inputs", {"inputs": inputs})).json()
    return found


def said(found: dict[str, Any]) -> dict[str, str]:
    """Give the code of what is wrong by field."""
    return {one["field"]: one["code"] for one in found["problems"]}


# --- forms ----------------------------------------------------------------------------------------------------


async def test_a_form_has_everything_a_page_shows(api: Deployment) -> None:
    """Fields of every type and format, text to read, and what is not filled yet."""
    found = await form(api, await usable(api, "HubSpot", "create_contact"))

    fields = {one["id"]: one for one in found["fields"]}
    assert [one["kind"] for one in found["fields"]] == ["input"] * 9
    assert (fields["age"]["value_type"], fields["birthday"]["format"]) == ("INTEGER", "DATETIME")
    assert (fields["visits"]["items"], fields["score"]["default"]) == ("INTEGER", "0.5")
    assert said(found) == {"email": "required"}


async def test_what_an_app_says_about_its_fields_is_passed_on_as_it_is(api: Deployment) -> None:
    """Nothing of it is run here; pages are told to show it as text."""
    found = await form(api, await usable(api, "Slack", "channel_message"))

    assert "<script>" in found["fields"][0]["description"]
    assert found["fields"][0]["kind"] == "info"


async def test_fields_come_with_what_is_chosen_and_go_with_it(api: Deployment) -> None:
    """A worksheet's columns are fields; another spreadsheet empties the worksheet, and with it the columns."""
    address = await usable(api, "Google Sheets", "create_row")

    one = await fill(api, address, spreadsheet="sheet-00001", worksheet="sheet-00001/leads")
    two = await fill(api, address, **{"COL$A": "Ada"})
    three = await fill(api, address, spreadsheet="sheet-00002")

    columns = one["fields"][2]
    assert (columns["kind"], [field["id"] for field in columns["fields"]]) == ("fieldset", ["hint", "COL$A", "COL$B"])
    assert said(two) == {}
    assert (three["cleared"], len(three["fields"])) == (["COL$A", "worksheet"], 2)
    assert said(three) == {"worksheet": "required"}
    assert three["session"]["steps"][0]["inputs"] == {"spreadsheet": "sheet-00002"}


async def test_null_empties_a_field(api: Deployment) -> None:
    """What is not named stays."""
    address = await usable(api, "HubSpot", "create_contact")
    await fill(api, address, email="a@b.test", age=7)

    emptied = await fill(api, address, age=None)

    assert emptied["inputs"] == {"email": "a@b.test"}


async def test_only_a_change_that_may_change_the_form_asks_zapier_again(api: Deployment) -> None:
    """Of three changes one is of a field that others hang on; what is known stays good for a minute."""
    address = await usable(api, "Google Sheets", "create_row")
    await form(api, address)
    before = await api.asked()
    await fill(api, address, spreadsheet="sheet-00001", worksheet="sheet-00001/leads")
    after = await api.asked()
    await fill(api, address, **{"COL$A": "Ada"})

    assert (after - before, await api.asked() - after) == (1, 0)


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"age": "seven"}, "wrong_type"),
        ({"age": 7.5}, "wrong_type"),
        ({"age": True}, "wrong_type"),
        ({"score": "much"}, "wrong_type"),
        ({"birthday": "tomorrow"}, "wrong_format"),
        ({"photo": "javascript:alert(1)"}, "wrong_format"),
        ({"properties": {"a": {"b": "c"}}}, "wrong_type"),
        ({"visits": [1, "two"]}, "wrong_type"),
        ({"lifecycle": "lead"}, "read_only"),
        ({"nothing[]$__": "x"}, "unknown_field"),
        ({"api_note": "{{secret}}"}, "literal_braces"),
        ({"api_note": {"$ref": {"step": "st1", "field": "x"}}}, "reference_unknown_step"),
        ({"api_note": {"$ref": {"step": "st1"}}}, "reference_malformed"),
    ],
)
async def test_what_is_wrong_is_said_by_field(api: Deployment, inputs: dict[str, Any], code: str) -> None:
    """It is kept, so that a half-filled form is not lost."""
    address = await usable(api, "HubSpot", "create_contact")

    found = await fill(api, address, email="a@b.test", **inputs)

    assert said(found) == {next(iter(inputs)): code}
    assert found["inputs"] == {"email": "a@b.test", **inputs}


async def test_what_another_authentication_offered_is_dropped_with_it(api: Deployment) -> None:
    """Choices are its own; a plain text stays."""
    address = await usable(api, "Slack", "channel_message")
    other = await api.sim.connect("alice", "Slack")
    await fill(api, address, channel="C00001", text="Hello")

    changed = (await api.ok("PUT", f"{address}/authentication", {"authentication_id": other})).json()

    events = (await api.ok("GET", f"/v1/sessions/{changed['id']}/events?limit=500")).json()["events"]
    assert changed["steps"][0]["inputs"] == {"text": "Hello"}
    assert [event["data"] for event in events if event["name"] == "inputs_cleared"] == [{"fields": ["channel"]}]


@pytest.mark.parametrize("what", ["fields", "outputs", "choices?field=text"])
async def test_a_step_is_asked_once_it_can_be_used(api: Deployment, what: str) -> None:
    """With an app, an authentication and an action; what lacks is said."""
    _, address = await api.step("Slack")

    early = await api.client.get(f"{address}/{what}")

    assert (*problem_of(early), early.json()["facts"]["lacks"]) == (409, "step_not_usable", "is in needs-auth")


async def lose(api: Deployment, address: str, change: str) -> None:
    """Let the step's authentication expire, or be deleted, at Zapier."""
    used = (await api.ok("GET", f"{address}/authentications")).json()["authentications"][0]["id"]
    await api.sim.control(change, f"/authentications/{used}", {"is_expired": True} if change == "PATCH" else None)


@pytest.mark.parametrize(("change", "reason"), [("PATCH", "expired"), ("DELETE", "revoked")])
@pytest.mark.parametrize("what", ["fields", "choices?field=channel", "outputs"])
async def test_a_step_whose_authentication_is_lost_says_so_once_zapier_refuses_it(
    api: Deployment, what: str, change: str, reason: str
) -> None:
    """The listing tells why Zapier refuses; from then on the step needs an authentication, and Zapier is not asked."""
    address = await usable(api, "Slack", "channel_message")
    await lose(api, address, change)
    api.sim.clock.advance(3 * MINUTE)

    refused = await api.client.get(f"{address}/{what}")
    asked = await api.asked()
    again = await api.client.get(f"{address}/{what}")
    session = (await api.ok("GET", f"/v1/sessions/{address.split('/')[3]}")).json()

    assert (problem_of(refused), problem_of(again)) == ((409, "step_not_usable"),) * 2
    assert "its authentication" in refused.json()["facts"]["lacks"]
    assert (session["steps"][0]["state"], session["steps"][0]["reason"]) == ("needs-auth", reason)
    assert (session["status"], await api.asked()) == ("building", asked)


async def test_a_test_finds_out_that_the_authentication_is_lost(api: Deployment) -> None:
    """Though what is known of its form needs no asking yet."""
    address = await usable(api, "Slack", "channel_message")
    await fill(api, address, channel="C00001", text="Hello")
    await lose(api, address, "PATCH")
    api.sim.clock.advance(11_000)

    form_of = await api.client.get(f"{address}/fields")
    refused = await api.client.post(f"{address}/test", json={"confirm": True})

    assert (form_of.status_code, problem_of(refused)) == (200, (409, "step_not_usable"))


async def test_a_refusal_for_another_reason_is_passed_on_and_the_listing_read_once_in_ten_seconds(
    api: Deployment,
) -> None:
    """However often it is tried, and by however many at once."""
    address = await usable(api, "Slack", "channel_message")
    api.sim.clock.advance(MINUTE)
    await api.sim.switch({"rules": {"no": {"fault": "status", "status": 400, **FIELDS}}})
    before = await listings(api)

    together = await asyncio.gather(*(api.client.get(f"{address}/fields") for _ in range(3)))
    at_once = await api.client.get(f"{address}/fields")
    between = await listings(api)
    api.sim.clock.advance(11_000)
    later = await api.client.get(f"{address}/fields")

    assert {problem_of(answer) for answer in (*together, at_once, later)} == {(502, "upstream_refused")}
    assert (between - before, await listings(api) - between) == (1, 1)
    assert (await api.ok("GET", f"/v1/sessions/{address.split('/')[3]}")).json()["steps"][0]["state"] == "resolved"


async def listings(api: Deployment) -> int:
    """Count the listings that Zapier was asked for."""
    counted = (await api.sim.control("GET", "/stats")).json()["requests"]["by_endpoint"]
    return sum(counted["GET /v2/authentications"].values())


async def test_the_changing_ids_of_actions_are_looked_up(api: Deployment) -> None:
    """One that went stale sooner than promised is looked up once more, and nobody notices."""
    address = await usable(api, "Slack", "channel_message")
    await form(api, address)
    await api.sim.switch({"actions": {"valid_ms": 1000}})
    api.sim.clock.advance(30_000)

    found = await fill(api, address, text="Hello", channel="C00001")
    refused = (await api.sim.control("GET", "/stats")).json()["requests"]["by_endpoint"]

    assert said(found) == {}
    assert set(refused["POST /v2/actions/{action_id}/inputs"]) == {"200"}
    await api.ok("GET", f"{address}/outputs")
    refused = (await api.sim.control("GET", "/stats")).json()["requests"]["by_endpoint"]
    assert refused["POST /v2/actions/{action_id}/outputs"] == {"400": 1, "200": 1}


# --- choices --------------------------------------------------------------------------------------------------


async def chosen(api: Deployment, address: str, field: str, **search: str) -> dict[str, Any]:
    """Read a page of choices."""
    query = "".join(f"&{name}={value}" for name, value in search.items())
    found: dict[str, Any] = (await api.ok("GET", f"{address}/choices?field={field}{query}")).json()
    return found


@pytest.mark.parametrize("pages", ["numbers", "names"])
async def test_choices_come_in_pages_whatever_those_are_called(api: Deployment, pages: str) -> None:
    """All sixty, each once."""
    await api.sim.switch({"choices": {"size": 25, "pages": pages}})
    address = await usable(api, "Google Sheets", "create_row")
    found, page = [], await chosen(api, address, "spreadsheet")
    while page["cursor"]:
        found += page["choices"]
        page = await chosen(api, address, "spreadsheet", cursor=page["cursor"])
    found += page["choices"]

    assert [one["id"] for one in found] == [f"sheet-{number:05}" for number in range(1, 61)]


async def test_choices_depend_on_what_is_filled_in(api: Deployment) -> None:
    """None before, its own afterwards."""
    address = await usable(api, "Google Sheets", "create_row")
    before = await chosen(api, address, "worksheet")
    await fill(api, address, spreadsheet="sheet-00007")
    after = await chosen(api, address, "worksheet")

    assert before["choices"] == []
    assert [one["id"] for one in after["choices"]] == ["sheet-00007/leads", "sheet-00007/orders"]


async def test_words_are_looked_for_in_ten_thousand_choices(api: Deployment) -> None:
    """Five pages at a time; the answer says how many choices those had, and its cursor goes on with the search."""
    address = await usable(api, "Slack", "channel_message")
    await form(api, address)
    before = await api.asked()

    near = await chosen(api, address, "channel", query="channel 321")
    asked = await api.asked()
    again = await chosen(api, address, "channel", query="channel 321")
    asked_then = await api.asked()
    far, looked = near, [near["looked_through"]]
    while far["cursor"] and not any(one["label"] == "channel 1234" for one in far["choices"]):
        far = await chosen(api, address, "channel", query="channel 1234", cursor=far["cursor"])
        looked.append(far["looked_through"])

    assert ([one["label"] for one in near["choices"]], asked - before) == (["channel 321"], 5)
    assert (again, asked_then) == (near, asked)
    assert (looked, [one["label"] for one in far["choices"]]) == ([500, 500, 500], ["channel 1234"])


async def test_all_choices_that_were_looked_through_are_counted_without_words_too(api: Deployment) -> None:
    """A page is all that it has, and its end is said."""
    address = await usable(api, "Google Sheets", "create_row")
    page = await chosen(api, address, "spreadsheet")

    assert (page["looked_through"], len(page["choices"]), page["cursor"]) == (60, 60, None)


async def test_a_field_without_choices_has_none_and_an_unknown_one_is_not_found(api: Deployment) -> None:
    """Zapier's own word is passed on; a field that is not there is not asked about."""
    address = await usable(api, "Slack", "channel_message")

    unknown = await api.client.get(f"{address}/choices?field=nothing")
    cursor = await api.client.get(f"{address}/choices?field=channel&cursor=zzz")

    assert problem_of(unknown) == (404, "field_not_found")
    assert problem_of(cursor) == (422, "request_invalid")


# --- outputs and tests ----------------------------------------------------------------------------------------


async def test_outputs_come_with_the_references_that_take_them(api: Deployment) -> None:
    """Ids may hold brackets and underscores."""
    address = await usable(api, "GitHub", "new_commit", "READ")

    found = (await api.ok("GET", f"{address}/outputs?live=true")).json()["outputs"]

    step = address.rpartition("/")[2]
    assert [one["id"] for one in found] == ["sha", "commit__message", "parents[]sha"]
    assert found[1]["sample"] == "Mend it"
    assert found[2]["reference"] == {"$ref": {"step": step, "field": "parents[]sha"}}


async def test_a_test_really_carries_the_action_out(api: Deployment) -> None:
    """Once, as somebody confirmed."""
    address = await usable(api, "Slack", "channel_message")
    await fill(api, address, channel="C00001", text="Hello")

    refused = [await api.client.post(f"{address}/test", json=body) for body in ({}, {"confirm": False})]
    ran = (await api.ok("POST", f"{address}/test", {"confirm": True})).json()

    assert [problem_of(answer) for answer in refused] == [(422, "request_invalid")] * 2
    assert (ran["count"], ran["results"][0]["channel"]) == (1, "C00001")
    assert [one["inputs"] for one in api.sim.upstream.executed] == [{"channel": "C00001", "text": "Hello"}]


async def test_a_test_that_comes_again_is_not_carried_out_again(api: Deployment) -> None:
    """Its results are gone, and that is said."""
    address = await usable(api, "Slack", "channel_message")
    await fill(api, address, channel="C00001", text="Hello")
    key = {"Idempotency-Key": "once"}

    first = await api.client.post(f"{address}/test", json={"confirm": True}, headers=key)
    again = await api.client.post(f"{address}/test", json={"confirm": True}, headers=key)

    assert first.status_code == 200
    assert problem_of(again) == (409, "test_repeated")
    assert len(api.sim.upstream.executed) == 1


async def test_a_test_with_flawed_inputs_is_not_begun(api: Deployment) -> None:
    """A reference has no value yet; another value in its place will do."""
    address = await usable(api, "Slack", "channel_message")
    session_id, step_id = address.split("/")[3], address.rpartition("/")[2]
    first = (await api.ok("POST", f"/v1/sessions/{session_id}/steps", {"position": 0}, status=201)).json()["step_id"]
    await fill(api, address, channel="C00001", text={"$text": ["Hi ", {"$ref": {"step": first, "field": "id"}}]})

    refused = await api.client.post(f"{address}/test", json={"confirm": True})
    ran = await api.client.post(f"{address}/test", json={"confirm": True, "inputs": {"text": "Hi you"}})

    assert problem_of(refused) == (409, "inputs_flawed")
    assert [(one["step_id"], one["field"], one["code"]) for one in refused.json()["facts"]["problems"]] == [
        (step_id, "text", "reference_without_value")
    ]
    assert (ran.status_code, len(api.sim.upstream.executed)) == (200, 1)


async def test_a_failed_test_says_what_the_app_said(api: Deployment) -> None:
    """In Zapier's words."""
    address = await usable(api, "Slack", "channel_message")
    await fill(api, address, channel="C0ARCHIVED", text="Hello")

    failed = await api.client.post(f"{address}/test", json={"confirm": True})

    assert problem_of(failed) == (502, "test_failed")
    assert "channel_not_found" in failed.json()["detail"]


@pytest.mark.parametrize(
    "fault",
    [{"fault": "drop", "when": "after"}, {"fault": "status", "status": 500, "when": "after"}, {"fault": "html"}],
)
async def test_a_test_whose_answer_is_lost_is_not_repeated(api: Deployment, fault: dict[str, Any]) -> None:
    """It may have been carried out, and that is said."""
    address = await usable(api, "Slack", "channel_message")
    await fill(api, address, channel="C00001", text="Hello")
    await api.sim.switch({"rules": {"lost": {**fault, **TEST}}})

    lost = await api.client.post(f"{address}/test", json={"confirm": True})

    assert problem_of(lost) == (502, "test_unknown")
    assert len(api.sim.upstream.executed) <= 1


async def test_an_action_that_vanished_is_said_to_be_gone(api: Deployment) -> None:
    """By the names it was chosen by."""
    address = await usable(api, "Slack", "channel_message")
    await api.sim.switch({"actions": {"gone": ["channel_message"]}})
    api.sim.clock.advance(61_000)

    answer = await api.client.get(f"{address}/fields")

    assert (*problem_of(answer), answer.json()["facts"]["key"]) == (404, "action_not_found", "channel_message")
