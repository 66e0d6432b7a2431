"""Why a session is as it is: its end, its Zap, its deadline, and what its steps and webhooks have to say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, assert_never

from orchestrator.core.ports.credentials import CredentialState
from orchestrator.core.session import SECOND, Instant, Millis, Session, SessionStatus, Zap, ZapState
from orchestrator.core.waiting import STUCK_AFTER
from orchestrator.core.why.deliveries import not_delivered
from orchestrator.core.why.facts import Conditions, SessionFacts
from orchestrator.core.why.findings import Diagnosis, Finding, Verdict
from orchestrator.core.why.sign_ins import signed_out
from orchestrator.core.why.steps import BUILD, of_step
from orchestrator.core.why.stuck import unanswered
from orchestrator.core.why.words import clock


def why_session(facts: SessionFacts) -> Diagnosis:
    """Say what is going on with a session; there is always something to say."""
    return Diagnosis.of(_of_session(facts), title=facts.session.title or None)


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
        yield not_delivered(undelivered, facts.conditions, is_over=session.ended is not None)


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
            do="Have the user look at their Zaps; then your product says which it is, or makes it anew: "
            "`POST /v1/sessions/…/zap` with `zap_id`, or with `again`.",
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
        yield signed_out(facts)
    if session.zap.state is ZapState.FAILED:
        yield Finding(
            code="zap_failed",
            says=f"Zapier did not create the Zap: {session.zap.problem or 'it did not say why'}.",
            do="Have the user correct what is wrong, and create it again.",
            verdict=Verdict.USER,
        )
    if not session.steps:
        yield Finding(
            code="no_steps", says="The session has no steps yet.", do=BUILD, verdict=Verdict.USER, can_wait=True
        )
    for place, step in enumerate(session.steps, start=1):
        yield from of_step(facts, step, f"Step {place}")
    yield from unanswered(facts)
    if session.status is SessionStatus.READY and session.zap.state is not ZapState.FAILED:
        yield Finding(
            code="ready",
            says="Every step is connected, where it has to be, and has its action.",
            do="Have the user, or your product, create the Zap; fields that lack something are named then.",
            verdict=Verdict.USER,
            can_wait=True,
        )
    yield from _deadline(facts)


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
            can_wait=True,
        )


_SOON: Final[Millis] = 600 * SECOND
