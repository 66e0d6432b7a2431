"""Receipts in plain dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.ports.sessions import Receipt, ReceiptStore
from orchestrator.core.session import Instant, shard_of
from orchestrator.core.terms import Idempotency
from orchestrator.store import keys
from orchestrator.store.memory.state import State


class MemoryReceiptStore:
    """`ReceiptStore` of one process, gone with it."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def find(self, tenant_id: str, user_id: str, name: str, *, now: Instant) -> Receipt | None:
        """Return the user's receipt of this name, None when there is none that is good."""
        return self._state.receipt(tenant_id, user_id, name, now=now)

    async def bind(self, tenant_id: str, idempotency: Idempotency, *, now: Instant, until: Instant) -> str:
        """Keep the fingerprint under the name until then, unless one is kept; return the one that is kept."""
        bound, name = self._state.bound, (tenant_id, idempotency.name)
        kept_until, fingerprint = bound.get(name, (now, ""))
        if kept_until > now:
            return fingerprint
        bound.pop(name, None)
        bound[name] = until, idempotency.fingerprint
        while (oldest := next(iter(bound))) != name and bound[oldest][0] <= now:
            del bound[oldest]
        return idempotency.fingerprint

    async def forget(self, shard: int, *, now: Instant, limit: int) -> int:
        """Erase receipts that are good no more, the oldest first; returns how many."""
        old = sorted(
            (receipt.until, keys.receipt_member(*name), name)
            for name, receipt in self._state.receipts.items()
            if receipt.until <= now and shard_of(name[0], name[1], shards=self._state.shards) == shard
        )
        for _, _, name in old[:limit]:
            del self._state.receipts[name]
        return len(old[:limit])


if TYPE_CHECKING:
    _: type[ReceiptStore] = MemoryReceiptStore
