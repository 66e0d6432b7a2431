"""Whatever is asked for, by whoever may ask, is answered as the API describes itself.

The requests are made by schemathesis from the description: every bound that it states and one step beyond, and chance.
They go to sessions in every state there is, so that they get further than "not found".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Coroutine, Iterator
from copy import deepcopy
from itertools import count, filterfalse
from typing import Any, Final, TypeAlias

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis import Case as AnyCase
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.config import GenerationConfig, SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.generation.meta import REQUEST_SHAPE_PROBES as PROBES
from schemathesis.generation.meta import CoveragePhaseData
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from api.schemas.wording import UNKNOWN
from orchestrator.core.links import code_of
from orchestrator.core.session import SessionKey
from orchestrator.core.signals import ConnectLinkOpened
from orchestrator.core.tenants import DEFAULT_TENANT, ROLES, ApiKey, Scope, digest_of, key_text
from tests.support.deployment import AN_ATTEMPT, API_KEY, ORIGIN, Deployment, described
from tests.support.simulation import Simulation

Headers: TypeAlias = dict[str, str]
Operation: TypeAlias = APIOperation[Any, Any, Any, Any]
Case: TypeAlias = AnyCase[Operation]

CHECKS: Final[list[CheckFunction]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
    unsupported_method,
    allow_header_conformance,
]
GENERATION: Final = GenerationConfig(with_security_parameters=False, deterministic=True)
BOTH: Final = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
FEW: Final = 9
STATES_EACH: Final = 3
"""In how many states of a session each of more valid requests than those few is tried; all together meet all states."""

EXAMPLES: Final = 12
ACTION: Final = {"key": "channel_message", "action_type": "WRITE"}
FILLED: Final = {"channel": "C00001", "text": "Hello"}
OWN: Final = Simulation().app_id("Acme Orders")
LOST: Final = {"fault": "status", "status": 504, "when": "after", "endpoint": "POST /v2/authentications"}
"""Whatever fields are sent, nobody knows what came of them: fields that were made up are never right."""

HOOK: Final = "https://hooks.example/zapwright"
KNOWN: Final = {
    "If-Match",
    "If-None-Match",
    "access_token",
    "action_type",
    "app_id",
    "attempt_id",
    "authentication_id",
    "field",
    "code",
    "key",
    "origin",
    "reference",
    "return_url",
    "session_id",
    "url",
    "user_id",
}
"""What a request can name that is there."""

QUERIED: Final = {"field"}
"""What of that is named in queries where it must be there, and does not only narrow a search."""

UNSAYABLE: Final = (
    "at most 4096 bytes of JSON",
    "at most 65536 bytes of JSON",
    "write a whole number",  # 1.0 is one, for JSON Schema
    "this is no cursor of ours; begin without one",
    "ask about one session, or about one app",
)
"""What is refused of a request that is as the description's schemas want it: they have no way to say it."""

NOT_OURS: Final = re.compile("Input|String|List|Dictionary|Value|Field|Extra|Unable")
"""What pydantic's words for flaws begin with."""


def _schema() -> BaseSchema:
    return schemathesis.openapi.from_dict(deepcopy(described(Deployment().app)), config=SchemathesisConfig())


SCHEMA: Final = _schema()
OPERATIONS: Final[dict[str, Operation]] = {
    found.ok().definition.raw["operationId"]: found.ok()
    for found in SCHEMA.get_all_operations()
    if isinstance(found, Ok)
}


