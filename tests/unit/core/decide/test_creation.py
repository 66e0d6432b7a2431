"""Creating the Zap, told as stories."""

from orchestrator.core.errors import (
    AuthenticationNotUsableError,
    CreateUnknownError,
    NotReadyError,
    SessionLockedError,
)
from orchestrator.core.events import EventName
from orchestrator.core.ports import Outcome, ZapMade, ZapNotMade, ZapUnknown
from orchestrator.core.session import MINUTE, SECOND, Channel, SessionStatus, StepState
from orchestrator.core.signals import StepReset, ZapAnswered, ZapRequested
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
