"""The budget in a Redis-protocol store. It fails closed: no answer, no permit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from orchestrator.core.metering import UNMETERED, Meter
from orchestrator.core.ports.budget import Budget, Grant, Permit, Share, Usage
from orchestrator.core.session import MINUTE, Instant, Millis
from orchestrator.store import keys
from orchestrator.store.limits import Limits
from orchestrator.store.scripts import Argument, Call, Scripts

CLEARED_AFTER: Final[Millis] = 10 * MINUTE
"""When the server may forget what a user held last; by then none of it is held."""


class RedisBudget:
    """`Budget` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts, limits: Limits, *, meter: Meter = UNMETERED) -> None:
        self._scripts = scripts
        self._limits = limits
        self._meter = meter

    async def take(
        self, wanted: int, *, egress: str, partner: str, share: Share, now: Instant, user: str | None = None
    ) -> Grant:
        """Take up to `wanted` permits of both limits at once; with `user`, of what one user may hold, too."""
        call = Call(
            "take_permits",
            [keys.egress(egress), keys.partner(partner), keys.cooldown(), keys.permit_count(), *_of_user(user)],
            [
                now,
                wanted,
                self._limits.held_unanswered(now),
                self._limits.reserve(share),
                self._limits.egress,
                self._limits.partner,
                *keys.cooldown_fields(egress, partner),
                self._limits.user,
                CLEARED_AFTER,
            ],
        )
        retry_at, ids = await self._scripts.call(call)
        self._meter.asked(share, wanted=wanted, given=len(ids))
        start_by = self._limits.start_by(now)
        permits = tuple(
            Permit(id=str(number), egress=egress, partner=partner, start_by=start_by, user=user) for number in ids
        )
        return Grant(permits=permits, retry_at=int(retry_at) or None)

    async def answered(self, permits: Sequence[Permit], *, now: Instant) -> None:
        """The calls were answered: their permits are held for one more window from `now`."""
        until = self._limits.held_answered(now)
        await self._scripts.call_each([Call("answer_permit", _held(permit), [permit.id, until]) for permit in permits])

    async def give_back(self, permits: Sequence[Permit]) -> None:
        """The calls were never sent: free their permits."""
        await self._scripts.call_each([Call("give_back_permit", _held(permit), [permit.id]) for permit in permits])

    async def cool_down(self, *, egress: str, partner: str, until: Instant) -> None:
        """Zapier refused: give no permit of either before `until`."""
        arguments: list[Argument] = [until, *keys.cooldown_fields(egress, partner)]
        await self._scripts.call(Call("cool_down", [keys.cooldown()], arguments))

    async def usage(self, *, egress: str, partner: str, now: Instant) -> tuple[Usage, Usage]:
        """Return how much of each is held."""
        held = [keys.egress(egress), keys.partner(partner), keys.cooldown()]
        arguments: list[Argument] = [now, *keys.cooldown_fields(egress, partner)]
        reply = await self._scripts.call(Call("usage", held, arguments))
        by_egress, by_partner, (egress_cooldown, partner_cooldown) = reply
        return (
            _usage(egress, by_egress, limit=self._limits.egress, cooldown_until=int(egress_cooldown or 0), now=now),
            _usage(partner, by_partner, limit=self._limits.partner, cooldown_until=int(partner_cooldown or 0), now=now),
        )


def _held(permit: Permit) -> list[str]:
    return [keys.egress(permit.egress), keys.partner(permit.partner), *_of_user(permit.user)]


def _of_user(user: str | None) -> list[str]:
    return [] if user is None else [keys.user_share(user)]


def _usage(name: str, held: int, *, limit: int, cooldown_until: Instant, now: Instant) -> Usage:
    return Usage(name=name, held=held, limit=limit, cooldown_until=cooldown_until if cooldown_until > now else 0)


if TYPE_CHECKING:
    _: type[Budget] = RedisBudget
