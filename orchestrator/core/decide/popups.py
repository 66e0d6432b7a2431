"""What a page says of a connect popup. None of it resolves anything: it says when to look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core import machine
from orchestrator.core.errors.attempts import AttemptStaleError, AttemptTakenError, TooManyChecksError
from orchestrator.core.events import EventName
from orchestrator.core.machine import Trigger
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.schedule import (
    FOCUS_PAUSE,
    MOST_CHECKS_AT_FOCUS,
    MOST_CHECKS_AT_ONCE,
    MOST_CHECKS_BY_OPERATORS,
    VISIBLE_FOR,
    presence_due,
)
from orchestrator.core.session import (
    SECOND,
    Attempt,
    AttemptEnd,
    BrowserFamily,
    Hint,
    HintKind,
    Message,
    Millis,
    Step,
    StepState,
)
from orchestrator.core.signals import Context, MessageReceived, PopupBlocked
from orchestrator.core.values import replace

if TYPE_CHECKING:
    from orchestrator.core.decide.draft import Draft
    from orchestrator.core.signals import Hinted, OpeningSignal, PopupCancelled, PopupOpened, PopupSignal

MOST_ATTEMPTS_KEPT = 20
MOST_MESSAGES_KEPT = 5
LONGEST_WAY: Millis = 10 * SECOND
"""How long a signal may be on its way; the page counts the age of its popup until it sends it."""


def opened(draft: Draft, step: Step, signal: PopupOpened) -> None:
    """Begin an attempt, unless it has begun; earlier ones are superseded, their messages still count."""
    if _known(draft, step, signal.attempt_id) is not None:
        return draft.nothing(Outcome.DUPLICATE)
    step, attempt = _open(draft, step, signal)
    if signal.context.elapsed_ms is not None:
        _doubt_what_was_given(draft, step, attempt, signal)
    return None


def hinted(draft: Draft, step: Step, signal: Hinted) -> None:
    """Note a reason to look. One that says nothing new, or of an attempt that waits no more, changes nothing."""
    step, attempt = _attempt(draft, step, signal)
    if attempt.ended is not None or not machine.allows(step.state, Trigger.HINTED):
        return draft.nothing(Outcome.STALE)
    heard = _seen(attempt, signal.context, draft)
    if _is_worth_noting(attempt, signal.kind, now=draft.now):
        heard = replace(heard, hints=(*heard.hints, Hint(kind=signal.kind, at=draft.now)))
    if heard == attempt:
        return draft.nothing(Outcome.DUPLICATE)
    _put(draft, step, heard)
    return None


def message_received(draft: Draft, step: Step, signal: MessageReceived) -> None:
    """Keep the id a message named until Zapier lists it; a check is due. Repeating what is settled changes nothing.

    The session does not expire before there was time to look, even if Zapier cannot be asked for a while.
    """
    step, attempt = _attempt(draft, step, signal)
    if not machine.allows(step.state, Trigger.MESSAGE_CONFIRMED):
        raise draft.illegal(step, Trigger.MESSAGE_CONFIRMED)
    authentication_id = signal.authentication_id
    if authentication_id in {*(message.authentication_id for message in attempt.messages), *attempt.settled}:
        return draft.nothing(Outcome.DUPLICATE)
    if step.state is StepState.RESOLVED and step.evidence and step.authentication:
        if step.authentication.id == authentication_id:
            return draft.nothing(Outcome.DUPLICATE)
        if not step.evidence.is_difference_alone:
            return draft.nothing(Outcome.STALE)
    message = Message(authentication_id=authentication_id, at=draft.now)
    heard = _seen(attempt, signal.context, draft)
    step = _put(draft, step, replace(heard, messages=(*heard.messages, message)[-MOST_MESSAGES_KEPT:]))
    deadline = max(draft.session.deadline, draft.now + draft.policy.attempt_longest)
    draft.session = replace(draft.session, deadline=deadline)
    return draft.tell(EventName.MESSAGE_RECEIVED, step, attempt_id=attempt.id)


def given_up(draft: Draft, step: Step, signal: PopupCancelled | PopupBlocked) -> None:
    """Stop waiting for the popup. It may still be open: quiet checks go on until the attempt's deadline."""
    step, attempt = _attempt(draft, step, signal)
    if attempt.ended is not None or step.state is not StepState.AWAITING_POPUP:
        return draft.nothing(Outcome.STALE)
    is_blocked = isinstance(signal, PopupBlocked)
    step = _put(draft, step, replace(attempt, ended=AttemptEnd.BLOCKED if is_blocked else AttemptEnd.CANCELLED))
    step = draft.move(step, Trigger.BLOCKED if is_blocked else Trigger.CANCELLED)
    return draft.tell(EventName.AUTH_NEEDED, step, reason=step.reason, attempt_id=attempt.id)


