"""Why a session, or an app, is as it is: facts in, sentences and what to do out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, assert_never

from orchestrator.core.health import UNFINISHED, Fate, Jump, Rate
from orchestrator.core.ports.budget import Usage
from orchestrator.core.ports.credentials import CredentialState, SignInReason, Standing
from orchestrator.core.ports.watches import PAUSED, Watch
from orchestrator.core.schedule import Policy
from orchestrator.core.session import (
    SECOND,
    Attempt,
    HintKind,
    Instant,
    Millis,
    Reason,
    Session,
    SessionStatus,
    Step,
    StepState,
    Zap,
    ZapState,
)
from orchestrator.core.values import replace
from orchestrator.core.waiting import STUCK_AFTER, overdue, stuck_by, waiting

if TYPE_CHECKING:
    from orchestrator.core.deliveries import Delivery
    from orchestrator.core.endpoints import Endpoint


class Verdict(StrEnum):
    """How it stands, in a word."""

    OVER = "over"
    FINE = "fine"
    USER = "user"
    WORKING = "working"
    STUCK = "stuck"
    UNKNOWN = "unknown"


_GRAVEST: Final = (Verdict.UNKNOWN, Verdict.STUCK, Verdict.WORKING, Verdict.USER, Verdict.FINE, Verdict.OVER)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing there is to say: `code` stays the same, `says` and `do` are for people; `do` None: nothing to be done.

    `verdict` is what it alone makes of the whole.
    """

    code: str
    says: str
    verdict: Verdict
    do: str | None = None
    step_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Everything there is to say, the gravest first."""

    verdict: Verdict
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, findings: Iterator[Finding]) -> Diagnosis:
        """Put what was found in order; what is equally grave stays in its order."""
        ordered = tuple(sorted(findings, key=lambda one: _GRAVEST.index(one.verdict)))
        return cls(verdict=ordered[0].verdict, findings=ordered)


@dataclass(frozen=True, kw_only=True)
class Undelivered:
    """Events of the session that an endpoint has not received: `pending` come by themselves, `dead` do not.

    `failing` is the pending one that was tried in vain most often, if any was.
    """

    endpoint: Endpoint
    pending: int = 0
    dead: int = 0
    failing: Delivery | None = None


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What is so for everybody. `budget` is the egress group's side and the partner's, `workers` None: unknown."""

    now: Instant
    policy: Policy
    budget: tuple[Usage, Usage]
    workers: int | None = None


@dataclass(frozen=True, kw_only=True)
class SessionFacts:
    """All that is known of a session; `watches` are by app id, and so are `jumps` of its tenant's popups."""

    session: Session
    conditions: Conditions
    credential: Standing | None
    watches: Mapping[str, Watch]
    undelivered: tuple[Undelivered, ...] = ()
    jumps: Mapping[str, Jump] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AppFacts:
    """What is known of one app: `waiting` are the sessions whose popups for it are open, with what is known of them.

    `popups` says what became of those of the last day, `jump` that their messages get lost more often than usual.
    `is_known`: there is a session that has it, or there was a popup of it.
    """

    app_id: str
    title: str
    now: Instant
    waiting: tuple[SessionFacts, ...] = ()
    more_wait: bool = False
    popups: Mapping[Fate, int] = field(default_factory=dict)
    jump: Jump | None = None
    is_known: bool = True


def why_session(facts: SessionFacts) -> Diagnosis:
    """Say what is going on with a session; there is always something to say."""
    return Diagnosis.of(_of_session(facts))


def why_app(facts: AppFacts) -> Diagnosis:
    """Say how connecting an app goes just now; there is always something to say."""
    return Diagnosis.of(_of_app(facts))


# --- sessions -------------------------------------------------------------------------------------------------


def _of_session(facts: SessionFacts) -> Iterator[Finding]:
    session = facts.session
    match session.status:
        case SessionStatus.CREATED | SessionStatus.CANCELLED | SessionStatus.EXPIRED:
            yield _ended(session, facts.conditions.now)
        case SessionStatus.CREATING:
            yield _creating(session.zap, facts.conditions)
        case SessionStatus.CREATE_UNKNOWN:
            yield _unknown(session.zap, facts.conditions)
        case SessionStatus.BUILDING | SessionStatus.READY:
            yield from _open(facts)
        case _:
            assert_never(session.status)
    for undelivered in facts.undelivered:
        yield _not_delivered(undelivered, facts.conditions.now, is_over=session.ended is not None)


