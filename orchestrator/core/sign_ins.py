"""Sign-ins to Zapier: each belongs to one browser, from before it is begun until what came of it was shown.

The browser has a secret of ours in a cookie. Pages of an origin know the browser by a name that is made of that secret
and the origin, so that no page can name a browser to anybody but its own kind. A sign-in is begun for a name; only the
browser that has it can open the sign-in, and only it can bring an answer back from Zapier.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orchestrator.core.errors.credentials import SignInRefusedError
from orchestrator.core.session import MINUTE, Instant, Millis
from orchestrator.core.tenants import digest_of
from orchestrator.core.values import replace

OPENS_WITHIN: Final[Millis] = 2 * MINUTE
"""How long a sign-in can be opened: whoever asked for it does so at once."""

RETURNS_WITHIN: Final[Millis] = 30 * MINUTE
"""How long a user may take at Zapier, where they may have to make an account first."""

KEPT_FOR: Final[Millis] = 90 * MINUTE
"""How long it is known what became of a sign-in."""

MOST_KEPT: Final = 10
"""How many sign-ins of one user are kept: more than anybody goes through in that time who means one of them."""

_BETWEEN: Final = "-"
_ID: Final = re.compile(r"si([0-9a-f]{2})[0-9a-z]{20,60}")


class SignInState(StrEnum):
    """How far a sign-in has come. It never goes back."""

    NEW = "new"
    AT_ZAPIER = "at_zapier"
    RETURNED = "returned"
    SIGNED_IN = "signed_in"
    FAILED = "failed"


class Failure(StrEnum):
    """Why a sign-in that came back from Zapier gave nothing. Each can be tried again."""

    DENIED = "denied"
    CODE_REFUSED = "code_refused"
    CLIENT_REFUSED = "client_refused"
    NOT_REACHED = "not_reached"
    ANSWER_LOST = "answer_lost"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - what went wrong, no token


class Refusal(StrEnum):
    """Why a browser is not let on; nothing has changed then."""

    UNKNOWN = "unknown"
    ANOTHER_BROWSER = "another_browser"
    EXPIRED = "expired"
    USED = "used"


@dataclass(frozen=True, kw_only=True)
class Newcomer:
    """Whom Zapier may make an account for: all three, or it asks."""

    email: str
    first_name: str
    last_name: str


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """One user's way to Zapier and back.

    `browser` is the name of the browser it belongs to, for pages of one of `origins`. `digest` is that of the secret
    the browser must bring next: the one in its address, then the one that Zapier hands back. `redirect_uri` is where
    Zapier was told to lead, `return_url` where our page leads afterwards (None: it was opened in a popup).
    """

    id: str
    tenant_id: str
    user_id: str
    browser: str
    origins: tuple[str, ...]
    digest: str
    made_at: Instant
    state: SignInState = SignInState.NEW
    opened_at: Instant = 0
    redirect_uri: str = ""
    return_url: str | None = None
    newcomer: Newcomer | None = None
    failure: Failure | None = None

    @property
    def opens_until(self) -> Instant:
        """Until when it can be opened."""
        return self.made_at + OPENS_WITHIN

    @property
    def kept_until(self) -> Instant:
        """When it is forgotten."""
        return self.made_at + KEPT_FOR

    def is_of(self, browser_secret: str) -> bool:
        """Tell whether it belongs to the browser with this secret, in a time that tells nothing about the name.

        A browser without one has no name, though anybody could say what it would be.
        """
        known = [hmac.compare_digest(name_for(origin, browser_secret), self.browser) for origin in self.origins]
        return bool(browser_secret) and any(known)


def name_for(origin: str, browser_secret: str) -> str:
    """Return the name by which pages of this origin know the browser with this secret."""
    return hmac.digest(browser_secret.encode(), origin.encode(), hashlib.sha256).hex()


def id_prefix(shard: int) -> str:
    """Begin the ids of sign-ins of users of this shard; what follows is random."""
    return f"si{shard:02x}"


def shard_in(sign_in_id: str) -> int:
    """Read the shard out of a sign-in's id. Raises SignInRefusedError for what is no such id."""
    found = _ID.fullmatch(sign_in_id)
    if found is None:
        raise SignInRefusedError(why=Refusal.UNKNOWN)
    return int(found[1], 16)


def token_of(sign_in_id: str, secret: str) -> str:
    """Write what finds a sign-in and opens it, or brings it back."""
    return f"{sign_in_id}{_BETWEEN}{secret}"


def parts_of(token: str) -> tuple[str, str]:
    """Read `token_of` back; what is no token gives what is no sign-in's."""
    sign_in_id, _, secret = token.partition(_BETWEEN)
    return sign_in_id, secret


def open_at_zapier(
    sign_in: SignIn, *, secret: str, browser_secret: str, next_secret: str, redirect_uri: str, now: Instant
) -> SignIn:
    """Let the browser go to Zapier, from where it must bring `next_secret` back. Raises SignInRefusedError."""
    _check(sign_in, secret, browser_secret, state=SignInState.NEW)
    if now >= sign_in.opens_until:
        raise SignInRefusedError(why=Refusal.EXPIRED)
    return replace(
        sign_in,
        state=SignInState.AT_ZAPIER,
        digest=digest_of(next_secret),
        opened_at=now,
        redirect_uri=redirect_uri,
        newcomer=None,
    )


def take_back(sign_in: SignIn, *, secret: str, browser_secret: str, now: Instant) -> SignIn:
    """Let the browser come back from Zapier, once. Raises SignInRefusedError."""
    _check(sign_in, secret, browser_secret, state=SignInState.AT_ZAPIER)
    if now >= sign_in.opened_at + RETURNS_WITHIN:
        raise SignInRefusedError(why=Refusal.EXPIRED)
    return replace(sign_in, state=SignInState.RETURNED)


def ended(sign_in: SignIn, failure: Failure | None) -> SignIn:
    """Return the sign-in with what came of it; None: the user is signed in."""
    state = SignInState.SIGNED_IN if failure is None else SignInState.FAILED
    return replace(sign_in, state=state, failure=failure)


def _check(sign_in: SignIn, secret: str, browser_secret: str, *, state: SignInState) -> None:
    """Whoever has not the browser's secret is told nothing but that.

    Of a sign-in that is further than `state` the secret is another one by now.
    """
    if not sign_in.is_of(browser_secret):
        raise SignInRefusedError(why=Refusal.ANOTHER_BROWSER)
    if sign_in.state is not state:
        raise SignInRefusedError(why=Refusal.USED)
    if not hmac.compare_digest(sign_in.digest, digest_of(secret)):
        raise SignInRefusedError(why=Refusal.UNKNOWN)
