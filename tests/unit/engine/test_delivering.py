"""Delivering and relaying, on the store in memory and a clock that the test moves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import httpx
import pytest

from orchestrator.core.deliveries import DELAYS, Answer, DeliveryState
from orchestrator.core.endpoints import Endpoint, Pause
from orchestrator.core.errors.store import StaleVersionError
from orchestrator.core.events import EventName
from orchestrator.core.ports.webhooks import DeliverySearch
from orchestrator.core.session import MINUTE, SECOND
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.store.memory import MemoryStore
from orchestrator.webhooks import EndpointChange
from tests.support.deployment import Deployment
from tests.support.interference import Script, wrapped

URL = "https://hooks.example/zapwright"


async def hooked(api: Deployment, **wish: object) -> Endpoint:
    """Have an endpoint that wants every event."""
    body = {"url": URL, "events": [name.value for name in EventName], **wish}
    made = (await api.ok("POST", "/v1/webhooks", body, status=201)).json()
    return await api.zapwright.webhooks.endpoint(DEFAULT_TENANT, made["id"])


async def deliveries(api: Deployment, endpoint: Endpoint) -> dict[int, DeliveryState]:
    """Give the state of each event's delivery."""
    search = DeliverySearch(tenant_id=DEFAULT_TENANT, endpoint_id=endpoint.id)
    return {one.seq: one.state for one in (await api.zapwright.webhooks.find(search)).deliveries}


@pytest.fixture
async def api() -> AsyncIterator[Deployment]:
    """A deployment that heard nothing yet."""
    deployment = Deployment()
    yield deployment
    await deployment.aclose()


async def test_a_message_is_the_event_with_its_session(api: Deployment) -> None:
    """As the catalogue and the reference have both."""
    await hooked(api)
    session = await api.session(title="Leads")
    await api.deliver()
    (posted,) = api.posts.sent
    message = json.loads(posted.body)

    assert posted.url == URL
    assert (message["type"], message["data"]["name"], message["data"]["seq"]) == ("session_created",) * 2 + (1,)
    assert message["timestamp"] == message["data"]["at"] == session["created_at"]
    assert message["data"]["session"] == session


async def test_two_endpoints_get_the_same_message(api: Deployment) -> None:
    """Each signed with its own secret."""
    first, second = await hooked(api), await hooked(api)
    await api.session()
    await api.deliver()
    one, other = api.posts.sent

    assert first.id != second.id
    assert (one.body, one.headers["webhook-id"]) == (other.body, other.headers["webhook-id"])
    assert one.headers["webhook-signature"] != other.headers["webhook-signature"]


async def test_each_try_is_signed_anew_and_says_the_same(api: Deployment) -> None:
    """The id and the bytes stay."""
    await hooked(api)
    await api.session()
    api.posts.answer = Answer(status=500, took=1)
    await api.deliver()
    api.clock.manual.advance(6 * SECOND)
    await api.deliver()
    one, other = api.posts.sent

    assert (one.body, one.headers["webhook-id"]) == (other.body, other.headers["webhook-id"])
    assert int(other.headers["webhook-timestamp"]) == int(one.headers["webhook-timestamp"]) + 6


async def test_an_endpoint_that_received_nothing_for_three_days_is_paused(api: Deployment) -> None:
    """Not before; what it did not receive waits on record."""
    endpoint = await hooked(api)
    await api.session()
    api.posts.answer = Answer(status=None, took=1, problem="no connection")
    paused = []
    for delay in (*DELAYS, 0):
        await api.deliver()
        paused.append((await api.zapwright.webhooks.endpoint(DEFAULT_TENANT, endpoint.id)).paused)
        api.clock.manual.advance(delay)

    assert paused == [None] * len(DELAYS) + [Pause.DEAD]
    assert await deliveries(api, endpoint) == {1: DeliveryState.DEAD}


async def test_one_that_received_anything_else_meanwhile_is_not(api: Deployment) -> None:
    """A message that nobody can take is dead by itself."""
    endpoint = await hooked(api)
    await api.session()
    for number, delay in enumerate((*DELAYS, 0)):
        api.posts.answer = Answer(status=500, took=1)
        await api.deliver()
        api.posts.answer = Answer(status=200, took=1)
        if number == 3:
            await api.session()
            await api.deliver()
        api.clock.manual.advance(delay)

    assert (await api.zapwright.webhooks.endpoint(DEFAULT_TENANT, endpoint.id)).paused is None


async def test_410_pauses_at_once_and_stops_the_lane(api: Deployment) -> None:
    """Nothing more is sent until it is resumed; then everything is, in order."""
    endpoint = await hooked(api)
    session = await api.session()
    api.posts.answer = Answer(status=410, took=1)
    await api.deliver()
    for title in ("one", "two"):
        await api.ok("PATCH", f"/v1/sessions/{session['id']}", {"title": title})
    await api.deliver()
    tried = len(api.posts.sent)
    shown = (await api.ok("GET", f"/v1/webhooks/{endpoint.id}")).json()
    api.posts.answer = Answer(status=200, took=1)
    api.clock.manual.advance(2 * MINUTE)
    await api.ok("PATCH", f"/v1/webhooks/{endpoint.id}", {"paused": False})
    await api.deliver()

    assert (tried, shown["paused"]) == (1, "gone")
    assert [json.loads(one.body)["data"]["seq"] for one in api.posts.sent] == [1, 1, 2, 3]


