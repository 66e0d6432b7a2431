"""How connecting an app goes: its popups of the last day, who waits, and what holds them up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from orchestrator.core.health import UNFINISHED, Fate, Rate
from orchestrator.core.ports.credentials import CredentialState
from orchestrator.core.values import replace
from orchestrator.core.why.checks import check, jumped
from orchestrator.core.why.facts import AppFacts, SessionFacts
from orchestrator.core.why.findings import Diagnosis, Finding, Verdict
from orchestrator.core.why.sign_ins import signed_out
from orchestrator.core.why.stuck import unanswered
from orchestrator.core.why.words import many, named, percent


def why_app(facts: AppFacts) -> Diagnosis:
    """Say how connecting an app goes just now; there is always something to say."""
    return Diagnosis.of(_of_app(facts), title=None if facts.title == facts.app_id else facts.title)


def _of_app(facts: AppFacts) -> Iterator[Finding]:
    if not facts.is_known:
        yield Finding(
            code="app_unknown",
            says=f"No such app has been seen here: no session has {named(facts.app_id)!r}, and no popup of the last "
            "day was for it.",
            do="Ask by the app's id, as the dashboard has it, or `zapwright sessions show SESSION --json`.",
            verdict=Verdict.UNKNOWN,
        )
        return
    name = named(facts.title)
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
        yield jumped(facts.jump, name, facts.now)
    elif rate.resolved:
        yield Finding(
            code="popups_work",
            says=f"{name}: {many(rate.resolved, 'popup')} connected an account in the last day, {rate.lost} of these "
            f"({percent(rate)}) without their message.",
            verdict=Verdict.FINE,
        )
    if (unfinished := popups.get(Fate.UNFINISHED, 0)) > rate.resolved:
        yield Finding(
            code="unfinished",
            says=f"{name}: {many(unfinished, 'popup')} of the last day stayed {UNFINISHED}.",
            do="Connect the app yourself, to see whether its login works.",
            verdict=Verdict.USER,
            can_wait=True,
        )
    if (blocked := popups.get(Fate.BLOCKED, 0)) > rate.resolved:
        yield Finding(
            code="blocked",
            says=f"{name}: {many(blocked, 'popup')} of the last day were blocked by the browser.",
            do="See that your page opens the popup inside the click (connect.js does).",
            verdict=Verdict.USER,
            can_wait=True,
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
        yield signed_out(facts)
        return
    for step in facts.session.steps:
        watch = facts.watches.get(app_id)
        if watch is not None and step.app is not None and step.app.id == app_id:
            finding = check(watch, step, facts)
            if finding.code in _HOLDS_UP:
                yield finding
    yield from unanswered(facts)


_HOLDS_UP: Final = frozenset({"cooldown", "zapier_fails", "budget_used_up", "worker_missing"})


def _number(facts: AppFacts, thing: str) -> str:
    return f"{'more than ' if facts.more_wait else ''}{many(len(facts.waiting), thing)}"
