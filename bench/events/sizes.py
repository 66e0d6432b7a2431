"""What the store keeps of a session: with its whole history, and once that is trimmed.

Sessions of many users live on a store of their own: two steps, each with a popup, hints and an authentication, and an
endpoint that is sent what it is sent by default. The figures are the store's own memory over all keys: documents,
events, signals, indexes, watches, deliveries' records. A user's credential is there before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from cryptography.fernet import Fernet
from pydantic import SecretStr
from redis import Redis

from api.views import rendering
from bench.lifecycle.upstream import APP, Answers
from orchestrator.bootstrap import Zapwright, opened
from orchestrator.clock import SystemClock
from orchestrator.core.events import OUTCOMES
from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.credentials import Credential, NewTokens
from orchestrator.core.ports.upstream import Upstream
from orchestrator.core.ports.workers import DeliveryBatch
from orchestrator.core.session import MINUTE, Authentication, HintKind, Instant, Listing, Session
from orchestrator.core.signals import Hinted, SessionCancelled
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.core.trimming import trimmed
from orchestrator.engine import NewSession, NewStep
from orchestrator.relaying import Relay
from orchestrator.settings import Settings
from orchestrator.store import embedded
from orchestrator.webhooks import NewEndpoint

STEPS: Final = 2
AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes of the store, for one session. `events` is how many it had; `alone`: trimmed, and its watch forgotten."""

    events: int
    whole: int
    trimmed: int
    alone: int


class Connected(Answers):
    """One app, and of each user what they have connected so far."""

    def __init__(self) -> None:
        self._now = SystemClock().now
        super().__init__(SystemClock())
        self.found: dict[str, tuple[Authentication, ...]] = {}

    def connect(self, user_id: str, authentication: Authentication) -> None:
        """Have one more."""
        self.found[user_id] = (*self.found.get(user_id, ()), authentication)

    async def authentications(self, credential: Credential, app_id: str, *, permits: Sequence[Permit] = ()) -> Listing:
        """Return a complete listing."""
        del permits
        found = self.found.get(credential.user_id, ())
        return Listing(app_id=app_id, authentications=found, begun_at=self._now(), account=credential.account)


async def measured(folder: Path, *, url: str, networks: str, sessions: int) -> Sizes:
    """Let so many sessions live, and measure. Every message goes to `url`."""
    store = embedded.start(folder, appendfsync="everysec")
    try:
        settings = Settings(
            zapier_api_url="http://127.0.0.1:1",
            credential_keys=(SecretStr(Fernet.generate_key().decode()),),
            webhook_allowed_networks=(networks,),
            log_level="warning",
        )
        upstream = Connected()
        async with opened(settings, redis_url=store.url, upstream=cast("Upstream", upstream)) as zapwright:
            with Redis.from_url(store.url) as redis:
                return await _measured(zapwright, upstream, redis, url=url, sessions=sessions)
    finally:
        store.stop()


async def _measured(zapwright: Zapwright, upstream: Connected, redis: Redis, *, url: str, sessions: int) -> Sizes:
    new = NewEndpoint(tenant_id=DEFAULT_TENANT, url=url, events=OUTCOMES)
    await zapwright.webhooks.create(new)
    users = [f"user-{number:06d}" for number in range(AT_ONCE + sessions)]
    for user in users:
        await zapwright.store.credentials.put(
            DEFAULT_TENANT, user, NewTokens(access_token=user), profile=None, now=zapwright.clock.now()
        )
    await _lived(zapwright, upstream, users[:AT_ONCE])  # what every shard has once
    now = zapwright.clock.now() + zapwright.policy.history
    await _forget_watches(zapwright, before=now)
    before = _used(redis)
    lived = await _lived(zapwright, upstream, users[AT_ONCE:])
    whole = _used(redis)
    for session in lived:
        left = trimmed(session, now=now)
        if not await zapwright.store.sessions.trim(left, now=now, wake_at=now, if_pending_at=now):
            raise SystemExit(f"session {session.id} has deliveries that are pending")
    after = _used(redis)
    await _forget_watches(zapwright, before=now)
    alone = _used(redis)
    return Sizes(
        events=round(sum(session.seq for session in lived) / sessions),
        whole=round((whole - before) / sessions),
        trimmed=round((after - before) / sessions),
        alone=round((alone - before) / sessions),
    )


async def _forget_watches(zapwright: Zapwright, *, before: Instant) -> None:
    for shard in range(zapwright.settings.shards):
        while await zapwright.store.watches.forget_claims(shard, before=before, limit=AT_ONCE):
            pass


async def _lived(zapwright: Zapwright, upstream: Connected, users: Sequence[str]) -> list[Session]:
    lived: list[Session] = []
    for begin in range(0, len(users), AT_ONCE):
        part = users[begin : begin + AT_ONCE]
        lived += await asyncio.gather(*(_live(zapwright, upstream, user) for user in part))
        await _deliver(zapwright)
    return lived


async def _live(zapwright: Zapwright, upstream: Connected, user: str) -> Session:
    """Let one session live from its beginning to its end."""
    engine = zapwright.engine
    new = NewSession(tenant_id=DEFAULT_TENANT, user_id=user, title="New leads", steps=(NewStep(),) * STEPS)
    session = (await engine.create_session(new)).session
    for number, step in enumerate(session.steps):
        attempt = f"3f2c9a52-8d0e-4c5f-{number:04d}-{user:>012}"
        await engine.choose_app(session.key, step.id, APP)
        await engine.open_popup(session.key, step.id, attempt)
        for kind in (HintKind.FOCUS, HintKind.FINISHED):
            await engine.apply(session.key, Hinted(step_id=step.id, attempt_id=attempt, kind=kind))
        connected = Authentication(id=f"{number}{user}", title="HubSpot ada@example.com")
        upstream.connect(user, connected)
        await engine.select(session.key, step.id, connected.id)
    return (await engine.apply(session.key, SessionCancelled())).session


async def _deliver(zapwright: Zapwright) -> None:
    """Relay every event and deliver every message, as a worker would."""
    deliveries, shards = zapwright.store.deliveries, range(zapwright.settings.shards)
    relay = Relay(
        deliveries=deliveries,
        endpoints=zapwright.store.endpoints,
        sessions=zapwright.store.sessions,
        queries=zapwright.queries,
        clock=zapwright.clock,
        ids=zapwright.ids,
        render=rendering(zapwright.settings),
    )
    while await relay.relay(shards):
        pass
    while due := await deliveries.due(shards, now=zapwright.clock.now(), limit=AT_ONCE):
        now, token = zapwright.clock.now(), zapwright.ids.new("wd")
        for one in due:
            held = await deliveries.lease([one.lane], token=token, now=now, until=now + MINUTE, most=len(due))
            for parcel, endpoint in await zapwright.courier.begin(DeliveryBatch(token=token, held=held)):
                await zapwright.courier.deliver(parcel, endpoint, token=token)


def _used(redis: Redis) -> int:
    """Return the bytes of all keys and what the server needs to find them, without its connections and buffers."""
    said = redis.memory_stats()
    return int(said["dataset.bytes"]) + int(said["db.0"]["overhead.hashtable.main"])
