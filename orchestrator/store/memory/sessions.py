"""Sessions in plain dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.effects import EndCheck, LeaseHeld
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import GuardFailedError, LeaseLostError, ReferenceTakenError, StaleVersionError
from orchestrator.core.events import Event
from orchestrator.core.health import HOUR, counted
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
from orchestrator.core.session import MINUTE, Instant, Session, SessionKey, session_shard
from orchestrator.store import keys
from orchestrator.store.memory.credentials import MemoryCredentialStore
from orchestrator.store.memory.state import SessionState, State, WatchState
from orchestrator.store.places import Place
from orchestrator.store.rules import (
    KEPT_ERRORS,
    KEPT_EVENTS,
    KEPT_SIGNALS,
    check_commit,
    is_ended,
    matches,
    owned,
    watches_of,
    whole,
)
from orchestrator.store.switchboard import Switchboard


class MemorySessionStore:
    """`SessionStore` of one process, gone with it."""

    def __init__(self, state: State, switchboard: Switchboard, credentials: MemoryCredentialStore) -> None:
        self._state = state
        self._credentials = credentials
        self._switchboard = switchboard

    async def load(self, key: SessionKey) -> Session:
        """Return the tenant's session."""
        return owned(await self.load_any(key.session_id), key)

    async def load_with_events(self, key: SessionKey, *, after: int, limit: int) -> tuple[Session, tuple[Event, ...]]:
        """Return the session, with its events after `after`."""
        session, page = await self.load(key), await self.events(key.session_id, after=after, limit=limit)
        return session, whole(session, page.events, after=after)

    async def load_any(self, session_id: str) -> Session:
        """Return the session, whoever's it is."""
        return self._kept(session_id).session

    async def commit(self, commit: Commit) -> Written | Receipt:
        """Write one decision whole or not at all."""
        check_commit(commit, shards=self._state.shards)
        kept = self._state.sessions.get(commit.session.id)
        if kept is not None and kept.session.commit_id == commit.session.commit_id:
            return await self._written(commit)
        earlier = self._earlier(commit)
        if earlier is not None:
            return earlier
        if not _is_expected(commit, kept.session if kept else None):
            raise StaleVersionError(session_id=commit.session.id, found=kept.session if kept else None)
        self._check_guards(commit)
        self._check_reference(commit)
        self._keep(commit)
        self._count(commit)
        self._refer(commit.session)
        due = self._apply_effects(commit)
        self._switchboard.wake(keys.CHANGED + commit.session.id)
        self._switchboard.wake(keys.OUTGOING)
        if due:
            self._switchboard.wake(keys.DUE)
        return await self._written(commit)

    async def _written(self, commit: Commit) -> Written:
        session = commit.session
        return Written(
            standing=await self._credentials.standing(session.tenant_id, session.user_id),
            next_checks={
                part.app_id: self._state.watch(session.watch_key(part.app_id)).next_check_at
                for part in (*commit.guards, *commit.effects)
            },
        )

    async def referred(self, tenant_id: str, user_id: str, reference: str) -> str | None:
        """Return the id of the user's session that has this reference and has not ended, if there is one."""
        return self._state.references.get((tenant_id, user_id, reference))

    async def record(self, session_id: str, record: SignalRecord) -> None:
        """Append to the session's signal log."""
        _log(self._kept(session_id), record)

    async def signals(self, session_id: str) -> tuple[SignalRecord, ...]:
        """Return the signal log, oldest first."""
        return tuple(self._kept(session_id).signals)

    async def events(self, session_id: str, *, after: int, limit: int = 100) -> EventPage:
        """Return the events with `seq` greater than `after`, oldest first."""
        state = self._kept(session_id)
        found = tuple(event for event in state.events if event.seq > after)[:limit]
        first = state.events[0].seq if state.events else state.session.seq + 1
        return EventPage(events=found, truncated=first > max(after, 0) + 1)

    async def quote(self, session_id: str, reference: str) -> None:
        """Note the reference of an error that was about the session."""
        kept = self._kept(session_id)
        kept.errors = [*kept.errors, reference][-KEPT_ERRORS:]

    async def quoted(self, reference: str) -> str | None:
        """Return the id of the session that an error of this reference was about."""
        return next((state.session.id for state in self._state.sessions.values() if reference in state.errors), None)

    async def find(self, query: SessionQuery) -> SessionPage:
        """Return one page of the sessions that match."""
        below = Place.from_cursor(query.cursor) if query.cursor is not None else None
        found = [
            state.session
            for state in self._state.sessions.values()
            if matches(state.session, query)
            and (below is None or Place.of(state.session) < below)
            and (query.stuck_at is None or self._state.is_stuck(state.session, at=query.stuck_at))
        ]
        found.sort(key=Place.of, reverse=True)
        page = tuple(found[: query.limit])
        return SessionPage(sessions=page, cursor=Place.of(page[-1]).cursor if len(found) > len(page) else None)

    async def of_user(self, tenant_id: str, user_id: str) -> tuple[str, ...]:
        """Return the ids of the user's sessions that have not ended."""
        sessions = (state.session for state in self._state.sessions.values())
        found = [
            Place.of(session)
            for session in sessions
            if (session.tenant_id, session.user_id) == (tenant_id, user_id) and not is_ended(session)
        ]
        return tuple(place.session_id for place in sorted(found))

    async def to_wake(self, shard: int, *, now: Instant, limit: int) -> tuple[str, ...]:
        """Return ids of sessions whose `wake_at` is not later than `now`, the longest overdue first."""
        found = [
            (state.wake_at, state.session.id)
            for state in self._state.shard_sessions(shard)
            if state.wake_at is not None and state.wake_at <= now
        ]
        return tuple(session_id for _, session_id in sorted(found)[:limit])

    async def forget_outbox(self, shard: int, *, before: Instant, limit: int) -> int:
        """Erase events that have been on their way out for too long."""
        outbox = self._state.outbox
        old = [
            place for place, one in outbox.items() if session_shard(one.session_id) == shard and one.event.at < before
        ]
        for place in old[:limit]:
            del outbox[place]
        return len(old[:limit])

    async def trim(self, session: Session, *, now: Instant, wake_at: Instant, if_pending_at: Instant) -> bool:
        """Erase an ended session's history, and write it as it is given, unless a delivery of it is pending."""
        kept = self._kept(session.id)
        if kept.session.version != session.version - 1:
            raise StaleVersionError(session_id=session.id)
        if any(lane.session_id == session.id for lane in self._state.lanes):
            kept.wake_at = if_pending_at
            return False
        self._state.sessions[session.id] = SessionState(session, wake_at=wake_at)
        for key in watches_of(session):
            watch = self._state.watch(key)
            watch.popups = {popup: until for popup, until in watch.popups.items() if until > now}
        self._state.forget_records(session.id)
        return True

    async def purge(self, session: Session) -> None:
        """Erase an ended session with all that is kept beside it."""
        kept = self._state.sessions.get(session.id)
        if kept is None:
            return
        if kept.session.version != session.version:
            raise StaleVersionError(session_id=session.id)
        del self._state.sessions[session.id]
        self._state.forget_deliveries(session.id)
        self._unrefer(session)

    def _kept(self, session_id: str) -> SessionState:
        try:
            return self._state.sessions[session_id]
        except KeyError:
            raise SessionNotFoundError(session_id=session_id) from None

    def _earlier(self, commit: Commit) -> Receipt | None:
        if commit.receipt is None:
            return None
        session = commit.session
        return self._state.receipt(session.tenant_id, session.user_id, commit.receipt.name, now=commit.now)

    def _check_reference(self, commit: Commit) -> None:
        taken = self._state.references.get(_reference(commit.session))
        if taken is not None and commit.expected_version == 0:
            raise ReferenceTakenError(session_id=taken, reference=commit.session.reference or "")

    def _refer(self, session: Session) -> None:
        if is_ended(session):
            self._unrefer(session)
        elif session.reference:
            self._state.references.setdefault(_reference(session), session.id)

    def _unrefer(self, session: Session) -> None:
        if self._state.references.get(_reference(session)) == session.id:
            del self._state.references[_reference(session)]

    def _check_guards(self, commit: Commit) -> None:
        for guard in commit.guards:
            watch = self._state.watch(commit.session.watch_key(guard.app_id))
            if watch.holds(guard, commit.session.id, now=commit.now):
                continue
            if isinstance(guard, LeaseHeld):
                raise LeaseLostError(app_id=guard.app_id)
            raise GuardFailedError(session_id=commit.session.id)

    def _keep(self, commit: Commit) -> None:
        kept = self._state.sessions.setdefault(commit.session.id, SessionState(commit.session))
        kept.session = commit.session
        kept.wake_at = commit.wake_at
        kept.events = [*kept.events, *commit.events][-KEPT_EVENTS:]
        for event in commit.events:
            self._state.send(commit.session, event)
        if commit.record is not None:
            _log(kept, commit.record)
        if commit.audit is not None:
            self._state.audit[commit.audit.id] = commit.audit
        if commit.receipt is not None:
            name = commit.session.tenant_id, commit.session.user_id, commit.receipt.name
            self._state.receipts[name] = commit.receipt

    def _count(self, commit: Commit) -> None:
        found, tenant_id = counted(commit.session, commit.events), commit.session.tenant_id
        hour, minute = commit.now - commit.now % HOUR, commit.now - commit.now % MINUTE
        reached = self._state.sessions[commit.session.id].stages
        for stage in found.stages:
            if stage not in reached:
                self._state.stages[hour, tenant_id, stage] += 1
            reached.add(stage)
        for popups, fate in found.popups:
            self._state.popups[minute, popups, fate] += 1
        for app in found.apps:
            self._state.titles[hour, app.id] = " ".join(app.title.split())

    def _apply_effects(self, commit: Commit) -> bool:
        """Change the watches; tell whether one of them is due now."""
        touched: dict[str, WatchState] = {}
        for effect in commit.effects:
            if isinstance(effect, EndCheck):
                continue
            if effect.app_id not in touched:
                watch = self._state.watches.setdefault(commit.session.watch_key(effect.app_id), WatchState())
                watch.touch(commit.now)
                touched[effect.app_id] = watch
            touched[effect.app_id].apply(effect, commit.session.id, now=commit.now)
        for effect in commit.effects:
            if isinstance(effect, EndCheck):
                touched[effect.app_id] = self._end_check(commit.session, effect)
        return any(watch.is_due(commit.now) for watch in touched.values())

    def _end_check(self, session: Session, effect: EndCheck) -> WatchState:
        """End a check once all else is done to its watch, and tell everybody who waits on it."""
        watch = self._state.watch(session.watch_key(effect.app_id))
        watch.end_check(effect.due, checked_at=effect.begun_at, pages=effect.pages)
        for waiter in watch.waiters:
            self._switchboard.wake(keys.CHANGED + waiter.session_id)
        return watch


def _is_expected(commit: Commit, kept: Session | None) -> bool:
    if kept is None or kept.version != commit.expected_version:
        return commit.expected_version == 0 and kept is None
    return commit.expected_commit_id in {"", kept.commit_id}


def _log(kept: SessionState, record: SignalRecord) -> None:
    kept.signals = [*kept.signals, record][-KEPT_SIGNALS:]


def _reference(session: Session) -> tuple[str, str, str]:
    return session.tenant_id, session.user_id, session.reference or ""


if TYPE_CHECKING:
    _: type[SessionStore] = MemorySessionStore
