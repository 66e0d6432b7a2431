"""Codes and tokens: what a sign-in, or a refresh, hands out, and how long it is good.

A code is good once, for two minutes. A refresh token is good until it is used, each use hands out another one (Zapier
docs: user-access-token). An access token is one as everybody may make them up, but it ends.
"""

from dataclasses import dataclass
from typing import Final

from simulator.ids import keyed_digest
from simulator.switches import Tokens as Switches
from simulator.world import AccessToken, Code, RefreshToken, World

#: Every scope that building Zaps asks for.
ALL_SCOPES: Final = "profile zap zap:write connection:read connection:write"

_BYTES: Final = 16


class NotGoodError(Exception):
    """A code or refresh token that was used, is over, or was given to another client."""


@dataclass(frozen=True, slots=True)
class Issued:
    """What the token endpoint hands out at once."""

    access_token: str
    refresh_token: str
    expires_in: int  #: seconds
    scope: str


class Tokens:
    """The codes and tokens of one simulator. They are kept in its world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def issue_code(
        self, account: str, *, client_id: str, redirect_uri: str, scope: str, now: int, switches: Switches
    ) -> str:
        """Return a code that says: `account` lets this client do what `scope` names, and was sent back to there."""
        serial = self._world.next_serial()
        code = Code(
            id=f"simc-{self._digest('code', serial)}",
            serial=serial,
            owner=account,
            client_id=client_id,
            redirect_uri=redirect_uri,
            scope=scope,
            expires_at=now + switches.code_ms,
        )
        self._world.issue(code)
        return code.id

    def redeem(self, code: str, *, client_id: str, redirect_uri: str, now: int, switches: Switches) -> Issued:
        """Exchange a code for tokens; whatever comes of it, the code is good no more. Raises NotGoodError."""
        found = self._world.issued(code)
        if not isinstance(found, Code):
            raise NotGoodError
        self._world.issue(spent=[code])
        if (found.client_id, found.redirect_uri) != (client_id, redirect_uri) or found.expires_at <= now:
            raise NotGoodError
        return self.grant(found.owner, client_id=client_id, scope=found.scope, now=now, switches=switches)

    def refresh(self, refresh_token: str, *, client_id: str, now: int, switches: Switches) -> Issued:
        """Exchange a refresh token for new tokens. Raises NotGoodError."""
        found = self._world.issued(refresh_token)
        if not isinstance(found, RefreshToken) or found.client_id != client_id or self._world.is_revoked(found.id):
            raise NotGoodError
        access = self._access(found.owner, client_id=client_id, scope=found.scope, until=now + switches.access_ms)
        if not switches.rotates:
            self._world.issue(access)
            return _issued(access, found, switches)
        following = self._following(access, found)
        self._world.issue(access, following, spent=[found.id])
        return _issued(access, following, switches)

    def grant(self, account: str, *, client_id: str, scope: str, now: int, switches: Switches) -> Issued:
        """Hand out the first tokens of a sign-in."""
        access = self._access(account, client_id=client_id, scope=scope, until=now + switches.access_ms)
        first = RefreshToken(id="", serial=0, owner=account, client_id=client_id, scope=scope)
        following = self._following(access, first)
        self._world.issue(access, following)
        return _issued(access, following, switches)

    def _access(self, account: str, *, client_id: str, scope: str, until: int) -> AccessToken:
        serial = self._world.next_serial()
        text = f"sim-{account}+{self._digest('access', serial)}@{client_id}"
        return AccessToken(id=text, serial=serial, scope=scope, expires_at=until)

    def _following(self, access: AccessToken, before: RefreshToken) -> RefreshToken:
        text = f"simr-{before.owner}-{self._digest('refresh', access.serial)}"
        return RefreshToken(
            id=text, serial=access.serial, owner=before.owner, client_id=before.client_id, scope=before.scope
        )

    def _digest(self, kind: str, serial: int) -> str:
        return keyed_digest(f"{kind}:{serial}".encode(), seed=self._world.seed, size=_BYTES).hex()


def _issued(access: AccessToken, following: RefreshToken, switches: Switches) -> Issued:
    return Issued(
        access_token=access.id,
        refresh_token=following.id,
        expires_in=switches.access_ms // 1000,
        scope=access.scope,
    )
