"""The permits of one call of ours: where they come from, and what becomes of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeAlias

import structlog

from orchestrator.core.errors.store import StoreError
from orchestrator.core.errors.upstream import UpstreamBusyError
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.budget import Budget, Permit, Share
from orchestrator.core.session import SECOND, Instant, Millis

PartnerOf: TypeAlias = Callable[[str], Awaitable[str]]
"""Finds a tenant's client id at Zapier."""

log = structlog.get_logger(__name__)

NO_ROOM: Final = "Zapier's rate limit leaves no room for this call"
NO_ROOM_FOR_ONE: Final = "Zapier's rate limit, or what one user may use of it, leaves no room for this call"
_SHORTEST_PAUSE: Final[Millis] = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitSource:
    """Where permits are taken: the budget, for the egress all our requests leave by and for each tenant's partner.

    `patience` is how long a call that a user waits on may wait for each permit.
    """

    budget: Budget
    clock: Clock
    egress: str
    partner_of: PartnerOf
    patience: Millis

    def purse(
        self,
        tenant_id: str,
        user_id: str | None = None,
        *,
        given: Sequence[Permit] = (),
        share: Share = Share.INTERACTIVE,
    ) -> Purse:
        """Return an open purse with the given permits; more are taken of `share`.

        What a user waits on, and names that user, is also bounded by what one user may hold.
        """
        user = f"{tenant_id} {user_id}" if user_id is not None and share is Share.INTERACTIVE else None
        return Purse(self, tenant_id=tenant_id, user=user, given=given, share=share)

    async def permit(self, tenant_id: str, user_id: str | None = None) -> Permit:
        """Take one permit for a call a user waits on. Raises UpstreamBusyError."""
        return await self.purse(tenant_id, user_id).draw()

    async def give_back(self, permits: Sequence[Permit]) -> None:
        """Free permits that will not be used; twice is fine, and so is a budget that cannot be reached."""
        if permits:
            await _told("give_back", self.budget.give_back(permits))


class Purse:
    """Permits for the requests of one call; as a context manager it gives back what is left.

    Permits that were given are drawn first, then new ones are taken; none is used after its `start_by`.

    What it tells the budget after a request is told once, and a budget that cannot be reached then does not spoil the
    answer: the permit stays held until its own time, which is the safe side.
    """

    def __init__(
        self, source: PermitSource, *, tenant_id: str, user: str | None, given: Sequence[Permit], share: Share
    ) -> None:
        self._source = source
        self._tenant_id = tenant_id
        self._user = user
        self._given = deque(given)
        self._share = share

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._source.give_back(tuple(self._given))
        self._given.clear()

    @property
    def is_awaited(self) -> bool:
        """Whether a user waits for this call; only such a call waits for permits and repeats a request."""
        return self._share is Share.INTERACTIVE

    async def draw(self) -> Permit:
        """Return the right to make one request now.

        Raises UpstreamBusyError when none comes in time, StoreUnavailableError when the budget cannot be asked.
        """
        while self._given:
            permit = self._given.popleft()
            if self._source.clock.now() <= permit.start_by:
                return permit
            await self._source.give_back([permit])
        return await self._take()

    async def _take(self) -> Permit:
        partner = await self._source.partner_of(self._tenant_id)
        now = self._source.clock.now()
        patient_until = now + (self._source.patience if self.is_awaited else 0)
        while True:
            grant = await self._source.budget.take(
                1, egress=self._source.egress, partner=partner, share=self._share, now=now, user=self._user
            )
            if grant.permits:
                return grant.permits[0]
            again_at = max(now + SECOND if grant.retry_at is None else grant.retry_at, now + _SHORTEST_PAUSE)
            if again_at > patient_until:
                why = NO_ROOM if self._user is None else NO_ROOM_FOR_ONE
                raise UpstreamBusyError(retry_after=again_at - now, why=why)
            await self._source.clock.sleep(again_at - now)
            now = self._source.clock.now()

    async def answered(self, permit: Permit) -> None:
        """The request was answered, whatever the answer: Zapier has counted it."""
        await _told("answered", self._source.budget.answered([permit], now=self._source.clock.now()))

    async def not_used(self, permit: Permit) -> None:
        """Not one byte of the request reached Zapier."""
        await self._source.give_back([permit])

    async def cool_down(self, permit: Permit, *, until: Instant) -> None:
        """Zapier refused everything until then, for the permit's egress and partner."""
        cooling = self._source.budget.cool_down(egress=permit.egress, partner=permit.partner, until=until)
        await _told("cool_down", cooling)


async def _told(what: str, telling: Awaitable[None]) -> None:
    try:
        await telling
    except StoreError as error:
        log.warning("budget_not_told", what=what, problem=str(error))
