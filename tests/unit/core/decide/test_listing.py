"""What listings mean, told as stories."""

import pytest

from orchestrator.core.events import EventName
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.schedule import LISTING_LAG
from orchestrator.core.session import MINUTE, SECOND, HintKind, Reason, StepState
from orchestrator.core.signals import ClaimContested, ClaimDoubted, SessionCancelled
from tests.support.stories import Story

NEEDS, AWAITING, RESOLVED = StepState.NEEDS_AUTH, StepState.AWAITING_POPUP, StepState.RESOLVED


def waiting(*healthy: str) -> Story:
    """Begin with a step whose popup is open."""
    return Story().choose("slack", *(healthy or ("old",))).open()


def test_a_lost_message_is_found_by_difference_alone() -> None:
    """One new id, and nothing else it could be."""
    story = waiting().later(MINUTE)

    story.feed(story.listed("old", "new"), state=RESOLVED)
    assert story.held == "new"


def test_a_message_wins_over_a_difference() -> None:
    """Another id, confirmed later, was what the user meant."""
    story = waiting().later(MINUTE)
    story.feed(story.listed("old", "elsewhere"), state=RESOLVED)

    story.feed(story.message("mine"), state=RESOLVED)
    story.later(SECOND).feed(story.listed("old", "elsewhere", "mine"), state=RESOLVED)
    assert story.held == "mine"


def test_several_new_ids_or_a_shared_profile_are_offered() -> None:
    """Only the user can say which."""
    several, shared = waiting().later(SECOND), waiting().later(SECOND)

    several.feed(several.listed("old", "one", "two"), state=NEEDS, reason=Reason.AMBIGUOUS)
    shared.feed(shared.listed("old", "one", shared_profile=True), state=NEEDS, reason=Reason.AMBIGUOUS)
    assert (several.candidates, shared.candidates) == (["one", "two"], ["one"])


def test_finished_with_nothing_new_offers_what_there_is() -> None:
    """After three listings: reconnecting may have kept an id."""
    story = waiting()
    story.feed(story.hint(HintKind.FINISHED))

    for _ in range(2):
        story.later(SECOND).feed(story.listed("old"), state=AWAITING)
    story.later(SECOND).feed(story.listed("old"), state=NEEDS, reason=Reason.NOTHING_NEW)
    assert story.candidates == ["old"]


def test_an_id_that_is_never_listed_is_not_visible() -> None:
    """Four complete listings over 30 s: another Zapier account, or shared."""
    story = waiting()
    story.feed(story.message("theirs"))

    for _ in range(3):
        story.later(9 * SECOND).feed(story.listed("old"), state=AWAITING)
    story.later(9 * SECOND).feed(story.listed("old"), state=NEEDS, reason=Reason.NOT_VISIBLE)


def test_a_settled_authentication_that_is_gone_or_expired_is_noticed() -> None:
    """And says which."""
    gone = Story().choose("slack", "mine").settle("mine").later(LISTING_LAG + 1)
    expired = Story().choose("slack", "mine").settle("mine").later(SECOND)

    gone.feed(gone.refreshed(), state=NEEDS, reason=Reason.REVOKED)
    expired.feed(expired.refreshed(expired=["mine"]), state=NEEDS, reason=Reason.EXPIRED)


def test_what_was_just_connected_is_kept_while_zapier_forgets_it_again() -> None:
    """One of its servers listed it, the next one asked does not know of it yet."""
    story = waiting()
    story.feed(story.message("new"))
    story.feed(story.listed("old", "new"), state=RESOLVED)

    story.later(LISTING_LAG).feed(story.refreshed("old"), state=RESOLVED)
    kept = story.step().authentication

    assert kept is not None
    assert kept.id == "new"


def test_what_difference_gave_is_taken_back_when_it_was_anothers() -> None:
    """And offered."""
    story = waiting().later(MINUTE)
    story.feed(story.listed("old", "new"), state=RESOLVED)

    contested = ClaimContested(step_id=story.step().id, app_id="slack", authentication_id="new")
    story.feed(contested, state=NEEDS, reason=Reason.CLAIMED_ELSEWHERE)
    assert story.candidates == ["new"]


def test_what_difference_gave_is_taken_back_when_it_may_be_anothers() -> None:
    """It is offered, nobody has it, and the popup that seemed to have made it may still make another."""
    story = waiting().open("a2").later(MINUTE)
    story.feed(story.listed("old", "new"), state=RESOLVED)
    story.feed(ClaimDoubted(step_id=story.step().id, app_id="slack", authentication_id="other"), outcome=Outcome.STALE)

    doubted = ClaimDoubted(step_id=story.step().id, app_id="slack", authentication_id="new")
    story.feed(doubted, tells=[EventName.AUTH_NEEDED], state=NEEDS, reason=Reason.AMBIGUOUS)
    assert (story.candidates, story.watches["slack"].claims) == (["new"], {})
    assert {attempt_id for _, attempt_id in story.watches["slack"].open_popups} == {"a1", "a2"}
    story.later(SECOND).feed(story.listed("old", "new", "newer"), state=NEEDS, reason=Reason.AMBIGUOUS)
    assert story.candidates == ["new", "newer"]
    story.feed(doubted, outcome=Outcome.STALE)


@pytest.mark.parametrize("by_message", [True, False])
def test_what_a_message_or_the_user_gave_is_beyond_doubt(by_message: bool) -> None:
    """Only a difference rests on who was known to have a popup open."""
    story = waiting()
    if by_message:
        story.feed(story.message("new"))
        story.feed(story.listed("old", "new"), state=RESOLVED)
    else:
        story.feed(story.selected("new", "old", "new"), state=RESOLVED)

    story.feed(ClaimDoubted(step_id=story.step().id, app_id="slack", authentication_id="new"), outcome=Outcome.STALE)


def test_a_listing_from_before_the_popup_or_the_baseline_says_nothing_of_them() -> None:
    """It was under way when the popup opened, or when the picker was read anew."""
    story = Story().choose("slack", "old").later(MINUTE).open()
    story.feed(story.listed("old", "early", begun=story.now - SECOND), tells=[], state=AWAITING)
    story.feed(story.cancelled(), state=NEEDS, reason=Reason.CANCELLED)
    story.later(MINUTE).feed(story.refreshed("old", "early"))

    story.feed(story.listed("old", "early", "earlier", begun=story.now - SECOND), tells=[])
    assert story.candidates == ["early"]


def test_a_session_that_has_ended_takes_nothing_of_a_listing() -> None:
    """Its claims are nobody's any more."""
    story = waiting()
    story.feed(SessionCancelled())

    story.later(SECOND).feed(story.listed("old", "new"), outcome=Outcome.STALE)
