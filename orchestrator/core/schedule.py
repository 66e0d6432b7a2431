"""When to look: a pure function of what was heard and of the checks made so far.

Every attempt plans the instants at which it wants a check. A check covers all instants up to its own beginning, so
the next one is due at the first instant after the last check. No counter is kept, and nothing is asked twice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat

from orchestrator.core.effects import Due, StopWaiting, Wait
from orchestrator.core.session import (
    ENDED,
    MINUTE,
    SECOND,
    Attempt,
    AttemptEnd,
    HintKind,
    Instant,
    Millis,
    Session,
    SessionStatus,
    Step,
    StepState,
)

STRONG_WAITS: tuple[Millis, ...] = (0, 1 * SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, *repeat(15 * SECOND, 8))
"""After "finished", a message or a lost answer: at once, ever more slowly, then every 15 s for two minutes."""

FOCUS_WAITS: tuple[Millis, ...] = (0, 2 * SECOND, 6 * SECOND)
_STRONG_AT = tuple(accumulate(STRONG_WAITS))
_STRONG_AT_OF: Mapping[HintKind, tuple[Millis, ...]] = {
    HintKind.FINISHED: _STRONG_AT,
    HintKind.MESSAGE: _STRONG_AT,
    HintKind.ANSWER_LOST: _STRONG_AT,
    HintKind.FOCUS: tuple(accumulate(FOCUS_WAITS)),
    HintKind.OPERATOR: tuple(accumulate(FOCUS_WAITS)),
    HintKind.CLOSED: (),
}
_NEVER: Instant = -1
CLOSED_WAIT: Millis = 20 * SECOND
FIRST_QUIET_WAIT: Millis = 60 * SECOND
FIRST_QUIET_WAIT_PAGE_GONE: Millis = 20 * SECOND
SHORTEST_QUIET_WAIT: Millis = 30 * SECOND
LONGEST_QUIET_WAIT: Millis = 240 * SECOND
FOCUS_PAUSE: Millis = 5 * SECOND
MOST_CHECKS_AT_ONCE = 10
"""Per attempt: how many hints may ask for a check at once."""

MOST_CHECKS_BY_OPERATORS = 10
"""The same for operators, who take nothing from the user's."""

MOST_CHECKS_AT_FOCUS = 8
"""A page that is looked at often leaves some of them to what its user says."""

LISTING_LAG: Millis = 2 * MINUTE
"""How long Zapier is taken to need, at most, until it lists what was connected."""

SUPPLY_WAIT: Millis = LISTING_LAG + 1 * MINUTE
"""How long an authentication is looked for whose fields were sent: Zapier makes it at once, or not at all."""

VISIBLE_FOR: Millis = 2 * MINUTE
"""How long a page that said it is visible is believed."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Durations an operator may set; the defaults are what Zapwright was tuned with."""

    session_ttl: Millis = 24 * 60 * MINUTE
    session_ttl_longest: Millis = 7 * 24 * 60 * MINUTE
    attempt: Millis = 10 * MINUTE
    attempt_visible: Millis = 30 * MINUTE
    attempt_longest: Millis = 60 * MINUTE
    attempt_extension: Millis = 5 * MINUTE
    deadline_grace: Millis = 30 * SECOND
    baseline_fresh: Millis = 5 * MINUTE
    creation: Millis = 60 * SECOND
    history: Millis = 5 * 24 * 60 * MINUTE
    retention: Millis = 7 * 24 * 60 * MINUTE
    audit_retention: Millis = 400 * 24 * 60 * MINUTE

    @property
    def baseline_oldest(self) -> Millis:
        """How old a baseline may be when the browser leaves, for a difference to say whose something is."""
        return self.baseline_fresh + self.deadline_grace

    @property
    def difference_longest(self) -> Millis:
        """How long after its opening an attempt may be settled by difference."""
        return self.attempt_longest + self.deadline_grace

    @property
    def popup_memory(self) -> Millis:
        """How long an opened popup is remembered.

        It may yield an authentication for an attempt's longest time. What it yields is new to a baseline taken until
        then, or a little later, and that baseline serves another step as long as a difference may settle it.
        """
        return self.attempt_longest + LISTING_LAG + self.baseline_oldest + self.difference_longest


def due(step: Step, *, checked_at: Instant | None) -> Due | None:
    """Return when the step wants its next checks, given when the last complete one began; None: it waits for nothing.

    Only a message not yet confirmed makes a resolved step wait.
    """
    since = _NEVER if checked_at is None else checked_at
    state = step.state
    strong: list[Instant] = []
    quiet: list[Instant] = []
    visible_until = 0
    for attempt in step.app_attempts:
        if attempt.messages or attempt.hints:
            strong += _strong(attempt, state, since)
        if state in _WAITED_FOR and attempt.ended not in _SEEN_TO_THE_END:
            quiet += _quiet(attempt, since)
        if attempt.ended is None and attempt.visible_until > visible_until:
            visible_until = attempt.visible_until
    if not strong and not quiet:
        return None
    return Due(strong=min(strong) if strong else None, quiet=min(quiet) if quiet else None, visible_until=visible_until)


