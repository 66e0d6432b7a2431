"""The floor: the least that is durable. A pydantic route, and one script through redis-py.

No rules, no keys, nobody is told: what no product can do without.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel
from redis.asyncio import Redis

from bench.lifecycle.load import Client

COMMIT = """
local version = tonumber(redis.call("HGET", KEYS[1], "version") or 0)
redis.call("HSET", KEYS[1], "version", version + 1, "document", ARGV[1])
redis.call("XADD", KEYS[2], "MAXLEN", "~", 1000, "*", "event", ARGV[1])
return version + 1
"""


class Transition(BaseModel):
    """One transition of a session."""

    signal: str
    value: str | None = None


class Committed(BaseModel):
    """The session after it."""

    id: str
    version: int


def create_app(redis_url: str) -> FastAPI:
    """Build the application on a store."""
    redis = Redis.from_url(redis_url)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.digest = await redis.script_load(COMMIT)
        yield
        await redis.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.post("/sessions/{session_id}/transitions")
    async def commit(session_id: str, transition: Transition) -> Committed:
        document = transition.model_dump_json()
        keys = (f"session:{session_id}", f"events:{session_id}")
        version = await redis.evalsha(app.state.digest, len(keys), *keys, document)
        return Committed(id=session_id, version=version)

    return app


async def life(client: Client, number: int) -> None:
    """Commit four transitions."""
    for signal, value in (("created", None), ("app_chosen", "hubspot"), ("popup_opened", None), ("message", "1")):
        body = json.dumps({"signal": signal, "value": value}).encode()
        await client.transition("POST", f"/sessions/{number}/transitions", body)
