"""Who waits for a popup, and since when they were heard."""

from __future__ import annotations

import pytest

from orchestrator.core.session import SECOND, HintKind
from orchestrator.core.signals import SessionCancelled
from orchestrator.core.waiting import Waiting, waiting
from tests.support.stories import NOON, Story


def opened() -> Story:
    """Begin with a popup that was opened after five seconds."""
    return Story().choose("slack", "old").later(5 * SECOND).open()


def test_nobody_waits_before_a_popup_is_open() -> None:
    """Choosing takes as long as it takes."""
    assert waiting(Story().choose("slack", "old").session) is None


def test_whose_popup_is_open_waits_since_then() -> None:
    """Nothing was heard yet."""
    assert waiting(opened().session) == Waiting(since=NOON + 5 * SECOND, heard_at=None, apps=("slack",))


@pytest.mark.parametrize("kind", [HintKind.FINISHED, HintKind.FOCUS, HintKind.MESSAGE])
def test_who_says_that_they_are_done_was_heard(kind: HintKind) -> None:
    """By the first such signal; a later one changes nothing."""
    story = opened().later(SECOND)
    story.feed(story.hint(kind))
    heard_at = story.now
    story.later(9 * SECOND).feed(story.hint(HintKind.FINISHED))
    found = waiting(story.session)

    assert found is not None
    assert found.heard_at == heard_at


def test_a_window_that_reads_closed_says_nothing() -> None:
    """It reads so while its user signs in, too."""
    story = opened()
    story.feed(story.hint(HintKind.CLOSED))
    found = waiting(story.session)

    assert found is not None
    assert found.heard_at is None


def test_a_message_that_no_listing_confirms_waits() -> None:
    """Also where it came after its user had given up."""
    story = opened()
    story.feed(story.cancelled())
    assert waiting(story.session) is None
    story.later(SECOND).feed(story.message("new"))

    assert waiting(story.session) == Waiting(since=story.now, heard_at=story.now, apps=("slack",))


def test_who_has_their_account_waits_no_more() -> None:
    """Nor does who gave the session up."""
    settled, ended = opened(), opened()
    settled.feed(settled.listed("old", "new"))
    ended.feed(SessionCancelled())

    assert waiting(settled.session) is None
    assert waiting(ended.session) is None
