"""Sign-ins in a Redis-protocol store: those of a shard lie together, for they are few and soon forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.ports.credentials import SignInStore
from orchestrator.core.session import Instant
from orchestrator.core.sign_ins import MOST_KEPT, SignIn, SignInState, shard_in
from orchestrator.store import keys
from orchestrator.store.codec import decode_sign_in, encode
from orchestrator.store.scripts import Argument, Call, Scripts


class RedisSignInStore:
    """`SignInStore` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def begin(self, sign_in: SignIn) -> None:
        """Keep a new one."""
        await self._write(sign_in, read="")

    async def get(self, sign_in_id: str) -> SignIn | None:
        """Return the sign-in, None when there is none, or none any more."""
        (found,) = await self._scripts.run(("HGET", keys.sign_ins(shard_in(sign_in_id)), sign_in_id))
        return None if found is None else decode_sign_in(found)

    async def move(self, before: SignIn, after: SignIn) -> bool:
        """Write `after` over a sign-in that is as far as `before`."""
        return await self._write(after, read=before.state)

    async def forget(self, shard: int, *, now: Instant, limit: int) -> int:
        """Erase sign-ins that are kept no longer, the oldest first; returns how many."""
        (old,) = await self._scripts.run(
            ("ZRANGE", keys.kept_sign_ins(shard), "-inf", now, "BYSCORE", "LIMIT", 0, limit)
        )
        if old:
            (found,) = await self._scripts.run(("HMGET", keys.sign_ins(shard), *old))
            kept = [decode_sign_in(one) for one in found if one is not None]
            # In this order: who dies in between leaves enough for the next to find them.
            await self._scripts.run(*(("ZREM", _own(shard, one), one.id) for one in kept))
            await self._scripts.run(("HDEL", keys.sign_ins(shard), *old))
            await self._scripts.run(("ZREM", keys.kept_sign_ins(shard), *old))
        return len(old)

    async def _write(self, sign_in: SignIn, *, read: str) -> bool:
        shard = shard_in(sign_in.id)
        touched = [keys.sign_ins(shard), keys.kept_sign_ins(shard), _own(shard, sign_in)]
        written: list[Argument] = [
            sign_in.id,
            read,
            encode(sign_in),
            sign_in.kept_until,
            sign_in.made_at,
            MOST_KEPT,
            SignInState.RETURNED,
        ]
        return bool(await self._scripts.call(Call("write_sign_in", touched, written)))


def _own(shard: int, sign_in: SignIn) -> str:
    return keys.user_sign_ins(shard, sign_in.tenant_id, sign_in.user_id)


if TYPE_CHECKING:
    _: type[SignInStore] = RedisSignInStore
