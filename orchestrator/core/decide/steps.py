"""What its builder does to a session and its steps: adding, ordering, choosing apps and actions, giving up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors.sessions import AliasTakenError, SessionLockedError, TooManyStepsError
from orchestrator.core.events import EventName
from orchestrator.core.machine import Trigger
from orchestrator.core.ports.credentials import CredentialState, SignInReason
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.required import require_open
from orchestrator.core.session import ENDED, AttemptEnd, Baseline, LinkEnd, SessionStatus, Step, StepState
from orchestrator.core.values import replace

if TYPE_CHECKING:
    from orchestrator.core.decide.draft import Draft
    from orchestrator.core.signals import (
        ActionChosen,
        AppChosen,
        CredentialChanged,
        InputsGiven,
        SessionChanged,
        StepAdded,
        StepChanged,
        StepTestRequested,
    )

MOST_STEPS = 25
"""A Zap has at most this many (Zapier docs: how to build a workflow)."""


def session_changed(draft: Draft, signal: SessionChanged) -> None:
    """Take over the new title and metadata."""
    require_open(draft.session)
    session = draft.session
    changed = replace(
        session,
        title=session.title if signal.title is None else signal.title,
        metadata=session.metadata if signal.metadata is None else signal.metadata,
    )
    if changed == session:
        return draft.nothing(Outcome.DUPLICATE)
    draft.session = changed
    return draft.tell(EventName.SESSION_CHANGED)


def session_cancelled(draft: Draft) -> None:
    """End the session. A second time changes nothing, nor does it end what has expired; a Zap cannot be cancelled."""
    if draft.session.status is SessionStatus.CANCELLED:
        return draft.nothing(Outcome.DUPLICATE)
    if draft.session.status is SessionStatus.EXPIRED:
        return draft.nothing(Outcome.STALE)
    if draft.session.status in {SessionStatus.CREATING, SessionStatus.CREATED}:
        raise SessionLockedError(session_id=draft.session.id, status=draft.session.status)
    draft.session = replace(draft.session, ended=SessionStatus.CANCELLED, ended_at=draft.now)
    return draft.tell(EventName.SESSION_CANCELLED)


def credential_changed(draft: Draft, signal: CredentialChanged) -> None:
    """Note that the user must sign in to Zapier again, or has, also to another account. Ended sessions do not care."""
    session = draft.session
    signed_out = signal.state is not CredentialState.ACTIVE
    is_another = None not in {signal.account, session.account} and signal.account != session.account
    if session.status in ENDED or (session.signed_out == signed_out and not is_another):
        return draft.nothing(Outcome.DUPLICATE)
    draft.session = replace(session, signed_out=signed_out, account=signal.account or session.account)
    if signed_out:
        return draft.tell(EventName.SIGN_IN_NEEDED, reason=signal.reason or SignInReason.TOKEN_REFUSED)
    return draft.tell(EventName.SIGNED_IN)


def added(draft: Draft, signal: StepAdded) -> None:
    """Put in a new step. The same step id again changes nothing."""
    require_open(draft.session)
    session = draft.session
    if session.step(signal.step_id) is not None:
        return draft.nothing(Outcome.DUPLICATE)
    if len(session.steps) >= MOST_STEPS:
        raise TooManyStepsError(session_id=session.id, limit=MOST_STEPS)
    _refuse_taken_alias(draft, signal.alias, step_id=signal.step_id)
    step = Step(id=signal.step_id, alias=signal.alias)
    draft.session = replace(session, steps=_placed(session.steps, step, signal.position))
    return draft.tell(EventName.STEP_ADDED, step, position=draft.session.steps.index(step))


def changed(draft: Draft, step: Step, signal: StepChanged) -> None:
    """Move or rename a step."""
    _refuse_taken_alias(draft, signal.alias, step_id=step.id)
    named = draft.put(replace(step, alias=signal.alias)) if signal.alias is not None else step
    others = tuple(other for other in draft.session.steps if other.id != step.id)
    here = draft.session.steps.index(named)
    steps = _placed(others, named, here if signal.position is None else signal.position)
    if named == step and steps == draft.session.steps:
        return draft.nothing(Outcome.DUPLICATE)
    draft.session = replace(draft.session, steps=steps)
    return draft.tell(EventName.STEP_CHANGED, named, position=steps.index(named), alias=named.alias)


def removed(draft: Draft, step: Step) -> None:
    """Take a step out. Its popups may still yield an authentication; the watch remembers them."""
    steps = tuple(other for other in draft.session.steps if other.id != step.id)
    draft.session = replace(draft.session, steps=steps)
    draft.tell(EventName.STEP_REMOVED, step)


def reset(draft: Draft, step: Step) -> None:
    """Let the step start over."""
    if step.state is StepState.CHOOSE_APP:
        return draft.nothing(Outcome.DUPLICATE)
    draft.move(_without_app(draft, step), Trigger.RESET)
    return draft.tell(EventName.STEP_RESET, step)


def app_chosen(draft: Draft, step: Step, signal: AppChosen) -> None:
    """Give the step its app; the listing behind its picker becomes the baseline. The same app changes nothing."""
    if step.app is not None and step.app.id == signal.app.id:
        return draft.nothing(Outcome.DUPLICATE)
    step = replace(
        _without_app(draft, step),
        app=signal.app,
        app_at=draft.now,
        connect=signal.connect,
        baseline=Baseline.of(signal.listing) if signal.listing else None,
    )
    trigger = Trigger.APP_NEEDS_NONE if signal.connect is None else Trigger.APP_NEEDS_AUTH
    step = draft.move(step, trigger)
    return draft.tell(EventName.APP_CHOSEN, step, app_id=signal.app.id, state=step.state)


def action_chosen(draft: Draft, step: Step, signal: ActionChosen) -> None:
    """Give the step its action; the inputs of another action are dropped."""
    _refuse_without_app(draft, step, "action_chosen")
    if step.action == signal.action:
        return draft.nothing(Outcome.DUPLICATE)
    draft.put(replace(step, action=signal.action, inputs={}, picked=None))
    return draft.tell(EventName.ACTION_CHOSEN, step, key=signal.action.key, action_type=signal.action.action_type)


def inputs_given(draft: Draft, step: Step, signal: InputsGiven) -> None:
    """Keep the step's inputs as given."""
    _refuse_without_app(draft, step, "inputs_given")
    if step.inputs == signal.inputs:
        return draft.nothing(Outcome.DUPLICATE)
    draft.put(replace(step, inputs=signal.inputs, picked=signal.picked))
    return draft.tell(EventName.INPUTS_GIVEN, step, fields=sorted(signal.inputs))


