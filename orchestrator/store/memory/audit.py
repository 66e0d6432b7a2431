"""The audit and the record of calls in plain dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.interventions import AuditEntry
from orchestrator.core.ports.audit import AuditLog, AuditPage, AuditQuery
from orchestrator.core.ports.calls import CallKind, CallLog, CallRecord
from orchestrator.core.session import MINUTE, Instant, session_shard
from orchestrator.store.memory.state import State
from orchestrator.store.places import AuditPlace
from orchestrator.store.rules import KEPT_CALLS, audited


class MemoryAuditLog:
    """`AuditLog` of one process, gone with it."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def add(self, entry: AuditEntry) -> None:
        """Keep an entry of what changed no session."""
        self._state.audit.setdefault(entry.id, entry)

    async def find(self, query: AuditQuery) -> AuditPage:
        """Return one page of the entries that match."""
        below = AuditPlace.from_cursor(query.cursor) if query.cursor is not None else None
        found = [
            entry
            for entry in self._state.audit.values()
            if audited(entry, query) and (below is None or AuditPlace.of(entry) < below)
        ]
        found.sort(key=AuditPlace.of, reverse=True)
        page = tuple(found[: query.limit])
        return AuditPage(entries=page, cursor=AuditPlace.of(page[-1]).cursor if len(found) > len(page) else None)

    async def forget(self, shard: int, *, before: Instant, limit: int) -> int:
        """Erase entries made before `before`, the oldest first."""
        kept = self._state.audit.values()
        old = sorted(
            (AuditPlace.of(entry), entry.id)
            for entry in kept
            if session_shard(entry.session_id) == shard and entry.at < before
        )
        for _, entry_id in old[:limit]:
            del self._state.audit[entry_id]
        return len(old[:limit])


class MemoryCallLog:
    """`CallLog` of one process, gone with it."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def note(self, tenant_id: str, user_id: str, record: CallRecord) -> None:
        """Keep the record, among the newest, and count it."""
        user = tenant_id, user_id
        if user in self._state.credentials:
            self._state.calls[user] = [*self._state.calls.get(user, []), record][-KEPT_CALLS:]
        kind = CallKind(tenant_id=tenant_id, endpoint=record.endpoint)
        self._state.called[record.at - record.at % MINUTE, kind, record.end] += 1

    async def of_user(self, tenant_id: str, user_id: str) -> tuple[CallRecord, ...]:
        """Return what is kept of the user's calls, oldest first."""
        return tuple(self._state.calls.get((tenant_id, user_id), []))


if TYPE_CHECKING:
    _audit: type[AuditLog] = MemoryAuditLog
    _calls: type[CallLog] = MemoryCallLog
