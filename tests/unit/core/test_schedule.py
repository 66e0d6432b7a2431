"""When to look."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.effects import Due, StopWaiting, Wait
from orchestrator.core.schedule import VISIBLE_FOR, due, may_be_covered, presence_due, waits, wake_at
from orchestrator.core.session import SECOND, HintKind, Instant
from orchestrator.core.signals import Context, PageSeen, SessionCancelled
from tests.support.stories import NOON, Story


def waiting() -> Story:
    """Begin with a step whose popup is open."""
    return Story().choose("slack", "old").open()


def planned(story: Story, *, until: int, listed: tuple[str, ...] = ("old",)) -> list[Instant]:
    """Check whenever a check is due, finding nothing; give the seconds at which that was."""
    looked: list[Instant] = []
    while (due := story.due()) is not None and due.soonest is not None:
        story.later(max(0, due.soonest))
        if story.now > NOON + until * SECOND:
            break
        looked.append((story.now - NOON) // SECOND)
        story.feed(story.listed(*listed))
    return looked


def test_presence_is_due_at_once_then_when_half_of_it_is_over() -> None:
    """For the popup that has been noted longest ago; without a popup never."""
    story = waiting()
    first = presence_due(story.session)
    story.feed(PageSeen())
    seen_at = story.now

    assert first is not None
    assert first <= story.now
    assert presence_due(story.session) == seen_at + VISIBLE_FOR // 2
    assert presence_due(Story().session) is None
    story.feed(SessionCancelled())
    assert presence_due(story.session) is None


def test_without_news_waits_double() -> None:
    """First when most logins are done, then after 30, 60, 120 and 240 s."""
    assert planned(waiting(), until=599) == [60, 90, 150, 270, 510]


def test_a_page_that_is_gone_is_looked_after_sooner() -> None:
    """Nobody will say anything any more."""
    story = waiting()
    story.feed(story.hint(HintKind.CLOSED, context=Context(gone=True)))

    assert planned(story, until=100)[:2] == [20, 50]


def test_finished_is_looked_at_at_once_then_ever_more_slowly() -> None:
    """After 1, 2, 4, 8 s, then every 15 s; there is nothing healthy that could be offered."""
    story = Story().choose("slack").open()
    story.feed(story.hint(HintKind.FINISHED))
    looked = []
    for _ in range(7):
        due = story.due()
        assert due is not None
        assert due.strong is not None
        looked.append((story.later(max(0, due.strong)).now - NOON) // SECOND)
        story.feed(story.listed())

    assert looked == [0, 1, 3, 7, 15, 30, 45]


def test_what_was_said_to_be_there_and_never_is_costs_what_the_readme_says() -> None:
    """While it may come every moment, and until the popup is given up."""
    named, told = waiting().later(10 * SECOND), Story().choose("slack").open().later(10 * SECOND)
    named.feed(named.message("unknown"))
    told.feed(told.hint(HintKind.FINISHED))
    looked = [planned(named, until=900), planned(told, listed=(), until=900)]

    assert [sum(at <= 10 + 135 for at in times) for times in looked] == [15, 15]
    assert max(map(len, looked)) == 19


def test_focus_is_looked_at_three_times() -> None:
    """At once, and 2 and 8 s later."""
    story = waiting().later(10 * SECOND)
    story.feed(story.hint(HintKind.FOCUS))

    assert planned(story, until=59) == [10, 12, 18]


def test_one_late_check_replaces_all_it_is_late_for() -> None:
    """A backlog shrinks by itself."""
    story = waiting().later(200 * SECOND)
    story.feed(story.listed("old"))

    assert story.due() == Due(quiet=70 * SECOND)


def test_steps_begin_and_cease_to_wait() -> None:
    """What the watches are told follows from the session before and after."""
    before = Story().choose("slack", "old")
    opened = before.session
    after = before.open().session

    assert [type(effect) for effect in waits(opened, after, checks={})] == [Wait]
    assert waits(after, opened, checks={}) == (StopWaiting(app_id="slack", step_id="s1"),)


def test_the_sweeper_looks_when_the_attempt_is_over_or_the_session() -> None:
    """Whichever can come first."""
    story = Story().choose("slack", "old")

    assert wake_at(story.session, story.policy) == story.session.deadline
    assert wake_at(story.open().session, story.policy) == NOON + story.policy.attempt + story.policy.deadline_grace


@given(
    heard=st.lists(
        st.tuples(st.sampled_from(HintKind), st.integers(0, 200)), max_size=4, unique_by=lambda hint: hint[0]
    ),
    looked_at=st.integers(0, 600),
    checked=st.integers(0, 600),
)
def test_a_check_that_cannot_matter_does_not(heard: list[tuple[HintKind, int]], looked_at: int, checked: int) -> None:
    """Where nothing that is wanted may be covered by a check, no check that began before now changes what is wanted."""
    story = waiting()
    for kind, after in heard:
        story.later(after * SECOND)
        story.feed(story.hint(kind))
    (step,) = story.session.steps
    now = story.now + looked_at * SECOND
    last = min(now - 1, NOON + checked * SECOND)

    assert may_be_covered(step, now) or due(step, checked_at=last) == due(step, checked_at=None)
