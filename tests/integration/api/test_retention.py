"""What is over is removed in its time: a store that is left alone does not grow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from redis import Redis

from orchestrator.core.session import MINUTE
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.settings import Settings
from orchestrator.store.audit import CALLS_KEPT_FOR
from orchestrator.store.limits import UNLIMITED, Limits
from orchestrator.store.opening import open_store
from tests.support.busy import a_busy_life
from tests.support.deployment import Deployment
from tests.support.processes import SEALING_KEY
from tests.support.traces import kind_of, mentions
from tests.support.valkey import running_valkey

LEFT: Final = ("credential", "profile", "user:profiles")
EXPIRING: Final = "user:calls"
"""What the server removes by its own clock, which no test turns forward."""

USER: Final = "erin:the/retired"
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
LONGEST: Final = 16 * DAY
"""A session's day and week, and a claim's week; with room for what is counted from another's end."""


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A store server."""
    with running_valkey() as server:
        yield server.url


@pytest.mark.slow
async def test_in_time_only_the_credential_is_left(redis_url: str) -> None:
    """Sessions, streams, signals, claims, watches, receipts and whatever leads to them: all swept away."""
    shards = Settings().shards
    limits = Limits(egress=UNLIMITED, partner=UNLIMITED)
    store = open_store(redis_url, shards=shards, limits=limits, credential_keys=[SEALING_KEY])
    api = Deployment(store=store)
    with Redis.from_url(redis_url) as redis:
        sessions = await a_busy_life(api, user=USER)
        before = mentions(redis, [USER, *sessions])
        end = api.clock.now() + LONGEST
        while api.clock.now() < end:
            api.clock.manual.advance(2 * HOUR)
            await api.check()
            for shard in range(shards):
                await api.zapwright.sweeper.sweep(shard)
        found = mentions(redis, [USER, *sessions])
        calls = [redis.pttl(key) for key in redis.scan_iter(match="*") if kind_of(key.decode()) == EXPIRING]
        credential = await store.credentials.get(DEFAULT_TENANT, USER)
    await api.aclose()
    await store.aclose()

    assert credential is not None
    assert set(before) > {"outbox", "receipts", "kept", "index", "wake", *LEFT}
    assert found == {name: {USER} for name in (EXPIRING, *LEFT)}
    assert all(0 < remaining <= CALLS_KEPT_FOR for remaining in calls)
