"""The API, in-process: who may ask, and what the answers hold."""

import httpx
import pytest

from simulator.apps import CATALOGUE
from simulator.world import COLLECTED_APP
from tests.support.simulation import Simulation, zap

ENDPOINTS = ["/v1/profiles/me", "/v2/actions", "/v2/apps", "/v2/authentications", "/v2/zaps"]


def codes(answer: httpx.Response) -> list[str]:
    """Return the codes of the errors in an answer."""
    return [error["code"] for error in answer.json()["errors"]]


async def pages(sim: Simulation, path: str, token: str, **query: str | int) -> list[httpx.Response]:
    """Follow `links.next` to the end."""
    answers = [await sim.get(path, token=token, **query)]
    async with sim.client(token) as client:
        while url := answers[-1].json()["links"]["next"]:
            assert len(answers) < 50
            answers.append(await client.get(url))
    return answers


# ------------------------------------------------------------------------------------------- who may ask


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("token", [None, "nonsense", "sim-"])
async def test_without_a_good_token_the_answer_is_401(sim: Simulation, path: str, token: str | None) -> None:
    """In the documented envelope."""
    answer = await sim.get(path, token=token)

    assert (answer.status_code, codes(answer)) == (401, ["unauthenticated"])


async def test_another_scheme_than_bearer_is_no_token(sim: Simulation) -> None:
    """Basic credentials open nothing."""
    async with sim.client() as client:
        answer = await client.get("/v2/apps", headers={"Authorization": "Basic c2ltLWFsaWNl"})

    assert answer.status_code == 401


async def test_a_revoked_token_is_401_and_others_of_the_account_live_on(sim: Simulation) -> None:
    """Also after a long time; until it is given back."""
    await sim.control("PATCH", "/tokens/sim-alice+phone", {"revoked": True})
    sim.clock.advance(10**10)

    assert (await sim.get("/v2/zaps", token="sim-alice+phone")).status_code == 401
    assert (await sim.get("/v2/zaps", token="sim-alice")).status_code == 200
    await sim.control("PATCH", "/tokens/sim-alice+phone", {"revoked": False})
    assert (await sim.get("/v2/zaps", token="sim-alice+phone")).status_code == 200


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ("profile", "/v1/profiles/me"),
        ("zap", "/v2/apps"),
        ("zap", "/v2/actions"),
        ("zap", "/v2/zaps"),
        ("connection:read", "/v2/authentications"),
    ],
)
async def test_without_the_scope_the_answer_is_403(sim: Simulation, scope: str, path: str) -> None:
    """A token may lack any of them."""
    await sim.switch({"scopes": {"missing": [scope]}})
    answer = await sim.get(path, app=sim.app_id("Slack"))

    assert (answer.status_code, codes(answer)) == (403, ["permission_denied"])


async def test_a_client_id_alone_opens_apps_and_actions(sim: Simulation) -> None:
    """And nothing else."""
    slack = sim.app_id("Slack")
    statuses = [(await sim.get(path, token=None, client_id="c", app=slack)).status_code for path in ENDPOINTS]

    assert statuses == [401, 200, 200, 401, 401]


async def test_an_authorization_header_wins_over_a_client_id(sim: Simulation) -> None:
    """A bad token is not saved by a good client id, and a good one gets its links."""
    bad = await sim.get("/v2/apps", token="nonsense", client_id="c")
    good = await sim.get("/v2/apps", client_id="c")

    assert bad.status_code == 401
    assert all(app["links"] for app in good.json()["data"])


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("sim-alice", 404)])
async def test_an_address_that_is_no_endpoint_is_401_or_404(sim: Simulation, token: str | None, status: int) -> None:
    """As observed for unknown addresses: nothing is said to strangers."""
    async with sim.client(token) as client:
        answers = [await client.get("/v2/spaceships"), await client.delete("/v2/zaps")]

    assert [status, status] == [answer.status_code for answer in answers]


# ------------------------------------------------------------------------------------------- profile


async def test_tokens_of_one_account_share_its_profile(sim: Simulation) -> None:
    """Two of a product's users may be one person at Zapier."""
    one, same, other = [
        (await sim.get("/v1/profiles/me", token=token)).json() for token in ("sim-ann", "sim-ann+b", "sim-bob")
    ]

    assert one == same
    assert (one["email"], one["full_name"], one["email_confirmed"]) == ("ann@example.test", "Ann Example", True)
    assert one["id"] != other["id"]


# ------------------------------------------------------------------------------------------- apps


