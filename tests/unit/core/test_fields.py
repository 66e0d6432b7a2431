"""What actions ask for: what follows from a change, and what is wrong with what was filled in."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.fields import (
    Fieldset,
    Form,
    Format,
    InfoField,
    InputField,
    ValueType,
    filled,
    flaws,
    invalidates,
    picked,
    vanished,
    with_defaults,
)
from orchestrator.core.mapping import FieldFlaw
from orchestrator.core.session import JsonObject, Picked

COUNTRY = InputField(id="country", title="Country", format=Format.SELECT, invalidates=True)
CITY = InputField(id="city", title="City", format=Format.SELECT, depends_on=("country",))
STREET = InputField(id="street", title="Street", depends_on=("city",))
NOTE = InputField(id="note", title="Note")
ADDRESS = Form(
    parts=(COUNTRY, Fieldset(id="where", title="Where", fields=(InfoField(id="i", description=""), CITY, STREET)), NOTE)
)
FULL: JsonObject = {"country": "fr", "city": "lyon", "street": "Rue", "note": "x"}


def form(**field: Any) -> Form:
    """Return a form of one field called `a`."""
    return Form(parts=(InputField(id="a", title="A", **field),))


def codes(asked: Form, inputs: dict[str, object]) -> list[str]:
    """Give the codes of what is wrong."""
    return [flaw.code for flaw in flaws(asked, inputs)]


def test_what_depends_on_a_change_is_emptied_however_far() -> None:
    """The street with the city, the city with the country; nothing else."""
    assert filled(ADDRESS, FULL, {"country": "de"}) == ({"country": "de", "note": "x"}, ("city", "street"))


def test_what_is_filled_by_the_same_change_stays() -> None:
    """A page may send several fields at once; null empties one."""
    after, cleared = filled(ADDRESS, FULL, {"country": "de", "city": "ulm", "note": None})

    assert (after, cleared) == ({"country": "de", "city": "ulm"}, ("street",))


def test_a_change_to_the_same_empties_nothing() -> None:
    """It is no change."""
    assert filled(ADDRESS, FULL, {"country": "fr"}) == (FULL, ())


def test_fields_that_depend_on_each_other_in_a_circle_come_to_an_end() -> None:
    """Whoever began it stays."""
    one = InputField(id="one", title="", depends_on=("two", "one"))
    two = InputField(id="two", title="", depends_on=("one",))

    assert filled(Form(parts=(one, two)), {"one": "1", "two": "2"}, {"one": "3"}) == ({"one": "3"}, ("two",))


@pytest.mark.parametrize(
    ("after", "does"), [(FULL | {"country": "de"}, True), (FULL | {"note": "y"}, False), (FULL | {"new": 1}, True)]
)
def test_fields_may_come_and_go_with_those_that_say_so_and_with_unknown_ones(
    after: dict[str, object], does: bool
) -> None:
    """Zapier is asked again only then."""
    assert invalidates(ADDRESS, FULL, after) == does


def test_what_is_no_longer_asked_for_has_vanished() -> None:
    """What never was, has not."""
    assert vanished(ADDRESS, Form(parts=(NOTE,)), FULL | {"other": 1}) == ("city", "country", "street")


def test_what_was_picked_belongs_to_the_authentication_that_offered_it() -> None:
    """With what depends on it; a plain text is the user's own, and without authentication nothing was offered."""
    assert picked(ADDRESS, FULL, authentication_id="a1") == Picked(
        authentication_id="a1", fields=("city", "country", "street")
    )
    assert picked(ADDRESS, {"note": "x"}, authentication_id="a1") is None
    assert picked(ADDRESS, FULL, authentication_id=None) is None


def test_what_zapier_suggests_for_a_required_field_is_put_in() -> None:
    """Where it is empty, and only there; a list has no text to suggest."""
    asked = Form(
        parts=(
            InputField(id="a", title="", is_required=True, default="1"),
            InputField(id="b", title="", default="2"),
            InputField(id="c", title="", is_required=True, default="3", value_type=ValueType.ARRAY),
        )
    )

    assert with_defaults(asked, {}) == {"a": "1"}
    assert with_defaults(asked, {"a": "x"}) == {"a": "x"}


