"""What is true of every diagnosis, whatever the session: it says something, and nothing that contradicts another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from orchestrator.core.health import Jump, Rate
from orchestrator.core.ports.budget import Usage
from orchestrator.core.ports.credentials import CredentialState, Standing
from orchestrator.core.ports.watches import Watch
from orchestrator.core.schedule import Policy
from orchestrator.core.session import MINUTE, SECOND, Instant, Millis, Session, Step, StepState
from orchestrator.core.why.facts import Conditions, SessionFacts
from orchestrator.core.why.findings import Diagnosis, Verdict
from orchestrator.core.why.sessions import why_session
from orchestrator.core.why.stuck import stuck

OVER: Final = {"zap_created", "session_cancelled", "session_expired"}
CREATION: Final = {"creating", "creation_overdue", "create_unknown", "look_overdue", "looking_for_zap"}
OTHERWISE_STUCK: Final = {"no_attempt", "expiry_overdue", "endpoint_paused", "deliveries_dead"}
"""What needs somebody though nobody waits for a popup."""

CHECKS: Final = {
    "checking",
    "resuming",
    "no_check_planned",
    "cooldown",
    "zapier_fails",
    "check_put_off",
    "check_planned",
    "budget_used_up",
    "worker_missing",
    "check_due",
}
"""What there is to say of a step's checks: one of these at a time."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Under what conditions is asked. `cooldown` is how long Zapier still refuses everything."""

    cooldown: Millis = 0
    is_full: bool = False
    workers: int = 2
    credential: CredentialState | None = CredentialState.ACTIVE
    has_jumped: bool = False

    def facts(self, session: Session, watches: Mapping[str, Watch], *, now: Instant) -> SessionFacts:
        """Return what is known of the session then."""
        held = 60 if self.is_full else 3
        side = Usage(name="default", held=held, limit=60, cooldown_until=now + self.cooldown if self.cooldown else 0)
        jump = Jump(since=now - MINUTE, minutes=5, recent=Rate(lost=8, resolved=10), usual=Rate(lost=2, resolved=100))
        standing = None
        if self.credential is not None:
            standing = Standing(
                tenant_id=session.tenant_id,
                user_id=session.user_id,
                generation=1,
                account="1",
                state=self.credential,
            )
        return SessionFacts(
            session=session,
            conditions=Conditions(
                now=now, policy=Policy(), budget=(side, Usage(name="client", held=3, limit=150)), workers=self.workers
            ),
            credential=standing,
            watches=watches,
            jumps=dict.fromkeys(watches, jump) if self.has_jumped else {},
        )


CONDITIONS: Final = st.builds(
    Asked,
    cooldown=st.sampled_from([0, 0, 20 * SECOND, MINUTE]),
    is_full=st.booleans(),
    workers=st.sampled_from([0, 2]),
    credential=st.sampled_from([CredentialState.ACTIVE, CredentialState.ACTIVE, None, CredentialState.NEEDS_SIGN_IN]),
    has_jumped=st.booleans(),
)


def check_diagnosis(facts: SessionFacts) -> Diagnosis:
    """Check what is said of a session, and return it."""
    said = why_session(facts)
    codes = [finding.code for finding in said.findings]
    session = facts.session
    for finding in said.findings:
        assert re.fullmatch(r"[A-Z][^{}]*\.", finding.says), finding.says
        assert "None" not in finding.says + (finding.do or "")
        assert finding.do is None or finding.do.endswith(".")
        assert finding.verdict is not Verdict.STUCK or finding.do is not None, "who is stuck is told what to do"
    assert said.verdict is said.findings[0].verdict
    assert (said.verdict is Verdict.STUCK) == any(finding.verdict is Verdict.STUCK for finding in said.findings)
    if not session.is_open:
        assert len(codes) == 1
        assert codes[0] in (OVER if session.ended is not None else CREATION)
        return said
    assert not {*codes} & (OVER | CREATION)
    about_waiting = {one.code for one in said.findings if one.verdict is Verdict.STUCK} - OTHERWISE_STUCK
    assert bool(about_waiting) is (stuck(facts) is not None), "lists of who is stuck and what is said of them agree"
    is_active = facts.credential is not None and facts.credential.state is CredentialState.ACTIVE
    assert ("sign_in_needed" in codes) == (not is_active)
    for step in session.steps:
        _check_step(facts, step, [one.code for one in said.findings if one.step_id == step.id], is_active=is_active)
    return said


def _check_step(facts: SessionFacts, step: Step, codes: list[str], *, is_active: bool) -> None:
    """One thing is said of where it stands, and one of its checks if somebody waits for them and they can be made."""
    assert max(Counter(codes).values(), default=0) <= 1
    about_checks = [code for code in codes if code in CHECKS]
    about_state = [code for code in codes if code not in {*CHECKS, "messages_lost"}]
    assert len(about_checks) <= (1 if is_active else 0)
    match step.state:
        case StepState.CHOOSE_APP:
            assert codes == ["choose_app"]
        case StepState.NEEDS_AUTH:
            assert about_state == [step.reason.value if step.reason else "connect"]
        case StepState.AWAITING_POPUP:
            assert about_state == ["awaiting_popup"]
            assert len(about_checks) == (1 if is_active else 0)
        case StepState.RESOLVED | StepState.NO_AUTH_REQUIRED:
            assert about_state == ([] if step.action else ["choose_action"])
    if about_checks == ["cooldown"]:
        assert any(side.cooldown_until > facts.conditions.now for side in facts.conditions.budget)
