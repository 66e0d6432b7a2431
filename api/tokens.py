"""Client tokens: signed by us, given by a tenant's backend to a page, good for one session for a while (JWT, HS256).

Our own connect page has one that is good for one step alone.

Times are those of the clock that all our processes share. A token may seem to begin up to five minutes from now, for a
process whose clock is behind that of the one that made it; it ends when it says, whoever looks.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import jwt
import msgspec
from jwt.types import Options
from jwt.utils import base64url_encode

from api.errors import TokenExpiredError, TokenInvalidError
from orchestrator.core.session import MINUTE, SECOND, Instant, Millis
from orchestrator.core.values import value

ISSUER: Final = "zapwright"
AUDIENCE: Final = "zapwright/session"
EARLIEST: Final[Millis] = 5 * MINUTE
"""How far ahead the clock of a token's maker may be."""

MOST_REMEMBERED: Final = 10_000

_ALGORITHM: Final = "HS256"
_LONGEST: Final = 8 * 1024
_LENGTH_OF_KEY_ID: Final = 16
_CHECKED: Final[Options] = {
    "require": ["iss", "aud", "sub", "sid", "tid", "origins", "iat", "nbf", "exp"],
    "verify_exp": False,  # by the time we are given
    "verify_nbf": False,
    "verify_iat": False,
}


HOW_TO_MAKE_A_KEY: Final = 'make one with `python -c "import secrets; print(secrets.token_urlsafe(48))"`'


class TokenKeysMissingError(Exception):
    """The API does not start without a key to sign client tokens with."""

    def __init__(self) -> None:
        super().__init__(
            "ZAPWRIGHT_TOKEN_KEYS is not set: signing client tokens needs a key that every API process has; "
            + HOW_TO_MAKE_A_KEY
        )


@value
class ClientToken:
    """A token and until when it is good."""

    text: str
    expires_at: Instant


class Claims(msgspec.Struct, frozen=True):
    """What a token says: user (`sub`), session, tenant, and the origins it may come from; times are in seconds.

    `step`: the only step it is good for, None for the whole session.
    """

    sub: str
    sid: str
    tid: str
    origins: tuple[str, ...]
    nbf: int
    exp: int
    step: str | None = None


class ClientTokens:
    """Makes and reads tokens. `keys`, newest first: the first signs, all are believed; `life` is how long one is good.

    Raises TokenKeysMissingError.
    """

    def __init__(self, keys: Sequence[str], *, life: Millis) -> None:
        if not keys:
            raise TokenKeysMissingError
        self._keys = {key_id(key): key for key in keys}
        self._newest = keys[0].encode()
        self._head = _part({"alg": _ALGORITHM, "kid": key_id(keys[0]), "typ": "JWT"})
        self._life = life
        self._claims = lru_cache(MOST_REMEMBERED)(self._verified)

    def make(
        self,
        *,
        tenant_id: str,
        session_id: str,
        user_id: str,
        origins: Sequence[str],
        now: Instant,
        step_id: str | None = None,
    ) -> ClientToken:
        """Return a new token, for one step of the session if it is named."""
        begins, ends = now // SECOND, (now + self._life) // SECOND
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": session_id,
            "tid": tenant_id,
            "origins": list(origins),
            "iat": begins,
            "nbf": begins,
            "exp": ends,
        } | ({} if step_id is None else {"step": step_id})
        said = self._head + b"." + _part(claims)
        text = said + b"." + base64url_encode(hmac.digest(self._newest, said, hashlib.sha256))
        return ClientToken(text=text.decode(), expires_at=ends * SECOND)

    def read(self, text: str, *, now: Instant) -> Claims:
        """Return what a token of ours says. Raises TokenInvalidError, TokenExpiredError."""
        claims = self._claims(text)
        if claims.exp * SECOND <= now:
            raise TokenExpiredError
        if claims.nbf * SECOND > now + EARLIEST:
            raise TokenInvalidError(why="it is not good yet: a clock is wrong by more than five minutes")
        return claims

    def _verified(self, text: str) -> Claims:
        """Return what a token says whatever the time is; a page sends the same one many times."""
        if len(text) > _LONGEST:
            raise TokenInvalidError(why="it is too long to be one of ours")
        try:
            signed_with = jwt.get_unverified_header(text).get("kid")
            if signed_with not in self._keys:
                raise TokenInvalidError(why="its key is not one of this deployment's, or is so no more")
            found = jwt.decode(
                text,
                self._keys[signed_with],
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options=_CHECKED,
            )
            return msgspec.convert(found, Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError, RecursionError) as error:
            raise TokenInvalidError(why="it was not made by this deployment for this use") from error


def _part(said: Mapping[str, object]) -> bytes:
    """Write one part of a token. PyJWT would look at key and header anew for each, at fifty times the cost."""
    return base64url_encode(msgspec.json.encode(said))


def key_id(key: str) -> str:
    """Name a key in tokens; nothing of it can be told from its name."""
    return hmac.new(key.encode(), AUDIENCE.encode(), hashlib.sha256).hexdigest()[:_LENGTH_OF_KEY_ID]


def is_token(bearer: str) -> bool:
    """Tell whether this looks like a client token rather than a key."""
    return bearer.count(".") == 2  # noqa: PLR2004 - header, claims, signature
