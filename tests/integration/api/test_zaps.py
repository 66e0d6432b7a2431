"""Zaps: created once, and what is not known is said."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.session import MINUTE
from tests.support.deployment import Deployment, problem_of

CREATE = {"endpoint": "POST /v2/zaps"}


async def ready(api: Deployment) -> tuple[dict[str, Any], str]:
    """Begin a session that may become a Zap; return it and where."""
    await api.sign_in()
    connected = await api.sim.connect("alice", "Slack")
    session = await api.session("Schedule", "Slack", title="Every hour")
    trigger, action = (f"/v1/sessions/{session['id']}/steps/{step['id']}" for step in session["steps"])
    await api.ok("PUT", f"{trigger}/action", {"key": "every_hour", "action_type": "READ"})
    await api.ok("PUT", f"{action}/authentication", {"authentication_id": connected})
    await api.ok("PUT", f"{action}/action", {"key": "new_message", "action_type": "READ"})
    session = (await api.ok("PUT", f"{action}/inputs", {"inputs": {"text": "hi"}})).json()
    assert session["status"] == "ready"
    return session, f"/v1/sessions/{session['id']}/zap"


async def test_a_ready_session_becomes_a_zap(api: Deployment) -> None:
    """Once, with the steps' authentications and inputs; where none is needed an explicit null."""
    session, zap = await ready(api)

    created = (await api.ok("POST", zap, {}, status=201)).json()
    again = (await api.ok("POST", zap, {}, status=200)).json()

    (made,) = api.sim.world.zaps()
    assert (created["status"], created["zap"]["state"], created["zap"]["id"]) == ("created", "created", made.id)
    assert created["zap"]["editor_url"]
    assert again == created == await api.read(session)
    assert [step.authentication for step in made.steps] == [None, session["steps"][1]["authentication"]["id"]]
    assert (made.title, made.steps[1].inputs) == ("Every hour", {"text": "hi"})


async def test_a_wish_needs_no_body(api: Deployment) -> None:
    """There is nothing to say."""
    _, zap = await ready(api)

    assert (await api.client.post(zap)).status_code == 201


async def test_a_session_that_lacks_something_says_what(api: Deployment) -> None:
    """By step; Zapier is not asked."""
    await api.sign_in()
    session = await api.session(None, "Slack", "Schedule")
    steps = [step["id"] for step in session["steps"]]

    answer = await api.client.post(f"/v1/sessions/{session['id']}/zap", json={})

    assert problem_of(answer) == (409, "not_ready")
    assert answer.json()["facts"]["missing"] == {
        steps[0]: "has no app",
        steps[1]: "is in needs-auth",
        steps[2]: "has no action",
    }


async def test_a_zap_that_zapier_refuses_leaves_the_session_editable(api: Deployment) -> None:
    """The problem is shown, and the next wish works."""
    session, zap = await ready(api)
    await api.sim.switch({"rules": {"no": {"fault": "status", "status": 400, "times": 1, **CREATE}}})

    failed = (await api.ok("POST", zap, {}, status=200)).json()
    created = (await api.ok("POST", zap, {}, status=201)).json()

    assert (failed["zap"]["state"], failed["status"], bool(failed["zap"]["problem"])) == ("failed", "ready", True)
    assert (created["status"], len(api.sim.world.zaps())) == ("created", 1)
    assert created["id"] == session["id"]


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "status", "status": 500, "when": "after"},
        {"fault": "drop", "when": "after"},
        {"fault": "malformed"},
        {"fault": "truncate"},
    ],
    ids=lambda fault: fault["fault"],
)
async def test_an_answer_that_is_lost_is_never_asked_for_twice(api: Deployment, fault: dict[str, Any]) -> None:
    """The Zap may exist: only a person who looked may ask again."""
    session, zap = await ready(api)
    await api.sim.switch({"rules": {"lost": {"times": 1, **fault, **CREATE}}})

    unknown = (await api.ok("POST", zap, {}, status=200)).json()
    refused = await api.client.post(zap, json={})
    before = len(api.sim.world.zaps())
    again = (await api.ok("POST", zap, {"again": True}, status=201)).json()

    assert (unknown["status"], unknown["zap"]["state"], unknown["id"]) == ("create_unknown", "unknown", session["id"])
    assert problem_of(refused) == (409, "create_unknown")
    assert (before, again["status"], len(api.sim.world.zaps())) == (1, "created", 2)


