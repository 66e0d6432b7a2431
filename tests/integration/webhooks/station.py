"""A deployment whose events go out: store and use cases in the test's own process, workers as processes beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, TypeVar

from pydantic import SecretStr

from orchestrator.bootstrap import Zapwright, opened
from orchestrator.core.deliveries import Delivery, DeliveryState
from orchestrator.core.endpoints import Endpoint
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.events import EventName
from orchestrator.core.ports.webhooks import Backlog, DeliverySearch
from orchestrator.core.session import Session, SessionKey
from orchestrator.core.signals import SessionCancelled, SessionChanged
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.engine import NewSession
from orchestrator.settings import Settings
from orchestrator.webhooks import NewEndpoint
from tests.support.processes import SEALING_KEY, Process, a_worker
from tests.support.valkey import ValkeyServer

ALL: Final = frozenset(EventName)
LIMIT_S: Final = 30
"""More than a receiver that answers takes on a busy machine: it hears everything once."""

MOST_TRIES: Final = 20

Found = TypeVar("Found")


async def surely(ask: Callable[[], Awaitable[Found]]) -> Found:
    """Ask again while the store does not answer, as callers are told to; everything here may be repeated."""
    for _ in range(MOST_TRIES):
        try:
            return await ask()
        except StoreUnavailableError:
            await asyncio.sleep(0.1)
    return await ask()


class Station:
    """Sessions that change, and whoever hears of it."""

    def __init__(self, zapwright: Zapwright, *, valkey: ValkeyServer, folder: Path, limit_s: float) -> None:
        self.zapwright = zapwright
        self._limit_s = limit_s
        self._valkey = valkey
        self._folder = folder
        self._workers = 0

    async def endpoint(
        self, url: str, *, events: frozenset[EventName] = ALL, tenant: str = DEFAULT_TENANT, session: str | None = None
    ) -> Endpoint:
        """Have events sent there."""
        new = NewEndpoint(tenant_id=tenant, url=url, events=events, session_id=session)
        return (await self.zapwright.webhooks.create(new)).endpoint

    async def session(self, user: str, *, tenant: str = DEFAULT_TENANT) -> SessionKey:
        """Begin a session: its first event."""
        new = NewSession(tenant_id=tenant, user_id=user, reference=user)
        return (await surely(lambda: self.zapwright.engine.create_session(new))).session.key

    async def change(self, key: SessionKey, title: str) -> None:
        """Change a session: one event."""
        await surely(lambda: self.zapwright.engine.apply(key, SessionChanged(title=title)))

    async def cancel(self, key: SessionKey) -> None:
        """End a session: one event."""
        await surely(lambda: self.zapwright.engine.apply(key, SessionCancelled()))

    async def lived(self, users: Sequence[str], *, changes: int) -> list[SessionKey]:
        """Let so many sessions begin, change and end."""

        async def live(user: str) -> SessionKey:
            key = await self.session(user)
            for number in range(changes):
                await self.change(key, f"title {number}")
            await self.cancel(key)
            return key

        return list(await asyncio.gather(*map(live, users)))

    async def load(self, key: SessionKey) -> Session:
        """Return a session as it is."""
        return await self.zapwright.store.sessions.load(key)

    async def deliveries(self, endpoint: Endpoint, *, state: DeliveryState | None = None) -> tuple[Delivery, ...]:
        """Return the newest deliveries of an endpoint."""
        search = DeliverySearch(tenant_id=endpoint.tenant_id, endpoint_id=endpoint.id, state=state, limit=100)
        return (await self.zapwright.webhooks.find(search)).deliveries

    async def is_idle(self) -> bool:
        """Tell whether nothing is on its way to anybody."""
        store, shards = self.zapwright.store.deliveries, range(self.zapwright.settings.shards)
        return await store.backlog(shards, now=self.zapwright.clock.now()) == Backlog()

    @contextmanager
    def worker(self, *, is_awaited: bool = True, clock_ahead_ms: int = 0) -> Iterator[Process]:
        """Have a worker."""
        self._workers += 1
        log = self._folder / f"worker-{self._workers}.log"
        environment = {
            "ZAPWRIGHT_ZAPIER_API_URL": "http://127.0.0.1:1",
            "ZAPWRIGHT_CREDENTIAL_KEYS": SEALING_KEY,
            "ZAPWRIGHT_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
            "ZAPWRIGHT_WEBHOOK_LIMIT_S": str(self._limit_s),
        }
        with a_worker(
            log,
            redis_url=self._valkey.url,
            environment=environment,
            is_awaited=is_awaited,
            clock_ahead_ms=clock_ahead_ms,
        ) as process:
            yield process


@asynccontextmanager
async def a_station(valkey: ValkeyServer, folder: Path, *, limit_s: float) -> AsyncIterator[Station]:
    """Have a station on this store, whose receivers may take so long."""
    settings = Settings(
        zapier_api_url="http://127.0.0.1:1",
        credential_keys=(SecretStr(SEALING_KEY),),
        webhook_allowed_networks=("127.0.0.0/8",),
        webhook_limit_s=limit_s,
    )
    async with opened(settings, redis_url=valkey.url) as zapwright:
        yield Station(zapwright, valkey=valkey, folder=folder, limit_s=limit_s)