def check_wanted(draft: Draft, step: Step) -> None:
    """Note on the latest attempt that an operator wants a look, whether or not it is still waited for.

    While one that was wanted a moment ago is under way, another changes nothing.
    """
    attempt = next(reversed(step.app_attempts), None)
    if attempt is None or step.state not in _LOOKED_AFTER:
        raise draft.illegal(step, "check_wanted")
    last = attempt.last(HintKind.OPERATOR)
    if last is not None and draft.now - last < FOCUS_PAUSE:
        return draft.nothing(Outcome.DUPLICATE)
    if sum(hint.kind is HintKind.OPERATOR for hint in attempt.hints) >= MOST_CHECKS_BY_OPERATORS:
        raise TooManyChecksError(session_id=draft.session.id, step_id=step.id, most=MOST_CHECKS_BY_OPERATORS)
    hint = Hint(kind=HintKind.OPERATOR, at=draft.now)
    _put(draft, step, replace(attempt, hints=(*attempt.hints, hint)))
    return None


_LOOKED_AFTER = frozenset({StepState.AWAITING_POPUP, StepState.NEEDS_AUTH})


def page_seen(draft: Draft) -> None:
    """Note for every popup that is waited for that its page is visible, unless that was noted a short while ago."""
    due = presence_due(draft.session)
    if due is None or due > draft.now:
        return draft.nothing(Outcome.DUPLICATE)
    for step in draft.session.steps:
        attempt = step.live_attempt
        if step.state is StepState.AWAITING_POPUP and attempt is not None:
            _put(draft, step, _seen(attempt, Context(visible=True), draft))
    return None


def extend(draft: Draft, step: Step, attempt: Attempt, *, deadline: int) -> Attempt:
    """Move an attempt's deadline later, the session's with it, and say so."""
    moved = replace(attempt, deadline=deadline)
    draft.session = replace(draft.session, deadline=max(draft.session.deadline, deadline))
    draft.tell(EventName.ATTEMPT_DEADLINE_MOVED, step, attempt_id=attempt.id, deadline=deadline)
    return moved


def _known(draft: Draft, step: Step, attempt_id: str) -> Attempt | None:
    attempt = step.attempt(attempt_id)
    if attempt is not None:
        if step.app is None or attempt.app_id != step.app.id:
            raise AttemptStaleError(session_id=draft.session.id, step_id=step.id, attempt_id=attempt_id)
        return attempt
    if any(other.attempt(attempt_id) for other in draft.session.steps):
        raise AttemptTakenError(session_id=draft.session.id, step_id=step.id, attempt_id=attempt_id)
    return None


def _attempt(draft: Draft, step: Step, signal: PopupSignal) -> tuple[Step, Attempt]:
    """Find the attempt; a signal with an unused id opens it, so that a lost opening loses nothing."""
    attempt = _known(draft, step, signal.attempt_id)
    if attempt is not None:
        return step, attempt
    step, attempt = _open(draft, step, signal)
    if not isinstance(signal, PopupBlocked):
        _doubt_what_was_given(draft, step, attempt, signal)
    return step, attempt