class World:
    """A deployment whose sessions are in every state, each of a user of its own."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.api = Deployment(own_apps=OWN)
        runner.run(self.api.sim.switch({"rules": {"lost": LOST}}))
        self.api.zapwright.following.close()  # a wait is over at once
        self.run = runner.run
        self._numbers = count(1)
        self._slack = self.api.sim.app_id("Slack")
        self._places: dict[str, Headers] = {}
        self.states: dict[str, Callable[[], Coroutine[Any, Any, Headers]]] = {
            "signed out": self.signed_out,
            "begun": self.begun,
            "prepared": self.prepared,
            "of an own app": self.of_an_own_app,
            "linked": self.linked,
            "awaiting": self.awaiting,
            "resolved": self.resolved,
            "ready": self.ready,
            "over": self.over,
        }

        self._operators_key = self.run(self._operator())

    async def _operator(self) -> str:
        secret = "s" * 40
        key = ApiKey(
            id="op", tenant_id=None, name="", scopes=frozenset({Scope.OPERATOR}), digest=digest_of(secret), created_at=0
        )
        await self.api.store.api_keys.create(key)
        return key_text(key.id, secret)

    def key_for(self, operation: Operation) -> str:
        """Return the key of a backend, or an operator's where that is needed."""
        return self._operators_key if operation.definition.raw.get("x-scope") in ROLES else API_KEY

    def place(self, state: str) -> Headers:
        """Return the names of everything about a session in this state."""
        if state not in self._places:
            self._places[state] = self.run(self.states[state]())
        return self._places[state]

    def leave(self, state: str) -> None:
        """Have a new session the next time: this one may be in another state now."""
        self._places.pop(state, None)

    def ask(self, case: Case, headers: Headers) -> httpx.Response:
        """Send a request as it was made."""
        made = case.as_transport_kwargs(base_url="http://zapwright.test", headers=headers)
        names = {name.encode("latin-1"): value.encode("latin-1") for name, value in made.pop("headers").items()}
        content = made.pop("data", None)
        made.pop("cookies")
        request = httpx.Request(**made, content=content, headers=list(names.items()))
        return self.run(self._send(request))

    async def _send(self, request: httpx.Request) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.api.app)) as client:
            return await client.send(request)

    # --- the states ---

    async def begun(self, app: str | None = None, *, is_signed_in: bool = True) -> Headers:
        user = f"user{next(self._numbers)}"
        if is_signed_in:
            await self.api.sign_in(user)
        step = {} if app is None else {"app_id": self.api.sim.app_id(app)}
        body = {"user_id": user, "steps": [step], "reference": "theirs"}
        created = (await self.api.ok("POST", "/v1/sessions", body, status=201)).json()
        wish = {"url": HOOK, "session_id": created["id"], "events": ["session_created"]}
        webhook = (await self.api.ok("POST", "/v1/webhooks", wish, status=201)).json()
        await self.api.deliver()
        return {
            "user_id": user,
            "session_id": created["id"],
            "step_id": created["steps"][0]["id"],
            "attempt_id": AN_ATTEMPT,
            "app_id": self._slack,
            "access_token": f"sim-{user}",
            **ACTION,
            "field": "channel",
            "reference": "theirs",
            "link_id": "none",
            "code": "ABCD-1234",
            "origin": ORIGIN,
            "url": HOOK,
            "webhook_id": webhook["id"],
            "seq": "1",
            "return_url": f"{ORIGIN}/done?of=zapwright",
            "If-Match": "*",
            "If-None-Match": '"0"',
            "token": created["client_token"]["token"],
        }

    async def signed_out(self) -> Headers:
        return await self.begun(is_signed_in=False)

    async def prepared(self) -> Headers:
        return await self.begun("Slack")

    async def of_an_own_app(self) -> Headers:
        return await self.begun("Acme Orders")

    async def linked(self) -> Headers:
        names = await self.prepared()
        address = f"{_step(names)}/connect-links"
        link = (await self.api.ok("POST", address, {"user_id": names["user_id"]}, status=201)).json()
        key = SessionKey(tenant_id=DEFAULT_TENANT, session_id=names["session_id"])
        for browser in ("the first", "the second"):
            signal = ConnectLinkOpened(
                step_id=names["step_id"], link_id=link["id"], browser=browser, code=code_of(browser)
            )
            await self.api.zapwright.engine.apply(key, signal)
        return names | {"link_id": link["id"], "code": code_of("the second")}

    async def awaiting(self) -> Headers:
        names = await self.prepared()
        await self.api.ok("POST", f"{_step(names)}/popup", {"attempt_id": AN_ATTEMPT}, status=201)
        return names | {"authentication_id": await self.api.sim.connect(names["user_id"], "Slack")}

    async def resolved(self) -> Headers:
        names = await self.awaiting()
        chosen = {"authentication_id": names["authentication_id"]}
        await self.api.ok("PUT", f"{_step(names)}/authentication", chosen)
        return names

    async def ready(self) -> Headers:
        names = await self.resolved()
        await self.api.ok("PUT", f"{_step(names)}/action", ACTION)
        await self.api.ok("PUT", f"{_step(names)}/inputs", {"inputs": FILLED})
        return names

    async def over(self) -> Headers:
        names = await self.resolved()
        await self.api.ok("DELETE", f"/v1/sessions/{names['session_id']}")
        return names


def _step(names: Headers) -> str:
    return f"/v1/sessions/{names['session_id']}/steps/{names['step_id']}"


