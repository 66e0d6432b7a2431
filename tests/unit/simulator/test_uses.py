"""The endpoints about one action: fields that come and go, choices, outputs, and carrying it out."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.simulation import Simulation, zap


async def asked(
    sim: Simulation, app: str, key: str, what: str = "inputs", *, inputs: dict[str, Any] | None = None, **more: object
) -> httpx.Response:
    """Ask about an action with the user's one authentication for its app."""
    actions = (await sim.get("/v2/actions", app=sim.app_id(app))).json()["data"]
    action_id = next(action["id"] for action in actions if action["key"] == key)
    owned = sim.world.owned("alice", sim.app_id(app))
    body = {"authentication": owned[0].id if owned else None, "inputs": inputs or {}} | more
    return await sim.post(f"/v2/actions/{action_id}/{what}", {"data": body})


def ids(answer: httpx.Response) -> list[str]:
    """Give the ids of what was answered, those inside a fieldset in their place."""
    return [one["id"] for row in answer.json()["data"] for one in row.get("fields", [row])]


@pytest.fixture(name="sim")
async def a_simulation(sim: Simulation) -> Simulation:
    """A simulator where Alice has connected what these tests use."""
    for app in ("Google Sheets", "Slack", "GitHub"):
        await sim.connect("alice", app)
    return sim


async def test_fields_come_and_go_with_what_others_hold(sim: Simulation) -> None:
    """What is in a sheet is known once it is chosen; another sheet has other columns."""
    sheet = {"spreadsheet": "sheet-00001"}
    shown = [
        ids(await asked(sim, "Google Sheets", "create_row", inputs=inputs))
        for inputs in (
            {},
            sheet,
            sheet | {"worksheet": "sheet-00001/leads"},
            sheet | {"worksheet": "sheet-00001/orders"},
        )
    ]

    assert shown[0] == shown[1] == ["spreadsheet", "worksheet"]
    assert shown[2][2:] == ["hint", "COL$A", "COL$B"]
    assert shown[3][2:] == ["hint", "COL$A", "COL$B", "COL$C"]


async def test_a_field_that_lets_others_come_and_go_says_so(sim: Simulation) -> None:
    """And which it depends on itself."""
    fields = (await asked(sim, "Google Sheets", "create_row")).json()["data"]

    assert [(one["invalidates_input_fields"], one["depends_on"]) for one in fields] == [
        (True, []),
        (True, ["spreadsheet"]),
    ]


@pytest.mark.parametrize("names", ["numbers", "names"])
async def test_choices_come_in_pages_that_lead_on(sim: Simulation, names: str) -> None:
    """Whatever pages are called, following the links gives all of them once."""
    await sim.switch({"choices": {"size": 25, "pages": names}})
    page = await asked(sim, "Google Sheets", "create_row", "inputs/spreadsheet/choices")
    found, called = ids(page), []
    while following := page.json()["links"]["next"]:
        called.append(httpx.URL(following).params["page"])
        path = f"inputs/spreadsheet/choices?page={called[-1]}"
        page = await asked(sim, "Google Sheets", "create_row", path)
        found += ids(page)

    assert found == [f"sheet-{number:05}" for number in range(1, 61)]
    assert [name.isdigit() for name in called] == [names == "numbers"] * 2


async def test_choices_depend_on_what_another_field_holds(sim: Simulation) -> None:
    """There are none before it is filled."""
    path = "inputs/worksheet/choices"
    before = await asked(sim, "Google Sheets", "create_row", path)
    after = await asked(sim, "Google Sheets", "create_row", path, inputs={"spreadsheet": "sheet-00007"})

    assert (ids(before), ids(after)) == ([], ["sheet-00007/leads", "sheet-00007/orders"])


