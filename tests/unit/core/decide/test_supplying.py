"""Authentications made of fields: one call for one wish, and a lost answer is settled by what is listed."""

import pytest

from orchestrator.core.errors.attempts import FieldsUnansweredError
from orchestrator.core.errors.sessions import IllegalSignalError
from orchestrator.core.events import EventName
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.upstream import AuthenticationNotMade, AuthenticationUnknown
from orchestrator.core.schedule import SUPPLY_WAIT, due, wake_at
from orchestrator.core.session import MINUTE, SECOND, Channel, Reason, StepState
from tests.support.stories import Story, stranger

NEEDS, AWAITING, RESOLVED = StepState.NEEDS_AUTH, StepState.AWAITING_POPUP, StepState.RESOLVED
REFUSED = AuthenticationNotMade(status=400, problem="no")
LOST = AuthenticationUnknown(problem="no answer")


def sent(*healthy: str) -> Story:
    """Begin with a step whose fields were sent."""
    story = Story().choose("slack", *(healthy or ("old",)))
    story.feed(story.sent(), tells=[EventName.FIELDS_SENT], state=NEEDS, reason=Reason.UNANSWERED)
    return story


def channels(story: Story) -> tuple[Channel, ...]:
    """Give who spoke for what the step has."""
    evidence = story.step().evidence
    assert evidence is not None
    return evidence.channels


def test_what_zapier_made_of_the_fields_settles_the_step() -> None:
    """The answer is evidence by itself, and nothing more is waited for."""
    story = sent()
    story.feed(story.answered("new"), tells=[EventName.AUTH_RESOLVED], state=RESOLVED)

    assert channels(story) == (Channel.SUPPLIED,)
    assert due(story.step(), checked_at=None) is None
    assert story.watches["slack"].popups(now=story.now) == ()


def test_what_zapier_refuses_is_said_and_waited_for_no_more() -> None:
    """The fields can be corrected and sent anew."""
    story = sent()
    story.feed(story.answered(REFUSED), tells=[EventName.AUTH_NEEDED], state=NEEDS, reason=Reason.NOT_MADE)

    assert due(story.step(), checked_at=None) is None
    story.feed(story.sent("f2"), state=NEEDS, reason=Reason.UNANSWERED)


def test_the_intent_keeps_others_from_what_the_call_makes() -> None:
    """Its authentication is in no message: another step of the user's must not take it for its popup's."""
    story = Story("s1", "s2").choose("slack", "old").choose("slack", "old", step_id="s2")
    story.feed(story.sent(step_id="s2"))
    story.open("a1").later(SECOND)

    story.feed(story.listed("old", "new"), state=NEEDS, reason=Reason.AMBIGUOUS)
    assert story.candidates == ["new"]


def test_a_lost_answer_is_looked_for_at_once_and_settled_by_difference() -> None:
    """There is one new authentication, and nothing else explains it."""
    story = sent()
    story.later(SECOND).feed(story.answered(LOST), tells=[], state=NEEDS, reason=Reason.UNANSWERED)
    wanted = due(story.step(), checked_at=None)

    assert wanted is not None
    assert wanted.strong == story.now
    story.later(SECOND).feed(story.listed("old"), state=NEEDS, reason=Reason.UNANSWERED)
    story.later(SECOND).feed(story.listed("old", "new"), tells=[EventName.AUTH_RESOLVED], state=RESOLVED)
    assert channels(story) == (Channel.SUPPLIED, Channel.DIFFERENCE)


def test_an_answer_that_nobody_noted_is_looked_for_too() -> None:
    """Whoever made the call is dead: quiet checks find what it made."""
    story = sent()
    wanted = due(story.step(), checked_at=None)

    assert wanted is not None
    assert (wanted.strong, wanted.quiet) == (None, story.now + MINUTE)
    story.later(MINUTE).feed(story.listed("old", "new"), state=RESOLVED)


def test_of_several_new_ones_the_user_says_which() -> None:
    """Two are offered; so is one where a popup of somebody else may have made it."""
    story = sent()
    story.feed(story.answered(LOST))
    story.later(SECOND).feed(story.listed("old", "one", "two"), state=NEEDS, reason=Reason.AMBIGUOUS)

    assert story.candidates == ["one", "two"]
    other = sent()
    other.watches["slack"].open_popups[stranger(), "theirs"] = other.now + MINUTE
    other.later(SECOND).feed(other.listed("old", "new"), state=NEEDS, reason=Reason.AMBIGUOUS)
    assert other.candidates == ["new"]


def test_a_claimed_one_is_nobodys_news() -> None:
    """It was settled on another step meanwhile."""
    story = Story("s1", "s2").choose("slack", "old").choose("slack", "old", step_id="s2")
    story.feed(story.sent())
    story.feed(story.selected("new", "old", "new", step_id="s2"), state=RESOLVED)

    story.later(SECOND).feed(story.listed("old", "new"), state=NEEDS, reason=Reason.UNANSWERED)


