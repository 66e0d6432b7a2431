"""Every route and every caller: who is let in, what others are told, and that they learn and change nothing.

Made from the description of the API: a new route is in here by being described, and says in it what it needs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import httpx
import pytest

from orchestrator.core.ports.audit import AuditQuery
from orchestrator.core.session import MINUTE, SessionKey
from orchestrator.core.tenants import DEFAULT_TENANT, ROLES, TENANT_SCOPES, ApiKey, Scope, Tenant, digest_of, key_text
from tests.support.deployment import AN_ATTEMPT, ORIGIN, WITH_KEY, Deployment, described

Headers: TypeAlias = dict[str, str]
Told: TypeAlias = tuple[int, str | None]

DESCRIPTION: Final = described(Deployment().app)
SECRET: Final = "s" * 40
EVIL: Final = {"Origin": "https://evil.example.test"}
PRIVATE: Final = ("private-title", "private-reference", "private-metadata")

UNKNOWN: Final[Told] = (401, "unauthorized")
ENDED: Final[Told] = (401, "token_expired")
FORGED: Final[Told] = (401, "token_invalid")
NOT_ENOUGH: Final[Told] = (403, "scope_missing")
NOT_FROM_THERE: Final[Told] = (403, "origin_refused")
NOT_THERE: Final[Told] = (404, "session_not_found")
NO_ENDPOINT: Final[Told] = (404, "endpoint_not_found")

BODIES: Final[dict[str, dict[str, Any]]] = {
    "add_step": {},
    "change_inputs": {"inputs": {"a": 1}},
    "allow_browser": {"code": "ABCD-1234"},
    "bind_authentication": {"authentication_id": "some-authentication", "reason": "they named it"},
    "change_session": {"title": "Changed"},
    "begin_session_sign_in": {"browser": "0" * 64},
    "begin_sign_in": {"browser": "0" * 64},
    "change_step": {"alias": "changed"},
    "check_now": {"reason": "they wait"},
    "choose_action": {"key": "send", "action_type": "WRITE"},
    "choose_app": {"app_id": "some-app"},
    "create_client_token": {"user_id": "alice"},
    "create_connect_link": {"user_id": "alice"},
    "change_webhook": {"paused": True},
    "create_session": {"user_id": "alice"},
    "create_webhook": {"url": "https://hooks.example/"},
    "create_zap": {},
    "end_session": {"reason": "they gave up"},
    "extend_session": {"reason": "they need longer"},
    "fire_webhook": {},
    "give_inputs": {"inputs": {"a": 1}},
    "open_popup": {"attempt_id": AN_ATTEMPT},
    "put_credential": {"access_token": "sim-alice"},
    "select_authentication": {"authentication_id": "some-authentication"},
    "restart_step": {"reason": "they chose the wrong app"},
    "send_again": {"reason": "their receiver was down"},
    "run_step_test": {"confirm": True},
    "send_popup_signal": {"attempt_id": AN_ATTEMPT, "kind": "focus"},
    "supply_authentication": {"title": "Ours", "fields": {"api_key": "x"}},
}


QUERIES: Final = {"list_choices": "?field=a", "read_why": "?app=some-app"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One route and method, as they are described."""

    method: str
    path: str
    described: dict[str, Any]

    @property
    def id(self) -> str:
        name: str = self.described["operationId"]
        return name

    @property
    def scope(self) -> Scope:
        return Scope(self.described["x-scope"])

    @property
    def takes_tokens(self) -> bool:
        return {"client_token": []} in self.described["security"]

    @property
    def is_of_a_session(self) -> bool:
        return "{session_id}" in self.path

    def address(self, **names: str) -> str:
        return self.path.format(**names)

    @property
    def body(self) -> dict[str, Any] | None:
        if "requestBody" not in self.described:
            return None
        assert self.id in BODIES, f"{self.id} takes a body: say in BODIES what is sent"
        return BODIES[self.id]


def operations() -> Iterator[Operation]:
    """Give every operation that asks who calls."""
    for path, methods in DESCRIPTION["paths"].items():
        for method, operation in methods.items():
            if path.startswith("/v1/"):
                yield Operation(method.upper(), path, operation)


ALL: Final = list(operations())


