"""A decision while it is being made."""

import pytest

from orchestrator.core.decide import decide
from orchestrator.core.decide.draft import Draft
from orchestrator.core.errors.sessions import StepNotFoundError
from orchestrator.core.events import EventName
from orchestrator.core.schedule import Policy
from orchestrator.core.signals import SessionChanged
from tests.support.stories import NOON, Story, new_session


def test_a_draft_that_nothing_was_done_to_changes_nothing() -> None:
    """Its session is the one it began with."""
    session = new_session("s1")
    decision = Draft(session, now=NOON + 1, policy=Policy()).decision()

    assert decision.session == session
    assert not decision.changes(session)


def test_what_is_told_is_numbered_after_what_was_told() -> None:
    """Events of one decision are consecutive."""
    draft = Draft(new_session("s1"), now=NOON, policy=Policy())
    draft.tell(EventName.SESSION_CHANGED)
    draft.tell(EventName.STEP_ADDED)

    assert [event.seq for event in draft.decision().events] == [1, 2]


def test_an_unknown_step_is_an_error() -> None:
    """It names the session and the step."""
    draft = Draft(new_session("s1"), now=NOON, policy=Policy())

    with pytest.raises(StepNotFoundError, match="s9"):
        draft.step("s9")


def test_a_session_that_became_ready_says_so_once() -> None:
    """Not again at each later change."""
    story = Story().choose("slack", "mine").settle("mine").act()
    renamed = decide(story.session, SessionChanged(title="New"), policy=story.policy, now=story.now)

    assert story.events[-1].name is EventName.SESSION_READY
    assert [event.name for event in renamed.events] == [EventName.SESSION_CHANGED]
