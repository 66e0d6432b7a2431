"""The Partner API's published schema as a judge of answers and requests.

The schema is no part of the project; its path is in ZAPWRIGHT_PARTNER_SCHEMA. It is applied as published, except where
Zapier's other documentation contradicts it: each such exception is a function in LENIENCIES, whose docstring gives the
reason. Tests that use this module carry the marker `partner_schema`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml
from jsonschema import Draft202012Validator

from tests.support.suite_rules import SCHEMA_VARIABLE

Json: TypeAlias = Any
Schema: TypeAlias = dict[str, Any]

_ENVELOPES: Final = ("ActionsResponse", "AuthenticationResponse", "ExpandedAppsResponse", "ExpandedZapsResponse")
_ACTION_TYPES: Final = ("READ", "READ_BULK", "SEARCH", "SEARCH_AND_WRITE", "SEARCH_OR_WRITE", "WRITE", "FILTER")


class SchemaMismatchError(AssertionError):
    """What was sent or answered is not what the schema describes; the message lists every difference."""


def validate_response(method: str, path_template: str, status: int, body: Json) -> None:
    """Check the JSON document of an answer. Raises SchemaMismatchError.

    `path_template` is the path as the schema spells it, such as `/v2/actions/{action_id}/inputs`.
    """
    responses = _operation(method, path_template)["responses"]
    if str(status) not in responses:
        raise SchemaMismatchError(f"{method} {path_template} does not answer with {status}")
    schema = _json_schema(responses[str(status)].get("content", {}))
    if schema is not None:
        _refuse(f"the {status} of {method} {path_template}", _differences(schema, body))


def validate_request(method: str, path_template: str, query: Mapping[str, str], body: Json = None) -> None:
    """Check the query and the JSON document of a request. Raises SchemaMismatchError.

    Stricter than the schema: what it does not declare must not be sent, in the query or in the body, since nothing says
    whether Zapier ignores or refuses it.
    """
    operation = _operation(method, path_template)
    _refuse(f"the query of {method} {path_template}", _query_differences(operation, query))
    schema = _json_schema(operation.get("requestBody", {}).get("content", {}))
    if schema is None:
        _refuse(f"the body of {method} {path_template}", [] if body is None else ["a body is not expected"])
    else:
        differences = [*_differences(schema, body), *_undeclared(schema, body, "$")]
        _refuse(f"the body of {method} {path_template}", differences)


def examples(method: str, path_template: str) -> list[tuple[int, Json]]:
    """Return every example answer that the schema has for an endpoint, each with its status.

    Lists are shown as arrays of one envelope, where the schema describes them so: see `_lists_are_one_envelope`.
    """
    return [
        (int(status), _without_its_array(example.get("value", example)))
        for status, response in _operation(method, path_template)["responses"].items()
        for content in response.get("content", {}).values()
        for example in content.get("examples", {}).values()
    ]


def _without_its_array(example: Json) -> Json:
    is_envelope = isinstance(example, list) and len(example) == 1 and "data" in example[0]
    return example[0] if is_envelope else example


def template_of(method: str, path: str) -> str:
    """Return the path template that a path belongs to. Raises SchemaMismatchError if the schema has none."""
    segments = path.split("/")
    for template, operations in _document()["paths"].items():
        if method.lower() in operations and _fits(template.split("/"), segments):
            return str(template)
    raise SchemaMismatchError(f"the schema knows no {method} {path}")


# ---------------------------------------------------------------------------------------------------- leniencies


def _lists_are_one_envelope(document: Schema) -> None:
    """Lists are declared as arrays of envelopes: an artefact of the generator, as guides and clients show one."""
    for operation in _operations(document):
        for response in operation["responses"].values():
            content = response.get("content", {}).get("application/json", {})
            schema = content.get("schema", {})
            if schema.get("type") == "array" and "$ref" in schema["items"]:
                content["schema"] = schema["items"]


def _actions_have_seven_types(document: Schema) -> None:
    """`action_type` is given the one-member enum of `type`; the guide to filters has a seventh, `FILTER`."""
    document["components"]["schemas"]["Action"]["properties"]["action_type"] = {"enum": list(_ACTION_TYPES)}
    for parameter in document["paths"]["/v2/actions"]["get"]["parameters"]:
        if parameter["name"] == "action_type":
            parameter["schema"]["enum"] = list(_ACTION_TYPES)


def _error_status_may_be_a_string(document: Schema) -> None:
    """The page on errors, and the schema of 2024, have `status` as a string."""
    document["components"]["schemas"]["Error"]["properties"]["status"]["type"] = ["integer", "string"]


def _errors_may_be_strings(document: Schema) -> None:
    """The first version of the API answers with an array of strings, and has not gone."""
    errors = document["components"]["schemas"]["ErrorResponse"]["properties"]["errors"]
    errors["items"] = {"anyOf": [errors["items"], {"type": "string"}]}


def _links_and_meta_may_be_missing(document: Schema) -> None:
    """Guides show lists without `links`, or with `data` alone."""
    for name in _ENVELOPES:
        schema = document["components"]["schemas"][name]
        schema["required"] = [member for member in schema["required"] if member not in {"links", "meta"}]


def _offset_may_be_null(document: Schema) -> None:
    """Examples of lists that come in one piece have `meta.offset` null."""
    document["components"]["schemas"]["BaseMeta"]["properties"]["offset"]["type"] = ["integer", "null"]


def _nullable_means_or_null(document: Schema) -> None:
    """`nullable` is a word of OpenAPI 3.0 in a document of 3.1, where it means nothing."""
    for schema in _schemas(document):
        if schema.get("nullable") is True and isinstance(schema.get("type"), str):
            schema["type"] = [schema["type"], "null"]


def _a_created_zap_may_be_wrapped(document: Schema) -> None:
    """The schema of 2024 wraps the Zap in `data`; the present one and the guides do not."""
    content = document["paths"]["/v2/zaps"]["post"]["responses"]["201"]["content"]["application/json"]
    zap = content["schema"]
    content["schema"] = {"anyOf": [zap, {"type": "object", "properties": {"data": zap}, "required": ["data"]}]}


def _a_field_may_lack_what_it_has_none_of(document: Schema) -> None:
    """Every property is declared required, and the schema's own examples leave out `format`, `items` and others."""
    document["components"]["schemas"]["InputField"]["required"] = ["id", "type"]


