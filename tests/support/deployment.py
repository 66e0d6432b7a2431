"""The API on a store in memory, before a simulated Zapier, with a clock that the test moves.

Every answer that a test receives is held against the API's own description of itself, so that each test is also a test
of `/openapi.json`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import httpx
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from api.app import create_app
from api.views import rendering
from orchestrator.bootstrap import Zapwright, compose, rate_limits
from orchestrator.clock import RandomIds
from orchestrator.core.deliveries import Answer
from orchestrator.core.ports.budget import Share
from orchestrator.core.ports.store import Store
from orchestrator.core.ports.workers import DeliveryBatch
from orchestrator.core.session import MINUTE, Instant, Millis
from orchestrator.relaying import Relay
from orchestrator.settings import Settings
from orchestrator.store.memory import MemoryStore
from simulator.accounts import secret_of
from tests.support.simulation import ManualClock, Simulation

API_KEY: Final = "key-of-the-tests"
TOKEN_KEYS: Final = "token-key-of-the-tests-0123456789"
ORIGIN: Final = "https://app.example.test"
WITH_KEY: Final = {"Authorization": f"Bearer {API_KEY}"}
UNLIMITED: Final = {"limits": {"ip": 0, "partner": 0}}
AN_ATTEMPT: Final = "attempt-0001"


@dataclass(slots=True)
class SharedClock:
    """The simulator's clock as the product reads it."""

    manual: ManualClock

    def now(self) -> Instant:
        return self.manual.now

    async def sleep(self, duration: Millis) -> None:
        self.manual.advance(duration)


@dataclass(frozen=True, slots=True)
class Posted:
    """A message as it was sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Posts:
    """Every message that was sent; each is answered alike."""

    def __init__(self) -> None:
        self.sent: list[Posted] = []
        self.answer = Answer(status=204, took=7)

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        self.sent.append(Posted(url, headers, body))
        return self.answer


class Conformance:
    """Holds answers against the description of the API."""

    def __init__(self, description: dict[str, Any]) -> None:
        self._description = description
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", re.escape(path).replace(r"\{", "{").replace(r"\}", "}"))), methods)
            for path, methods in description["paths"].items()
        ]

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """Return what is said of a route, None when there is none."""
        found: dict[str, Any] = next((methods for pattern, methods in self._paths if pattern.fullmatch(path)), {})
        operation: dict[str, Any] | None = found.get(method.lower())
        return operation

    async def check(self, answer: httpx.Response) -> None:
        """Accept an answer only when its status, media type and body are described."""
        await answer.aread()
        path = answer.request.url.raw_path.partition(b"?")[0].decode()
        operation = self.operation(answer.request.method, path)
        if operation is None:
            return self._check_body(answer, {"$ref": "#/components/schemas/Problem"}) if answer.is_error else None
        described = operation["responses"].get(str(answer.status_code))
        assert described is not None, f"{operation['operationId']} does not speak of {answer.status_code}"
        if answer.status_code in {httpx.codes.NO_CONTENT, httpx.codes.NOT_MODIFIED}:
            assert answer.content == b""
            return None
        media_type = answer.headers["content-type"].partition(";")[0]
        content = described["content"]
        assert media_type in content, f"{operation['operationId']} {answer.status_code} is {media_type}"
        return self._check_body(answer, content[media_type].get("schema", {}))

    def _check_body(self, answer: httpx.Response, schema: dict[str, Any]) -> None:
        if "json" in answer.headers["content-type"] and answer.request.method != "HEAD":
            validator = Draft202012Validator({**schema, "components": self._description["components"]})
            flaws = [f"{flaw.json_path}: {flaw.message}" for flaw in validator.iter_errors(answer.json())]
            assert flaws == [], answer.text


_DESCRIPTION: dict[str, Any] = {}


def described(app: FastAPI) -> dict[str, Any]:
    """Return the API's description; it is the same for every deployment, and made once."""
    if not _DESCRIPTION:
        _DESCRIPTION.update(app.openapi())
    return _DESCRIPTION


