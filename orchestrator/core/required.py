"""What is required of something that was read before anybody goes on with it; each refusal is an error of its own."""

from __future__ import annotations

from typing import TypeVar

from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.links import ConnectLinkNotFoundError
from orchestrator.core.errors.sessions import SessionLockedError, StepNotFoundError
from orchestrator.core.ports.credentials import CredentialState, Standing
from orchestrator.core.session import ConnectLink, Session, Step

Access = TypeVar("Access", bound=Standing)


def step_of(session: Session, step_id: str) -> Step:
    """Return the session's step with this id. Raises StepNotFoundError."""
    step = session.step(step_id)
    if step is None:
        raise StepNotFoundError(session_id=session.id, step_id=step_id)
    return step


def link_of(session: Session, step: Step, link_id: str) -> ConnectLink:
    """Return the connect link of a session's step with this id. Raises ConnectLinkNotFoundError."""
    link = step.link(link_id)
    if link is None:
        raise ConnectLinkNotFoundError(session_id=session.id, step_id=step.id, link_id=link_id)
    return link


def require_open(session: Session) -> None:
    """Raise SessionLockedError unless the session's steps may change."""
    if not session.is_open:
        raise SessionLockedError(session_id=session.id, status=session.status)


def active(access: Access | None, *, user_id: str) -> Access:
    """Return a user's access to Zapier, in whose name Zapier may be called. Raises SignInRequiredError."""
    if access is None or access.state is not CredentialState.ACTIVE:
        raise SignInRequiredError(user_id=user_id)
    return access
