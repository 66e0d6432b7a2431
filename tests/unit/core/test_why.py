"""Why a session or an app is as it is: a sentence for everything that can be, and what to do."""

from __future__ import annotations

import pytest

from orchestrator.core.ports import CredentialState, SignInReason, Standing, Usage
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


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (SignInReason.TOKEN_REFUSED, "not ours to refresh"),
        (SignInReason.REFRESH_REFUSED, "used elsewhere"),
        (SignInReason.REFRESH_OUTCOME_LOST, "answer was lost"),
    ],
)
def test_why_a_user_has_to_sign_in_is_said(reason: SignInReason, word: str) -> None:
    """It tells an operator whether somebody else uses the token."""
    signed_out = Standing(
        tenant_id="acme",
        user_id="ada",
        generation=1,
        account="profile:1",
        state=CredentialState.NEEDS_SIGN_IN,
        reason=reason,
    )
    said = why_session(replace(facts(SESSION), credential=signed_out))
    (finding,) = [found for found in said.findings if found.code == "sign_in_needed"]

    assert word in finding.says


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