def _ended(session: Session, now: Instant) -> Finding:
    when = f" at {clock(session.ended_at, now)}" if session.ended_at is not None else ""
    match session.status:
        case SessionStatus.CREATED:
            return Finding(code="zap_created", says=f"The Zap was created{when}.", verdict=Verdict.OVER)
        case SessionStatus.CANCELLED:
            return Finding(code="session_cancelled", says=f"The session was cancelled{when}.", verdict=Verdict.OVER)
        case _:
            return Finding(
                code="session_expired",
                says=f"Nobody finished the session before its deadline; it expired{when}.",
                do="If the user still wants it, have your product begin a new session.",
                verdict=Verdict.OVER,
            )


def _creating(zap: Zap, conditions: Conditions) -> Finding:
    now = conditions.now
    ends_at = (zap.intent_at or now) + conditions.policy.creation
    asked, until = clock(zap.intent_at or now, now), clock(ends_at, now)
    if now > ends_at + STUCK_AFTER:
        return Finding(
            code="creation_overdue",
            says=f"Zapier was asked at {asked} to create the Zap, no answer was noted, and nobody has looked since "
            f"{until}.",
            do="See that a worker runs (`zapwright doctor`): its sweeper looks for the Zap.",
            verdict=Verdict.STUCK,
        )
    return Finding(
        code="creating",
        says=f"Zapier was asked at {asked} to create the Zap; the answer is waited for until {until}.",
        verdict=Verdict.WORKING,
    )


def _unknown(zap: Zap, conditions: Conditions) -> Finding:
    lost = f"Nobody knows whether the Zap was created ({zap.problem or 'no answer'})"
    if zap.look_at is None:
        seen = (
            f"{len(zap.matches)} of the user's Zaps may be it"
            if zap.matches
            else "none of the user's Zaps looks like it"
        )
        return Finding(
            code="create_unknown",
            says=f"{lost}; {seen}.",
            do="Have the user look at their Zaps: then say which it is (`zap_id`), or that it is not there (`again`).",
            verdict=Verdict.STUCK,
        )
    look = clock(zap.look_at, conditions.now)
    if conditions.now > zap.look_at + STUCK_AFTER:
        return Finding(
            code="look_overdue",
            says=f"{lost}; the user's Zaps should have been looked through at {look}, and were not.",
            do="See that a worker runs (`zapwright doctor`).",
            verdict=Verdict.STUCK,
        )
    return Finding(
        code="looking_for_zap",
        says=f"{lost}; the user's Zaps are looked through at {look}.",
        verdict=Verdict.WORKING,
    )


def _open(facts: SessionFacts) -> Iterator[Finding]:
    session = facts.session
    if facts.credential is None or facts.credential.state is not CredentialState.ACTIVE:
        yield _signed_out(facts)
    if session.zap.state is ZapState.FAILED:
        yield Finding(
            code="zap_failed",
            says=f"Zapier did not create the Zap: {session.zap.problem or 'it did not say why'}.",
            do="Have the user correct what is wrong, and create it again.",
            verdict=Verdict.USER,
        )
    if not session.steps:
        yield Finding(code="no_steps", says="The session has no steps yet.", do=_BUILD, verdict=Verdict.USER)
    for place, step in enumerate(session.steps, start=1):
        yield from _of_step(facts, step, f"Step {place}")
    yield from _unanswered(facts)
    if session.status is SessionStatus.READY and session.zap.state is not ZapState.FAILED:
        yield Finding(
            code="ready",
            says="Every step is connected, where it has to be, and has its action.",
            do="Have the user, or your product, create the Zap; fields that lack something are named then.",
            verdict=Verdict.USER,
        )
    yield from _deadline(facts)


def stuck(facts: SessionFacts) -> Literal["signal", "check"] | None:
    """Say by what the session is stuck, as lists and counts do."""
    waits, now = waiting(facts.session), facts.conditions.now
    checks = (facts.watches[app_id].next_check_at for app_id in waits.apps if app_id in facts.watches) if waits else ()
    return stuck_by(waits, is_overdue=any(overdue(at, now=now) for at in checks), now=now)


