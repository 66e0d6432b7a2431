"""Deliveries: one event on its way to one endpoint; when it is tried, and what it holds up meanwhile.

A lane is an endpoint and a session. In a lane one delivery is tried at a time, in the order of `seq`. One that failed
holds the later ones for a minute, counted from its first try; then they pass it, and it comes again by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from orchestrator.core.events import EventName
from orchestrator.core.session import MINUTE, SECOND, Instant, Millis, session_shard

HOLD: Final[Millis] = MINUTE
"""How long a delivery that failed holds its lane, at most."""

_HOUR: Final[Millis] = 60 * MINUTE
DELAYS: Final[tuple[Millis, ...]] = (
    5 * SECOND,
    30 * SECOND,
    2 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    *(hours * _HOUR for hours in (1, 2, 4, 8, 12, 18, 24)),
)
"""After which waits a delivery is tried again: three days in all, about; then it is dead."""

TROUBLED: Final = 5
"""After so many failures in a row an endpoint is tried in one lane of a shard at a time."""

LONGEST_RETRY_AFTER: Final[Millis] = 24 * _HOUR
MOST_TRIES_KEPT: Final = 20
LONGEST_ANSWER_KEPT: Final = 500
UNTRIED: Final[Instant] = 0


class DeliveryState(StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one POST. `status` None: none came, and `problem` says why. `text` is how its body begins."""

    status: int | None
    took: Millis
    problem: str | None = None
    text: str = ""
    retry_after: Millis | None = None

    @property
    def is_receipt(self) -> bool:
        """Whether the receiver has the message."""
        return self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_goodbye(self) -> bool:
        """Whether nobody listens there any more."""
        return self.status == HTTPStatus.GONE


@dataclass(frozen=True, kw_only=True)
class Try:
    """One POST of a delivery, as it is remembered."""

    at: Instant
    took: Millis
    status: int | None
    problem: str | None
    answer: str


@dataclass(frozen=True, kw_only=True, order=True)
class Lane:
    """What is tried one after the other: the deliveries of one session to one endpoint."""

    tenant_id: str
    endpoint_id: str
    session_id: str

    @property
    def shard(self) -> int:
        """Where it lies."""
        return session_shard(self.session_id)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint.

    `tried_at` is when it was first tried since it was made or replayed, `failures` how often it failed since then.
    `next_at` is when it may be tried again, None once it is delivered or dead. `tries` are the newest ones.
    `replayed_by` names the request that last asked for it again, if it had an idempotency key.
    """

    lane: Lane
    seq: int
    name: EventName
    message_id: str
    created_at: Instant
    state: DeliveryState = DeliveryState.PENDING
    tried_at: Instant = UNTRIED
    failures: int = 0
    next_at: Instant | None = None
    tries: tuple[Try, ...] = ()
    replayed_by: str | None = None

    def after(self, answer: Answer, *, at: Instant, now: Instant, jitter: float) -> Delivery:
        """Return what becomes of it by a try that began `at`.

        Waits grow from five seconds to hours over three days, each up to a tenth shorter or longer (`jitter` from 0 to
        1); `Retry-After` makes one longer, by a day at most.
        """
        made = Try(at=at, took=answer.took, status=answer.status, problem=answer.problem, answer=answer.text)
        tried = replace(self, tries=(*self.tries, made)[-MOST_TRIES_KEPT:], tried_at=self.tried_at or at)
        if answer.is_receipt:
            return replace(tried, state=DeliveryState.DELIVERED, next_at=None)
        if self.failures >= len(DELAYS):
            return replace(tried, state=DeliveryState.DEAD, failures=self.failures + 1, next_at=None)
        wait = round(DELAYS[self.failures] * (0.9 + jitter / 5))
        asked = min(answer.retry_after or 0, LONGEST_RETRY_AFTER)
        return replace(tried, failures=self.failures + 1, next_at=now + max(wait, asked))

    def again(self, *, now: Instant, asked_by: str | None) -> Delivery:
        """Return it as if it had not been tried; what was tried stays on record."""
        return replace(
            self, state=DeliveryState.PENDING, tried_at=UNTRIED, failures=0, next_at=now, replayed_by=asked_by
        )


@dataclass(frozen=True, order=True)
class Queued:
    """A pending delivery's place in its lane."""

    seq: int
    tried_at: Instant
    next_at: Instant


@dataclass(frozen=True, order=True)
class Turn:
    """Which delivery of a lane is tried next, and not before when."""

    at: Instant
    seq: int


def turn(lane: Iterable[Queued]) -> Turn | None:
    """Say whose turn is next in a lane, None when nothing is pending.

    Whoever was never tried is never passed; whoever was holds those behind it for `HOLD` from its first try.
    """
    first: Turn | None = None
    held_until: Instant = 0
    for queued in sorted(lane):
        mine = Turn(max(queued.next_at, held_until), queued.seq)
        first = mine if first is None else min(first, mine)
        if queued.tried_at == UNTRIED:
            break
        held_until = max(held_until, queued.tried_at + HOLD)
    return first
