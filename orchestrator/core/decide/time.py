"""What time alone does: attempts and sessions end, and an intent without an answer becomes unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.decide import creation, popups
from orchestrator.core.errors.sessions import DeadlineFinalError
from orchestrator.core.events import EventName
from orchestrator.core.machine import Trigger
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.required import require_open
from orchestrator.core.session import Attempt, AttemptEnd, SessionStatus, Step
from orchestrator.core.values import replace

if TYPE_CHECKING:
    from orchestrator.core.decide.draft import Draft
    from orchestrator.core.signals import DeadlinesExtended, TimePassed


def passed(draft: Draft, signal: TimePassed) -> None:
    """Apply every deadline that has come. Without one, nothing changes."""
    session = draft.session
    if session.status is SessionStatus.CREATING:
        if draft.now >= (session.zap.intent_at or 0) + draft.policy.creation:
            return creation.unknown(draft, problem="no answer was noted in time")
        return draft.nothing(Outcome.STALE)
    if not session.is_open:
        return draft.nothing(Outcome.STALE)
    for step in session.steps:
        _end_or_extend(draft, step, signal)
    if draft.now >= draft.session.deadline and not _is_waiting(draft):
        draft.session = replace(draft.session, ended=SessionStatus.EXPIRED, ended_at=draft.now)
        draft.tell(EventName.SESSION_EXPIRED)
    return None


def extended(draft: Draft, signal: DeadlinesExtended) -> None:
    """Move the session's deadline and those of its live attempts later, none beyond its longest.

    What is overdue goes on from now. Raises DeadlineFinalError when there is nothing left to give.
    """
    session = draft.session
    require_open(session)
    for step in session.steps:
        _give_more(draft, step, signal)
    latest = session.created_at + draft.policy.session_ttl_longest
    given = min(max(session.deadline, draft.now) + signal.by, latest)
    if given > draft.session.deadline:
        draft.session = replace(draft.session, deadline=given)
    if draft.session == session:
        raise DeadlineFinalError(session_id=session.id, deadline=session.deadline)
    if draft.session.deadline > session.deadline:
        draft.tell(EventName.SESSION_DEADLINE_MOVED, deadline=draft.session.deadline)


def _give_more(draft: Draft, step: Step, signal: DeadlinesExtended) -> None:
    attempt = step.live_attempt
    if attempt is None:
        return
    latest = attempt.opened_at + draft.policy.attempt_longest
    deadline = min(max(attempt.deadline, draft.now) + signal.by, latest)
    if deadline > attempt.deadline:
        moved = popups.extend(draft, step, attempt, deadline=deadline)
        draft.put(replace(step, attempts=tuple(moved if moved.id == old.id else old for old in step.attempts)))


def _end_or_extend(draft: Draft, step: Step, signal: TimePassed) -> None:
    """A deadline without a complete check after it moves, up to an attempt's longest, then ends unchecked."""
    attempt = step.live_attempt
    if attempt is None or step.app is None:
        return
    if draft.now < attempt.deadline + draft.policy.deadline_grace:
        return
    if any(begun_at > attempt.deadline for begun_at in signal.checks.get(step.app.id, ())):
        _time_out(draft, step, attempt, checked=True)
        return
    latest = attempt.opened_at + draft.policy.attempt_longest
    if attempt.deadline < latest and draft.now < latest:
        deadline = min(draft.now + draft.policy.attempt_extension, latest)
        moved = popups.extend(draft, step, attempt, deadline=deadline)
        attempts = tuple(moved if moved.id == old.id else old for old in step.attempts)
        draft.put(replace(step, attempts=attempts))
    else:
        _time_out(draft, step, attempt, checked=False)


def _time_out(draft: Draft, step: Step, attempt: Attempt, *, checked: bool) -> None:
    step = draft.move(draft.end_live_attempts(step, AttemptEnd.TIMED_OUT), Trigger.TIMED_OUT)
    draft.tell(EventName.AUTH_NEEDED, step, reason=step.reason, attempt_id=attempt.id, checked=checked)


def _is_waiting(draft: Draft) -> bool:
    return any(step.live_attempt is not None for step in draft.session.steps)
