"""Input that no form would send: each is refused at once, or told by field; nothing of it is lost or passed on."""

from __future__ import annotations

from typing import Any, Final

import pytest

from orchestrator.core.decide.steps import MOST_STEPS
from tests.support.deployment import Deployment, problem_of

MEGABYTE: Final = "x" * 2**20


async def ready(api: Deployment, *apps: str) -> tuple[dict[str, Any], list[str]]:
    """Begin a session whose steps have their authentications and actions; return it and where its steps are."""
    await api.sign_in()
    connected = {app: await api.sim.connect("alice", app) for app in apps if app != "Schedule"}
    session = await api.session(*apps)
    addresses = [f"/v1/sessions/{session['id']}/steps/{step['id']}" for step in session["steps"]]
    for app, address in zip(apps, addresses, strict=True):
        if app in connected:
            await api.ok("PUT", f"{address}/authentication", {"authentication_id": connected[app]})
        key, kind = ("every_hour", "READ") if app == "Schedule" else ("create_row", "WRITE")
        await api.ok("PUT", f"{address}/action", {"key": key, "action_type": kind})
    return session, addresses


def to(session: dict[str, Any], position: int, field: str = "id") -> dict[str, Any]:
    """Refer to an output of a step."""
    return {"$ref": {"step": session["steps"][position]["id"], "field": field}}


def codes(answer: dict[str, Any]) -> dict[str, set[str]]:
    """Give what is wrong by field."""
    found: dict[str, set[str]] = {}
    for one in answer["problems"]:
        found.setdefault(one["field"], set()).add(one["code"])
    return found


@pytest.mark.parametrize("alias", ["a" * 65, "A", "1a", "a-b", "é", "", "a b", "a\n"])
async def test_an_alias_is_one_that_zapier_takes_or_it_is_refused(api: Deployment, alias: str) -> None:
    """64 characters of a-z, 0-9 and _, a letter first: given with a session, with a new step, or later."""
    session, address = await api.step("Slack")
    steps = f"/v1/sessions/{session['id']}/steps"
    body = {"user_id": "alice", "steps": [{"alias": alias}]}
    answers = [
        await api.client.post("/v1/sessions", json=body),
        await api.client.post(steps, json={"alias": alias}),
        await api.client.patch(address, json={"alias": alias}),
    ]
    longest = (await api.ok("PATCH", address, {"alias": "a" * 64})).json()

    assert [problem_of(answer) for answer in answers] == [(422, "request_invalid")] * 3
    assert [answer.json()["errors"][0]["pointer"] for answer in answers] == ["/steps/0/alias", "/alias", "/alias"]
    assert longest["steps"][0]["alias"] == "a" * 64


async def test_a_26th_step_is_refused(api: Deployment) -> None:
    """At once, or as one more; the 25 stay."""
    await api.sign_in()
    many = {"user_id": "alice", "steps": [{}] * (MOST_STEPS + 1)}
    at_once = await api.client.post("/v1/sessions", json=many)
    session = await api.session(*[None] * MOST_STEPS)
    more = await api.client.post(f"/v1/sessions/{session['id']}/steps", json={})

    assert problem_of(at_once) == (422, "request_invalid")
    assert problem_of(more) == (409, "too_many_steps")
    assert len((await api.read(session))["steps"]) == 25


async def test_references_in_a_circle_are_told_at_each_of_their_fields(api: Deployment) -> None:
    """Two steps that want each other's outputs, and one that wants its own: the Zap is not made."""
    session, (_, second, third) = await ready(api, "Schedule", "Google Sheets", "Google Sheets")
    sheet = {"spreadsheet": "sheet-00001", "worksheet": "sheet-00001/leads"}
    filled = {"COL$A": to(session, 2), "COL$B": to(session, 1)}
    ahead = (await api.ok("PATCH", f"{second}/inputs", {"inputs": {**sheet, **filled}})).json()
    back = (await api.ok("PATCH", f"{third}/inputs", {"inputs": {**sheet, "COL$A": to(session, 1)}})).json()
    created = await api.client.post(f"/v1/sessions/{session['id']}/zap", json={})

    assert codes(ahead) == {"COL$A": {"reference_later_step"}, "COL$B": {"reference_later_step"}}
    assert codes(back) == {}
    assert problem_of(created) == (409, "inputs_flawed")
    assert {one["field"] for one in created.json()["facts"]["problems"]} == {"COL$A", "COL$B"}
    assert api.sim.world.zaps() == []


