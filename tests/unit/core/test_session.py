"""Sessions as values."""

import pytest

from orchestrator.core.session import Baseline, SessionStatus, StepState, session_shard, shard_of
from tests.support.stories import NOON, Story, listing

GOLDEN = [1, 9]


def test_a_session_is_in_the_state_of_its_first_unsettled_step() -> None:
    """And without steps in choose-app, all settled in the last one's."""
    story = Story("s1", "s2").choose("slack", "mine").settle("mine")
    states = [story.session.state]
    states.append(story.choose("slack", "mine", step_id="s2").session.state)
    states.append(story.settle("mine", step_id="s2").session.state)

    assert states == [StepState.CHOOSE_APP, StepState.NEEDS_AUTH, StepState.RESOLVED]


def test_a_session_is_ready_when_each_step_is_settled_and_has_an_action() -> None:
    """Not before."""
    story = Story().choose("slack", "mine").settle("mine")
    statuses = [story.session.status, story.act().session.status]

    assert statuses == [SessionStatus.BUILDING, SessionStatus.READY]


def test_an_incomplete_listing_is_no_baseline() -> None:
    """What it lacks may exist."""
    assert Baseline.of(listing("old", at=NOON, complete=False)) is None


def test_a_user_stays_in_one_shard_on_every_machine() -> None:
    """The value is part of session ids, so it never changes."""
    assert [shard_of("default", user, shards=16) for user in ("ada", "bob")] == GOLDEN
    assert session_shard("zs0aabcdefghij") == 10


@pytest.mark.parametrize("text", ["", "zs", "zs0a", "xx0aabcdefghij", "zs0a/../escape", "zszzabcdefghij"])
def test_text_that_is_no_session_id_is_told_apart(text: str) -> None:
    """Before any key is made of it."""
    with pytest.raises(ValueError, match=r".*"):
        session_shard(text)
