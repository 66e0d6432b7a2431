"""Creating the Zap, told as stories."""

import pytest

from orchestrator.core.errors.attempts import AuthenticationNotUsableError
from orchestrator.core.errors.sessions import SessionLockedError
from orchestrator.core.errors.zaps import CreateUnknownError, NotReadyError, ZapNotMatchedError
from orchestrator.core.events import EventName
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.upstream import ZapMade, ZapNotMade, ZapUnknown
from orchestrator.core.session import MINUTE, SECOND, Channel, SessionStatus, StepState, ZapMatch
from orchestrator.core.signals import StepReset, ZapAnswered, ZapIdentified, ZapRequested, ZapsListed
from tests.support.stories import Story

NEEDS, AWAITING, RESOLVED = StepState.NEEDS_AUTH, StepState.AWAITING_POPUP, StepState.RESOLVED


def waiting(*healthy: str) -> Story:
    """Begin with a step whose popup is open."""
    return Story().choose("slack", *(healthy or ("old",))).open()


def ready() -> Story:
    """Begin with a session that is ready."""
    return Story().choose("slack", "mine").settle("mine").act()


def test_a_choice_settles_a_step_if_zapier_lists_it() -> None:
    """Foreign and expired ones are refused and change nothing."""
    story = Story().choose("slack", "old", expired=["stale"])

    story.refuse(story.selected("foreign", "old"), AuthenticationNotUsableError)
    story.refuse(story.selected("stale", "old", expired=["stale"]), AuthenticationNotUsableError)
    story.feed(story.selected("old", "old"), state=RESOLVED, tells=[EventName.AUTH_RESOLVED])


def test_a_message_resolves_only_once_zapier_lists_its_id() -> None:
    """The browser's word is a hint."""
    story = waiting()

    story.feed(story.message("new"), state=AWAITING, tells=[EventName.MESSAGE_RECEIVED])
    story.feed(story.listed("old"), state=AWAITING)
    story.later(SECOND).feed(story.listed("old", "new"), state=RESOLVED)
    evidence = story.step().evidence
    assert evidence is not None
    assert evidence.channels == (Channel.MESSAGE, Channel.DIFFERENCE)


def test_a_zap_is_asked_for_once_and_a_late_answer_settles_the_unknown() -> None:
    """Only a person opens another intent."""
    story = ready()

    story.feed(ZapRequested(intent_id="i1"), tells=[EventName.ZAP_REQUESTED])
    story.feed(ZapRequested(intent_id="i1"), outcome=Outcome.DUPLICATE)
    story.refuse(StepReset(step_id=story.step().id), SessionLockedError)
    story.feed(ZapAnswered(intent_id="i1", answer=ZapUnknown(problem="lost")), tells=[EventName.ZAP_CREATE_UNKNOWN])
    story.refuse(ZapRequested(intent_id="i2"), CreateUnknownError)
    story.feed(ZapAnswered(intent_id="i1", answer=ZapMade(zap_id="z", editor_url=None)), tells=[EventName.ZAP_CREATED])
    assert story.session.status is SessionStatus.CREATED


def test_a_zap_that_was_surely_not_made_leaves_the_session_editable() -> None:
    """And ready to ask again."""
    story = ready()
    story.feed(ZapRequested(intent_id="i1"))

    story.feed(
        ZapAnswered(intent_id="i1", answer=ZapNotMade(status=400, problem="no")),
        tells=[EventName.ZAP_FAILED, EventName.SESSION_READY],
    )
    assert story.session.status is SessionStatus.READY


def test_an_intent_without_an_answer_becomes_unknown() -> None:
    """The sweeper sees it after a minute."""
    story = ready()
    story.feed(ZapRequested(intent_id="i1"))

    story.later(2 * MINUTE).feed(story.time_passed(), tells=[EventName.ZAP_CREATE_UNKNOWN])


def test_an_unready_session_says_what_each_step_lacks() -> None:
    """By the step's id."""
    story = Story("s1", "s2").choose("slack", "mine").settle("mine")

    refused = story.refuse(ZapRequested(intent_id="i1"), NotReadyError)

    assert refused.facts["missing"] == {"s1": "has no action", "s2": "has no app"}


