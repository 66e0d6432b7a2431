"""A value is changed by making another one, cheaply."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import is_dataclass

import pytest

from orchestrator import core
from orchestrator.core.session import App, Step
from orchestrator.core.values import replace


def values_of_the_core() -> Iterator[type]:
    """Find every kind of value in every module of the core."""
    for module in pkgutil.walk_packages(core.__path__, f"{core.__name__}."):
        for found in vars(importlib.import_module(module.name)).values():
            if isinstance(found, type) and is_dataclass(found) and found.__module__ == module.name:
                yield found


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


@pytest.mark.parametrize("kind", list(values_of_the_core()), ids=lambda kind: str(kind.__qualname__))
def test_every_value_of_the_core_can_be_copied_by_what_is_in_it(kind: type) -> None:
    """It has no slots, and checks nothing when it is made that a copy would not check."""
    assert not any("__slots__" in vars(base) for base in kind.__mro__[:-1])
    assert not hasattr(kind, "__post_init__")
