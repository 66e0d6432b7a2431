"""What is said of webhook messages that did not arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.why.facts import Conditions, Undelivered
from orchestrator.core.why.findings import Finding, Verdict
from orchestrator.core.why.words import clock, many, named, times

if TYPE_CHECKING:
    from orchestrator.core.deliveries import Delivery


def not_delivered(undelivered: Undelivered, conditions: Conditions, *, is_over: bool) -> Finding:
    """Say what an endpoint has not received of a session."""
    endpoint, now = undelivered.endpoint, conditions.now
    pending = f"{many(undelivered.pending, 'event')} of this session"
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
            says=f"Webhook endpoint {endpoint.id} never received {many(undelivered.dead, 'event')} of this session, "
            "for three days.",
            do="When its receiver works, replay them with `zapwright sessions replay`: "
            f"`zapwright webhooks deliveries {endpoint.id} --state dead` lists them.",
            verdict=Verdict.STUCK,
        )
    return Finding(
        code="deliveries_failing",
        says=f"Webhook endpoint {endpoint.id} has not received {pending} yet: "
        f"{_tried(undelivered.failing, conditions)}.",
        do=f"Look at the endpoint: `zapwright webhooks deliveries {endpoint.id}` has every try.",
        verdict=Verdict.OVER if is_over else Verdict.FINE,  # no session waits for its webhooks
    )


def _tried(failing: Delivery | None, conditions: Conditions) -> str:
    if failing is None:
        return "each is tried again by itself"
    last = failing.tries[-1] if failing.tries else None
    what = "no answer" if last is None else f"it answered {last.status}" if last.status else last.problem or "no answer"
    at, now = failing.next_at, conditions.now
    if conditions.workers == 0:
        following = "next when a worker runs (none does)"
    else:
        following = f"next at {clock(at, now)}" if at is not None and at > now else "next any moment"
    return f"tried {times(failing.failures)}, last: {named(what)}; {following}"