def placed(case: Case, names: Headers, *, known: Collection[str]) -> Case:
    """Let a request speak of what there is, where it is not meant to be wrong."""
    assert case.meta is not None
    valid = {place for place, found in case.meta.components.items() if found.mode is GenerationMode.POSITIVE}
    if ParameterLocation.PATH in valid:
        case.path_parameters |= {name: names[name] for name in case.path_parameters}
    if ParameterLocation.HEADER in valid:
        case.headers.update({name: names[name] for name in case.headers if name in known})
    if ParameterLocation.QUERY in valid:
        case.query |= {name: names[name] for name in case.query.keys() & names.keys() & set(known) & QUERIED}
    if ParameterLocation.BODY in valid and isinstance(case.body, dict):
        case.body |= {name: names[name] for name in case.body.keys() & names.keys() & set(known)}
    return case


def check(case: Case, answer: httpx.Response) -> None:
    """Accept an answer that the description allows."""
    assert case.meta is not None
    case.validate_response(answer, checks=CHECKS)
    is_probe = isinstance(case.meta.phase.data, CoveragePhaseData) and case.meta.phase.data.scenario in PROBES
    if answer.status_code != 422:
        return
    problem = answer.json()
    flaws = [flaw["detail"] for flaw in problem.get("errors", ())]
    assert [flaw for flaw in flaws if flaw == UNKNOWN or NOT_OURS.match(flaw)] == [], (case, problem)
    if not is_valid(case) or is_probe:
        return
    assert [flaw for flaw in flaws if flaw not in UNSAYABLE] == [], (case, problem)


@pytest.fixture(name="world", scope="module")
def _world() -> Iterator[World]:
    """One world for all: a request that may have changed a session is the last that it gets."""
    with asyncio.Runner() as runner:
        world = World(runner)
        yield world
        runner.run(world.api.aclose())


def asked(world: World, case: Case, caller: str, state: str, *, known: Collection[str]) -> httpx.Response:
    """Send a request to a session in this state, and check its answer."""
    names = world.place(state)
    bearer = names["token"] if caller == "a page" else world.key_for(case.operation)
    answer = world.ask(placed(case, names, known=known), {"Authorization": f"Bearer {bearer}"})
    if case.method != "GET" and answer.is_success:
        world.leave(state)
    check(case, answer)
    return answer


def lets_in(operation: Operation, caller: str) -> bool:
    """Tell whether the description lets the caller do this."""
    needed = operation.definition.raw.get("security", [{}])
    return caller == "a backend" or {} in needed or {"client_token": []} in needed


CALLERS: Final = ("a backend", "a page")
EACH: Final = pytest.mark.parametrize("name", OPERATIONS)


def is_valid(case: Case) -> bool:
    """Tell whether the description allows a request."""
    return case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE


def states(world: World, number: int, *, each: int = 1) -> list[str]:
    """Give the states of sessions that are next, so many each time."""
    every = list(world.states)
    return [every[(number * each + turn) % len(every)] for turn in range(each)]


@EACH
@pytest.mark.parametrize("caller", CALLERS)
def test_every_bound_that_is_described_is_kept(world: World, name: str, caller: str) -> None:
    """What is inside is carried out in some state of a session, what is one step outside is refused.

    Who is not let in is told so whatever they want.
    """
    operation = OPERATIONS[name]
    cases = list(SCHEMA.iter_coverage_cases(operation, generation_modes=BOTH, generation_config=GENERATION))
    valid, wrong = [list(some) for some in (filter(is_valid, cases), filterfalse(is_valid, cases))]
    is_let_in = lets_in(operation, caller)
    reaches = is_let_in and "{session_id}" in operation.path
    each = 1 if not reaches else len(world.states) if len(valid) <= FEW else STATES_EACH
    statuses = set()
    for number, case in enumerate(valid):
        for state in states(world, number, each=each):
            statuses.add(asked(world, case, caller, state, known=KNOWN).status_code)
    for number, case in enumerate(wrong if is_let_in else ()):
        asked(world, case, caller, *states(world, number), known=KNOWN)

    assert (statuses & {200, 201, 202, 204} != set()) == is_let_in, statuses


@EACH
def test_every_other_request_is_answered_as_described(world: World, name: str) -> None:
    """By chance valid or not, with names of things that are there or with others."""
    operation = OPERATIONS[name]
    cases = operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE)
    callers = [caller for caller in CALLERS if lets_in(operation, caller)]

    @settings(max_examples=EXAMPLES * len(callers), suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(
        case=cases,
        caller=st.sampled_from(callers),
        state=st.sampled_from(list(world.states)),
        known=st.sets(st.sampled_from(sorted(KNOWN))),
    )
    def ask(case: Case, caller: str, state: str, known: set[str]) -> None:
        assume([] not in case.query.values())  # an address has no way to say it
        asked(world, case, caller, state, known=known)

    ask()
