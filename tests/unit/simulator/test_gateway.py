"""Limits, faults and counts, in-process: what happens to requests before and behind the API."""

import asyncio
import json
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from simulator.world import COLLECTED_APP
from tests.support.simulation import UNLIMITED, Simulation, zap

LISTING = "GET /v2/authentications"


async def listing(sim: Simulation, **query: str | int) -> httpx.Response:
    """List the collector's authentications."""
    return await sim.get("/v2/authentications", token="sim-collector", app=sim.app_id(COLLECTED_APP), **query)


async def set_rule(sim: Simulation, fault: str, **members: Any) -> None:
    """Set one rule."""
    await sim.switch({"rules": {"rule": {"fault": fault, **members}}})


async def outcomes(sim: Simulation, endpoint: str) -> dict[str, int]:
    """Return how requests of an endpoint ended."""
    stats = (await sim.control("GET", "/stats")).json()
    found: dict[str, int] = stats["requests"]["by_endpoint"][endpoint]
    return found


# ------------------------------------------------------------------------------------------- limits


async def test_limits_span_all_endpoints_and_spare_the_control_routes(sim: Simulation) -> None:
    """60 a minute from one address, whatever is asked and whoever asks; then a minute of 429."""
    paths = ["/v2/apps", "/v1/profiles/me", "/v2/spaceships", "/v2/zaps"]
    statuses = [(await sim.get(paths[n % 4], token=["sim-ann", None][n % 2])).status_code for n in range(60)]
    refused = await sim.get("/v2/apps")
    sim.clock.advance(59_999)
    still = await sim.get("/v2/apps")
    sim.clock.advance(1)
    again = await sim.get("/v2/apps")

    assert 429 not in statuses
    assert [refused.status_code, still.status_code, again.status_code] == [429, 429, 200]
    assert refused.json()["errors"][0]["code"] == "throttled"
    assert [refused.headers["Retry-After"], still.headers["Retry-After"]] == ["60", "1"]
    assert (await sim.control("GET", "/faults")).status_code == 200


async def test_a_partner_is_limited_over_addresses_and_users(sim: Simulation) -> None:
    """A client id without a token counts for its partner."""

    async def ask(token: str | None, address: str, **query: str) -> int:
        async with sim.client(token, address=address) as client:
            return (await client.get("/v2/apps", params=query)).status_code

    first = [await ask(f"sim-u{n}@acme", f"10.0.0.{n % 4}") for n in range(150)]
    after = [
        await ask("sim-u@acme", "10.0.0.9"),
        await ask(None, "10.0.0.9", client_id="acme"),
        await ask("sim-u@other", "10.0.0.9"),
    ]

    assert set(first) == {200}
    assert after == [429, 429, 200]


async def test_a_forwarded_address_counts_only_where_it_is_trusted() -> None:
    """Otherwise anybody could have limits of their own."""

    async def statuses(sim: Simulation) -> list[int]:
        async with sim.client("sim-ann") as client:
            return [
                (await client.get("/v2/apps", headers={"X-Forwarded-For": f"10.0.0.{n}, 192.0.2.1"})).status_code
                for n in range(3)
            ]

    switches = {"limits": {"ip": 2}}

    assert await statuses(Simulation(switches=switches)) == [200, 200, 429]
    assert await statuses(Simulation(switches=switches, trust_forwarded_for=True)) == [200, 200, 200]


async def test_limits_can_be_changed_while_it_runs(sim: Simulation) -> None:
    """In both directions, at once."""
    await sim.switch({"limits": {"ip": 1}})
    first = [(await sim.get("/v2/apps")).status_code for _ in range(2)]
    await sim.switch(UNLIMITED)
    then = [(await sim.get("/v2/apps")).status_code for _ in range(100)]

    assert first == [200, 429]
    assert set(then) == {200}


