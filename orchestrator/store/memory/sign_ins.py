"""Sign-ins in a plain dict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.ports.credentials import SignInStore
from orchestrator.core.session import Instant
from orchestrator.core.sign_ins import MOST_KEPT, SignIn, SignInState, shard_in
from orchestrator.store.memory.state import State


class MemorySignInStore:
    """`SignInStore` of one process, gone with it."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def begin(self, sign_in: SignIn) -> None:
        """Keep a new one."""
        if sign_in.id not in self._state.sign_ins:
            self._keep(sign_in)

    async def get(self, sign_in_id: str) -> SignIn | None:
        """Return the sign-in, None when there is none, or none any more."""
        shard_in(sign_in_id)
        return self._state.sign_ins.get(sign_in_id)

    async def move(self, before: SignIn, after: SignIn) -> bool:
        """Write `after` over a sign-in that is as far as `before`."""
        kept = self._state.sign_ins.get(before.id)
        if kept is None or kept.state is not before.state:
            return False
        self._keep(after)
        return True

    async def forget(self, shard: int, *, now: Instant, limit: int) -> int:
        """Erase sign-ins that are kept no longer, the oldest first; returns how many."""
        old = sorted(
            (sign_in.kept_until, sign_in.id)
            for sign_in in self._state.sign_ins.values()
            if shard_in(sign_in.id) == shard and sign_in.kept_until <= now
        )[:limit]
        for _, sign_in_id in old:
            del self._state.sign_ins[sign_in_id]
        return len(old)

    def _keep(self, sign_in: SignIn) -> None:
        """Keep it; of too many of its user the oldest go, those that are being finished last."""
        kept = self._state.sign_ins
        kept[sign_in.id] = sign_in
        user = sign_in.tenant_id, sign_in.user_id
        own = [one for one in kept.values() if (one.tenant_id, one.user_id) == user]
        others = sorted(
            (one for one in own if one.id != sign_in.id),
            key=lambda one: (one.state is SignInState.RETURNED, one.made_at, one.id),
        )
        for one in others[: max(0, len(own) - MOST_KEPT)]:
            del kept[one.id]


if TYPE_CHECKING:
    _: type[SignInStore] = MemorySignInStore
