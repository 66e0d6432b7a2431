"""Sessions in a Redis-protocol store; every write is `lua/commit.lua`, `lua/record.lua` or `lua/purge.lua`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import GuardFailedError, LeaseLostError, ReferenceTakenError, StaleVersionError
from orchestrator.core.events import Event
from orchestrator.core.ports.sessions import (
    Commit,
    EventPage,
    Receipt,
    SessionPage,
    SessionQuery,
    SessionStore,
    SignalRecord,
    Written,
)
from orchestrator.core.session import Instant, Session, SessionKey, session_shard, shard_of
from orchestrator.store import keys
from orchestrator.store.accounts import read_standing
from orchestrator.store.codec import decode_event, decode_receipt, decode_session, decode_signal, encode, encode_sparse
from orchestrator.store.commits import apps_of, commit_call
from orchestrator.store.rules import KEPT_ERRORS, KEPT_SIGNALS, check_commit, matches, owned, watches_of, whole
from orchestrator.store.scripts import Argument, Call, Reply, Scripts
from orchestrator.store.searching import find_places
from orchestrator.store.watches import sooner

log = structlog.get_logger(__name__)


class RedisSessionStore:
    """`SessionStore` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts, *, shards: int) -> None:
        self._scripts = scripts
        self._shards = shards

    async def load(self, key: SessionKey) -> Session:
        """Return the tenant's session."""
        return owned(await self.load_any(key.session_id), key)

    async def load_with_events(self, key: SessionKey, *, after: int, limit: int) -> tuple[Session, tuple[Event, ...]]:
        """Return the session, with its events after `after`: read behind it, so that none of its own is missing."""
        shard = _shard(key.session_id)
        document, found = await self._scripts.run(
            ("HGET", keys.session(shard, key.session_id), "document"),
            ("XRANGE", keys.events(shard, key.session_id), f"({max(after, 0)}-0", "+", "COUNT", limit),
        )
        if document is None:
            raise SessionNotFoundError(session_id=key.session_id)
        session = owned(decode_session(document), key)
        return session, whole(session, [decode_event(fields[b"event"]) for _, fields in found], after=after)

    async def load_any(self, session_id: str) -> Session:
        """Return the session, whoever's it is."""
        (found,) = await self._load_all([session_id])
        if found is None:
            raise SessionNotFoundError(session_id=session_id)
        return found

    async def commit(self, commit: Commit) -> Written | Receipt:
        """Write one decision whole or not at all."""
        check_commit(commit, shards=self._shards)
        apps = apps_of(commit)
        match await self._scripts.call(commit_call(commit, apps)):
            case [b"done", access, next_checks, lost]:
                if lost:
                    log.error("outbox_overflowed", shard=_shard(commit.session.id), events_lost=lost)
                return _written(commit.session, apps, access, next_checks)
            case [b"repeated", access, next_checks]:
                return _written(commit.session, apps, access, next_checks)
            case [b"receipt", receipt]:
                return decode_receipt(receipt)
            case [b"stale", document]:
                found = decode_session(document) if document else None
                raise StaleVersionError(session_id=commit.session.id, found=found)
            case [b"taken", session_id]:
                raise ReferenceTakenError(session_id=session_id.decode(), reference=commit.session.reference or "")
            case [b"lease", number]:
                raise LeaseLostError(app_id=apps[number - 1])
            case _:
                raise GuardFailedError(session_id=commit.session.id)

    async def referred(self, tenant_id: str, user_id: str, reference: str) -> str | None:
        """Return the id of the user's session that has this reference and has not ended, if there is one."""
        shard = shard_of(tenant_id, user_id, shards=self._shards)
        (found,) = await self._scripts.run(("HGET", keys.references(shard, tenant_id, user_id), reference))
        return None if found is None else str(found.decode())

    async def record(self, session_id: str, record: SignalRecord) -> None:
        """Append to the session's signal log."""
        shard = _shard(session_id)
        names = [keys.session(shard, session_id), keys.signals(shard, session_id)]
        reply = await self._scripts.call(Call("record", names, [encode(record), KEPT_SIGNALS]))
        if reply == [b"missing"]:
            raise SessionNotFoundError(session_id=session_id)

    async def signals(self, session_id: str) -> tuple[SignalRecord, ...]:
        """Return the signal log, oldest first."""
        shard = _shard(session_id)
        _, records = await self._existing(session_id, ("LRANGE", keys.signals(shard, session_id), 0, -1))
        return tuple(decode_signal(record) for record in records)

    async def events(self, session_id: str, *, after: int, limit: int = 100) -> EventPage:
        """Return the events with `seq` greater than `after`, oldest first."""
        stream = keys.events(_shard(session_id), session_id)
        _, oldest, found = await self._existing(
            session_id,
            ("XRANGE", stream, "-", "+", "COUNT", 1),
            ("XRANGE", stream, f"({max(after, 0)}-0", "+", "COUNT", limit),
        )
        if not oldest:  # every session has events until it is trimmed
            return EventPage(events=(), truncated=(await self.load_any(session_id)).seq > max(after, 0))
        first = int(oldest[0][0].partition(b"-")[0])
        return EventPage(
            events=tuple(decode_event(fields[b"event"]) for _, fields in found), truncated=first > max(after, 0) + 1
        )

    async def quote(self, session_id: str, reference: str) -> None:
        """Note the reference of an error that was about the session."""
        shard = _shard(session_id)
        names = [keys.session(shard, session_id), keys.quoted(shard)]
        if await self._scripts.call(Call("quote", names, [session_id, reference, KEPT_ERRORS])) == [b"missing"]:
            raise SessionNotFoundError(session_id=session_id)

    async def quoted(self, reference: str) -> str | None:
        """Return the id of the session that an error of this reference was about."""
        found = await self._scripts.run(*(("HGET", keys.quoted(shard), reference) for shard in range(self._shards)))
        return next((session_id.decode() for session_id in found if session_id is not None), None)

    async def find(self, query: SessionQuery) -> SessionPage:
        """Return one page of the sessions that match."""
        if query.session_id is not None:
            return await self._find_one(query, query.session_id)
        places = await find_places(self._scripts, query, shards=self._shards)
        page = places[: query.limit]
        found = await self._load_all([place.session_id for place in page])
        return SessionPage(
            sessions=tuple(session for session in found if session is not None and matches(session, query)),
            cursor=page[-1].cursor if len(places) > len(page) else None,
        )

    async def of_user(self, tenant_id: str, user_id: str) -> tuple[str, ...]:
        """Return the ids of the user's sessions that have not ended."""
        shard = shard_of(tenant_id, user_id, shards=self._shards)
        (found,) = await self._scripts.run(("ZRANGE", keys.open_sessions(shard, tenant_id, user_id), 0, -1))
        return tuple(session_id.decode() for session_id in found)

    async def to_wake(self, shard: int, *, now: Instant, limit: int) -> tuple[str, ...]:
        """Return ids of sessions whose `wake_at` is not later than `now`, the longest overdue first."""
        (found,) = await self._scripts.run(("ZRANGE", keys.wake(shard), "-inf", now, "BYSCORE", "LIMIT", 0, limit))
        return tuple(session_id.decode() for session_id in found)

    async def forget_outbox(self, shard: int, *, before: Instant, limit: int) -> int:
        """Erase events that have been on their way out for too long; looks at more than one only if that one has."""
        outbox, old = keys.outbox(shard), []
        for count in (1, limit):
            (entries,) = await self._scripts.run(("XRANGE", outbox, "-", "+", "COUNT", count))
            old = [entry for entry, fields in entries if decode_event(fields[b"event"]).at < before]
            if not old:
                return 0
        await self._scripts.run(("XDEL", outbox, *old))
        return len(old)

    async def trim(self, session: Session, *, now: Instant, wake_at: Instant, if_pending_at: Instant) -> bool:
        """Erase an ended session's history, and write it as it is given, unless a delivery of it is pending."""
        shard = _shard(session.id)
        names = [
            keys.session(shard, session.id),
            keys.events(shard, session.id),
            keys.signals(shard, session.id),
            keys.wake(shard),
            keys.delivery_index(shard),
            keys.session_lanes(shard, session.id),
            keys.session_deliveries(shard, session.id),
            keys.session_messages(shard, session.id),
            *(keys.popups(shard, watch) for watch in watches_of(session)),
        ]
        document = encode_sparse(session)
        arguments: list[Argument] = [session.id, session.version - 1, document, wake_at, if_pending_at, now]
        reply = await self._scripts.call(Call("trim", names, arguments))
        if reply == [b"stale"]:
            raise StaleVersionError(session_id=session.id)
        if reply == [b"missing"]:
            raise SessionNotFoundError(session_id=session.id)
        return bool(reply == [b"done"])

    async def purge(self, session: Session) -> None:
        """Erase an ended session with all that is kept beside it."""
        shard = _shard(session.id)
        names = [
            keys.session(shard, session.id),
            keys.events(shard, session.id),
            keys.signals(shard, session.id),
            keys.wake(shard),
            keys.index(shard, session.tenant_id),
            keys.open_sessions(shard, session.tenant_id, session.user_id),
            keys.references(shard, session.tenant_id, session.user_id),
            keys.waiting(shard, session.tenant_id),
            *(name(shard) for name in (keys.lanes, keys.lane_holders, keys.lanes_held, keys.delivery_index)),
            keys.session_lanes(shard, session.id),
            keys.session_deliveries(shard, session.id),
            keys.session_messages(shard, session.id),
            keys.session_endpoints(shard, session.id),
            keys.session_deleted_endpoints(shard, session.id),
            keys.quoted(shard),
        ]
        arguments: list[Argument] = [session.id, session.version, session.reference or ""]
        reply = await self._scripts.call(Call("purge", names, arguments))
        if reply == [b"stale"]:
            raise StaleVersionError(session_id=session.id)

    async def _find_one(self, query: SessionQuery, session_id: str) -> SessionPage:
        try:
            session = await self.load_any(session_id)
        except SessionNotFoundError:
            return SessionPage(sessions=())
        return SessionPage(sessions=(session,) if matches(session, query) else ())

    async def _existing(self, session_id: str, *reads: tuple[Argument, ...]) -> list[Reply]:
        """Read, at one moment, what is kept beside a session. Raises SessionNotFoundError."""
        exists = ("EXISTS", keys.session(_shard(session_id), session_id))
        replies = await self._scripts.run(exists, *reads, atomic=True)
        if not replies[0]:
            raise SessionNotFoundError(session_id=session_id)
        return replies

    async def _load_all(self, session_ids: Iterable[str]) -> list[Session | None]:
        reads = [("HGET", keys.session(_shard(session_id), session_id), "document") for session_id in session_ids]
        return [document and decode_session(document) for document in await self._scripts.run(*reads)]


def _written(session: Session, apps: list[str], access: list[bytes | None], next_checks: list[bytes | None]) -> Written:
    return Written(
        standing=read_standing(session.tenant_id, session.user_id, access),
        next_checks={
            app_id: sooner(strong, quiet)
            for app_id, strong, quiet in zip(apps, next_checks[::2], next_checks[1::2], strict=True)
        },
    )


def _shard(session_id: str) -> int:
    try:
        return session_shard(session_id)
    except ValueError:
        raise SessionNotFoundError(session_id=session_id) from None


if TYPE_CHECKING:
    _: type[SessionStore] = RedisSessionStore
