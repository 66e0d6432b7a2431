"""What worker processes say of themselves, and how much lies in RQ's queues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from orchestrator.core.errors.store import StoreError
from orchestrator.core.ports.workers import Queues, WorkerReport, WorkerRoll
from orchestrator.core.session import Instant
from orchestrator.store import keys
from orchestrator.store.client import connect_store
from orchestrator.store.codec import decode_worker, encode
from orchestrator.store.scripts import Scripts

CHECKS: Final = "zapwright-checks"
DELIVERIES: Final = "zapwright-deliveries"


class RedisWorkerRoll:
    """`WorkerRoll` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def report(self, report: WorkerReport) -> None:
        """Keep what a worker says of itself, instead of what it said before."""
        await self._scripts.run(("HSET", keys.workers(), report.id, encode(report)))

    async def leave(self, worker_id: str) -> None:
        """Forget a worker that has ended."""
        await self._scripts.run(("HDEL", keys.workers(), worker_id))

    async def all(self) -> tuple[WorkerReport, ...]:
        """Return what each worker last said, the newest worker first."""
        (found,) = await self._scripts.run(("HGETALL", keys.workers()))
        reports = (decode_worker(report) for report in found.values())
        return tuple(sorted(reports, key=lambda report: (-report.started_at, report.id)))

    async def forget(self, *, before: Instant) -> int:
        """Forget workers that were not heard of since then."""
        old = [report.id for report in await self.all() if report.seen_at < before]
        if old:
            await self._scripts.run(("HDEL", keys.workers(), *old))
        return len(old)


class RedisQueues:
    """`Queues` on the server where RQ keeps them."""

    def __init__(self, url: str) -> None:
        self._client = connect_store(url)
        self._scripts = Scripts(self._client)

    async def depths(self) -> Mapping[str, int | None]:
        """Return how many batches lie in each queue; None while its server does not answer."""
        names = (CHECKS, DELIVERIES)
        try:
            lengths = await self._scripts.run(*(("LLEN", f"rq:queue:{name}") for name in names))
        except StoreError:
            return dict.fromkeys(names)
        return dict(zip(names, lengths, strict=True))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()


if TYPE_CHECKING:
    _roll: type[WorkerRoll] = RedisWorkerRoll
    _queues: type[Queues] = RedisQueues
