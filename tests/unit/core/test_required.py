"""What is required before anybody goes on: the step, an open session, access to Zapier."""

from __future__ import annotations

import pytest

from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.links import ConnectLinkNotFoundError
from orchestrator.core.errors.sessions import SessionLockedError, StepNotFoundError
from orchestrator.core.ports.credentials import CredentialState, Standing
from orchestrator.core.required import active, link_of, require_open, step_of
from orchestrator.core.session import SessionStatus
from orchestrator.core.signals import SessionCancelled
from tests.support.stories import Story


def standing(state: CredentialState) -> Standing:
    """Return a user's access in this state."""
    return Standing(tenant_id="acme", user_id="ann", generation=1, account="p7", state=state)


def test_a_step_that_a_session_has_is_found() -> None:
    """As it is now."""
    session = Story().choose("slack").session
    (step,) = session.steps

    assert step_of(session, step.id) is step


def test_a_step_that_a_session_has_not_is_refused_by_both_their_ids() -> None:
    """Whoever asked sees which of them was wrong."""
    session = Story().session
    with pytest.raises(StepNotFoundError) as refused:
        step_of(session, "st9")

    assert refused.value.facts == {"session_id": session.id, "step_id": "st9"}


def test_a_connect_link_that_a_step_has_not_is_refused_by_all_their_ids() -> None:
    """Whoever asked sees which of them was wrong."""
    session = Story().choose("slack").session
    (step,) = session.steps
    with pytest.raises(ConnectLinkNotFoundError) as refused:
        link_of(session, step, "cl9")

    assert refused.value.facts == {"session_id": session.id, "step_id": step.id, "link_id": "cl9"}


def test_an_open_session_is_let_through_and_an_ended_one_refused_by_its_status() -> None:
    """So it is said why nothing about it changes any more."""
    story = Story()
    require_open(story.session)
    story.feed(SessionCancelled())
    with pytest.raises(SessionLockedError) as refused:
        require_open(story.session)

    assert refused.value.facts["status"] == SessionStatus.CANCELLED


def test_access_that_is_active_is_returned() -> None:
    """It is what Zapier is called with."""
    access = standing(CredentialState.ACTIVE)

    assert active(access, user_id="ann") is access


@pytest.mark.parametrize("access", [None, standing(CredentialState.NEEDS_SIGN_IN)])
def test_no_access_and_one_that_zapier_refused_need_a_sign_in(access: Standing | None) -> None:
    """The error names who has to sign in."""
    with pytest.raises(SignInRequiredError) as refused:
        active(access, user_id="ann")

    assert refused.value.facts == {"user_id": "ann"}
