"""Watches in plain dicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator.core.errors.store import LeaseLostError, StaleVersionError
from orchestrator.core.ports.watches import (
    PAUSED,
    DueWatch,
    Leased,
    PlannedWatch,
    Settlement,
    Urgency,
    Watch,
    WatchPage,
    WatchQuery,
    WatchStore,
)
from orchestrator.core.session import Instant, Session, WatchKey
from orchestrator.store import keys
from orchestrator.store.memory.state import State
from orchestrator.store.places import WatchPlace
from orchestrator.store.rules import is_of
from orchestrator.store.switchboard import Switchboard


class MemoryWatchStore:
    """`WatchStore` of one process, gone with it."""

    def __init__(self, state: State, switchboard: Switchboard) -> None:
        self._state = state
        self._switchboard = switchboard

    async def load(self, key: WatchKey, *, now: Instant) -> Watch:
        """Return the watch as it is."""
        return self._state.watch(key).seen(key, now=now)

    async def leased(self, key: WatchKey, *, token: str, now: Instant) -> Leased | None:
        """Return what a check begins with, if the lease is good."""
        watch = self._state.watch(key)
        if watch.lease_token != token or watch.lease_until <= now:
            return None
        session_ids = frozenset(waiter.session_id for waiter in watch.waiters)
        return Leased(failures=watch.failures, pages=watch.pages, session_ids=session_ids)

    async def load_with_sessions(
        self, key: WatchKey, session_ids: Collection[str], *, now: Instant
    ) -> tuple[Watch, tuple[Session, ...]]:
        """Return the watch with these sessions of its user."""
        kept = [
            self._state.sessions[session_id].session for session_id in session_ids if session_id in self._state.sessions
        ]
        return await self.load(key, now=now), tuple(session for session in kept if is_of(session, key))

    async def last_check(self, key: WatchKey) -> Instant | None:
        """Return when the latest complete listing began."""
        checks = self._state.watch(key).checks
        return checks[-1] if checks else None

    async def next_checks(self, keys: Collection[WatchKey]) -> Mapping[WatchKey, Instant | None]:
        """Return when each watch will be checked next."""
        return {key: self._state.watch(key).next_check_at for key in keys}

    async def find(self, query: WatchQuery) -> WatchPage:
        """Return one page of the watches that will be checked."""
        after = None if query.cursor is None else WatchPlace.from_cursor(query.cursor)
        found = [
            (WatchPlace(due, keys.watch_name(key)), PlannedWatch(key=key, due=due, is_strong=watch.strong_at == due))
            for key, watch in self._state.watches.items()
            if (due := watch.next_check_at) is not None
            and (query.within is None or key.tenant_id in query.within)
            and (after is None or WatchPlace(due, keys.watch_name(key)) > after)
        ]
        found.sort(key=lambda one: one[0])
        page = found[: query.limit]
        return WatchPage(
            watches=tuple(watch for _, watch in page),
            cursor=page[-1][0].cursor if len(found) > len(page) else None,
        )

    async def peek(self, *, now: Instant, limit: int) -> tuple[DueWatch, ...]:
        """Return watches that are due and not leased, at most `limit` per shard and urgency."""
        due = sorted(
            (*wants, keys.watch_name(key), self._state.shard(key), key, watch.pages)
            for key, watch in self._state.watches.items()
            if (wants := watch.urgency(now)) is not None
        )
        taken: Counter[tuple[Urgency, int]] = Counter()
        found = []
        for urgency, since, _, shard, key, pages in due:
            taken[urgency, shard] += 1
            if taken[urgency, shard] <= limit:
                found.append(DueWatch(key=key, urgency=urgency, due=since, pages=pages))
        return tuple(found)

    async def lease(
        self, keys: Sequence[WatchKey], *, token: str, now: Instant, until: Instant
    ) -> tuple[WatchKey, ...]:
        """Take watches for one check each."""
        taken = []
        for key in keys:
            watch = self._state.watch(key)
            if watch.is_due(now):
                watch.lease_token, watch.lease_until = token, until
                taken.append(key)
        return tuple(taken)

    async def settle(self, settlement: Settlement) -> None:
        """End a check: write its counters and the next due time, free the lease."""
        watch = self._state.watch(settlement.key)
        if watch.lease_token != settlement.token:
            raise LeaseLostError(app_id=settlement.key.app_id)
        if watch.version != settlement.version:
            raise StaleVersionError(watch_id=keys.watch_name(settlement.key))
        watch.end_check(
            settlement.due,
            checked_at=settlement.checked_at,
            pages=settlement.pages,
            failures=settlement.failures,
            retry_at=self._retry_at(settlement),
        )
        if watch.is_due(settlement.now):
            self._switchboard.wake(keys.DUE)
        for waiter in watch.waiters:
            self._switchboard.wake(keys.CHANGED + waiter.session_id)

    async def forget_claims(self, shard: int, *, before: Instant, limit: int) -> int:
        """Erase claims made before `before`, and watches of which nothing is left; returns how many claims."""
        old = [(watch.kept_since, keys.watch_name(key), key) for key, watch in self._state.shard_watches(shard)]
        chosen = [key for kept_since, _, key in sorted(old) if kept_since < before][:limit]
        return sum(self._forget(key, before=before) for key in chosen)

    def _retry_at(self, settlement: Settlement) -> Instant | None:
        if settlement.paused_for is None:
            return settlement.retry_at
        kept = self._state.credentials.get((settlement.key.tenant_id, settlement.key.user_id))
        return PAUSED if settlement.paused_for == (kept.credential.generation if kept else 0) else None

    def _forget(self, key: WatchKey, *, before: Instant) -> int:
        watch = self._state.watches[key]
        old = [authentication_id for authentication_id, claim in watch.claims.items() if claim.at < before]
        for authentication_id in old:
            del watch.claims[authentication_id]
        is_over = all(until < before for until in watch.popups.values())
        if not watch.claims and not watch.waiters and is_over:
            del self._state.watches[key]
        watch.kept_since = min((claim.at for claim in watch.claims.values()), default=before)
        return len(old)


if TYPE_CHECKING:
    _: type[WatchStore] = MemoryWatchStore
