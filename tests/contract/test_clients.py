"""The client libraries know every route, and nothing that the API's description does not say."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, get_args, is_typeddict

import pytest
from zapwright_client import AsyncClient, Client, errors, routes, shapes

from api.errors import STATUS
from clients import generate
from tests.support.clients import NODE, ROOT

API: Final = generate.Description(generate.description())
FOR_PAGES: Final = {"stream_session"}
"""What no backend asks for: it has `wait_for`."""

OPERATIONS: Final = {
    operation["operationId"]: operation
    for methods in generate.description()["paths"].values()
    for operation in methods.values()
    if operation["operationId"] not in FOR_PAGES
}
SCHEMAS: Final[dict[str, Any]] = API.schemas
PYTHON: Final = ROOT / "clients" / "python" / "zapwright_client"
OPTIONS: Final = {"idempotency_key": "Idempotency-Key", "if_match": "If-Match"}
LEFT_OUT: Final = {"If-None-Match"}
"""Headers that no client sends: who waits for news has `wait_for`."""


@pytest.mark.parametrize("name", generate.FILES)
def test_what_is_generated_is_as_the_description_has_it(name: str) -> None:
    """Whoever changed the API ran `make clients`."""
    assert (generate.HERE / name).read_text(encoding="utf-8") == generate.written(name, API)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_is_a_method_that_takes_what_the_operation_takes(operation: str) -> None:
    """Name by name: path, query, body and headers; what must be given has no default, and all else has one."""
    document = OPERATIONS[operation]
    parameters = document.get("parameters", [])
    body = document.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    shape = SCHEMAS.get(body.get("$ref", "").rpartition("/")[2], {})
    wanted = {one["name"]: one.get("required", False) for one in parameters if one["in"] != "header"}
    wanted |= {name: name in shape.get("required", ()) for name in shape.get("properties", {})}
    headers = {one["name"] for one in parameters if one["in"] == "header"}
    signature = inspect.signature(getattr(routes, operation)).parameters
    given = {name: one.default is inspect.Parameter.empty for name, one in signature.items() if name not in OPTIONS}

    assert given == wanted
    assert {OPTIONS[name] for name in signature.keys() & OPTIONS.keys()} == headers - LEFT_OUT
    assert hasattr(Client, operation)
    assert hasattr(AsyncClient, operation)


def test_the_node_client_has_the_same_methods() -> None:
    """Under names that JavaScript would give them."""
    program = 'import { Zapwright } from "./zapwright.js"; import { Routes } from "./routes.js"; '
    program += "console.log(JSON.stringify(Object.getOwnPropertyNames(Routes.prototype)))"
    command = [NODE, "--input-type=module", "--eval", program]
    found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=generate.HERE / "node").stdout
    names = {
        "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name) for name in json.loads(found)
    }

    assert names - {"constructor"} == OPERATIONS.keys()


@pytest.mark.parametrize(
    "name", [name for name, kind in vars(shapes).items() if isinstance(kind, type) and is_dataclass(kind)]
)
def test_a_shape_has_the_fields_of_its_schema(name: str) -> None:
    """Field by field, in order, each with null where the schema has null."""
    schema = SCHEMAS[name]
    kind = getattr(shapes, name)
    nullable = {field.name for field in fields(kind) if str(field.type).endswith("| None")}

    assert [field.name for field in fields(kind)] == list(schema["properties"])
    assert nullable == {key for key, of in schema["properties"].items() if {"type": "null"} in of.get("anyOf", [])}
    assert set(schema["properties"]) == set(schema["required"])


@pytest.mark.parametrize("name", [name for name, kind in vars(shapes).items() if get_args(kind) and name != "Code"])
def test_words_are_those_of_the_schema(name: str) -> None:
    """No more, no fewer."""
    assert list(get_args(getattr(shapes, name))) == SCHEMAS[name]["enum"]


def test_every_shape_of_a_body_is_there() -> None:
    """Those that bodies consist of are dictionaries, so that they are written as JSON is."""
    given = {name for name, kind in vars(shapes).items() if is_typeddict(kind)}

    assert given == set(API.given())


def test_every_status_that_a_caller_may_want_to_tell_apart_has_a_class() -> None:
    """Of those that problems come with."""
    statuses = {status.value for status in STATUS.values()}

    assert errors.BY_STATUS.keys() <= statuses | {403}
    assert {401, 404, 409, 412, 422, 503} <= errors.BY_STATUS.keys()


def test_secrets_have_no_place_in_a_repr() -> None:
    """Of an answer that holds one."""
    shown = [
        f"{name}.{field.name}"
        for name, kind in vars(shapes).items()
        if isinstance(kind, type) and is_dataclass(kind)
        for field in fields(kind)
        if field.name in generate.SECRETS and field.repr
    ]

    assert shown == []


@pytest.mark.parametrize("module", sorted(PYTHON.glob("*.py")), ids=lambda path: path.stem)
def test_the_python_client_needs_httpx_and_nothing_else(module: Path) -> None:
    """Least of all anything of the server's."""
    roots = {name.partition(".")[0] for name in imported_by(module)}

    assert roots - sys.stdlib_module_names <= {"httpx", "zapwright_client"}


def test_the_node_client_needs_nothing_and_its_lock_names_no_place() -> None:
    """What is pinned for its checks comes from whatever registry the reader has."""
    package = json.loads((generate.HERE / "node" / "package.json").read_text(encoding="utf-8"))
    lock = json.loads((generate.HERE / "node" / "package-lock.json").read_text(encoding="utf-8"))
    pinned = {name: entry for name, entry in lock["packages"].items() if name}

    assert package.keys() & {"dependencies", "peerDependencies", "optionalDependencies"} == set()
    assert [name for name, entry in pinned.items() if "resolved" in entry or "integrity" not in entry] == []


def imported_by(module: Path) -> Iterator[str]:
    """Give the modules that a file imports."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