async def test_apps_are_sorted_by_popularity_and_come_in_pages(sim: Simulation) -> None:
    """All of them, each once."""
    answers = await pages(sim, "/v2/apps", "sim-alice")
    titles = [app["title"] for answer in answers for app in answer.json()["data"]]

    assert [app.title for app in CATALOGUE.apps] == titles
    assert [len(answer.json()["data"]) for answer in answers] == [10, 10, 10, 9]


async def test_an_app_that_needs_authentication_links_to_where_one_connects(sim: Simulation) -> None:
    """On the simulator's own origin, with the version in it and a redirect; the others link to nothing."""
    answer = await sim.get("/v2/apps", limit=25)
    links = {app["title"]: app["links"]["connect_new_authentication"] for app in answer.json()["data"]}

    assert links["HubSpot"] == (
        "http://sim.test/engine/auth/start/HubSpotCLIAPI@1.7.1"
        "?redirect=http%3A%2F%2Fsim.test%2Fv2%2Fauthentications%2Fredirect"
    )
    assert links["Webhooks"] is None


async def test_with_a_client_id_alone_links_are_not_filled_in(sim: Simulation) -> None:
    """So that nobody reads from them whether an app needs authentication."""
    answer = await sim.get("/v2/apps", token=None, client_id="c")

    assert [app["links"] for app in answer.json()["data"]] == [{}] * 10


async def test_apps_are_found_by_title_category_and_ids(sim: Simulation) -> None:
    """In the order of popularity, whatever the order of the ids."""
    slack, gmail = sim.app_id("Slack"), sim.app_id("Gmail")

    async def found(**query: str) -> list[str]:
        return [app["title"] for app in (await sim.get("/v2/apps", **query)).json()["data"]]

    assert await found(query="gOOgle") == ["Google Sheets", "Google Calendar", "Google Drive"]
    assert await found(category="team-chat") == ["Slack", "Discord", "Microsoft Teams"]
    assert await found(ids=f"{slack}, {gmail.upper()}") == ["Gmail", "Slack"]
    assert await found(ids=f"{slack},{gmail}", query="mail") == ["Gmail"]
    assert await found(category="nothing") == []
    assert await found(ids="00000000-0000-0000-0000-000000000000") == []


