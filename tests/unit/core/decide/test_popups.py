"""What pages say of popups, told as stories."""

from dataclasses import replace

import pytest

from orchestrator.core.decide.popups import LONGEST_WAY
from orchestrator.core.effects import Due, Untouched
from orchestrator.core.errors.attempts import AttemptStaleError, AttemptTakenError, TooManyChecksError
from orchestrator.core.errors.sessions import IllegalSignalError
from orchestrator.core.events import EventName
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.watches import Claim, Waiter, Watch
from orchestrator.core.schedule import MOST_CHECKS_BY_OPERATORS, VISIBLE_FOR
from orchestrator.core.session import MINUTE, SECOND, HintKind, Reason, StepState, WatchKey
from orchestrator.core.signals import (
    CheckWanted,
    ClaimDoubted,
    Context,
    OpeningSignal,
    PageSeen,
    SessionCancelled,
    StepReset,
)
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


def test_a_visible_page_is_noted_for_every_popup_that_is_waited_for() -> None:
    """Nothing is told of it; what is noted a short while ago is not noted again, and what has ended never."""
    story = Story("s1", "s2", "s3").choose("slack", "old", step_id="s1").open("a1", step_id="s1")
    story.choose("gmail", "other", step_id="s2").open("a2", step_id="s2")
    story.choose("slack", "old", step_id="s3").open("a3", step_id="s3")
    story.feed(story.cancelled("a3", step_id="s3"))

    story.feed(PageSeen(), outcome=Outcome.APPLIED, tells=[])
    seen_at = story.now
    story.later(MINUTE - 1).feed(PageSeen(), outcome=Outcome.DUPLICATE)

    noted = [step.attempts[-1].visible_until for step in story.session.steps]
    assert noted == [seen_at + VISIBLE_FOR, seen_at + VISIBLE_FOR, 0]


def test_a_visible_page_keeps_its_popup_waited_for() -> None:
    """As often as half of what was noted is over, for thirty minutes at most."""
    story = waiting()
    for _ in range(40):
        story.feed(PageSeen())
        story.later(MINUTE)

    attempt = story.step().live_attempt
    assert attempt is not None
    assert attempt.deadline == attempt.opened_at + story.policy.attempt_visible


def test_a_visible_page_of_a_session_that_is_over_says_nothing() -> None:
    """Nor one that waits for nothing."""
    story = waiting()
    story.feed(SessionCancelled())

    story.feed(PageSeen(), outcome=Outcome.DUPLICATE)
    Story().feed(PageSeen(), outcome=Outcome.DUPLICATE)


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


# --- operators ---


WANTED = CheckWanted(step_id="s1")


def test_an_operator_has_what_is_waited_for_looked_for_at_once() -> None:
    """And twice a little later, as after a look of the user's; nothing is told, nothing else is taken for it."""
    story = waiting().later(SECOND)
    story.feed(WANTED, tells=[], state=AWAITING)
    first = story.due()
    story.feed(story.listed("old"), state=AWAITING)
    story.later(MINUTE).feed(story.listed("old"), state=AWAITING)

    assert first is not None
    assert first.strong == 0
    assert [hint.kind for hint in story.step().attempts[-1].hints] == [HintKind.OPERATOR]
    assert story.due() is not None
    assert story.due().strong is None  # type: ignore[union-attr]


def test_an_operator_finds_what_came_when_nobody_waited_any_more() -> None:
    """It is offered, as ever; whose it is nobody can know by then."""
    story = waiting().later(11 * MINUTE)
    story.feed(story.listed("old"), state=NEEDS, reason=Reason.TIMED_OUT)
    assert story.due() is None
    story.later(MINUTE).feed(WANTED, state=NEEDS, reason=Reason.TIMED_OUT)

    assert story.due() == Due(strong=0)
    story.feed(story.listed("old", "late"), state=NEEDS, reason=Reason.TIMED_OUT)
    assert story.candidates == ["late"]


def test_what_nobody_connects_is_not_looked_for() -> None:
    """Without an app, before any popup, and once the step is settled."""
    for story in (Story(), Story().choose("slack", "old"), Story().choose("slack", "old").settle("old")):
        story.refuse(WANTED, IllegalSignalError)


