"""Client tokens: given to the right user's page, good for one session, and for what a page needs."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from orchestrator.core.session import MINUTE
from tests.support.deployment import AN_ATTEMPT, ORIGIN, Deployment, problem_of


async def granted(api: Deployment, session: dict[str, Any], **more: str) -> dict[str, Any]:
    """Ask for a token as the session's user's backend does."""
    body = {"user_id": session["user_id"], **more}
    answer = await api.ok("POST", f"/v1/sessions/{session['id']}/client-tokens", body, status=201)
    document: dict[str, Any] = answer.json()
    return document


def page(api: Deployment, token: dict[str, Any], *, origin: str | None = ORIGIN) -> httpx.AsyncClient:
    """Return a page that has this token."""
    headers = {"Authorization": f"Bearer {token['token']}"} | ({"Origin": origin} if origin else {})
    return api.caller(headers)


async def test_a_token_says_what_a_page_needs(api: Deployment) -> None:
    """Where to send it, for which session, and until when."""
    session = await api.session()
    token = await granted(api, session)

    assert token == {
        "token": token["token"],
        "expires_at": "2026-09-21T14:23:20.000Z",
        "api_url": "http://zapwright.test",
        "session_id": session["id"],
    }


async def test_a_session_comes_with_a_token(api: Deployment) -> None:
    """So that a backend asks once."""
    created = (await api.ok("POST", "/v1/sessions", {"user_id": "alice"}, status=201)).json()
    async with page(api, created["client_token"]) as alice:
        read = await alice.get(f"/v1/sessions/{created['id']}")

    assert created["client_token"]["session_id"] == created["id"]
    assert read.json() == {name: value for name, value in created.items() if name != "client_token"}


async def test_the_address_of_the_api_may_be_a_setting() -> None:
    """Backends may reach it by another one than pages."""
    api = Deployment(public_api_url="https://zaps.example.test/")
    token = await granted(api, await api.session())
    await api.aclose()

    assert token["api_url"] == "https://zaps.example.test"


@pytest.mark.parametrize("user", ["bob", "Alice", "alice2"])
async def test_another_users_session_is_not_found(api: Deployment, user: str) -> None:
    """A backend that mixes its users up gives nothing away."""
    session = await api.session()

    answer = await api.client.post(f"/v1/sessions/{session['id']}/client-tokens", json={"user_id": user})

    assert problem_of(answer) == (404, "session_not_found")


async def test_a_token_for_one_origin_is_good_from_there_alone() -> None:
    """Which must be one of the tenant's."""
    api = Deployment(origins="https://a.example,https://b.example")
    session = await api.session()
    token = await granted(api, session, origin="https://a.example")
    everywhere = await granted(api, session)
    refused = await api.client.post(
        f"/v1/sessions/{session['id']}/client-tokens", json={"user_id": "alice", "origin": "https://c.example"}
    )

    async def status(token: dict[str, Any], origin: str) -> int:
        async with page(api, token, origin=origin) as there:
            return (await there.get(f"/v1/sessions/{session['id']}")).status_code

    assert problem_of(refused) == (403, "origin_refused")
    assert [await status(token, f"https://{name}.example") for name in "abc"] == [200, 403, 403]
    assert [await status(everywhere, f"https://{name}.example") for name in "abc"] == [200, 200, 403]
    await api.aclose()


async def test_a_page_builds_a_whole_zap_with_its_token(api: Deployment) -> None:
    """From the choice of an app to the Zap, and nothing but the token."""
    await api.sign_in()
    created = (await api.ok("POST", "/v1/sessions", {"user_id": "alice", "steps": [{}]}, status=201)).json()
    address = f"/v1/sessions/{created['id']}"
    step = f"{address}/steps/{created['steps'][0]['id']}"
    app_id = api.sim.app_id("Slack")
    async with page(api, created["client_token"]) as alice:

        async def ask(method: str, path: str, body: object = None) -> dict[str, Any]:
            answer = await alice.request(method, path, json=body)
            assert answer.status_code in {200, 201}, answer.text
            document: dict[str, Any] = answer.json()
            return document

        added = f"{address}/steps/{(await ask('POST', f'{address}/steps', {'alias': 'second'}))['step_id']}"
        for method, path, body in (
            ("PATCH", added, {"alias": "other", "position": 0}),
            ("DELETE", added, None),
            ("GET", f"{address}/apps?query=slack", None),
            ("PUT", f"{step}/app", {"app_id": app_id}),
            ("DELETE", f"{step}/app", None),
            ("PUT", f"{step}/app", {"app_id": app_id}),
            ("GET", f"{step}/authentications?refresh=true", None),
            ("POST", f"{step}/popup", {"attempt_id": AN_ATTEMPT}),
        ):
            await ask(method, path, body)
        made = await api.sim.connect("alice", "Slack")
        message = {"attempt_id": AN_ATTEMPT, "kind": "message", "authentication_id": made}
        await ask("POST", f"{step}/popup/signals", message)
        await api.check()
        await ask("PUT", f"{step}/authentication", {"authentication_id": made})
        (action, *_) = (await ask("GET", f"{step}/actions"))["actions"]
        await ask("PUT", f"{step}/action", {"key": action["key"], "action_type": action["action_type"]})
        await ask("PUT", f"{step}/inputs", {"inputs": {"text": "general"}})
        ready = await ask("GET", f"{address}?after_seq=0")
        await ask("GET", f"{address}/events")
        zap = await ask("POST", f"{address}/zap", {})

    assert (ready["status"], zap["status"]) == ("ready", "created")


async def test_a_token_ends_and_says_so(api: Deployment) -> None:
    """The page's backend gives it another one."""
    session = await api.session()
    token = await granted(api, session)
    api.sim.clock.advance(10 * MINUTE)
    async with page(api, token) as late, page(api, await granted(api, session)) as renewed:
        refused = await late.get(f"/v1/sessions/{session['id']}")
        served = await renewed.get(f"/v1/sessions/{session['id']}")

    assert problem_of(refused) == (401, "token_expired")
    assert refused.headers["access-control-allow-origin"] == ORIGIN
    assert served.status_code == 200


async def test_another_deployments_token_is_refused(api: Deployment) -> None:
    """It is signed with another key."""
    session = await api.session()
    other = Deployment(token_keys="another-token-key-0123456789-0123")
    token = await granted(other, await other.session())
    await other.aclose()
    async with page(api, token) as stranger:
        answer = await stranger.get(f"/v1/sessions/{session['id']}")

    assert problem_of(answer) == (401, "token_invalid")
