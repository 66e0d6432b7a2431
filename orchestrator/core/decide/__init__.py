"""Decisions: a session, a signal and the time give the session after it, its events and what else must be written.

Pure: no clock, chance, I/O or log. A signal that is not for this moment raises a SignalRefusedError and changes
nothing; one that was heard before, or comes too late to matter, gives an outcome that says so and changes nothing.
"""

from __future__ import annotations

from typing import assert_never

from orchestrator.core.decide import creation, links, listing, popups, steps, supplying, time
from orchestrator.core.decide.draft import Decision, Draft
from orchestrator.core.events import EventName
from orchestrator.core.required import require_open
from orchestrator.core.schedule import Policy
from orchestrator.core.session import Instant, Session, Step
from orchestrator.core.signals import (
    ActionChosen,
    AppChosen,
    AuthenticationSelected,
    AuthenticationSignal,
    AuthenticationsListed,
    AuthenticationsRefreshed,
    BuilderSignal,
    CheckWanted,
    ClaimContested,
    ClaimDoubted,
    ConnectLinkAllowed,
    ConnectLinkMade,
    ConnectLinkOpened,
    ConnectLinkRevoked,
    CredentialChanged,
    DeadlinesExtended,
    FieldsAnswered,
    FieldsSent,
    Hinted,
    InputsGiven,
    LinkSignal,
    MessageReceived,
    PageSeen,
    PopupBlocked,
    PopupCancelled,
    PopupOpened,
    PopupSignal,
    SessionCancelled,
    SessionChanged,
    Signal,
    StepAdded,
    StepChanged,
    StepRemoved,
    StepReset,
    StepSignal,
    StepTestRequested,
    TimePassed,
    ZapAnswered,
    ZapIdentified,
    ZapRequested,
    ZapsListed,
    ZapsNotListed,
)

__all__ = ["Decision", "decide", "found"]


def found(session: Session, *, policy: Policy, now: Instant) -> Decision:
    """Begin a new session, whose steps may already be there.

    Apps of its steps are chosen by signals of their own afterwards.
    """
    draft = Draft(session, now=now, policy=policy)
    draft.tell(EventName.SESSION_CREATED, steps=[step.id for step in session.steps])
    return draft.decision()


def decide(session: Session, signal: Signal, *, policy: Policy, now: Instant) -> Decision:
    """Say what the session becomes. Raises SignalRefusedError or StepNotFoundError; then nothing has changed."""
    draft = Draft(session, now=now, policy=policy)
    match signal:
        case SessionChanged() | SessionCancelled() | DeadlinesExtended() | StepAdded():
            _about_the_session(draft, signal)
        case PageSeen():
            popups.page_seen(draft)
        case AuthenticationsListed():
            listing.listed(draft, signal)
        case CredentialChanged():
            steps.credential_changed(draft, signal)
        case TimePassed():
            time.passed(draft, signal)
        case ZapRequested():
            creation.requested(draft, signal)
        case ZapAnswered() | ZapsListed() | ZapsNotListed() | ZapIdentified():
            _about_the_zap(draft, signal)
        case _:
            _about_a_step(draft, signal)
    return draft.decision()


def _about_the_session(draft: Draft, signal: SessionChanged | SessionCancelled | DeadlinesExtended | StepAdded) -> None:
    match signal:
        case DeadlinesExtended():
            time.extended(draft, signal)
        case SessionCancelled():
            steps.session_cancelled(draft)
        case SessionChanged():
            steps.session_changed(draft, signal)
        case StepAdded():
            steps.added(draft, signal)
        case _:
            assert_never(signal)


def _about_the_zap(draft: Draft, signal: ZapAnswered | ZapsListed | ZapsNotListed | ZapIdentified) -> None:
    match signal:
        case ZapAnswered():
            creation.answered(draft, signal)
        case ZapsListed():
            creation.listed(draft, signal)
        case ZapsNotListed():
            creation.not_listed(draft, signal)
        case ZapIdentified():
            creation.identified(draft, signal)
        case _:
            assert_never(signal)


def _about_a_step(draft: Draft, signal: StepSignal) -> None:
    step = draft.step(signal.step_id)
    require_open(draft.session)
    match signal:
        case PopupOpened() | Hinted() | MessageReceived() | PopupCancelled() | PopupBlocked():
            _about_a_popup(draft, step, signal)
        case ConnectLinkMade() | ConnectLinkOpened() | ConnectLinkAllowed() | ConnectLinkRevoked():
            _about_a_link(draft, step, signal)
        case CheckWanted():
            popups.check_wanted(draft, step)
        case FieldsSent():
            supplying.sent(draft, step, signal)
        case FieldsAnswered():
            supplying.answered(draft, step, signal)
        case AuthenticationsRefreshed() | AuthenticationSelected() | ClaimContested() | ClaimDoubted():
            _about_its_authentication(draft, step, signal)
        case _:
            _about_its_building(draft, step, signal)


def _about_its_authentication(draft: Draft, step: Step, signal: AuthenticationSignal) -> None:
    match signal:
        case AuthenticationsRefreshed():
            listing.refreshed(draft, step, signal)
        case AuthenticationSelected():
            listing.selected(draft, step, signal)
        case ClaimContested() | ClaimDoubted():
            listing.taken_back(draft, step, signal)
        case _:
            assert_never(signal)


def _about_its_building(draft: Draft, step: Step, signal: BuilderSignal) -> None:
    match signal:
        case StepChanged():
            steps.changed(draft, step, signal)
        case StepRemoved():
            steps.removed(draft, step)
        case StepReset():
            steps.reset(draft, step)
        case AppChosen():
            steps.app_chosen(draft, step, signal)
        case ActionChosen():
            steps.action_chosen(draft, step, signal)
        case InputsGiven():
            steps.inputs_given(draft, step, signal)
        case StepTestRequested():
            steps.step_test_requested(draft, step, signal)
        case _:
            assert_never(signal)


def _about_a_popup(draft: Draft, step: Step, signal: PopupSignal) -> None:
    match signal:
        case PopupOpened():
            popups.opened(draft, step, signal)
        case Hinted():
            popups.hinted(draft, step, signal)
        case MessageReceived():
            popups.message_received(draft, step, signal)
        case PopupCancelled() | PopupBlocked():
            popups.given_up(draft, step, signal)
        case _:
            assert_never(signal)


def _about_a_link(draft: Draft, step: Step, signal: LinkSignal) -> None:
    match signal:
        case ConnectLinkMade():
            links.made(draft, step, signal)
        case ConnectLinkOpened():
            links.opened(draft, step, signal)
        case ConnectLinkAllowed():
            links.allowed(draft, step, signal)
        case ConnectLinkRevoked():
            links.revoked(draft, step, signal)
        case _:
            assert_never(signal)
