"""What every adapter of a store agrees on: sizes, self-consistent commits, index entries, what matches a search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from orchestrator.core.deliveries import Delivery
from orchestrator.core.effects import EndCheck, Guard, LeaseHeld, Untouched
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.events import Event
from orchestrator.core.interventions import AuditEntry
from orchestrator.core.ports.audit import AuditQuery
from orchestrator.core.ports.sessions import Commit, SessionQuery
from orchestrator.core.session import ENDED, Session, SessionKey, WatchKey, session_shard, shard_of
from orchestrator.core.waiting import waiting
from orchestrator.store import keys
from orchestrator.store.places import AuditPlace

KEPT_EVENTS: Final = 1_000
KEPT_SIGNALS: Final = 200
KEPT_CALLS: Final = 50
KEPT_POPUPS: Final = 20
"""Of each step; it remembers no more attempts either."""

KEPT_OUTBOX: Final = 100_000
KEPT_ERRORS: Final = 20
KEPT_HOURS_S: Final = 3 * 24 * 3600
KEPT_MINUTES_S: Final = 2 * 3600


def check_commit(commit: Commit, *, shards: int) -> None:
    """Raise ValueError for a commit that contradicts itself: a caller's mistake, found before anything is written."""
    session = commit.session
    if not session.commit_id or session.version != commit.expected_version + 1:
        raise ValueError(f"a commit of session {session.id} needs an id and the version after the one that was read")
    if session_shard(session.id) != shard_of(session.tenant_id, session.user_id, shards=shards):
        raise ValueError(f"session {session.id} does not lie in its user's shard")
    first = session.seq - len(commit.events) + 1
    if [event.seq for event in commit.events] != list(range(first, session.seq + 1)):
        raise ValueError(f"the new events of session {session.id} do not end at its seq {session.seq}")
    for effect in commit.effects:
        if isinstance(effect, EndCheck) and not _is_guarded(effect, commit.guards):
            raise ValueError(f"the check of app {effect.app_id} is ended without its lease, or whatever has changed")


def _is_guarded(effect: EndCheck, guards: Iterable[Guard]) -> bool:
    kinds = {type(guard) for guard in guards if guard.app_id == effect.app_id}
    return {LeaseHeld, Untouched} <= kinds


def owned(session: Session, key: SessionKey) -> Session:
    """Return the session if it is the tenant's. Raises SessionNotFoundError: nobody learns what others have."""
    if session.tenant_id != key.tenant_id:
        raise SessionNotFoundError(session_id=key.session_id)
    return session


def is_of(session: Session, key: WatchKey) -> bool:
    """Tell whether the session is that of the watch's user."""
    return (session.tenant_id, session.user_id) == (key.tenant_id, key.user_id)


def whole(session: Session, events: Sequence[Event], *, after: int) -> tuple[Event, ...]:
    """Return those events up to the session's own `seq`, or none when they are not all that come after `after`."""
    found = tuple(event for event in events if event.seq <= session.seq)
    return found if len(found) == session.seq - after else ()


def watches_of(session: Session) -> tuple[WatchKey, ...]:
    """Return the watches that the session's steps wait on, or waited on, with the apps they have now."""
    apps = dict.fromkeys(step.app.id for step in session.steps if step.app is not None)
    return tuple(session.watch_key(app_id) for app_id in apps)


def is_ended(session: Session) -> bool:
    """Tell whether the session is over for its user."""
    return session.status in ENDED


def matches(session: Session, query: SessionQuery) -> bool:
    """Tell whether the session matches every given value of the query."""
    return (
        query.tenant_id in {None, session.tenant_id}
        and (query.within is None or session.tenant_id in query.within)
        and query.state in {None, session.state}
        and query.status in {None, session.status}
        and query.reason in {None, session.reason}
        and query.user_id in {None, session.user_id}
        and query.session_id in {None, session.id}
        and (query.app_id is None or any(step.app and step.app.id == query.app_id for step in session.steps))
        and (query.quoted is None or query.quoted in quotable(session))
        and (query.begun_from is None or session.created_at >= query.begun_from)
        and (query.begun_before is None or session.created_at < query.begun_before)
        and (query.stuck_at is None or waiting(session) is not None)
    )


def index_entries(session: Session, *, waits: bool) -> list[str]:
    """Return the session's members of its tenant's index: one per thing it can be found by, each with where it stands.

    `waits`: somebody waits in it. So every list by one of these things, and by any part of where sessions stand, is a
    union of ranges.
    """
    apps = {step.app.id for step in session.steps if step.app is not None}
    found_by = [_ALL, keys.index_prefix("user", session.user_id)]
    found_by += [keys.index_prefix("app", app_id) for app_id in sorted(apps)]
    found_by += [keys.index_prefix("quoted", text) for text in sorted(quotable(session))]
    if waits:
        found_by.append(_WAITING)
    place = keys.index_place(session.created_at, session.id)
    ending = keys.index_situation(session.status, session.state, session.reason) + place
    return [prefix + ending for prefix in found_by]


_ALL: Final = keys.index_prefix("all")
_WAITING: Final = keys.index_prefix("waiting")


def quotable(session: Session) -> frozenset[str]:
    """Return what people may quote of a session: its reference, its Zap's id, the codes of browsers."""
    quoted = [text for text in (session.reference, session.zap.id) if text]
    for step in session.steps:
        for link in step.links:
            quoted += [browser.code for browser in (link.browser, *link.waiting) if browser is not None]
    return frozenset(quoted)


def audit_members(entry: AuditEntry) -> tuple[str, ...]:
    """Return the entry's members of its shard's index of the audit: one per thing it can be found by."""
    found_by = {
        "all": "",
        "tenant": entry.tenant_id,
        "session": entry.session_id,
        "key": entry.key_id,
        "action": entry.action,
    }
    place = AuditPlace.of(entry).text
    return tuple(keys.index_prefix(dimension, value) + place for dimension, value in found_by.items())


def audited(entry: AuditEntry, query: AuditQuery) -> bool:
    """Tell whether the entry matches every given value of the query."""
    return (
        (query.within is None or entry.tenant_id in query.within)
        and query.session_id in {None, entry.session_id}
        and query.key_id in {None, entry.key_id}
        and query.action in {None, entry.action}
    )


def newest_of(deliveries: Iterable[Delivery], *, limit: int) -> tuple[Delivery, ...]:
    """Return the newest deliveries in the order of `seq`, then of their endpoint."""
    return tuple(sorted(deliveries, key=lambda one: (one.seq, one.lane.endpoint_id))[-limit:])
