"""A store in memory, a clock that tests move, a queue that keeps what it gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from orchestrator.core.effects import Due
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.watches import Settlement
from orchestrator.core.ports.workers import CheckBatch
from orchestrator.core.session import Instant, Millis, WatchKey
from orchestrator.store.limits import Limits
from orchestrator.store.memory import MemoryStore
from tests.support.store_values import APP, NOON, SHARDS, TENANT, a_session, committed, wait
from workers.dispatcher import Dispatcher


@dataclass(slots=True)
class ManualClock:
    """A clock that moves when a test says so, or when somebody sleeps by it."""

    at: Instant = NOON

    def now(self) -> Instant:
        return self.at

    async def sleep(self, duration: Millis) -> None:
        self.at += duration


class CountedIds:
    """Ids one after the other."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers):020d}"


@dataclass(slots=True)
class KeptQueue:
    """A queue that keeps every batch, or fails as it is told to."""

    batches: list[CheckBatch] = field(default_factory=list)
    failure: StoreUnavailableError | None = None

    async def enqueue(self, batch: CheckBatch) -> None:
        if self.failure is not None:
            raise self.failure
        self.batches.append(batch)

    @property
    def keys(self) -> list[WatchKey]:
        """Every watch that was sent, in order."""
        return [key for batch in self.batches for key, _ in batch.watches]

    @property
    def by_permit(self) -> list[WatchKey]:
        """Every watch that was sent, in the order in which permits were given."""
        sent = [(int(permits[0].id), key) for batch in self.batches for key, permits in batch.watches]
        return [key for _, key in sorted(sent)]

    @property
    def permits(self) -> list[Permit]:
        """Every permit that was sent."""
        return [permit for batch in self.batches for _, permits in batch.watches for permit in permits]


class Scene:
    """One dispatcher and everything around it."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.clock = ManualClock()
        self.ids = CountedIds()
        self.queue = KeptQueue()
        self.store = MemoryStore(shards=SHARDS, limits=self.limits)
        self.dispatcher = self.another_dispatcher()

    def another_dispatcher(self, *, partner_of: dict[str, str] | None = None) -> Dispatcher:
        """Return a dispatcher as another process has it."""
        partners = partner_of or {}

        async def partner(tenant: str) -> str:
            return partners.get(tenant, "partner")

        return Dispatcher(
            watches=self.store.watches,
            budget=self.store.budget,
            limits=self.limits,
            clock=self.clock,
            ids=self.ids,
            queue=self.queue,
            egress="here",
            partner_of=partner,
        )

    async def due(
        self,
        user: str,
        *,
        tenant: str = TENANT,
        strong: Millis | None = None,
        quiet: Millis | None = None,
        visible: bool = False,
    ) -> WatchKey:
        """Have a watch of this user that is due since so many milliseconds ago."""
        session = a_session(user, user=user, tenant=tenant)
        effect = wait(
            strong=None if strong is None else NOON - strong,
            quiet=None if quiet is None else NOON - quiet,
            visible_until=NOON + 60_000 if visible else 0,
        )
        await committed(self.store, session, effects=[effect])
        return WatchKey(tenant_id=tenant, user_id=user, app_id=APP)

    async def settled(self, key: WatchKey, *, pages: int, strong: Millis = 0) -> None:
        """Let a check of this watch end that found so many pages, and have it due since so many milliseconds ago."""
        token = self.ids.new("ck")
        await self.store.watches.lease([key], token=token, now=NOON, until=NOON + 1)
        watch = await self.store.watches.load(key, now=NOON)
        settlement = Settlement(
            key=key, token=token, version=watch.version, now=NOON, due=Due(strong=NOON - strong), pages=pages
        )
        await self.store.watches.settle(settlement)

    async def held(self, *, partner: str = "partner") -> int:
        """Return how many permits the egress group holds."""
        usage, _ = await self.store.budget.usage(egress="here", partner=partner, now=self.clock.now())
        return usage.held
