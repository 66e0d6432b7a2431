"""The switchboard, in-process."""

from typing import Any

import pytest

from tests.support.simulation import SOME_TIME, Simulation, zap


async def test_a_finished_popup_answers_with_what_it_made(sim: Simulation) -> None:
    """By title or uuid of the app."""
    by_title = await sim.control("POST", "/authentications", {"user": "ann", "app": "slack"})
    by_id = await sim.control(
        "POST", "/authentications", {"user": "ann", "app": sim.app_id("Slack"), "title": "Work", "is_expired": True}
    )
    document = by_title.json()

    assert by_title.status_code == 201
    assert document == {
        "id": document["id"],
        "ids": [document["id"]],
        "user": "ann",
        "app": sim.app_id("Slack"),
        "app_title": "Slack",
        "title": "Slack (ann@example.test)",
        "is_expired": False,
        "listed": True,
        "listed_at": 0,
        "shared_with": None,
    }
    assert (by_id.json()["title"], by_id.json()["is_expired"]) == ("Work", True)


async def test_many_are_made_at_once(sim: Simulation) -> None:
    """With ids of their own."""
    document = (await sim.control("POST", "/authentications", {"user": "ann", "app": "Gmail", "count": 35})).json()

    assert len(set(document["ids"])) == 35
    assert document["id"] == document["ids"][0]


async def test_a_popup_may_be_listed_late(sim: Simulation) -> None:
    """By its own wish, before the switch's."""
    await sim.switch({"authentications": {"listed_after_ms": 9_000}})
    document = (
        await sim.control("POST", "/authentications", {"user": "ann", "app": "Slack", "listed_after_ms": 5})
    ).json()

    assert (document["listed"], document["listed_at"]) == (False, SOME_TIME + 5)


async def test_a_popup_may_repair_a_connection(sim: Simulation) -> None:
    """And keep or change its id."""
    expired = await sim.connect("ann", "Slack", is_expired=True)
    same = await sim.connect("ann", "Slack", reconnect=expired)
    await sim.switch({"apps": {"Slack": {"reconnect": "new_id"}}})
    other = await sim.connect("ann", "Slack", reconnect=expired, title="New")

    assert same == expired != other


async def test_authentications_are_found_by_user_and_app(sim: Simulation) -> None:
    """With those that are shared with the user."""
    own, gmail = await sim.connect("ann", "Slack"), await sim.connect("ann", "Gmail")
    shared, foreign = await sim.connect("ann", "Slack", shared_by="bob"), await sim.connect("cid", "Slack")

    async def found(**query: str) -> list[str]:
        answer = await sim.control("GET", "/authentications", None, **query)
        return [one["id"] for one in answer.json()["authentications"]]

    assert await found(user="ann") == [own, gmail, shared]
    assert await found(user="bob", app="Slack") == [shared]
    assert await found(app=sim.app_id("Slack")) == [own, shared, foreign]
    assert len(await found()) == 39


async def test_an_authentication_is_amended_and_deleted(sim: Simulation) -> None:
    """Its other properties stay."""
    made = await sim.connect("ann", "Slack", title="Work")
    amended = await sim.control("PATCH", f"/authentications/{made}", {"is_expired": True})
    renamed = await sim.control("PATCH", f"/authentications/{made}", {"title": "Home"})
    deleted = [(await sim.control("DELETE", f"/authentications/{made}")).status_code for _ in range(2)]

    assert (amended.json()["title"], amended.json()["is_expired"]) == ("Work", True)
    assert (renamed.json()["title"], renamed.json()["is_expired"]) == ("Home", True)
    assert deleted == [204, 404]
    assert (await sim.control("PATCH", f"/authentications/{made}", {"title": "x"})).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "/authentications", None, "The body is not JSON"),
        ("POST", "/authentications", [], "Expected `object`, got `array`"),
        ("POST", "/authentications", {"app": "Slack"}, "missing required field `user`"),
        ("POST", "/authentications", {"user": "ann"}, "missing required field `app`"),
        ("POST", "/authentications", {"user": "ann", "app": "Slak"}, "No app is called 'Slak'"),
        ("POST", "/authentications", {"user": "ann", "app": "Webhooks"}, "Webhooks needs no authentication"),
        ("POST", "/authentications", {"user": "sim-ann", "app": "Slack"}, "at `$.user`"),
        ("POST", "/authentications", {"user": "ann", "app": "Slack", "count": 0}, "at `$.count`"),
        ("POST", "/authentications", {"user": "ann", "app": "Slack", "count": 1001}, "at `$.count`"),
        ("POST", "/authentications", {"user": "ann", "app": "Slack", "title": ""}, "at `$.title`"),
        ("POST", "/authentications", {"user": "ann", "app": "Slack", "expired": True}, "unknown field `expired`"),
        ("POST", "/authentications", {"user": "ann", "app": "Slack", "reconnect": "x"}, "has no authentication 'x'"),
        (
            "POST",
            "/authentications",
            {"user": "ann", "app": "Slack", "reconnect": "x", "count": 2},
            "`reconnect` goes with",
        ),
        ("PATCH", "/faults", [], "Expected `object`"),
        ("PATCH", "/faults", {"limits": {"ip": "5"}}, "at `$.limits.ip`"),
        ("PATCH", "/tokens/alice", {"revoked": True}, "Tokens look like"),
        ("PATCH", "/tokens/sim-alice", {}, "missing required field `revoked`"),
    ],
)
async def test_bad_control_input_is_refused_with_a_reason(
    sim: Simulation, method: str, path: str, body: Any, message: str
) -> None:
    """And nothing was done."""
    answer = await sim.control(method, path, body)

    assert answer.status_code == 422
    assert message in answer.json()["error"]
    assert len(list(sim.world.authentications())) == 35


