"""Creating the Zap: a committed intent, then one call, then what came of it. Never two Zaps for one wish."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from orchestrator.core.errors import CreateUnknownError, NotReadyError, SessionLockedError
from orchestrator.core.events import EventName
from orchestrator.core.ports import Outcome, ZapMade, ZapNotMade, ZapUnknown
from orchestrator.core.session import SessionStatus, Step, Zap, ZapState
from orchestrator.core.values import replace

if TYPE_CHECKING:
    from orchestrator.core.decide.draft import Draft
    from orchestrator.core.session import Session
    from orchestrator.core.signals import ZapAnswered, ZapRequested


def requested(draft: Draft, signal: ZapRequested) -> None:
    """Commit to one call. After an unknown outcome only a person may ask again."""
    session = draft.session
    if session.zap.intent_id == signal.intent_id:
        return draft.nothing(Outcome.DUPLICATE)
    if session.status is SessionStatus.CREATE_UNKNOWN and not signal.again:
        raise CreateUnknownError(session_id=session.id)
    if session.status is SessionStatus.BUILDING:
        raise NotReadyError(session_id=session.id, missing=missing(session))
    if session.status not in {SessionStatus.READY, SessionStatus.CREATE_UNKNOWN}:
        raise SessionLockedError(session_id=session.id, status=session.status)
    zap = Zap(state=ZapState.CREATING, intent_id=signal.intent_id, intent_at=draft.now)
    draft.session = replace(session, zap=zap)
    return draft.tell(EventName.ZAP_REQUESTED, intent_id=signal.intent_id)


def answered(draft: Draft, signal: ZapAnswered) -> None:
    """Note what came of the intent's call; a late answer still settles an unknown outcome."""
    zap = draft.session.zap
    if zap.intent_id != signal.intent_id or zap.state not in {ZapState.CREATING, ZapState.UNKNOWN}:
        return draft.nothing(Outcome.STALE)
    match signal.answer:
        case ZapMade(zap_id=zap_id, editor_url=editor_url):
            zap = replace(zap, state=ZapState.CREATED, id=zap_id, editor_url=editor_url, problem=None)
            draft.session = replace(draft.session, zap=zap, ended=SessionStatus.CREATED, ended_at=draft.now)
            return draft.tell(EventName.ZAP_CREATED, zap_id=zap_id)
        case ZapNotMade(problem=problem):
            draft.session = replace(draft.session, zap=replace(zap, state=ZapState.FAILED, problem=problem))
            return draft.tell(EventName.ZAP_FAILED, problem=problem)
        case ZapUnknown(problem=problem):
            return unknown(draft, problem=problem)
        case _:
            assert_never(signal.answer)


def unknown(draft: Draft, *, problem: str) -> None:
    """Say that the Zap may exist. Saying it twice changes nothing."""
    zap = draft.session.zap
    if zap.state is ZapState.UNKNOWN:
        return draft.nothing(Outcome.DUPLICATE)
    draft.session = replace(draft.session, zap=replace(zap, state=ZapState.UNKNOWN, problem=problem))
    return draft.tell(EventName.ZAP_CREATE_UNKNOWN, problem=problem)


def missing(session: Session) -> dict[str, str]:
    """Return what keeps the Zap from being created: step id → what it lacks."""
    lacks = {step.id: _lack(step) for step in session.steps}
    return {step_id: lack for step_id, lack in lacks.items() if lack}


def _lack(step: Step) -> str | None:
    if step.app is None:
        return "has no app"
    if not step.is_settled:
        return f"is in {step.state}"
    return None if step.action else "has no action"