def _unanswered(facts: SessionFacts) -> Iterator[Finding]:
    """Say that somebody was through too long ago; what holds it up, if anything does, is said before."""
    waits, now = waiting(facts.session), facts.conditions.now
    if waits is None or waits.heard_at is None or stuck(facts) != "signal":
        return
    heard_at = waits.heard_at
    yield Finding(
        code="not_found_yet",
        says=f"The user was through at {clock(heard_at, now)}, as far as their page can say, and nothing that they may "
        f"have connected was found in the {(now - heard_at) // SECOND} s since.",
        do="What is said of the checks tells what holds it up. If they go on and find nothing, have the user choose an "
        "account, or connect again.",
        verdict=Verdict.STUCK,
    )


_BUILD: Final = "The user goes on building in your product's page."


_REFUSED: Final = {
    None: "Zapier refuses the user's token",
    SignInReason.TOKEN_REFUSED: "Zapier refuses the user's token, and there is none to follow it",
    SignInReason.REFRESH_REFUSED: "Zapier knows the user's refresh token no more: it was used elsewhere, or withdrawn",
    SignInReason.REFRESH_OUTCOME_LOST: "Zapier's answer was lost when the user's token was refreshed",
}


def _signed_out(facts: SessionFacts) -> Finding:
    credential = facts.credential
    if credential is None or credential.state is CredentialState.MISSING:
        says, how = "The user has no Zapier credential: nothing can be asked of Zapier in their name.", ""
    else:
        says = f"{_REFUSED[credential.reason]}: nothing is asked or checked in their name until they sign in."
        how = " again"
    return Finding(
        code="sign_in_needed",
        says=says,
        do=f"Have the user sign in to Zapier{how}; what waits then goes on by itself.",
        verdict=Verdict.USER if stuck(facts) is None else Verdict.STUCK,
    )


def _deadline(facts: SessionFacts) -> Iterator[Finding]:
    session, now = facts.session, facts.conditions.now
    is_waiting = any(step.live_attempt is not None for step in session.steps)
    if now > session.deadline + STUCK_AFTER and not is_waiting:
        yield Finding(
            code="expiry_overdue",
            says=f"The session's deadline was {clock(session.deadline, now)}, and nobody has ended it.",
            do="See that a worker runs (`zapwright doctor`); extend the session first if the user still wants it.",
            verdict=Verdict.STUCK,
        )
    elif session.deadline - now <= _SOON:
        yield Finding(
            code="deadline_near",
            says=f"The session ends at {clock(session.deadline, now)} unless the Zap is created before.",
            do="Extend it if the user needs more time.",
            verdict=Verdict.USER,
        )


_SOON: Final[Millis] = 600 * SECOND


# --- steps ----------------------------------------------------------------------------------------------------


def _of_step(facts: SessionFacts, step: Step, name: str) -> Iterator[Finding]:
    if step.app is not None:
        name = f"{name} ({_named(step.app.title)})"
    match step.state:
        case StepState.CHOOSE_APP:
            yield _user(step, "choose_app", f"{name} has no app yet.", _BUILD)
        case StepState.NO_AUTH_REQUIRED:
            yield from _without_action(step, name, "its app needs no authentication")
        case StepState.RESOLVED:
            yield from _without_action(step, name, "it has its authentication")
        case StepState.NEEDS_AUTH:
            yield _needs_auth(step, name)
        case StepState.AWAITING_POPUP:
            yield _awaiting(facts, step, name)
        case _:
            assert_never(step.state)
    yield from _of_its_checks(facts, step, name)


def _without_action(step: Step, name: str, but: str) -> Iterator[Finding]:
    if step.action is None:
        yield _user(step, "choose_action", f"{name} has no action yet; {but}.", _BUILD)


def _needs_auth(step: Step, name: str) -> Finding:
    if step.reason is None:
        offered = f"; {_many(len(step.candidates), 'account')} can be chosen" if step.candidates else ""
        return _user(
            step,
            "connect",
            f"{name} needs an authentication, and nothing was tried yet{offered}.",
            "Have the user choose one, or open the popup.",
        )
    says, do = _TRIED[step.reason]
    candidates = f" {_many(len(step.candidates), 'candidate')} can be chosen." if step.candidates else ""
    return Finding(
        code=step.reason.value,
        step_id=step.id,
        says=f"{name}: {says}{candidates}",
        do=do,
        verdict=Verdict.USER if step.live_attempt is None else Verdict.WORKING,
    )


