"""What a step's action asks for: its fields, and what is wrong with what they are filled with.

Pure: a form is what Zapier answered for an action, an authentication and the inputs so far. Validation errs on the side
of refusing: what it accepts, the Partner API's documentation accepts (Zapier docs: fields and fieldsets).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from orchestrator.core.mapping import FieldFlaw, is_mapped
from orchestrator.core.session import JsonObject, Picked


class ValueType(StrEnum):
    """What kind of value a field takes."""

    STRING = "STRING"
    NUMBER = "NUMBER"
    INTEGER = "INTEGER"
    BOOLEAN = "BOOLEAN"
    ARRAY = "ARRAY"
    OBJECT = "OBJECT"


class Format(StrEnum):
    """How a field's value is written or entered."""

    DATETIME = "DATETIME"
    MULTILINE = "MULTILINE"
    PASSWORD = "PASSWORD"  # noqa: S105 - the name of a format
    CODE = "CODE"
    READONLY = "READONLY"
    FILE = "FILE"
    SELECT = "SELECT"


@dataclass(frozen=True, kw_only=True)
class InputField:
    """A field to be filled.

    `depends_on` names fields whose change empties this one. `invalidates`: once it is filled, other fields may come and
    go. `items` is the type of an array's items. `default` is what Zapier suggests, as text.
    """

    id: str
    title: str
    description: str = ""
    value_type: ValueType = ValueType.STRING
    format: Format | None = None
    is_required: bool = False
    default: str | None = None
    placeholder: str = ""
    depends_on: tuple[str, ...] = ()
    invalidates: bool = False
    items: ValueType = ValueType.STRING


@dataclass(frozen=True, kw_only=True)
class InfoField:
    """Something to be read, not filled."""

    id: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Fieldset:
    """Fields that belong together."""

    id: str
    title: str
    fields: tuple[InputField | InfoField, ...]


FormPart: TypeAlias = InputField | InfoField | Fieldset


@dataclass(frozen=True, kw_only=True)
class Form:
    """Everything an action asks for now, in the order in which it is shown."""

    parts: tuple[FormPart, ...]

    @property
    def inputs(self) -> Mapping[str, InputField]:
        """The fields to be filled, by id, those of fieldsets among them."""
        inside = (one for part in self.parts for one in (part.fields if isinstance(part, Fieldset) else (part,)))
        return {one.id: one for one in inside if isinstance(one, InputField)}


# --- what follows from a change -------------------------------------------------------------------------------


def filled(form: Form, before: JsonObject, changes: JsonObject) -> tuple[JsonObject, tuple[str, ...]]:
    """Return the inputs after a change, and which were emptied because what they depend on has changed.

    A change to null empties a field. What is filled by the same change stays, whatever it depends on.
    """
    after = {name: value for name, value in (before | changes).items() if value is not None}
    changed = {name for name in changes if before.get(name) != after.get(name)}
    dependent = _dependent(form, changed)
    cleared = tuple(sorted(name for name in dependent if name in after and name not in changes))
    return {name: value for name, value in after.items() if name not in cleared}, cleared


def vanished(before: Form, after: Form, inputs: JsonObject) -> tuple[str, ...]:
    """Return which inputs are of fields that there were before and are no longer."""
    return tuple(sorted(inputs.keys() & before.inputs.keys() - after.inputs.keys()))


def invalidates(form: Form, before: JsonObject, after: JsonObject) -> bool:
    """Whether other fields may come or go by what is different between the two."""
    known = form.inputs
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return any(name not in known or known[name].invalidates for name in changed)


def picked(form: Form, inputs: JsonObject, *, authentication_id: str | None) -> Picked | None:
    """Return which inputs were picked from what the authentication offered; None where none were.

    Those are the ones with choices, and the ones that are there because of such.
    """
    if authentication_id is None:
        return None
    offered = {name for name, one in form.inputs.items() if one.format is Format.SELECT}
    fields = tuple(sorted((offered | _dependent(form, offered)) & inputs.keys()))
    return Picked(authentication_id=authentication_id, fields=fields) if fields else None


def with_defaults(form: Form, inputs: JsonObject) -> JsonObject:
    """Return the inputs with what Zapier suggests for required fields that are empty."""
    suggested = {
        name: one.default
        for name, one in form.inputs.items()
        if one.is_required and one.default and _takes_text(one) and _is_empty(inputs.get(name))
    }
    return inputs | suggested


