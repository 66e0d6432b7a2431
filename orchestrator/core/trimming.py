"""What an ended session is once nobody looks into its history any more: how it ended, and with what."""

from __future__ import annotations

from orchestrator.core.session import Instant, Session, Step
from orchestrator.core.values import replace


def trimmed(session: Session, *, now: Instant) -> Session:
    """Return what is kept of an ended session when its history goes.

    That is who it was for, its steps with what they were settled by, and its Zap; not what was needed to decide:
    listings, popups, links, candidates. Its version is the next one. Twice is the same as once.
    """
    if session.trimmed_at is not None:
        return session
    return replace(
        session,
        steps=tuple(map(_trimmed, session.steps)),
        trimmed_at=now,
        version=session.version + 1,
        commit_id="",
        earlier_commits=(),
    )


def _trimmed(step: Step) -> Step:
    return replace(step, app_at=0, connect=None, baseline=None, candidates=(), attempts=(), links=(), picked=None)
