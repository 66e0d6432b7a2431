"""Webhook deliveries in plain dicts, by the plainest rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.core.deliveries import TROUBLED, Delivery, DeliveryState, Lane, Queued, Turn, turn
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import LaneLostError, StaleVersionError
from orchestrator.core.errors.webhooks import DeliveryUnderWayError
from orchestrator.core.interventions import AuditEntry
from orchestrator.core.ports.webhooks import (
    Backlog,
    DeliveryPage,
    DeliveryQuery,
    DeliverySearch,
    DeliveryStore,
    DueLane,
    Held,
    Outgoing,
    Parcel,
    Reception,
    Relayed,
    Trouble,
)
from orchestrator.core.session import Instant, session_shard
from orchestrator.store import keys
from orchestrator.store.memory.state import LaneState, State
from orchestrator.store.places import DeliveryPlace, LanePlace
from orchestrator.store.rules import newest_of


class MemoryDeliveryStore:
    """`DeliveryStore` of one process, gone with it."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def outgoing(self, shards: Sequence[int], *, limit: int) -> tuple[Outgoing, ...]:
        """Return the oldest events in the outboxes of these shards."""
        waiting = list(self._state.outbox.values())
        return tuple(
            one
            for shard in shards
            for one in [one for one in waiting if session_shard(one.session_id) == shard][:limit]
        )

    async def relay(self, relayed: Sequence[Relayed], *, now: Instant) -> int:
        """Take events out of the outbox and put their deliveries in their lanes."""
        taken = [one for one in relayed if self._state.outbox.pop(one.outgoing.place, None) is not None]
        for one in taken:
            for delivery in one.deliveries:
                self._state.deliveries[delivery.lane, delivery.seq] = delivery
                self._state.messages[delivery.lane.session_id, delivery.message_id] = one.body
                self._place(delivery.lane, now=now)
        return len(taken)

    async def due(self, shards: Sequence[int], *, now: Instant, limit: int) -> tuple[DueLane, ...]:
        """Return lanes of these shards in which something is due and that nobody holds."""
        due = sorted(DueLane(lane=lane, due=kept.due) for lane, kept in self._state.lanes.items() if kept.due <= now)
        counted: Counter[int] = Counter()
        found = []
        for one in due:
            counted[one.lane.shard] += 1
            if one.lane.shard in shards and counted[one.lane.shard] <= limit:
                found.append(one)
        return tuple(found)

    async def lease(
        self, lanes: Sequence[Lane], *, token: str, now: Instant, until: Instant, most: int
    ) -> tuple[Held, ...]:
        """Take lanes of one shard in which something is due."""
        held = []
        for lane in lanes:
            kept = self._state.lanes.get(lane)
            if kept is None or kept.due > now:
                continue
            following = self._turn(lane)
            if following is None or following.at > now:
                self._free(lane)
            elif kept.token is not None or self._held(lane) < (most if self._trouble(lane) < TROUBLED else 1):
                kept.due, kept.token = until, token
                held.append(Held(lane=lane, seq=following.seq))
        return tuple(held)

    async def put_off(self, lanes: Sequence[Lane], *, until: Instant) -> None:
        """Look at lanes not before then."""
        for lane in lanes:
            if lane in self._state.lanes:
                self._state.lanes[lane].due = max(self._state.lanes[lane].due, until)

    async def drop(self, lane: Lane) -> None:
        """Forget what is pending in a lane."""
        for queued in self._pending(lane):
            delivery = self._state.deliveries.pop((lane, queued.seq))
            self._release(delivery)
        self._state.lanes.pop(lane, None)

    async def begin(
        self, held: Sequence[Held], *, token: str, now: Instant, until: Instant
    ) -> tuple[Parcel | None, ...]:
        """Return what is to be sent, and keep the lanes until then."""
        del now
        return tuple(self._begun(one, token=token, until=until) for one in held)

    async def settle(self, delivery: Delivery, *, token: str, now: Instant, until: Instant | None) -> Parcel | None:
        """Write down what came of a try, and free the lane or go on in it."""
        lane = delivery.lane
        kept = self._state.lanes.get(lane)
        if kept is None or kept.token != token:
            raise LaneLostError(endpoint_id=lane.endpoint_id, session_id=lane.session_id)
        if (lane, delivery.seq) in self._state.deliveries:
            self._state.deliveries[lane, delivery.seq] = delivery
            self._state.troubled[_trouble(lane)] += 1
            if delivery.state is DeliveryState.DELIVERED:
                del self._state.troubled[_trouble(lane)]
                self._state.received[lane.tenant_id, lane.endpoint_id] = now
                self._release(delivery)
        following = self._turn(lane)
        if following is not None and following.at <= now and until is not None:
            kept.due = until
            return self._parcel(lane, following.seq)
        self._free(lane)
        return None

    async def find(self, search: DeliverySearch) -> DeliveryPage:
        """Return one page of an endpoint's deliveries, youngest first."""
        below = DeliveryPlace.from_cursor(search.cursor) if search.cursor is not None else None
        found = {
            DeliveryPlace.of(delivery): delivery
            for (lane, _), delivery in self._state.deliveries.items()
            if (lane.tenant_id, lane.endpoint_id) == (search.tenant_id, search.endpoint_id)
            and search.state in {None, delivery.state}
        }
        places = sorted((place for place in found if below is None or place < below), reverse=True)
        page = places[: search.limit]
        return DeliveryPage(
            deliveries=tuple(found[place] for place in page),
            cursor=page[-1].cursor if len(places) > len(page) else None,
        )

    async def search(self, query: DeliveryQuery) -> DeliveryPage:
        """Return one page of deliveries to all endpoints."""
        is_dead = query.trouble is Trouble.DEAD
        cursor = None if query.cursor is None else LanePlace.from_cursor(query.cursor)
        found = {
            self._lane_place(delivery): delivery
            for delivery in self._state.deliveries.values()
            if query.takes(delivery)
        }
        places = sorted(
            (place for place in found if cursor is None or (place < cursor if is_dead else place > cursor)),
            reverse=is_dead,
        )
        page = places[: query.limit]
        return DeliveryPage(
            deliveries=tuple(found[place] for place in page),
            cursor=page[-1].cursor if len(places) > len(page) else None,
        )

    async def receptions(self, endpoints: Sequence[tuple[str, str]]) -> tuple[Reception, ...]:
        """Return how each endpoint receives."""
        return tuple(self._reception(*one) for one in endpoints)

    def _reception(self, tenant_id: str, endpoint_id: str) -> Reception:
        states = Counter(
            delivery.state
            for (lane, _), delivery in self._state.deliveries.items()
            if (lane.tenant_id, lane.endpoint_id) == (tenant_id, endpoint_id)
        )
        return Reception(
            pending=states[DeliveryState.PENDING],
            dead=states[DeliveryState.DEAD],
            failures=sum(self._state.troubled[shard, tenant_id, endpoint_id] for shard in range(self._state.shards)),
            received_at=self._state.received.get((tenant_id, endpoint_id)),
        )

    def _lane_place(self, delivery: Delivery) -> LanePlace:
        lane = delivery.lane
        at = delivery.created_at if delivery.state is DeliveryState.DEAD else self._state.lanes[lane].due
        return LanePlace(at, keys.lane_name(lane), delivery.seq)

    async def get(self, lane: Lane, seq: int) -> Delivery | None:
        """Return the delivery of one event to one endpoint, if there is a record of it."""
        return self._state.deliveries.get((lane, seq))

    async def of_session(self, session_id: str, *, limit: int) -> tuple[Delivery, ...]:
        """Return the newest deliveries of one session's events."""
        found = (one for (lane, _), one in self._state.deliveries.items() if lane.session_id == session_id)
        return newest_of(found, limit=limit)

    async def replay(
        self, delivery: Delivery, *, was: DeliveryState, body: bytes, now: Instant, audit: AuditEntry | None = None
    ) -> None:
        """Put a delivery into its lane once more."""
        lane = delivery.lane
        if lane.session_id not in self._state.sessions:
            raise SessionNotFoundError(session_id=lane.session_id)
        before, kept = self._state.deliveries.get((lane, delivery.seq)), self._state.lanes.get(lane)
        if before is None or before.state is not was:
            raise StaleVersionError(session_id=lane.session_id)
        if was is DeliveryState.PENDING and kept is not None and kept.token is not None and kept.due > now:
            raise DeliveryUnderWayError(endpoint_id=lane.endpoint_id, session_id=lane.session_id, seq=delivery.seq)
        self._state.deliveries[lane, delivery.seq] = delivery
        self._state.messages.setdefault((lane.session_id, delivery.message_id), body)
        if lane not in self._state.lanes:
            self._state.lanes[lane] = LaneState(due=now)
        elif self._state.lanes[lane].token is None:
            self._state.lanes[lane].due = now
        if audit is not None:
            self._state.audit[audit.id] = audit

    async def wake(self, tenant_id: str, endpoint_id: str, *, now: Instant) -> None:
        """Look now at every lane of the endpoint in which something is pending."""
        for lane, kept in self._state.lanes.items():
            if (lane.tenant_id, lane.endpoint_id) == (tenant_id, endpoint_id) and kept.token is None:
                kept.due = now

    async def delivered_since(self, tenant_id: str, endpoint_id: str, *, since: Instant) -> bool:
        """Tell whether the endpoint received anything since then."""
        return self._state.received.get((tenant_id, endpoint_id), -1) >= since

    async def backlog(self, shards: Sequence[int], *, now: Instant) -> Backlog:
        """Return what waits in these shards."""
        outbox = [one for one in self._state.outbox.values() if session_shard(one.session_id) in shards]
        lanes = [kept for lane, kept in self._state.lanes.items() if lane.shard in shards]
        return Backlog(
            events=len(outbox),
            oldest=min((one.event.at for one in outbox), default=None),
            lanes=len(lanes),
            due=sum(kept.due <= now for kept in lanes),
        )

    def _pending(self, lane: Lane) -> list[Queued]:
        return [
            Queued(delivery.seq, delivery.tried_at, delivery.next_at or 0)
            for (of, _), delivery in self._state.deliveries.items()
            if of == lane and delivery.state is DeliveryState.PENDING
        ]

    def _turn(self, lane: Lane) -> Turn | None:
        return turn(self._pending(lane))

    def _place(self, lane: Lane, *, now: Instant) -> None:
        """Let a lane be due when its next turn is, if that is sooner than it was."""
        following = self._turn(lane)
        if following is None:
            return
        at = max(now, following.at)
        kept = self._state.lanes.setdefault(lane, LaneState(due=at))
        if kept.token is None:
            kept.due = min(kept.due, at)

    def _free(self, lane: Lane) -> None:
        following = self._turn(lane)
        if following is None:
            del self._state.lanes[lane]
        else:
            self._state.lanes[lane] = LaneState(due=following.at)

    def _held(self, lane: Lane) -> int:
        return sum(
            kept.token is not None
            and (other.tenant_id, other.endpoint_id, other.shard) == (lane.tenant_id, lane.endpoint_id, lane.shard)
            for other, kept in self._state.lanes.items()
        )

    def _trouble(self, lane: Lane) -> int:
        return self._state.troubled[_trouble(lane)]

    def _begun(self, one: Held, *, token: str, until: Instant) -> Parcel | None:
        kept = self._state.lanes.get(one.lane)
        if kept is None or kept.token != token:
            return None
        kept.due = until
        return self._parcel(one.lane, one.seq)

    def _parcel(self, lane: Lane, seq: int) -> Parcel:
        delivery = self._state.deliveries[lane, seq]
        return Parcel(delivery=delivery, body=self._state.messages[lane.session_id, delivery.message_id])

    def _release(self, delivery: Delivery) -> None:
        """Forget a message that nobody needs any more."""
        session_id = delivery.lane.session_id
        is_needed = any(
            lane.session_id == session_id
            and other.message_id == delivery.message_id
            and other.state is not DeliveryState.DELIVERED
            for (lane, _), other in self._state.deliveries.items()
        )
        if not is_needed:
            self._state.messages.pop((session_id, delivery.message_id), None)


def _trouble(lane: Lane) -> tuple[int, str, str]:
    return lane.shard, lane.tenant_id, lane.endpoint_id


if TYPE_CHECKING:
    _: type[DeliveryStore] = MemoryDeliveryStore
