"""What time alone does, told as stories."""

from orchestrator.core.errors.sessions import DeadlineFinalError, SessionLockedError
from orchestrator.core.events import EventName
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.session import MINUTE, SECOND, Reason, SessionStatus, StepState
from orchestrator.core.signals import DeadlinesExtended, SessionCancelled, ZapRequested
from tests.support.stories import NOON, Story

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


# --- more of it, by an operator ---


MOVED, LATER = EventName.ATTEMPT_DEADLINE_MOVED, EventName.SESSION_DEADLINE_MOVED
HOUR = 60 * MINUTE


def test_an_operator_gives_a_session_and_its_popup_more_time() -> None:
    """Counted from the deadline; a popup has an hour in all, whoever gives it."""
    story = Story("s1", "s2").choose("slack", "old").open()
    ends = story.session.deadline
    story.feed(DeadlinesExtended(by=20 * MINUTE), tells=[MOVED, LATER])
    once = story.step().attempts[-1].deadline
    story.feed(DeadlinesExtended(by=HOUR), tells=[MOVED, LATER])
    story.feed(DeadlinesExtended(by=HOUR), tells=[LATER])

    assert once == story.now + story.policy.attempt + 20 * MINUTE
    assert story.step().attempts[-1].deadline == story.now + story.policy.attempt_longest
    assert story.session.deadline == ends + 20 * MINUTE + 2 * HOUR


def test_what_is_overdue_goes_on_from_now() -> None:
    """Nobody has ended it yet; half an hour means half an hour."""
    story = Story().later(26 * HOUR)
    story.feed(DeadlinesExtended(by=30 * MINUTE), tells=[LATER])

    assert story.session.deadline == story.now + 30 * MINUTE


def test_a_session_has_a_week_and_no_more() -> None:
    """Then whoever asks is told."""
    story = Story()
    story.feed(DeadlinesExtended(by=30 * 24 * HOUR))
    refused = story.refuse(DeadlinesExtended(by=HOUR), DeadlineFinalError)

    assert story.session.deadline == NOON + story.policy.session_ttl_longest == refused.facts["deadline_ms"]


def test_a_popup_alone_may_get_more_time() -> None:
    """Where the session has all there is."""
    story = Story().choose("slack", "old").open()
    story.feed(DeadlinesExtended(by=30 * 24 * HOUR))
    story.later(HOUR).open("a2").feed(DeadlinesExtended(by=MINUTE), tells=[MOVED])

    assert story.session.deadline == NOON + story.policy.session_ttl_longest


def test_what_is_over_gets_no_more_time() -> None:
    """It has ended, or is being created."""
    ended = waiting()
    ended.feed(SessionCancelled())

    ended.refuse(DeadlinesExtended(by=HOUR), SessionLockedError)
