"""Decisions as a whole: told apart by kind, refused without a trace, the same every time."""

import pytest

from orchestrator.core.decide import decide, found
from orchestrator.core.errors.sessions import SessionLockedError, StepNotFoundError
from orchestrator.core.events import EventName
from orchestrator.core.ports.credentials import CredentialState
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.schedule import Policy
from orchestrator.core.signals import CredentialChanged, SessionCancelled, SessionChanged, StepRemoved
from tests.support.stories import NOON, Story, new_session


def test_a_session_begins_with_its_first_event() -> None:
    """It names the steps there are."""
    begun = found(new_session("s1", "s2"), policy=Policy(), now=NOON)

    assert [(event.seq, event.name, event.data) for event in begun.events] == [
        (1, EventName.SESSION_CREATED, {"steps": ["s1", "s2"]})
    ]


def test_the_same_signal_is_decided_the_same() -> None:
    """Nothing but session, signal and time goes into a decision."""
    story = Story().choose("slack", "old")
    first, second = (decide(story.session, story.opened(), policy=story.policy, now=story.now) for _ in range(2))

    assert first == second


def test_a_signal_for_a_step_that_is_gone_names_it() -> None:
    """Nothing changes."""
    story = Story("s1", "s2")
    story.feed(StepRemoved(step_id="s2"), tells=[EventName.STEP_REMOVED])

    with pytest.raises(StepNotFoundError, match="s2"):
        decide(story.session, StepRemoved(step_id="s2"), policy=story.policy, now=story.now)


def test_an_ended_session_takes_no_signal() -> None:
    """It says what it is."""
    story = Story()
    story.feed(SessionCancelled())

    story.refuse(SessionChanged(title="New"), SessionLockedError)


def test_having_to_sign_in_is_told_once() -> None:
    """And so is having signed in."""
    story = Story()
    needed = CredentialChanged(state=CredentialState.NEEDS_SIGN_IN)

    story.feed(needed, tells=[EventName.SIGN_IN_NEEDED])
    story.feed(needed, outcome=Outcome.DUPLICATE)
    story.feed(CredentialChanged(state=CredentialState.ACTIVE), tells=[EventName.SIGNED_IN])
