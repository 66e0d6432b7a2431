"""Which due watches are checked, when not all can be: pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from orchestrator.core.ports.budget import Permit, Share
from orchestrator.core.ports.watches import DueWatch, Urgency

NEVER = -1
"""The turn of a tenant that was not served yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Watches, in order, whose permits are taken in one go: one partner, one share."""

    partner: str
    share: Share
    watches: tuple[DueWatch, ...]

    @property
    def pages(self) -> int:
        """How many permits they want together."""
        return sum(watch.pages for watch in self.watches)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotment:
    """Watches with the permits each gets; `rest` was too little for the next one."""

    given: tuple[tuple[DueWatch, tuple[Permit, ...]], ...]
    rest: tuple[Permit, ...]


def fair_order(due: Sequence[DueWatch], *, served: Mapping[str, int]) -> tuple[DueWatch, ...]:
    """Return all of them in the order in which they deserve a check.

    The more urgent first. Within one urgency tenants take turns, those whose last turn (`served`: tenant → number of
    its last turn) is the longest ago first; within a tenant the longest due is first.
    """
    by_urgency: defaultdict[Urgency, list[DueWatch]] = defaultdict(list)
    for watch in due:
        by_urgency[watch.urgency].append(watch)
    return tuple(watch for urgency in sorted(by_urgency) for watch in _in_turn(by_urgency[urgency], served))


def askings(ordered: Sequence[DueWatch], *, partner_of: Callable[[str], str]) -> Iterator[Asking]:
    """Cut watches in fair order into as few askings as keep that order."""

    def side(watch: DueWatch) -> tuple[str, Share]:
        share = Share.STRONG if watch.urgency is Urgency.STRONG else Share.QUIET
        return partner_of(watch.key.tenant_id), share

    for (partner, share), watches in groupby(ordered, key=side):
        yield Asking(partner=partner, share=share, watches=tuple(watches))


def allot(watches: Sequence[DueWatch], permits: Sequence[Permit]) -> Allotment:
    """Give each watch, in order, a permit for every page, until the permits do not suffice for the next one.

    Nobody is passed over: else one that needs several permits would wait for ever behind those that need one.
    """
    given, used = [], 0
    for watch in watches:
        if used + watch.pages > len(permits):
            break
        given.append((watch, tuple(permits[used : used + watch.pages])))
        used += watch.pages
    return Allotment(given=tuple(given), rest=tuple(permits[used:]))


def _in_turn(watches: Sequence[DueWatch], served: Mapping[str, int]) -> Iterator[DueWatch]:
    lines: defaultdict[str, list[DueWatch]] = defaultdict(list)
    for watch in sorted(watches, key=lambda watch: (watch.due, watch.key)):
        lines[watch.key.tenant_id].append(watch)
    tenants = sorted(lines, key=lambda tenant: (served.get(tenant, NEVER), lines[tenant][0].due, tenant))
    for place in range(max(map(len, lines.values()))):
        yield from (lines[tenant][place] for tenant in tenants if place < len(lines[tenant]))
