"""Events: facts, numbered per session."""

from orchestrator.core.events import EventName
from tests.support.stories import Story


def test_events_are_numbered_from_one_without_a_gap() -> None:
    """Whoever counts notices when one is missing."""
    story = Story().choose("slack", "old").open().settle("old")

    assert [event.seq for event in story.events] == list(range(1, len(story.events) + 1))
    assert story.session.seq == len(story.events)


def test_event_names_are_snake_case() -> None:
    """One way to write names outside step states."""
    assert [name for name in EventName if not name.value.replace("_", "").islower()] == []
