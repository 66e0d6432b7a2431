"""What operators did, as it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from orchestrator.core.session import Instant

if TYPE_CHECKING:
    from orchestrator.core.interventions import AuditEntry, Intervention


@dataclass(frozen=True, kw_only=True)
class AuditQuery:
    """Which entries to list: those that match every given value, youngest first. `within` None: of every tenant."""

    within: frozenset[str] | None = None
    session_id: str | None = None
    key_id: str | None = None
    action: Intervention | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    """One page of entries; `cursor` continues after it, None at the end."""

    entries: tuple[AuditEntry, ...]
    cursor: str | None = None


class AuditLog(Protocol):
    """What operators did. What changed a session was written by the commit that changed it."""

    async def add(self, entry: AuditEntry) -> None:
        """Keep an entry of what changed no session; twice is once."""
        ...

    async def find(self, query: AuditQuery) -> AuditPage:
        """Return one page of the entries that match. Raises ValueError for a cursor that is not ours."""
        ...

    async def forget(self, shard: int, *, before: Instant, limit: int) -> int:
        """Erase entries made before `before`, the oldest first; returns how many."""
        ...
