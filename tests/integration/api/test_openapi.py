"""The API's description is true and complete, and so is its reference page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from jsonschema import Draft202012Validator

from api.errors import STATUS, status_of
from api.views import Views
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.events import CATALOGUE, EventName, example
from orchestrator.core.session import Session
from orchestrator.queries import Snapshot
from tests.support.deployment import Deployment, described
from tests.support.stories import NOON

PAGE: Final = (Path(__file__).parents[3] / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
SECTIONS: Final = {
    match[1]: match[2]
    for match in re.finditer(r"^### `(\w+ /\S*)`\n(.*?)(?=^##|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
}
OPERATIONS: Final = {
    "add_step",
    "allow_browser",
    "begin_session_sign_in",
    "begin_sign_in",
    "bind_authentication",
    "cancel_session",
    "change_inputs",
    "change_session",
    "change_step",
    "check_now",
    "choose_action",
    "change_webhook",
    "choose_app",
    "create_client_token",
    "create_connect_link",
    "create_session",
    "create_webhook",
    "create_zap",
    "delete_webhook",
    "end_session",
    "erase_user",
    "extend_session",
    "fire_webhook",
    "give_inputs",
    "list_actions",
    "list_all_deliveries",
    "list_endpoints",
    "list_watches",
    "list_workers",
    "read_budget",
    "list_apps",
    "list_audit",
    "list_authentications",
    "list_choices",
    "list_fields",
    "list_outputs",
    "list_deliveries",
    "list_connect_links",
    "list_sent",
    "list_sessions",
    "list_webhooks",
    "open_popup",
    "put_credential",
    "read_app",
    "read_delivery",
    "read_events",
    "read_health",
    "read_me",
    "read_metrics",
    "read_overview",
    "read_readiness",
    "read_session",
    "read_signals",
    "read_story",
    "read_webhook",
    "read_why",
    "remove_step",
    "renew_webhook_secret",
    "replay_delivery",
    "reset_step",
    "restart_step",
    "run_step_test",
    "revoke_connect_link",
    "search_apps",
    "search_sessions",
    "select_authentication",
    "send_again",
    "send_popup_signal",
    "stream_session",
    "supply_authentication",
}
DESCRIPTION: Final = described(Deployment().app)


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every operation, with its method and path."""
    for path, methods in DESCRIPTION["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def codes(operation: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Give the problems an operation may answer with: status and code."""
    for status, answer in operation["responses"].items():
        for shape in answer.get("content", {}).get("application/problem+json", {}).get("schema", {}).get("allOf", []):
            for code in shape.get("properties", {}).get("code", {}).get("enum", []):
                yield int(status), code


def keys_of(operation: dict[str, Any]) -> set[str]:
    """Give the keys of an operation's body and the names of its query parameters."""
    named = {found["name"] for found in operation.get("parameters", []) if found["in"] == "query"}
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    shape = DESCRIPTION["components"]["schemas"].get(body.get("$ref", "").rpartition("/")[2], {})
    return named | set(shape.get("properties", {}))


def classes(kind: type[ZapwrightError] = ZapwrightError) -> Iterator[type[ZapwrightError]]:
    """Give every error class."""
    for one in kind.__subclasses__():
        yield one
        yield from classes(one)


ALL: Final = list(operations())


async def test_the_description_is_served(api: Deployment) -> None:
    """To everybody, as it is here."""
    async with api.caller({}) as stranger:
        served = (await stranger.get("/openapi.json")).json()

    assert served == DESCRIPTION
    assert served["openapi"].startswith("3.1")


def test_operations_keep_their_names() -> None:
    """Clients are generated from them."""
    assert sorted(operation["operationId"] for _, operation in ALL) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", sorted(DESCRIPTION["components"]["schemas"]))
def test_every_shape_is_a_schema_with_one_name(name: str) -> None:
    """None was made up by the framework to tell two of ours apart, or for its own errors."""
    Draft202012Validator.check_schema(DESCRIPTION["components"]["schemas"][name])

    assert re.fullmatch(r"[A-Z][A-Za-z]+", name)
    assert "ValidationError" not in name


@pytest.mark.parametrize(("route", "operation"), ALL, ids=[route for route, _ in ALL])
def test_every_route_says_what_it_needs_and_what_may_go_wrong(route: str, operation: dict[str, Any]) -> None:
    """A key under /v1, a described answer, and problems with their codes, each under its own status."""
    statuses = {status for status, _ in codes(operation)}
    ours = route.partition(" ")[2].startswith("/v1/")

    assert ("security" in operation) == ours
    assert operation["description"]
    assert {400, 413, 415, 500} | ({401, 403, 422, 503} if ours else set()) <= statuses
    assert statuses | {200, 201, 202, 204, 304} >= {int(status) for status in operation["responses"]}
    for status, code in codes(operation):
        assert status in {status_of(kind).value for kind in classes() if kind.code == code}


def test_answers_that_ask_to_wait_say_so() -> None:
    """`Retry-After` is described wherever it is sent."""
    for _, operation in ALL:
        asking = {"idempotency_in_flight", "too_many_streams"}
        waits = {503} | {status for status, code in codes(operation) if code in asking}
        for status, answer in operation["responses"].items():
            assert ("Retry-After" in answer.get("headers", {})) == (int(status) in waits)


TAKES_SEVERAL_COMMITS: Final = {"create_zap"}
CHANGES_NO_SESSION: Final = {
    "begin_session_sign_in",
    "begin_sign_in",
    "change_webhook",
    "create_client_token",
    "create_session",
    "create_webhook",
    "delete_webhook",
    "erase_user",
    "fire_webhook",
    "put_credential",
    "renew_webhook_secret",
    "replay_delivery",
    "send_again",
}
KEEPS_NOTHING: Final = {
    "begin_session_sign_in",
    "begin_sign_in",
    "create_client_token",
    "fire_webhook",
    "run_step_test",
}


@pytest.mark.parametrize(("route", "operation"), ALL, ids=[route for route, _ in ALL])
def test_every_write_says_on_what_terms_it_is_made(route: str, operation: dict[str, Any]) -> None:
    """Every POST takes a key, and says what a reused one is answered; every write of a session takes a condition.

    Whoever adds a POST decides here what becomes of its repeats.
    """
    method, name = route.partition(" ")[0], operation["operationId"]
    headers = {found["name"] for found in operation.get("parameters", []) if found["in"] == "header"}
    problems = set(codes(operation))
    is_keyed = method == "POST"
    is_conditional = method not in {"GET", "HEAD"} and name not in CHANGES_NO_SESSION
    described = [answer.get("headers", {}) for status, answer in operation["responses"].items() if status < "300"]

    assert ("Idempotency-Key" in headers) == is_keyed == ((422, "idempotency_key_reused") in problems)
    assert any("Idempotency-Replayed" in found for found in described) == (is_keyed and name not in KEEPS_NOTHING)
    assert ((409, "idempotency_in_flight") in problems) == (name in TAKES_SEVERAL_COMMITS)
    assert ("If-Match" in headers) == is_conditional == ((412, "precondition_failed") in problems)


@pytest.mark.parametrize(("route", "operation"), ALL, ids=[route for route, _ in ALL])
def test_every_answer_that_shows_one_session_has_its_tag(route: str, operation: dict[str, Any]) -> None:
    """Described where it is sent: the session itself, or an answer with it inside."""
    for status, answer in operation["responses"].items():
        shape = answer.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
        shows = shape.rpartition("/")[2] in {
            "Session",
            "CreatedSession",
            "AddedStep",
            "CheckPlanned",
            "Filling",
            "HeardSignal",
            "Intervened",
            "Picker",
            "Story",
        }

        assert ("ETag" in answer.get("headers", {})) == (shows or status in {"304", "412"}), route


def test_the_page_has_every_route_and_no_other() -> None:
    """A route without documentation does not exist for its users."""
    assert sorted(SECTIONS) == sorted(route for route, _ in ALL)


@pytest.mark.parametrize(("route", "operation"), ALL, ids=[route for route, _ in ALL])
def test_the_page_has_every_key_and_parameter(route: str, operation: dict[str, Any]) -> None:
    """And none that the route would refuse."""
    documented = set(re.findall(r"^\| `(\w+)` \|", SECTIONS[route], flags=re.MULTILINE))

    assert documented == keys_of(operation)


def test_the_page_has_every_problem_with_its_status() -> None:
    """Those that routes are described with, and those of unknown addresses."""
    documented = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", PAGE, flags=re.MULTILINE)
    possible = {code for _, operation in ALL for code in codes(operation)}

    assert {(int(status), code) for code, status in documented} == possible | {
        (404, "route_not_found"),
        (405, "method_not_allowed"),
    }
    assert [status for _, status in documented] == sorted(status for _, status in documented)


def test_the_examples_on_the_page_have_the_shapes_they_name() -> None:
    """They were real once, and must stay possible."""
    examples = re.findall(r"`(\w+)`:\n\n```json\n(.*?)```", PAGE, flags=re.DOTALL)

    assert [name for name, _ in examples] == ["Session", "Problem"]
    for name, text in examples:
        whole = {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}
        Draft202012Validator(whole).validate(json.loads(text))


def test_no_status_is_decided_for_an_error_that_is_not_there() -> None:
    """The table goes with the tree."""
    assert set(STATUS) <= set(classes())


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_event_is_described_as_a_webhook(name: EventName) -> None:
    """What is really sent fits the description, and the name is the message's type."""
    described = DESCRIPTION["webhooks"][name]["post"]
    shape = described["requestBody"]["content"]["application/json"]["schema"]
    whole = Draft202012Validator({**shape, "components": DESCRIPTION["components"]})
    session = Session(
        id="zs00abcdefghij", tenant_id="default", user_id="ada", created_at=NOON, deadline=NOON, updated_at=NOON, seq=9
    )
    snapshot = Snapshot(session=session, credential=None, next_checks={})
    views = Views(message_origin="https://zapier.example", baseline_fresh=0)
    message = msgspec.json.decode(msgspec.json.encode(views.message(example(name, seq=7, at=NOON), snapshot)))
    other = next(other for other in EventName if other != name)

    assert set(DESCRIPTION["webhooks"]) == {kind.value for kind in EventName}
    assert whole.is_valid(message)
    assert not whole.is_valid({**message, "type": other.value})
    assert not whole.is_valid({**message, "data": {**message["data"], "seq": None}})