_TRIED: Final[Mapping[Reason, tuple[str, str]]] = {
    Reason.AMBIGUOUS: (
        "something new is listed at Zapier, but whose it is cannot be known.",
        "Ask the user which account they connected: they choose it, or you bind it.",
    ),
    Reason.NOTHING_NEW: (
        "the user has finished, but three listings show nothing new. Connecting an account anew may have kept its id.",
        "Have the user choose the account among the candidates, or connect again.",
    ),
    Reason.NOT_VISIBLE: (
        "the popup's message named what Zapier does not list: made in another Zapier account, or shared by somebody.",
        "Have the user open the popup again, signed in to the Zapier account that the page shows.",
    ),
    Reason.CANCELLED: (
        "the user cancelled. What their popup may still make is looked for until its deadline, and offered.",
        "Have the user open the popup again, or choose an account.",
    ),
    Reason.POPUP_BLOCKED: (
        "the user's browser blocked the popup.",
        "Have the user allow popups for the page, then press the button again.",
    ),
    Reason.TIMED_OUT: (
        f"{UNFINISHED}.",
        "If the user says that they connected, check now: what appeared is offered. Otherwise they try again.",
    ),
    Reason.EXPIRED: (
        "the authentication it had has expired at Zapier.",
        "Have the user connect the account again, or choose another.",
    ),
    Reason.REVOKED: (
        "the authentication it had is gone from Zapier.",
        "Have the user connect the account again, or choose another.",
    ),
    Reason.UNANSWERED: (
        "the fields of its account were sent to Zapier; the answer is to come, or lost: what it made is looked for.",
        "Wait for what is found, before the user sends the fields again: they might make a second account.",
    ),
    Reason.NOT_MADE: (
        "Zapier made no account of the fields that the user gave.",
        "Have the user correct the fields, and send them again.",
    ),
    Reason.CLAIMED_ELSEWHERE: (
        "it was given an authentication by difference alone, which turned out to be another step's.",
        "Have the user choose an account, or open the popup again.",
    ),
}


def _awaiting(facts: SessionFacts, step: Step, name: str) -> Finding:
    attempt = step.live_attempt
    if attempt is None:  # no table leads here; said, should it ever be so
        return Finding(
            code="no_attempt",
            step_id=step.id,
            says=f"{name} waits for a popup that nobody knows of.",
            do="Reset the step, and report this.",
            verdict=Verdict.STUCK,
        )
    now = facts.conditions.now
    opened, until = clock(attempt.opened_at, now), clock(attempt.deadline, now)
    says = f"{name} waits for the popup opened at {opened}, until {until}. "
    is_quiet = attempt.visible_until > now and not attempt.messages and not attempt.hints
    is_young = is_quiet and now - attempt.opened_at < _YOUNG
    return Finding(
        code="awaiting_popup",
        step_id=step.id,
        says=says + ("The user is probably in it just now." if is_young else _heard(attempt, now)),
        verdict=Verdict.WORKING,
        do=None if is_young else "Ask the user to come back to your page when they have finished, or check now.",
    )


_YOUNG: Final[Millis] = 60 * SECOND
"""In so little time hardly anybody is through with a popup."""


def _heard(attempt: Attempt, now: Instant) -> str:
    if attempt.messages:
        came = clock(max(message.at for message in attempt.messages), now)
        return f"Its message came at {came}; Zapier must list what it named before it counts."
    heard = [f"{_HINTS[kind]} at {clock(at, now)}" for kind in HintKind if (at := attempt.last(kind)) is not None]
    if attempt.page_gone:
        heard.append("the page was left")
    if not heard:
        seen = "the page is in front of the user" if attempt.visible_until > now else "nothing was heard of it yet"
        return f"No message came, and {seen}."
    return f"No message came; {', '.join(heard)}."