@pytest.mark.parametrize("empty", [None, "", "  ", [], {}])
def test_a_required_field_must_be_filled(empty: object) -> None:
    """With more than nothing, unless Zapier suggests something."""
    assert codes(form(is_required=True), {"a": empty}) == ["required"]
    assert codes(form(is_required=True, default="x"), {"a": empty}) == []
    assert codes(form(), {"a": empty}) == []


def test_a_field_that_is_only_read_is_neither_missed_nor_filled() -> None:
    """Though it is said to be required."""
    asked = form(is_required=True, format=Format.READONLY)

    assert (codes(asked, {}), codes(asked, {"a": "x"})) == ([], ["read_only"])


REFERENCE = {"$ref": {"step": "st1", "field": "id"}}


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ({}, ["x", "1"], [1, True, ["x"], {"x": "y"}]),
        ({"value_type": ValueType.NUMBER}, [0, -1, 1.5, "1", "-1.25"], [True, "x", "1e5", float("nan"), "\u0661"]),
        ({"value_type": ValueType.INTEGER}, [0, -7, "42"], [1.0, True, "1.0", "x", "+1"]),
        ({"value_type": ValueType.BOOLEAN}, [True, False, "true", "false"], ["yes", 1, "True"]),
        ({"value_type": ValueType.BOOLEAN, "format": Format.SELECT}, ["yes", True], [1, ["yes"]]),
        ({"value_type": ValueType.ARRAY}, [["x"], ["x", REFERENCE]], ["x", [1], {"0": "x"}]),
        ({"value_type": ValueType.ARRAY, "items": ValueType.INTEGER}, [[1, "2"]], [["x"], [1.5], [[1]]]),
        ({"value_type": ValueType.OBJECT}, [{"x": "y"}, {"x": REFERENCE}], ["x", {"x": 1}, {"x": {"y": "z"}}, ["x"]]),
        ({"format": Format.DATETIME}, ["2026-11-25", "2026-11-25T14:00:00Z"], ["tomorrow", "2026-13-01", "25.11.2026"]),
        ({"format": Format.FILE}, ["https://x.test/a.png"], ["a.png", "javascript:alert(1)", "https://", "https://[x"]),
        ({"format": Format.PASSWORD}, ["x"], [5]),
    ],
)  # fmt: skip
def test_values_are_judged_by_type_and_format(field: Any, right: list[object], wrong: list[object]) -> None:
    """A reference fits everywhere: what it will be is known only when the Zap runs."""
    asked = form(**field)

    assert [value for value in [*right, REFERENCE] if codes(asked, {"a": value})] == []
    assert [value for value in wrong if not codes(asked, {"a": value})] == []


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (ValueType.STRING, "texts"),
        (ValueType.NUMBER, "numbers"),
        (ValueType.INTEGER, "whole numbers"),
        (ValueType.BOOLEAN, "values that are true or false"),
    ],
)
def test_what_a_list_should_hold_is_said_in_the_plural(items: ValueType, said: str) -> None:
    """Of every type that items may have."""
    (flaw,) = flaws(form(value_type=ValueType.ARRAY, items=items), {"a": "no list"})

    assert flaw.detail == f"expected a list of {said}"


def test_everything_that_is_wrong_is_said_at_once() -> None:
    """By field, with words for people."""
    asked = Form(
        parts=(
            InputField(id="a", title="", is_required=True),
            InputField(id="b", title="", value_type=ValueType.INTEGER),
        )
    )

    assert flaws(asked, {"b": "x", "c": 1}) == (
        FieldFlaw(field="a", code="required", detail="this field must be filled"),
        FieldFlaw(field="b", code="wrong_type", detail="expected a whole number"),
        FieldFlaw(field="c", code="unknown_field", detail="the action asks for no such field, or not any longer"),
    )
