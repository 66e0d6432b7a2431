"""Tokens of connect links: the session's id and a secret, which is made of the link's id with a key of ours.

So a request that comes again is answered with the same address, although only the token's digest is kept. A link works
as long as it is good, whatever becomes of the key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from orchestrator.core.tenants import digest_of

if TYPE_CHECKING:
    from orchestrator.core.session import ConnectLink

_USE: Final = "zapwright/connect-link"
_BYTES_OF_SECRET: Final = 20
"""160 bits."""

_BETWEEN: Final = "-"


class LinkTokens:
    """Makes tokens. `keys`, newest first: the first makes new ones, all are tried to say again what was made."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(keys)

    def make(self, session_id: str, link_id: str) -> str:
        """Return the token of a link that is about to be made: lower-case letters, digits and a dash."""
        return _token(self._keys[0], session_id, link_id)

    def again(self, session_id: str, link: ConnectLink) -> str | None:
        """Return the token of a link that was made, None when its key has been retired."""
        tokens = (_token(key, session_id, link.id) for key in self._keys)
        return next((token for token in tokens if hmac.compare_digest(digest_of(token), link.digest)), None)


def session_of(token: str) -> str:
    """Return the id of the session that a token is for; what is no token gives what is no id."""
    return token.partition(_BETWEEN)[0]


def _token(key: str, session_id: str, link_id: str) -> str:
    secret = hmac.digest(key.encode(), f"{_USE}\0{session_id}\0{link_id}".encode(), hashlib.sha256)[:_BYTES_OF_SECRET]
    return f"{session_id}{_BETWEEN}{base64.b32encode(secret).decode().lower()}"