@pytest.mark.parametrize(
    "query",
    [
        {"category": "crm", "ids": CATALOGUE.apps[0].id},
        {"ids": "not-a-uuid"},
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "ten"},
        {"limit": "9" * 30},
        {"offset": "-1"},
        {"offset": "1.5"},
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(sim: Simulation, query: dict[str, str]) -> None:
    """With the parameter's name."""
    answer = await sim.get("/v2/apps", **query)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"]["parameter"] in query


# ------------------------------------------------------------------------------------------- authentications


async def test_all_pages_hold_all_authentications_once(sim: Simulation) -> None:
    """Ten at a time by default, over absolute links that keep the app."""
    app = sim.app_id(COLLECTED_APP)
    answers = await pages(sim, "/v2/authentications", "sim-collector", app=app)
    rows = [row for answer in answers for row in answer.json()["data"]]

    assert [len(answer.json()["data"]) for answer in answers] == [10, 10, 10, 5]
    assert len({row["id"] for row in rows}) == 35
    assert {app} == {row["app"] for row in rows}
    assert [{"count": 35, "limit": 10, "offset": offset} for offset in (0, 10, 20, 30)] == [
        answer.json()["meta"] for answer in answers
    ]


async def test_a_limit_beyond_the_maximum_is_clamped(sim: Simulation) -> None:
    """A client that asks for a hundred must still follow links."""
    answers = await pages(sim, "/v2/authentications", "sim-collector", app=sim.app_id(COLLECTED_APP), limit=100)

    assert [len(answer.json()["data"]) for answer in answers] == [25, 10]
    assert answers[0].json()["meta"]["limit"] == 25


async def test_the_way_back_leads_to_the_first_page(sim: Simulation) -> None:
    """`prev` is null there, and never points before it."""
    app = sim.app_id(COLLECTED_APP)
    first = await sim.get("/v2/authentications", token="sim-collector", app=app)
    odd = await sim.get("/v2/authentications", token="sim-collector", app=app, offset=3)

    assert first.json()["links"]["prev"] is None
    assert f"http://sim.test/v2/authentications?app={app}&limit=10&offset=0" == odd.json()["links"]["prev"]


async def test_a_page_behind_the_end_is_empty(sim: Simulation) -> None:
    """As is the list of a user who has connected nothing: 200, never 404."""
    app = sim.app_id(COLLECTED_APP)
    behind = await sim.get("/v2/authentications", token="sim-collector", app=app, offset=40)
    nothing = await sim.get("/v2/authentications", app=app)

    assert (behind.status_code, behind.json()["data"], behind.json()["links"]["next"]) == (200, [], None)
    assert (nothing.status_code, nothing.json()["data"], nothing.json()["meta"]["count"]) == (200, [], 0)


async def test_only_owned_authentications_are_listed(sim: Simulation) -> None:
    """What somebody shared with the user is not, and what it is called does not matter."""
    own = await sim.connect("alice", "Slack", title="Mine")
    await sim.connect("alice", "Slack", shared_by="bob", title="Ours")
    answer = await sim.get("/v2/authentications", app=sim.app_id("Slack"))
    expected = {
        "type": "authentication",
        "id": own,
        "app": sim.app_id("Slack"),
        "title": "Mine",
        "is_expired": False,
    }

    assert [expected] == answer.json()["data"]


async def test_the_newest_may_come_first(sim: Simulation) -> None:
    """The order is documented nowhere."""
    ids = [await sim.connect("alice", "Slack") for _ in range(3)]
    await sim.switch({"authentications": {"order": "newest"}})
    answer = await sim.get("/v2/authentications", app=sim.app_id("Slack"))

    assert ids[::-1] == [row["id"] for row in answer.json()["data"]]


async def test_a_late_authentication_is_listed_when_time_has_passed(sim: Simulation) -> None:
    """By the simulator's clock, not the test's patience."""
    await sim.switch({"authentications": {"listed_after_ms": 1_500}})
    made = await sim.connect("alice", "Slack")

    async def listed() -> list[str]:
        answer = await sim.get("/v2/authentications", app=sim.app_id("Slack"))
        return [row["id"] for row in answer.json()["data"]]

    assert await listed() == []
    sim.clock.advance(1_500)
    assert [made] == await listed()


@pytest.mark.parametrize("path", ["/v2/authentications", "/v2/actions"])
@pytest.mark.parametrize("status", [400, 404])
async def test_an_unknown_app_is_400_or_404(sim: Simulation, path: str, status: int) -> None:
    """Nobody documents which; a missing or malformed id is 400 in any case."""
    await sim.switch({"answers": {"unknown": status}})
    unknown = await sim.get(path, app="00000000-0000-0000-0000-000000000000")
    others = [await sim.get(path), await sim.get(path, app=""), await sim.get(path, app="slack")]

    assert status == unknown.status_code
    assert [answer.status_code for answer in others] == [400, 400, 400]


# ------------------------------------------------------------------------------------------- actions


async def test_actions_come_in_one_answer_or_by_type(sim: Simulation) -> None:
    """All types where none is asked for."""
    app = sim.app_id("Google Sheets")
    everything = (await sim.get("/v2/actions", app=app)).json()
    reading = (await sim.get("/v2/actions", app=app, action_type="READ")).json()

    assert [action["action_type"] for action in everything["data"]] == [
        "READ",
        "READ",
        "WRITE",
        "WRITE",
        "SEARCH",
        "READ_BULK",
    ]
    assert [action["key"] for action in reading["data"]] == ["new_row", "updated_row"]
    assert (
        reading["links"],
        reading["meta"],
    ) == ({"next": None, "prev": None}, {"count": 2, "limit": 10, "offset": 0})


async def test_every_look_up_gives_other_ids_and_the_same_keys(sim: Simulation) -> None:
    """A client must keep the keys."""
    app = sim.app_id("Slack")
    first, second = [(await sim.get("/v2/actions", app=app)).json()["data"] for _ in range(2)]

    assert [action["key"] for action in first] == [action["key"] for action in second]
    assert not {action["id"] for action in first} & {action["id"] for action in second}


async def test_look_ups_may_give_the_same_ids_for_a_while(sim: Simulation) -> None:
    """By the switch `stable_ms`."""
    await sim.switch({"actions": {"stable_ms": 60_000}})
    first, second = [await sim.action_id("Slack") for _ in range(2)]
    sim.clock.advance(60_000)

    assert first == second != await sim.action_id("Slack")


async def test_an_unknown_type_of_action_is_refused(sim: Simulation) -> None:
    """As an enumeration is."""
    answer = await sim.get("/v2/actions", app=sim.app_id("Slack"), action_type="WRITES")

    assert (answer.status_code, answer.json()["errors"][0]["source"]) == (400, {"parameter": "action_type"})


# ------------------------------------------------------------------------------------------- Zaps


async def test_a_zap_is_created_and_listed(sim: Simulation) -> None:
    """For the account whose token it was, with a link to its editor."""
    connected = await sim.connect("alice", "Slack")
    webhook, slack = await sim.step("Webhooks", alias="hook"), await sim.step("Slack", connected, inputs={"text": "x"})
    created = await sim.post("/v2/zaps", zap(webhook, slack, title="T"))
    listed = (await sim.get("/v2/zaps")).json()
    document = created.json()

    assert (
        created.status_code,
        document["type"],
        document["title"],
        document["is_enabled"],
        document["last_successful_run_date"],
    ) == (201, "zap", "T", True, None)
    assert document["updated_at"] == "2026-09-21T14:13:20+00:00"
    assert document["links"]["html_editor"].startswith("http://sim.test/editor/100000037?")
    assert [
        {"action": webhook["action"], "authentication": None, "inputs": {}, "title": None},
        {"action": slack["action"], "authentication": connected, "inputs": {"text": "x"}, "title": None},
    ] == document["steps"]
    assert [document["id"]] == [one["id"] for one in listed["data"]]
    assert (await sim.get("/v2/zaps", token="sim-bob")).json()["data"] == []


async def test_creating_twice_creates_two(sim: Simulation) -> None:
    """There is no idempotency key."""
    body = zap(await sim.step("Webhooks"))
    first, second = [(await sim.post("/v2/zaps", body)).json() for _ in range(2)]

    assert first["id"] != second["id"]
    assert (await sim.get("/v2/zaps")).json()["meta"]["count"] == 2


async def test_a_created_zap_may_come_wrapped(sim: Simulation) -> None:
    """As in the schema of 2024."""
    await sim.switch({"answers": {"zap": "wrapped"}})
    answer = await sim.post("/v2/zaps", zap(await sim.step("Webhooks")))

    assert {"data"} == answer.json().keys()
    assert answer.json()["data"]["type"] == "zap"


async def test_a_zap_is_expanded_where_asked(sim: Simulation) -> None:
    """Actions and authentications; a deleted authentication stays an id."""
    kept, deleted = await sim.connect("alice", "Slack"), await sim.connect("alice", "Slack")
    steps = [await sim.step("Slack", kept), await sim.step("Slack", deleted), await sim.step("Webhooks")]
    await sim.post("/v2/zaps", zap(*steps))
    await sim.control("DELETE", f"/authentications/{deleted}")
    listed = await sim.get("/v2/zaps", expand="steps.action,steps.authentication")
    found = listed.json()["data"][0]["steps"]

    assert [step["action"]["key"] for step in found] == ["channel_message", "channel_message", "post"]
    assert [kept, deleted, None] == [
        step["authentication"]["id"] if isinstance(step["authentication"], dict) else step["authentication"]
        for step in found
    ]


async def test_a_refused_zap_is_not_created(sim: Simulation) -> None:
    """With every reason."""
    answer = await sim.post("/v2/zaps", zap(await sim.step("Slack", "nobodys"), title=""))

    assert answer.status_code == 400
    assert [error["source"]["pointer"] for error in answer.json()["errors"]] == [
        "/data/title",
        "/data/steps/0/authentication",
    ]
    assert tuple(sim.world.zaps()) == ()


async def test_an_authentication_of_somebody_else_is_400_or_404(sim: Simulation) -> None:
    """Nobody documents which."""
    connected = await sim.connect("bob", "Slack")
    statuses = []
    for status in (400, 404):
        await sim.switch({"answers": {"unknown": status}})
        statuses.append((await sim.post("/v2/zaps", zap(await sim.step("Slack", connected)))).status_code)

    assert statuses == [400, 404]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "parse_error"),
        (b"{", 400, "parse_error"),
        (b"\xff", 400, "parse_error"),
        (b"[" * 100_000, 400, "parse_error"),
        (b'{"data":' * 50_000 + b"1" + b"}" * 50_000, 400, "parse_error"),
        (b" " * (2**20 + 1), 413, "request_too_large"),
    ],
    ids=["empty", "cut", "no text", "deep list", "deep object", "large"],
)
async def test_a_body_that_cannot_be_read_is_refused(sim: Simulation, content: bytes, status: int, code: str) -> None:
    """Deep, large or broken: a clear answer, and the simulator goes on."""
    async with sim.client("sim-alice") as client:
        answer = await client.post("/v2/zaps", content=content)

    assert (status, [code]) == (answer.status_code, codes(answer))
    assert (await sim.get("/v2/zaps")).status_code == 200


async def test_zaps_come_in_pages(sim: Simulation) -> None:
    """Like every other list."""
    for _ in range(12):
        await sim.post("/v2/zaps", zap(await sim.step("Webhooks")))
    answers = await pages(sim, "/v2/zaps", "sim-alice")

    assert [len(answer.json()["data"]) for answer in answers] == [10, 2]
