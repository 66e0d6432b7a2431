"""The budget's arithmetic in plain Python, and an adapter of the port on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.core.ports.budget import Budget, Grant, Permit, Share, Usage
from orchestrator.core.session import Instant
from orchestrator.store.limits import UNLIMITED, Limits


@dataclass(slots=True)
class Side:
    """One limit: which permits hold it until when, and until when it cools down."""

    limit: int
    held: dict[str, Instant] = field(default_factory=dict)
    cooldown_until: Instant = 0

    def drop_expired(self, now: Instant) -> None:
        """Forget permits whose time is over."""
        self.held = {permit: until for permit, until in self.held.items() if until > now}

    def room(self, *, reserve: int, wanted: int) -> int:
        """Return how many of the wanted permits there is room for."""
        return wanted if self.limit == UNLIMITED else self.limit - reserve - len(self.held)

    def free_at(self, *, reserve: int) -> Instant:
        """Return the earliest moment at which one more permit could be given, as far as is known now."""
        excess = 0 if self.limit == UNLIMITED else len(self.held) - (self.limit - reserve) + 1
        expiry = sorted(self.held.values())[excess - 1] if excess > 0 else 0
        return max(expiry, self.cooldown_until)


class MemoryBudget:
    """`Budget` of one process, gone with it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._egress: dict[str, Side] = {}
        self._partner: dict[str, Side] = {}
        self._users: dict[str, Side] = {}
        self._given = 0

    async def take(
        self, wanted: int, *, egress: str, partner: str, share: Share, now: Instant, user: str | None = None
    ) -> Grant:
        """Take up to `wanted` permits of both limits at once; with `user`, of what one user may hold, too."""
        reserve = self._limits.reserve(share)
        reserves = [(side, reserve) for side in self._sides(egress, partner)]
        reserves += [(side, 0) for side in self._of_user(user)]
        for side, _ in reserves:
            side.drop_expired(now)
        is_cool = all(side.cooldown_until <= now for side, _ in reserves)
        room = min(side.room(reserve=left, wanted=wanted) for side, left in reserves) if is_cool else 0
        permits = tuple(self._give(egress, partner, user, now=now) for _ in range(min(wanted, room)))
        if len(permits) >= wanted:
            return Grant(permits=permits)
        return Grant(permits=permits, retry_at=max(side.free_at(reserve=left) for side, left in reserves))

    async def answered(self, permits: Sequence[Permit], *, now: Instant) -> None:
        """The calls were answered: their permits are held for one more window from `now`."""
        for permit in permits:
            for side in self._holding(permit):
                side.held.pop(permit.id, None)
                done = f"{permit.id}!"
                side.held[done] = max(side.held.get(done, 0), self._limits.held_answered(now))

    async def give_back(self, permits: Sequence[Permit]) -> None:
        """The calls were never sent: free their permits."""
        for permit in permits:
            for side in self._holding(permit):
                side.held.pop(permit.id, None)

    async def cool_down(self, *, egress: str, partner: str, until: Instant) -> None:
        """Zapier refused: give no permit of either before `until`."""
        for side in self._sides(egress, partner):
            side.cooldown_until = max(side.cooldown_until, until)

    async def usage(self, *, egress: str, partner: str, now: Instant) -> tuple[Usage, Usage]:
        """Return how much of each is held."""
        by_egress, by_partner = self._sides(egress, partner)
        return _usage(egress, by_egress, now=now), _usage(partner, by_partner, now=now)

    def _sides(self, egress: str, partner: str) -> tuple[Side, Side]:
        return (
            self._egress.setdefault(egress, Side(self._limits.egress)),
            self._partner.setdefault(partner, Side(self._limits.partner)),
        )

    def _of_user(self, user: str | None) -> list[Side]:
        return [] if user is None else [self._users.setdefault(user, Side(self._limits.user))]

    def _holding(self, permit: Permit) -> list[Side]:
        return [*self._sides(permit.egress, permit.partner), *self._of_user(permit.user)]

    def _give(self, egress: str, partner: str, user: str | None, *, now: Instant) -> Permit:
        self._given += 1
        start_by = self._limits.start_by(now)
        permit = Permit(id=str(self._given), egress=egress, partner=partner, start_by=start_by, user=user)
        for side in self._holding(permit):
            side.held[permit.id] = self._limits.held_unanswered(now)
        return permit


def _usage(name: str, side: Side, *, now: Instant) -> Usage:
    held = sum(until > now for until in side.held.values())
    cooldown_until = side.cooldown_until if side.cooldown_until > now else 0
    return Usage(name=name, held=held, limit=side.limit, cooldown_until=cooldown_until)


if TYPE_CHECKING:
    _: type[Budget] = MemoryBudget
