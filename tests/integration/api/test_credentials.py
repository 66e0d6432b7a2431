"""Credentials: kept, shown without their tokens, and asked for when they no longer work."""

from __future__ import annotations

import pytest

from orchestrator.core.errors.tenants import ClientMissingError
from orchestrator.core.ports.credentials import CredentialState
from orchestrator.core.tenants import DEFAULT_TENANT, Tenant
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
        "has_refresh_token": False,
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


# --- tokens that are ours to refresh ------------------------------------------------------------------------


async def handed_over(api: Deployment, **more: object) -> dict[str, str]:
    """Sign alice in at Zapier, and hand what that brought over; return it."""
    granted = await api.sim.control("POST", "/grants", {"user": "alice", "client_id": "zapwright"})
    tokens: dict[str, str] = granted.json()
    body = {"access_token": tokens["access_token"], "refresh_token": tokens["refresh_token"], **more}
    await api.ok("PUT", "/v1/users/alice/credential", body)
    return tokens


async def test_what_is_handed_over_is_refreshed_when_it_ends(api: Deployment) -> None:
    """Nobody notices but Zapier: the account stays, and with it what was read before."""
    tokens = await handed_over(api, expires_in=36_000)
    session = await api.session("Slack")
    api.sim.clock.advance(36_000_000)
    found = await api.ok("GET", f"/v1/sessions/{session['id']}/steps/{session['steps'][0]['id']}/authentications")
    kept = await api.store.credentials.kept(DEFAULT_TENANT, "alice")

    assert found.json()["authentications"] == []
    assert kept is not None
    assert kept.credential.access_token != tokens["access_token"]
    assert kept.refresh_token != tokens["refresh_token"]
    assert (await api.read(session))["credential"] == {
        "state": "active",
        "account": "a•••@example.test",
        "reason": None,
    }
    assert api.sim.upstream.counts.by_endpoint["POST /oauth/token/"] == {"200": 1}


async def test_a_credential_says_that_it_is_refreshed_here(api: Deployment) -> None:
    """Until its backend puts one without a refresh token: then it does so itself."""
    granted = (await api.sim.control("POST", "/grants", {"user": "alice", "client_id": "zapwright"})).json()
    tokens = {name: granted[name] for name in ("access_token", "refresh_token")}
    first = await api.ok("PUT", "/v1/users/alice/credential", tokens)
    second = await api.ok("PUT", "/v1/users/alice/credential", {"access_token": granted["access_token"]})

    assert [answer.json()["has_refresh_token"] for answer in (first, second)] == [True, False]
    assert granted["refresh_token"] not in first.text


async def test_a_backend_that_goes_on_refreshing_has_its_user_sign_in_again(api: Deployment) -> None:
    """That is said with its reason: in the session, as an event, and by what was asked."""
    tokens = await handed_over(api)
    session = await api.session()
    used = api.sim.upstream.tokens.refresh(
        tokens["refresh_token"],
        client_id="zapwright",
        now=api.sim.clock(),
        switches=api.sim.upstream.switches.tokens,
    )
    api.sim.clock.advance(36_000_000)
    refused = await api.client.get(f"/v1/sessions/{session['id']}/apps")
    told = (await api.ok("GET", f"/v1/sessions/{session['id']}/events?after=1")).json()["events"]

    assert used.refresh_token != tokens["refresh_token"]
    assert problem_of(refused) == (409, "zapier_sign_in_required")
    assert (await api.read(session))["credential"]["reason"] == "refresh_refused"
    assert [(event["name"], event["data"]) for event in told] == [("sign_in_needed", {"reason": "refresh_refused"})]


@pytest.mark.parametrize("body", [{"refresh_token": "R1"}, {"access_token": "sim-alice", "refresh_token": ""}])
async def test_a_refresh_token_comes_with_an_access_token(api: Deployment, body: object) -> None:
    """And is not an empty one."""
    answer = await api.client.put("/v1/users/alice/credential", json=body)

    assert problem_of(answer) == (422, "request_invalid")


async def test_refreshing_is_not_taken_over_without_a_client_secret(api: Deployment) -> None:
    """Nothing is kept: the backend goes on, and hears what is missing."""
    await api.store.tenants.create(Tenant(id="acme", name="Acme", zapier_client_id="acme", created_at=1))
    with pytest.raises(ClientMissingError):
        await api.zapwright.engine.put_credential("acme", "ann", "sim-ann", expires_in=None, refresh_token="R1")

    assert await api.store.credentials.get("acme", "ann") is None