async def test_a_created_session_no_longer_changes(api: Deployment) -> None:
    """Nor can it be cancelled."""
    session, zap = await ready(api)
    await api.ok("POST", zap, {}, status=201)
    address = f"/v1/sessions/{session['id']}"
    step = f"{address}/steps/{session['steps'][1]['id']}"

    answers = [
        await api.client.delete(address),
        await api.client.patch(address, json={"title": "x"}),
        await api.client.post(f"{address}/steps", json={}),
        await api.client.put(f"{step}/app", json={"app_id": api.sim.app_id("Gmail")}),
        await api.client.put(f"{step}/authentication", json={"authentication_id": "1"}),
        await api.client.post(f"{step}/popup", json={}),
        await api.signal(step, "finished"),
    ]

    assert [problem_of(answer) for answer in answers] == [(409, "session_locked")] * 7


async def test_a_wish_that_finds_no_room_made_no_call(api: Deployment) -> None:
    """The session is as it was."""
    session, zap = await ready(api)
    api.sim.clock.advance(MINUTE)
    await api.sim.switch(
        {"rules": {"full": {"fault": "status", "status": 429, "times": 1, "endpoint": "GET /v2/actions"}}}
    )

    busy = await api.client.post(zap, json={})
    unchanged = await api.read(session)
    api.sim.clock.advance(MINUTE)
    created = await api.client.post(zap, json={})

    assert problem_of(busy) == (503, "upstream_busy")
    assert unchanged["zap"]["state"] == "none"
    assert created.status_code == 201


@pytest.mark.parametrize(("most", "state"), [(25, "created"), (2, "failed")])
async def test_a_zap_of_25_steps_maps_from_first_to_last(api: Deployment, most: int, state: str) -> None:
    """Each step takes what the one before it gives; where that is too long for Zapier, its refusal is said."""
    await api.sim.switch({"inputs": {"checked": True}, "zaps": {"most_steps": most}})
    await api.sign_in()
    session = await api.session(*["Formatter"] * 25)
    where = [f"/v1/sessions/{session['id']}/steps/{step['id']}" for step in session["steps"]]
    for number, address in enumerate(where):
        await api.ok("PUT", f"{address}/action", {"key": "text", "action_type": "WRITE"})
        if number:
            before = {"$ref": {"step": session["steps"][number - 1]["id"], "field": "title"}}
            await api.ok("PATCH", f"{address}/inputs", {"inputs": {"text": before}})
    answer = await api.client.post(f"/v1/sessions/{session['id']}/zap", json={})

    assert answer.json()["zap"]["state"] == state
    if state == "created":
        (made,) = api.sim.world.zaps()
        assert [step.inputs for step in made.steps] == [
            {},
            *({"text": f"{{{{step_{number}.title}}}}"} for number in range(1, 25)),
        ]


# --- before the call ------------------------------------------------------------------------------------------


async def mapped(api: Deployment, *, steps: int) -> tuple[dict[str, Any], list[str]]:
    """Begin a session whose last step takes what the first one gives, and one before it between them perhaps."""
    await api.sign_in()
    connected = {app: await api.sim.connect("alice", app) for app in ("GitHub", "Slack")}
    session = await api.session(*["GitHub", "Formatter", "Slack"][:: 2 if steps == 2 else 1], title="Tell of commits")
    where = [f"/v1/sessions/{session['id']}/steps/{step['id']}" for step in session["steps"]]
    for address, app in ((where[0], "GitHub"), (where[-1], "Slack")):
        await api.ok("PUT", f"{address}/authentication", {"authentication_id": connected[app]})
    await api.ok("PUT", f"{where[0]}/action", {"key": "new_commit", "action_type": "READ"})
    await api.ok("PUT", f"{where[-1]}/action", {"key": "channel_message", "action_type": "WRITE"})
    if steps == 3:
        await api.ok("PUT", f"{where[1]}/action", {"key": "text", "action_type": "WRITE"})
    outputs = (await api.ok("GET", f"{where[0]}/outputs")).json()["outputs"]
    text = {"$text": ["Commit ", outputs[0]["reference"], ": ", outputs[1]["reference"]]}
    await api.ok("PATCH", f"{where[0]}/inputs", {"inputs": {"repo": "repo-00001"}})
    await api.ok("PATCH", f"{where[-1]}/inputs", {"inputs": {"channel": "C00001", "text": text}})
    return session, where


