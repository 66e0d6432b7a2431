"""The clients against a deployment as `zapwright up` runs it: every route once, from a new user to a Zap."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from jsonschema import Draft202012Validator

from cli.walking import browser_in
from clients.generate import is_stream
from tests.acceptance.installation import WITHOUT_LIMITS, Installation, everything_up
from tests.support.browsers import come_by
from tests.support.clients import KINDS, Driver, Failure, a_client
from tests.support.patience import PATIENT

pytestmark = pytest.mark.slow

Json = dict[str, Any]
LONGEST_TRY_S: Final = 20.0


class Told:
    """A client whose every answer is held against the description that the running API gives of itself."""

    def __init__(self, client: Driver, description: Json) -> None:
        self._client = client
        self._description = description
        self.called: set[str] = set()
        """Operations that were used; a new one belongs into the story below."""

        self.operations: Final[dict[str, Json]] = {
            operation["operationId"]: operation
            for methods in description["paths"].values()
            for operation in methods.values()
            if not is_stream(operation)
        }

    def __call__(self, operation: str, /, *, by: Driver | None = None, **given: Any) -> Any:
        """Call an operation, by this client or another."""
        answer = (by or self._client).call(operation, **given)
        self.called.add(operation)
        responses = self.operations[operation]["responses"]
        contents = [found["content"] for status, found in responses.items() if status[0] == "2" and "content" in found]
        schema = contents[0].get("application/json", {}).get("schema", {}) if contents else {"type": "null"}
        validator = Draft202012Validator({**schema, "components": self._description["components"]})
        flaws = [flaw.message for flaw in validator.iter_errors(answer)]
        assert flaws == [], operation
        return answer


@pytest.fixture(name="up", scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Everything, on one machine."""
    with everything_up(tmp_path_factory.mktemp("clients") / "data", **WITHOUT_LIMITS) as installation:
        yield installation


@pytest.fixture(name="client", params=KINDS)
def driven(request: pytest.FixtureRequest, up: Installation) -> Iterator[Driver]:
    """Each client, of that deployment."""
    variables = up.variables
    with a_client(request.param, url=variables["ZAPWRIGHT_API_URL"], key=variables["ZAPWRIGHT_API_KEY"]) as client:
        yield client


@pytest.fixture(name="operator")
def operating(request: pytest.FixtureRequest, up: Installation) -> Iterator[Driver]:
    """The same client with an operator's key."""
    made = up.says("api-keys", "create", "--data-dir", str(up.folder), "--operator", "--json")
    kind = request.node.callspec.params["client"]
    with a_client(kind, url=up.variables["ZAPWRIGHT_API_URL"], key=made["key"]) as client:
        yield client


def connect(up: Installation, user: str, app_id: str) -> str:
    """Play the user who finishes the popup."""
    url = f"{up.variables['SIMULATOR_URL']}/_control/authentications"
    answer = httpx.post(url, json={"user": user, "app": app_id}, **PATIENT)
    return str(answer.raise_for_status().json()["id"])


def browser_name(up: Installation) -> str:
    """Be a browser, and return the name it has for pages of the API's own origin."""
    url = up.variables["ZAPWRIGHT_API_URL"]
    return browser_in(httpx.get(f"{url}/zapier-sign-in", params={"origin": url}, **PATIENT))


def is_helped(call: Told, operator: Driver, user: str, app_id: str, authentication: str) -> list[str]:
    """Have an operator do everything to a session of the user's; return what the audit has of it, oldest first."""
    session = call("create_session", user_id=user, steps=[{"app_id": app_id}])
    here = {"session_id": session["id"]}
    step = here | {"step_id": session["steps"][0]["id"]}
    call("open_popup", **step, attempt_id=f"to-be-helped-{user}")
    planned = call("check_now", by=operator, **step, reason="they rang")
    why = call("read_why", by=operator, session=session["id"])
    bound = call("bind_authentication", by=operator, **step, authentication_id=authentication, reason="they named it")
    call("restart_step", by=operator, **step, reason="another app")
    call("extend_session", by=operator, **here, by_s=60, reason="they need longer")
    ended = call("end_session", by=operator, **here, reason="they gave up")
    story = call("read_story", by=operator, **here)
    entries = call("list_audit", by=operator, **here)["entries"]

    assert (planned["outcome"], why["about"]) == ("applied", session["id"])
    assert bound["session"]["steps"][0]["evidence"]["channels"] == ["operator"]
    assert ended["session"]["status"] == story["session"]["status"] == "cancelled"
    assert [entry["id"] for entry in story["audit"]] == [entry["id"] for entry in reversed(entries)]
    return [entry["action"] for entry in reversed(entries)]


