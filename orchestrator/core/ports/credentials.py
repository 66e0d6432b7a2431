"""Users' access to Zapier, and their ways to it."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import Protocol

from orchestrator.core.session import Instant
from orchestrator.core.sign_ins import SignIn
from orchestrator.core.values import value


class CredentialState(StrEnum):
    """Whether Zapier may be called for a user."""

    MISSING = "missing"
    ACTIVE = "active"
    NEEDS_SIGN_IN = "needs_sign_in"


class SignInReason(StrEnum):
    """Why a user has to sign in to Zapier again."""

    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a name
    REFRESH_REFUSED = "refresh_refused"
    REFRESH_OUTCOME_LOST = "refresh_outcome_lost"


@value
class Standing:
    """All that is known of a user's access to Zapier but the tokens.

    `generation` grows with every put and every refresh; `account` names the Zapier account (its profile id where
    readable, else the number of the sign-in), so that listings made under different ones are never compared: a refresh
    keeps it. `email` is masked. `reason` says why a sign-in is needed, where it is. What has a refresh token is
    refreshed by us, and by nobody else.
    """

    tenant_id: str
    user_id: str
    generation: int
    account: str
    state: CredentialState = CredentialState.ACTIVE
    profile_id: str | None = None
    email: str | None = None
    expires_at: Instant | None = None
    reason: SignInReason | None = None
    has_refresh_token: bool = False


@value
class NewTokens:
    """Tokens that were just handed out, as they are to be kept: what they were used for before is over.

    `expires_at` is when the access token ends, None where nobody says. With a `refresh_token` refreshing it is ours.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: Instant | None = None


@value
class Credential(Standing):
    """A user's access to Zapier."""

    access_token: str = field(repr=False)


@value
class Refresh:
    """The intent to use a refresh token, written before it is used: it is dead once Zapier has taken it.

    `tries`: how often it may have been used. Until `until` nobody else uses it: somebody is at it, or it is put off.
    """

    id: str
    tries: int
    until: Instant


@value
class Kept:
    """A credential with what refreshing it needs. `refresh`: the latest intent of this generation."""

    credential: Credential
    refresh_token: str | None = field(default=None, repr=False)
    refresh: Refresh | None = None


@value
class Profile:
    """Who a Zapier account belongs to; `email` is masked before it is kept."""

    id: str
    email: str | None = None


class CredentialStore(Protocol):
    """Credentials, encrypted at rest.

    Whatever changes one notes with it that the user's sessions are to be told, until `told` says that they were.
    """

    async def put(
        self,
        tenant_id: str,
        user_id: str,
        tokens: NewTokens,
        *,
        profile: Profile | None,
        now: Instant,
        sign_in_id: str | None = None,
    ) -> Credential:
        """Store new tokens in the place of all before, and return the credential with its new generation.

        Those that a sign-in of the user brought are stored only while it is kept, as it is not once the user was
        erased: raises SignInRefusedError, and nothing has changed then.

        `account` stays when the profile id is the same as before, and changes otherwise. At the same moment every
        paused watch of the user is paused no more; those that somebody waits on are due now.
        """
        ...

    async def get(self, tenant_id: str, user_id: str) -> Credential | None:
        """Return the credential, None when there never was one."""
        ...

    async def standing(self, tenant_id: str, user_id: str) -> Standing | None:
        """Return what `get` would, without decrypting the token: for all who do not call Zapier."""
        ...

    async def need_sign_in(
        self,
        tenant_id: str,
        user_id: str,
        *,
        generation: int,
        reason: SignInReason = SignInReason.TOKEN_REFUSED,
        refresh: Refresh | None = None,
    ) -> bool:
        """Nobody gets on with this generation's tokens: mark it, and end its refresh.

        False when it is marked already or a newer one exists; with `refresh` also when that is not the latest intent.
        """
        ...

    async def kept(self, tenant_id: str, user_id: str) -> Kept | None:
        """Return the credential with all that refreshing it needs, None when there never was one."""
        ...

    async def note_refresh(
        self, tenant_id: str, user_id: str, *, generation: int, before: Refresh | None, after: Refresh
    ) -> bool:
        """Write the intent to refresh an active credential of this generation over the latest one; twice is fine.

        False when the latest one is not `before`, or the credential is another one by now.
        """
        ...

    async def renew(
        self, tenant_id: str, user_id: str, tokens: NewTokens, *, generation: int, refresh_id: str, now: Instant
    ) -> Credential | None:
        """Store the tokens that a refresh of this generation brought, and return the credential as it is then.

        It is active, whatever it was before, and belongs to the account it belonged to; watches go on as after `put`.
        Twice is fine. None when it has another generation: others put tokens meanwhile, and these are of no use.
        """
        ...

    async def users_of_profile(self, tenant_id: str, profile_id: str, *, now: Instant) -> int:
        """Return how many users of the tenant have, or ever had, this Zapier profile.

        Who had it may have a popup open still, from which that account gets an authentication; an erased user counts
        for as long as that may be.
        """
        ...

    async def untold(self, shard: int, *, limit: int) -> tuple[tuple[str, str], ...]:
        """Return tenant and user of credentials that changed and of which the sessions may not know, in any order."""
        ...

    async def told(self, standing: Standing) -> bool:
        """Note: the user's sessions know it as it is here. False when it has changed since: that they may not know."""
        ...


class SignInStore(Protocol):
    """Sign-ins to Zapier, from when they are begun until they are forgotten.

    Of each user `MOST_KEPT` are kept: beyond that the oldest go, those that are being finished last.
    """

    async def begin(self, sign_in: SignIn) -> None:
        """Keep a new one."""
        ...

    async def get(self, sign_in_id: str) -> SignIn | None:
        """Return the sign-in, None when there is none, or none any more. Raises SignInRefusedError for no id."""
        ...

    async def move(self, before: SignIn, after: SignIn) -> bool:
        """Write `after` over a sign-in that is as far as `before`.

        False when it is further by now, or there is none any more; nothing is changed then.
        """
        ...

    async def forget(self, shard: int, *, now: Instant, limit: int) -> int:
        """Erase sign-ins whose `kept_until` is not later than `now`, the oldest first; returns how many."""
        ...
