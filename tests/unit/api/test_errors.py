"""Every error becomes a problem document with a status, a code and a reference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api import errors
from api.errors import RequestInvalidError, answer, problem, status_of, title_of, type_of
from api.schemas.problems import Flaw
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.sessions import SessionLockedError, SessionNotFoundError
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamRefusedError, UpstreamUnavailableError
from orchestrator.core.errors.zaps import NotReadyError
from orchestrator.store.client import StoreUnfitError

APP = Starlette(routes=[Route("/v1/x", answer, methods=["PUT"]), Route("/v1/x", answer, methods=["GET"])])
SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/v1/x",
    "headers": [],
    "state": {"reference": "r1"},
    "app": APP,
}


def leaves(kind: type[ZapwrightError] = ZapwrightError) -> Iterator[type[ZapwrightError]]:
    """Give every error class below this one that has no subclass."""
    below = kind.__subclasses__()
    if not below:
        yield kind
    for one in below:
        yield from leaves(one)


def document(response: Response) -> Any:
    """Read a problem."""
    return json.loads(bytes(response.body))


@pytest.mark.parametrize("kind", sorted(leaves(), key=str), ids=str)
def test_every_error_has_a_status_and_a_title(kind: type[ZapwrightError]) -> None:
    """Whoever adds an error decides what it is to callers."""
    assert 400 <= status_of(kind) <= 503
    assert title_of(kind)


def test_an_error_outside_the_table_is_a_mistake_of_ours() -> None:
    """Nothing gets a status by accident."""
    with pytest.raises(LookupError, match="ZapwrightError"):
        status_of(ZapwrightError)


def test_the_tree_is_seen_whole() -> None:
    """Errors that adapters define are in it as well."""
    assert {StoreUnfitError, SessionLockedError, errors.InternalError} <= set(leaves())


def test_codes_name_one_kind_each() -> None:
    """Programs go by the code alone."""
    codes = [kind.code for kind in leaves()]

    assert sorted(set(codes)) == sorted(codes)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SessionNotFoundError(session_id="zs"), 404),
        (SessionLockedError(session_id="zs", status="created"), 409),
        (SignInRequiredError(user_id="ann"), 409),
        (UpstreamUnavailableError(problem="no answer"), 502),
        (UpstreamRefusedError(status=403, problem="no"), 502),
        (UpstreamBusyError(retry_after=1), 503),
        (StoreUnavailableError(problem="away"), 503),
        (errors.UnauthorizedError(), 401),
        (errors.BodyTooLargeError(limit=1), 413),
        (errors.InternalError(), 500),
    ],
    ids=lambda value: value if isinstance(value, int) else type(value).__name__,
)
def test_statuses_say_whose_turn_it_is(error: ZapwrightError, status: int) -> None:
    """4xx: the caller's; 502: Zapier's; 503: wait."""
    assert status == problem(error, SCOPE).status_code


def test_a_problem_says_what_went_wrong_and_where_to_find_it() -> None:
    """The document has the members of RFC 9457, and a code, a reference and facts."""
    response = problem(NotReadyError(session_id="zs1", missing={"st1": "has no app"}), SCOPE)

    assert document(response) == {
        "type": "urn:zapwright:problem:not_ready",
        "title": "The Zap cannot be created yet",
        "status": 409,
        "detail": "session zs1 is not ready: step st1 has no app",
        "code": "not_ready",
        "reference": "r1",
        "facts": {"session_id": "zs1", "missing": {"st1": "has no app"}},
    }
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("retry_after", "header"), [(1, "1"), (1_000, "1"), (1_001, "2"), (59_300, "60")])
def test_a_busy_upstream_says_when_to_come_back(retry_after: int, header: str) -> None:
    """Seconds, rounded up, so that who waits that long does not come too early."""
    assert header == problem(UpstreamBusyError(retry_after=retry_after), SCOPE).headers["retry-after"]


def test_a_store_that_is_away_asks_to_wait_as_well() -> None:
    """The request may be repeated."""
    assert problem(StoreUnavailableError(problem="away"), SCOPE).headers["retry-after"] == "1"


async def test_flaws_say_where_they_are_and_not_what_was_sent() -> None:
    """A token in the wrong place is not repeated in the answer."""
    found = [
        {"loc": ("body", "steps", 0, "a/b~c"), "msg": "Value error, no", "input": "secret", "type": "value_error"},
        {"loc": ("query", "limit"), "msg": "not a number", "input": "secret", "type": "int_parsing"},
        {"loc": ("body",), "msg": "Field required", "input": None, "type": "missing"},
    ]

    response = await answer(Request(SCOPE), RequestValidationError(found))

    assert document(response)["errors"] == [
        {"detail": "no", "pointer": "/steps/0/a~1b~0c"},
        {"detail": "write a whole number", "parameter": "limit"},
        {"detail": "it is needed here", "pointer": ""},
    ]
    assert b"secret" not in bytes(response.body)


def test_many_flaws_fit_in_an_answer() -> None:
    """However wrong a request is, its answer stays short."""
    error = RequestInvalidError([Flaw(pointer=f"/{number}", detail="no") for number in range(1_000)])

    assert error.message == "/0: no; /1: no; /2: no (and 997 more)"
    assert len(error.flaws) == 20


def test_a_type_is_a_uri_of_the_code() -> None:
    """It is stable and needs no server."""
    assert type_of(SessionNotFoundError) == "urn:zapwright:problem:session_not_found"


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (HTTPException(404), "route_not_found"),
        (HTTPException(405), "method_not_allowed"),
        (HTTPException(400, "no form"), "body_unreadable"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.status_code),
)
async def test_what_the_framework_raises_is_a_problem_too(raised: HTTPException, code: str) -> None:
    """Every error answer has the same shape, whoever made it."""
    response = await answer(Request(SCOPE), raised)

    assert document(response)["code"] == code


async def test_a_refused_method_names_those_there_are() -> None:
    """RFC 9110 wants them in `Allow`, those of every route at the address."""
    response = await answer(Request(SCOPE), HTTPException(405, headers={"Allow": "PUT"}))

    assert response.headers["allow"] == "GET, HEAD, PUT"
    assert document(response)["facts"] == {"allowed": ["GET", "HEAD", "PUT"]}


@pytest.mark.parametrize("raised", [HTTPException(418), RuntimeError("surprise")], ids=["status", "exception"])
async def test_what_nobody_foresaw_goes_on(raised: Exception) -> None:
    """It is not dressed up as something known."""
    with pytest.raises(type(raised)):
        await answer(Request(SCOPE), raised)