def test_what_never_appears_is_given_up_after_a_complete_listing() -> None:
    """Then the step can be tried anew; the session lives until that is known."""
    story = sent()
    story.feed(story.answered(LOST))
    attempt = story.step().live_attempt
    assert attempt is not None

    assert attempt.deadline == attempt.opened_at + SUPPLY_WAIT <= story.session.deadline
    assert wake_at(story.session, story.policy) == attempt.deadline + story.policy.deadline_grace
    story.later(SUPPLY_WAIT + SECOND).feed(story.listed("old"), state=NEEDS, reason=Reason.TIMED_OUT)
    story.feed(story.sent("f2"), state=NEEDS, reason=Reason.UNANSWERED)


def test_what_could_not_be_looked_for_is_looked_for_longer() -> None:
    """Zapier answered nobody: the deadline moves, an hour at most."""
    story = sent()
    story.later(SUPPLY_WAIT + MINUTE).feed(story.time_passed(), tells=[EventName.ATTEMPT_DEADLINE_MOVED])
    story.later(MINUTE).feed(story.listed("old", "new"), state=RESOLVED)

    late = sent()
    late.later(late.policy.attempt_longest + MINUTE).feed(late.time_passed(), state=NEEDS, reason=Reason.TIMED_OUT)


def test_fields_are_sent_once_while_nobody_knows_what_came_of_them() -> None:
    """The same attempt again is a duplicate, another one is refused."""
    story = sent()
    story.feed(story.sent(), outcome=Outcome.DUPLICATE)

    story.refuse(story.sent("f2"), FieldsUnansweredError)


@pytest.mark.parametrize("state", ["awaiting", "resolved", "no app", "another app"])
def test_fields_are_sent_only_where_an_authentication_is_needed(state: str) -> None:
    """Not while a popup is open, nor for a step that has one, nor for an app the step no longer has."""
    story = Story()
    if state != "no app":
        story.choose("gmail" if state == "another app" else "slack", "old")
    if state == "awaiting":
        story.open()
    if state == "resolved":
        story.feed(story.selected("old", "old"))

    story.refuse(story.sent(), IllegalSignalError)


def test_a_picker_that_is_read_meanwhile_leaves_the_baseline() -> None:
    """Or what the call made would be nothing new."""
    story = sent()
    story.later(SECOND).feed(story.refreshed("old", "new"), outcome=Outcome.STALE)

    story.feed(story.listed("old", "new"), state=RESOLVED)


def test_a_late_answer_speaks_for_what_difference_found() -> None:
    """And takes its place where difference was wrong."""
    story = sent()
    story.later(MINUTE).feed(story.listed("old", "new"), state=RESOLVED)
    story.feed(story.answered("new"), tells=[EventName.AUTH_RESOLVED], state=RESOLVED)
    assert channels(story) == (Channel.SUPPLIED,)

    other = sent()
    other.later(MINUTE).feed(other.listed("old", "stray"), state=RESOLVED)
    other.feed(other.answered("new"), state=RESOLVED)
    assert other.held == "new"


def test_an_answer_does_not_undo_the_users_choice() -> None:
    """It comes too late, and so does a refusal."""
    for answer, outcome in (("new", Outcome.STALE), (REFUSED, Outcome.APPLIED), (LOST, Outcome.STALE)):
        story = sent()
        story.feed(story.selected("old", "old"), state=RESOLVED)
        story.feed(story.answered(answer), state=RESOLVED, tells=[], outcome=outcome)

        assert story.held == "old"


def test_an_answer_for_a_former_app_is_stale() -> None:
    """The step is another's by now; what was made is in the user's list all the same."""
    story = sent()
    story.choose("gmail", "other")

    story.feed(story.answered("new"), outcome=Outcome.STALE)
    story.feed(story.answered("new", "unheard-of"), outcome=Outcome.STALE)


def test_a_popup_that_is_opened_meanwhile_takes_the_place_of_the_fields() -> None:
    """What they make is still the step's: by its answer, or as what is new."""
    story = sent()
    story.feed(story.opened("a1"), state=AWAITING)
    story.feed(story.answered("new"), state=RESOLVED)
    assert channels(story) == (Channel.SUPPLIED,)

    other = sent()
    other.feed(other.opened("a1"), state=AWAITING)
    other.feed(other.answered(REFUSED), state=AWAITING, tells=[])
    assert [popup.attempt_id for popup in other.watches["slack"].popups(now=other.now)] == ["a1"]


def test_a_message_wins_over_what_difference_gave_for_fields() -> None:
    """That difference gave it rests on nothing else, whoever else may have made it."""
    story = Story("s1", "s2").choose("slack", "old").choose("slack", "old", step_id="s2")
    story.feed(story.sent())
    story.later(SECOND).feed(story.listed("old", "new"), state=RESOLVED)
    claim = story.watches["slack"].claims["new"]
    assert claim.holder is not None

    assert claim.holder.step_id == "s1"
