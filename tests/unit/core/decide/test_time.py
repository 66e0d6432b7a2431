"""What time alone does, told as stories."""

from orchestrator.core.events import EventName
from orchestrator.core.ports import Outcome
from orchestrator.core.session import MINUTE, SECOND, Reason, SessionStatus, StepState
from orchestrator.core.signals import SessionCancelled, ZapRequested
from tests.support.stories import Story

NEEDS, AWAITING, RESOLVED = StepState.NEEDS_AUTH, StepState.AWAITING_POPUP, StepState.RESOLVED


def waiting(*healthy: str) -> Story:
    """Begin with a step whose popup is open."""
    return Story().choose("slack", *(healthy or ("old",))).open()


def test_a_deadline_ends_the_wait_only_with_a_listing_begun_after_it() -> None:
    """And what comes later still repairs it."""
    story = waiting().later(11 * MINUTE)

    story.feed(story.listed("old"), state=NEEDS, reason=Reason.TIMED_OUT)
    story.feed(story.message("late"), state=NEEDS, reason=Reason.TIMED_OUT)
    story.later(SECOND).feed(story.listed("old", "late"), state=RESOLVED)


def test_a_deadline_moves_while_nobody_could_look() -> None:
    """To sixty minutes at most, saying so; then the wait ends unchecked."""
    story = waiting().later(11 * MINUTE)

    story.feed(story.time_passed(), state=AWAITING, tells=[EventName.ATTEMPT_DEADLINE_MOVED])
    story.later(60 * MINUTE).feed(story.time_passed(), state=NEEDS, reason=Reason.TIMED_OUT)


def test_a_session_expires_but_never_before_its_attempts() -> None:
    """And takes nothing afterwards."""
    story = Story().choose("slack", "old").later(24 * 60 * MINUTE - SECOND).open()

    story.later(MINUTE).feed(story.time_passed(), tells=[])
    story.later(61 * MINUTE).feed(story.time_passed(), tells=[EventName.AUTH_NEEDED, EventName.SESSION_EXPIRED])
    assert story.session.status is SessionStatus.EXPIRED


def test_a_wait_ends_with_the_check_that_began_after_its_deadline() -> None:
    """Which the session may not have been told of yet."""
    story = waiting().later(10 * MINUTE + SECOND)
    story.watches["slack"].checks = (story.now,)
    story.later(MINUTE)

    story.feed(story.time_passed(), state=NEEDS, reason=Reason.TIMED_OUT)
    assert story.events[-1].data["checked"] is True


def test_time_changes_nothing_about_an_intent_still_under_way_or_an_ended_session() -> None:
    """A minute is given to the one, nothing to the other."""
    creating = Story().choose("slack", "mine").settle("mine").act()
    creating.feed(ZapRequested(intent_id="i1"))
    ended = waiting()
    ended.feed(SessionCancelled())

    creating.later(SECOND).feed(creating.time_passed(), outcome=Outcome.STALE)
    ended.later(61 * MINUTE).feed(ended.time_passed(), outcome=Outcome.STALE)
