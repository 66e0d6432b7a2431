"""Values of the core: how their classes are made, and how a value is changed, which is by making another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar, cast, dataclass_transform

Value = TypeVar("Value")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def value(cls: type[Value]) -> type[Value]:
    """Make a class of values: a frozen dataclass whose fields are given by name, and which checks nothing.

    What `dataclass` generates sets each field by a call of its own, as a frozen class allows no other way; for a
    session and what is decided about it that takes longer than deciding. Here all are set at once.
    """
    made: Any = dataclass(frozen=True, kw_only=True)(cls)
    if of := fields(made):
        made.__init__ = _setting_all(of)
    return cast("type[Value]", made)


def _setting_all(of: tuple[Field[Any], ...]) -> Callable[..., None]:
    """Write a method that sets these fields, as `dataclass` does: as text, with the defaults at hand."""
    at_hand: dict[str, Any] = {"put": object.__setattr__}
    parameters, values = [], []
    for one in of:
        name, is_made = one.name, one.default_factory is not MISSING
        at_hand[f"_{name}"] = one.default_factory if is_made else one.default
        parameters.append(f"{name}=_{name}" if is_made or one.default is not MISSING else name)
        values.append(f"'{name}': " + (f"_{name}() if {name} is _{name} else {name}" if is_made else name))
    text = f"def __init__(self, *, {', '.join(parameters)}): put(self, '__dict__', {{{', '.join(values)}}})"
    exec(text, at_hand)  # noqa: S102 - of names of fields alone
    return cast("Callable[..., None]", at_hand["__init__"])


if TYPE_CHECKING:
    from dataclasses import replace
else:

    def replace(value: Value, **changes: object) -> Value:
        """Return the value with other fields: `dataclasses.replace`, for values of the core, at a tenth of its cost.

        That one sets each field again, which for a session takes longer than deciding about it. Values of the core
        have no slots and check nothing when they are made, so a copy of what is in them is enough. The names of fields
        are checked by mypy.
        """
        changed = object.__new__(type(value))
        object.__setattr__(changed, "__dict__", value.__dict__ | changes)
        return changed


__all__ = ["replace", "value"]