def test_an_unknown_outcome_is_said_once() -> None:
    """By the call's own answer or by the sweeper, whichever comes first."""
    story = ready()
    story.feed(ZapRequested(intent_id="i1"))
    story.later(2 * MINUTE).feed(story.time_passed(), tells=[EventName.ZAP_CREATE_UNKNOWN])

    story.feed(ZapAnswered(intent_id="i1", answer=ZapUnknown(problem="lost")), outcome=Outcome.DUPLICATE)


# --- looking for a Zap that may exist -------------------------------------------------------------------------

ONE, OTHER = ZapMatch(id="z1", title="Greet"), ZapMatch(id="z2", title="Greet")


def in_doubt() -> Story:
    """Begin with a session of which nobody knows whether its Zap was made."""
    story = ready()
    story.feed(ZapRequested(intent_id="in1"))
    story.feed(ZapAnswered(intent_id="in1", answer=ZapUnknown(problem="no answer")))
    return story


def look(story: Story, *found: ZapMatch, complete: bool = True, contested: bool = False) -> SessionStatus:
    """Look once, ten seconds later than before."""
    story.feed(ZapsListed(intent_id="in1", matches=found, complete=complete, contested=contested))
    story.later(10 * SECOND)
    return story.session.status


@pytest.mark.parametrize("first", [(), (ONE,)])
def test_the_one_zap_that_two_looks_see_is_the_sessions(first: tuple[ZapMatch, ...]) -> None:
    """It may be listed late; one look is not enough."""
    story = in_doubt()

    assert story.session.zap.look_at == story.now
    assert look(story, *first) is SessionStatus.CREATE_UNKNOWN
    assert story.session.zap.look_at == story.now
    assert look(story, ONE) is SessionStatus.CREATED
    assert story.session.zap.id == "z1"
    assert story.session.zap.matches == ()
    assert not story.session.zap.look_at


@pytest.mark.parametrize(
    ("first", "second", "complete", "contested"),
    [
        ((), (), True, False),
        ((ONE,), (ONE, OTHER), True, False),
        ((OTHER,), (ONE,), True, False),
        ((ONE,), (), True, False),
        ((ONE,), (ONE,), False, False),
        ((ONE,), (ONE,), True, True),
    ],
)
def test_anything_else_is_shown_to_a_person(
    first: tuple[ZapMatch, ...], second: tuple[ZapMatch, ...], complete: bool, contested: bool
) -> None:
    """With everything that was seen; nobody looks any more."""
    story = in_doubt()
    look(story, *first)

    assert look(story, *second, complete=complete, contested=contested) is SessionStatus.CREATE_UNKNOWN
    assert {found.id for found in story.session.zap.matches} == {found.id for found in (*first, *second)}
    assert story.session.zap.look_at is None
    story.feed(ZapsListed(intent_id="in1", matches=(), complete=True), outcome=Outcome.STALE)


def test_a_look_for_an_earlier_wish_says_nothing_of_this_one() -> None:
    """A person has asked again meanwhile."""
    story = in_doubt()
    story.feed(ZapRequested(intent_id="in2", again=True))

    story.feed(ZapsListed(intent_id="in1", matches=(ONE,), complete=True), outcome=Outcome.STALE)


def test_a_late_answer_ends_the_looking() -> None:
    """It was surely not made: the session can be edited."""
    story = in_doubt()
    look(story, ONE)
    story.feed(ZapAnswered(intent_id="in1", answer=ZapNotMade(status=400, problem="no")))

    assert (story.session.zap.look_at, story.session.zap.matches) == (None, ())


def test_a_person_says_which_it_is() -> None:
    """One of the matches; once; and only while that is unknown."""
    story = in_doubt()
    look(story, ONE, OTHER)
    story.refuse(ZapIdentified(zap_id="z3"), ZapNotMatchedError)
    story.feed(ZapIdentified(zap_id="z2"))

    assert (story.session.status, story.session.zap.id) == (SessionStatus.CREATED, "z2")
    story.feed(ZapIdentified(zap_id="z2"), outcome=Outcome.DUPLICATE)
    story.refuse(ZapIdentified(zap_id="z1"), SessionLockedError)


@pytest.mark.parametrize("story", [waiting(), ready()], ids=["building", "ready"])
def test_no_zap_is_named_before_one_was_asked_for(story: Story) -> None:
    """Whoever does is told to have it created first."""
    story.refuse(ZapIdentified(zap_id="z1"), SessionLockedError)