_HINTS: Final[Mapping[HintKind, str]] = {
    HintKind.MESSAGE: "a message without an id came",
    HintKind.FINISHED: "the user said that they have finished",
    HintKind.FOCUS: "the user was back",
    HintKind.CLOSED: "the window read as closed (which means nothing by itself)",
    HintKind.ANSWER_LOST: "the answer to what was sent got lost",
    HintKind.OPERATOR: "an operator wanted a check",
}


def _of_its_checks(facts: SessionFacts, step: Step, name: str) -> Iterator[Finding]:
    """Say when Zapier is asked for what the step waits for, or what holds that up: one of these, never two."""
    watch = facts.watches.get(step.app.id) if step.app is not None else None
    is_active = facts.credential is not None and facts.credential.state is CredentialState.ACTIVE
    if watch is None or not is_active or not _is_waited_for(facts.session, step, watch):
        return
    checked = _check(watch, step, facts)
    yield replace(checked, says=f"{name}: {checked.says}")
    jump = facts.jumps.get(watch.key.app_id)
    if jump is not None and step.state is StepState.AWAITING_POPUP:
        yield _jumped(jump, name, facts.conditions.now, step_id=step.id)


def _is_waited_for(session: Session, step: Step, watch: Watch) -> bool:
    waits = any((one.session_id, one.step_id) == (session.id, step.id) for one in watch.waiters)
    return waits and (
        watch.next_check_at is not None or watch.retry_at == PAUSED or step.state is StepState.AWAITING_POPUP
    )


def _check(watch: Watch, step: Step, facts: SessionFacts) -> Finding:
    """Say of what is waited for when Zapier is asked, or what holds that up; the sentence has no beginning yet.

    Where the session is stuck and the check overdue, what holds it up is to be mended.
    """
    found = _of_check(watch, step, facts.conditions)
    is_late = overdue(watch.next_check_at, now=facts.conditions.now) and found.do is not None
    return replace(found, verdict=Verdict.STUCK) if is_late and stuck(facts) is not None else found


def _of_check(watch: Watch, step: Step, conditions: Conditions) -> Finding:
    now, due = conditions.now, watch.next_check_at
    cooldown = max(side.cooldown_until for side in conditions.budget)
    if watch.lease_token is not None and watch.lease_until > now:
        return _checks(step, "checking", "a worker is asking Zapier just now.")
    if watch.retry_at == PAUSED:
        return _checks(step, "resuming", "checks begin again now that the user has signed in.")
    if due is None:
        return _checks(step, "no_check_planned", "no check is planned; the next news of the page plans one.")
    if cooldown > now:
        return _checks(
            step,
            "cooldown",
            f"Zapier has asked us to wait, so nothing is asked before {clock(max(cooldown, due), now)}.",
            "Nothing: it goes on by itself. If it happens often, see who else uses this address (budget).",
        )
    is_held = watch.retry_at is not None and watch.retry_at > now
    if is_held and not watch.failures:
        return _checks(
            step,
            "check_put_off",
            f"there was no room under Zapier's limits, or no good token yet; next at {clock(due, now)}.",
            "Nothing: it goes on by itself. If it happens often, look at the budget.",
        )
    if is_held:
        return _checks(
            step,
            "zapier_fails",
            f"Zapier gave no usable answer, {_times(watch.failures)} in a row; next at {clock(due, now)}.",
            "If it goes on, look at Zapier's status page; nothing is lost meanwhile.",
        )
    if due > now:
        return _checks(step, "check_planned", f"Zapier is asked next at {clock(due, now)}.")
    return _overdue(step, now - due, conditions)


def _overdue(step: Step, late: Millis, conditions: Conditions) -> Finding:
    full = next((side for side in conditions.budget if side.limit and side.held >= side.limit), None)
    says = f"a check has been due for {late // SECOND} s"
    if conditions.workers == 0:
        return _checks(step, "worker_missing", f"{says}, and no worker runs.", "Start one: `zapwright worker`.")
    if full is not None:
        return _checks(
            step,
            "budget_used_up",
            f"{says}: all {full.limit} calls a minute of {full.name} are used up.",
            "It goes on as calls become free. The budget shows who uses them; another address has calls of its own.",
        )
    if late >= STUCK_AFTER:
        return _checks(
            step,
            "worker_missing",
            f"{says}, though nothing holds it up: no worker takes it.",
            "See that workers run and reach the queue (`zapwright doctor`).",
        )
    return _checks(step, "check_due", f"{says}; a worker takes it any moment.")


