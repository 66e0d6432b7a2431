"""What is said of values that are not as documented is ours, whatever is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from api.schemas import fields, parameters, requests
from api.schemas.wording import FORMS, KINDS, UNKNOWN, said_of
from orchestrator.settings import Settings

WRONG: Final[tuple[Any, ...]] = (
    None, True, 5, -1, 10**30, 1.5, "", " ", "x", "not one word", "1.5", "9" * 5_000, "é", "a\x00",
    "\ud800", "x" * 5_000,
    [], [None], [{}] * 26, ["zap_created"] * 100, [{"alias": ""}],
    {}, {"": ""}, {"a": 1}, {"a": "x" * 9_000}, {"a": "x" * 70_000}, {str(number): "" for number in range(51)},
)  # fmt: skip
BESIDE: Final = {"attempt_id": "12345678", "kind": "focus", "authentication_id": "9"}
"""What makes of a signal one that only a rule of ours refuses."""


def shapes() -> Iterator[tuple[TypeAdapter[Any], list[Any]]]:
    """Give every shape that a request, or a part of it, can have, with what it may be given wrongly."""
    for module in (requests, parameters):
        for shape in vars(module).values():
            if isinstance(shape, type) and issubclass(shape, BaseModel) and shape is not BaseModel:
                members = [{name: value} for name in (*shape.model_fields, "unheard_of") for value in WRONG]
                yield TypeAdapter(shape), [*WRONG, BESIDE, *members]
    for value in vars(fields).values():
        if (
            hasattr(value, "__metadata__")
            and get_origin(value) is not None
            and value.__origin__ in {str, int, str | None}
        ):
            yield TypeAdapter(value), [*WRONG]


def of_settings() -> Iterator[dict[str, Any]]:
    """Give everything that is found wrong with settings, which come as text."""
    for name in Settings.model_fields:
        for value in ("foo", "-1", "1e999", "9" * 5_000):
            try:
                Settings.model_validate({name: value})
            except ValidationError as error:
                yield from error.errors(include_url=False)  # type: ignore[misc]


def flaws() -> Iterator[dict[str, Any]]:
    """Give everything that is found wrong."""
    for shape, given in shapes():
        for value in given:
            try:
                shape.validate_python(value, from_attributes=True)  # as FastAPI does
            except ValidationError as error:
                yield from error.errors(include_url=False)  # type: ignore[misc]


def test_whatever_is_wrong_is_said_in_our_words() -> None:
    """Pydantic's own reach nobody; and there are no words for what cannot happen."""
    found = list(flaws())
    patterns = {flaw["ctx"]["pattern"] for flaw in found if flaw["type"] == "string_pattern_mismatch"}
    found += [flaw for flaw in of_settings() if flaw["type"] != "string_pattern_mismatch"]
    kinds = {flaw["type"] for flaw in found}

    assert kinds == {*KINDS, "value_error", "string_pattern_mismatch"}
    assert patterns == set(FORMS)
    assert [flaw for flaw in found if said_of(flaw) in {UNKNOWN, flaw["msg"]} or "{" in said_of(flaw)] == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "it is needed here"),
        ({"user_id": "a b"}, "letters, digits and signs of ASCII alone, without spaces"),
        ({"user_id": "a", "usr": 1}, "nothing here has this name"),
        ({"user_id": "a", "ttl_s": 0}, "1 or more"),
        ({"user_id": "a", "title": "x" * 256}, "255 characters at most"),
        ({"user_id": "a", "metadata": {"a": "x" * 5_000}}, "at most 4096 bytes of JSON"),
    ],
)
def test_words_say_what_should_be_there(given: dict[str, Any], said: str) -> None:
    """With the bounds that there are."""
    with pytest.raises(ValidationError) as refused:
        requests.NewSession.model_validate(given)

    assert [said_of(flaw) for flaw in refused.value.errors(include_url=False)] == [said]


def test_what_nobody_has_words_for_is_refused_all_the_same() -> None:
    """Of a kind that a later pydantic may know, or a form without words."""
    assert said_of({"type": "of_tomorrow", "msg": "Input should be tomorrow"}) == UNKNOWN
    assert said_of({"type": "string_pattern_mismatch", "msg": "", "ctx": {"pattern": "x"}}) == UNKNOWN
