"""What the memory store holds, and the rules of one watch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from orchestrator.core.deliveries import Delivery, Lane
from orchestrator.core.effects import (
    ClaimAuthentication,
    ClosePopup,
    Due,
    Guard,
    LeaseHeld,
    NoOtherPopup,
    OpenPopup,
    ReleaseClaim,
    StopWaiting,
    Unclaimed,
    Untouched,
    Wait,
    WatchEffect,
)
from orchestrator.core.endpoints import Endpoint, session_of
from orchestrator.core.events import Event
from orchestrator.core.health import Fate, Popups, Stage
from orchestrator.core.interventions import AuditEntry
from orchestrator.core.ports.calls import CallEnd, CallKind, CallRecord
from orchestrator.core.ports.credentials import Credential, Refresh
from orchestrator.core.ports.sessions import Receipt, SignalRecord
from orchestrator.core.ports.watches import KEPT_CHECKS, PAUSED, Claim, Popup, Urgency, Waiter, Watch
from orchestrator.core.ports.webhooks import Outgoing
from orchestrator.core.session import Instant, Session, WatchKey, session_shard, shard_of
from orchestrator.core.sign_ins import SignIn
from orchestrator.core.waiting import waiting
from orchestrator.store import keys
from orchestrator.store.rules import KEPT_POPUPS


@dataclass(slots=True)
class SessionState:
    """A session and what is kept beside it."""

    session: Session
    wake_at: Instant | None = None
    events: list[Event] = field(default_factory=list)
    signals: list[SignalRecord] = field(default_factory=list)
    stages: set[Stage] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class KeptState:
    """A credential with what refreshing it needs; `refreshed_by`: the refresh that brought its tokens."""

    credential: Credential
    refresh_token: str | None = field(default=None, repr=False)
    refresh: Refresh | None = None
    refreshed_by: str | None = None


@dataclass(slots=True)
class WatchState:
    """One watch. `due` is what its waiters want; when it is really due also depends on its lease and `retry_at`.

    `kept_since` is not later than its oldest claim, or its last commit when it has no claim.
    """

    version: int = 0
    checks: tuple[Instant, ...] = ()
    pages: int = 1
    failures: int = 0
    retry_at: Instant | None = None
    lease_token: str | None = None
    lease_until: Instant = 0
    due: Due = field(default_factory=Due)
    waiters: set[Waiter] = field(default_factory=set)
    popups: dict[tuple[Waiter, str], Instant] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    kept_since: Instant = 0

    def _really(self, wanted: Instant | None) -> Instant | None:
        if wanted is None or not self.waiters or self.retry_at == PAUSED:
            return None
        return max(wanted, self.lease_until, self.retry_at or 0)

    @property
    def strong_at(self) -> Instant | None:
        """When a signal makes it due."""
        return self._really(self.due.strong)

    @property
    def quiet_at(self) -> Instant | None:
        """When it is due without news."""
        return self._really(self.due.quiet)

    @property
    def next_check_at(self) -> Instant | None:
        """When it will be checked next."""
        return self._really(self.due.soonest)

    def is_due(self, now: Instant) -> bool:
        """Tell whether it wants a check now, and nobody is making one."""
        return self.next_check_at is not None and self.next_check_at <= now

    def urgency(self, now: Instant) -> tuple[Urgency, Instant] | None:
        """Return how urgent a check is and since when, None when it is not due."""
        if self.strong_at is not None and self.strong_at <= now:
            return Urgency.STRONG, self.strong_at
        if self.quiet_at is not None and self.quiet_at <= now:
            return (Urgency.VISIBLE if self.due.visible_until > now else Urgency.QUIET), self.quiet_at
        return None

    def holds(self, guard: Guard, session_id: str, *, now: Instant) -> bool:
        """Tell whether a guard of a commit of this session holds."""
        match guard:
            case Unclaimed(authentication_id=authentication_id, since=since):
                claim = self.claims.get(authentication_id)
                return claim is None or claim.at < since
            case NoOtherPopup(step_id=step_id):
                own = Waiter(session_id=session_id, step_id=step_id)
                return all(waiter == own or until <= now for (waiter, _), until in self.popups.items())
            case LeaseHeld(token=token):
                return self.lease_token == token
            case Untouched(version=version):
                return self.version == version
        assert_never(guard)

    def resume(self, now: Instant) -> None:
        """Pause no more; be due now where somebody waits."""
        self.version = max(self.version + 1, now)
        self.failures, self.retry_at = 0, None
        if self.waiters:
            self.due = Due(strong=now, quiet=self.due.quiet, visible_until=self.due.visible_until)

    def touch(self, now: Instant) -> None:
        """A commit is about to change it."""
        self.version = max(self.version + 1, now)
        self.popups = {popup: until for popup, until in self.popups.items() if until > now}
        if not self.claims:
            self.kept_since = now

    def apply(self, effect: WatchEffect, session_id: str, *, now: Instant) -> None:
        """Do what a commit of this session asks for."""
        waiter = Waiter(session_id=session_id, step_id=effect.step_id)
        match effect:
            case Wait(due=due):
                self.waiters.add(waiter)
                self.due = due if len(self.waiters) == 1 else self.due | due
            case StopWaiting():
                self.waiters.discard(waiter)
                self.due = self.due if self.waiters else Due()
            case OpenPopup(attempt_id=attempt_id, until=until):
                self.popups[waiter, attempt_id] = until
                self._only_newest(waiter, attempt_id)
            case ClosePopup(attempt_id=attempt_id):
                self.popups.pop((waiter, attempt_id), None)
            case ClaimAuthentication(authentication_id=authentication_id, by_difference=by_difference):
                self.claims[authentication_id] = Claim(at=now, holder=waiter if by_difference else None)
            case ReleaseClaim(authentication_id=authentication_id):
                if authentication_id in self.claims and self.claims[authentication_id].holder == waiter:
                    del self.claims[authentication_id]
            case _:
                assert_never(effect)

    def end_check(
        self,
        due: Due | None,
        *,
        checked_at: Instant | None,
        pages: int,
        failures: int = 0,
        retry_at: Instant | None = None,
    ) -> None:
        """A check has ended: free its lease, keep its counters, want what was computed."""
        self.lease_token, self.lease_until = None, 0
        self.due = (due if self.waiters else None) or Due()
        self.pages, self.failures, self.retry_at = pages, failures, retry_at
        if checked_at is not None:
            self.checks = (*self.checks, checked_at)[-KEPT_CHECKS:]

    def _only_newest(self, waiter: Waiter, opened: str) -> None:
        """Of a step's popups forget those that are over soonest, but not the one that has just been opened."""
        own = sorted(
            (until, keys.popup_member(*popup), popup)
            for popup, until in self.popups.items()
            if popup[0] == waiter and popup[1] != opened
        )
        for _, _, popup in own[: max(0, len(own) + 1 - KEPT_POPUPS)]:
            del self.popups[popup]

    def seen(self, key: WatchKey, *, now: Instant) -> Watch:
        """Return the watch as the port shows it."""
        popups = (
            Popup(waiter=waiter, attempt_id=attempt_id, until=until)
            for (waiter, attempt_id), until in self.popups.items()
            if until > now
        )
        return Watch(
            key=key,
            version=self.version,
            checks=self.checks,
            pages=self.pages,
            failures=self.failures,
            retry_at=self.retry_at,
            lease_token=self.lease_token,
            lease_until=self.lease_until,
            next_check_at=self.next_check_at,
            waiters=tuple(sorted(self.waiters)),
            popups=tuple(sorted(popups, key=lambda popup: (popup.until, popup.waiter, popup.attempt_id))),
            claims=dict(self.claims),
        )