SCOPES: Final[dict[str, frozenset[Scope]]] = {
    "an operator": ROLES,
    "a viewer": frozenset({Scope.VIEWER}),
    "another tenant's operator": ROLES,
    "another tenant's viewer": frozenset({Scope.VIEWER}),
    "another tenant": TENANT_SCOPES,
    **{f"without {scope}": TENANT_SCOPES - {scope} for scope in TENANT_SCOPES},
}
"""Whose keys may do what."""

OTHERS: Final = ("another tenant", "another tenant's operator", "another tenant's viewer")
"""Who may do it with what is another tenant's."""


class World:
    """A deployment with a session, and everybody who might want something of it."""

    def __init__(self) -> None:
        self.api = Deployment()
        self.callers: dict[str, Headers] = {}

    async def begin(self) -> None:
        """Have the session, another of the same user's, other companies' keys, and tokens of every kind."""
        api = self.api
        api.zapwright.following.close()  # a stream is over at once
        late = await self._token()
        api.sim.clock.advance(10 * MINUTE)
        await api.sign_in()
        title, reference, metadata = PRIVATE
        self.session = await api.session("Slack", title=title, reference=reference, metadata={"note": metadata})
        self.step = self.session["steps"][0]["id"]
        links = f"/v1/sessions/{self.session['id']}/steps/{self.step}/connect-links"
        self.link = (await api.ok("POST", links, {"user_id": "alice"}, status=201)).json()["id"]
        wish = {"url": "https://hooks.example/", "description": reference}
        self.webhook = (await api.ok("POST", "/v1/webhooks", wish, status=201)).json()["id"]
        await api.deliver()
        token, other = await self._token(self.session), await self._token()
        await api.store.tenants.create(Tenant(id="theirs", name="", created_at=0))
        for name, scopes in (SCOPES | {"a revoked key": TENANT_SCOPES}).items():
            await self._key(name, scopes)
        await api.store.api_keys.revoke("arevokedkey", now=1)
        self.callers |= {
            "nobody": {},
            "a strange key": _bearer("nonsense"),
            "a key that was never made": _bearer(key_text("nobody", SECRET)),
            "a key with another secret": _bearer(key_text("anothertenant", "t" * 40)),
            "another scheme": {"Authorization": WITH_KEY["Authorization"].replace("Bearer", "Basic")},
            "an expired token": _bearer(late),
            "a forged token": _bearer(token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")),
            "another session's token": _bearer(other),
            "another session's token from its page": _bearer(other) | {"Origin": ORIGIN},
            "the backend from another page": WITH_KEY | EVIL,
            "the page from another origin": _bearer(token) | EVIL,
        }
        self.page = _bearer(token) | {"Origin": ORIGIN}
        self.of_the_step, self.of_another_step = (
            _bearer(
                api.app.state.tokens.make(
                    tenant_id=DEFAULT_TENANT,
                    session_id=self.session["id"],
                    user_id="alice",
                    origins=[ORIGIN],
                    now=api.clock.now(),
                    step_id=step_id,
                ).text
            )
            | {"Origin": ORIGIN}
            for step_id in (self.step, "another")
        )

    async def ask(self, operation: Operation, headers: Headers) -> httpx.Response:
        """Ask for something of the session."""
        names = {
            "session_id": self.session["id"],
            "step_id": self.step,
            "link_id": self.link,
            "app_id": self.session["steps"][0]["app"]["id"],
            "user_id": "alice",
            "webhook_id": self.webhook,
            "seq": "1",
        }
        address = operation.address(**names)
        address += QUERIES.get(operation.id, "")
        async with self.api.caller(headers) as caller:
            return await caller.request(operation.method, address, json=operation.body)

    async def state(self) -> tuple[object, ...]:
        """Return all that anybody could have changed of it."""
        store = self.api.store
        key = SessionKey(tenant_id=DEFAULT_TENANT, session_id=self.session["id"])
        session = await store.sessions.load(key)
        credential = await store.credentials.get(DEFAULT_TENANT, "alice")
        webhooks = await store.endpoints.all(DEFAULT_TENANT)
        audit = await store.audit.find(AuditQuery())
        return session, await store.sessions.signals(session.id), credential, webhooks, list(self.api.posts.sent), audit

    async def _token(self, session: dict[str, Any] | None = None) -> str:
        session = session or await self.api.session()
        address = f"/v1/sessions/{session['id']}/client-tokens"
        answer = await self.api.ok("POST", address, {"user_id": "alice"}, status=201)
        token: str = answer.json()["token"]
        return token

    async def _key(self, name: str, scopes: frozenset[Scope]) -> None:
        key_id = "".join(filter(str.isalnum, name))
        tenant_id = "theirs" if name in OTHERS else DEFAULT_TENANT
        is_operators = bool(scopes & ROLES)
        key = ApiKey(
            id=key_id,
            tenant_id=None if is_operators else tenant_id,
            name="",
            scopes=frozenset({Scope.OPERATOR}) if Scope.OPERATOR in scopes else scopes,
            digest=digest_of(SECRET),
            created_at=0,
            sees=frozenset({tenant_id}) if is_operators and name in OTHERS else None,
        )
        await self.api.store.api_keys.create(key)
        self.callers[name] = _bearer(key_text(key_id, SECRET))


def _bearer(bearer: str) -> Headers:
    return {"Authorization": f"Bearer {bearer}"}


async def _lived_in() -> AsyncIterator[World]:
    world = World()
    await world.begin()
    yield world
    await world.api.aclose()


world = pytest.fixture(name="world")(_lived_in)
"""A world of its own for each test."""

same_world = pytest.fixture(name="same_world", scope="module")(_lived_in)
"""One world for all tests that show that nothing of it changes."""


FIXED: Final[dict[str, Told]] = {
    "nobody": UNKNOWN,
    "a strange key": UNKNOWN,
    "a key that was never made": UNKNOWN,
    "a key with another secret": UNKNOWN,
    "a revoked key": UNKNOWN,
    "another scheme": UNKNOWN,
    "an expired token": ENDED,
    "a forged token": FORGED,
    "the backend from another page": NOT_FROM_THERE,
    "the page from another origin": NOT_FROM_THERE,
}
"""What some are told whatever they ask for."""


def expected(operation: Operation, caller: str) -> Told | None:
    """Say what a caller is told by what the description says of an operation; None: they are let in, to their own."""
    if caller in FIXED:
        return FIXED[caller]
    if caller.startswith("another session's token"):
        return NOT_THERE if operation.takes_tokens else NOT_ENOUGH
    if operation.scope not in SCOPES[caller]:
        return NOT_ENOUGH
    if caller not in OTHERS:
        return None
    if operation.is_of_a_session and operation.scope in ROLES:
        return NOT_THERE
    if "{webhook_id}" in operation.path:
        return NO_ENDPOINT
    return NOT_THERE if operation.is_of_a_session else None


def told(answer: httpx.Response) -> Told:
    """Return an answer's status, and its problem's code."""
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    return answer.status_code, answer.json()["code"] if is_problem else None


@pytest.mark.parametrize("operation", ALL, ids=[operation.id for operation in ALL])
async def test_who_may_not_is_told_so_and_learns_and_changes_nothing(same_world: World, operation: Operation) -> None:
    """Whoever they are, in the words that are documented; and no page may read what is not for its origin."""
    refusals = {caller: said for caller in same_world.callers if (said := expected(operation, caller)) is not None}
    before = await same_world.state()

    answers = {caller: await same_world.ask(operation, same_world.callers[caller]) for caller in refusals}

    assert {caller: told(answer) for caller, answer in answers.items()} == refusals
    for caller, answer in answers.items():
        assert [word for word in (*PRIVATE, same_world.step) if word in answer.text] == [], caller
        assert not (
            EVIL.items() <= same_world.callers[caller].items() and "access-control-allow-origin" in answer.headers
        )
    assert await same_world.state() == before


@pytest.mark.parametrize("caller", OTHERS)
@pytest.mark.parametrize("operation", ALL, ids=[operation.id for operation in ALL])
async def test_another_tenant_is_let_in_to_its_own_alone(same_world: World, operation: Operation, caller: str) -> None:
    """With the same user's id, it sees and changes nothing of what is not its own; nor does an operator of its."""
    before = await same_world.state()

    answer = await same_world.ask(operation, same_world.callers[caller])

    assert told(answer) == (expected(operation, caller) or (answer.status_code, None))
    assert [word for word in (*PRIVATE, same_world.step) if word in answer.text] == []
    assert await same_world.state() == before


@pytest.mark.parametrize("operation", ALL, ids=[operation.id for operation in ALL])
async def test_who_may_is_let_in(world: World, operation: Operation) -> None:
    """Else every refusal above would prove nothing. What else is wrong with the request is another matter."""
    callers = {Scope.OPERATOR: world.callers["an operator"], Scope.VIEWER: world.callers["a viewer"]}
    caller = callers.get(operation.scope, WITH_KEY)

    answer = await world.ask(operation, caller)

    assert told(answer)[1] not in {said[1] for said in (UNKNOWN, NOT_ENOUGH, NOT_FROM_THERE, NOT_THERE, NO_ENDPOINT)}


@pytest.mark.parametrize("operation", ALL, ids=[operation.id for operation in ALL])
async def test_a_page_may_what_the_description_says_and_nothing_else(world: World, operation: Operation) -> None:
    """With the token of its session, from its origin."""
    before = await world.state()
    answer = await world.ask(operation, world.page)

    if operation.takes_tokens:
        assert told(answer)[1] not in {said[1] for said in (UNKNOWN, FORGED, NOT_ENOUGH, NOT_FROM_THERE, NOT_THERE)}
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    else:
        assert told(answer) == NOT_ENOUGH
        assert [word for word in (*PRIVATE, world.step) if word in answer.text] == []
        assert await world.state() == before


CONNECTS: Final = {
    "begin_session_sign_in",
    "list_authentications",
    "open_popup",
    "read_events",
    "read_session",
    "select_authentication",
    "send_popup_signal",
    "stream_session",
    "supply_authentication",
}
"""All that our own connect page may do, whose token is for one step."""


@pytest.mark.parametrize("operation", ALL, ids=[operation.id for operation in ALL])
async def test_who_has_one_step_may_connect_it_and_nothing_else(world: World, operation: Operation) -> None:
    """What the tenant keeps for itself is not shown; of another step there is nothing to see or to change."""
    before = await world.state()
    other = await world.ask(operation, world.of_another_step)
    after = await world.state()
    answer = await world.ask(operation, world.of_the_step)

    assert after == before
    assert [word for word in PRIVATE[1:] if word in other.text + answer.text] == []
    if operation.id not in CONNECTS:
        assert told(answer) == told(other) == NOT_ENOUGH
    else:
        assert told(answer)[1] not in {said[1] for said in (UNKNOWN, FORGED, NOT_ENOUGH, NOT_FROM_THERE, NOT_THERE)}
        made = (201 if operation.method == "POST" else 200, None)
        assert told(other) == ((404, "step_not_found") if "{step_id}" in operation.path else made)


def test_what_a_page_may_is_what_it_needs() -> None:
    """Whoever lets a page do more says so here."""
    assert {operation.id for operation in ALL if operation.takes_tokens} == {
        "add_step",
        "begin_session_sign_in",
        "change_step",
        "choose_action",
        "choose_app",
        "create_zap",
        "give_inputs",
        "change_inputs",
        "list_actions",
        "list_choices",
        "list_fields",
        "list_outputs",
        "run_step_test",
        "list_authentications",
        "open_popup",
        "read_events",
        "read_session",
        "remove_step",
        "reset_step",
        "search_apps",
        "select_authentication",
        "send_popup_signal",
        "stream_session",
        "supply_authentication",
    }


def test_every_scope_is_of_use() -> None:
    """And reading needs no key that may write, but where reading may change the session."""
    reading = {operation.id for operation in ALL if operation.method == "GET"}
    may_write = {operation.id for operation in ALL if operation.scope is Scope.SESSIONS_WRITE}
    may_read = {operation.id for operation in ALL if operation.scope in {Scope.SESSIONS_READ, Scope.VIEWER}}

    assert {operation.scope for operation in ALL} == set(Scope)
    assert reading & may_write == {"list_authentications"}
    assert may_read - reading == set()


def test_who_looks_changes_nothing_and_nobody_changes_the_audit() -> None:
    """Of operators' routes those that read are viewers', and all others operators' alone."""
    of_operators = [operation for operation in ALL if operation.path.startswith("/v1/operator/")]
    audit = {operation.method for operation in of_operators if "audit" in operation.path}

    assert {operation.scope for operation in of_operators if operation.method == "GET"} == {Scope.VIEWER}
    assert {operation.scope for operation in of_operators if operation.method != "GET"} == {Scope.OPERATOR}
    assert {operation.id for operation in ALL if operation.scope in ROLES} == {one.id for one in of_operators}
    assert audit == {"GET"}
