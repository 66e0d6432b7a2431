"""What carries work to workers, and who they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.webhooks import Held
from orchestrator.core.session import SECOND, Instant, Millis, WatchKey

ALIVE_FOR: Final[Millis] = 30 * SECOND
"""How long a worker is taken to live that was not heard of."""


@dataclass(frozen=True, kw_only=True)
class DeliveryBatch:
    """Lanes leased together, perhaps of several shards; several batches may be of one lease."""

    token: str
    held: tuple[Held, ...]


class DeliveryQueue(Protocol):
    """What carries leased lanes to a worker. It may lose a batch: the leases then run out."""

    async def enqueue(self, batch: DeliveryBatch) -> None:
        """Hand the batch over; it should be started soon."""
        ...


@dataclass(frozen=True, kw_only=True)
class CheckBatch:
    """Watches leased under one token, each with the permits its check may use."""

    token: str
    watches: tuple[tuple[WatchKey, tuple[Permit, ...]], ...]


class CheckQueue(Protocol):
    """What carries leased watches to a worker. It may lose a batch: the lease then runs out."""

    async def enqueue(self, batch: CheckBatch) -> None:
        """Hand the batch over; it should be started soon."""
        ...


@dataclass(frozen=True, kw_only=True)
class WorkerReport:
    """What a worker process says of itself: what it is, and how many checks and deliveries it has in hand."""

    id: str
    host: str
    pid: int
    started_at: Instant
    seen_at: Instant
    checks: int = 0
    deliveries: int = 0

    def is_alive(self, *, now: Instant) -> bool:
        """Tell whether the worker is taken to live: it was heard of not long ago."""
        return now - self.seen_at < ALIVE_FOR


class WorkerRoll(Protocol):
    """The workers there are. Losing any of it loses nothing: they report again."""

    async def report(self, report: WorkerReport) -> None:
        """Keep what a worker says of itself, instead of what it said before."""
        ...

    async def leave(self, worker_id: str) -> None:
        """Forget a worker that has ended; twice is fine."""
        ...

    async def all(self) -> tuple[WorkerReport, ...]:
        """Return what each worker last said, the newest worker first."""
        ...

    async def forget(self, *, before: Instant) -> int:
        """Forget workers that were not heard of since then; returns how many."""
        ...


class Queues(Protocol):
    """The queues that carry batches to workers."""

    async def depths(self) -> Mapping[str, int | None]:
        """Return how many batches lie in each queue; None while that cannot be told."""
        ...
