"""How a Zapier account is named and shown."""

from __future__ import annotations

from orchestrator.core.ports import Profile


def account_of(profile: Profile | None, *, generation: int | str) -> str:
    """Name the account a credential belongs to: by its profile, else by the sign-in, which is then its own account."""
    return f"profile:{profile.id}" if profile else f"sign-in:{generation}"


def masked_email(email: str) -> str:
    """Show enough of an e-mail address for its owner to know it: `a•••@example.com`."""
    name, at, domain = email.rpartition("@")
    return f"{name[:1]}•••@{domain}" if at else "•••"
