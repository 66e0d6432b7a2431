"""Receipts in a Redis-protocol store; `lua/commit.lua` writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.ports.sessions import Receipt, ReceiptStore
from orchestrator.core.session import Instant, shard_of
from orchestrator.core.terms import Idempotency
from orchestrator.store import keys
from orchestrator.store.codec import decode_receipt
from orchestrator.store.scripts import Call, Scripts


class RedisReceiptStore:
    """`ReceiptStore` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts, *, shards: int) -> None:
        self._scripts = scripts
        self._shards = shards

    async def find(self, tenant_id: str, user_id: str, name: str, *, now: Instant) -> Receipt | None:
        """Return the user's receipt of this name, None when there is none that is good."""
        shard = shard_of(tenant_id, user_id, shards=self._shards)
        (found,) = await self._scripts.run(("HGET", keys.receipts(shard, tenant_id, user_id), name))
        receipt = None if found is None else decode_receipt(found)
        return receipt if receipt is not None and receipt.until > now else None

    async def bind(self, tenant_id: str, idempotency: Idempotency, *, now: Instant, until: Instant) -> str:
        """Keep the fingerprint under the name until then, unless one is kept; return the one that is kept."""
        names = [keys.bound(tenant_id, idempotency.name)]
        kept: bytes = await self._scripts.call(Call("bind", names, [idempotency.fingerprint, now, until]))
        return kept.decode()

    async def forget(self, shard: int, *, now: Instant, limit: int) -> int:
        """Erase receipts that are good no more, the oldest first; returns how many."""
        (old,) = await self._scripts.run(
            ("ZRANGE", keys.good_receipts(shard), "-inf", now, "BYSCORE", "LIMIT", 0, limit)
        )
        return sum(await self._scripts.call_each([_forget(shard, member.decode(), now=now) for member in old]))


def _forget(shard: int, member: str, *, now: Instant) -> Call:
    tenant_id, user_id, name = keys.member_receipt(member)
    names = [keys.good_receipts(shard), keys.receipts(shard, tenant_id, user_id)]
    return Call("forget_receipt", names, [member, name, now])


if TYPE_CHECKING:
    _: type[ReceiptStore] = RedisReceiptStore
