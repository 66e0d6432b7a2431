"""When Zapier is asked for what a step waits for, or what holds that up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from orchestrator.core.health import Jump
from orchestrator.core.ports.credentials import CredentialState
from orchestrator.core.ports.watches import PAUSED, Watch
from orchestrator.core.session import SECOND, Instant, Millis, Session, Step, StepState
from orchestrator.core.values import replace
from orchestrator.core.waiting import STUCK_AFTER, overdue
from orchestrator.core.why.facts import Conditions, SessionFacts
from orchestrator.core.why.findings import Finding, Verdict
from orchestrator.core.why.stuck import stuck
from orchestrator.core.why.words import clock, many, percent, times

_START_ONE: Final = "Start one: `zapwright worker`; if there should be one, `zapwright doctor` looks whether it hangs."


def of_its_checks(facts: SessionFacts, step: Step, name: str) -> Iterator[Finding]:
    """Say when Zapier is asked for what the step waits for, or what holds that up: one of these, never two."""
    watch = facts.watches.get(step.app.id) if step.app is not None else None
    is_active = facts.credential is not None and facts.credential.state is CredentialState.ACTIVE
    if watch is None or not is_active or not _is_waited_for(facts.session, step, watch):
        return
    checked = check(watch, step, facts)
    yield replace(checked, says=f"{name}: {checked.says}")
    jump = facts.jumps.get(watch.key.app_id)
    if jump is not None and step.state is StepState.AWAITING_POPUP:
        yield jumped(jump, name, facts.conditions.now, step_id=step.id)


def _is_waited_for(session: Session, step: Step, watch: Watch) -> bool:
    waits = any((one.session_id, one.step_id) == (session.id, step.id) for one in watch.waiters)
    return waits and (
        watch.next_check_at is not None or watch.retry_at == PAUSED or step.state is StepState.AWAITING_POPUP
    )


def check(watch: Watch, step: Step, facts: SessionFacts) -> Finding:
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
    if conditions.workers == 0:
        since = f"is due at {clock(due, now)}" if due > now else _has_been_due(now - due)
        return _checks(step, "worker_missing", f"a check {since}, and no worker runs.", _START_ONE)
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
            f"Zapier gave no usable answer, {times(watch.failures)} in a row; next at {clock(due, now)}.",
            "If it goes on, look at Zapier's status page; nothing is lost meanwhile.",
        )
    return _by_time(step, due, conditions)


def _by_time(step: Step, due: Instant, conditions: Conditions) -> Finding:
    """Say of a check that only its time, or the budget, holds up, when it is made."""
    now = conditions.now
    if due > now:
        return _checks(step, "check_planned", f"Zapier is asked next at {clock(due, now)}.")
    full = next((side for side in conditions.budget if side.limit and side.held >= side.limit), None)
    says = f"a check {_has_been_due(now - due)}"
    if full is not None:
        return _checks(
            step,
            "budget_used_up",
            f"{says}: all {full.limit} calls a minute of {full.name} are used up.",
            "It goes on as calls become free. The budget shows who uses them; another address has calls of its own.",
        )
    if now - due >= STUCK_AFTER:
        return _checks(
            step,
            "worker_missing",
            f"{says}, though nothing holds it up: no worker takes it.",
            "See that workers run and reach the queue (`zapwright doctor`).",
        )
    return _checks(step, "check_due", f"{says}; a worker takes it any moment.")


def _has_been_due(late: Millis) -> str:
    return f"has been due for {late // SECOND} s"


def jumped(jump: Jump, name: str, now: Instant, *, step_id: str | None = None) -> Finding:
    """Say that messages of an app's popups get lost more often than usual."""
    within = "" if jump.browser is None else f" in {jump.browser.value.title()}"
    recent = f"{jump.recent.lost} of {many(jump.recent.resolved, 'account')} connected{within}"
    return Finding(
        code="messages_lost",
        step_id=step_id,
        says=f"{name}: since {clock(jump.since, now)} {recent} came without their message "
        f"({percent(jump.recent)}, usually {percent(jump.usual)}): a page of the login seems to cut popups off.",
        do="Nothing is lost: checks find what was connected, a little later. Tell users to come back to your page, and "
        "the app's developer that a page of theirs sends a Cross-Origin-Opener-Policy.",
        verdict=Verdict.WORKING,
    )


def _checks(step: Step, code: str, says: str, do: str | None = None) -> Finding:
    return Finding(code=code, step_id=step.id, says=says, do=do, verdict=Verdict.WORKING)


def of_check(
    check_at: Instant | None,
    cooldown_until: Instant | None,
    held_until: Instant | None,
    *,
    workers: int,
    now: Instant,
) -> str:
    """Say when a check that an operator wanted is made, where so many workers run."""
    if check_at is None:
        return "No check is planned: what the step waited for has come meanwhile."
    if not workers:
        return f"No worker runs: Zapier is asked as soon as one does. {_START_ONE}"
    if cooldown_until is not None:
        return f"Zapier has asked us to wait: it is asked at {clock(check_at, now)}, not before."
    if held_until is not None:
        return f"Zapier gave no usable answer of late: it is asked again at {clock(check_at, now)}."
    return "Zapier is asked now, as soon as a call is free."