async def test_a_reference_to_a_step_that_was_moved_or_removed_is_told(api: Deployment) -> None:
    """When the form is read again, and before the Zap is made."""
    session, (first, second, third) = await ready(api, "Google Sheets", "Google Sheets", "Google Sheets")
    sheet = {"spreadsheet": "sheet-00001", "worksheet": "sheet-00001/leads"}
    for address in (first, second):
        await api.ok("PATCH", f"{address}/inputs", {"inputs": sheet})
    both = {**sheet, "COL$A": to(session, 0), "COL$B": {"$text": ["of ", to(session, 1)]}}
    right = (await api.ok("PATCH", f"{third}/inputs", {"inputs": both})).json()
    await api.ok("PATCH", second, {"position": 2})
    await api.ok("DELETE", first)
    wrong = (await api.ok("GET", f"{third}/fields")).json()

    assert codes(right) == {}
    assert codes(wrong) == {"COL$A": {"reference_unknown_step"}, "COL$B": {"reference_later_step"}}
    refused = await api.client.post(f"/v1/sessions/{session['id']}/zap", json={})
    assert problem_of(refused) == (409, "inputs_flawed")


async def test_odd_field_ids_are_filled_mapped_and_sent_as_they_are(api: Deployment) -> None:
    """With `[]`, `$` and `__` in them, as field and as output."""
    session, (first, second) = await ready(api, "Google Sheets", "Google Sheets")
    sheet = {"spreadsheet": "sheet-00001", "worksheet": "sheet-00001/leads"}
    await api.ok("PATCH", f"{first}/inputs", {"inputs": {**sheet, "COL$A": "Ada"}})
    mapped = {
        **sheet,
        "COL$A": to(session, 0, "tags[]name"),
        "COL$B": {"$text": ["by ", to(session, 0, "owner__name")]},
    }
    filled = (await api.ok("PATCH", f"{second}/inputs", {"inputs": mapped})).json()
    await api.ok("POST", f"/v1/sessions/{session['id']}/zap", {}, status=201)

    (zap,) = api.sim.world.zaps()
    assert codes(filled) == {}
    assert zap.steps[1].inputs == {**sheet, "COL$A": "{{tags[]name}}", "COL$B": "by {{owner__name}}"}


@pytest.mark.parametrize("name", ["nothing[]$__", "__proto__", "constructor", "a.b", "", " ", "é", "x" * 300])
async def test_an_unknown_field_is_told_and_never_sent(api: Deployment, name: str) -> None:
    """It may have been one a moment ago, so it is kept until somebody empties it."""
    session, (_, address) = await ready(api, "Schedule", "Google Sheets")
    sheet = {"spreadsheet": "sheet-00001", "worksheet": "sheet-00001/leads"}
    filled = (await api.ok("PATCH", f"{address}/inputs", {"inputs": {**sheet, name: "x"}})).json()
    choices = await api.client.get(f"{address}/choices", params={"field": name or "-"})
    refused = await api.client.post(f"/v1/sessions/{session['id']}/zap", json={})
    emptied = (await api.ok("PATCH", f"{address}/inputs", {"inputs": {name: None}})).json()

    assert codes(filled) == {name: {"unknown_field"}}
    assert problem_of(choices) in {(404, "field_not_found"), (422, "request_invalid")}
    assert problem_of(refused) == (409, "inputs_flawed")
    assert (codes(emptied), emptied["inputs"]) == ({}, sheet)


@pytest.mark.parametrize(
    "inputs",
    [{"text": MEGABYTE}, {"text": [MEGABYTE]}, {MEGABYTE: "x"}, {"text": "é" * 2**19}, {"a": "x" * 70_000}],
    ids=["a value", "in a list", "a name", "two bytes each", "more than inputs may be"],
)
async def test_a_value_of_a_megabyte_is_refused_without_being_repeated(api: Deployment, inputs: dict[str, Any]) -> None:
    """However it is sent; what was filled in before stays."""
    session, (_, address) = await ready(api, "Schedule", "Google Sheets")
    await api.ok("PATCH", f"{address}/inputs", {"inputs": {"spreadsheet": "sheet-00001"}})
    answers = [
        await api.client.patch(f"{address}/inputs", json={"inputs": inputs}),
        await api.client.put(f"{address}/inputs", json={"inputs": inputs}),
        await api.client.post(f"{address}/test", json={"confirm": True, "inputs": inputs}),
    ]

    expected = (422, "request_invalid") if "a" in inputs else (413, "body_too_large")
    assert [problem_of(answer) for answer in answers] == [expected] * 3
    assert max(len(answer.text) for answer in answers) < 2_000
    assert (await api.read(session))["steps"][1]["inputs"] == {"spreadsheet": "sheet-00001"}
