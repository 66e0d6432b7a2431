"""Creating the Zap: a committed intent, then one call, then what came of it. Never two Zaps for one wish."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from orchestrator.core.errors.sessions import SessionLockedError
from orchestrator.core.errors.zaps import CreateUnknownError, NotReadyError, ZapNotMatchedError
from orchestrator.core.events import EventName
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.upstream import ZapMade, ZapNotMade, ZapUnknown
from orchestrator.core.recognition import BETWEEN_LOOKS, GIVE_UP_AFTER
from orchestrator.core.session import SessionStatus, Step, Zap, ZapMatch, ZapState
from orchestrator.core.values import replace

if TYPE_CHECKING:
    from orchestrator.core.decide.draft import Draft
    from orchestrator.core.session import Session
    from orchestrator.core.signals import ZapAnswered, ZapIdentified, ZapRequested, ZapsListed, ZapsNotListed


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
            return _created(draft, ZapMatch(id=zap_id, title="", editor_url=editor_url))
        case ZapNotMade(problem=problem):
            zap = replace(zap, state=ZapState.FAILED, problem=problem, matches=(), look_at=None)
            draft.session = replace(draft.session, zap=zap)
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
    zap = replace(zap, state=ZapState.UNKNOWN, problem=problem, look_at=draft.now)
    draft.session = replace(draft.session, zap=zap)
    return draft.tell(EventName.ZAP_CREATE_UNKNOWN, problem=problem)


def listed(draft: Draft, signal: ZapsListed) -> None:
    """Take note of a look at the user's Zaps: the only one that fits in either look is the session's.

    With none, or several, or one that may be another session's, or with a list that was not whole, only a person can
    tell.
    """
    zap = draft.session.zap
    if not _is_looked_for(zap, signal.intent_id):
        return draft.nothing(Outcome.STALE)
    seen = {found.id: found for found in (*zap.matches, *signal.matches)}
    is_first, is_sure = zap.looks == 0, signal.complete and not signal.contested
    if len(seen) == 1 == len(signal.matches) and is_sure and not is_first:
        return _created(draft, signal.matches[0])
    zap = replace(
        zap,
        matches=tuple(seen.values()),
        looks=zap.looks + 1,
        look_at=draft.now + BETWEEN_LOOKS if is_first else None,
    )
    draft.session = replace(draft.session, zap=zap)
    return draft.tell(EventName.ZAP_LOOKED_FOR, matches=list(seen), is_over=not is_first)


def not_listed(draft: Draft, signal: ZapsNotListed) -> None:
    """Look again once the intent is twice as old, so that a Zapier in trouble is asked ever more seldom."""
    zap = draft.session.zap
    if not _is_looked_for(zap, signal.intent_id):
        return draft.nothing(Outcome.STALE)
    began = zap.intent_at or draft.now
    again_at = min(draft.now + max(BETWEEN_LOOKS, draft.now - began), began + GIVE_UP_AFTER)
    draft.session = replace(draft.session, zap=replace(zap, look_at=again_at))
    return None


def _is_looked_for(zap: Zap, intent_id: str) -> bool:
    return zap.intent_id == intent_id and zap.state is ZapState.UNKNOWN and zap.look_at is not None


def identified(draft: Draft, signal: ZapIdentified) -> None:
    """Take a person's word for which of the matches it is."""
    session = draft.session
    if session.zap.id == signal.zap_id:
        return draft.nothing(Outcome.DUPLICATE)
    if session.status is not SessionStatus.CREATE_UNKNOWN:
        raise SessionLockedError(session_id=session.id, status=session.status)
    match = next((found for found in session.zap.matches if found.id == signal.zap_id), None)
    if match is None:
        raise ZapNotMatchedError(session_id=session.id, zap_id=signal.zap_id)
    return _created(draft, match)


def _created(draft: Draft, made: ZapMatch) -> None:
    zap = replace(
        draft.session.zap,
        state=ZapState.CREATED,
        id=made.id,
        editor_url=made.editor_url,
        problem=None,
        matches=(),
        look_at=None,
    )
    draft.session = replace(draft.session, zap=zap, ended=SessionStatus.CREATED, ended_at=draft.now)
    draft.tell(EventName.ZAP_CREATED, zap_id=made.id)


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
