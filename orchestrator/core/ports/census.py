"""How many there are of everything, for operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.core.health import Fate, Popups, Stage
from orchestrator.core.ports.calls import CallEnd, CallKind
from orchestrator.core.session import Instant, Reason, SessionStatus, StepState
from orchestrator.core.waiting import Waiting


@dataclass(frozen=True, kw_only=True, order=True)
class Situation:
    """What sessions are counted by."""

    status: SessionStatus
    state: StepState
    reason: Reason | None = None


@dataclass(frozen=True, kw_only=True)
class AppSessions:
    """How many sessions have an app among their steps, and in how many of them somebody waits for a popup."""

    sessions: int
    waiting: int


@dataclass(frozen=True, kw_only=True)
class WaitingSession:
    """A session in which somebody waits. `is_overdue`: a check for it should have been made half a minute ago."""

    tenant_id: str
    session_id: str
    waiting: Waiting
    is_overdue: bool


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What was counted in an hour, or in a minute: sessions by tenant and stage, popups and calls by their ends.

    `titles` are those of apps that were chosen then. Stages and titles are counted by the hour alone.
    """

    stages: Mapping[tuple[str, Stage], int] = field(default_factory=dict)
    popups: Mapping[Popups, Mapping[Fate, int]] = field(default_factory=dict)
    calls: Mapping[CallKind, Mapping[CallEnd, int]] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)


class CensusStore(Protocol):
    """How many there are of everything, read from what commits keep; nothing is gone through one by one."""

    async def situations(self, tenants: Sequence[str], *, app_id: str | None = None) -> Mapping[Situation, int]:
        """Count the tenants' sessions, or those that have this app, by where they stand."""
        ...

    async def apps(self, tenants: Sequence[str]) -> Mapping[str, AppSessions]:
        """Count the tenants' sessions by app."""
        ...

    async def waiting(self, tenants: Sequence[str], *, now: Instant) -> tuple[WaitingSession, ...]:
        """Return every session of the tenants in which somebody waits, in any order."""
        ...

    async def hours(self, begun: Sequence[Instant]) -> tuple[Counts, ...]:
        """Return what was counted in each of these hours, of every tenant. They are kept for some days."""
        ...

    async def minutes(self, begun: Sequence[Instant]) -> tuple[Counts, ...]:
        """Return the popups and calls that were counted in each of these minutes. They are kept for some hours."""
        ...