@pytest.mark.parametrize(
    ("steps", "text"),
    [(2, "Commit {{sha}}: {{commit__message}}"), (3, "Commit {{step_1.sha}}: {{step_1.commit__message}}")],
)
async def test_a_mapping_arrives_as_zapier_reads_it(api: Deployment, steps: int, text: str) -> None:
    """By the output alone in a Zap of two steps, by an alias that is sent along in a longer one; strictly checked."""
    await api.sim.switch({"inputs": {"checked": True}})
    session, _ = await mapped(api, steps=steps)

    await api.ok("POST", f"/v1/sessions/{session['id']}/zap", {}, status=201)

    (made,) = api.sim.world.zaps()
    assert (made.steps[-1].inputs, made.steps[0].alias) == (
        {"channel": "C00001", "text": text},
        "step_1" if steps == 3 else None,
    )


async def test_everything_that_is_wrong_is_said_at_once_and_nothing_was_done(api: Deployment) -> None:
    """An action that went, an authentication that went and one that expired, fields, a reference to what is later."""
    session, where = await mapped(api, steps=3)
    await api.ok("PATCH", where[0], {"position": 24})
    await api.ok("PATCH", f"{where[0]}/inputs", {"inputs": {"repo": None}})
    await api.sim.switch({"actions": {"gone": ["text"]}})
    before = await api.read(session)

    refused = await api.client.post(f"/v1/sessions/{session['id']}/zap", json={})

    ids = [address.rpartition("/")[2] for address in where]
    assert problem_of(refused) == (409, "inputs_flawed")
    assert [(one["step_id"], one.get("field"), one["code"]) for one in refused.json()["facts"]["problems"]] == [
        (ids[1], None, "action_not_found"),
        (ids[2], "text", "reference_later_step"),
        (ids[0], "repo", "required"),
    ]
    assert (await api.read(session), len(api.sim.world.zaps())) == (before, 0)


async def test_a_page_that_asks_for_a_flawed_zap_without_end_asks_zapier_nothing(api: Deployment) -> None:
    """What was read within the last minute serves each time."""
    session, where = await mapped(api, steps=3)
    await api.ok("PATCH", f"{where[0]}/inputs", {"inputs": {"repo": None}})
    zap = f"/v1/sessions/{session['id']}/zap"
    first = await api.client.post(zap, json={})
    before = await api.asked()
    answers = [await api.client.post(zap, json={}) for _ in range(20)]

    assert {problem_of(answer) for answer in (first, *answers)} == {(409, "inputs_flawed")}
    assert await api.asked() == before


@pytest.mark.parametrize(("change", "code"), [("DELETE", "authentication_gone"), ("PATCH", "authentication_expired")])
@pytest.mark.parametrize("minutes", [3, 6])
async def test_an_authentication_that_is_lost_is_noticed_before_a_zap_is_made(
    api: Deployment, change: str, code: str, minutes: int
) -> None:
    """It is looked for after five minutes; before that, once Zapier refuses a form with it. The step says it then."""
    session, where = await mapped(api, steps=2)
    used = (await api.read(session))["steps"][1]["authentication"]["id"]
    await api.sim.control(change, f"/authentications/{used}", {"is_expired": True} if change == "PATCH" else None)
    api.sim.clock.advance(minutes * MINUTE)

    refused = await api.client.post(f"/v1/sessions/{session['id']}/zap", json={})

    step_id = where[1].rpartition("/")[2]
    problems = [(one["step_id"], one["code"]) for one in refused.json()["facts"]["problems"]]
    after = await api.read(session)
    assert (problem_of(refused), problems) == ((409, "inputs_flawed"), [(step_id, code)])
    assert (after["status"], after["steps"][1]["state"]) == ("building", "needs-auth")