def _doubt_what_was_given(draft: Draft, step: Step, attempt: Attempt, signal: OpeningSignal) -> None:
    """Take back what others were given by difference while this popup was open and nobody knew.

    It was opened when the page says, or at any time since the step has its app. A message says which one is its own:
    unless difference has given that to another step, nothing was given wrongly.
    """
    watch = signal.watch
    if watch is None:
        return
    if isinstance(signal, MessageReceived) and not draft.holder(step, watch.claims.get(signal.authentication_id)):
        return
    since, elapsed = step.app_at, signal.context.elapsed_ms
    if elapsed is not None:
        since = max(since, draft.now - elapsed - LONGEST_WAY)
    draft.doubt(step, app_id=attempt.app_id, watch=watch, since=since)


def _open(draft: Draft, step: Step, signal: PopupSignal) -> tuple[Step, Attempt]:
    step, attempt = begin(
        draft,
        step,
        signal.attempt_id,
        trigger=Trigger.POPUP_OPENED,
        lasts=draft.policy.attempt,
        browser=signal.context.browser,
    )
    draft.tell(EventName.POPUP_OPENED, step, attempt_id=attempt.id, deadline=attempt.deadline)
    return step, attempt


def begin(
    draft: Draft,
    step: Step,
    attempt_id: str,
    *,
    trigger: Trigger,
    lasts: Millis,
    browser: BrowserFamily = BrowserFamily.OTHER,
) -> tuple[Step, Attempt]:
    """Begin an attempt, from which an authentication may arise from now on. Raises IllegalSignalError."""
    app = step.app
    if app is None or not machine.allows(step.state, trigger):
        raise draft.illegal(step, trigger)
    oldest = draft.now - draft.policy.baseline_oldest
    attempt = Attempt(
        id=attempt_id,
        app_id=app.id,
        opened_at=draft.now,
        deadline=draft.now + lasts,
        offers_only=step.baseline is None or step.baseline.taken_at < oldest,
        browser=browser,
        supplied=trigger is Trigger.SUPPLYING,
    )
    step = draft.end_live_attempts(step, AttemptEnd.SUPERSEDED)
    kept = (*step.attempts, attempt)[-MOST_ATTEMPTS_KEPT:]
    step = replace(step, attempts=kept, candidates=(), authentication=None, evidence=None)
    step = draft.move(step, trigger)
    draft.session = replace(draft.session, deadline=max(draft.session.deadline, attempt.deadline))
    draft.remember_popup(step, attempt)
    return step, attempt


def _put(draft: Draft, step: Step, attempt: Attempt) -> Step:
    attempts = tuple(attempt if attempt.id == old.id else old for old in step.attempts)
    return draft.put(replace(step, attempts=attempts))


def _seen(attempt: Attempt, context: Context, draft: Draft) -> Attempt:
    if context.gone:
        return replace(attempt, page_gone=True, visible_until=0)
    if not context.visible:
        return attempt
    attempt = replace(attempt, page_gone=False, visible_until=draft.now + VISIBLE_FOR)
    deadline = min(attempt.opened_at + draft.policy.attempt_visible, attempt.visible_until)
    if attempt.ended is not None or deadline <= attempt.deadline:
        return attempt
    return extend(draft, _holder(draft, attempt), attempt, deadline=deadline)


def _holder(draft: Draft, attempt: Attempt) -> Step:
    return next(step for step in draft.session.steps if step.attempt(attempt.id))


def _is_worth_noting(attempt: Attempt, kind: HintKind, *, now: int) -> bool:
    last = attempt.last(kind)
    if kind is HintKind.CLOSED:
        return last is None
    if kind is HintKind.FOCUS and last is not None and now - last < FOCUS_PAUSE:
        return False
    at_once = sum(hint.kind not in _NOT_THE_PAGES for hint in attempt.hints)
    return at_once < (MOST_CHECKS_AT_FOCUS if kind is HintKind.FOCUS else MOST_CHECKS_AT_ONCE)


_NOT_THE_PAGES = frozenset({HintKind.CLOSED, HintKind.OPERATOR})
"""Hints that ask for no check at once in the page's name."""
