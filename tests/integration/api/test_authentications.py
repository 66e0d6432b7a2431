"""Authentications: those there are, and the user's choice among them."""

from __future__ import annotations

import pytest

from orchestrator.core.session import MINUTE
from tests.support.deployment import Deployment, problem_of


async def test_all_of_a_users_authentications_are_offered(api: Deployment) -> None:
    """Also those on later pages."""
    _, address = await api.step("Google Sheets", user="collector")

    picker = (await api.ok("GET", f"{address}/authentications")).json()

    assert len({found["id"] for found in picker["authentications"]}) == 35
    assert picker["listed_at"] == "2026-09-21T14:13:20.250Z"


async def test_the_picker_is_kept_for_five_minutes_unless_it_is_asked_for_anew(api: Deployment) -> None:
    """Zapier is asked no more often than that; refreshing renews what the step may be connected with."""
    _, address = await api.step("Slack")
    api.sim.clock.advance(MINUTE)
    connected = await api.sim.connect("alice", "Slack")

    kept = (await api.ok("GET", f"{address}/authentications")).json()
    anew = (await api.ok("GET", f"{address}/authentications?refresh=true")).json()

    assert (kept["authentications"], kept["listed_at"]) == ([], "2026-09-21T14:13:20.250Z")
    assert [found["id"] for found in anew["authentications"]] == [connected]
    assert anew["session"]["steps"][0]["connect"]["fresh_until"] == "2026-09-21T14:19:20.250Z"


async def test_a_page_that_refreshes_without_end_leaves_others_what_they_wait_on() -> None:
    """It is told to wait, and why; half of the limit is left for another user."""
    api = Deployment(rate_limit_egress=60, rate_limit_partner=150)
    _, address = await api.step("Slack")
    answers = [await api.client.get(f"{address}/authentications?refresh=true") for _ in range(60)]
    _, other = await api.step("Slack", user="bob")
    after = await api.client.get(f"{other}/authentications?refresh=true")

    await api.aclose()

    refused = [answer for answer in answers if answer.status_code != 200]
    assert {problem_of(answer) for answer in refused} == {(503, "upstream_busy")}
    assert "what one user may use" in refused[0].json()["detail"]
    assert 20 <= len(answers) - len(refused) <= 30
    assert after.status_code == 200


async def test_an_old_picker_is_read_anew(api: Deployment) -> None:
    """Without being asked to."""
    _, address = await api.step("Slack")
    connected = await api.sim.connect("alice", "Slack")
    api.sim.clock.advance(5 * MINUTE + 1)

    picker = (await api.ok("GET", f"{address}/authentications")).json()

    assert [found["id"] for found in picker["authentications"]] == [connected]


async def test_looking_while_a_popup_is_open_leaves_the_baseline(api: Deployment) -> None:
    """What was just connected stays new, and is found as such."""
    session, address = await api.awaiting("Slack")
    connected = await api.sim.connect("alice", "Slack")
    seen = (await api.ok("GET", f"{address}/authentications?refresh=true")).json()

    await api.signal(address, "finished")
    await api.check()
    (step,) = (await api.read(session))["steps"]

    assert ([found["id"] for found in seen["authentications"]], seen["session"]["state"]) == (
        [connected],
        "awaiting-popup",
    )
    assert (step["state"], step["authentication"]["id"]) == ("resolved", connected)


async def test_a_step_that_needs_none_has_none_to_choose_from(api: Deployment) -> None:
    """And takes none."""
    _, address = await api.step("Schedule")

    picker = (await api.ok("GET", f"{address}/authentications")).json()
    refused = await api.client.put(f"{address}/authentication", json={"authentication_id": "1"})

    assert (picker["authentications"], picker["listed_at"]) == ([], None)
    assert problem_of(refused) == (409, "illegal_signal")


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PUT", {"authentication_id": "1"})])
async def test_a_step_without_an_app_has_nothing_to_choose_from(api: Deployment, method: str, body: object) -> None:
    """The app comes first."""
    _, address = await api.step(None)
    path = f"{address}/authentications" if method == "GET" else f"{address}/authentication"

    assert problem_of(await api.client.request(method, path, json=body)) == (409, "illegal_signal")


async def test_the_users_choice_settles_the_step(api: Deployment) -> None:
    """Zapier is asked once more, and what it said is the evidence; the same choice again changes nothing."""
    connected = await api.sim.connect("alice", "Slack", title="Work")
    session, address = await api.step("Slack")

    chosen = (await api.ok("PUT", f"{address}/authentication", {"authentication_id": connected})).json()
    again = (await api.ok("PUT", f"{address}/authentication", {"authentication_id": connected})).json()

    (step,) = chosen["steps"]
    assert (step["state"], step["authentication"]) == (
        "resolved",
        {"id": connected, "title": "Work", "is_expired": False},
    )
    assert step["evidence"] == {
        "channels": ["selection"],
        "checked_at": "2026-09-21T14:13:20.250Z",
        "attempt_id": None,
    }
    assert await api.read(session) == chosen == again


@pytest.mark.parametrize(
    ("connection", "why"),
    [
        ({"user": "alice", "app": "Slack", "is_expired": True}, "expired"),
        ({"user": "bob", "app": "Slack"}, "does not list it"),
        ({"user": "alice", "app": "Gmail"}, "does not list it"),
        ({"user": "alice", "app": "Slack", "shared_by": "bob"}, "does not list it"),
        (None, "does not list it"),
    ],
    ids=["expired", "another user's", "another app's", "shared", "unknown"],
)
async def test_a_choice_that_cannot_be_used_is_refused(
    api: Deployment, connection: dict[str, object] | None, why: str
) -> None:
    """The step stays as it was, and the user hears why."""
    session, address = await api.step("Slack")
    chosen = await api.sim.connect(**connection) if connection else "4711"  # type: ignore[arg-type]

    answer = await api.client.put(f"{address}/authentication", json={"authentication_id": chosen})

    assert problem_of(answer) == (409, "authentication_not_usable")
    assert why in answer.json()["facts"]["why"]
    assert await api.read(session) == session
