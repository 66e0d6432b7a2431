"""What actions ask for and give: fields that come and go, choices that depend on others, samples. Data, and its rules.

Every action without a form of its own asks for one optional text and gives what everything has.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from simulator.apps import Action, App

Inputs: TypeAlias = Mapping[str, Any]

ARCHIVED: Final = "C0ARCHIVED"
_SHEETS: Final = ("leads", "orders")
_COLUMNS: Final = {"leads": ("Name", "Email"), "orders": ("Number", "Amount", "Paid")}


@dataclass(frozen=True, slots=True)
class Field:
    """A field to be filled."""

    id: str
    title: str
    value_type: str = "STRING"
    format: str | None = None
    required: bool = False
    description: str = ""
    default: str = ""
    placeholder: str = ""
    depends_on: tuple[str, ...] = ()
    invalidates: bool = False
    items: str | None = None
    offers: Callable[[Inputs], Sequence[tuple[str, str]]] | None = None  #: its choices: id and label

    def document(self) -> dict[str, Any]:
        """Return the field as the API shows it: what it lacks is left out, as in its examples."""
        shown: dict[str, Any] = {
            "type": "input_field",
            "id": self.id,
            "title": self.title,
            "description": self.description,
            "value_type": self.value_type,
            "is_required": self.required,
            "default_value": self.default,
            "placeholder": self.placeholder,
            "depends_on": list(self.depends_on),
            "invalidates_input_fields": self.invalidates,
        }
        if self.format is not None:
            shown["format"] = self.format
        if self.items is not None:
            shown["items"] = {"type": self.items}
        return shown


@dataclass(frozen=True, slots=True)
class Note:
    """Something to be read."""

    id: str
    description: str

    def document(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {"type": "info_field", "id": self.id, "description": self.description}


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together."""

    id: str
    title: str
    fields: tuple[Field | Note, ...]

    def document(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        fields = [one.document() for one in self.fields]
        return {"type": "fieldset", "id": self.id, "title": self.title, "fields": fields}


Part: TypeAlias = Field | Note | Group


@dataclass(frozen=True, slots=True)
class Form:
    """What an action asks for, by what it is filled with so far, and what it gives."""

    parts: Callable[[Inputs], tuple[Part, ...]]
    sample: Mapping[str, Any] = field(default_factory=lambda: COMMON)

    def fields(self, inputs: Inputs) -> dict[str, Field]:
        """Return the fields to be filled, by id."""
        inside = (one for part in self.parts(inputs) for one in (part.fields if isinstance(part, Group) else (part,)))
        return {one.id: one for one in inside if isinstance(one, Field)}


COMMON: Final[Mapping[str, Any]] = {
    "id": "1042",
    "title": "An item",
    "created_at": "2026-01-31T09:30:00Z",
    "owner": {"name": "Ada", "email": "ada@example.test"},
    "tags": [{"name": "new"}, {"name": "urgent"}],
}


def form_of(app: App, action: Action) -> Form:
    """Return the form of an action."""
    return _FORMS.get((app.title, action.key), _PLAIN)


def outputs(sample: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the id of each output of such a result, and a sample of it.

    What is inside an object is named with two underscores, what is inside each of a list with brackets.
    """
    for name, value in sample.items():
        match value:
            case dict():
                yield from ((f"{name}__{inside}", text) for inside, text in outputs(value))
            case [dict(), *_]:
                yield from ((f"{name}[]{inside}", text) for inside, text in outputs(value[0]))
            case str():
                yield name, value
            case _:
                yield name, json.dumps(value)


# --- what is wrong with inputs --------------------------------------------------------------------------------

_WHOLE: Final = re.compile(r"-?[0-9]+")
_DECIMAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_REFERENCE: Final = re.compile(r"\{\{([^{}]+)\}\}")


def wrong_with(form: Form, inputs: Inputs) -> Iterator[tuple[str, str]]:
    """Say what keeps the inputs from being used: field and complaint. A reference may stand for anything."""
    known = form.fields(inputs)
    for name in inputs:
        if name not in known:
            yield name, "This field is not expected."
    for one in known.values():
        value = inputs.get(one.id)
        if value is None or value in ("", [], {}):
            if one.required and one.format != "READONLY":
                yield one.id, "This field is required."
        elif one.format == "READONLY":
            yield one.id, "This field is read only."
        elif not is_reference(value) and not _is_valid(one, value):
            yield one.id, f"Not a valid {one.format or one.value_type}."


def is_reference(value: object) -> bool:
    """Whether the value is a text with a reference in it."""
    return isinstance(value, str) and _REFERENCE.search(value) is not None


def references(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON has no closer type
    """Give what every reference in a value names."""
    match value:
        case str():
            yield from _REFERENCE.findall(value)
        case list():
            for one in value:
                yield from references(one)
        case dict():
            for one in value.values():
                yield from references(one)
        case _:
            return


def _is_valid(one: Field, value: Any) -> bool:  # noqa: ANN401
    if one.format == "SELECT" and isinstance(value, str):
        return True
    match one.value_type:
        case "ARRAY":
            return isinstance(value, list) and all(_is_simple(one.items or "STRING", item) for item in value)
        case "OBJECT":
            return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
        case kind:
            return _is_simple(kind, value) and _is_formatted(one.format, value)


def _is_simple(kind: str, value: Any) -> bool:  # noqa: ANN401
    if is_reference(value):
        return True
    match kind:
        case "NUMBER":
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return is_number or (isinstance(value, str) and bool(_DECIMAL.fullmatch(value)))
        case "INTEGER":
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            return is_whole or (isinstance(value, str) and bool(_WHOLE.fullmatch(value)))
        case "BOOLEAN":
            return isinstance(value, bool) or value in ("true", "false")
        case _:
            return isinstance(value, str)


def _is_formatted(how: str | None, value: Any) -> bool:  # noqa: ANN401
    try:
        match how:
            case "DATETIME":
                datetime.fromisoformat(value)
            case "FILE":
                parts = urlsplit(value)
                return parts.scheme in {"http", "https"} and bool(parts.netloc)
            case _:
                return True
    except (TypeError, ValueError):
        return False
    return True


# --- the forms ------------------------------------------------------------------------------------------------


def _always(*parts: Part) -> Callable[[Inputs], tuple[Part, ...]]:
    return lambda _: parts


def _named(count: int, prefix: str, label: str) -> Callable[[Inputs], Sequence[tuple[str, str]]]:
    return lambda _: [(f"{prefix}{number:05}", f"{label} {number}") for number in range(1, count + 1)]


def _yes_or_no(_: Inputs) -> Sequence[tuple[str, str]]:
    return [("true", "Yes"), ("false", "No")]


def _worksheets(inputs: Inputs) -> Sequence[tuple[str, str]]:
    spreadsheet = inputs.get("spreadsheet")
    return [(f"{spreadsheet}/{name}", name.title()) for name in _SHEETS] if spreadsheet else []


def _row(inputs: Inputs) -> tuple[Part, ...]:
    worksheet = str(inputs.get("worksheet") or "")
    columns = _COLUMNS.get(worksheet.rpartition("/")[2], ())
    cells = tuple(Field(f"COL${chr(65 + place)}", title) for place, title in enumerate(columns))
    return (
        Field(
            "spreadsheet",
            "Spreadsheet",
            format="SELECT",
            required=True,
            invalidates=True,
            offers=_named(60, "sheet-", "Spreadsheet"),
        ),
        Field(
            "worksheet",
            "Worksheet",
            format="SELECT",
            required=True,
            invalidates=True,
            depends_on=("spreadsheet",),
            offers=_worksheets,
        ),
        *((Group("columns", "Columns", (Note("hint", "One field for each **column**."), *cells)),) if cells else ()),
    )


_PLAIN: Final = Form(_always(Field("text", "Text", placeholder="Anything")))
_MESSAGE: Final = Form(
    _always(
        Note("warning", '<b>Careful</b>: this <a href="https://example.test">posts</a><script>alert(1)</script>.'),
        Field(
            "channel",
            "Channel",
            format="SELECT",
            required=True,
            offers=lambda _: [*_named(10_000, "C", "channel")({}), (ARCHIVED, "archived")],
        ),
        Field("text", "Message Text", format="MULTILINE", required=True),
        Field("as_bot", "Send as a bot?", value_type="BOOLEAN", format="SELECT", default="true", offers=_yes_or_no),
        Field("mentions", "Mention", value_type="ARRAY", items="STRING"),
        Field("parents[]sha", "An oddly named field"),
        Field("link__url", "Link", format="FILE"),
    ),
    {"ts": "1790000000.000100", "channel": "C00001", "message": {"text": "Hello", "blocks": [{"type": "section"}]}},
)
_CONTACT: Final = Form(
    _always(
        Field("email", "Email", required=True, placeholder="ada@example.test"),
        Field("age", "Age", value_type="INTEGER"),
        Field("score", "Score", value_type="NUMBER", default="0.5"),
        Field("birthday", "Birthday", format="DATETIME"),
        Field("photo", "Photo", format="FILE"),
        Field("properties", "More properties", value_type="OBJECT"),
        Field("visits", "Visits", value_type="ARRAY", items="INTEGER"),
        Field("api_note", "Secret", format="PASSWORD"),
        Field("lifecycle", "Lifecycle stage", format="READONLY"),
    ),
    {"id": "51", "email": "ada@example.test", "properties": {"firstname": "Ada"}},
)
_ROW: Final = Form(_row, {"row": {"id": "17"}, "COL$A": "Ada", "COL$B": "ada@example.test"})
_PROGRAM: Final = Form(
    _always(
        Field("inputData", "Input Data", value_type="OBJECT"),
        Field("code", "Code", format="CODE", required=True, default="output = [{id: 1}];"),
    )
)
_COMMIT: Final = Form(
    _always(Field("repo", "Repository", format="SELECT", required=True, offers=_named(30, "repo-", "Repository"))),
    {"sha": "3f2c", "commit": {"message": "Mend it"}, "parents": [{"sha": "1b9a"}]},
)

_FORMS: Final[Mapping[tuple[str, str], Form]] = {
    ("Google Sheets", "create_row"): _ROW,
    ("Google Sheets", "update_row"): _ROW,
    ("Slack", "channel_message"): _MESSAGE,
    ("HubSpot", "create_contact"): _CONTACT,
    ("Code", "run_javascript"): _PROGRAM,
    ("GitHub", "new_commit"): _COMMIT,
}