async def test_a_dead_delivery_is_replayed_as_it_was(api: Deployment) -> None:
    """Under its id; what was received is written down anew. The same request again asks for nothing more."""
    endpoint = await hooked(api)
    session = await api.session()
    api.posts.answer = Answer(status=500, took=1)
    for delay in (*DELAYS, 0):
        await api.deliver()
        api.clock.manual.advance(delay + MINUTE)
    await api.zapwright.webhooks.change(DEFAULT_TENANT, endpoint.id, EndpointChange(paused=False))
    dead = await deliveries(api, endpoint)
    api.posts.answer = Answer(status=200, took=1)
    path = f"/v1/webhooks/{endpoint.id}/deliveries/{session['id']}/1/replay"
    keyed = {"Idempotency-Key": "again"}
    answers = [await api.client.post(path, headers=keyed) for _ in range(2)]
    await api.deliver()
    await api.ok("PATCH", f"/v1/sessions/{session['id']}", {"title": "new"})
    await api.deliver()
    await api.ok("POST", path, status=201)
    await api.deliver()
    bodies = [one.body for one in api.posts.sent if json.loads(one.body)["data"]["seq"] == 1]

    assert dead == {1: DeliveryState.DEAD}
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers] == [None, "true"]
    assert len({one.headers["webhook-id"] for one in api.posts.sent if one.body in bodies}) == 1
    assert bodies[-2] == bodies[0]
    assert json.loads(bodies[-1])["data"]["session"]["title"] == "new"


async def test_a_repeated_request_makes_one_endpoint_and_shows_its_secret_again(api: Deployment) -> None:
    """Whose answer was lost has it then; other requests never see it."""
    keyed = {"Idempotency-Key": "one"}
    first, again = [await api.client.post("/v1/webhooks", json={"url": URL}, headers=keyed) for _ in range(2)]
    rotations = [
        await api.client.post(f"/v1/webhooks/{first.json()['id']}/secrets", headers={"Idempotency-Key": "two"})
        for _ in range(2)
    ]
    listed = (await api.ok("GET", "/v1/webhooks")).text

    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert rotations[0].json() == rotations[1].json() != first.json()
    assert first.json()["secret"] not in listed
    assert "whsec_" not in listed


async def test_a_deleted_endpoint_is_not_made_again_by_its_own_request(api: Deployment) -> None:
    """Within the day that its idempotency key is good for; another key makes another one."""
    first = await api.client.post("/v1/webhooks", json={"url": URL}, headers={"Idempotency-Key": "one"})
    await api.ok("DELETE", f"/v1/webhooks/{first.json()['id']}", status=204)
    again = await api.client.post("/v1/webhooks", json={"url": URL}, headers={"Idempotency-Key": "one"})
    other = await api.client.post("/v1/webhooks", json={"url": URL}, headers={"Idempotency-Key": "two"})

    assert (again.status_code, again.json()["code"]) == (404, "endpoint_not_found")
    assert other.status_code == 201
    assert [one["id"] for one in (await api.ok("GET", "/v1/webhooks")).json()["webhooks"]] == [other.json()["id"]]


async def test_a_replay_meets_what_came_of_the_delivery_meanwhile() -> None:
    """Received after it was read: the bytes that are sent are written anew, and are not empty."""
    store, script = MemoryStore(), Script()
    store.deliveries = wrapped(store.deliveries, "deliveries", script)
    api = Deployment(store=store)
    endpoint = await hooked(api)
    session = await api.session()
    api.posts.answer = Answer(status=500, took=1)
    await api.deliver()
    api.posts.answer = Answer(status=200, took=1)
    api.clock.manual.advance(6 * SECOND)
    script.goes("deliveries.replay", StaleVersionError(session_id=session["id"]), then=api.deliver)
    await api.ok("POST", f"/v1/webhooks/{endpoint.id}/deliveries/{session['id']}/1/replay", status=201)
    await api.deliver()
    await api.aclose()

    assert len(api.posts.sent) == 3
    assert {json.loads(one.body)["data"]["seq"] for one in api.posts.sent} == {1}


