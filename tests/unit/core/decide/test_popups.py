"""What pages say of popups, told as stories."""

import pytest

from orchestrator.core.errors import (
    AttemptStaleError,
    AttemptTakenError,
    IllegalSignalError,
)
from orchestrator.core.events import EventName
from orchestrator.core.ports import Outcome
from orchestrator.core.session import MINUTE, SECOND, HintKind, Reason, StepState
from orchestrator.core.signals import Context, StepReset
from tests.support.stories import Story

NEEDS, AWAITING, RESOLVED = StepState.NEEDS_AUTH, StepState.AWAITING_POPUP, StepState.RESOLVED


def waiting(*healthy: str) -> Story:
    """Begin with a step whose popup is open."""
    return Story().choose("slack", *(healthy or ("old",))).open()


def test_a_doubled_message_changes_nothing() -> None:
    """Before its confirmation and after it."""
    story = waiting()

    story.feed(story.message("new"))
    story.feed(story.message("new"), outcome=Outcome.DUPLICATE)
    story.feed(story.listed("old", "new"), state=RESOLVED)
    story.feed(story.message("new"), outcome=Outcome.DUPLICATE)


def test_a_message_does_not_undo_the_users_choice() -> None:
    """It comes too late."""
    story = waiting()
    story.feed(story.selected("old", "old"), state=RESOLVED)

    story.feed(story.message("new"), outcome=Outcome.STALE)


@pytest.mark.parametrize(
    ("blocked", "reason"), [(False, Reason.CANCELLED), (True, Reason.POPUP_BLOCKED)], ids=["cancelled", "blocked"]
)
def test_who_gives_up_may_still_be_offered_what_comes(blocked: bool, reason: Reason) -> None:
    """The popup may be open all the same."""
    story = waiting()

    story.feed(story.blocked() if blocked else story.cancelled(), state=NEEDS, reason=reason)
    story.later(MINUTE).feed(story.listed("old", "new"), state=NEEDS, reason=reason)
    assert story.candidates == ["new"]


def test_an_attempt_of_a_former_app_is_stale_and_one_of_another_step_is_taken() -> None:
    """Popups never cross."""
    story = Story("s1", "s2").choose("slack", "old").open("a1").choose("gmail", "other")
    story.choose("slack", "old", step_id="s2")

    story.refuse(story.message("new", "a1"), AttemptStaleError)
    story.refuse(story.opened("a1", step_id="s2"), AttemptTakenError)


def test_a_signal_with_an_unused_id_opens_that_attempt() -> None:
    """A lost opening loses nothing; without an app there is nothing to open."""
    story = Story().choose("slack", "old")

    story.feed(story.message("new", "a9"), state=AWAITING, tells=[EventName.POPUP_OPENED, EventName.MESSAGE_RECEIVED])
    bare = Story()
    bare.refuse(bare.opened(), IllegalSignalError)


def test_a_page_that_is_seen_is_waited_for_longer() -> None:
    """Thirty minutes at most, each move said; a page that is only seen again early moves nothing."""
    story = waiting()
    seen = Context(visible=True)

    story.later(MINUTE).feed(story.hint(HintKind.FOCUS, context=seen), tells=[])
    for _ in range(15):
        story.later(2 * MINUTE - SECOND).feed(story.hint(HintKind.FOCUS, context=seen))
    attempt = story.step().live_attempt
    assert attempt is not None
    assert attempt.deadline == attempt.opened_at + story.policy.attempt_visible
    assert EventName.ATTEMPT_DEADLINE_MOVED in [event.name for event in story.events]
    assert story.session.deadline >= attempt.deadline


def test_who_looks_away_is_not_taken_to_be_waiting_in_front_of_the_page() -> None:
    """What a page says of being hidden promises nothing."""
    story = waiting()
    story.feed(story.hint(HintKind.FOCUS, context=Context(visible=False)))

    attempt = story.step().live_attempt
    assert attempt is not None
    assert attempt.visible_until == 0


def test_a_step_that_needs_no_authentication_takes_no_message_and_no_choice() -> None:
    """Its app was changed while the popup was open."""
    story = waiting()
    story.feed(story.chosen("formatter", needs_auth=False), state=StepState.NO_AUTH_REQUIRED)

    story.refuse(story.message("new", "a2"), IllegalSignalError)
    story.refuse(story.selected("old", "old"), IllegalSignalError)


def test_an_app_that_needs_no_authentication_any_more_takes_no_message() -> None:
    """The popup was opened when it still did."""
    story = waiting()
    story.feed(StepReset(step_id=story.step().id), state=StepState.CHOOSE_APP)
    story.feed(story.chosen("slack", needs_auth=False), state=StepState.NO_AUTH_REQUIRED)

    story.refuse(story.message("new"), IllegalSignalError)
