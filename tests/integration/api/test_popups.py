"""Popups: opened, spoken of, and found out about when nobody speaks."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.core.session import MINUTE, SECOND
from tests.support.deployment import AN_ATTEMPT, Deployment, problem_of


async def test_opening_says_where_the_popup_goes_and_how_long_it_is_waited_for(api: Deployment) -> None:
    """The page names the attempt; asking again gives the same one."""
    session, address = await api.step("Slack")
    opened = await api.ok("POST", f"{address}/popup", {"attempt_id": AN_ATTEMPT}, status=201)
    api.sim.clock.advance(SECOND)
    again = await api.ok("POST", f"{address}/popup", {"attempt_id": AN_ATTEMPT}, status=200)

    (step,) = (await api.read(session))["steps"]

    assert opened.json() == {
        "attempt_id": AN_ATTEMPT,
        "url": step["connect"]["url"],
        "deadline": "2026-09-21T14:23:20.250Z",
    }
    assert again.json() == opened.json()
    assert (step["state"], step["attempt"]["id"]) == ("awaiting-popup", AN_ATTEMPT)
    assert step["attempt"]["next_check_at"] == "2026-09-21T14:14:20.250Z"


@pytest.mark.parametrize("body", [None, {}, {"attempt_id": None}])
async def test_an_attempt_without_a_name_is_given_one(api: Deployment, body: object) -> None:
    """The page has not opened its popup yet, so everything is made fresh first."""
    _, address = await api.step("Slack")
    api.sim.clock.advance(6 * MINUTE)

    opened = (await api.ok("POST", f"{address}/popup", body, status=201)).json()

    assert opened["attempt_id"].startswith("at")
    assert opened["deadline"] == "2026-09-21T14:29:20.250Z"


async def test_what_was_connected_meanwhile_is_offered_before_another_popup(api: Deployment) -> None:
    """The user need not connect twice; opening once more goes ahead."""
    session, address = await api.awaiting("Slack")
    await api.signal(address, "cancelled")
    connected = await api.sim.connect("alice", "Slack")
    api.sim.clock.advance(6 * MINUTE)

    offered = await api.client.post(f"{address}/popup", json={})
    (step,) = (await api.read(session))["steps"]
    opened = await api.client.post(f"{address}/popup", json={})

    assert problem_of(offered) == (409, "candidates_found")
    assert [found["id"] for found in step["candidates"]] == [connected]
    assert opened.status_code == 201


@pytest.mark.parametrize("app", [None, "Schedule"])
async def test_a_step_that_cannot_be_connected_opens_no_popup(api: Deployment, app: str | None) -> None:
    """Without an app, or with one that needs nothing."""
    session, address = await api.step(app)

    answer = await api.client.post(f"{address}/popup", json={"attempt_id": AN_ATTEMPT})

    assert problem_of(answer) == (409, "illegal_signal")
    assert await api.read(session) == session


async def test_an_attempt_belongs_to_one_step(api: Deployment) -> None:
    """Its name cannot be used for another."""
    await api.sign_in()
    session = await api.session("Slack", "Slack")
    one, other = (f"/v1/sessions/{session['id']}/steps/{step['id']}" for step in session["steps"])
    await api.ok("POST", f"{one}/popup", {"attempt_id": AN_ATTEMPT}, status=201)

    opened = await api.client.post(f"{other}/popup", json={"attempt_id": AN_ATTEMPT})
    signalled = await api.signal(other, "focus")

    assert problem_of(opened) == problem_of(signalled) == (409, "attempt_taken")


async def test_an_attempt_for_a_former_app_is_stale(api: Deployment) -> None:
    """What its popup says is of no use, and says so."""
    _, address = await api.awaiting("Slack")
    await api.ok("PUT", f"{address}/app", {"app_id": api.sim.app_id("Gmail")})

    for kind in ("message", "finished", "cancelled", "blocked"):
        assert problem_of(await api.signal(address, kind)) == (409, "attempt_stale")

    reopened = await api.client.post(f"{address}/popup", json={"attempt_id": AN_ATTEMPT})
    assert problem_of(reopened) == (409, "attempt_stale")


async def test_a_message_resolves_once_zapier_lists_its_id(api: Deployment) -> None:
    """The browser's word is a reason to look; the server's check is the evidence."""
    session, address = await api.awaiting("Slack")
    connected = await api.sim.connect("alice", "Slack")

    heard = await api.signal(address, "message", authentication_id=connected)
    await api.check()
    (step,) = (await api.read(session))["steps"]

    assert (heard.json()["outcome"], heard.json()["session"]["state"]) == ("applied", "awaiting-popup")
    assert heard.json()["session"]["steps"][0]["attempt"]["next_check_at"] == "2026-09-21T14:13:20.250Z"
    assert (step["state"], step["authentication"]["id"]) == ("resolved", connected)
    assert step["evidence"]["channels"] == ["message", "difference"]


async def test_a_message_naming_what_nobody_connected_resolves_nothing(api: Deployment) -> None:
    """After four listings over half a minute it is said that the id cannot be seen."""
    session, address = await api.awaiting("Slack")
    await api.signal(address, "message", authentication_id="4711")

    for wait in (0, 1, 2, 4, 8, 15, 15):
        api.sim.clock.advance(wait * SECOND)
        await api.check()

    (step,) = (await api.read(session))["steps"]
    assert (step["state"], step["reason"], step["authentication"]) == ("needs-auth", "not_visible", None)


@pytest.mark.parametrize("kind", ["message", "finished", "focus"])
async def test_a_lost_message_is_made_good_by_looking(api: Deployment, kind: str) -> None:
    """Any of these makes a check due at once, and the one new authentication is found."""
    session, address = await api.awaiting("Slack")
    connected = await api.sim.connect("alice", "Slack")

    await api.signal(address, kind, context={"visible": True, "focused": True, "elapsed_ms": 900})
    await api.check()
    (step,) = (await api.read(session))["steps"]

    assert (step["state"], step["authentication"]["id"]) == ("resolved", connected)
    assert step["evidence"] == {
        "channels": ["difference"],
        "checked_at": "2026-09-21T14:13:20.250Z",
        "attempt_id": AN_ATTEMPT,
    }


@pytest.mark.parametrize("says", ["opened", "focus", "cancelled"])
async def test_a_popup_whose_opening_was_lost_has_what_was_given_meanwhile_taken_back(
    api: Deployment, says: str
) -> None:
    """Whatever is first heard of it, if it says that the popup was open then."""
    _, unheard = await api.step("Slack")
    session, address = await api.awaiting("Slack")
    await api.sim.connect("alice", "Slack")
    await api.signal(address, "finished")
    await api.check()
    given = (await api.read(session))["state"]
    api.sim.clock.advance(30 * SECOND)
    if says == "opened":
        await api.ok("POST", f"{unheard}/popup", {"attempt_id": "the-lost-one", "elapsed_ms": 30_000}, status=201)
    else:
        await api.signal(unheard, says, attempt="the-lost-one", context={"elapsed_ms": 30_000})

    (step,) = (await api.read(session))["steps"]
    assert (given, step["state"], step["reason"]) == ("resolved", "needs-auth", "ambiguous")
    assert len(step["candidates"]) == 1


async def test_a_page_that_says_nothing_is_found_out_about_by_the_schedule(api: Deployment) -> None:
    """The first quiet look comes after a minute."""
    session, _ = await api.awaiting("Slack")
    connected = await api.sim.connect("alice", "Slack")

    early = await api.check()
    api.sim.clock.advance(60 * SECOND)
    on_time = await api.check()
    (step,) = (await api.read(session))["steps"]

    assert (early, on_time) == (0, 1)
    assert (step["state"], step["authentication"]["id"]) == ("resolved", connected)


async def test_closed_is_no_end_and_no_evidence(api: Deployment) -> None:
    """Browsers say so while the user is still signing in; the step waits on, and looks once."""
    session, address = await api.awaiting("Slack")

    heard = (await api.signal(address, "closed", context={"gone": True})).json()

    assert (heard["outcome"], heard["session"]["state"]) == ("applied", "awaiting-popup")
    assert heard["session"]["steps"][0]["attempt"]["next_check_at"] == "2026-09-21T14:13:40.250Z"
    assert heard["session"] == await api.read(session)


@pytest.mark.parametrize(("kind", "reason"), [("cancelled", "cancelled"), ("blocked", "popup_blocked")])
async def test_giving_up_says_why_and_stays_repairable(api: Deployment, kind: str, reason: str) -> None:
    """A late message of the attempt still resolves the step."""
    session, address = await api.awaiting("Slack")
    given_up = (await api.signal(address, kind)).json()["session"]["steps"][0]
    connected = await api.sim.connect("alice", "Slack")

    await api.signal(address, "message", authentication_id=connected)
    await api.check()
    (step,) = (await api.read(session))["steps"]

    assert (given_up["state"], given_up["reason"], given_up["attempt"]) == ("needs-auth", reason, None)
    assert (step["state"], step["reason"], step["authentication"]["id"]) == ("resolved", None, connected)


async def test_a_signal_opens_the_attempt_whose_opening_was_lost(api: Deployment) -> None:
    """A request that never arrived loses nothing."""
    _, address = await api.step("Slack")

    heard = (await api.signal(address, "finished", attempt="attempt-of-the-page")).json()

    assert (heard["outcome"], heard["session"]["state"]) == ("applied", "awaiting-popup")
    assert heard["session"]["steps"][0]["attempt"]["id"] == "attempt-of-the-page"


async def test_a_signal_heard_twice_or_too_late_changes_nothing(api: Deployment) -> None:
    """The outcome says which."""
    session, address = await api.awaiting("Slack")
    first = (await api.signal(address, "closed")).json()
    second = (await api.signal(address, "closed")).json()
    await api.signal(address, "cancelled")
    late = (await api.signal(address, "focus")).json()

    assert [first["outcome"], second["outcome"], late["outcome"]] == ["applied", "duplicate", "stale"]
    assert second["session"] == first["session"]
    assert late["session"] == await api.read(session)


async def test_no_signal_applies_to_a_session_that_has_ended(api: Deployment) -> None:
    """It is refused, and noted."""
    session, address = await api.awaiting("Slack")
    await api.ok("DELETE", f"/v1/sessions/{session['id']}")

    refused = await api.signal(address, "finished")

    assert problem_of(refused) == (409, "session_locked")


async def test_signals_are_counted_by_kind_and_outcome(api: Deployment) -> None:
    """Refused ones, too."""
    session, address = await api.awaiting("Slack")
    await api.signal(address, "closed")
    await api.signal(address, "closed")
    await api.ok("DELETE", f"/v1/sessions/{session['id']}")
    await api.signal(address, "focus")

    assert await signals_counted(api) == {
        ("closed", "applied"): 1,
        ("closed", "duplicate"): 1,
        ("focus", "refused"): 1,
    }


async def signals_counted(api: Deployment) -> dict[tuple[Any, ...], float]:
    """Read the counter from `/metrics`."""
    text = (await api.ok("GET", "/metrics")).text
    return {
        (sample.labels["kind"], sample.labels["outcome"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "zapwright_signals_total"
    }


async def test_two_steps_waiting_for_the_same_app_are_never_guessed_apart(api: Deployment) -> None:
    """What is new is offered to both; the message says whose it is."""
    await api.sign_in()
    session = await api.session("Slack", "Slack")
    one, other = (f"/v1/sessions/{session['id']}/steps/{step['id']}" for step in session["steps"])
    await api.ok("POST", f"{one}/popup", {"attempt_id": "attempt-one"}, status=201)
    await api.ok("POST", f"{other}/popup", {"attempt_id": "attempt-other"}, status=201)
    connected = await api.sim.connect("alice", "Slack")

    await api.signal(other, "message", attempt="attempt-other", authentication_id=connected)
    await api.signal(one, "finished", attempt="attempt-one")
    await api.check()
    first, second = (await api.read(session))["steps"]

    assert (first["authentication"], second["authentication"]["id"]) == (None, connected)
