"""Who waits: a user whose popup is open, or who is done and whose account no check has seen yet; and who is stuck."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from orchestrator.core.session import SECOND, HintKind, Instant, Millis, Reason, Session, Step, StepState

STUCK_AFTER: Final[Millis] = 30 * SECOND
"""Who said for so long that they are done, or whose check is overdue by so much, is stuck."""

_DONE: Final = frozenset({HintKind.FINISHED, HintKind.MESSAGE, HintKind.FOCUS})
"""What a user does, or their popup, once they are through."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Somebody waits since then for these apps, and is done since `heard_at`, as far as their page can say."""

    since: Instant
    heard_at: Instant | None
    apps: tuple[str, ...]


def waiting(session: Session) -> Waiting | None:
    """Tell who waits in a session, None when nobody does."""
    if not any(step.attempts for step in session.steps) or not session.is_open:
        return None
    steps = [step for step in session.steps if step.attempts and _waits(step)]
    if not steps:
        return None
    heard = [at for step in steps for at in _heard(step)]
    since = [at for step in steps for at in _since(step)]
    return Waiting(
        since=min(since),
        heard_at=min(heard, default=None),
        apps=tuple(sorted({step.app.id for step in steps if step.app is not None})),
    )


def _waits(step: Step) -> bool:
    """Whether the step's user waits. Who was told that nothing is to be seen of what a message named does not."""
    if step.state is StepState.AWAITING_POPUP:
        return step.live_attempt is not None
    is_told = step.reason is Reason.NOT_VISIBLE
    return step.state is StepState.NEEDS_AUTH and not is_told and any(one.messages for one in step.app_attempts)


def _since(step: Step) -> Iterator[Instant]:
    live = step.live_attempt
    if step.state is StepState.AWAITING_POPUP and live is not None:
        yield live.opened_at
    else:
        yield from _heard(step)


def _heard(step: Step) -> Iterator[Instant]:
    """Say when each signal came that the user is through, and that nothing has answered."""
    for attempt in step.app_attempts:
        yield from (message.at for message in attempt.messages)
        if attempt.ended is None and step.state is StepState.AWAITING_POPUP:
            yield from (hint.at for hint in attempt.hints if hint.kind in _DONE)
