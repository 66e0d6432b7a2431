"""Tokens: handed out by Zapier, and kept good for calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.credentials import Credential, NewTokens
from orchestrator.core.session import Instant, Millis


@dataclass(frozen=True, kw_only=True)
class Client:
    """As whom a tenant's product is known at Zapier."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What Zapier hands out for a sign-in, and for each refresh of it.

    The access token ends `expires_in` after it was asked for (None: nobody says when). `refresh_token` None: the one
    that was used is good still.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: Millis | None
    scopes: frozenset[str] = frozenset()

    def to_keep(self, *, asked_at: Instant, used: str | None = None) -> NewTokens:
        """Return them as they are to be kept; `used` is the refresh token that they were handed out for."""
        return NewTokens(
            access_token=self.access_token,
            refresh_token=self.refresh_token or used,
            expires_at=None if self.expires_in is None else asked_at + self.expires_in,
        )


@dataclass(frozen=True, kw_only=True)
class TokensOver:
    """Zapier knows no such code or refresh token: it was used, is too old, or was given to somebody else."""


@dataclass(frozen=True, kw_only=True)
class TokensRefused:
    """Zapier surely handed out nothing, and the code or refresh token is as good as before.

    It was never reached, asks us to wait (`retry_after`), or refuses the request. `is_client_wrong`: it knows no client
    with this id and secret, which only who runs the deployment can mend.
    """

    problem: str
    status: int | None = None
    retry_after: Millis | None = None
    is_client_wrong: bool = False


@dataclass(frozen=True, kw_only=True)
class TokensUnknown:
    """Anything else: Zapier may have handed out tokens that nobody has, and then the ones used are dead."""

    problem: str


class OAuth(Protocol):
    """Zapier's token endpoint. One request each time, under the given permit, never repeated; raises nothing.

    There is no request when the permit came too late. `limit` is the longest that the request may take.
    """

    async def exchange_code(
        self, client: Client, code: str, *, redirect_uri: str, limit: Millis, permit: Permit
    ) -> Tokens | TokensOver | TokensRefused | TokensUnknown:
        """Exchange the code that a browser brought back to `redirect_uri`."""
        ...

    async def refresh(
        self, client: Client, refresh_token: str, *, limit: Millis, permit: Permit
    ) -> Tokens | TokensOver | TokensRefused | TokensUnknown:
        """Exchange a refresh token, which is dead as soon as Zapier has done so."""
        ...


class Access(Protocol):
    """The tokens that calls are made with. Whoever calls Zapier asks here before each request.

    Both raise SignInRequiredError when only a sign-in helps, UpstreamBusyError when a token may be there in a while,
    StoreError.
    """

    async def newest(self, credential: Credential) -> Credential:
        """Return the credential with a token that is good now, refreshed where it was about to end."""
        ...

    async def after_refusal(self, credential: Credential) -> Credential:
        """Zapier answered 401 to this credential's token: return the credential with another one, to be tried once."""
        ...

    async def mark(self, credential: Credential) -> None:
        """Zapier refused a token that was just handed out: a sign-in is needed, unless there is a newer one."""
        ...
