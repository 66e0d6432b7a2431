"""What builders do to steps, told as stories."""

from orchestrator.core.errors import (
    SessionLockedError,
)
from orchestrator.core.events import EventName
from orchestrator.core.ports import Outcome
from orchestrator.core.session import SECOND, StepState
from orchestrator.core.signals import SessionCancelled, StepReset
from tests.support.stories import Story

NEEDS, AWAITING, RESOLVED = StepState.NEEDS_AUTH, StepState.AWAITING_POPUP, StepState.RESOLVED


def waiting(*healthy: str) -> Story:
    """Begin with a step whose popup is open."""
    return Story().choose("slack", *(healthy or ("old",))).open()


def test_an_app_without_a_connect_link_needs_no_authentication() -> None:
    """Nothing is asked of the user."""
    story = Story()

    story.feed(story.chosen("formatter", needs_auth=False), state=StepState.NO_AUTH_REQUIRED)


def test_the_same_app_again_changes_nothing() -> None:
    """The baseline stays as it was."""
    story = Story().choose("slack", "old").later(SECOND)

    story.feed(story.chosen("slack", "old", "new"), outcome=Outcome.DUPLICATE)


def test_a_step_starts_over() -> None:
    """Once."""
    story = waiting()

    story.feed(StepReset(step_id=story.step().id), state=StepState.CHOOSE_APP)
    story.feed(StepReset(step_id=story.step().id), outcome=Outcome.DUPLICATE)


def test_a_session_is_cancelled_once() -> None:
    """Its steps are locked then."""
    story = waiting()

    story.feed(SessionCancelled(), tells=[EventName.SESSION_CANCELLED])
    story.feed(SessionCancelled(), outcome=Outcome.DUPLICATE)
    story.refuse(story.message("new"), SessionLockedError)
