"""Events: facts, numbered per session."""

from orchestrator.core.events import CATALOGUE, OUTCOMES, EventName, example
from tests.support.stories import NOON, Story


def test_events_are_numbered_from_one_without_a_gap() -> None:
    """Whoever counts notices when one is missing."""
    story = Story().choose("slack", "old").open().settle("old")

    assert [event.seq for event in story.events] == list(range(1, len(story.events) + 1))
    assert story.session.seq == len(story.events)


def test_event_names_are_snake_case() -> None:
    """One way to write names outside step states."""
    assert [name for name in EventName if not name.value.replace("_", "").islower()] == []


def test_every_event_is_in_the_catalogue() -> None:
    """What subscribers are not told of does not exist for them; stories hold every event told against its entry."""
    assert set(CATALOGUE) == set(EventName)
    assert [name for name, kind in CATALOGUE.items() if not kind.optional <= kind.data.keys()] == []


def test_by_default_subscribers_hear_of_outcomes_only() -> None:
    """Success, failure and abandonment; not every step on the way there."""
    assert (
        frozenset(
            {
                EventName.AUTH_RESOLVED,
                EventName.AUTH_NEEDED,
                EventName.SESSION_READY,
                EventName.SESSION_EXPIRED,
                EventName.SESSION_CANCELLED,
                EventName.ZAP_CREATED,
                EventName.ZAP_FAILED,
                EventName.ZAP_CREATE_UNKNOWN,
                EventName.SIGN_IN_NEEDED,
            }
        )
        == OUTCOMES
    )


def test_an_example_is_an_event_of_its_name() -> None:
    """With a step where such events have one."""
    resolved, expired = (example(name, seq=7, at=NOON) for name in (EventName.AUTH_RESOLVED, EventName.SESSION_EXPIRED))

    assert (resolved.seq, resolved.at, resolved.name) == (7, NOON, "auth_resolved")
    assert (resolved.step_id is not None, expired.step_id is not None) == (True, False)
