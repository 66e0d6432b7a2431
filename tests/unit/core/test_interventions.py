"""What is kept of an act."""

from __future__ import annotations

from orchestrator.core.interventions import Act, AuditEntry, Intervention
from orchestrator.core.ports.sessions import Outcome

ACT = Act(
    id="au1",
    key_id="ak1",
    key_name="Ann",
    action=Intervention.BIND,
    reason="They named it on the phone",
    tenant_id="acme",
    session_id="zs00abcdefghij",
    step_id="st1",
    about="40912355",
)


def test_an_entry_says_all_that_the_act_says_and_what_became_of_it() -> None:
    """Nothing of it is lost on the way into the audit."""
    entry = ACT.entry(at=7, outcome=Outcome.REFUSED, detail="authentication_not_usable")

    assert entry == AuditEntry(**vars(ACT), at=7, outcome=Outcome.REFUSED, detail="authentication_not_usable")
    assert vars(ACT).items() <= vars(entry).items()
