"""The quick way gives what FastAPI gives, and leaves to it what is not plain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import (
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
)
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import HANDLED, answer
from api.limits import BodyLimits
from api.quick import Quick, Ways


class Seen:
    """Notes which requests came to FastAPI."""

    def __init__(self, app: ASGIApp, *, requests: list[str]) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note and pass on."""
        if scope["type"] == "http":
            self._requests.append(scope["path"])
        await self._app(scope, receive, send)


class Given(BaseModel):
    """A body."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Annotated[str, Field(max_length=5)] = "none"
    number: int | None = None


class Asked(BaseModel):
    """A query."""

    model_config = ConfigDict(extra="forbid")

    limit: int = 7


class Shown(BaseModel):
    """An answer."""

    said: str
    calls: list[str]


FRESH = Given(name="fresh")


def shown(request: Request, said: str) -> Shown:
    """Answer with what was called for this request."""
    return Shown(said=said, calls=request.scope.get("calls", []))


async def first(request: Request) -> str:
    """A dependency of several."""
    request.scope.setdefault("calls", []).append(f"first {request.headers.get('x-key')}")
    if request.headers.get("x-key") == "wrong":
        raise HTTPException(404)
    return "1"


First = Annotated[str, Depends(first)]


async def second(request: Request, one: First, key: Annotated[str | None, Header(alias="x-key")] = None) -> str:
    """A dependency that has one."""
    request.scope["calls"].append("second")
    return f"{one}{key}"


async def make(
    thing_id: Annotated[str, Path(max_length=4)],
    given: Given,
    request: Request,
    response: Response,
    two: Annotated[str, Depends(second)],
    one: First,
) -> Shown:
    """Answer 201, or 200."""
    response.headers["ETag"] = '"1"'
    if given.number == 200:
        response.status_code = 200
    return shown(request, f"{thing_id} {given.name} {one} {two}")


async def replace(thing_id: str, request: Request, given: Given = FRESH) -> Shown:
    """Do without a body."""
    return shown(request, f"{thing_id} {given.name}")


async def read(
    thing_id: str, request: Request, asked: Annotated[Asked, Query()], x_some: Annotated[str, Header()] = "no"
) -> Shown:
    """Take a query and a header."""
    return shown(request, f"{thing_id} {asked.limit} {x_some}")


async def parts(other_id: str, request: Request, first: int = 3) -> Shown:
    """Stand below another parameter's name."""
    return shown(request, f"{other_id} {first}")


async def special(request: Request) -> Shown:
    """Stand where a parameter stands."""
    return shown(request, "special")


async def raw(response: Response) -> Response:
    """Answer by oneself."""
    response.headers["x-lost"] = "as FastAPI loses it"
    return Response(b"raw", 418)


def an_app(*, is_quick: bool = True) -> tuple[FastAPI, list[str]]:
    """Return an application, and the paths of the requests that came to FastAPI."""
    app = FastAPI(exception_handlers=dict.fromkeys(HANDLED, answer))
    app.post("/things/{thing_id}", status_code=201, dependencies=[Depends(first)])(make)
    app.put("/things/{thing_id}")(replace)
    app.get("/things/{thing_id}")(read)
    app.get("/things/{other_id}/parts")(parts)
    app.get("/things/special/parts")(special)
    app.get("/raw", response_model=Shown)(raw)
    return app, prepared(app, is_quick=is_quick)


def prepared(app: FastAPI, *, is_quick: bool = True) -> list[str]:
    """Put the quick way before an application; return the paths of the requests that come to FastAPI nevertheless."""
    left: list[str] = []
    app.add_middleware(Seen, requests=left)
    if is_quick:
        app.add_middleware(Quick, ways=Ways(route for route in app.routes if isinstance(route, APIRoute)))
    app.add_middleware(BodyLimits, max_bytes=10_000, max_s=30)
    return left


REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a body": ("POST", "/things/a", {"json": {"name": "ada"}}),
    "another status": ("POST", "/things/a", {"json": {"number": 200}}),
    "a header": ("POST", "/things/a", {"json": {}, "headers": {"x-key": "k"}}),
    "a refusal of a dependency": ("POST", "/things/a", {"json": {}, "headers": {"x-key": "wrong"}}),
    "no body": ("PUT", "/things/a", {}),
    "a body where none is needed": ("PUT", "/things/a", {"json": {"name": "x"}}),
    "no query": ("GET", "/things/a", {}),
    "a plain header": ("GET", "/things/a", {"headers": {"x-some": "thing"}}),
    "another name for the same place": ("GET", "/things/b/parts", {}),
    "an answer of the route's own": ("GET", "/raw", {}),
}
LEFT: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a path that is too long": ("POST", "/things/abcde", {"json": {}}),
    "a wrong type": ("POST", "/things/a", {"json": {"number": "1"}}),
    "an unknown key": ("POST", "/things/a", {"json": {"other": 1}}),
    "a missing body": ("POST", "/things/a", {}),
    "null": ("PUT", "/things/a", {"json": None, "content": b"null", "headers": {"content-type": "application/json"}}),
    "a list": ("POST", "/things/a", {"json": []}),
    "a wrong body and a refusal": ("POST", "/things/a", {"json": [], "headers": {"x-key": "wrong"}}),
    "a query": ("GET", "/things/a?limit=3", {}),
    "a wrong query": ("GET", "/things/a?limit=x", {}),
    "another method": ("PATCH", "/things/a", {"json": {}}),
    "head": ("HEAD", "/things/a", {}),
    "no route": ("GET", "/nothing", {}),
    "no route below": ("GET", "/things/a/parts/1", {}),
    "an empty part": ("GET", "/things/", {}),
    "a path that two routes fit": ("GET", "/things/special/parts", {}),
}


async def ask(app: ASGIApp, method: str, url: str, **given: Any) -> tuple[int, bytes, dict[str, str]]:
    """Return what is answered."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        answer = await client.request(method, url, **given)
        return answer.status_code, answer.content, dict(answer.headers)


@pytest.mark.parametrize("request_of", [*REQUESTS.values(), *LEFT.values()], ids=[*REQUESTS, *LEFT])
async def test_both_ways_answer_the_same(request_of: tuple[str, str, dict[str, Any]]) -> None:
    """Status, body, headers, and which dependencies were called, in which order, how often."""
    method, url, given = request_of
    ordinary, _ = an_app(is_quick=False)
    quick, _ = an_app()

    assert await ask(ordinary, method, url, **given) == await ask(quick, method, url, **given)


@pytest.mark.parametrize("request_of", REQUESTS.values(), ids=REQUESTS)
async def test_what_is_plain_goes_the_quick_way(request_of: tuple[str, str, dict[str, Any]]) -> None:
    """FastAPI does not see it."""
    method, url, given = request_of
    app, left = an_app()
    await ask(app, method, url, **given)

    assert left == []


@pytest.mark.parametrize("request_of", REQUESTS.values(), ids=REQUESTS)
async def test_a_status_is_a_plain_number(request_of: tuple[str, str, dict[str, Any]]) -> None:
    """As the log writes it."""
    method, url, given = request_of
    app, _ = an_app()
    status, _, _ = await ask(app, method, url, **given)

    assert type(status) is int


@pytest.mark.parametrize("request_of", LEFT.values(), ids=LEFT)
async def test_what_is_not_plain_is_left_to_fastapi(request_of: tuple[str, str, dict[str, Any]]) -> None:
    """With its body, though that was read."""
    method, url, given = request_of
    app, left = an_app()
    await ask(app, method, url, **given)

    assert left == [url.partition("?")[0]]


async def a_generator() -> AsyncIterator[int]:
    """Something that must be ended after the answer."""
    yield 1


def a_function() -> int:
    """Something that FastAPI runs on a thread."""
    return 1


async def generator(value: Annotated[int, Depends(a_generator)]) -> int:
    """Need a generator."""
    return value


async def function(value: Annotated[int, Depends(a_function)]) -> int:
    """Need a plain function."""
    return value


async def cookie(value: Annotated[int, Cookie()] = 1) -> int:
    """Need a cookie."""
    return value


async def later(tasks: BackgroundTasks) -> int:
    """Have something done later."""
    return len(tasks.tasks) + 1


async def bodies(one: Annotated[int, Body()] = 1, two: Annotated[int, Body()] = 0) -> int:
    """Need two bodies in one."""
    return one + two


async def embedded(value: Annotated[int, Body(embed=True)] = 1) -> int:
    """Need a body in a body."""
    return value


async def untold() -> Any:
    """Say nothing of the answer."""
    return 1


@pytest.mark.parametrize("route", [generator, function, cookie, later, bodies, embedded, untold])
async def test_a_route_with_special_needs_is_left_to_fastapi(route: Callable[..., Awaitable[Any]]) -> None:
    """It works as ever."""
    app = FastAPI()
    app.post("/", response_model=None if route is untold else int)(route)
    left = prepared(app)

    assert (await ask(app, "POST", "/"))[:2] == (200, b"1")
    assert left == ["/"]