async def test_a_request_repeated_before_its_answer_renews_the_secret_once() -> None:
    """The secret that receivers know stays live: a second renewal would have ended it."""
    store, script = MemoryStore(), Script()
    store.endpoints = wrapped(store.endpoints, "endpoints", script)
    api = Deployment(store=store)
    endpoint = await hooked(api)
    path, keyed = f"/v1/webhooks/{endpoint.id}/secrets", {"Idempotency-Key": "two"}
    faster: list[httpx.Response] = []

    async def repeated() -> None:
        faster.append(await api.client.post(path, headers=keyed))

    script.goes("endpoints.change", StaleVersionError(session_id=endpoint.id), then=repeated)
    slower = await api.client.post(path, headers=keyed)
    secrets = (await api.zapwright.webhooks.endpoint(DEFAULT_TENANT, endpoint.id)).secrets
    await api.aclose()

    assert slower.json()["secret"] == faster[0].json()["secret"] == secrets[0]
    assert slower.headers["Idempotency-Replayed"] == "true"
    assert secrets[1] == endpoint.secrets[0]


async def test_a_goodbye_from_an_old_address_does_not_pause_the_new_one() -> None:
    """The endpoint moved while the try was on its way; what it had to tell is sent where it is now."""
    store, script = MemoryStore(), Script()
    store.endpoints = wrapped(store.endpoints, "endpoints", script)
    api = Deployment(store=store)
    endpoint = await hooked(api)
    await api.session()
    moved = EndpointChange(url="https://hooks.example/moved")
    api.posts.answer = Answer(status=410, took=1)
    script.goes("endpoints.get", then=partial(api.zapwright.webhooks.change, DEFAULT_TENANT, endpoint.id, moved))
    await api.deliver()
    paused = (await api.zapwright.webhooks.endpoint(DEFAULT_TENANT, endpoint.id)).paused
    api.clock.manual.advance(6 * SECOND)
    await api.deliver()
    await api.aclose()

    assert paused is None
    assert [one.url for one in api.posts.sent] == [URL, moved.url]


async def test_an_endpoint_of_a_session_ends_with_it(api: Deployment) -> None:
    """And is listed with it alone."""
    session = await api.session(user="ada")
    endpoint = await hooked(api, session_id=session["id"])
    of_it = (await api.ok("GET", f"/v1/webhooks?session_id={session['id']}")).json()["webhooks"]
    of_all = (await api.ok("GET", "/v1/webhooks")).json()["webhooks"]
    await api.ok("DELETE", "/v1/users/ada", status=204)
    gone = await api.client.get(f"/v1/webhooks/{endpoint.id}")

    assert [one["id"] for one in of_it] == [endpoint.id]
    assert of_all == []
    assert gone.status_code == 404


async def test_a_test_is_sent_at_once_whatever_else(api: Deployment) -> None:
    """Paused or not; it says what came of it, and leaves no record."""
    endpoint = await hooked(api)
    await api.ok("PATCH", f"/v1/webhooks/{endpoint.id}", {"paused": True})
    api.posts.answer = Answer(status=418, took=3, text="short and stout")
    answer = (await api.ok("POST", f"/v1/webhooks/{endpoint.id}/test", {"event": "zap_created"})).json()
    message = json.loads(api.posts.sent[0].body)

    assert answer == {"received": False, "status": 418, "took_ms": 3, "problem": None, "answer": "short and stout"}
    assert (message["type"], message["data"]["session"]["metadata"]) == ("zap_created", {"test": True})
    assert await deliveries(api, endpoint) == {}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "https://user:secret@hooks.example/"}, "endpoint_url_refused"),
        ({"url": "http://hooks.example/"}, "endpoint_url_refused"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "endpoint_url_refused"),
        ({"url": "https://hooks.example/" + "a" * 3000}, "request_invalid"),
        ({"url": URL, "events": ["no_such_event"]}, "request_invalid"),
        ({"url": URL, "events": []}, "request_invalid"),
        ({"url": URL, "events": ["zap_created"] * 1000}, "request_invalid"),
        ({"url": URL, "session_id": "zs00nobody0000"}, "session_not_found"),
    ],
)
async def test_a_wish_that_cannot_be_met_is_refused(api: Deployment, body: dict[str, object], code: str) -> None:
    """With its reason, and without repeating what may be a secret."""
    answer = await api.client.post("/v1/webhooks", json=body)

    assert answer.json()["code"] == code
    assert "secret" not in answer.text


async def test_of_ten_thousand_endpoints_a_hundred_are_made(api: Deployment) -> None:
    """The others are refused in words."""
    endpoint = await hooked(api)
    for number in range(99):
        await api.store.endpoints.create(replace(endpoint, id=f"wh{number}"))

    answer = await api.client.post("/v1/webhooks", json={"url": URL})

    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_endpoints")


async def test_a_courier_that_is_finishing_gives_each_lane_back_after_its_try(api: Deployment) -> None:
    """So that a worker that is told to stop does so within one try's time."""
    await hooked(api)
    session = await api.session()
    for title in ("one", "two"):
        await api.ok("PATCH", f"/v1/sessions/{session['id']}", {"title": title})
    api.zapwright.courier.finish()
    sent = []
    for _ in range(4):
        await api.deliver()
        sent.append(len(api.posts.sent))

    assert sent == [1, 2, 3, 3]
