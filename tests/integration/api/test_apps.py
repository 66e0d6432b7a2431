"""Apps and actions: searched, chosen, dropped."""

from __future__ import annotations

import pytest

from tests.support.deployment import Deployment, problem_of


async def test_apps_are_found_by_their_titles(api: Deployment) -> None:
    """With what a page shows of them, and whether they need an authentication."""
    session, _ = await api.step(None)
    apps = f"/v1/sessions/{session['id']}/apps"

    slack = (await api.ok("GET", f"{apps}?query=slack")).json()["apps"]
    code = (await api.ok("GET", f"{apps}?query=code")).json()["apps"]

    assert [(app["id"], app["title"]) for app in slack] == [(api.sim.app_id("Slack"), "Slack")]
    assert (slack[0]["needs_authentication"], code[0]["needs_authentication"]) == (True, False)
    assert "READ" in slack[0]["action_types"]


async def test_the_catalogue_comes_in_pages(api: Deployment) -> None:
    """All of it, each app once."""
    session, _ = await api.step(None)
    titles: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await api.ok("GET", f"/v1/sessions/{session['id']}/apps{cursor and f'?cursor={cursor}'}")).json()
        titles += [app["title"] for app in page["apps"]]
        cursor = page["cursor"]

    assert titles == [app.title for app in api.sim.world.catalogue.apps]


@pytest.mark.parametrize("query", ["cursor=x", "cursor=o-1", "query=%00", f"query={'x' * 201}", "offset=3"])
async def test_a_search_that_cannot_be_meant_is_refused(api: Deployment, query: str) -> None:
    """Zapier is not asked for it."""
    session, _ = await api.step(None)
    before = api.sim.upstream.counts.total

    answer = await api.client.get(f"/v1/sessions/{session['id']}/apps?{query}")

    assert problem_of(answer) == (422, "request_invalid")
    assert api.sim.upstream.counts.total == before


@pytest.mark.parametrize("rest", ["apps", "steps/{step}/app"])
async def test_without_a_credential_zapier_is_not_asked(api: Deployment, rest: str) -> None:
    """The page must have the user sign in first."""
    session = await api.session(None)
    path = f"/v1/sessions/{session['id']}/{rest.format(step=session['steps'][0]['id'])}"
    method, body = ("GET", None) if rest == "apps" else ("PUT", {"app_id": api.sim.app_id("Slack")})

    answer = await api.client.request(method, path, json=body)

    assert problem_of(answer) == (409, "zapier_sign_in_required")
    assert answer.json()["facts"] == {"user_id": "alice"}
    assert api.sim.upstream.counts.total == 0


@pytest.mark.parametrize(("app", "state"), [("Slack", "needs-auth"), ("Schedule", "no-auth-required")])
async def test_an_app_decides_what_its_step_needs(api: Deployment, app: str, state: str) -> None:
    """Zapier's popup address says so."""
    session, address = await api.step(None)

    chosen = (await api.ok("PUT", f"{address}/app", {"app_id": api.sim.app_id(app)})).json()

    assert (chosen["state"], chosen["steps"][0]["state"], chosen["steps"][0]["app"]["title"]) == (state, state, app)
    assert await api.read(session) == chosen


async def test_the_same_app_again_changes_nothing(api: Deployment) -> None:
    """A popup that is open stays open."""
    session, address = await api.awaiting("Slack")

    again = (await api.ok("PUT", f"{address}/app", {"app_id": api.sim.app_id("Slack")})).json()

    assert (again["state"], again["seq"]) == ("awaiting-popup", session["seq"] + 1)


async def test_another_app_drops_what_was_of_the_former(api: Deployment) -> None:
    """Its authentication, its action and its inputs."""
    _, address = await api.step("Slack")
    connected = await api.sim.connect("alice", "Slack")
    await api.ok("PUT", f"{address}/authentication", {"authentication_id": connected})
    await api.ok("PUT", f"{address}/action", {"key": "new_message", "action_type": "READ"})
    await api.ok("PUT", f"{address}/inputs", {"inputs": {"a": 1}})

    (step,) = (await api.ok("PUT", f"{address}/app", {"app_id": api.sim.app_id("Gmail")})).json()["steps"]

    assert step["state"] == "needs-auth"
    assert [step[key] for key in ("authentication", "evidence", "action", "inputs")] == [None, None, None, {}]


@pytest.mark.parametrize("app_id", ["00000000-0000-0000-0000-000000000000", "Slack", "../apps"])
async def test_an_unknown_app_is_not_chosen(api: Deployment, app_id: str) -> None:
    """The step stays as it was."""
    session, address = await api.step("Slack")

    answer = await api.client.put(f"{address}/app", json={"app_id": app_id})

    assert problem_of(answer) == (404, "app_not_found")
    assert await api.read(session) == session


async def test_a_step_starts_over(api: Deployment) -> None:
    """Once; a second time changes nothing."""
    _, address = await api.awaiting("Slack")

    reset = (await api.ok("DELETE", f"{address}/app")).json()
    again = (await api.ok("DELETE", f"{address}/app")).json()

    assert (reset["state"], reset["steps"][0]["app"], again) == ("choose-app", None, reset)


async def test_an_apps_actions_are_listed_and_one_is_chosen(api: Deployment) -> None:
    """By key and type, which stay; Zapier's id does not."""
    _, address = await api.step("Schedule")
    actions = (await api.ok("GET", f"{address}/actions")).json()["actions"]
    body = {"key": actions[0]["key"], "action_type": actions[0]["action_type"]}

    chosen = (await api.ok("PUT", f"{address}/action", body)).json()

    assert chosen["steps"][0]["action"] == body
    assert chosen["status"] == "ready"
    assert "id" not in actions[0]


async def test_an_action_the_app_does_not_have_is_not_chosen(api: Deployment) -> None:
    """Neither an unknown key, nor a known one of another type."""
    session, address = await api.step("Schedule")
    for body in ({"key": "nothing", "action_type": "READ"}, {"key": "every_hour", "action_type": "WRITE"}):
        answer = await api.client.put(f"{address}/action", json=body)

        assert problem_of(answer) == (404, "action_not_found")

    assert await api.read(session) == session


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PUT", {"key": "k", "action_type": "READ"})])
async def test_actions_need_an_app(api: Deployment, method: str, body: object) -> None:
    """There is none to ask about."""
    _, address = await api.step(None)
    path = f"{address}/actions" if method == "GET" else f"{address}/action"

    assert problem_of(await api.client.request(method, path, json=body)) == (409, "illegal_signal")