@pytest.mark.parametrize(("name", "status"), [("text", 400), ("nothing", 404)])
async def test_a_field_without_choices_has_no_page_of_them(sim: Simulation, name: str, status: int) -> None:
    """In the status for what is not there."""
    await sim.switch({"answers": {"unknown": status}})

    assert (await asked(sim, "Slack", "channel_message", f"inputs/{name}/choices")).status_code == status


async def test_outputs_are_named_as_deep_as_they_lie_and_have_samples(sim: Simulation) -> None:
    """Two underscores for what is in an object, brackets for what is in each of a list."""
    rows = (await asked(sim, "GitHub", "new_commit", "outputs")).json()["data"]

    assert {row["id"]: row["sample"] for row in rows} == {
        "sha": "3f2c",
        "commit__message": "Mend it",
        "parents[]sha": "1b9a",
    }


async def test_outputs_may_lack_samples_and_be_spelled_otherwise(sim: Simulation) -> None:
    """As the documentation has it in places."""
    await sim.switch({"outputs": {"samples": False, "type": "output_fields"}})
    rows = (await asked(sim, "GitHub", "new_commit", "outputs")).json()["data"]

    assert {(row["type"], "sample" in row) for row in rows} == {("output_fields", False)}


async def test_what_writes_has_no_live_samples(sim: Simulation) -> None:
    """To have one it would have to be carried out."""
    reading = await asked(sim, "GitHub", "new_commit", "outputs", fetch_live_samples=True)
    writing = await asked(sim, "Slack", "channel_message", "outputs", fetch_live_samples=True)

    assert (reading.status_code, writing.status_code) == (200, 400)


async def test_an_action_that_writes_is_carried_out_and_counted(sim: Simulation) -> None:
    """With what it was given."""
    inputs = {"channel": "C00001", "text": "Hello"}
    ran = await asked(sim, "Slack", "channel_message", "test", inputs=inputs)

    assert (ran.status_code, len(ran.json()["data"])) == (200, 1)
    assert [one["inputs"] for one in sim.upstream.executed] == [inputs]


@pytest.mark.parametrize(
    ("inputs", "failing", "complaint"),
    [
        ({"text": "Hello"}, [], "channel: This field is required."),
        ({"channel": "C0ARCHIVED", "text": "Hello"}, [], "channel_not_found"),
        ({"channel": "C00001", "text": "Hello"}, ["channel_message"], "the app did not do as it was asked"),
    ],
)
async def test_a_test_that_fails_says_why_and_has_done_nothing(
    sim: Simulation, inputs: dict[str, Any], failing: list[str], complaint: str
) -> None:
    """As documented: 400 `test_failed`."""
    await sim.switch({"tests": {"failing": failing}})
    ran = await asked(sim, "Slack", "channel_message", "test", inputs=inputs)

    (error,) = ran.json()["errors"]
    assert (ran.status_code, error["code"], error["title"]) == (400, "test_failed", "ActionTestError")
    assert error["detail"] == f"Error during execution: {complaint}"
    assert sim.upstream.executed == []


@pytest.mark.parametrize(("switch", "status"), [("ignored", 200), ("refused", 400)])
async def test_a_member_that_nobody_declared_is_ignored_or_refused(sim: Simulation, switch: str, status: int) -> None:
    """Which one is undocumented."""
    await sim.switch({"answers": {"undeclared": switch}})

    assert (await asked(sim, "Slack", "channel_message", surprise=True)).status_code == status
    assert (await asked(sim, "Slack", "channel_message")).status_code == 200


@pytest.mark.parametrize(("switches", "steps", "status"), [({}, 25, 201), ({}, 26, 400), ({"most_steps": 2}, 3, 400)])
async def test_a_zap_has_as_many_steps_as_it_may(
    sim: Simulation, switches: dict[str, int], steps: int, status: int
) -> None:
    """25 today, two in the documentation of 2024."""
    await sim.switch({"zaps": switches})
    body = zap(*[await sim.step("Webhooks") for _ in range(steps)])

    assert (await sim.post("/v2/zaps", body)).status_code == status
