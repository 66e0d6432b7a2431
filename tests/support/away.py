"""A deployment whose store comes and goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.sessions import Commit, Receipt, SessionStore, Written
from orchestrator.store.memory import MemoryStore
from tests.support.deployment import Deployment


class Away:
    """A part of a store that comes and goes: while it is away every call fails."""

    def __init__(self, inner: object) -> None:
        self._inner: Any = inner
        self.is_away = False
        self.is_broken = False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call: Callable[..., Any] = getattr(self._inner, name)

        async def perhaps(*args: Any, **named: Any) -> Any:
            if self.is_away:
                raise StoreUnavailableError(problem="away")
            if self.is_broken:
                raise RuntimeError("secret insides")
            return await call(*args, **named)

        return perhaps


class AwaySessions(Away):
    """Sessions of such a store, which may also lose the answers to commits."""

    def __init__(self, inner: SessionStore) -> None:
        super().__init__(inner)
        self.loses_answers = 0

    async def commit(self, commit: Commit) -> Written | Receipt:
        if self.is_away:
            raise StoreUnavailableError(problem="away")
        found: Written | Receipt = await self._inner.commit(commit)
        if self.loses_answers:
            self.loses_answers -= 1
            raise StoreUnavailableError(problem="the answer was lost")
        return found


def coming_and_going(**settings: Any) -> tuple[Deployment, AwaySessions]:
    """Return a deployment whose store can be away."""
    store = MemoryStore()
    sessions = AwaySessions(store.sessions)
    store.sessions = sessions  # type: ignore[assignment]
    return Deployment(store=store, **settings), sessions
