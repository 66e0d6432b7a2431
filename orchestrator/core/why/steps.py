"""Why a step is as it is: what its user has to do, and what was heard of its popup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, assert_never

from orchestrator.core.health import UNFINISHED
from orchestrator.core.session import SECOND, Attempt, HintKind, Instant, Millis, Reason, Step, StepState
from orchestrator.core.why.checks import of_its_checks
from orchestrator.core.why.facts import SessionFacts
from orchestrator.core.why.findings import Finding, Verdict
from orchestrator.core.why.words import clock, many, named

BUILD: Final = "The user goes on building in your product's page."


def of_step(facts: SessionFacts, step: Step, name: str) -> Iterator[Finding]:
    """Say what is going on with a step, which has this name; of one that is done, nothing."""
    if step.app is not None:
        name = f"{name} ({named(step.app.title)})"
    match step.state:
        case StepState.CHOOSE_APP:
            yield _user(step, "choose_app", f"{name} has no app yet.", BUILD)
        case StepState.NO_AUTH_REQUIRED:
            yield from _without_action(step, name, "its app needs no authentication")
        case StepState.RESOLVED:
            yield from _without_action(step, name, "it has its authentication")
        case StepState.NEEDS_AUTH:
            yield _needs_auth(facts, step, name)
        case StepState.AWAITING_POPUP:
            yield _awaiting(facts, step, name)
        case _:
            assert_never(step.state)
    yield from of_its_checks(facts, step, name)


def _without_action(step: Step, name: str, but: str) -> Iterator[Finding]:
    if step.action is None:
        yield _user(step, "choose_action", f"{name} has no action yet; {but}.", BUILD)


def _needs_auth(facts: SessionFacts, step: Step, name: str) -> Finding:
    if step.reason is None:
        offered = f"; {many(len(step.candidates), 'account')} can be chosen" if step.candidates else ""
        return _user(
            step,
            "connect",
            f"{name} needs an authentication, and nothing was tried yet{offered}.",
            "Have the user choose one, or open the popup.",
        )
    says, do = _TRIED[step.reason]
    candidates = f" {many(len(step.candidates), 'candidate')} can be chosen." if step.candidates else ""
    return Finding(
        code=step.reason.value,
        step_id=step.id,
        says=f"{name}: {says}{candidates}",
        do=_by_a_check(facts, do) if step.reason is Reason.TIMED_OUT else do,
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
        do=None
        if is_young
        else _by_a_check(facts, "Ask the user to come back to your page when they have finished, or check now."),
    )


def _by_a_check(facts: SessionFacts, do: str) -> str:
    """Return what to do where a check helps, which takes a worker."""
    return do if facts.conditions.workers else f"Once a worker runs: {do[0].lower()}{do[1:]}"


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


def _user(step: Step, code: str, says: str, do: str) -> Finding:
    return Finding(code=code, step_id=step.id, says=says, do=do, verdict=Verdict.USER, can_wait=True)
