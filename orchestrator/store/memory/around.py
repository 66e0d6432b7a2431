"""The cache, the leases and the news of one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from orchestrator.core.ports.around import Cache, Changes, Leases, Subscription
from orchestrator.core.ports.workers import WorkerReport, WorkerRoll
from orchestrator.core.session import Instant
from orchestrator.store import keys
from orchestrator.store.switchboard import Switchboard


class MemoryCache:
    """`Cache` of one process, gone with it."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[Instant, bytes]] = {}

    async def get(self, key: str, *, now: Instant) -> bytes | None:
        """Return what was put, unless its time is over."""
        until, value = self._values.get(key, (now, b""))
        return value if until > now else None

    async def put(self, key: str, value: bytes, *, now: Instant, until: Instant) -> None:
        """Keep this until then."""
        self._values = {name: kept for name, kept in self._values.items() if kept[0] > now}
        self._values[key] = (until, value)


class MemoryLeases:
    """`Leases` of one process, gone with it."""

    def __init__(self) -> None:
        self._leases: dict[str, tuple[str, Instant]] = {}

    async def acquire(self, name: str, *, holder: str, now: Instant, until: Instant) -> bool:
        """Take or prolong the lease; False while somebody else has it."""
        holding, held_until = self._leases.get(name, (holder, 0))
        if holding != holder and held_until > now:
            return False
        self._leases[name] = (holder, until)
        return True

    async def release(self, name: str, *, holder: str) -> None:
        """Free it, if it is ours."""
        if self._leases.get(name, ("", 0))[0] == holder:
            del self._leases[name]


class MemoryWorkerRoll:
    """`WorkerRoll` of one process, gone with it."""

    def __init__(self) -> None:
        self._reports: dict[str, WorkerReport] = {}

    async def report(self, report: WorkerReport) -> None:
        """Keep what a worker says of itself, instead of what it said before."""
        self._reports[report.id] = report

    async def leave(self, worker_id: str) -> None:
        """Forget a worker that has ended."""
        self._reports.pop(worker_id, None)

    async def all(self) -> tuple[WorkerReport, ...]:
        """Return what each worker last said, the newest worker first."""
        return tuple(sorted(self._reports.values(), key=lambda report: (-report.started_at, report.id)))

    async def forget(self, *, before: Instant) -> int:
        """Forget workers that were not heard of since then."""
        old = [report.id for report in self._reports.values() if report.seen_at < before]
        for worker_id in old:
            del self._reports[worker_id]
        return len(old)


class MemoryChanges:
    """`Changes` of one process."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard

    @asynccontextmanager
    async def session(self, session_id: str) -> AsyncIterator[Subscription]:
        """Subscribe to one session's commits."""
        with self._switchboard.listening(keys.CHANGED + session_id) as listener:
            yield listener

    @asynccontextmanager
    async def due(self) -> AsyncIterator[Subscription]:
        """Subscribe to watches becoming due at once."""
        with self._switchboard.listening(keys.DUE) as listener:
            yield listener

    @asynccontextmanager
    async def outgoing(self) -> AsyncIterator[Subscription]:
        """Subscribe to outboxes being empty no more."""
        with self._switchboard.listening(keys.OUTGOING) as listener:
            yield listener


if TYPE_CHECKING:
    _cache: type[Cache] = MemoryCache
    _leases: type[Leases] = MemoryLeases
    _workers: type[WorkerRoll] = MemoryWorkerRoll
    _changes: type[Changes] = MemoryChanges
