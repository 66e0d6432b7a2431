"""Users as a whole in plain dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.ports.tenants import UserStore
from orchestrator.core.session import Instant
from orchestrator.store import keys
from orchestrator.store.memory.credentials import MemoryCredentialStore
from orchestrator.store.memory.state import State
from orchestrator.store.switchboard import Switchboard


class MemoryUserStore:
    """`UserStore` of one process, gone with it."""

    def __init__(self, state: State, credentials: MemoryCredentialStore, switchboard: Switchboard) -> None:
        self._state = state
        self._credentials = credentials
        self._switchboard = switchboard

    async def erase(self, tenant_id: str, user_id: str, *, now: Instant) -> None:
        """Erase everything that is kept of a user."""
        user, state = (tenant_id, user_id), self._state
        watches = {key: watch for key, watch in state.watches.items() if (key.tenant_id, key.user_id) == user}
        until = max((until for watch in watches.values() for until in watch.popups.values()), default=now)
        self._credentials.forget(tenant_id, user_id, yields_until=until if until > now else None)
        for key in watches:
            del state.watches[key]
        sessions = [kept.session for kept in state.sessions.values()]
        erased = [session.id for session in sessions if (session.tenant_id, session.user_id) == user]
        for session_id in erased:
            del state.sessions[session_id]
            state.forget_webhooks(session_id)
        state.references = {name: kept for name, kept in state.references.items() if name[:2] != user}
        state.receipts = {name: kept for name, kept in state.receipts.items() if name[:2] != user}
        state.sign_ins = {name: one for name, one in state.sign_ins.items() if (one.tenant_id, one.user_id) != user}
        state.calls.pop(user, None)
        for session_id in erased:
            self._switchboard.wake(keys.CHANGED + session_id)


if TYPE_CHECKING:
    _: type[UserStore] = MemoryUserStore
