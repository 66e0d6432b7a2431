"""Steps: put in, moved, named, filled, taken out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.deployment import Deployment, problem_of


def aliases(session: dict[str, Any]) -> list[str]:
    """Give the steps' aliases in order."""
    return [step["alias"] for step in session["steps"]]


async def three_steps(api: Deployment) -> tuple[dict[str, Any], str]:
    """Begin a session with the steps a, b and c; return it and where its steps are."""
    body = {"user_id": "alice", "steps": [{"alias": "a"}, {"alias": "b"}, {"alias": "c"}]}
    session = (await api.ok("POST", "/v1/sessions", body, status=201)).json()
    return session, f"/v1/sessions/{session['id']}/steps"


@pytest.mark.parametrize(
    ("body", "order"),
    [
        ({"alias": "x"}, ["a", "b", "c", "x"]),
        ({"alias": "x", "position": 0}, ["x", "a", "b", "c"]),
        ({"alias": "x", "position": 2}, ["a", "b", "x", "c"]),
        ({"alias": "x", "position": 24}, ["a", "b", "c", "x"]),
    ],
)
async def test_a_step_is_put_where_it_belongs(api: Deployment, body: dict[str, Any], order: list[str]) -> None:
    """Last, unless told otherwise; the answer names the new step."""
    _, steps = await three_steps(api)

    added = (await api.ok("POST", steps, body, status=201)).json()

    named = next(step for step in added["session"]["steps"] if step["id"] == added["step_id"])
    assert (aliases(added["session"]), named["alias"]) == (order, "x")


async def test_a_zap_has_at_most_25_steps(api: Deployment) -> None:
    """The next one is refused and not there."""
    session = await api.session(*[None] * 25)

    refused = await api.client.post(f"/v1/sessions/{session['id']}/steps", json={})

    assert problem_of(refused) == (409, "too_many_steps")
    assert await api.read(session) == session


@pytest.mark.parametrize(("position", "order"), [(0, "cab"), (1, "acb"), (2, "abc"), (9, "abc")])
async def test_a_step_moves_and_keeps_its_id(api: Deployment, position: int, order: str) -> None:
    """Ids are for keeps, places are not."""
    session, steps = await three_steps(api)
    last = session["steps"][2]["id"]

    moved = (await api.ok("PATCH", f"{steps}/{last}", {"position": position})).json()

    assert aliases(moved) == list(order)
    assert [step["position"] for step in moved["steps"]] == [0, 1, 2]
    assert moved["steps"][order.index("c")]["id"] == last


async def test_a_step_is_renamed_to_what_nobody_else_is_called(api: Deployment) -> None:
    """Later steps refer to it by that name."""
    session, steps = await three_steps(api)
    first = f"{steps}/{session['steps'][0]['id']}"

    renamed = (await api.ok("PATCH", first, {"alias": "start"})).json()
    again = (await api.ok("PATCH", first, {"alias": "start"})).json()
    refused = await api.client.patch(first, json={"alias": "b"})

    assert (aliases(renamed), again) == (["start", "b", "c"], renamed)
    assert problem_of(refused) == (409, "alias_taken")


async def test_a_step_is_taken_out(api: Deployment) -> None:
    """Once; then nobody knows it."""
    session, steps = await three_steps(api)
    second = f"{steps}/{session['steps'][1]['id']}"

    left = (await api.ok("DELETE", second)).json()
    again = await api.client.delete(second)

    assert aliases(left) == ["a", "c"]
    assert problem_of(again) == (404, "step_not_found")


async def test_inputs_are_kept_as_given(api: Deployment) -> None:
    """Of any JSON; new ones replace all of the old."""
    _, address = await api.step("Slack")
    inputs = {"channel": "#général", "blocks": [{"n": 1.5}, None, True], "id": 2**53 + 1}

    first = (await api.ok("PUT", f"{address}/inputs", {"inputs": inputs})).json()
    second = (await api.ok("PUT", f"{address}/inputs", {"inputs": {"text": "hi"}})).json()

    assert first["steps"][0]["inputs"] == inputs
    assert second["steps"][0]["inputs"] == {"text": "hi"}


async def test_inputs_need_an_app(api: Deployment) -> None:
    """There is nothing to fill before."""
    _, address = await api.step(None)

    refused = await api.client.put(f"{address}/inputs", json={"inputs": {}})

    assert problem_of(refused) == (409, "illegal_signal")


@pytest.mark.parametrize(
    ("method", "rest", "body"),
    [
        ("PATCH", "", {"position": 0}),
        ("DELETE", "", None),
        ("PUT", "/app", {"app_id": "e6594273-80fe-5616-b920-0bdcd3141861"}),
        ("DELETE", "/app", None),
        ("GET", "/authentications", None),
        ("PUT", "/authentication", {"authentication_id": "1"}),
        ("POST", "/popup", {}),
        ("POST", "/popup", {"attempt_id": "attempt-0001"}),
        ("POST", "/popup/signals", {"attempt_id": "attempt-0001", "kind": "focus"}),
        ("GET", "/actions", None),
        ("PUT", "/action", {"key": "k", "action_type": "READ"}),
        ("PUT", "/inputs", {"inputs": {}}),
    ],
)
async def test_an_unknown_step_is_not_found(api: Deployment, method: str, rest: str, body: object) -> None:
    """On every route, and also a step of another session."""
    await api.sign_in()
    session, other = await api.session("Slack"), await api.session("Slack")
    address = f"/v1/sessions/{session['id']}/steps/{other['steps'][0]['id']}{rest}"

    answer = await api.client.request(method, address, json=body)

    assert problem_of(answer) == (404, "step_not_found")
    assert await api.read(session) == session
