"""What is counted of popups, and when they suddenly do worse."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from orchestrator.core.health import Fate, Rate, Stage, baseline, browser_of, counted, jump
from orchestrator.core.ports.upstream import AuthenticationNotMade, AuthenticationUnknown
from orchestrator.core.session import MINUTE, BrowserFamily, HintKind, StepState
from orchestrator.core.signals import Context
from tests.support.stories import NOON, Story

FIREFOX = Context(browser=BrowserFamily.FIREFOX)
MINUTE_NOW = NOON - NOON % MINUTE
USUAL = Rate(lost=10, resolved=500)


def waiting() -> Story:
    """Begin with a popup in Firefox."""
    story = Story().choose("slack", "old")
    story.feed(replace(story.opened(), context=FIREFOX))
    return story


def fates(story: Story) -> Counter[tuple[BrowserFamily, Fate]]:
    """Count what became of the story's popups."""
    found = counted(story.session, story.events).popups
    return Counter((popups.browser, fate) for popups, fate in found)


@pytest.mark.parametrize(
    ("user_agent", "family"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36", "chrome"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/142.0.0.0 Safari/537.36", "chrome"),
        ("Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 CriOS/142.0 Mobile/15E148 Safari/604.1", "chrome"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "edge"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", "firefox"),
        ("Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 FxiOS/144.0 Mobile/15E148 Safari/605.1.15", "firefox"),
        ("Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", "safari"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36 OPR/120.0", "other"),
        ("python-httpx/0.28", "other"),
        ("", "other"),
        ("x" * 100_000 + " Firefox/1", "other"),
    ],
)  # fmt: skip
def test_a_browser_is_known_by_its_family(user_agent: str, family: str) -> None:
    """Those that dress up as another are what they say last; of a very long one only the beginning is read."""
    assert browser_of(user_agent) == family


def test_a_popup_counts_in_the_browser_it_was_opened_in() -> None:
    """Whatever it ends in, and by whatever its end becomes known."""
    story = waiting()
    story.feed(story.message("new"))
    story.feed(story.listed("old", "new"))

    assert fates(story) == {(BrowserFamily.FIREFOX, Fate.OPENED): 1, (BrowserFamily.FIREFOX, Fate.BY_MESSAGE): 1}


def test_what_is_found_without_a_message_counts_as_lost() -> None:
    """A difference alone spoke for it."""
    story = waiting()
    story.feed(story.listed("old", "new"))

    assert fates(story)[BrowserFamily.FIREFOX, Fate.WITHOUT_MESSAGE] == 1
    assert fates(story)[BrowserFamily.FIREFOX, Fate.BY_MESSAGE] == 0


def test_a_signal_that_opens_its_popup_says_in_which_browser() -> None:
    """The request that should have opened it was lost."""
    story = Story().choose("slack", "old")
    story.feed(story.hint(HintKind.FOCUS, context=FIREFOX))

    assert fates(story) == {(BrowserFamily.FIREFOX, Fate.OPENED): 1}


def test_a_choice_of_the_users_is_no_popups() -> None:
    """Nothing was resolved through one: more sessions would be connected than opened a popup."""
    story = Story().choose("slack").settle()

    assert fates(story) == {}
    assert counted(story.session, story.events).stages[:2] == (Stage.BEGUN, Stage.APP_CHOSEN)
    assert Stage.CONNECTED not in counted(story.session, story.events).stages


def test_what_fields_made_is_no_popups() -> None:
    """No message of theirs can get lost: found at once, by a listing, not at all, or waited for in vain."""
    refused, found, unanswered = AuthenticationNotMade(status=400, problem="no"), Story(), Story()
    for story in (found, unanswered):
        story.choose("slack", "old")
    found.feed(found.sent())
    found.feed(found.answered(refused))
    found.feed(found.sent("f2"))
    found.feed(found.answered("new", "f2"))
    unanswered.feed(unanswered.sent())
    unanswered.feed(unanswered.answered(AuthenticationUnknown(problem="no answer")))
    unanswered.feed(unanswered.listed("old", "new"))

    assert found.step().state is unanswered.step().state is StepState.RESOLVED
    assert fates(found) == fates(unanswered) == {}
    for story in (found, unanswered):
        assert Stage.CONNECTED not in counted(story.session, story.events).stages


def test_popups_that_end_otherwise_are_told_apart() -> None:
    """Given up by the user, never opened by the browser, waited for in vain, and left to the user's choice."""
    story = waiting()
    story.feed(story.cancelled())
    story.open("a2")
    story.feed(story.blocked("a2"))
    story.open("a3")
    story.later(story.policy.attempt + MINUTE)
    story.feed(story.listed("old"))
    story.open("a4")
    story.feed(story.listed("old", "new", "newer"))
    ends = Counter(fate for (_, fate), count in fates(story).items() for _ in range(count))

    assert ends == {Fate.OPENED: 4, Fate.CANCELLED: 1, Fate.BLOCKED: 1, Fate.UNFINISHED: 1, Fate.OFFERED: 1}


def test_stages_are_told_in_the_order_of_events() -> None:
    """From the session's beginning to its account, with the title of the app that was chosen."""
    story = waiting()
    story.feed(story.listed("old", "new"))
    found = counted(story.session, story.events)

    assert found.stages == (Stage.BEGUN, Stage.APP_CHOSEN, Stage.POPUP_OPENED, Stage.CONNECTED)
    assert [app.id for app in found.apps] == ["slack"]


def test_a_jump_shows_with_the_third_lost_message() -> None:
    """Where one in fifty is lost usually, three in a row are no chance; two may be."""
    lost = {MINUTE_NOW: Rate(lost=3, resolved=3)}
    fewer = {MINUTE_NOW: Rate(lost=2, resolved=2)}
    found = jump(Rate(lost=13, resolved=503), lost, now=NOON)

    assert found is not None
    assert (found.since, found.minutes, found.usual) == (MINUTE_NOW, 1, USUAL)
    assert jump(Rate(lost=12, resolved=502), fewer, now=NOON) is None


def test_what_is_usual_leaves_out_what_is_held_against_it() -> None:
    """So a young deployment sees its first jump, too."""
    minutes = {MINUTE_NOW - 3 * MINUTE: Rate(lost=0, resolved=20), MINUTE_NOW: Rate(lost=4, resolved=4)}
    found = jump(Rate(lost=4, resolved=24), minutes, now=NOON)

    assert found is not None
    assert found.usual == Rate(lost=0, resolved=20)


def test_few_popups_show_a_jump_in_a_longer_time() -> None:
    """One a quarter of an hour: the last minute says nothing."""
    minutes = {MINUTE_NOW - back * MINUTE: Rate(lost=1, resolved=1) for back in (3, 18, 33, 48)}
    found = jump(Rate(lost=14, resolved=504), minutes, now=NOON)

    assert found is not None
    assert (found.minutes, found.since, found.recent) == (60, MINUTE_NOW - 48 * MINUTE, Rate(lost=4, resolved=4))


@pytest.mark.parametrize(
    ("day", "recent"),
    [
        (Rate(lost=19, resolved=22), Rate(lost=3, resolved=3)),
        (Rate(lost=205, resolved=505), Rate(lost=5, resolved=5)),
        (Rate(lost=26, resolved=700), Rate(lost=16, resolved=200)),
        (Rate(lost=10, resolved=500), Rate(lost=0, resolved=0)),
    ],
    ids=["too little is known", "it is always so", "it is hardly more", "nothing happened"],
)
def test_no_jump_is_seen_where_there_is_none(day: Rate, recent: Rate) -> None:
    """An app is held against itself, and not for what chance does."""
    assert jump(day, {MINUTE_NOW: recent}, now=NOON) is None


def test_a_jump_ends_when_messages_come_again() -> None:
    """An hour later nothing of it is left to be seen."""
    minutes = {MINUTE_NOW - 61 * MINUTE: Rate(lost=9, resolved=9)}

    assert jump(Rate(lost=19, resolved=509), minutes, now=NOON) is None


def test_of_a_few_popups_nobody_says_what_is_usual() -> None:
    """Twenty are enough."""
    assert baseline(Rate(lost=1, resolved=19)) is None
    assert baseline(Rate(lost=1, resolved=20)) == Rate(lost=1, resolved=20)
    assert Rate(lost=0, resolved=0).value is None
