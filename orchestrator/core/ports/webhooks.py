"""Webhook endpoints, and what is delivered to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from orchestrator.core.deliveries import Answer, Delivery, DeliveryState, Lane
from orchestrator.core.endpoints import Endpoint
from orchestrator.core.events import Event
from orchestrator.core.session import Instant

if TYPE_CHECKING:
    from orchestrator.core.interventions import AuditEntry


class EndpointStore(Protocol):
    """Webhook endpoints. Their secrets are encrypted at rest."""

    async def create(self, endpoint: Endpoint) -> None:
        """Keep a new endpoint.

        Raises StaleVersionError when there is one with its id, EndpointNotFoundError when there was one until lately,
        TooManyEndpointsError, SessionNotFoundError when it is for a session that is not there.
        """
        ...

    async def get(self, tenant_id: str, endpoint_id: str) -> Endpoint | None:
        """Return the tenant's endpoint, if there is one."""
        ...

    async def get_each(self, names: Sequence[tuple[str, str]]) -> tuple[Endpoint | None, ...]:
        """Return the endpoints with these tenants and ids, in this order."""
        ...

    async def all(self, tenant_id: str, *, session_id: str | None = None) -> tuple[Endpoint, ...]:
        """Return the endpoints that hear of every session of the tenant, or of this one alone; oldest first."""
        ...

    async def listening(self, sessions: Sequence[tuple[str, str]]) -> tuple[tuple[Endpoint, ...], ...]:
        """Return who hears of each session (given as tenant and id), paused endpoints included."""
        ...

    async def change(self, endpoint: Endpoint) -> Endpoint:
        """Write the endpoint over the version it was read as, and return it with the next one.

        Raises StaleVersionError when it is another one now, EndpointNotFoundError when it is gone.
        """
        ...

    async def delete(self, endpoint: Endpoint, *, now: Instant, until: Instant) -> None:
        """Forget the endpoint, and until then make none of its id; twice is fine."""
        ...


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """An event in its shard's outbox; `place` is its place there, and no other shard's.

    `tenant_id` is None for one that was put there before outboxes said whose it is.
    """

    place: str
    session_id: str
    tenant_id: str | None
    event: Event


@dataclass(frozen=True, kw_only=True)
class Relayed:
    """What becomes of an event in the outbox: one message, of these bytes, for each of these deliveries."""

    outgoing: Outgoing
    body: bytes
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, kw_only=True, order=True)
class DueLane:
    """A lane in which something may be tried now."""

    due: Instant
    lane: Lane


@dataclass(frozen=True, kw_only=True)
class Held:
    """A lane that was leased, and the event whose turn it is."""

    lane: Lane
    seq: int


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A delivery with the bytes to be sent."""

    delivery: Delivery
    body: bytes


@dataclass(frozen=True, kw_only=True)
class DeliverySearch:
    """Which deliveries of an endpoint to list, youngest first."""

    tenant_id: str
    endpoint_id: str
    state: DeliveryState | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, kw_only=True)
class DeliveryPage:
    """One page of deliveries; `cursor` continues after it, None at the end."""

    deliveries: tuple[Delivery, ...]
    cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What is on its way out: events that no relay has taken yet, and since when the oldest waits; lanes.

    In `lanes` something is pending; of those so many are `due` now, and held by nobody.
    """

    events: int = 0
    oldest: Instant | None = None
    lanes: int = 0
    due: int = 0


class Trouble(StrEnum):
    """What is wrong with deliveries, if anything: they are on their way, were tried in vain so far, or are given up."""

    PENDING = "pending"
    FAILING = "failing"
    DEAD = "dead"


@dataclass(frozen=True, kw_only=True)
class DeliveryQuery:
    """Which deliveries of all endpoints to list: of these tenants' (None: everybody's).

    Those that are pending come by when their lane is looked at next, dead ones youngest first.
    """

    trouble: Trouble
    within: frozenset[str] | None = None
    cursor: str | None = None
    limit: int = 50

    def takes(self, delivery: Delivery) -> bool:
        """Tell whether a delivery is as it is asked for."""
        is_dead = delivery.state is DeliveryState.DEAD
        if self.within is not None and delivery.lane.tenant_id not in self.within:
            return False
        if self.trouble is Trouble.DEAD or is_dead:
            return is_dead and self.trouble is Trouble.DEAD
        is_pending = delivery.state is DeliveryState.PENDING
        return is_pending and (self.trouble is Trouble.PENDING or delivery.tried_at > 0)