class Deployment:
    """One deployment: settings may be changed, and so may the simulated Zapier's switches."""

    def __init__(
        self,
        *,
        store: Store | None = None,
        switches: object = UNLIMITED,
        sim: Simulation | None = None,
        **settings: Any,
    ) -> None:
        self.sim = sim or Simulation(switches=switches)
        self.clock = SharedClock(self.sim.clock)
        self.settings = Settings(
            **{
                "api_key": API_KEY,
                "token_keys": TOKEN_KEYS,
                "origins": ORIGIN,
                "zapier_api_url": "http://sim.test",
                "rate_limit_egress": 0,
                "rate_limit_partner": 0,
                "call_limit_s": 5,
                "zapier_client_secret": secret_of("zapwright"),
                **settings,
            }
        )
        self.http = self.sim.client()
        self.store = store or MemoryStore(shards=self.settings.shards, limits=rate_limits(self.settings))
        self.posts = Posts()
        self.zapwright: Zapwright = compose(
            self.settings,
            store=self.store,
            http=self.http,
            clock=self.clock,
            ids=RandomIds(),
            chance=lambda: 0.5,
            post=self.posts,
        )
        self.app: FastAPI = create_app(self.zapwright)
        self.conformance = Conformance(described(self.app))
        self.client = self.caller(WITH_KEY)
        self._tokens = count(1)

    def caller(self, headers: dict[str, str]) -> httpx.AsyncClient:
        """Return somebody who calls the API with these headers."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://zapwright.test",
            headers=headers,
            event_hooks={"response": [self.conformance.check]},
        )

    async def aclose(self) -> None:
        """Close both clients."""
        await self.client.aclose()
        await self.http.aclose()

    # --- what tests begin with ---

    async def sign_in(self, user: str = "alice", token: str | None = None) -> httpx.Response:
        """Put a user's credential, by default one of the Zapier account of the same name."""
        body = {"access_token": token or f"sim-{user}"}
        return await self.ok("PUT", f"/v1/users/{user}/credential", body)

    async def session(self, *apps: str | None, user: str = "alice", **more: Any) -> dict[str, Any]:
        """Create a session with a step for each app (None: a step without one)."""
        steps = [{"app_id": self.sim.app_id(app)} if app else {} for app in apps]
        created = await self.ok("POST", "/v1/sessions", {"user_id": user, "steps": steps, **more}, status=201)
        document: dict[str, Any] = created.json()
        del document["client_token"]
        return document

    async def step(self, app: str | None = "Slack", *, user: str = "alice") -> tuple[dict[str, Any], str]:
        """Sign a user in and begin a session with one step; return the session and the step's address."""
        await self.sign_in(user)
        session = await self.session(app, user=user)
        return session, f"/v1/sessions/{session['id']}/steps/{session['steps'][0]['id']}"

    async def awaiting(self, app: str = "Slack", *, user: str = "alice") -> tuple[dict[str, Any], str]:
        """The same with a popup open, whose attempt is `AN_ATTEMPT`."""
        session, address = await self.step(app, user=user)
        await self.ok("POST", f"{address}/popup", {"attempt_id": AN_ATTEMPT}, status=201)
        return session, address

    async def signal(self, address: str, kind: str, *, attempt: str = AN_ATTEMPT, **more: Any) -> httpx.Response:
        """Send a popup signal."""
        body = {"attempt_id": attempt, "kind": kind, **more}
        return await self.client.post(f"{address}/popup/signals", json=body)

    async def ok(self, method: str, path: str, body: object = None, *, status: int = 200) -> httpx.Response:
        """Send a request that must succeed."""
        answer = await self.client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer

    async def read(self, session: dict[str, Any]) -> dict[str, Any]:
        """Read the session again."""
        document: dict[str, Any] = (await self.ok("GET", f"/v1/sessions/{session['id']}")).json()
        return document

    async def asked(self) -> int:
        """Return how many requests Zapier has had."""
        stats = (await self.sim.control("GET", "/stats")).json()
        return int(stats["requests"]["total"])

    async def check(self) -> int:
        """Make every check that is due now, as a worker would; return how many there were."""
        now, settings = self.clock.now(), self.settings
        watches, budget = self.store.watches, self.store.budget
        due = await watches.peek(now=now, limit=100)
        for watch in due:
            token = f"token-{next(self._tokens)}"
            grant = await budget.take(
                watch.pages,
                egress=settings.egress_group,
                partner=settings.zapier_client_id,
                share=Share.STRONG,
                now=now,
            )
            for key in await watches.lease([watch.key], token=token, now=now, until=now + MINUTE):
                await self.zapwright.checker.check(key, token=token, permits=grant.permits)
        return len(due)

    async def deliver(self) -> None:
        """Relay every event and try every delivery that is due now, as a worker would."""
        zapwright, store, shards = self.zapwright, self.store, range(self.settings.shards)
        relay = Relay(
            deliveries=store.deliveries,
            endpoints=store.endpoints,
            sessions=store.sessions,
            queries=zapwright.queries,
            clock=self.clock,
            ids=zapwright.ids,
            render=rendering(self.settings),
        )
        while await relay.relay(shards):
            pass
        now = self.clock.now()
        for due in await store.deliveries.due(shards, now=now, limit=100):
            token = f"token-{next(self._tokens)}"
            held = await store.deliveries.lease([due.lane], token=token, now=now, until=now + MINUTE, most=100)
            for parcel, endpoint in await zapwright.courier.begin(DeliveryBatch(token=token, held=held)):
                await zapwright.courier.deliver(parcel, endpoint, token=token)


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    """Return a problem's status and code; the answer must be one."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    assert document["status"] == answer.status_code
    return answer.status_code, document["code"]
