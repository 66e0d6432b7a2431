"""The audit and the record of calls in a Redis-protocol store.

Entries that go with a change of a session, or with a replay, are written by the script that makes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.core.health import HOUR
from orchestrator.core.interventions import AuditEntry
from orchestrator.core.ports.audit import AuditLog, AuditPage, AuditQuery
from orchestrator.core.ports.calls import CallLog, CallRecord
from orchestrator.core.session import MINUTE, Instant, session_shard, shard_of
from orchestrator.store import keys
from orchestrator.store.codec import decode_audit_entry, decode_call, encode
from orchestrator.store.finding import LOOKED_AT, Walk
from orchestrator.store.places import AuditPlace
from orchestrator.store.rules import KEPT_CALLS, KEPT_HOURS_S, KEPT_MINUTES_S, audit_members
from orchestrator.store.scripts import Argument, Call, Scripts

CALLS_KEPT_FOR: Final = 7 * 24 * 60 * MINUTE


class RedisAuditLog:
    """`AuditLog` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts, *, shards: int) -> None:
        self._scripts = scripts
        self._shards = shards

    async def add(self, entry: AuditEntry) -> None:
        """Keep an entry of what changed no session."""
        await self._scripts.call(Call("audit", audit_keys(entry), audit_arguments(entry)))

    async def find(self, query: AuditQuery) -> AuditPage:
        """Return one page of the entries that match."""
        places = await self._places(query)
        page = places[: query.limit]
        replies = await self._scripts.run(
            *(("HGET", keys.audit(shard), place.entry_id) for place, shard in page),
        )
        return AuditPage(
            entries=tuple(decode_audit_entry(found) for found in replies if found is not None),
            cursor=page[-1][0].cursor if len(places) > len(page) else None,
        )

    async def forget(self, shard: int, *, before: Instant, limit: int) -> int:
        """Erase entries made before `before`, the oldest first."""
        names = [keys.audit(shard), keys.audit_index(shard)]
        arguments: list[Argument] = [f"{max(before, 0):015d}", limit]
        return int(await self._scripts.call(Call("forget_audit", names, arguments)))

    async def _places(self, query: AuditQuery) -> list[tuple[AuditPlace, int]]:
        """Return the youngest places that match, with their shards; more than the page holds, if there are."""
        below = AuditPlace.from_cursor(query.cursor).text if query.cursor is not None else ""
        walks = [
            (shard, Walk(keys.audit_index(shard), below), prefixes)
            for shard in _shards(query, shards=self._shards)
            for prefixes in _prefixes(query)
        ]
        while going := [one for one in walks if one[1].goes_on and len(one[1].found) <= query.limit]:
            calls = [
                walk.call(prefixes, wanted=query.limit + 1 - len(walk.found), looked_at=LOOKED_AT)
                for _, walk, prefixes in going
            ]
            for (_, walk, _), reply in zip(going, await self._scripts.call_each(calls), strict=True):
                walk.advance(reply)
        return sorted(((AuditPlace(place), shard) for shard, walk, _ in walks for place in walk.found), reverse=True)


class RedisCallLog:
    """`CallLog` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts, *, shards: int) -> None:
        self._scripts = scripts
        self._shards = shards

    async def note(self, tenant_id: str, user_id: str, record: CallRecord) -> None:
        """Keep the record, among the newest, and count it."""
        shard = shard_of(tenant_id, user_id, shards=self._shards)
        touched = [
            keys.credential(shard, tenant_id, user_id),
            self._key(tenant_id, user_id),
            keys.hour(shard, record.at - record.at % HOUR),
            keys.minute(shard, record.at - record.at % MINUTE),
        ]
        written: list[Argument] = [
            encode(record),
            KEPT_CALLS,
            CALLS_KEPT_FOR,
            keys.call_field(tenant_id, record.endpoint, record.end),
            KEPT_HOURS_S,
            KEPT_MINUTES_S,
        ]
        await self._scripts.call(Call("note_call", touched, written))

    async def of_user(self, tenant_id: str, user_id: str) -> tuple[CallRecord, ...]:
        """Return what is kept of the user's calls, oldest first."""
        (found,) = await self._scripts.run(("LRANGE", self._key(tenant_id, user_id), 0, -1))
        return tuple(decode_call(record) for record in found)

    def _key(self, tenant_id: str, user_id: str) -> str:
        return keys.calls(shard_of(tenant_id, user_id, shards=self._shards), tenant_id, user_id)


def audit_keys(entry: AuditEntry) -> list[str]:
    """Return the keys that a script writes an entry to."""
    shard = session_shard(entry.session_id)
    return [keys.audit(shard), keys.audit_index(shard)]


def audit_arguments(entry: AuditEntry) -> list[Argument]:
    """Return what a script writes: the entry's id, the entry, and its members of the index, one per line."""
    return [entry.id, encode(entry), "\n".join(audit_members(entry))]


def _shards(query: AuditQuery, *, shards: int) -> list[int]:
    if query.session_id is None:
        return list(range(shards))
    try:
        shard = session_shard(query.session_id)
    except ValueError:
        return []
    return [shard] if shard < shards else []


def _prefixes(query: AuditQuery) -> list[list[str]]:
    """Return what must be common to the entries, once for each tenant they may be of."""
    wanted = {"session": query.session_id, "key": query.key_id, "action": query.action}
    given = [keys.index_prefix(dimension, value) for dimension, value in wanted.items() if value is not None]
    if query.within is None:
        return [given or [keys.index_prefix("all")]]
    return [[*given, keys.index_prefix("tenant", tenant_id)] for tenant_id in sorted(query.within)]


if TYPE_CHECKING:
    _audit: type[AuditLog] = RedisAuditLog
    _calls: type[CallLog] = RedisCallLog
