"""A token endpoint in memory that takes each refresh token once, and deployments that ask it.

endpoint = TokenEndpoint()
endpoint.goes("lost")
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.tokens import Client, Tokens, TokensOver, TokensRefused, TokensUnknown
from orchestrator.core.session import MINUTE, Millis

How: TypeAlias = Literal["well", "lost", "never heard", "busy", "wrong client"]


class TokenEndpoint:
    """Zapier's, as the port `OAuth`: it hands out `A1` with `R1`, then `A2` with `R2`, and so on.

    `uses` are the refresh tokens it was shown, good or not; `good` is the one that it takes. Before each answer comes
    `meanwhile`.
    """

    def __init__(self) -> None:
        self.uses: list[str] = []
        self.number = 1
        self.clients: list[Client] = []
        self.limits: list[Millis] = []
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self._script: deque[How] = deque()

    @property
    def good(self) -> str:
        """The one refresh token that is not dead."""
        return f"R{self.number}"

    @property
    def access_token(self) -> str:
        """The access token that was handed out last."""
        return f"A{self.number}"

    def goes(self, *how: How) -> None:
        """Say what becomes of the next requests: `lost` ones are carried out, `never heard` ones are not."""
        self._script.extend(how)

    async def exchange_code(
        self, client: Client, code: str, *, redirect_uri: str, limit: Millis, permit: Permit
    ) -> Tokens | TokensOver | TokensRefused | TokensUnknown:
        """Nobody signs in here."""
        raise NotImplementedError

    async def refresh(
        self, client: Client, refresh_token: str, *, limit: Millis, permit: Permit
    ) -> Tokens | TokensOver | TokensRefused | TokensUnknown:
        """Take a refresh token."""
        self.uses.append(refresh_token)
        self.clients.append(client)
        self.limits.append(limit)
        answer = self._answer(refresh_token, self._script.popleft() if self._script else "well")
        if self.meanwhile is not None:
            await self.meanwhile()
        return answer

    def _answer(self, refresh_token: str, how: How) -> Tokens | TokensOver | TokensRefused | TokensUnknown:
        match how:
            case "busy":
                return TokensRefused(problem="status 429", status=429, retry_after=5_000)
            case "wrong client":
                return TokensRefused(problem="status 401: invalid_client", status=401, is_client_wrong=True)
            case "never heard":
                return TokensUnknown(problem="no answer: connection dropped")
            case _ if refresh_token != self.good:
                return TokensOver() if how == "well" else TokensUnknown(problem="status 502")
            case _:
                self.number += 1
        if how == "lost":
            return TokensUnknown(problem="no answer: time limit")
        return Tokens(access_token=self.access_token, refresh_token=self.good, expires_in=600 * MINUTE)