def _dependent(form: Form, changed: Collection[str]) -> set[str]:
    """Give the fields that depend on changed ones, and on those in turn; a circle ends where it began."""
    fields = form.inputs.values()
    found: set[str] = set()
    edge = set(changed)
    while edge:
        edge = {one.id for one in fields if edge.intersection(one.depends_on)} - found
        found |= edge
    return found - set(changed)


# --- what is wrong --------------------------------------------------------------------------------------------


def flaws(form: Form, inputs: JsonObject) -> tuple[FieldFlaw, ...]:
    """Say everything that keeps these inputs from being used, by field.

    What a mapped value will be is known only when the Zap runs, so of those only the place is judged.
    """
    known = form.inputs
    said = [flaw for one in known.values() for flaw in _flaws_of(one, inputs.get(one.id))]
    unknown = sorted(name for name in inputs if name not in known)
    said += [_flaw(name, "unknown_field", "the action asks for no such field, or not any longer") for name in unknown]
    return tuple(said)


def _flaws_of(one: InputField, value: object) -> Iterator[FieldFlaw]:
    if _is_empty(value):
        if one.is_required and one.format is not Format.READONLY and not (one.default and _takes_text(one)):
            yield _flaw(one.id, "required", "this field must be filled")
    elif one.format is Format.READONLY:
        yield _flaw(one.id, "read_only", "this field cannot be filled")
    elif not is_mapped(value):
        wrong = _wrong(one, value)
        if wrong is not None:
            yield _flaw(one.id, *wrong)


def _wrong(one: InputField, value: object) -> tuple[str, str] | None:
    """Return code and detail of what is wrong with a value that is there and not mapped as a whole."""
    if one.format is Format.SELECT and isinstance(value, str):
        return None  # a choice's id is text, whatever the field's type is
    match one.value_type:
        case ValueType.ARRAY:
            is_right = isinstance(value, list) and all(_fits(one.items, item) for item in value)
            return None if is_right else ("wrong_type", f"expected a list of {_PLURALS[one.items]}")
        case ValueType.OBJECT:
            return None if _is_flat(value) else ("wrong_type", "expected an object of texts")
        case simple if not _fits(simple, value):
            return "wrong_type", f"expected {_NAMES[simple]}"
        case _:
            pass
    rule = None if one.format is None else _FORMATS.get(one.format)
    if rule is not None and isinstance(value, str) and not rule[0](value):
        return "wrong_format", f"expected {rule[1]}"
    return None


_NAMES: Final[Mapping[ValueType, str]] = {
    ValueType.STRING: "text",
    ValueType.NUMBER: "a number",
    ValueType.INTEGER: "a whole number",
    ValueType.BOOLEAN: "true or false",
    ValueType.ARRAY: "a list",
    ValueType.OBJECT: "an object of texts",
}
_PLURALS: Final[Mapping[ValueType, str]] = {
    ValueType.STRING: "texts",
    ValueType.NUMBER: "numbers",
    ValueType.INTEGER: "whole numbers",
    ValueType.BOOLEAN: "values that are true or false",
    ValueType.ARRAY: "lists",
    ValueType.OBJECT: "objects of texts",
}
_NUMBER: Final = re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?")
_INTEGER: Final = re.compile(r"-?[0-9]{1,300}")


def _fits(kind: ValueType, value: object) -> bool:
    if is_mapped(value):
        return True
    match kind:
        case ValueType.NUMBER:
            return _is_number(value) or (isinstance(value, str) and _NUMBER.fullmatch(value) is not None)
        case ValueType.INTEGER:
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            return is_whole or (isinstance(value, str) and _INTEGER.fullmatch(value) is not None)
        case ValueType.BOOLEAN:
            return isinstance(value, bool) or (isinstance(value, str) and value in {"true", "false"})
        case _:
            return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_flat(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) or is_mapped(one) for one in value.values())


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


_FORMATS: Final[Mapping[Format, tuple[Callable[[str], bool], str]]] = {
    Format.DATETIME: (_is_moment, "a date or a moment in ISO 8601, such as 2026-11-25T14:00:00Z"),
    Format.FILE: (_is_address, "the http or https address of a file"),
}


def _takes_text(one: InputField) -> bool:
    return one.value_type not in {ValueType.ARRAY, ValueType.OBJECT}


def _is_empty(value: object) -> bool:
    return value is None or value in ("", [], {}) or (isinstance(value, str) and not value.strip())


def _flaw(name: str, code: str, detail: str) -> FieldFlaw:
    return FieldFlaw(field=name, code=code, detail=detail)
