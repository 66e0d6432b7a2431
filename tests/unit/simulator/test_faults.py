"""Which requests a rule meets, and what becomes of a list and a document."""

from collections.abc import Sequence
from typing import Any

import pytest

from simulator.apps import CATALOGUE
from simulator.faults import Faults, cut, next_origin, shifted, with_wrong_types
from simulator.switches import (
    DuplicateFault,
    EndlessFault,
    Fault,
    ForeignNextFault,
    Rule,
    ShiftFault,
    SlowFault,
    WrongTypesFault,
    parse_switches,
)

ROWS = list("abcdefg")


def rules(**faults: Any) -> dict[str, Rule]:
    """Return rules of these names."""
    return parse_switches({"rules": faults}, catalogue=CATALOGUE).rules


def met(
    faults: Faults,
    given: dict[str, Rule],
    *,
    endpoint: str = "GET /v2/apps",
    app: str | None = None,
    user: str | None = None,
    first_page: bool = True,
) -> list[type[Fault]]:
    """Say which kinds of fault a request meets."""
    return [type(one) for one in faults.pick(given, endpoint=endpoint, app=app, user=user, first_page=first_page)]


def test_a_rule_meets_every_request_unless_it_says_otherwise() -> None:
    """Also those that match no endpoint."""
    faults, given = Faults(seed="s"), rules(r={"fault": "slow", "ms": 1})

    assert [SlowFault] == met(faults, given)
    assert [SlowFault] == met(faults, given, endpoint="other")


def test_a_rule_meets_one_endpoint_one_app_or_one_account() -> None:
    """All that it names must fit."""
    slack = CATALOGUE.find("Slack")
    assert slack is not None
    faults = Faults(seed="s")
    given = rules(r={"fault": "slow", "ms": 1, "endpoint": "GET /v2/authentications", "app": "Slack", "user": "ann"})

    assert [SlowFault] == met(faults, given, endpoint="GET /v2/authentications", app=slack.id, user="ann")
    assert met(faults, given, endpoint="GET /v2/actions", app=slack.id, user="ann") == []
    assert met(faults, given, endpoint="GET /v2/authentications", app="x", user="ann") == []
    assert met(faults, given, endpoint="GET /v2/authentications", app=slack.id, user="bob") == []
    assert faults.met == {"r": 1}


def test_a_rule_ends_after_its_times() -> None:
    """`times` counts the requests that met it, not those it passed over."""
    faults, given = Faults(seed="s"), rules(r={"fault": "slow", "ms": 1, "times": 2, "endpoint": "GET /v2/zaps"})
    seen = [
        len(met(faults, given, endpoint=endpoint))
        for endpoint in ("GET /v2/zaps", "GET /v2/apps", "GET /v2/zaps", "GET /v2/zaps")
    ]

    assert seen == [1, 0, 1, 0]


def test_a_rule_that_is_set_again_begins_again() -> None:
    """Its count is its own."""
    faults, given = Faults(seed="s"), rules(r={"fault": "slow", "ms": 1, "times": 1})
    first = met(faults, given)
    faults.restart("r")

    assert first == met(faults, given)


def test_chance_is_the_same_under_the_same_seed() -> None:
    """A test with a probability gives the same result each time."""
    given = rules(r={"fault": "slow", "ms": 1, "probability": 0.5})

    def story(faults: Faults) -> list[int]:
        return [len(met(faults, given)) for _ in range(200)]

    faults = Faults(seed="s")
    first = story(faults)
    faults.reset()

    assert first == story(faults) == story(Faults(seed="s"))
    assert first != story(Faults(seed="t"))
    assert 60 < sum(first) < 140


def test_rules_are_met_in_the_order_in_which_they_were_set() -> None:
    """The first that answers, answers."""
    given = rules(b={"fault": "shift"}, a={"fault": "slow", "ms": 1})

    assert [ShiftFault, SlowFault] == met(Faults(seed="s"), given, first_page=False)


def test_a_shift_spares_the_first_page() -> None:
    """A list changes between pages; `times` is for the pages it can change."""
    faults, given = Faults(seed="s"), rules(r={"fault": "shift", "times": 1})

    assert met(faults, given, first_page=True) == []
    assert [ShiftFault] == met(faults, given, first_page=False)


@pytest.mark.parametrize(
    ("how", "second_page", "count"),
    [("insert", ["c", "d", "e"], 8), ("remove", ["e", "f", "g"], 6), ("move", ["c", "d", "e"], 7)],
)
def test_a_shifted_list_repeats_or_misses_an_item(how: Any, second_page: list[str], count: int) -> None:
    """Compared with `d e f` and a count of 7; with `move` the count gives nothing away."""
    rows = shifted(ROWS, [ShiftFault(how=how)])

    assert (second_page, count) == (list(cut(rows, limit=3, offset=3, faults=[])), len(rows))


def test_an_empty_list_has_nothing_to_shift() -> None:
    """It stays empty."""
    nothing: Sequence[str] = []

    assert nothing == shifted(nothing, [ShiftFault()])


@pytest.mark.parametrize(
    ("fault", "page"),
    [
        (DuplicateFault(), ["d", "d", "e", "f"]),
        (DuplicateFault(how="instead"), ["d", "d", "e"]),
        (EndlessFault(), ["d", "e", "f"]),
        (SlowFault(ms=1), ["d", "e", "f"]),
    ],
)
def test_a_page_may_hold_an_item_twice(fault: Fault, page: list[str]) -> None:
    """Beside the others, or in the place of one of them."""
    assert page == list(cut(ROWS, limit=3, offset=3, faults=[fault]))


@pytest.mark.parametrize(("how", "page"), [("repeat", ["d", "e", "f"]), ("empty", [])])
def test_pages_behind_the_end_begin_again_or_are_empty(how: Any, page: list[str]) -> None:
    """A client that stops at an empty page meets one that never comes."""
    assert page == list(cut(ROWS, limit=3, offset=10, faults=[EndlessFault(how=how)]))


def test_a_foreign_next_page_is_elsewhere() -> None:
    """A token must not follow it."""
    assert next_origin("http://here", [ForeignNextFault()]) == "https://elsewhere.example"
    assert next_origin("http://here", []) == "http://here"


@pytest.mark.parametrize(
    ("document", "where", "expected"),
    [
        (
            {"meta": {"count": 1}, "data": [{"id": "abc", "is_expired": False, "app": None}]},
            "fields",
            {"meta": {"count": 1}, "data": [{"id": 3, "is_expired": "no", "app": []}]},
        ),
        (
            {"meta": {"count": 1}, "data": ["x"], "links": None},
            "envelope",
            {"meta": [1], "data": {"0": "x"}, "links": []},
        ),
        ({"id": 5, "steps": [1], "links": {"a": True}}, "fields", {"id": "5", "steps": {"0": 1}, "links": [True]}),
        ({"data": {"ok": True}}, "fields", {"data": [True]}),
    ],
)
def test_wrong_types_keep_the_members(document: Any, where: Any, expected: Any) -> None:
    """Every name is where it should be, and every value something else."""
    assert expected == with_wrong_types(document, WrongTypesFault(where=where))
