"""What Zapier's answers about an action's fields mean, and how it is asked for them.

Zapier's schema says that a field has all of its properties, its examples leave most of them out, and a fieldset's
`fields` is described as one field and shown as several: read are all of these. A field without an id, or of a type that
is not documented, cannot be filled and makes the answer useless; anything else that is odd costs only itself.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from orchestrator.core.fields import Fieldset, Form, Format, FormPart, InfoField, InputField, ValueType
from orchestrator.core.ports.upstream import ActionUse, Choice, Output, StepTestRun
from orchestrator.core.session import JsonObject
from orchestrator.zapier import wire

Value = TypeVar("Value")

_LONGEST_TEXT: Final = 4_000
_MOST_FIELDS: Final = 500
_ID: Final = Meta(min_length=1, max_length=255)


class _Part(Struct):
    type: str
    id: Annotated[str, _ID]
    title: object = None
    description: object = None
    value_type: str | None = None
    format: object = None
    is_required: object = None
    default_value: object = None
    placeholder: object = None
    depends_on: object = None
    invalidates_input_fields: object = None
    items: object = None
    fields: object = None


class _Fields(Struct):
    data: Annotated[list[_Part], Meta(max_length=_MOST_FIELDS)]


class _ChoiceRow(Struct):
    id: Annotated[str, _ID]
    label: object = None


class _Links(Struct):
    next: str | None = None


class _Choices(Struct):
    data: list[_ChoiceRow]
    links: _Links | None = None


class _OutputRow(Struct):
    id: Annotated[str, _ID]
    title: object = None
    sample: object = None


class _Outputs(Struct):
    data: list[_OutputRow]


class _Count(Struct):
    count: wire.Number | None = None


class _Results(Struct):
    data: list[JsonObject]
    meta: _Count | None = None


def form(body: bytes) -> Form:
    """Read `POST …/inputs` (Zapier docs: get-input-fields). Raises UpstreamUnavailableError."""
    return Form(parts=tuple(_part(part) for part in wire.read(body, _Fields).data))


def choices(body: bytes) -> tuple[tuple[Choice, ...], str | None]:
    """Read a page of `POST …/choices`, and where the next one is (Zapier docs: get-choices)."""
    page = wire.read(body, _Choices)
    found = tuple(Choice(id=row.id, label=_text(row.label) or row.id) for row in page.data)
    return found, page.links.next if page.links else None


def outputs(body: bytes) -> tuple[Output, ...]:
    """Read `POST …/outputs` (Zapier docs: get-output-fields). A sample is shown as text, whatever it is."""
    rows = wire.read(body, _Outputs).data
    return tuple(Output(id=row.id, title=_text(row.title) or row.id, sample=_sample(row.sample)) for row in rows)


def test_run(body: bytes) -> StepTestRun:
    """Read `POST …/test` (Zapier docs: step-test)."""
    found = wire.read(body, _Results)
    counted = found.meta.count if found.meta else None
    return StepTestRun(results=tuple(found.data), count=len(found.data) if counted is None else counted)


def request(use: ActionUse, more: JsonObject) -> bytes:
    """Write the body that all four take; an authentication that there is none of is an explicit null."""
    return msgspec.json.encode({"data": {"authentication": use.authentication_id, "inputs": use.inputs} | more})


def sorted_json(value: JsonObject) -> str:
    """Write a value so that equal ones are written alike."""
    return msgspec.json.encode(value, order="sorted").decode()


def _part(part: _Part) -> FormPart:
    match part.type:
        case "info_field":
            return InfoField(id=part.id, description=_text(part.description))
        case "fieldset":
            return Fieldset(id=part.id, title=_text(part.title), fields=tuple(_inside(part.fields)))
        case _:
            return _field(part)


def _inside(fields: object) -> list[InputField | InfoField]:
    given = fields if isinstance(fields, list) else [fields]
    try:
        parts = [_part(part) for part in msgspec.convert(given, list[_Part])]
    except msgspec.ValidationError as error:
        raise wire.malformed(error) from error
    return [part for part in parts if not isinstance(part, Fieldset)]


def _field(part: _Part) -> InputField:
    try:
        value_type = ValueType(str(part.value_type or "STRING").upper())
    except ValueError as error:
        raise wire.malformed(msgspec.ValidationError("a field of an unknown value_type")) from error
    depends_on = part.depends_on if isinstance(part.depends_on, list) else []
    return InputField(
        id=part.id,
        title=_text(part.title) or part.id,
        description=_text(part.description),
        value_type=value_type,
        format=_format(part.format),
        is_required=part.is_required is True,
        default=_text(part.default_value) or None,
        placeholder=_text(part.placeholder),
        depends_on=tuple(name for name in depends_on if isinstance(name, str)),
        invalidates=part.invalidates_input_fields is True,
        items=_items(part.items),
    )


def _format(found: object) -> Format | None:
    try:
        return Format(str(found).upper())
    except ValueError:
        return None


def _items(found: object) -> ValueType:
    named = found.get("type") if isinstance(found, dict) else None
    simple = {ValueType.STRING, ValueType.NUMBER, ValueType.INTEGER, ValueType.BOOLEAN}
    return next((kind for kind in simple if kind == str(named).upper()), ValueType.STRING)


def _sample(found: object) -> str | None:
    if found is None or isinstance(found, str):
        return None if found is None else _text(found)
    return _text(msgspec.json.encode(found).decode())


def _text(value: object) -> str:
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""
