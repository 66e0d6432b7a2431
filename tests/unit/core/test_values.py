"""A value is made cheaply, and changed by making another one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from dataclasses import replace as replaced

import pytest

from orchestrator import core
from orchestrator.core.session import App, Step
from orchestrator.core.values import replace, value


def values_of_the_core() -> Iterator[type]:
    """Find every kind of value in every module of the core."""
    for module in pkgutil.walk_packages(core.__path__, f"{core.__name__}."):
        for found in vars(importlib.import_module(module.name)).values():
            if isinstance(found, type) and is_dataclass(found) and found.__module__ == module.name:
                yield found


def test_a_value_is_made_of_all_its_fields_by_name() -> None:
    """What is missing, unknown or given by place is refused, as by any dataclass."""
    for wrong in ({"id": "1"}, {"id": "1", "title": "HubSpot", "colour": "red"}):
        with pytest.raises(TypeError):
            App(**wrong)
    with pytest.raises(TypeError):
        App("1", "HubSpot")  # type: ignore[call-arg]

    made = App(title="HubSpot", id="1")
    assert list(vars(made).items()) == [("id", "1"), ("title", "HubSpot"), ("image", None), ("hex_color", None)]


def test_what_a_field_is_by_default_is_each_values_own() -> None:
    """Nobody finds in theirs what was put into another's."""
    first, second = Step(id="st1"), Step(id="st2")
    first.inputs["to"] = "somebody"

    assert (first.inputs, second.inputs) == ({"to": "somebody"}, {})


def test_a_value_may_have_no_field_and_those_of_its_base() -> None:
    """Both are made as dataclasses are."""

    @value
    class Nothing:
        pass

    @value
    class Named(App):
        name: str = "none"

    assert Nothing() == Nothing()
    assert Named(id="1", title="HubSpot") == Named(id="1", title="HubSpot", name="none")
    assert [one.name for one in fields(Named)] == ["id", "title", "image", "hex_color", "name"]


def test_a_value_is_a_dataclass_to_whoever_looks() -> None:
    """It is shown, hashed and copied by its fields."""
    app = App(id="1", title="HubSpot")

    assert repr(app) == "App(id='1', title='HubSpot', image=None, hex_color=None)"
    assert {app} == {App(id="1", title="HubSpot")}
    assert replaced(app, title="Other") == App(id="1", title="Other")


def test_a_changed_value_is_another_one_of_the_same_kind() -> None:
    """The first stays as it was, and what was not named is the same in both."""
    app = App(id="1", title="HubSpot")
    first = Step(id="st1", app=app)
    second = replace(first, alias="crm")

    assert (type(second), second.alias, second.app) == (Step, "crm", app)
    assert first == Step(id="st1", app=app)


def test_a_changed_value_cannot_be_altered_either() -> None:
    """It is as frozen as the first."""
    changed = replace(App(id="1", title="HubSpot"), title="Other")

    with pytest.raises(AttributeError):
        changed.title = "altered"  # type: ignore[misc]


@pytest.mark.parametrize("kind", list(values_of_the_core()), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_value_of_the_core_can_be_copied_by_what_is_in_it(kind: type) -> None:
    """It has no slots, and checks nothing when it is made that a copy would not check."""
    assert not any("__slots__" in vars(base) for base in kind.__mro__[:-1])
    assert not hasattr(kind, "__post_init__")