def sent_again(call: Told, operation: str, **given: Any) -> Json:
    """Send an event again as soon as no try of it is under way."""
    patience = time.monotonic() + LONGEST_TRY_S
    while True:
        try:
            return dict(call(operation, **given))
        except Failure as refused:
            if refused.code != "delivery_under_way" or time.monotonic() > patience:
                raise
        time.sleep(0.1)


def test_every_route_from_a_new_user_to_a_zap(  # noqa: PLR0915 - one story
    client: Driver, operator: Driver, up: Installation, request: pytest.FixtureRequest
) -> None:
    """A lost message is found, a Zap is made, and every operation was used on the way."""
    description = httpx.get(f"{up.variables['ZAPWRIGHT_API_URL']}/openapi.json", **PATIENT).json()
    call = Told(client, description)
    user = f"of-{request.node.callspec.params['client']}"

    assert call("read_health") == {"status": "alive"}
    assert call("read_readiness") == {"status": "ready"}
    assert "zapwright_http_requests_total" in call("read_metrics")
    call("put_credential", user_id=user, access_token=f"sim-{user}", expires_in=3600)
    session = call("create_session", user_id=user, title="Leads", steps=[{"alias": "new"}], metadata={"plan": "pro"})
    here = {"session_id": session["id"]}
    assert [one["id"] for one in call("list_sessions", user_id=user, limit=5)["sessions"]] == [session["id"]]
    token = call("create_client_token", **here, user_id=user)
    assert token["session_id"] == session["client_token"]["session_id"] == session["id"]
    (app, *_) = call("search_apps", **here, query="slack")["apps"]
    step = here | {"step_id": session["steps"][0]["id"]}
    call("choose_app", **step, app_id=app["id"])
    assert call("list_authentications", **step, refresh=True)["authentications"] == []
    browser = browser_name(up)
    ways = {"begin_sign_in": {"user_id": user}, "begin_session_sign_in": here}
    for begun in [call(way, **given, browser=browser) for way, given in ways.items()]:
        assert begun["url"].startswith(f"{up.variables['ZAPWRIGHT_API_URL']}/zapier-sign-in/")
    link = call("create_connect_link", **step, user_id=user, ttl_s=600)
    for _ in range(2):
        come_by(link["url"])
    (waiting,) = call("list_connect_links", **step)["links"][0]["waiting"]
    allowed = call("allow_browser", **step, link_id=link["id"], code=waiting["code"])
    call("revoke_connect_link", **step, link_id=link["id"])
    assert [one["state"] for one in call("list_connect_links", **step)["links"]] == ["revoked"]
    opened = call("open_popup", **step)
    authentication = connect(up, user, app["id"])
    heard = call(
        "send_popup_signal",
        **step,
        attempt_id=opened["attempt_id"],
        kind="finished",
        context={"visible": True, "elapsed_ms": 1200},
    )
    session = heard["session"]
    while session["state"] != "resolved":
        session = client.call("wait_for", **here, after_seq=session["seq"], within_s=20)
    assert session["steps"][0]["authentication"]["id"] == authentication
    added = call("add_step", **here, alias="then")
    second = here | {"step_id": added["step_id"]}
    call("change_step", **second, alias="first", position=0)
    call("choose_app", **second, app_id=app["id"])
    call("reset_step", **second)
    (own,) = call("search_apps", **here, query="acme orders")["apps"]
    call("choose_app", **second, app_id=own["id"])
    asked = call("list_authentications", **second)["own_app"]["fields"]
    supplied = call("supply_authentication", **second, title="Ours", fields=dict.fromkeys(asked, "of-a-client"))
    call("remove_step", **second)
    call("select_authentication", **step, authentication_id=authentication)
    actions = {action["key"]: action["action_type"] for action in call("list_actions", **step)["actions"]}
    call("choose_action", **step, key="channel_message", action_type=actions["channel_message"])
    missing = {flaw["field"] for flaw in call("list_fields", **step)["problems"]}
    (channel, *_) = call("list_choices", **step, field="channel", query="channel 7")["choices"]
    call("give_inputs", **step, inputs={"channel": channel["id"]})
    filled = call("change_inputs", **step, inputs={"text": "Hello"})
    outputs = call("list_outputs", **step)["outputs"]
    tried = call("run_step_test", **step, confirm=True)
    call("change_session", **here, title="New leads")
    names = [event["name"] for event in call("read_events", **here, after=0, limit=500)["events"]]
    kinds = [signal["signal"] for signal in call("read_signals", **here)["signals"]]
    webhook = call("create_webhook", url="http://127.0.0.1:9/", session_id=session["id"], events=["zap_created"])
    hook = {"webhook_id": webhook["id"]}
    renewed = call("renew_webhook_secret", **hook)
    tested = call("fire_webhook", **hook, event="zap_created")
    made = call("create_zap", **here)
    while not (sent := call("list_deliveries", **hook, limit=5)["deliveries"]):
        client.call("wait_for", **here, after_seq=made["seq"], within_s=1)
    event = {"session_id": session["id"], "seq": sent[0]["seq"]}
    delivery = call("read_delivery", **hook, **event)
    sent_again(call, "replay_delivery", **hook, **event)
    again = sent_again(call, "send_again", by=operator, **hook, **event, reason="their receiver was down")
    of_operator = call("list_sent", by=operator, **hook, limit=5)["deliveries"]
    paused = call("change_webhook", **hook, paused=True)
    listed = call("list_webhooks", session_id=session["id"])["webhooks"]
    alone = call("read_webhook", **hook)
    call("delete_webhook", **hook)
    other = call("create_session", user_id=user)
    call("cancel_session", session_id=other["id"])
    me = call("read_me", by=operator)
    helped = is_helped(call, operator, user, app["id"], authentication)
    found = call("search_sessions", by=operator, user_id=user)["sessions"]
    overview = call("read_overview", by=operator)
    popups = {one["app_id"]: one["popups"] for one in call("list_apps", by=operator)["apps"]}
    of_app = call("read_app", by=operator, app_id=app["id"])
    watched = call("list_watches", by=operator, limit=100)["watches"]
    staff = call("list_workers", by=operator)
    budget = call("read_budget", by=operator)
    lost = call("list_all_deliveries", by=operator, trouble="dead")["deliveries"]
    endpoints = call("list_endpoints", by=operator)["webhooks"]
    read = call("read_session", **here)
    assert call("erase_user", user_id=user) is None
    left = call("list_sessions", user_id=user)["sessions"]

    assert made["zap"]["state"] == "created"
    assert (me["role"], again["webhook_id"]) == ("operator", webhook["id"])
    assert helped == ["check_now", "bind", "reset", "extend", "cancel"]
    assert supplied["steps"][0]["evidence"]["channels"] == ["supplied"]
    assert (allowed["state"], allowed["waiting"]) == ("opened", [])
    assert (webhook["secret"] == renewed["secret"], tested["received"], tested["status"]) == (False, False, None)
    assert [one["event"] for one in sent] == [delivery["event"]] == ["zap_created"]
    assert [one["message_id"] for one in of_operator] == [one["message_id"] for one in sent]
    assert [alone] == listed == [paused]
    assert {one["id"] for one in found} >= {session["id"], other["id"]}
    assert (overview["sessions"] >= 2, overview["funnel"][-1]["created"] >= 1) == (True, True)
    assert of_app["popups"] == popups[app["id"]]
    assert (user in {one["user_id"] for one in watched}, lost, endpoints) == (False, [], [])
    assert {"GET /v2/apps", "GET /v2/authentications"} <= {one["endpoint"] for one in budget["calls"]}
    assert [one["alive"] for one in staff["workers"]] == [True]
    assert all(one["depth"] is not None for one in staff["queues"])
    assert popups[app["id"]]["without_message"] >= 1
    assert (made, left) == (read, [])
    assert (missing, filled["problems"], tried["count"]) == ({"channel", "text"}, [], 1)
    assert outputs[0]["reference"]["$ref"]["step"] == step["step_id"]
    assert "auth_resolved" in names
    assert kinds
    assert call.called == call.operations.keys()


def test_a_refusal_is_raised_with_what_it_says(client: Driver) -> None:
    """By the running API, not by one made up."""
    with pytest.raises(Failure) as caught:
        client.call("read_session", session_id="zs00nobody")

    assert (caught.value.name, caught.value.code) == ("NotFoundError", "session_not_found")
    assert caught.value.facts == {"session_id": "zs00nobody"}
    assert caught.value.reference


def test_a_key_that_is_none_is_refused(up: Installation, client: Driver, request: pytest.FixtureRequest) -> None:
    """With an error of its own."""
    kind = request.node.callspec.params["client"]
    with (
        a_client(kind, url=up.variables["ZAPWRIGHT_API_URL"], key="zk_nobody") as stranger,
        pytest.raises(Failure) as caught,
    ):
        stranger.call("list_sessions")

    assert caught.value.name == "UnauthorizedError"