async def test_stats_tell_what_was_asked_and_how_it_was_answered(sim: Simulation) -> None:
    """By endpoint and status; and how full the windows were."""
    await sim.switch({"limits": {"ip": 3}})
    for path in ("/v2/apps", "/v2/apps", "/v2/zaps", "/v2/zaps"):
        await sim.get(path)
    stats = (await sim.control("GET", "/stats")).json()

    assert stats["requests"] == {
        "total": 4,
        "refused_429": 1,
        "by_endpoint": {"GET /v2/apps": {"200": 2}, "GET /v2/zaps": {"200": 1, "429": 1}},
    }
    assert stats["limits"]["ip"]["127.0.0.1"] == {
        "in_window": 4,
        "most_in_window": 4,
        "refused": 1,
        "cooldown_until": sim.clock.now + 60_000,
    }
    assert stats["limits"]["partner"]["demo-partner"]["cooldown_until"] is None


# ------------------------------------------------------------------------------------------- faults instead of answers


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503, 504])
async def test_a_status_fault_answers_with_that_status(sim: Simulation, status: int) -> None:
    """In the envelope; 429 and 503 say how long they last."""
    await set_rule(sim, "status", status=status)
    answer = await listing(sim)

    assert (answer.status_code, answer.json()["errors"][0]["status"]) == (status, status)
    assert ("Retry-After" in answer.headers) == (status in {429, 503})