def _a_fieldset_has_several_fields(document: Schema) -> None:
    """`fields` is described as one field; the guide to fieldsets shows a list of them."""
    one = document["components"]["schemas"]["FieldsetFieldsField"]
    document["components"]["schemas"]["FieldsetFieldsField"] = {"type": "array", "items": one}


def _a_404_looks_like_a_400(document: Schema) -> None:
    """404 was declared in 2024 and is not now; nothing says which status an unknown id has."""
    for operation in _operations(document):
        responses = operation["responses"]
        if "400" in responses:
            responses.setdefault("404", responses["400"])


#: What is forgiven. Each changes the document in place, and its docstring says why.
LENIENCIES: Final[tuple[Callable[[Schema], None], ...]] = (
    _lists_are_one_envelope,
    _actions_have_seven_types,
    _error_status_may_be_a_string,
    _errors_may_be_strings,
    _links_and_meta_may_be_missing,
    _offset_may_be_null,
    _nullable_means_or_null,
    _a_created_zap_may_be_wrapped,
    _a_field_may_lack_what_it_has_none_of,
    _a_fieldset_has_several_fields,
    _a_404_looks_like_a_400,
)


def published() -> Schema:
    """Return the schema as published, freshly read."""
    document = yaml.safe_load(Path(os.environ[SCHEMA_VARIABLE]).read_text(encoding="utf-8"))
    assert isinstance(document, dict), "an OpenAPI document is an object"
    return document


# ---------------------------------------------------------------------------------------------------- judging


@cache
def _document() -> Schema:
    document = published()
    for lenient in LENIENCIES:
        lenient(document)
    return document


def _operation(method: str, path_template: str) -> Schema:
    operation = _document()["paths"].get(path_template, {}).get(method.lower())
    if operation is None:
        raise SchemaMismatchError(f"the schema knows no {method} {path_template}")
    assert isinstance(operation, dict)
    return operation


def _json_schema(content: Schema) -> Schema | None:
    schema = content.get("application/json", {}).get("schema")
    assert schema is None or isinstance(schema, dict)
    return schema


def _differences(schema: Schema, value: Json) -> list[str]:
    validator = Draft202012Validator(
        {**schema, "components": _document()["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{error.message} - at {error.json_path}" for error in validator.iter_errors(value)]


def _query_differences(operation: Schema, query: Mapping[str, str]) -> Iterator[str]:
    declared = {one["name"]: one for one in operation.get("parameters", []) if one["in"] == "query"}
    if any("ClientIDAuthentication" in way for way in operation.get("security", [])):
        declared.setdefault("client_id", {"schema": {"type": "string"}})
    for name, parameter in declared.items():
        if parameter.get("required") and name not in query:
            yield f"`{name}` is required"
    for name, text in query.items():
        if name not in declared:
            yield f"`{name}` is not declared"
        else:
            schema = declared[name]["schema"]
            yield from (f"`{name}`: {difference}" for difference in _differences(schema, _from_query(text, schema)))


def _from_query(text: str, schema: Schema) -> Json:
    """Return what a parameter's text stands for."""
    if schema.get("type") in {"integer", "number"} and text.lstrip("-").isdigit():
        return int(text)
    if schema.get("type") == "boolean" and text in {"true", "false"}:
        return text == "true"
    return text


def _undeclared(schema: Schema, value: Json, where: str) -> Iterator[str]:
    """Name the members of `value` that the schema does not declare."""
    schema = _resolved(schema)
    if isinstance(value, list):
        for position, item in enumerate(value):
            yield from _undeclared(schema.get("items", {}), item, f"{where}[{position}]")
    if not isinstance(value, dict) or "properties" not in schema:
        return
    for name, member in value.items():
        if name in schema["properties"]:
            yield from _undeclared(schema["properties"][name], member, f"{where}.{name}")
        elif "additionalProperties" not in schema:
            yield f"{name!r} is not declared - at {where}"


def _resolved(schema: Schema) -> Schema:
    reference = schema.get("$ref")
    return _document()["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema


def _refuse(what: str, differences: "list[str] | Iterator[str]") -> None:
    found = list(differences)
    if found:
        raise SchemaMismatchError(f"{what}:\n" + "\n".join(found))


def _operations(document: Schema) -> Iterator[Schema]:
    for operations in document["paths"].values():
        yield from (operation for operation in operations.values() if "responses" in operation)


def _schemas(node: Json) -> Iterator[Schema]:
    """Walk through every object of the document."""
    if isinstance(node, dict):
        yield node
        for member in node.values():
            yield from _schemas(member)
    elif isinstance(node, list):
        for item in node:
            yield from _schemas(item)


def _fits(template: list[str], segments: list[str]) -> bool:
    return len(template) == len(segments) and all(
        part == segment or (part.startswith("{") and segment != "")
        for part, segment in zip(template, segments, strict=True)
    )
