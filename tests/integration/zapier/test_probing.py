"""What a live API does where its documentation is silent, asked of simulators that answer each in their own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cli.probe import settings_of, switches_of
from orchestrator.store.limits import Limits as Rates
from orchestrator.store.memory.budget import MemoryBudget
from orchestrator.zapier import Limits
from orchestrator.zapier.address import ApiAddress
from orchestrator.zapier.exchange import Exchange
from orchestrator.zapier.probing import Finding, Lab, planned, probe
from simulator.switches import merged
from tests.integration.zapier.conftest import ADDRESS, Neighbours, SharedClock

CHARACTERS: dict[str, dict[str, Any]] = {
    "as documented": {
        "answers": {
            "media_type": "application/json",
            "unknown": 400,
            "error_status": "integer",
            "undeclared": "ignored",
        },
        "paging": {"max": 25},
        "actions": {"stable_ms": 0},
        "choices": {"size": 50, "pages": "numbers"},
    },
    "as it was": {
        "answers": {
            "media_type": "application/vnd.api+json",
            "prev": "previous",
            "error_status": "string",
            "undeclared": "refused",
            "unknown": 404,
        },
        "actions": {"stable_ms": 3_600_000},
        "choices": {"size": 20, "pages": "names"},
    },
    "terse": {
        "answers": {"links": False, "errors": "strings", "unknown": 404},
        "scopes": {"missing": ["profile"]},
        "paging": {"max": 30},
    },
    "countless": {"answers": {"meta": False}, "paging": {"max": 12}},
    "shut": {"scopes": {"missing": ["profile", "connection:read", "zap:write"]}},
}

DIFFERENCES = {
    "terse": ["whose token it is"],
    "shut": ["whose token it is", "a listing of authentications", "an id of an earlier look-up"],
}


@pytest.fixture(name="lab")
def _lab(neighbours: Neighbours) -> Lab:
    """What asks the simulator, as Alice, who has connected Google Sheets."""
    neighbours.connect("alice", "Google Sheets")
    return lab_of(neighbours)


def lab_of(
    neighbours: Neighbours,
    *,
    token: str = "sim-alice",
    budget: MemoryBudget | None = None,
) -> Lab:
    """Return what asks the simulator with a token."""
    return Lab(
        Exchange(neighbours.http, limits=Limits(call_limit=200)),
        address=ApiAddress(ADDRESS),
        token=token,
        client_id="demo-partner",
        budget=budget or MemoryBudget(Rates()),
        clock=SharedClock(neighbours.time),
        egress="here",
        partner="demo-partner",
    )


async def asked(lab: Lab, **options: Any) -> dict[str, Finding]:
    """Give every answer by its question."""
    return {found.question: found async for found in probe(lab, **options)}


def is_part(some: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    """Tell whether a document holds all that another one does."""
    return bool(merged(whole, some) == whole)


@pytest.mark.parametrize("character", CHARACTERS)
async def test_each_character_is_recognised(lab: Lab, neighbours: Neighbours, character: str) -> None:
    """What was switched is what is found; only what is otherwise than assumed is called so."""
    neighbours.switch(**CHARACTERS[character])
    found = await asked(lab)

    switches = switches_of(list(found.values()))
    assert is_part(CHARACTERS[character], switches), switches
    assert [one.question for one in found.values() if one.holds is False] == DIFFERENCES.get(character, [])


@pytest.mark.parametrize("character", CHARACTERS)
async def test_a_simulator_that_is_set_as_was_found_gives_the_same_answers(
    lab: Lab, neighbours: Neighbours, character: str
) -> None:
    """So that what is true of the live API can be developed against."""
    neighbours.switch(**CHARACTERS[character])
    live = await asked(lab)
    neighbours.upstream.switch_back()
    neighbours.switch(**switches_of(list(live.values())))
    neighbours.time.advance(60_000)

    assert await asked(lab_of(neighbours)) == live


async def test_asking_writes_nothing_unless_it_may(lab: Lab, neighbours: Neighbours) -> None:
    """No Zap, nothing carried out, nothing disconnected."""
    before = list(neighbours.upstream.world.authentications())
    found = await asked(lab)

    assert set(found) == {question.name for question in planned(with_writes=False)}
    assert (neighbours.upstream.world.zaps(), neighbours.upstream.executed) == ([], [])
    assert list(neighbours.upstream.world.authentications()) == before


async def test_no_more_calls_are_made_than_were_announced(lab: Lab, neighbours: Neighbours) -> None:
    """The simulator counts as many as we do."""
    await asked(lab)

    assert lab.calls == neighbours.upstream.counts.total
    assert lab.calls <= sum(question.calls for question in planned(with_writes=False))


@pytest.mark.parametrize("zap", ["bare", "wrapped"])
async def test_where_it_may_write_it_creates_one_zap(lab: Lab, neighbours: Neighbours, zap: str) -> None:
    """It says how it was answered, and what to delete."""
    neighbours.switch(answers={"zap": zap})
    found = await asked(lab, allows=lambda question: question.name == "a Zap, created")

    assert (found["a Zap, created"].holds, found["a Zap, created"].switches) == (True, {"answers": {"zap": zap}})
    assert [made.title for made in neighbours.upstream.world.zaps()] == ["Zapwright probe (delete me)"]


async def test_a_zap_that_must_be_refused_is_not_created(lab: Lab, neighbours: Neighbours) -> None:
    """How a refusal looks is found out without a Zap."""
    found = await asked(lab, allows=lambda question: question.name == "a Zap without steps")

    assert found["a Zap without steps"].holds is True
    assert neighbours.upstream.world.zaps() == []


@pytest.mark.parametrize(
    ("switches", "said"),
    [
        ({"listed_after_ms": 0, "reconnect": "keeps_id"}, "an expired one was repaired and kept its id"),
        ({"listed_after_ms": 2_000, "reconnect": "new_id", "order": "created"}, "a new id"),
        ({"listed_after_ms": 10_000, "reconnect": "new_id", "order": "newest"}, "a new id"),
    ],
)
async def test_what_a_person_connects_is_watched(
    lab: Lab, neighbours: Neighbours, switches: dict[str, Any], said: str
) -> None:
    """When and where it is listed, and whether what had expired kept its id."""
    upstream = neighbours.upstream
    neighbours.switch(authentications=switches)
    (existing,) = upstream.world.owned("alice", neighbours.app_id("Google Sheets"))
    expired = upstream.world.amend(existing, is_expired=True)
    app = upstream.world.catalogue.by_id[existing.app]
    opened: list[str] = []

    async def person(link: str) -> None:
        opened.append(link)
        upstream.reconnect(expired, app)

    found = (await asked(lab, allows=lambda one: "popup" in one.name, person=person))["what a popup makes"]

    assert (found.found, found.holds) == (f"{said}, listed within {switches['listed_after_ms'] // 1000} s", True)
    assert found.switches == {"authentications": switches}
    assert opened[0].startswith(f"{ADDRESS}/engine/auth/start/")


async def test_a_token_that_is_refused_ends_it_with_one_call(neighbours: Neighbours) -> None:
    """Everything else stays open, and says why."""
    lab = lab_of(neighbours, token="nobodys")
    found = await asked(lab, allows=lambda _: True)

    assert lab.calls == 1
    assert {one.holds for one in found.values()} == {None}
    assert all("401" in one.found for one in found.values())


async def test_a_refusal_by_the_limit_ends_it_and_cools_the_budget_down(lab: Lab, neighbours: Neighbours) -> None:
    """The limit is not tried out; when something else has used it up, nothing is asked any more."""
    neighbours.switch(limits={"ip": 5})
    budget = MemoryBudget(Rates())
    lab = lab_of(neighbours, budget=budget)
    found = await asked(lab)
    usage, _ = await budget.usage(egress="here", partner="demo-partner", now=neighbours.time())

    assert (lab.calls, neighbours.refused) == (6, 1)
    assert usage.cooldown_until == neighbours.time() + 60_000
    assert found["ids of actions"].holds is None


async def test_it_takes_what_nothing_more_urgent_wants(neighbours: Neighbours) -> None:
    """With a budget of few, it waits for room instead of taking what is kept for users."""
    neighbours.connect("alice", "Google Sheets")
    neighbours.switch(limits={"ip": 20})
    began = neighbours.time()
    await asked(lab_of(neighbours, budget=MemoryBudget(Rates(egress=20, partner=150, quiet_reserve=15))))

    assert neighbours.refused == 0
    assert neighbours.time() - began >= 60_000


async def test_slow_answers_get_a_setting(lab: Lab, neighbours: Neighbours) -> None:
    """Three times what the slowest took."""
    neighbours.switch(rules={"slow": {"fault": "slow", "ms": 6_000, "endpoint": "GET /v2/actions"}})
    found = await asked(lab)

    assert settings_of(list(found.values())) == {"ZAPWRIGHT_CALL_LIMIT_S": "18"}


async def test_the_app_is_the_one_that_was_wished_for(lab: Lab, neighbours: Neighbours) -> None:
    """By title or by id, also one that is not among the most popular."""
    neighbours.connect("alice", "Slack")
    by_title = await asked(lab, app="Slack")
    by_id = await asked(lab_of(neighbours), app=neighbours.app_id("Slack"))
    rare = await asked(lab_of(neighbours), app="GitHub")

    assert by_title["pages of choices"].found == by_id["pages of choices"].found
    assert by_title["a listing of authentications"].found == "1 of 1 for Slack"
    assert rare["a listing of authentications"].found == "0 of 0 for GitHub"


def test_every_question_that_writes_says_what() -> None:
    """Whoever is asked to agree must know to what."""
    reading, writing = planned(with_writes=False), planned(with_writes=True)[len(planned(with_writes=False)) :]

    assert {question.writes for question in reading} == {None}
    assert all(question.writes for question in writing)
