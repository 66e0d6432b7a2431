"""The search that needs no index: SCAN every session, read it, and keep what matches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from redis import Redis

READ_AT_ONCE = 500


def used_memory(url: str) -> int:
    """Return how many bytes the server has allocated."""
    with Redis.from_url(url) as redis:
        return int(redis.info("memory")["used_memory"])


def search(url: str, *, state: str, app_id: str) -> int:
    """Return how many sessions have a step with this app in this state."""
    with Redis.from_url(url) as redis:
        return sum(
            any(step["state"] == state and (step["app"] or {}).get("id") == app_id for step in session["steps"])
            for session in _sessions(redis)
        )


def _sessions(redis: Redis) -> Iterator[dict[str, Any]]:
    names = redis.scan_iter("zw:{??}:session:zs*", count=1_000, _type="hash")
    own = (name for name in names if name.count(b":") == 3)
    while chunk := [name for _, name in zip(range(READ_AT_ONCE), own, strict=False)]:
        pipeline = redis.pipeline(transaction=False)
        for name in chunk:
            pipeline.hget(name, "document")
        yield from (msgspec.json.decode(document) for document in pipeline.execute() if document)
