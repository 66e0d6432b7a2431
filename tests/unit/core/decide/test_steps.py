"""What builders do to steps, told as stories."""

from orchestrator.core.decide.steps import MOST_STEPS
from orchestrator.core.errors.sessions import AliasTakenError, IllegalSignalError, SessionLockedError, TooManyStepsError
from orchestrator.core.events import EventName
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.session import MINUTE, SECOND, Action, Picked, SessionStatus, StepState
from orchestrator.core.signals import (
    ActionChosen,
    InputsGiven,
    SessionCancelled,
    SessionChanged,
    StepAdded,
    StepChanged,
    StepReset,
    StepTestRequested,
    ZapRequested,
)
from tests.support.stories import ACTION, Story

NEEDS, AWAITING, RESOLVED = StepState.NEEDS_AUTH, StepState.AWAITING_POPUP, StepState.RESOLVED
HOUR = 60 * MINUTE


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


def test_what_is_given_again_changes_nothing() -> None:
    """Neither a title, nor a step, its place, its action or its inputs."""
    story = Story().choose("slack", "old").act()
    step_id = story.step().id
    story.feed(SessionChanged(title="Mine"), tells=[EventName.SESSION_CHANGED])
    story.feed(InputsGiven(step_id=step_id, inputs={"to": "ada"}), tells=[EventName.INPUTS_GIVEN])

    for again in (
        SessionChanged(title="Mine"),
        StepAdded(step_id=step_id),
        StepChanged(step_id=step_id, position=0),
        ActionChosen(step_id=step_id, action=ACTION),
        InputsGiven(step_id=step_id, inputs={"to": "ada"}),
    ):
        story.feed(again, outcome=Outcome.DUPLICATE)


def test_another_action_drops_the_inputs_of_the_one_before() -> None:
    """They were its fields."""
    story = Story().choose("slack", "old").act()
    story.feed(InputsGiven(step_id=story.step().id, inputs={"to": "ada"}))
    story.feed(ActionChosen(step_id=story.step().id, action=Action(key="find", action_type="search")))

    assert story.step().inputs == {}


def test_without_an_app_there_is_nothing_to_do_or_to_fill_in() -> None:
    """The app comes first."""
    story = Story()

    story.refuse(ActionChosen(step_id=story.step().id, action=ACTION), IllegalSignalError)
    story.refuse(InputsGiven(step_id=story.step().id, inputs={}), IllegalSignalError)


def test_an_alias_names_one_step() -> None:
    """Outputs are referred to by it."""
    story = Story("s1", "s2")
    story.feed(StepChanged(step_id="s1", alias="first"), tells=[EventName.STEP_CHANGED])

    story.refuse(StepChanged(step_id="s2", alias="first"), AliasTakenError)


def test_what_has_expired_is_not_cancelled_and_what_is_being_made_cannot_be() -> None:
    """An end stays what it was; a Zap under way cannot be called back."""
    expired = Story().later(25 * HOUR)
    expired.feed(expired.time_passed(), tells=[EventName.SESSION_EXPIRED])
    creating = Story().choose("slack", "mine").settle("mine").act()
    creating.feed(ZapRequested(intent_id="i1"))

    expired.feed(SessionCancelled(), outcome=Outcome.STALE)
    expired.refuse(SessionChanged(title="Late"), SessionLockedError)
    creating.refuse(SessionCancelled(), SessionLockedError)
    assert (expired.session.status, creating.session.status) == (SessionStatus.EXPIRED, SessionStatus.CREATING)


def test_a_zap_has_a_greatest_length() -> None:
    """Zapier's: one step more is refused."""
    story = Story(*(f"s{number}" for number in range(MOST_STEPS)))

    story.refuse(StepAdded(step_id="more"), TooManyStepsError)


# --- inputs that depend on the authentication -----------------------------------------------------------------


def picking() -> Story:
    """Begin with a step filled with what its authentication offered, and with a text of the user's own."""
    story = Story().choose("slack", "mine", "other").settle("mine").act()
    picked = Picked(authentication_id="mine", fields=("channel",))
    story.feed(InputsGiven(step_id="s1", inputs={"channel": "c1", "text": "hi"}, picked=picked))
    return story


def test_what_was_picked_is_dropped_when_the_step_gets_another_authentication() -> None:
    """Once, in the same commit."""
    story = picking().later(SECOND)
    decision = story.feed(story.selected("other", "other"), state=RESOLVED)

    assert (story.step().inputs, story.step().picked) == ({"text": "hi"}, None)
    assert [event.name for event in decision.events].count(EventName.INPUTS_CLEARED) == 1


def test_the_same_authentication_again_drops_nothing() -> None:
    """It offers the same."""
    story = picking()
    story.feed(story.selected("mine", "mine"), outcome=Outcome.DUPLICATE)

    assert story.step().inputs == {"channel": "c1", "text": "hi"}


def test_a_test_is_told_of_before_it_is_carried_out() -> None:
    """Of a step that can be used, and of no other."""
    story = Story().choose("slack", "mine")
    story.refuse(StepTestRequested(step_id="s1", test_id="t1"), IllegalSignalError)
    story.settle("mine").act()

    story.feed(StepTestRequested(step_id="s1", test_id="t1"), tells=[EventName.STEP_TESTED])
