"""An authentication for an app of the tenant's own: a committed intent, then one call, then what came of it.

The fields are no part of it: they are secret, and only the call has them. When its answer is lost, listings tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from orchestrator.core import machine
from orchestrator.core.decide.listing import resolve
from orchestrator.core.decide.popups import begin
from orchestrator.core.effects import ClosePopup
from orchestrator.core.errors.attempts import FieldsUnansweredError
from orchestrator.core.events import EventName
from orchestrator.core.machine import Trigger
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.upstream import AuthenticationMade, AuthenticationNotMade, AuthenticationUnknown
from orchestrator.core.schedule import SUPPLY_WAIT
from orchestrator.core.session import AttemptEnd, Channel, Evidence, Hint, HintKind, StepState
from orchestrator.core.values import replace

if TYPE_CHECKING:
    from orchestrator.core.decide.draft import Draft
    from orchestrator.core.session import Attempt, Step
    from orchestrator.core.signals import FieldsAnswered, FieldsSent


def sent(draft: Draft, step: Step, signal: FieldsSent) -> None:
    """Commit to one call. While what came of an earlier one is not known, there is no other."""
    if step.attempt(signal.attempt_id) is not None:
        return draft.nothing(Outcome.DUPLICATE)
    is_for_it = step.app is not None and step.app.id == signal.app_id
    if not is_for_it or not machine.allows(step.state, Trigger.SUPPLYING):
        raise draft.illegal(step, Trigger.SUPPLYING)
    if step.live_attempt is not None:
        raise FieldsUnansweredError(session_id=draft.session.id, step_id=step.id, attempt_id=step.live_attempt.id)
    step, attempt = begin(draft, step, signal.attempt_id, trigger=Trigger.SUPPLYING, lasts=SUPPLY_WAIT)
    return draft.tell(EventName.FIELDS_SENT, step, attempt_id=attempt.id, deadline=attempt.deadline)


def answered(draft: Draft, step: Step, signal: FieldsAnswered) -> None:
    """Take note of what came of the call. What is known too late to matter changes nothing."""
    attempt = next((one for one in step.app_attempts if one.id == signal.attempt_id and one.supplied), None)
    if attempt is None:
        return draft.nothing(Outcome.STALE)
    match signal.answer:
        case AuthenticationMade():
            return _made(draft, step, attempt, signal, signal.answer)
        case AuthenticationNotMade():
            return _not_made(draft, step, attempt)
        case AuthenticationUnknown():
            return _unknown(draft, step, attempt)
        case _:
            assert_never(signal.answer)


def _made(draft: Draft, step: Step, attempt: Attempt, signal: FieldsAnswered, answer: AuthenticationMade) -> None:
    """Settle the step on it, unless its user, or a popup's message, has settled it meanwhile."""
    if step.state is StepState.RESOLVED and step.evidence and not step.evidence.is_difference_alone:
        return draft.nothing(Outcome.STALE)
    draft.claims |= signal.claims
    _nothing_more_comes_of(draft, step, attempt)
    evidence = Evidence(channels=(Channel.SUPPLIED,), checked_at=draft.now, attempt_id=attempt.id)
    return resolve(draft, step, answer.authentication, evidence, trigger=Trigger.SUPPLIED)


def _not_made(draft: Draft, step: Step, attempt: Attempt) -> None:
    _nothing_more_comes_of(draft, step, attempt)
    if attempt.ended is not None:
        return None
    step = draft.move(draft.end_live_attempts(step, AttemptEnd.SETTLED), Trigger.NOT_MADE)
    return draft.tell(EventName.AUTH_NEEDED, step, reason=step.reason, attempt_id=attempt.id)


def _unknown(draft: Draft, step: Step, attempt: Attempt) -> None:
    if attempt.ended is not None:
        return draft.nothing(Outcome.STALE)
    lost = replace(attempt, hints=(*attempt.hints, Hint(kind=HintKind.ANSWER_LOST, at=draft.now)))
    attempts = tuple(lost if lost.id == old.id else old for old in step.attempts)
    draft.put(replace(step, attempts=attempts))
    return None


def _nothing_more_comes_of(draft: Draft, step: Step, attempt: Attempt) -> None:
    draft.ask(ClosePopup(app_id=attempt.app_id, step_id=step.id, attempt_id=attempt.id))
