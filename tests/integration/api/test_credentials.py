"""Credentials: kept, shown without their tokens, and asked for when they no longer work."""

from __future__ import annotations

import pytest

from orchestrator.core.ports import CredentialState
from orchestrator.core.tenants import DEFAULT_TENANT
from tests.support.deployment import Deployment, problem_of


async def test_a_credential_is_kept_and_not_shown(api: Deployment) -> None:
    """The account is a masked e-mail address, the token never comes back."""
    answer = await api.ok("PUT", "/v1/users/alice/credential", {"access_token": "sim-alice", "expires_in": 3600})
    kept = await api.store.credentials.get(DEFAULT_TENANT, "alice")

    assert answer.json() == {
        "user_id": "alice",
        "state": "active",
        "account": "a•••@example.test",
        "expires_at": "2026-09-21T15:13:20.250Z",
    }
    assert kept is not None
    assert kept.access_token == "sim-alice"


async def test_a_token_that_may_not_read_the_profile_is_kept_all_the_same(api: Deployment) -> None:
    """Then the account is not known."""
    await api.sim.switch({"scopes": {"missing": ["profile"]}})

    answer = await api.sign_in()

    assert (answer.json()["state"], answer.json()["account"], answer.json()["expires_at"]) == ("active", None, None)


async def test_a_token_that_zapier_refuses_is_not_kept(api: Deployment) -> None:
    """The one there was goes on working."""
    await api.sign_in()

    refused = await api.client.put("/v1/users/alice/credential", json={"access_token": "stolen"})
    session = await api.session("Slack")

    assert problem_of(refused) == (422, "credential_refused")
    assert "stolen" not in refused.text
    assert session["credential"]["state"] == "active"


@pytest.mark.parametrize("user", ["auth0|5f", "a%2Fb", "ann@example.com", "x" * 128])
async def test_a_users_id_is_the_tenants_own(api: Deployment, user: str) -> None:
    """Whatever characters it has, the sessions find the credential."""
    answer = await api.ok("PUT", f"/v1/users/{user}/credential", {"access_token": "sim-alice"})
    session = await api.session("Slack", user=answer.json()["user_id"])

    assert session["credential"]["state"] == "active"


@pytest.mark.parametrize("user", ["", "a%20b", "%C3%A9", "x" * 129, "a%00"])
async def test_an_id_that_no_session_could_have_is_refused(api: Deployment, user: str) -> None:
    """Such a credential would serve nobody."""
    answer = await api.client.put(f"/v1/users/{user}/credential", json={"access_token": "sim-alice"})

    assert problem_of(answer) == (422, "request_invalid")


@pytest.mark.parametrize(
    "body", [{}, {"access_token": ""}, {"access_token": "hunter2", "expires_in": -1}, {"access_token": ["hunter2"]}]
)
async def test_a_wrong_body_is_refused_without_repeating_it(api: Deployment, body: object) -> None:
    """A token in it stays out of the answer."""
    answer = await api.client.put("/v1/users/alice/credential", json=body)

    assert problem_of(answer) == (422, "request_invalid")
    assert "hunter2" not in answer.text


async def test_a_refused_credential_is_asked_for_and_a_new_one_goes_on(api: Deployment) -> None:
    """The attempt keeps waiting meanwhile, and nothing is lost."""
    session, address = await api.awaiting("Slack")
    connected = await api.sim.connect("alice", "Slack")
    await api.sim.control("PATCH", "/tokens/sim-alice", {"revoked": True})
    await api.signal(address, "finished")
    await api.check()
    signed_out = await api.read(session)
    refused = await api.client.get(f"/v1/sessions/{session['id']}/apps")

    await api.sign_in(token="sim-alice+new")
    await api.check()
    signed_in = await api.read(session)
    events = (await api.ok("GET", f"/v1/sessions/{session['id']}/events?after=3")).json()["events"]

    assert (signed_out["credential"]["state"], signed_out["state"]) == (CredentialState.NEEDS_SIGN_IN, "awaiting-popup")
    assert signed_out["steps"][0]["attempt"]["next_check_at"] is None
    assert problem_of(refused) == (409, "zapier_sign_in_required")
    assert (signed_in["credential"]["state"], signed_in["steps"][0]["authentication"]["id"]) == ("active", connected)
    assert [event["name"] for event in events] == ["sign_in_needed", "signed_in", "auth_resolved"]