@dataclass(slots=True)
class LaneState:
    """A lane in which something is pending: when it is due, or until when `token` has it."""

    due: Instant
    token: str | None = None


@dataclass(slots=True)
class State:
    """Everything, for all shards. References and receipts are by tenant, user and name, credentials by tenant and user.

    `erased` is the highest generation of any credential that was erased, by shard; `untold` are users whose sessions
    may not know how the credential is. The outbox is one for all shards; messages are by session and id. Endpoints are
    by tenant and id: `deleted` says until when one may not be made again, `received` when one last received something,
    `troubled` how often in a row it did not, by shard. Stages and titles are counted by the hour, popups and calls by
    the minute, each by its beginning.
    """

    shards: int
    sessions: dict[str, SessionState] = field(default_factory=dict)
    watches: dict[WatchKey, WatchState] = field(default_factory=dict)
    references: dict[tuple[str, str, str], str] = field(default_factory=dict)
    receipts: dict[tuple[str, str, str], Receipt] = field(default_factory=dict)
    bound: dict[tuple[str, str], tuple[Instant, str]] = field(default_factory=dict)
    credentials: dict[tuple[str, str], KeptState] = field(default_factory=dict)
    erased: dict[int, int] = field(default_factory=dict)
    untold: set[tuple[str, str]] = field(default_factory=set)
    sign_ins: dict[str, SignIn] = field(default_factory=dict)
    outbox: dict[str, Outgoing] = field(default_factory=dict)
    sent: int = 0
    endpoints: dict[tuple[str, str], Endpoint] = field(default_factory=dict)
    deleted: dict[tuple[str, str], Instant] = field(default_factory=dict)
    lanes: dict[Lane, LaneState] = field(default_factory=dict)
    deliveries: dict[tuple[Lane, int], Delivery] = field(default_factory=dict)
    messages: dict[tuple[str, str], bytes] = field(default_factory=dict)
    audit: dict[str, AuditEntry] = field(default_factory=dict)
    calls: dict[tuple[str, str], list[CallRecord]] = field(default_factory=dict)
    received: dict[tuple[str, str], Instant] = field(default_factory=dict)
    troubled: Counter[tuple[int, str, str]] = field(default_factory=Counter)
    stages: Counter[tuple[Instant, str, Stage]] = field(default_factory=Counter)
    popups: Counter[tuple[Instant, Popups, Fate]] = field(default_factory=Counter)
    called: Counter[tuple[Instant, CallKind, CallEnd]] = field(default_factory=Counter)
    titles: dict[tuple[Instant, str], str] = field(default_factory=dict)

    def send(self, session: Session, event: Event) -> None:
        """Put an event in the outbox."""
        self.sent += 1
        place = f"0-{self.sent}"
        self.outbox[place] = Outgoing(place=place, session_id=session.id, tenant_id=session.tenant_id, event=event)

    def forget_webhooks(self, session_id: str) -> None:
        """Erase all that concerns webhooks of a session."""
        self.outbox = {place: one for place, one in self.outbox.items() if one.session_id != session_id}
        self.forget_deliveries(session_id)

    def forget_deliveries(self, session_id: str) -> None:
        """Erase a session's deliveries and endpoints."""
        self.endpoints = {name: one for name, one in self.endpoints.items() if one.session_id != session_id}
        self.deleted = {name: until for name, until in self.deleted.items() if session_of(name[1]) != session_id}
        self.lanes = {lane: one for lane, one in self.lanes.items() if lane.session_id != session_id}
        self.forget_records(session_id)

    def forget_records(self, session_id: str) -> None:
        """Erase what is on record of a session's deliveries."""
        self.deliveries = {name: one for name, one in self.deliveries.items() if name[0].session_id != session_id}
        self.messages = {name: one for name, one in self.messages.items() if name[0] != session_id}

    def watch(self, key: WatchKey) -> WatchState:
        """Return the watch as it is; an unknown one is empty, and is not kept by this."""
        return self.watches.get(key) or WatchState()

    def receipt(self, tenant_id: str, user_id: str, name: str, *, now: Instant) -> Receipt | None:
        """Return the user's receipt of this name, if it is good."""
        receipt = self.receipts.get((tenant_id, user_id, name))
        return receipt if receipt is not None and receipt.until > now else None

    def is_stuck(self, session: Session, *, at: Instant) -> bool:
        """Tell whether somebody in the session was heard, or should have been checked, not later than this."""
        waits = waiting(session)
        if waits is None:
            return False
        heard = waits.heard_at is not None and waits.heard_at <= at
        return heard or self.is_overdue(session, waits.apps, due=at)

    def is_overdue(self, session: Session, apps: Iterable[str], *, due: Instant) -> bool:
        """Tell whether one of the user's watches of these apps was due then, and still is."""
        keys = (session.watch_key(app_id) for app_id in apps)
        return any(at is not None and at <= due for at in (self.watch(key).next_check_at for key in keys))

    def shard(self, key: WatchKey) -> int:
        """Return the watch's shard."""
        return shard_of(key.tenant_id, key.user_id, shards=self.shards)

    def shard_sessions(self, shard: int) -> list[SessionState]:
        """Return the sessions of one shard."""
        return [state for session_id, state in self.sessions.items() if session_shard(session_id) == shard]

    def shard_watches(self, shard: int) -> list[tuple[WatchKey, WatchState]]:
        """Return the watches of one shard, by name."""
        found = [(key, watch) for key, watch in self.watches.items() if self.shard(key) == shard]
        return sorted(found, key=lambda pair: keys.watch_name(pair[0]))
