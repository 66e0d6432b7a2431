"""What is waited for, when Zapier is asked for it, and what was found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Protocol

from orchestrator.core.effects import Due
from orchestrator.core.session import Instant, Session, WatchKey
from orchestrator.core.values import value

KEPT_CHECKS: Final = 16
"""How many complete listings a watch remembers."""


@dataclass(frozen=True, kw_only=True, order=True)
class Waiter:
    """A step that waits on a watch."""

    session_id: str
    step_id: str


@value
class Claim:
    """An authentication that was settled on a step.

    `holder` is the step that has it by difference alone, None once anything else spoke for it.
    """

    at: Instant
    holder: Waiter | None = None


@value
class Popup:
    """A popup from which an authentication may still arise."""

    waiter: Waiter
    attempt_id: str
    until: Instant


@value
class Watch:
    """Everything known about one (user, app), read in one go.

    `version` grows with every commit that touches the watch, to no less than the commit's instant: so no other commit
    has the version of one that a failover lost. `checks` are the beginnings of the latest complete listings, oldest
    first (at most `KEPT_CHECKS`). `pages` is the size of the last complete listing. `retry_at` holds checks back after
    failures (None: not held back). `claims` are by authentication id.
    """

    key: WatchKey
    version: int = 0
    checks: tuple[Instant, ...] = ()
    pages: int = 1
    failures: int = 0
    retry_at: Instant | None = None
    lease_token: str | None = None
    lease_until: Instant = 0
    next_check_at: Instant | None = None
    waiters: tuple[Waiter, ...] = ()
    popups: tuple[Popup, ...] = ()
    claims: Mapping[str, Claim] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Leased:
    """A watch that is leased: how many checks have failed in a row, how many pages to expect, which sessions wait."""

    failures: int
    pages: int
    session_ids: frozenset[str]


class Urgency(IntEnum):
    """Who is served first; lower is more urgent."""

    STRONG = 0
    VISIBLE = 1
    QUIET = 2


@value
class DueWatch:
    """A watch that wants a check now. `due` is since when; `pages` is what the check will cost."""

    key: WatchKey
    urgency: Urgency
    due: Instant
    pages: int


@value
class Settlement:
    """What a check leaves on its watch.

    `version` is the watch's version on which `due` was computed. `checked_at` is when a complete listing began,
    None if there was none. `due` is exact (not merged); None takes the watch off the due-list. `retry_at` holds
    checks back until then. `paused_for` pauses the watch: it is the generation of the user's credential that cannot be
    used (0: there is none), and where a newer one was put meanwhile nothing is paused.
    """

    key: WatchKey
    token: str
    version: int
    now: Instant
    due: Due | None
    checked_at: Instant | None = None
    pages: int = 1
    failures: int = 0
    retry_at: Instant | None = None
    paused_for: int | None = None


@value
class WatchQuery:
    """Which watches to list, the next to be checked first. `within` None: every tenant's."""

    within: frozenset[str] | None = None
    cursor: str | None = None
    limit: int = 50


@value
class PlannedWatch:
    """A watch that will be checked at `due`; `is_strong`: because of a signal."""

    key: WatchKey
    due: Instant
    is_strong: bool


@value
class WatchPage:
    """One page of watches; `cursor` continues after it, None at the end."""

    watches: tuple[PlannedWatch, ...]
    cursor: str | None = None


PAUSED: Instant = 2**52
"""A `retry_at` that never comes by itself: the watch is paused until a new credential is put."""


class WatchStore(Protocol):
    """Watches: who waits on what, when it is due, who checks it."""

    async def load(self, key: WatchKey, *, now: Instant) -> Watch:
        """Return the watch as it is; an unknown one is empty. Popups whose `until` is not after `now` are left out."""
        ...

    async def leased(self, key: WatchKey, *, token: str, now: Instant) -> Leased | None:
        """Return what a check begins with; None when the watch is not leased under this token, or not at `now`."""
        ...

    async def load_with_sessions(
        self, key: WatchKey, session_ids: Collection[str], *, now: Instant
    ) -> tuple[Watch, tuple[Session, ...]]:
        """Return the watch as `load` does, and those of these sessions of its user that are there, at one moment."""
        ...

    async def last_check(self, key: WatchKey) -> Instant | None:
        """Return when the latest complete listing of the watch began, None when there is none."""
        ...

    async def next_checks(self, keys: Collection[WatchKey]) -> Mapping[WatchKey, Instant | None]:
        """Return when each watch will be checked next; None for never (or paused)."""
        ...

    async def find(self, query: WatchQuery) -> WatchPage:
        """Return one page of the watches that will be checked. Raises ValueError for a cursor that is not ours."""
        ...

    async def peek(self, *, now: Instant, limit: int) -> tuple[DueWatch, ...]:
        """Return watches over all shards that are due at `now` and not leased, at most `limit` per shard and urgency.

        Order: urgency, then the longest due.
        """
        ...

    async def lease(
        self, keys: Sequence[WatchKey], *, token: str, now: Instant, until: Instant
    ) -> tuple[WatchKey, ...]:
        """Take watches for one check each; returns those that were due and free, in their order.

        A leased watch is not due before `until`. Watches of one shard are taken at one moment. When the store fails,
        some may have been taken.
        """
        ...

    async def settle(self, settlement: Settlement) -> None:
        """End a check: write its counters and the next due time, free the lease.

        Raises LeaseLostError when the token is not the watch's, StaleVersionError when a commit touched the watch
        since `version`: load and compute again.
        """
        ...

    async def forget_claims(self, shard: int, *, before: Instant, limit: int) -> int:
        """Erase claims made before `before` (no baseline that lacks the id is left); returns how many."""
        ...
