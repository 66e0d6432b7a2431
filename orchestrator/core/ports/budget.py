"""Zapier's limits: permits for calls, and what is held of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from orchestrator.core.session import Instant


@dataclass(frozen=True, kw_only=True)
class Permit:
    """The right to make one call to Zapier, to be started not later than `start_by`."""

    id: str
    egress: str
    partner: str
    start_by: Instant
    user: str | None = None


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Permits that were given; with fewer than wanted, `retry_at` says when to ask again."""

    permits: tuple[Permit, ...]
    retry_at: Instant | None = None


class Share(IntEnum):
    """How much of the budget a taker leaves to more urgent ones."""

    INTERACTIVE = 0
    STRONG = 1
    QUIET = 2


@dataclass(frozen=True, kw_only=True)
class Usage:
    """One side of the budget: permits held now, the limit, and until when it cools down (0: it does not)."""

    name: str
    held: int
    limit: int
    cooldown_until: Instant = 0


class Budget(Protocol):
    """Zapier's rate limits, kept for the whole deployment. It fails closed: no answer, no permit."""

    async def take(
        self, wanted: int, *, egress: str, partner: str, share: Share, now: Instant, user: str | None = None
    ) -> Grant:
        """Take up to `wanted` permits of both limits at once; with `user`, of what one user may hold, too."""
        ...

    async def answered(self, permits: Sequence[Permit], *, now: Instant) -> None:
        """The calls were answered: their permits are held for one more window from `now`."""
        ...

    async def give_back(self, permits: Sequence[Permit]) -> None:
        """The calls were never sent: free their permits; twice is fine."""
        ...

    async def cool_down(self, *, egress: str, partner: str, until: Instant) -> None:
        """Zapier refused: give no permit of either before `until` (never shortens)."""
        ...

    async def usage(self, *, egress: str, partner: str, now: Instant) -> tuple[Usage, Usage]:
        """Return how much of each is held, without taking anything."""
        ...


class Permits(Protocol):
    """Where permits for such requests come from."""

    async def permit(self, tenant_id: str, user_id: str | None = None) -> Permit:
        """Take one permit for a call that this user waits on. Raises UpstreamBusyError."""
        ...

    async def give_back(self, permits: Sequence[Permit]) -> None:
        """Give back permits that will not be used."""
        ...