async def test_an_amendment_must_change_something(sim: Simulation) -> None:
    """An empty one is a mistake."""
    made = await sim.connect("ann", "Slack")
    answers = [
        await sim.control("PATCH", f"/authentications/{made}", body) for body in ({}, {"title": None}, {"id": 1})
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 422]


async def test_a_body_that_is_too_large_is_refused(sim: Simulation) -> None:
    """Before it is read to its end."""
    answer = await sim.control("PATCH", "/faults", {"x": "y" * 2**20})

    assert answer.status_code == 413


async def test_an_unknown_app_in_a_filter_is_refused(sim: Simulation) -> None:
    """An empty list would hide the mistake."""
    answer = await sim.control("GET", "/authentications", None, app="Slak")

    assert answer.status_code == 422


async def test_faults_are_shown_set_and_reset(sim: Simulation) -> None:
    """What GET shows may be sent back as it is."""
    await sim.switch({"limits": {"ip": 7}, "rules": {"r": {"fault": "slow", "ms": 1, "times": 2}}})
    await sim.get("/v2/apps")
    shown = (await sim.control("GET", "/faults")).json()
    sent_back = await sim.control("PATCH", "/faults", shown)
    reset = (await sim.control("DELETE", "/faults")).json()

    assert shown["rules"] == {"r": {"fault": "slow", "ms": 1, "times": 2}}
    assert shown["met"] == {"r": 1}
    assert sent_back.json() == shown | {"met": {"r": 0}}
    assert (reset["limits"]["ip"], reset["rules"], reset["met"]) == (60, {}, {})


async def test_stats_show_the_zaps_that_were_created(sim: Simulation) -> None:
    """With everything that was sent."""
    step = await sim.step("Webhooks", alias="hook", inputs={"a": [1]})
    created = (await sim.post("/v2/zaps", zap(step, title="T"))).json()
    zaps = (await sim.control("GET", "/stats")).json()["zaps"]

    assert zaps == {
        "created": 1,
        "list": [
            {
                "id": created["id"],
                "owner": "alice",
                "title": "T",
                "created_at": SOME_TIME,
                "steps": [
                    {
                        "app": sim.app_id("Webhooks"),
                        "key": "post",
                        "action_type": "WRITE",
                        "action": step["action"],
                        "authentication": None,
                        "alias": "hook",
                        "inputs": {"a": [1]},
                    }
                ],
            }
        ],
    }


async def test_a_reset_goes_back_to_the_beginning(sim: Simulation) -> None:
    """World, switches, counts and limits; the seeded connections are there again."""
    await sim.switch({"limits": {"ip": 1}})
    await sim.connect("ann", "Slack")
    await sim.get("/v2/apps")
    before = await sim.get("/v2/apps")
    reset = await sim.control("POST", "/reset")
    stats = (await sim.control("GET", "/stats")).json()
    after = await sim.get("/v2/apps")

    assert (before.status_code, reset.status_code, after.status_code) == (429, 204, 200)
    assert stats["requests"]["total"] == 0
    assert stats["limits"] == {"ip": {}, "partner": {}}
    assert len(list(sim.world.authentications())) == 35


async def test_a_method_that_a_route_does_not_have_is_405(sim: Simulation) -> None:
    """Not a silent success."""
    answer = await sim.control("PUT", "/faults", {})

    assert answer.status_code == 405