async def test_a_status_fault_says_when_to_come_back(sim: Simulation) -> None:
    """As long as the rule says, in the form in which limits are announced."""
    await set_rule(sim, "status", status=503, retry_after_s=7)
    in_seconds = await listing(sim)
    await sim.switch({"limits": {"retry_after": "date"}})
    as_date = await listing(sim)

    assert in_seconds.headers["Retry-After"] == "7"
    assert parsedate_to_datetime(as_date.headers["Retry-After"]).timestamp() == -(-sim.clock() // 1_000) + 7


async def test_a_fault_before_leaves_the_world_alone(sim: Simulation) -> None:
    """The Zap was not created."""
    body = zap(await sim.step("Webhooks"))
    await set_rule(sim, "status", status=503, endpoint="POST /v2/zaps")

    assert (await sim.post("/v2/zaps", body)).status_code == 503
    assert len(sim.world.zaps()) == 0


@pytest.mark.parametrize("fault", [{"fault": "status", "status": 504}, {"fault": "drop"}, {"fault": "hang"}])
async def test_a_fault_after_loses_the_answer_and_not_the_zap(sim: Simulation, fault: dict[str, Any]) -> None:
    """The caller cannot know, and must not simply try again."""
    body = zap(await sim.step("Webhooks"))
    await sim.switch({"rules": {"lost": {**fault, "when": "after", "endpoint": "POST /v2/zaps", "times": 1}}})
    try:
        async with sim.client("sim-alice", timeout_s=0.01) as client:
            status = (await client.post("/v2/zaps", json=body)).status_code
    except httpx.TransportError:
        status = 0

    assert status in {0, 504}
    assert len(sim.world.zaps()) == 1


async def test_a_slow_answer_takes_its_time(sim: Simulation) -> None:
    """Before or after; several delays add up."""
    await sim.switch(
        {"rules": {"a": {"fault": "slow", "ms": 1_500}, "b": {"fault": "slow", "ms": 20, "when": "after"}}}
    )
    answer = await listing(sim)

    assert answer.status_code == 200
    assert sim.clock.naps == [1.5, 0.02]


@pytest.mark.parametrize(("when", "count"), [("before", 1), ("after", 0)])
async def test_a_slow_listing_shows_the_world_after_or_before_its_delay(sim: Simulation, when: str, count: int) -> None:
    """An answer that took long need not be new."""
    await sim.connect("alice", "Slack", listed_after_ms=500)
    await set_rule(sim, "slow", ms=500, when=when)
    answer = await sim.get("/v2/authentications", app=sim.app_id("Slack"))

    assert answer.json()["meta"]["count"] == count


async def test_what_goes_wrong_in_the_simulator_itself_is_counted(sim: Simulation) -> None:
    """As the 500 that a caller over the network gets."""

    async def broken(_seconds: float) -> None:
        raise ZeroDivisionError

    sim.upstream.sleep = broken
    await set_rule(sim, "slow", ms=1)
    with pytest.raises(ZeroDivisionError):
        await sim.get("/v2/zaps")

    assert await outcomes(sim, "GET /v2/zaps") == {"500": 1}


async def test_a_dropped_connection_is_a_protocol_error(sim: Simulation) -> None:
    """As over a socket; what comes next is answered again."""
    await set_rule(sim, "drop", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await listing(sim)

    assert (await listing(sim)).status_code == 200
    assert await outcomes(sim, LISTING) == {"dropped": 1, "200": 1}


async def test_a_hanging_connection_times_out(sim: Simulation) -> None:
    """The caller's patience ends it."""
    await set_rule(sim, "hang")
    async with sim.client("sim-alice", timeout_s=0.01) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/v2/zaps")

    assert await outcomes(sim, "GET /v2/zaps") == {"hung": 1}


async def test_an_html_page_comes_instead_of_a_document(sim: Simulation) -> None:
    """As from a gateway, with any status."""
    await set_rule(sim, "html", times=1)
    gateway = await listing(sim)
    await set_rule(sim, "html", status=200)
    login = await listing(sim)

    assert (gateway.status_code, login.status_code) == (502, 200)
    assert gateway.headers["content-type"] == "text/html; charset=utf-8"
    assert gateway.text.startswith("<!doctype html>")


async def test_a_caller_who_leaves_is_counted(sim: Simulation) -> None:
    """Its answer was abandoned."""
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def sleep(_seconds: float) -> None:
        await never

    sim.upstream.sleep = sleep
    await set_rule(sim, "slow", ms=1)
    async with sim.client("sim-alice", timeout_s=0.01) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/v2/zaps")

    assert await outcomes(sim, "GET /v2/zaps") == {"abandoned": 1}


# ------------------------------------------------------------------------------------------- spoiled answers


async def test_a_truncated_answer_breaks_off(sim: Simulation) -> None:
    """The connection is closed halfway through the announced body."""
    await set_rule(sim, "truncate", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await listing(sim)

    assert await outcomes(sim, LISTING) == {"truncated": 1}


async def test_a_malformed_answer_is_complete_and_not_json(sim: Simulation) -> None:
    """Its length is right."""
    await set_rule(sim, "malformed")
    answer = await listing(sim)

    assert len(answer.content) == int(answer.headers["content-length"])
    with pytest.raises(json.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize("where", ["fields", "envelope"])
async def test_wrong_types_are_json_all_the_same(sim: Simulation, where: str) -> None:
    """A client that trusts names alone is misled."""
    await set_rule(sim, "wrong_types", where=where)
    answer = (await listing(sim)).json()

    assert set(answer) == {"links", "meta", "data"}
    assert isinstance(answer["data"], list) == (where == "fields")


async def test_an_oversized_answer_is_valid_and_says_no_length(sim: Simulation) -> None:
    """Only a client that counts notices in time."""
    await set_rule(sim, "oversized", size=200_000)
    answer = await listing(sim)

    assert len(answer.content) > 200_000
    assert "content-length" not in answer.headers
    assert len(answer.json()["data"]) == 10


async def test_flipped_expiry_is_what_lists_say_and_not_what_is(sim: Simulation) -> None:
    """A false value is no guarantee."""
    await set_rule(sim, "flip_expired", times=1)
    flipped, true = (await listing(sim)).json(), (await listing(sim)).json()

    assert {row["is_expired"] for row in flipped["data"]} == {True}
    assert {row["is_expired"] for row in true["data"]} == {False}


# ------------------------------------------------------------------------------------------- spoiled lists


async def all_rows(sim: Simulation, *, most: int = 10) -> tuple[list[str], set[int], bool]:
    """Follow `links.next`: the ids in order, the counts that pages gave, and whether there was an end."""
    ids, counts = [], set()
    answer = await listing(sim)
    async with sim.client("sim-collector") as client:
        for _ in range(most):
            page = answer.json()
            ids += [row["id"] for row in page["data"]]
            counts.add(page["meta"]["count"])
            if page["links"]["next"] is None:
                return ids, counts, True
            answer = await client.get(page["links"]["next"])
    return ids, counts, False


@pytest.mark.parametrize(
    ("how", "counts", "rows", "distinct"),
    [("insert", {35, 36}, 36, 35), ("remove", {34, 35}, 34, 34), ("move", {35}, 35, 34)],
)
async def test_a_list_that_changes_while_it_is_paged_gives_itself_away(
    sim: Simulation, how: str, counts: set[int], rows: int, distinct: int
) -> None:
    """By its count, or by ids that come twice while the count stays."""
    await set_rule(sim, "shift", how=how)
    ids, seen, ended = await all_rows(sim)

    assert (len(ids), len(set(ids)), seen, ended) == (rows, distinct, counts, True)


async def test_a_list_may_change_once(sim: Simulation) -> None:
    """Between two pages and back: one item is missed, another comes twice, as many rows as ever."""
    await set_rule(sim, "shift", how="remove", times=1)
    ids, counts, _ = await all_rows(sim)

    assert (len(ids), len(set(ids)), counts) == (35, 34, {34, 35})


async def test_the_next_page_may_be_elsewhere(sim: Simulation) -> None:
    """A client must not take its token there."""
    await set_rule(sim, "foreign_next", origin="https://evil.example:8443")
    links = (await listing(sim)).json()["links"]

    assert links["next"].startswith("https://evil.example:8443/v2/authentications?app=")


@pytest.mark.parametrize("how", ["repeat", "empty"])
async def test_a_list_may_have_no_end(sim: Simulation, how: str) -> None:
    """With pages that repeat, or with empty ones."""
    await set_rule(sim, "endless", how=how)
    ids, _, ended = await all_rows(sim, most=20)

    assert not ended
    assert len(set(ids)) == 35
    assert (len(ids) > 100) == (how == "repeat")


async def test_items_may_come_twice(sim: Simulation) -> None:
    """On the page they are on; the count is that of the list."""
    await set_rule(sim, "duplicate")
    ids, counts, _ = await all_rows(sim)

    assert (len(ids), len(set(ids)), counts) == (39, 35, {35})


# ------------------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"links": False}, {"meta", "data"}),
        ({"meta": False}, {"links", "data"}),
        ({"links": False, "meta": False}, {"data"}),
    ],
)
async def test_parts_of_the_envelope_may_be_missing(
    sim: Simulation, answers: dict[str, Any], expected: set[str]
) -> None:
    """As in the guides."""
    await sim.switch({"answers": answers})

    assert set((await listing(sim)).json()) == expected


async def test_the_media_type_may_be_that_of_json_api(sim: Simulation) -> None:
    """Of answers and of errors."""
    await sim.switch({"answers": {"media_type": "application/vnd.api+json"}})
    answers = [await listing(sim), await sim.get("/v2/zaps", token=None)]

    assert [answer.headers["content-type"] for answer in answers] == ["application/vnd.api+json"] * 2


async def test_every_request_media_type_is_accepted(sim: Simulation) -> None:
    """Nothing is asked of `Accept` or `Content-Type`."""
    body = json.dumps(zap(await sim.step("Webhooks")))
    async with sim.client("sim-alice") as client:
        for media_type in ("application/json", "application/vnd.api+json", "text/plain"):
            answer = await client.post(
                "/v2/zaps", content=body, headers={"Content-Type": media_type, "Accept": media_type}
            )
            assert answer.status_code == 201


async def test_links_name_the_origin_that_was_asked_for(sim: Simulation) -> None:
    """Port and all, by the header if there is one."""
    async with sim.client("sim-collector") as client:
        url = f"http://other.test:8080/v2/authentications?app={sim.app_id(COLLECTED_APP)}"
        answer = await client.get(url)

    assert answer.json()["links"]["next"].startswith("http://other.test:8080/v2/")
