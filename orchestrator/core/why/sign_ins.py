"""What is said of a user in whose name nothing can be asked."""

from __future__ import annotations

from typing import Final

from orchestrator.core.ports.credentials import CredentialState, SignInReason
from orchestrator.core.why.facts import SessionFacts
from orchestrator.core.why.findings import Finding, Verdict
from orchestrator.core.why.stuck import stuck

_REFUSED: Final = {
    None: "Zapier refuses the user's token",
    SignInReason.TOKEN_REFUSED: "Zapier refuses the user's token, and there is none to follow it",
    SignInReason.REFRESH_REFUSED: "Zapier knows the user's refresh token no more: it was used elsewhere, or withdrawn",
    SignInReason.REFRESH_OUTCOME_LOST: "Zapier's answer was lost when the user's token was refreshed",
}


def signed_out(facts: SessionFacts) -> Finding:
    """Say that nothing is asked of Zapier in the user's name, and why."""
    credential = facts.credential
    if credential is None or credential.state is CredentialState.MISSING:
        says, how = "The user has no Zapier credential: nothing can be asked of Zapier in their name.", ""
    else:
        says = f"{_REFUSED[credential.reason]}: nothing is asked or checked in their name until they sign in."
        how = " again"
    return Finding(
        code="sign_in_needed",
        says=says,
        do=f"Have the user sign in to Zapier{how}; what waits then goes on by itself.",
        verdict=Verdict.USER if stuck(facts) is None else Verdict.STUCK,
    )