def _jumped(jump: Jump, name: str, now: Instant, *, step_id: str | None = None) -> Finding:
    within = "" if jump.browser is None else f" in {jump.browser.value.title()}"
    recent = f"{jump.recent.lost} of {_many(jump.recent.resolved, 'account')} connected{within}"
    return Finding(
        code="messages_lost",
        step_id=step_id,
        says=f"{name}: since {clock(jump.since, now)} {recent} came without their message "
        f"({_percent(jump.recent)}, usually {_percent(jump.usual)}): a page of the login seems to cut popups off.",
        do="Nothing is lost: checks find what was connected, a little later. Tell users to come back to your page, and "
        "the app's developer that a page of theirs sends a Cross-Origin-Opener-Policy.",
        verdict=Verdict.WORKING,
    )


def _not_delivered(undelivered: Undelivered, now: Instant, *, is_over: bool) -> Finding:
    endpoint = undelivered.endpoint
    pending = f"{_many(undelivered.pending, 'event')} of this session"
    if endpoint.paused is not None:
        since = f" since {clock(endpoint.paused_at, now)}" if endpoint.paused_at is not None else ""
        return Finding(
            code="endpoint_paused",
            says=f"Webhook endpoint {endpoint.id} is paused{since} ({endpoint.paused}): {pending} "
            f"{'waits' if undelivered.pending == 1 else 'wait'} for it.",
            do=f"When its receiver works, resume it: `zapwright webhooks resume {endpoint.id}`.",
            verdict=Verdict.STUCK if undelivered.pending else Verdict.FINE,
        )
    if undelivered.dead:
        return Finding(
            code="deliveries_dead",
            says=f"Webhook endpoint {endpoint.id} never received {_many(undelivered.dead, 'event')} of this session, "
            "for three days.",
            do="When its receiver works, replay them.",
            verdict=Verdict.STUCK,
        )
    return Finding(
        code="deliveries_failing",
        says=f"Webhook endpoint {endpoint.id} has not received {pending} yet: {_tried(undelivered.failing, now)}.",
        do=f"Look at the endpoint: `zapwright webhooks deliveries {endpoint.id}` has every try.",
        verdict=Verdict.WORKING if is_over else Verdict.FINE,  # an open session does not wait for its webhooks
    )


def _tried(failing: Delivery | None, now: Instant) -> str:
    if failing is None:
        return "each is tried again by itself"
    last = failing.tries[-1] if failing.tries else None
    what = "no answer" if last is None else f"it answered {last.status}" if last.status else last.problem or "no answer"
    at = failing.next_at
    following = f"next at {clock(at, now)}" if at is not None and at > now else "next any moment"
    return f"tried {_times(failing.failures)}, last: {_named(what)}; {following}"


# --- apps -----------------------------------------------------------------------------------------------------


def _of_app(facts: AppFacts) -> Iterator[Finding]:
    if not facts.is_known:
        yield Finding(
            code="app_unknown",
            says=f"No such app has been seen here: no session has {_named(facts.app_id)!r}, and no popup of the last "
            "day was for it.",
            do="Ask by the app's id, as the dashboard has it, or `zapwright sessions show SESSION --json`.",
            verdict=Verdict.UNKNOWN,
        )
        return
    name = _named(facts.title)
    yield from _health(facts, name)
    held = _held_up(facts, name)
    if held:
        yield from held
    elif facts.waiting:
        yield Finding(
            code="awaiting_popups",
            says=f"{name}: {_number(facts, 'session')} {'waits' if len(facts.waiting) == 1 else 'wait'} for a popup, "
            "and checks are made in time.",
            verdict=Verdict.WORKING,
        )
    else:
        yield Finding(code="nobody_waits", says=f"Nobody waits for a popup of {name}.", verdict=Verdict.FINE)


