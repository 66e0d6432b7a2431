"""What is left of a session whose history has gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from orchestrator.core.session import (
    App,
    Attempt,
    Authentication,
    Baseline,
    Channel,
    Connect,
    Evidence,
    Session,
    SessionStatus,
    Step,
    StepState,
    Zap,
    ZapState,
)
from orchestrator.core.trimming import trimmed
from tests.support.stories import NOON

FOUND: Final = Authentication(id="7", title="ada@example.com")
STEP: Final = Step(
    id="st1",
    alias="lead",
    state=StepState.RESOLVED,
    app=App(id="a1", title="HubSpot"),
    authentication=FOUND,
    evidence=Evidence(channels=(Channel.MESSAGE,), checked_at=NOON, attempt_id="at1"),
    inputs={"email": "x"},
)
KEPT: Final = Session(
    id="zs00abcdefghij",
    tenant_id="acme",
    user_id="ada",
    created_at=NOON,
    deadline=NOON + 9,
    updated_at=NOON + 5,
    title="Leads",
    metadata={"crm": 1},
    steps=(STEP,),
    zap=Zap(state=ZapState.CREATED, id="z1"),
    ended=SessionStatus.CREATED,
    ended_at=NOON + 5,
    seq=9,
    version=12,
)


def test_how_it_ended_is_kept_and_how_it_came_to_that_is_not() -> None:
    """Its steps, their authentications with the evidence, inputs, the Zap; no listing, popup, link or candidate."""
    lived = replace(
        STEP,
        app_at=NOON,
        connect=Connect(url="https://zapier.test/connect", read_at=NOON),
        baseline=Baseline(taken_at=NOON, account="1", authentications=(FOUND,)),
        candidates=(FOUND,),
        attempts=(Attempt(id="at1", app_id="a1", opened_at=NOON, deadline=NOON + 1),),
    )
    session = replace(KEPT, steps=(lived,), commit_id="cm2", earlier_commits=("cm1",))

    assert trimmed(session, now=NOON + 99) == replace(KEPT, trimmed_at=NOON + 99, version=13)


def test_trimming_twice_changes_nothing_more() -> None:
    """It keeps the time of the first."""
    once = trimmed(KEPT, now=NOON + 99)

    assert trimmed(once, now=NOON + 100) is once
