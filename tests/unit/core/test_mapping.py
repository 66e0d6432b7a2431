"""Mappings: references compiled to what Zapier reads, and everything that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.mapping import Compiler, aliases, has_references, is_mapped, reference
from orchestrator.core.session import Step

TWO = (Step(id="st1", alias="lead"), Step(id="st2"))
THREE = (Step(id="st1", alias="lead"), Step(id="st2"), Step(id="st3"))
ID = reference("st1", "id")


def compiled(value: object, *, steps: tuple[Step, ...] = THREE, step_id: str = "st3") -> tuple[object, list[str]]:
    """Return a value compiled, and the codes of what is wrong with it."""
    compiler = Compiler(steps, step_id)
    inputs = compiler.inputs({"a": value})
    return inputs.get("a"), [flaw.code for flaw in compiler.flaws]


def test_a_zap_of_two_steps_names_only_the_output() -> None:
    """The step before is the only one there is."""
    assert compiled(ID, steps=TWO, step_id="st2") == ("{{id}}", [])


def test_a_longer_zap_names_the_step_by_its_alias() -> None:
    """Its own, or one made for it."""
    assert compiled(ID) == ("{{lead.id}}", [])
    assert compiled(reference("st2", "commit__message")) == ("{{step_2.commit__message}}", [])


@pytest.mark.parametrize("field", ["parents[]sha", "COL$A", "a__b", "a.b", "a b", "é"])
def test_outputs_may_have_odd_names(field: str) -> None:
    """Anything but braces."""
    assert compiled(reference("st1", field)) == (f"{{{{lead.{field}}}}}", [])


def test_aliases_are_unique_and_made_where_they_lack() -> None:
    """Not even of those that somebody gave."""
    steps = (Step(id="a", alias="step_2"), Step(id="b"), Step(id="c", alias="step_2_"))

    assert aliases(steps) == {"a": "step_2", "b": "step_2__", "c": "step_2_"}
    assert aliases(TWO) == {"st1": "lead"}


def test_references_stand_in_texts_lists_and_objects() -> None:
    """Wherever a text may be."""
    text = {"$text": ["Dear ", ID, ", and ", reference("st2", "x"), "!"]}

    assert compiled(text) == ("Dear {{lead.id}}, and {{step_2.x}}!", [])
    assert compiled([text, "y"]) == (["Dear {{lead.id}}, and {{step_2.x}}!", "y"], [])
    assert compiled({"k": ID, "n": [1, None]}) == ({"k": "{{lead.id}}", "n": [1, None]}, [])


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (reference("st9", "x"), "reference_unknown_step"),
        (reference("st3", "x"), "reference_later_step"),
        (reference("st1", ""), "reference_unspeakable"),
        (reference("st1", "a}}b"), "reference_unspeakable"),
        (reference("st1", "a\nb"), "reference_unspeakable"),
        (reference("st1", "x" * 256), "reference_unspeakable"),
        ({"$ref": {"step": "st1"}}, "reference_malformed"),
        ({"$ref": {"step": 1, "field": "x"}}, "reference_malformed"),
        ({"$text": ["a", 5]}, "reference_malformed"),
        ("a {{lead.id}} b", "literal_braces"),
        ("{{\n}}", "literal_braces"),
        ({"k": ["{{x}}"]}, "literal_braces"),
        ({"$text": ["{{x}}"]}, "literal_braces"),
        ({"$text": ["{{ a", ID]}, "literal_braces"),
        ({"$text": ["{", ID]}, "literal_braces"),
        ({"$text": [ID, "}"]}, "literal_braces"),
        ({"$text": ["{", "{x}", "}"]}, "literal_braces"),
    ],
)
def test_what_cannot_be_written_is_said_and_left_out(value: object, code: str) -> None:
    """Zapier would read something else."""
    assert compiled(value) == (None, [code])


@pytest.mark.parametrize("text", ["{", "}}", "{{", "a { b } c", "${x}", '{"a": {"b": 1} }'])
def test_braces_that_nobody_takes_for_a_reference_are_texts_own(text: str) -> None:
    """Single ones, and pairs that do not close."""
    assert compiled(text) == (text, [])


def test_the_same_complaint_is_made_once() -> None:
    """However many references there are to the step."""
    assert compiled([reference("st9", "x"), reference("st9", "y")])[1] == ["reference_unknown_step"]


def test_a_later_step_can_be_referred_to_once_it_is_earlier() -> None:
    """Places change, ids do not."""
    moved = (THREE[2], THREE[0], THREE[1])

    assert compiled(reference("st3", "x"), step_id="st1")[1] == ["reference_later_step"]
    assert compiled(reference("st3", "x"), steps=moved, step_id="st1")[0] == "{{step_1.x}}"


@pytest.mark.parametrize(
    ("value", "mapped"),
    [
        (ID, True),
        ({"$text": []}, True),
        ({"$ref": "a value of a field of objects"}, False),
        ({"$text": "the same"}, False),
        ({"$ref": {}, "more": 1}, False),
        ("x", False),
    ],
)
def test_a_mapped_value_is_told_from_an_object_of_texts(value: Any, mapped: bool) -> None:
    """A field of objects may have any key."""
    assert is_mapped(value) == mapped
    assert has_references([{"deep": value}]) == mapped
