"""By what a session is stuck, and what is said where nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from orchestrator.core.session import SECOND
from orchestrator.core.waiting import overdue, stuck_by, waiting
from orchestrator.core.why.facts import SessionFacts
from orchestrator.core.why.findings import Finding, Verdict
from orchestrator.core.why.words import clock


def stuck(facts: SessionFacts) -> Literal["signal", "check"] | None:
    """Say by what the session is stuck, as lists and counts do."""
    waits, now = waiting(facts.session), facts.conditions.now
    checks = (facts.watches[app_id].next_check_at for app_id in waits.apps if app_id in facts.watches) if waits else ()
    return stuck_by(waits, is_overdue=any(overdue(at, now=now) for at in checks), now=now)


def unanswered(facts: SessionFacts) -> Iterator[Finding]:
    """Say that what the user connected should have been found by now; what holds it up, if anything does, is first."""
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