def may_be_covered(step: Step, now: Instant) -> bool:
    """Whether a check that began before now may have made one of those superfluous that the step wants."""
    planned = due(step, checked_at=None)
    return planned is not None and planned.soonest is not None and planned.soonest < now


def waits(
    before: Session | None, after: Session, *, checks: Mapping[str, Instant | None]
) -> tuple[Wait | StopWaiting, ...]:
    """Return what must change on the watches so that they know who waits and until when.

    `checks`: app id → beginning of the watch's last complete check, where a step `may_be_covered` by it. A step may be
    among the waiters although that check left it nothing to wait for. Whatever is heard touches the watch, though it
    may ask for nothing sooner: a check under way must notice that what it read is old.
    """
    was = {(step.app.id, step.id): step for step in _changeable(before) if step.app is not None}
    changed: list[Wait] = []
    for step in _changeable(after):
        if step.app is None:
            continue
        app_id, key = step.app.id, (step.app.id, step.id)
        is_news = _has_news(step, was.get(key))
        if not is_news and app_id not in checks:
            del was[key]
        elif (wanted := due(step, checked_at=checks.get(app_id))) is not None:
            was.pop(key, None)
            if is_news:
                changed.append(Wait(app_id=app_id, step_id=step.id, due=wanted))
    left = sorted(key for key, step in was.items() if due(step, checked_at=None) is not None)
    return (*[StopWaiting(app_id=app_id, step_id=step_id) for app_id, step_id in left], *changed)


def presence_due(session: Session) -> Instant | None:
    """Return when it must be noted (again) that a page of the session is visible; None: no popup is waited for."""
    if not session.is_open:
        return None
    live = (step.live_attempt for step in session.steps if step.state is StepState.AWAITING_POPUP)
    noted = min((attempt.visible_until for attempt in live if attempt is not None), default=None)
    return None if noted is None else noted - VISIBLE_FOR // 2


def wake_at(session: Session, policy: Policy) -> Instant | None:
    """Return when time alone changes something about the session."""
    status = session.status
    if status in ENDED:
        kept = policy.retention if session.trimmed_at is not None else min(policy.history, policy.retention)
        return (session.ended_at or session.updated_at) + kept
    if status is SessionStatus.CREATING:
        return (session.zap.intent_at or session.updated_at) + policy.creation
    if status is SessionStatus.CREATE_UNKNOWN:
        if session.zap.look_at is not None:
            return session.zap.look_at
        return session.deadline + policy.retention
    live = [step.live_attempt for step in session.steps if step.attempts]
    deadlines = [attempt.deadline for attempt in live if attempt is not None]
    return min(deadlines) + policy.deadline_grace if deadlines else session.deadline


def _changeable(session: Session | None) -> Sequence[Step]:
    return session.steps if session is not None and session.is_open else ()


def _has_news(step: Step, before: Step | None) -> bool:
    """Whether anything was heard for the step that it had not heard with the app it has."""
    return before is None or step.state is not before.state or step.attempts != before.attempts


def _strong(attempt: Attempt, state: StepState, since: Instant) -> list[Instant]:
    """Return the first instant after `since` for everything that was heard."""
    heard: list[Instant] = []
    for message in attempt.messages:
        heard += _first_after(since, message.at, _STRONG_AT)
    for hint in attempt.hints:
        if state in _WAITED_FOR and (attempt.ended is None or hint.kind is HintKind.OPERATOR):
            heard += _first_after(since, hint.at, _STRONG_AT_OF[hint.kind])
    return heard


def _first_after(since: Instant, start: Instant, offsets: Sequence[Millis]) -> Sequence[Instant]:
    """Return the first of the instants at these rising offsets that is after `since`, if there is one."""
    place = bisect_right(offsets, since - start)
    return (start + offsets[place],) if place < len(offsets) else ()


def _quiet(attempt: Attempt, since: Instant) -> list[Instant]:
    planned = []
    for at in _doubling(attempt):
        if at > since:
            planned.append(at)
            break
    if attempt.ended is None:
        planned += [hint.at + CLOSED_WAIT for hint in attempt.hints if hint.kind is HintKind.CLOSED]
        planned.append(attempt.deadline + 1)
    return [at for at in planned if at > since]


_WAITED_FOR = frozenset({StepState.AWAITING_POPUP, StepState.NEEDS_AUTH})
_SEEN_TO_THE_END = frozenset({AttemptEnd.SUPERSEDED, AttemptEnd.SETTLED, AttemptEnd.TIMED_OUT})


def _doubling(attempt: Attempt) -> Iterator[Instant]:
    """Look first when most logins are done, then after waits that double: 60, 90, 150, 270, 510 s."""
    at = attempt.opened_at + (FIRST_QUIET_WAIT_PAGE_GONE if attempt.page_gone else FIRST_QUIET_WAIT)
    wait = SHORTEST_QUIET_WAIT
    while at <= attempt.deadline:
        yield at
        at += wait
        wait = min(2 * wait, LONGEST_QUIET_WAIT)
