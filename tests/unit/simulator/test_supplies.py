"""Authentications of the partner's own app, made of fields."""

from typing import Any, Final

import pytest

from tests.support.simulation import Simulation

RIGHT: Final = {"username": "ann", "password": "right"}
OWN: Final = "Acme Orders"


@pytest.fixture
def sim() -> Simulation:
    """A simulator."""
    return Simulation()


def supply(sim: Simulation, *, app: str = OWN, title: object = "Ours", fields: object = None) -> dict[str, Any]:
    """Return the body of a request."""
    return {
        "data": {
            "title": title,
            "app": sim.app_id(app),
            "authentication_fields": RIGHT if fields is None else fields,
        }
    }


async def test_each_request_makes_one_that_is_listed_from_then_on(sim: Simulation) -> None:
    """Of this title, for this account alone; asked twice it makes two."""
    made = [(await sim.post("/v2/authentications", supply(sim))).json() for _ in range(2)]
    listed = (await sim.get("/v2/authentications", app=sim.app_id(OWN))).json()["data"]
    others = (await sim.get("/v2/authentications", token="sim-bob", app=sim.app_id(OWN))).json()["data"]

    assert [document["data"] for document in made] == [[row] for row in listed]
    assert [row["title"] for row in listed] == ["Ours", "Ours"]
    assert made[0]["meta"] == {"count": 1, "limit": 1, "offset": 0}
    assert others == []


async def test_a_new_one_is_listed_late_where_the_switch_says_so(sim: Simulation) -> None:
    """As one from a popup is."""
    await sim.switch({"authentications": {"listed_after_ms": 5_000}})
    await sim.post("/v2/authentications", supply(sim))
    early = (await sim.get("/v2/authentications", app=sim.app_id(OWN))).json()["data"]
    sim.clock.advance(5_000)
    late = (await sim.get("/v2/authentications", app=sim.app_id(OWN))).json()["data"]

    assert (len(early), len(late)) == (0, 1)


@pytest.mark.parametrize(
    "body",
    [
        {"fields": {"username": "ann"}},
        {"fields": {**RIGHT, "port": "80"}},
        {"fields": {"username": "ann", "password": "wrong one"}},
        {"fields": []},
        {"app": "Slack"},
        {"title": ""},
        {"title": "x" * 256},
        {"title": None},
    ],
    ids=["lacks one", "unknown", "wrong", "no object", "another app", "no title", "long title", "null title"],
)
async def test_what_the_app_does_not_take_is_refused(sim: Simulation, body: dict[str, Any]) -> None:
    """And nothing is made."""
    answer = await sim.post("/v2/authentications", supply(sim, **body))

    assert answer.status_code == 400
    assert list(sim.world.owned("alice", sim.app_id(OWN))) == []


async def test_a_refusal_repeats_what_was_sent(sim: Simulation) -> None:
    """As careless services do: whoever asks must not pass it on."""
    answer = await sim.post("/v2/authentications", supply(sim, fields={"username": "ann", "password": "wrong!"}))

    assert "wrong!" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("body", [{}, {"data": []}, [], {"data": {"title": "t", "app": 7}}])
async def test_what_is_no_such_request_is_refused(sim: Simulation, body: object) -> None:
    """Whatever its shape."""
    assert (await sim.post("/v2/authentications", body)).status_code == 400


async def test_an_unknown_app_is_as_the_switch_says(sim: Simulation) -> None:
    """400 or 404; without a token 401, without the scope 403."""
    body = supply(sim)
    body["data"]["app"] = "00000000-0000-0000-0000-000000000000"
    await sim.switch({"answers": {"unknown": 404}})
    unknown = await sim.post("/v2/authentications", body)
    nobody = await sim.post("/v2/authentications", supply(sim), token=None)
    await sim.switch({"scopes": {"missing": ["connection:write"]}})
    scopeless = await sim.post("/v2/authentications", supply(sim))

    assert [answer.status_code for answer in (unknown, nobody, scopeless)] == [404, 401, 403]


async def test_an_answer_may_be_lost_after_it_was_made(sim: Simulation) -> None:
    """By the rules that meet every endpoint."""
    await sim.switch({"rules": {"lost": {"fault": "status", "when": "after", "status": 504, "times": 1}}})
    answer = await sim.post("/v2/authentications", supply(sim))

    assert answer.status_code == 504
    assert len(sim.world.owned("alice", sim.app_id(OWN))) == 1
