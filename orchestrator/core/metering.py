"""What is counted for operators while it happens, and what of it a commit tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from orchestrator.core.deliveries import Answer, Delivery
from orchestrator.core.events import Event, EventName
from orchestrator.core.ports.budget import Share
from orchestrator.core.ports.sessions import Commit
from orchestrator.core.ports.watches import Urgency
from orchestrator.core.session import (
    Attempt,
    Channel,
    Evidence,
    HintKind,
    Instant,
    Millis,
    Reason,
    Session,
    StepState,
)
from orchestrator.core.sign_ins import Failure
from orchestrator.core.upkeep import RefreshEnd

RETURNS: Final = frozenset({HintKind.MESSAGE, HintKind.FINISHED, HintKind.FOCUS})
"""Signs that the user is back at the page."""


class Meter(Protocol):
    """Counts what happens. It never fails, never waits, and costs next to nothing."""

    def committed(self, before: Session | None, commit: Commit) -> None:
        """A commit was written; `before` is the session as it was."""
        ...

    def called(self, endpoint: str, *, status: int | None, took: Millis) -> None:
        """A call to Zapier ended: with this status, None when no answer came."""
        ...

    def asked(self, share: Share, *, wanted: int, given: int) -> None:
        """So many permits were asked for, and so many given."""
        ...

    def dispatched(self, urgency: Urgency, *, late: Millis) -> None:
        """A check was sent to the workers, so long after it was due."""
        ...

    def checked(self, *, is_complete: bool) -> None:
        """A check ended: a complete listing was applied, or not."""
        ...

    def tried(self, delivery: Delivery, answer: Answer, *, age: Millis) -> None:
        """A delivery was tried, so long after its message was made, and is now as it says."""
        ...

    def signed_in(self, failure: Failure | None) -> None:
        """A browser came back from Zapier: its user is signed in, or this went wrong."""
        ...

    def refreshed(self, end: RefreshEnd) -> None:
        """A refresh token was used; it ended like this."""
        ...

    def exchanged(self, commands: int, *, took_s: float, is_whole: bool) -> None:
        """So many commands shared an exchange with the store; `is_whole`: it was answered."""
        ...


class Unmetered:
    """Counts nothing."""

    def committed(self, before: Session | None, commit: Commit) -> None:
        """Nothing."""

    def called(self, endpoint: str, *, status: int | None, took: Millis) -> None:
        """Nothing."""

    def asked(self, share: Share, *, wanted: int, given: int) -> None:
        """Nothing."""

    def dispatched(self, urgency: Urgency, *, late: Millis) -> None:
        """Nothing."""

    def checked(self, *, is_complete: bool) -> None:
        """Nothing."""

    def tried(self, delivery: Delivery, answer: Answer, *, age: Millis) -> None:
        """Nothing."""

    def signed_in(self, failure: Failure | None) -> None:
        """Nothing."""

    def refreshed(self, end: RefreshEnd) -> None:
        """Nothing."""

    def exchanged(self, commands: int, *, took_s: float, is_whole: bool) -> None:
        """Nothing."""


UNMETERED: Final[Meter] = Unmetered()


@dataclass(frozen=True)
class Transition:
    """A step came to a state; `reason` where it had one."""

    state: StepState
    reason: Reason | None = None


@dataclass(frozen=True)
class Resolution:
    """A popup's step was resolved by `channel`, so long after the user was back at the page (None: nobody saw that)."""

    channel: Channel
    wait: Millis | None


_STATES: Final = {
    EventName.POPUP_OPENED: StepState.AWAITING_POPUP,
    EventName.AUTH_RESOLVED: StepState.RESOLVED,
    EventName.AUTH_NEEDED: StepState.NEEDS_AUTH,
    EventName.STEP_RESET: StepState.CHOOSE_APP,
}


def transition(event: Event) -> Transition | None:
    """Say to which state an event brought its step, None for one that brings it nowhere."""
    if event.name is EventName.APP_CHOSEN:
        return Transition(StepState(str(event.data["state"])))
    state = _STATES.get(event.name)
    if state is None:
        return None
    return Transition(state, Reason(str(event.data["reason"])) if event.name is EventName.AUTH_NEEDED else None)


def resolutions(before: Session | None, commit: Commit) -> Iterator[Resolution]:
    """Say which popups a commit resolved. A choice of the user's is nobody's."""
    for event in commit.events:
        if event.name is not EventName.AUTH_RESOLVED:
            continue
        step_id = event.step_id or ""
        step, was = commit.session.step(step_id), before.step(step_id) if before is not None else None
        evidence = step.evidence if step is not None else None
        if step is None or evidence is None or evidence.attempt_id is None:
            continue
        known = (step.attempt(evidence.attempt_id), was.attempt(evidence.attempt_id) if was is not None else None)
        back_at = min((at for attempt in known if attempt is not None for at in _returns(attempt)), default=None)
        yield Resolution(_channel(evidence), None if back_at is None else max(0, event.at - back_at))


def _returns(attempt: Attempt) -> Iterator[Instant]:
    yield from (hint.at for hint in attempt.hints if hint.kind in RETURNS)
    yield from (message.at for message in attempt.messages)


def _channel(evidence: Evidence) -> Channel:
    """Name the strongest that spoke."""
    return next((one for one in Channel if one in evidence.channels), evidence.channels[0])