async def test_a_step_that_was_referred_to_and_is_gone_is_said(api: Deployment) -> None:
    """The reference stays, for whoever mends it."""
    session, where = await mapped(api, steps=3)
    await api.ok("DELETE", where[0])

    refused = await api.client.post(f"/v1/sessions/{session['id']}/zap", json={})

    assert [one["code"] for one in refused.json()["facts"]["problems"]] == ["reference_unknown_step"]


# --- looking for a Zap that may exist -------------------------------------------------------------------------


async def looked(api: Deployment, session: dict[str, Any]) -> dict[str, Any]:
    """Let a worker look twice, and read the session."""
    for _ in range(2):
        for shard in range(api.settings.shards):
            await api.zapwright.sweeper.sweep(shard)
        api.sim.clock.advance(10_000)
    return await api.read(session)


@pytest.mark.parametrize(
    "fault", [{"fault": "drop", "when": "after"}, {"fault": "status", "status": 504, "when": "after"}]
)
async def test_a_zap_whose_answer_was_lost_is_recognised(api: Deployment, fault: dict[str, Any]) -> None:
    """Twice looked for, on pages of one; the call is not repeated."""
    session, zap = await ready(api)
    await api.sim.switch({"rules": {"lost": {"times": 1, **fault, **CREATE}}, "paging": {"default": 1, "max": 1}})
    await api.ok("POST", zap, {}, status=200)

    found = await looked(api, session)

    (made,) = api.sim.world.zaps()
    assert (found["status"], found["zap"]["id"], found["zap"]["matches"]) == ("created", made.id, [])
    assert found["zap"]["editor_url"]


async def test_a_zap_that_was_not_made_is_left_to_a_person(api: Deployment) -> None:
    """Nothing fits."""
    session, zap = await ready(api)
    await api.sim.switch({"rules": {"lost": {"times": 1, "fault": "drop", **CREATE}}})
    await api.ok("POST", zap, {}, status=200)

    found = await looked(api, session)

    assert (found["status"], found["zap"]["matches"]) == ("create_unknown", [])


async def test_no_zap_is_named_for_a_session_whose_zap_nobody_looks_for(api: Deployment) -> None:
    """It is to be created instead."""
    _session, zap = await ready(api)
    refused = await api.client.post(zap, json={"zap_id": "any"})

    assert problem_of(refused) == (409, "session_locked")
    assert "is looked for: have it created" in refused.json()["detail"]


async def test_of_several_that_fit_a_person_says_which(api: Deployment) -> None:
    """Here the user has copied it meanwhile; what is none of them is refused."""
    session, zap = await ready(api)
    await api.sim.switch({"rules": {"lost": {"times": 1, "fault": "drop", "when": "after", **CREATE}}})
    await api.ok("POST", zap, {}, status=200)
    (made,) = api.sim.world.zaps()
    copy = api.sim.world.create_zap("alice", title=made.title, steps=made.steps, now=api.sim.clock())

    found = await looked(api, session)
    refused = await api.client.post(zap, json={"zap_id": "another"})
    chosen = (await api.ok("POST", zap, {"zap_id": copy.id})).json()

    assert {match["id"] for match in found["zap"]["matches"]} == {made.id, copy.id}
    assert problem_of(refused) == (409, "zap_not_matched")
    assert (chosen["status"], chosen["zap"]["id"], len(api.sim.world.zaps())) == ("created", copy.id, 2)


async def test_the_zap_of_another_session_is_never_taken(api: Deployment) -> None:
    """It looks the same, and its session is known to have made it."""
    other, its_zap = await ready(api)
    await api.ok("POST", its_zap, {}, status=201)
    session, zap = await ready(api)
    used = (await api.read(other))["steps"][1]["authentication"]["id"]
    step = f"/v1/sessions/{session['id']}/steps/{session['steps'][1]['id']}"
    await api.ok("PUT", f"{step}/authentication", {"authentication_id": used})
    await api.sim.switch({"rules": {"lost": {"times": 1, "fault": "drop", **CREATE}}})
    await api.ok("POST", zap, {}, status=200)

    found = await looked(api, session)

    assert (found["status"], found["zap"]["matches"]) == ("create_unknown", [])
