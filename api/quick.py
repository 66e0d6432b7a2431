"""The quick way through the API: the same routes, dependencies and checks, prepared once (ASGI middleware).

FastAPI finds out anew for each request what a route needs: which of its patterns the path matches, which dependencies
call which, what may be in their cache. That costs several times what our own code does. What it found out at start-up
is enough: here each route is a flat list of calls, found by the parts of its path.

A request goes this way only when everything in it is plainly as documented. Whatever else comes (a value that does not
fit, a query, a path of no route, another method) is FastAPI's, which says what is wrong with it; so what a refusal says
is decided in one place. No dependency has been called by then.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, is_dataclass
from http import HTTPStatus
from operator import itemgetter
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, assert_never

import msgspec
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic.fields import FieldInfo
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import HANDLED, answer
from api.headers import header
from api.limits import DOCUMENT, NO_DOCUMENT

Call: TypeAlias = Callable[..., Awaitable[object]]
Part: TypeAlias = Literal["path", "header", "query", "body"]

_REQUEST, _RESPONSE, _FIRST = 0, 1, 2
"""Places among the values of a request: these two, then parameters, then what calls return."""

_GIVEN: Final = "{"
_OF_PROCESS: set[Call] = set()
_JSON: Final = (b"content-type", b"application/json")


Known = TypeVar("Known", bound=Call)


def of_process(call: Known) -> Known:
    """Say of a dependency that it gives every request the same, as long as the process lives: it is called once."""
    _OF_PROCESS.add(call)
    return call


class NotPlainError(Exception):
    """Something in the request is not plainly as documented."""


class _NotQuickError(Exception):
    """A route needs something that only FastAPI knows how to give."""


class _Field(Protocol):
    """What FastAPI knows of a parameter, and how it checks it."""

    name: str
    field_info: FieldInfo

    @property
    def alias(self) -> str: ...

    def get_default(self) -> object: ...

    def validate(self, value: object, values: dict[str, Any], *, loc: tuple[str, ...]) -> tuple[object, list[Any]]: ...


@dataclass(frozen=True, slots=True)
class _Parameter:
    """One value out of a request, by its name in that part of it."""

    part: Part
    name: str
    field: _Field
    line: bytes = b""
    """Its name as it comes, if it is a header."""

    def read(self, scope: Scope) -> object:
        """Return the value to be given. Raises NotPlainError."""
        match self.part:
            case "path":
                return self._checked(scope["path_params"][self.name])
            case "header":
                found = header(scope, self.line)
                return self._default() if found is None else self._checked(found)
            case "query":
                return self._default()
            case "body":
                document = scope[DOCUMENT]
                return self._default() if document is NO_DOCUMENT else self._checked(document)
        assert_never(self.part)

    def _checked(self, found: object) -> object:
        value, flaws = self.field.validate(found, {}, loc=())
        if flaws:
            raise NotPlainError
        return value

    def _default(self) -> object:
        if not self.field.field_info.is_required():
            default = self.field.get_default()
            return default if default is None else deepcopy(default)
        if self.part == "query":
            return self._checked({})  # parameters described together, none of which is there
        raise NotPlainError


class _Step(NamedTuple):
    """One call, of a dependency or the route itself; each argument is a value that is there by then."""

    call: Call
    arguments: Callable[[list[object]], tuple[object, ...]]

    @classmethod
    def of(cls, call: Call, places: Mapping[str, int]) -> _Step:
        """Prepare a call whose arguments, by their names, are at these places. Raises _NotQuickError."""
        names = [
            name for name, one in inspect.signature(call).parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD
        ]
        if set(names) != set(places):
            raise _NotQuickError
        return cls(call, _picker([places[name] for name in names]))


def _picker(places: list[int]) -> Callable[[list[object]], tuple[object, ...]]:
    """Return what takes the values at these places out of a list."""
    match places:
        case []:
            return lambda _: ()
        case [place]:
            return lambda values: (values[place],)
        case _:
            return itemgetter(*places)


@dataclass(slots=True)
class _Draft:
    """A plan while it is being made: what calls need is known before how many parameters come before their results."""

    parameters: list[_Parameter] = field(default_factory=list)
    calls: list[tuple[Call, list[tuple[str, int]], list[tuple[str, int]]]] = field(default_factory=list)
    numbers: dict[Call, int] = field(default_factory=dict)

    def add(self, needs: Dependant) -> int:
        """Plan a call behind those it needs; return its number. Raises _NotQuickError."""
        call = needs.call
        if call is None or not _is_coroutine(call) or _is_special(needs):
            raise _NotQuickError
        if needs.use_cache and call in self.numbers:
            return self.numbers[call]
        inner = [(self.add(one), one.name) for one in needs.dependencies]
        results = [(name, number) for number, name in inner if name is not None]
        given = ((needs.request_param_name, _REQUEST), (needs.response_param_name, _RESPONSE))
        values = [(name, place) for name, place in given if name is not None]
        values += [(found.name, self._place(part, found)) for part, found in _fields_of(needs)]
        self.calls.append((call, values, results))
        self.numbers[call] = len(self.calls) - 1
        return self.numbers[call]

    def _place(self, part: Part, found: _Field) -> int:
        is_plain_header = part == "header" and found.alias == found.name
        name = found.name.replace("_", "-") if is_plain_header else found.alias
        self.parameters.append(_Parameter(part, name, found, line=name.lower().encode()))
        return _FIRST + len(self.parameters) - 1

    def steps(self) -> tuple[_Step, ...]:
        """Return the calls in their order, behind those whose results are the same for every request."""
        order = sorted(range(len(self.calls)), key=lambda number: self.calls[number][0] not in _OF_PROCESS)
        places = {number: _FIRST + len(self.parameters) + place for place, number in enumerate(order)}
        calls = [self.calls[number] for number in order]
        return tuple(
            _Step.of(call, dict(values) | {name: places[number] for name, number in results})
            for call, values, results in calls
        )


class Plan:
    """What a route does, prepared. Raises _NotQuickError for a route that only FastAPI can run."""

    def __init__(self, route: APIRoute) -> None:
        if route.response_field is None:
            raise _NotQuickError
        draft = _Draft()
        draft.add(route.dependant)
        self.route = route
        self.path = route.path_format.split("/")[1:]
        self.named = [part[1:-1] for part in self.path if part.startswith(_GIVEN)]
        self._parameters = draft.parameters
        steps = draft.steps()
        self._of_process = [step for step in steps if step.call in _OF_PROCESS]
        self._steps = steps[len(self._of_process) :]
        self._known: list[object] | None = None
        """What those calls gave the first time."""

        self._status = int(route.status_code or HTTPStatus.OK)  # logs write it as it is
        self._written = (
            msgspec.json.encode if is_dataclass(route.response_model) else route.response_field.serialize_json
        )

    def given(self, scope: Scope) -> list[object]:
        """Return what the request gives as values. Raises NotPlainError."""
        return [parameter.read(scope) for parameter in self._parameters]

    async def answer(self, request: Request, given: list[object]) -> Response:
        """Carry the request out with what it gives. Raises what the calls raise."""
        response = _Blank(self._status)
        values: list[object] = [request, response, *given]
        if self._known is None:
            for call, arguments in self._of_process:
                values.append(await call(*arguments(values)))
            self._known = values[_FIRST + len(given) :]
        else:
            values += self._known
        for call, arguments in self._steps:
            values.append(await call(*arguments(values)))
        result = values[-1]
        if isinstance(result, Response):
            return result
        response.body = self._written(result)
        response.raw_headers += ((b"content-length", b"%d" % len(response.body)), _JSON)
        return response


class _Blank(Response):
    """A response of which only the status is known yet; it has no header."""

    def __init__(self, status: int) -> None:
        self.status_code = status
        self.raw_headers = []
        self.body = b""
        self.background = None


def _fields_of(needs: Dependant) -> Iterator[tuple[Part, _Field]]:
    yield from (("path", found) for found in needs.path_params)
    yield from (("header", found) for found in needs.header_params)
    yield from (("query", found) for found in needs.query_params)
    yield from (("body", found) for found in needs.body_params)


def _is_special(needs: Dependant) -> bool:
    """Whether something is needed that is not prepared for here."""
    return bool(
        needs.cookie_params
        or len(needs.body_params) > 1
        or any(getattr(found.field_info, "embed", None) for found in needs.body_params)
        or needs.websocket_param_name
        or needs.http_connection_param_name
        or needs.background_tasks_param_name
        or needs.security_scopes_param_name
        or needs.concurrency
    )


def _is_coroutine(call: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004


class _Place:
    """A part of a path: what may follow it, and the routes that end with it."""

    def __init__(self) -> None:
        self.named: dict[str, _Place] = {}
        self.given: _Place | None = None
        self.plans: dict[str, Plan] = {}

    def add(self, parts: list[str], plan: Plan) -> None:
        """Let a route end here, or behind the parts that follow."""
        if not parts:
            for method in plan.route.methods or ():
                self.plans.setdefault(method, plan)
            return
        part, *rest = parts
        if not part.startswith(_GIVEN):
            self.named.setdefault(part, _Place()).add(rest, plan)
            return
        self.given = self.given or _Place()
        self.given.add(rest, plan)


class Ways:
    """Routes by the parts of their paths; those that only FastAPI can run are left out."""

    def __init__(self, routes: Iterable[APIRoute]) -> None:
        self._top = _Place()
        for route in routes:
            try:
                plan = Plan(route)
            except _NotQuickError:
                continue
            self._top.add(plan.path, plan)

    def find(self, method: str, path: str) -> tuple[Plan, Mapping[str, str]] | None:
        """Return the plan of the route with this path, and its parameters as they stand there."""
        here = self._top
        given: list[str] = []
        for part in path.split("/")[1:]:
            following = here.named.get(part)
            if here.given is not None:
                if following is not None or not part:
                    return None  # where both fit, the order in which routes were made decides, and FastAPI knows it
                given.append(part)
                following = here.given
            if following is None:
                return None
            here = following
        plan = here.plans.get(method)
        return None if plan is None else (plan, dict(zip(plan.named, given, strict=True)))


class Quick:
    """Stands before FastAPI's own way. What bodies say was read and checked before (`api.limits.BodyLimits`)."""

    def __init__(self, app: ASGIApp, *, ways: Ways) -> None:
        self._app = app
        self._ways = ways

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        found = None
        if scope["type"] == "http" and not scope["query_string"] and not scope.get("root_path"):
            found = self._ways.find(scope["method"], scope["path"])
        if found is None:
            await self._app(scope, receive, send)
            return
        plan, scope["path_params"] = found
        scope["route"], scope["endpoint"] = plan.route, plan.route.endpoint
        try:
            given = plan.given(scope)
        except NotPlainError:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await plan.answer(request, given)
        except HANDLED as error:
            response = await answer(request, error)
        await response(scope, receive, send)