def test_operators_ask_so_often_and_no_more() -> None:
    """At a time one check is enough; what they use up is not the user's."""
    story = waiting()
    story.feed(WANTED)
    story.feed(WANTED, outcome=Outcome.DUPLICATE)
    for _ in range(MOST_CHECKS_BY_OPERATORS - 1):
        story.later(5 * SECOND).feed(WANTED)
    story.later(5 * SECOND)

    refused = story.refuse(WANTED, TooManyChecksError)
    assert refused.facts["most"] == MOST_CHECKS_BY_OPERATORS
    story.feed(story.hint(HintKind.FINISHED), outcome=Outcome.APPLIED)
    story.open("a2").feed(WANTED)


# --- popups of which nobody had heard ---


HOLDER = Waiter(session_id="zs00bbbbbbbb", step_id="b1")
KEY = WatchKey(tenant_id="default", user_id="ada", app_id="slack")
ELAPSED = 40 * SECOND


def doubted(story: Story, signal: OpeningSignal, **claims: Claim) -> list[str]:
    """Feed the first signal of a popup, with these claims on its watch; give what it puts in doubt."""
    watch = Watch(key=KEY, version=story.watches["slack"].version, claims=claims)
    decision = story.feed(replace(signal, watch=watch), state=AWAITING)
    signals = [displaced.signal for displaced in decision.displacements]
    assert all(isinstance(signal, ClaimDoubted) and signal.step_id == HOLDER.step_id for signal in signals)
    assert {displaced.session_id for displaced in decision.displacements} <= {HOLDER.session_id}
    assert decision.guards in {(), (Untouched(app_id="slack", version=watch.version),)}
    assert decision.guards or not signals
    return [signal.authentication_id for signal in signals]


def early(story: Story, elapsed: int = ELAPSED) -> Claim:
    """A difference just before the popup can have been opened, by what its page says."""
    return Claim(at=story.now - elapsed - LONGEST_WAY - 1, holder=HOLDER)


def meanwhile(story: Story, elapsed: int = ELAPSED) -> Claim:
    """A difference just when the popup can have been opened."""
    return Claim(at=story.now - elapsed - LONGEST_WAY, holder=HOLDER)


def test_a_late_signal_puts_in_doubt_what_difference_gave_to_others_since_the_popup_was_opened() -> None:
    """As its page counts, and a little more; what anything else spoke for, or the step itself had, is not in doubt."""
    story = Story().choose("slack", "old").later(5 * MINUTE)
    own = Waiter(session_id=story.session.id, step_id="s1")
    signal = story.hint(HintKind.FOCUS, context=Context(elapsed_ms=ELAPSED))
    claims = {
        "before": early(story),
        "since": meanwhile(story),
        "just": Claim(at=story.now, holder=HOLDER),
        "sure": Claim(at=story.now),
        "own": Claim(at=story.now, holder=own),
    }

    assert doubted(story, signal, **claims) == ["since", "just"]


def test_a_page_that_does_not_say_when_may_have_opened_its_popup_since_the_step_has_its_app() -> None:
    """Nor can it have been earlier, whatever the page says."""
    for elapsed in (None, 60 * MINUTE):
        story = Story().later(MINUTE).choose("slack", "old")
        chosen_at = story.now
        story.later(5 * MINUTE)
        signal = story.hint(HintKind.CLOSED, context=Context(elapsed_ms=elapsed))
        before, since = Claim(at=chosen_at - 1, holder=HOLDER), Claim(at=chosen_at, holder=HOLDER)

        assert doubted(story, signal, before=before, since=since) == ["since"]


def test_a_late_message_puts_others_in_doubt_only_where_its_own_was_given_away() -> None:
    """Then their popups were taken to have yielded; else what it names says that nothing went wrong."""
    for named, expected in (("other", []), ("mine", ["mine", "more"])):
        story = Story().choose("slack", "old").later(5 * MINUTE)
        signal = story.message(named, context=Context(elapsed_ms=ELAPSED))

        assert doubted(story, signal, mine=meanwhile(story), more=Claim(at=story.now, holder=HOLDER)) == expected


def test_an_opening_puts_nothing_in_doubt_unless_its_page_says_that_it_is_late() -> None:
    """The popup was opened just now."""
    for elapsed, expected in ((None, []), (ELAPSED, ["since"])):
        story = Story().choose("slack", "old").later(5 * MINUTE)
        signal = replace(story.opened(), context=Context(elapsed_ms=elapsed))

        assert doubted(story, signal, since=meanwhile(story)) == expected


def test_only_the_first_that_is_heard_of_a_popup_puts_anything_in_doubt() -> None:
    """Afterwards it was known, and nothing was given while it was open."""
    story = waiting().later(5 * MINUTE)

    assert doubted(story, story.hint(HintKind.FOCUS), since=Claim(at=story.now, holder=HOLDER)) == []