def _health(facts: AppFacts, name: str) -> Iterator[Finding]:
    popups, rate = facts.popups, Rate.of(facts.popups)
    if facts.jump is not None:
        yield _jumped(facts.jump, name, facts.now)
    elif rate.resolved:
        yield Finding(
            code="popups_work",
            says=f"{name}: {_many(rate.resolved, 'popup')} connected an account in the last day, {rate.lost} of these "
            f"({_percent(rate)}) without their message.",
            verdict=Verdict.FINE,
        )
    if (unfinished := popups.get(Fate.UNFINISHED, 0)) > rate.resolved:
        yield Finding(
            code="unfinished",
            says=f"{name}: {_many(unfinished, 'popup')} of the last day stayed {UNFINISHED}.",
            do="Connect the app yourself, to see whether its login works.",
            verdict=Verdict.USER,
        )
    if (blocked := popups.get(Fate.BLOCKED, 0)) > rate.resolved:
        yield Finding(
            code="blocked",
            says=f"{name}: {_many(blocked, 'popup')} of the last day were blocked by the browser.",
            do="See that your page opens the popup inside the click (connect.js does).",
            verdict=Verdict.USER,
        )


def _held_up(facts: AppFacts, name: str) -> list[Finding]:
    """Return what holds the waiting sessions up, each kind once, with how many of them it concerns."""
    found: dict[str, tuple[Finding, int]] = {}
    for session in facts.waiting:
        for finding in {one.code: one for one in _holdups(session, facts.app_id)}.values():
            first, count = found.get(finding.code, (finding, 0))
            found[finding.code] = (first, count + 1)
    return [
        replace(
            finding,
            step_id=None,
            says=f"{name}: {count} of {_number(facts, 'waiting session')}: {finding.says}",
        )
        for finding, count in found.values()
    ]


def _holdups(facts: SessionFacts, app_id: str) -> Iterator[Finding]:
    if facts.credential is None or facts.credential.state is not CredentialState.ACTIVE:
        yield _signed_out(facts)
        return
    for step in facts.session.steps:
        watch = facts.watches.get(app_id)
        if watch is not None and step.app is not None and step.app.id == app_id:
            finding = _check(watch, step, facts)
            if finding.code in _HOLDS_UP:
                yield finding
    yield from _unanswered(facts)


_HOLDS_UP: Final = frozenset({"cooldown", "zapier_fails", "budget_used_up", "worker_missing"})


def _number(facts: AppFacts, thing: str) -> str:
    return f"{'more than ' if facts.more_wait else ''}{_many(len(facts.waiting), thing)}"


# --- words ----------------------------------------------------------------------------------------------------


def _user(step: Step, code: str, says: str, do: str) -> Finding:
    return Finding(code=code, step_id=step.id, says=says, do=do, verdict=Verdict.USER)


def _checks(step: Step, code: str, says: str, do: str | None = None) -> Finding:
    return Finding(code=code, step_id=step.id, says=says, do=do, verdict=Verdict.WORKING)


def of_check(
    check_at: Instant | None, cooldown_until: Instant | None, held_until: Instant | None, *, now: Instant
) -> str:
    """Say when a check that an operator wanted is made."""
    if check_at is None:
        return "No check is planned: what the step waited for has come meanwhile."
    if cooldown_until is not None:
        return f"Zapier has asked us to wait: it is asked at {clock(check_at, now)}, not before."
    if held_until is not None:
        return f"Zapier gave no usable answer of late: it is asked again at {clock(check_at, now)}."
    return "Zapier is asked now, as soon as a call is free."


def clock(at: Instant | None, now: Instant) -> str:
    """Write a moment as people read it in a sentence: with its day, and its year, unless that is the same as now's."""
    moment, today = (datetime.fromtimestamp((one or 0) / SECOND, UTC) for one in (at, now))
    if moment.date() == today.date():
        return f"{moment:%H:%M:%S} UTC"
    year = "" if moment.year == today.year else f" {moment.year}"
    return f"{moment.day} {moment:%b}{year} {moment:%H:%M} UTC"


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _percent(rate: Rate) -> str:
    return f"{(rate.value or 0) * 100:.0f} %"


def _named(title: str) -> str:
    """Return a name that somebody else gave so that a sentence can bear it."""
    name = " ".join(_UNSPEAKABLE.sub(" ", title).split())
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


_LONGEST_NAME: Final = 60
_UNSPEAKABLE: Final = re.compile("[^\\w -~]")