def step_test_requested(draft: Draft, step: Step, signal: StepTestRequested) -> None:
    """Note that the step's action is about to be carried out."""
    if step.action is None or not step.is_settled:
        raise draft.illegal(step, "test_requested")
    draft.tell(EventName.STEP_TESTED, step, test_id=signal.test_id)


def _without_app(draft: Draft, step: Step) -> Step:
    ended = draft.end_live_attempts(step, AttemptEnd.SETTLED)
    links = tuple(link if link.ended else replace(link, ended=LinkEnd.REVOKED) for link in ended.links)
    return Step(id=ended.id, alias=ended.alias, state=ended.state, attempts=ended.attempts, links=links)


def _placed(steps: tuple[Step, ...], step: Step, position: int | None) -> tuple[Step, ...]:
    place = len(steps) if position is None else min(max(position, 0), len(steps))
    return (*steps[:place], step, *steps[place:])


def _refuse_taken_alias(draft: Draft, alias: str | None, *, step_id: str) -> None:
    if alias is not None and any(step.alias == alias and step.id != step_id for step in draft.session.steps):
        raise AliasTakenError(session_id=draft.session.id, alias=alias)


def _refuse_without_app(draft: Draft, step: Step, signal: str) -> None:
    if step.app is None:
        raise draft.illegal(step, signal)
