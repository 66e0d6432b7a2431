"""Errors about users' credentials at Zapier, and signing in for them."""

from __future__ import annotations

from orchestrator.core.errors.base import ZapwrightError


class SignInRequiredError(ZapwrightError):
    """Zapier needs the user to sign in: there is no credential, or Zapier refused it."""

    code = "zapier_sign_in_required"

    def __init__(self, *, user_id: str) -> None:
        super().__init__(
            f"user {user_id!r} has no working Zapier credential: have them sign in, or put a new one, then repeat this "
            "request",
            user_id=user_id,
        )


class CredentialRefusedError(ZapwrightError):
    """Zapier does not accept the access token that was put."""

    code = "credential_refused"

    def __init__(self, *, user_id: str) -> None:
        super().__init__(
            f"Zapier does not accept this access token for user {user_id!r}; the credential there was is kept",
            user_id=user_id,
        )


class SignInRefusedError(ZapwrightError):
    """This browser may not go on with the sign-in."""

    code = "sign_in_refused"

    def __init__(self, *, why: str) -> None:
        self.why = why
        super().__init__(f"the sign-in cannot go on here ({why}): begin another one", why=why)
