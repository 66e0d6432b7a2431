"""Ours with everything on: keys checked, idempotency keys sent, rules, events, outbox, budget, logs, metrics."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from bench.lifecycle.load import Client, Connection
from bench.lifecycle.upstream import APP, ORIGIN, made, token
from orchestrator.clock import SystemClock
from orchestrator.core.ports.credentials import NewTokens
from orchestrator.core.tenants import DEFAULT_TENANT, ApiKey, Scope, digest_of, key_text
from orchestrator.settings import Settings
from orchestrator.store.limits import Limits
from orchestrator.store.opening import open_store

API_KEY: Final = "key-of-the-benchmark"
RESOLVED_WITHIN_S: Final = 60.0
PUT_AT_ONCE: Final = 200


class NotResolvedError(Exception):
    """A session's step did not end with what its user connected; the benchmark has no result."""


class _Step(msgspec.Struct):
    id: str
    state: str
    authentication: dict[str, str | bool] | None


class _Session(msgspec.Struct):
    id: str
    steps: list[_Step]


_session = msgspec.json.Decoder(_Session)


def environment(*, redis_url: str, credential_key: str) -> dict[str, str]:
    """Return what our processes are told.

    The defaults, but for a rate limit that a benchmark does not reach, and logs as deployments write them.
    """
    return {
        "REDIS_URL": redis_url,
        "ZAPWRIGHT_API_KEY": API_KEY,
        "ZAPWRIGHT_CREDENTIAL_KEYS": credential_key,
        "ZAPWRIGHT_TOKEN_KEYS": "t" * 32,
        "ZAPWRIGHT_ZAPIER_API_URL": ORIGIN,
        "ZAPWRIGHT_LOG_FORMAT": "json",
        "ZAPWRIGHT_RATE_LIMIT_EGRESS": "1000000",
        "ZAPWRIGHT_RATE_LIMIT_PARTNER": "1000000",
    }


async def operator_key(*, redis_url: str, credential_key: str) -> str:
    """Make an operator's key, as `zapwright api-keys create --operator` does, and return it."""
    store = open_store(redis_url, shards=Settings().shards, limits=Limits(), credential_keys=(credential_key,))
    secret = "s" * 43
    key = ApiKey(
        id="akbenchmark",
        tenant_id=None,
        name="benchmark",
        scopes=frozenset({Scope.OPERATOR}),
        digest=digest_of(secret),
        created_at=SystemClock().now(),
    )
    try:
        await store.check()
        await store.api_keys.create(key)
    finally:
        await store.aclose()
    return key_text(key.id, secret)


async def sign_in(numbers: range, *, redis_url: str, credential_key: str) -> None:
    """Put a credential for the user of each number, as `PUT /v1/users/{user_id}/credential` would."""
    store = open_store(redis_url, shards=Settings().shards, limits=Limits(), credential_keys=(credential_key,))
    try:
        await store.check()
        for first in range(numbers.start, numbers.stop, PUT_AT_ONCE):
            several = range(first, min(first + PUT_AT_ONCE, numbers.stop))
            putting = (
                store.credentials.put(
                    DEFAULT_TENANT,
                    _user(number),
                    NewTokens(access_token=token(number)),
                    profile=None,
                    now=SystemClock().now(),
                )
                for number in several
            )
            await asyncio.gather(*putting)
    finally:
        await store.aclose()


@dataclass(frozen=True, slots=True)
class Walked:
    """A session that was walked through its life: its step must end with what the user of this number connected."""

    session_id: str
    number: int


class Lives:
    """Walks sessions through their lives, and afterwards verifies that each was resolved."""

    def __init__(self, walked: Iterable[Walked] = ()) -> None:
        self._walked = list(walked)

    async def __call__(self, client: Client, number: int) -> None:
        """Walk one session through its life: it ends when the message's commit is answered."""
        body = _json({"user_id": _user(number), "steps": [{}]})
        session = _session.decode(await client.transition("POST", "/v1/sessions", body, _headers()))
        step = f"/v1/sessions/{session.id}/steps/{session.steps[0].id}"
        await client.transition("PUT", f"{step}/app", _json({"app_id": APP}), _headers())
        attempt = str(uuid.uuid4())
        await client.transition("POST", f"{step}/popup", _json({"attempt_id": attempt}), _headers())
        message = _json({"attempt_id": attempt, "kind": "message", "authentication_id": made(number)})
        await client.transition("POST", f"{step}/popup/signals", message, _headers())
        self._walked.append(Walked(session.id, number))

    async def verify(self, port: int) -> int:
        """Wait until every step is resolved, each with its own authentication; returns how many sessions that were.

        Raises NotResolvedError.
        """
        deadline = time.monotonic() + RESOLVED_WITHIN_S
        connection = await Connection.open(port)
        try:
            for walked in self._walked:
                while not await self._is_resolved(connection, walked):
                    if time.monotonic() > deadline:
                        raise NotResolvedError(f"session {walked.session_id} was not resolved")
                    await asyncio.sleep(0.05)
        finally:
            await connection.aclose()
        done = len(self._walked)
        self._walked.clear()
        return done

    async def _is_resolved(self, connection: Connection, walked: Walked) -> bool:
        _, answer = await connection.ask("GET", f"/v1/sessions/{walked.session_id}", headers=_headers())
        step = _session.decode(answer).steps[0]
        if step.state != "resolved" or step.authentication is None:
            return False
        if step.authentication["id"] != made(walked.number):
            raise NotResolvedError(f"session {walked.session_id} got another user's authentication")
        return True


def _user(number: int) -> str:
    return f"user-{number}"


def _headers() -> str:
    return f"Authorization: Bearer {API_KEY}\r\nIdempotency-Key: {uuid.uuid4()}\r\n"


def _json(body: Mapping[str, object]) -> bytes:
    return msgspec.json.encode(body)