@dataclass(frozen=True, kw_only=True)
class Reception:
    """How an endpoint receives: deliveries pending and dead, tries in a row that failed, when it last received any."""

    pending: int = 0
    dead: int = 0
    failures: int = 0
    received_at: Instant | None = None


class DeliveryStore(Protocol):
    """Events on their way to endpoints: the outbox they wait in, their lanes, and the record of every try."""

    async def outgoing(self, shards: Sequence[int], *, limit: int) -> tuple[Outgoing, ...]:
        """Return the oldest events in the outboxes of these shards, at most `limit` of each; in order within one."""
        ...

    async def relay(self, relayed: Sequence[Relayed], *, now: Instant) -> int:
        """Take events out of the outbox and put their deliveries in their lanes, each whole or not at all.

        What is not in the outbox any more is left alone, so that relaying twice delivers once. Returns how many were
        taken out. All of one shard.
        """
        ...

    async def due(self, shards: Sequence[int], *, now: Instant, limit: int) -> tuple[DueLane, ...]:
        """Return lanes of these shards in which something is due and that nobody holds, the longest due first.

        At most `limit` of each shard.
        """
        ...

    async def lease(
        self, lanes: Sequence[Lane], *, token: str, now: Instant, until: Instant, most: int
    ) -> tuple[Held, ...]:
        """Take lanes of one shard, so that nobody else tries anything in them before `until`; returns those taken.

        Left alone are lanes in which nothing is due, and those of an endpoint of which `most` lanes of the shard are
        held; one that is `TROUBLED` has but one at a time.
        """
        ...

    async def put_off(self, lanes: Sequence[Lane], *, until: Instant) -> None:
        """Look at lanes not before then; those that are held, or due later, are left alone."""
        ...

    async def drop(self, lane: Lane) -> None:
        """Forget what is pending in a lane: its endpoint is gone."""
        ...

    async def begin(
        self, held: Sequence[Held], *, token: str, now: Instant, until: Instant
    ) -> tuple[Parcel | None, ...]:
        """Return what is to be sent, and keep the lanes (of one shard) until then; None for a lane that was lost."""
        ...

    async def settle(self, delivery: Delivery, *, token: str, now: Instant, until: Instant | None) -> Parcel | None:
        """Write down what came of a try, and free the lane.

        With `until` the lane is kept until then when something else is due in it, and that is returned. Raises
        LaneLostError when the lane is not this token's any more: somebody else tries it now.
        """
        ...

    async def find(self, search: DeliverySearch) -> DeliveryPage:
        """Return one page of an endpoint's deliveries. Raises ValueError for a cursor that is not ours."""
        ...

    async def search(self, query: DeliveryQuery) -> DeliveryPage:
        """Return one page of deliveries to all endpoints. Raises ValueError for a cursor that is not ours."""
        ...

    async def receptions(self, endpoints: Sequence[tuple[str, str]]) -> tuple[Reception, ...]:
        """Return how each endpoint (given as tenant and id) receives."""
        ...

    async def get(self, lane: Lane, seq: int) -> Delivery | None:
        """Return the delivery of one event to one endpoint, if there is a record of it."""
        ...

    async def of_session(self, session_id: str, *, limit: int) -> tuple[Delivery, ...]:
        """Return the newest deliveries of one session's events, to whichever endpoint, in the order of `seq`."""
        ...

    async def replay(
        self, delivery: Delivery, *, was: DeliveryState, body: bytes, now: Instant, audit: AuditEntry | None = None
    ) -> None:
        """Put a delivery that is not pending into its lane once more, with these bytes where none are kept.

        One that is pending is due now. With it goes into the audit who wanted that, if an operator did. Raises
        SessionNotFoundError when the session is gone, StaleVersionError when its state is not what it `was` when it was
        read, DeliveryUnderWayError when it is pending in a lane that is held.
        """
        ...

    async def wake(self, tenant_id: str, endpoint_id: str, *, now: Instant) -> None:
        """Look now at every lane of the endpoint in which something is pending, whenever it was put off to."""
        ...

    async def delivered_since(self, tenant_id: str, endpoint_id: str, *, since: Instant) -> bool:
        """Tell whether the endpoint received anything since then."""
        ...

    async def backlog(self, shards: Sequence[int], *, now: Instant) -> Backlog:
        """Return what waits in these shards."""
        ...


class Post(Protocol):
    """What carries messages to receivers."""

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        """Make one POST, without following redirects; whatever goes wrong is an answer, too."""
        ...
