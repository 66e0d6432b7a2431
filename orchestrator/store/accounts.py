"""How a Zapier account is named, shown and read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from orchestrator.core.ports.credentials import CredentialState, Profile, SignInReason, Standing

STANDING: Final = (
    "generation",
    "account",
    "state",
    "profile_id",
    "email",
    "expires_at",
    "reason",
    "has_refresh_token",
)
"""Fields of a kept credential that say all but the tokens; `lua/commit.lua` reads them in this order."""


def account_of(profile: Profile | None, *, generation: int | str) -> str:
    """Name the account a credential belongs to: by its profile, else by the sign-in, which is then its own account."""
    return f"profile:{profile.id}" if profile else f"sign-in:{generation}"


def masked_email(email: str) -> str:
    """Show enough of an e-mail address for its owner to know it: `a•••@example.com`."""
    name, at, domain = email.rpartition("@")
    return f"{name[:1]}•••@{domain}" if at else "•••"


_STATES: Final = {state.encode(): state for state in CredentialState}


def read_standing(tenant_id: str, user_id: str, kept: Sequence[bytes | None]) -> Standing | None:
    """Read the fields of `STANDING`, None when there is no credential."""
    generation, account, state, profile_id, email, expires_at, reason, has_refresh_token = kept
    if generation is None or account is None or state is None:
        return None
    return Standing(
        tenant_id=tenant_id,
        user_id=user_id,
        generation=int(generation),
        account=account.decode(),
        state=_STATES[state],
        profile_id=None if profile_id is None else profile_id.decode(),
        email=None if email is None else email.decode(),
        expires_at=int(expires_at) if expires_at else None,
        reason=SignInReason(reason.decode()) if reason else None,
        has_refresh_token=bool(has_refresh_token),
    )
