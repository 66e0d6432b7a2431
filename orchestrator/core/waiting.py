"""Who waits: a user whose popup is open, or who is done and whose account no check has seen yet; and who is stuck."""

from __future__ import annotations

from typing import Final, Literal

from orchestrator.core.session import SECOND, HintKind, Instant, Millis, Reason, Session, Step, StepState
from orchestrator.core.values import value

STUCK_AFTER: Final[Millis] = 30 * SECOND
"""Who said for so long that they are done, or whose check is overdue by so much, is stuck."""

_DONE: Final = frozenset({HintKind.FINISHED, HintKind.MESSAGE, HintKind.FOCUS})
"""What a user does, or their popup, once they are through."""


@value
class Waiting:
    """Somebody waits since then for these apps, and is done since `heard_at`, as far as their page can say."""

    since: Instant
    heard_at: Instant | None
    apps: tuple[str, ...]


def waiting(session: Session) -> Waiting | None:
    """Tell who waits in a session, None when nobody does. Every commit asks."""
    since: Instant | None = None
    heard_at: Instant | None = None
    apps: tuple[str, ...] = ()
    for step in session.steps:
        if step.attempts and step.app is not None and (waits := _waits(step, step.app.id)) is not None:
            since = waits[0] if since is None else min(since, waits[0])
            heard_at = waits[1] if heard_at is None else min(heard_at, waits[1] or heard_at)
            apps = apps if step.app.id in apps else (*apps, step.app.id)
    if since is None or not session.is_open:
        return None
    return Waiting(since=since, heard_at=heard_at, apps=apps)


def overdue(check_at: Instant | None, *, now: Instant) -> bool:
    """Tell whether a check that was to be made then is overdue."""
    return check_at is not None and check_at <= now - STUCK_AFTER


def stuck_by(waits: Waiting | None, *, is_overdue: bool, now: Instant) -> Literal["signal", "check"] | None:
    """Say by what somebody is stuck: `signal` when they were heard too long ago, `check` when one is overdue.

    Lists, counts and what is said of a session all ask here.
    """
    if waits is None:
        return None
    if waits.heard_at is not None and waits.heard_at <= now - STUCK_AFTER:
        return "signal"
    return "check" if is_overdue else None


def _waits(step: Step, app_id: str) -> tuple[Instant, Instant | None] | None:
    """Say since when the step's user waits, and when they were first heard to be through; None when they do not wait.

    Who was told that nothing is to be seen of what a message named does not.
    """
    is_open = step.state is StepState.AWAITING_POPUP
    if not (is_open or step.state is StepState.NEEDS_AUTH) or step.reason is Reason.NOT_VISIBLE:
        return None
    since: Instant | None = None
    heard: list[Instant] = []
    for attempt in step.attempts:
        if attempt.app_id != app_id:
            continue
        heard += [message.at for message in attempt.messages]
        if is_open and attempt.ended is None:
            since = attempt.opened_at
            heard += [hint.at for hint in attempt.hints if hint.kind in _DONE]
    heard_at = min(heard) if heard else None
    begun = since if is_open else heard_at
    return None if begun is None else (begun, heard_at)
