"""What operators count, in plain dicts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator.core.health import HOUR, Fate, Popups
from orchestrator.core.ports.calls import CallEnd, CallKind
from orchestrator.core.ports.census import AppSessions, CensusStore, Counts, Situation, WaitingSession
from orchestrator.core.session import MINUTE, Instant, Millis, Session, SessionStatus, StepState
from orchestrator.core.waiting import STUCK_AFTER, waiting
from orchestrator.store.memory.state import State


class MemoryCensusStore:
    """`CensusStore` of one process, gone with it."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def situations(self, tenants: Sequence[str], *, app_id: str | None = None) -> Mapping[Situation, int]:
        """Count sessions by where they stand."""
        return Counter(
            Situation(status=session.status, state=session.state, reason=session.reason)
            for session in self._of(tenants)
            if app_id is None or app_id in _apps(session)
        )

    async def apps(self, tenants: Sequence[str]) -> Mapping[str, AppSessions]:
        """Count sessions by app."""
        found = [(app_id, _is_waiting(session)) for session in self._of(tenants) for app_id in _apps(session)]
        sessions = Counter(app_id for app_id, _ in found)
        waits = Counter(app_id for app_id, is_waiting in found if is_waiting)
        return {app_id: AppSessions(sessions=count, waiting=waits[app_id]) for app_id, count in sessions.items()}

    async def waiting(self, tenants: Sequence[str], *, now: Instant) -> tuple[WaitingSession, ...]:
        """Return every session in which somebody waits."""
        return tuple(
            WaitingSession(
                tenant_id=session.tenant_id,
                session_id=session.id,
                waiting=waits,
                is_overdue=self._state.is_overdue(session, waits.apps, due=now - STUCK_AFTER),
            )
            for session in self._of(tenants)
            if (waits := waiting(session)) is not None
        )

    async def hours(self, begun: Sequence[Instant]) -> tuple[Counts, ...]:
        """Return what was counted in each of these hours."""
        state = self._state
        return tuple(
            Counts(
                stages={(tenant, stage): count for (hour, tenant, stage), count in state.stages.items() if hour == at},
                popups=self._popups(at, HOUR),
                calls=self._calls(at, HOUR),
                titles={app_id: title for (hour, app_id), title in state.titles.items() if hour == at},
            )
            for at in begun
        )

    async def minutes(self, begun: Sequence[Instant]) -> tuple[Counts, ...]:
        """Return the popups and calls that were counted in each of these minutes."""
        return tuple(Counts(popups=self._popups(at, MINUTE), calls=self._calls(at, MINUTE)) for at in begun)

    def _of(self, tenants: Collection[str]) -> list[Session]:
        sessions = (state.session for state in self._state.sessions.values())
        return [session for session in sessions if session.tenant_id in tenants]

    def _popups(self, begun: Instant, length: Millis) -> Mapping[Popups, Mapping[Fate, int]]:
        counts: defaultdict[Popups, Counter[Fate]] = defaultdict(Counter)
        for (minute, popups, fate), count in self._state.popups.items():
            if begun <= minute < begun + length:
                counts[popups][fate] += count
        return counts

    def _calls(self, begun: Instant, length: Millis) -> Mapping[CallKind, Mapping[CallEnd, int]]:
        counts: defaultdict[CallKind, Counter[CallEnd]] = defaultdict(Counter)
        for (minute, kind, end), count in self._state.called.items():
            if begun <= minute < begun + length:
                counts[kind][end] += count
        return counts


def _apps(session: Session) -> frozenset[str]:
    return frozenset(step.app.id for step in session.steps if step.app is not None)


def _is_waiting(session: Session) -> bool:
    return session.status is SessionStatus.BUILDING and session.state is StepState.AWAITING_POPUP


if TYPE_CHECKING:
    _: type[CensusStore] = MemoryCensusStore
