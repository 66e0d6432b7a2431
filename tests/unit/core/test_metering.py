"""What a commit tells those who count."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from orchestrator.core.deliveries import Answer, Delivery, Lane
from orchestrator.core.events import CATALOGUE, Event, EventName, example
from orchestrator.core.metering import UNMETERED, Resolution, Transition, resolutions, transition
from orchestrator.core.ports.budget import Share
from orchestrator.core.ports.sessions import Commit
from orchestrator.core.ports.watches import Urgency
from orchestrator.core.session import (
    App,
    Attempt,
    Channel,
    Evidence,
    Hint,
    HintKind,
    Message,
    Reason,
    Session,
    Step,
    StepState,
)
from tests.support.store_values import NOON, a_session, next_commit

ATTEMPT: Final = Attempt(id="at1", app_id="a", opened_at=NOON, deadline=NOON + 99)
DIFFERENCE: Final = Evidence(channels=(Channel.DIFFERENCE,), checked_at=NOON, attempt_id="at1")


def resolved(*, evidence: Evidence | None = DIFFERENCE, attempt: Attempt = ATTEMPT) -> Commit:
    """Give a commit that resolves a step, nine milliseconds after noon."""
    step = Step(id="st1", state=StepState.RESOLVED, app=App(id="a", title="A"), evidence=evidence, attempts=(attempt,))
    commit = next_commit(replace(a_session(), steps=(step,)))
    return replace(commit, events=(Event(seq=1, name=EventName.AUTH_RESOLVED, at=NOON + 9, step_id="st1"),))


def waiting(attempt: Attempt) -> Session:
    """Give the session as it was before."""
    return replace(a_session(), steps=(Step(id="st1", state=StepState.AWAITING_POPUP, attempts=(attempt,)),))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (EventName.APP_CHOSEN, Transition(StepState.NEEDS_AUTH)),
        (EventName.POPUP_OPENED, Transition(StepState.AWAITING_POPUP)),
        (EventName.AUTH_NEEDED, Transition(StepState.NEEDS_AUTH, Reason.TIMED_OUT)),
        (EventName.AUTH_RESOLVED, Transition(StepState.RESOLVED)),
        (EventName.STEP_RESET, Transition(StepState.CHOOSE_APP)),
        (EventName.ZAP_CREATED, None),
    ],
)
def test_an_event_says_where_its_step_came_to(name: EventName, expected: Transition | None) -> None:
    """Where it moves one."""
    assert transition(example(name, seq=1, at=NOON)) == expected


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_event_can_be_asked(name: EventName) -> None:
    """None is misread for want of data."""
    transition(example(name, seq=1, at=NOON))


def test_a_wait_begins_with_the_first_sign_that_the_user_is_back() -> None:
    """A window that reads closed is none."""
    hints = (Hint(kind=HintKind.CLOSED, at=NOON + 1), Hint(kind=HintKind.FINISHED, at=NOON + 4))

    assert list(resolutions(None, resolved(attempt=replace(ATTEMPT, hints=hints)))) == [
        Resolution(Channel.DIFFERENCE, 5)
    ]


def test_a_message_that_is_pending_no_more_is_known_from_before() -> None:
    """The commit that confirms it takes it off the attempt."""
    before = waiting(replace(ATTEMPT, messages=(Message(authentication_id="7", at=NOON + 2),)))
    evidence = replace(DIFFERENCE, channels=(Channel.DIFFERENCE, Channel.MESSAGE))

    assert list(resolutions(before, resolved(evidence=evidence))) == [Resolution(Channel.MESSAGE, 7)]


def test_a_popup_nobody_was_seen_to_return_from_has_no_wait() -> None:
    """It was found by a quiet check."""
    assert list(resolutions(waiting(ATTEMPT), resolved())) == [Resolution(Channel.DIFFERENCE, None)]


def test_a_choice_of_the_users_is_no_popups() -> None:
    """Nor is anything but a resolution."""
    chosen = replace(DIFFERENCE, channels=(Channel.SELECTION,), attempt_id=None)

    assert list(resolutions(None, resolved(evidence=chosen))) == []
    assert list(resolutions(None, resolved(evidence=None))) == []
    assert list(resolutions(None, next_commit(a_session()))) == []


def test_who_counts_nothing_takes_everything() -> None:
    """And answers nothing."""
    lane = Lane(tenant_id="acme", endpoint_id="wh1", session_id="zs00abcdefghij")
    delivery = Delivery(lane=lane, seq=1, name=EventName.ZAP_CREATED, message_id="m", created_at=NOON)
    UNMETERED.committed(None, resolved())
    UNMETERED.called("GET /v2/apps", status=None, took=1)
    UNMETERED.asked(Share.QUIET, wanted=1, given=0)
    UNMETERED.dispatched(Urgency.QUIET, late=1)
    UNMETERED.checked(is_complete=True)
    UNMETERED.tried(delivery, Answer(status=200, took=1), age=1)
    UNMETERED.exchanged(1, took_s=0.1, is_whole=True)

    assert vars(UNMETERED) == {}
