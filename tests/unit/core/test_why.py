"""Why a session or an app is as it is: a sentence for everything that can be, and what to do."""

from __future__ import annotations

from orchestrator.core.ports import Usage
from orchestrator.core.schedule import Policy
from orchestrator.core.session import MINUTE, Session, SessionStatus
from orchestrator.core.values import replace
from orchestrator.core.why import Conditions, SessionFacts, Verdict, why_session
from tests.support.stories import NOON

CONDITIONS = Conditions(
    now=NOON,
    policy=Policy(),
    budget=(Usage(name="default", held=3, limit=60), Usage(name="client", held=3, limit=150)),
    workers=1,
)
SESSION = Session(
    id="zs00abcdefghij",
    tenant_id="acme",
    user_id="ada",
    created_at=NOON - MINUTE,
    updated_at=NOON,
    deadline=NOON + 60 * MINUTE,
)


def facts(session: Session) -> SessionFacts:
    """Return what is known when nothing else is."""
    return SessionFacts(session=session, conditions=CONDITIONS, credential=None, watches={})


def test_what_is_over_is_said_to_be_over() -> None:
    """And nothing else, whatever its steps look like."""
    for status, code in (
        (SessionStatus.CREATED, "zap_created"),
        (SessionStatus.EXPIRED, "session_expired"),
        (SessionStatus.CANCELLED, "session_cancelled"),
    ):
        ended = replace(SESSION, ended=status, ended_at=NOON)
        said = why_session(facts(ended))

        assert [finding.code for finding in said.findings] == [code]
        assert said.verdict is Verdict.OVER
