"""Webhook deliveries in a Redis-protocol store: what is on its way from the outbox of a shard to its lanes, and after.

Everything of a session's deliveries lies in its shard, so that each step of their way is one script.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Final

import msgspec

from orchestrator.core.deliveries import HOLD, TROUBLED, Delivery, DeliveryState, Lane
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
from orchestrator.store.audit import audit_arguments
from orchestrator.store.codec import decode_delivery, decode_event, encode
from orchestrator.store.places import DeliveryPlace, LanePlace
from orchestrator.store.rules import newest_of
from orchestrator.store.scripts import Argument, Call, Reply, Scripts

READ_AT_ONCE: Final = 200
"""Lanes, or dead deliveries, of a shard that are looked at in one exchange."""


class RedisDeliveryStore:
    """`DeliveryStore` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts, *, shards: int) -> None:
        self._scripts = scripts
        self._shards = shards

    async def outgoing(self, shards: Sequence[int], *, limit: int) -> tuple[Outgoing, ...]:
        """Return the oldest events in the outboxes of these shards."""
        found = await self._scripts.run(*(("XRANGE", keys.outbox(shard), "-", "+", "COUNT", limit) for shard in shards))
        return tuple(
            Outgoing(
                place=place.decode(),
                session_id=fields[b"session"].decode(),
                tenant_id=fields[b"tenant"].decode() if b"tenant" in fields else None,
                event=decode_event(fields[b"event"]),
            )
            for entries in found
            for place, fields in entries
        )

    async def relay(self, relayed: Sequence[Relayed], *, now: Instant) -> int:
        """Take events out of the outbox and put their deliveries in their lanes; those without any just leave."""
        unheard = [one.outgoing for one in relayed if not one.deliveries]
        heard = [one for one in relayed if one.deliveries]
        taken = await self._relay(heard, now=now) if heard else 0
        if unheard:
            outbox = keys.outbox(session_shard(unheard[0].session_id))
            taken += (await self._scripts.run(("XDEL", outbox, *(one.place for one in unheard))))[0]
        return taken

    async def _relay(self, relayed: Sequence[Relayed], *, now: Instant) -> int:
        sessions = list(dict.fromkeys(one.outgoing.session_id for one in relayed))
        (shard,) = {Lane(tenant_id="", endpoint_id="", session_id=session).shard for session in sessions}
        names = [
            keys.outbox(shard),
            keys.lanes(shard),
            keys.lane_holders(shard),
            keys.delivery_index(shard),
            *(
                name(shard, session)
                for session in sessions
                for name in (keys.session_lanes, keys.session_deliveries, keys.session_messages)
            ),
        ]
        numbers = {session: number for number, session in enumerate(sessions, start=1)}
        events = [
            {
                "place": one.outgoing.place,
                "session": numbers[one.outgoing.session_id],
                "message": one.deliveries[0].message_id,
                "deliveries": [_placed(delivery) for delivery in one.deliveries],
            }
            for one in relayed
        ]
        arguments: list[Argument] = [now, HOLD, encode(events), *(one.body for one in relayed)]
        return int(await self._scripts.call(Call("relay", names, arguments)))

    async def due(self, shards: Sequence[int], *, now: Instant, limit: int) -> tuple[DueLane, ...]:
        """Return lanes of these shards in which something is due and that nobody holds."""
        found = await self._scripts.run(
            *(
                ("ZRANGE", keys.lanes(shard), "-inf", now, "BYSCORE", "LIMIT", 0, limit, "WITHSCORES")
                for shard in shards
            )
        )
        lanes = [
            DueLane(lane=keys.named_lane(name.decode()), due=int(float(score)))
            for reply in found
            for name, score in _pairs(reply)
        ]
        return tuple(sorted(lanes, key=lambda one: (one.due, one.lane)))

    async def lease(
        self, lanes: Sequence[Lane], *, token: str, now: Instant, until: Instant, most: int
    ) -> tuple[Held, ...]:
        """Take lanes of one shard in which something is due."""
        if not lanes:
            return ()
        (shard,) = {lane.shard for lane in lanes}
        names = [
            *(name(shard) for name in (keys.lanes, keys.lane_holders, keys.lanes_held, keys.troubled)),
            *(keys.session_lanes(shard, lane.session_id) for lane in lanes),
        ]
        wanted = [{"name": keys.lane_name(lane), "endpoint": _endpoint(lane)} for lane in lanes]
        turns = await self._scripts.call(
            Call("lease_lanes", names, [now, until, token, most, HOLD, encode(wanted), TROUBLED])
        )
        return tuple(Held(lane=lane, seq=seq) for lane, seq in zip(lanes, turns, strict=True) if seq)

    async def put_off(self, lanes: Sequence[Lane], *, until: Instant) -> None:
        """Look at lanes not before then."""
        await self._scripts.run(
            *(("ZADD", keys.lanes(lane.shard), "XX", "GT", until, keys.lane_name(lane)) for lane in lanes)
        )

    async def drop(self, lane: Lane) -> None:
        """Forget what is pending in a lane."""
        shard, session = lane.shard, lane.session_id
        names = [
            *(name(shard) for name in (keys.lanes, keys.lane_holders, keys.lanes_held, keys.delivery_index)),
            keys.session_lanes(shard, session),
            keys.session_deliveries(shard, session),
            keys.session_messages(shard, session),
        ]
        await self._scripts.call(Call("drop_lane", names, [keys.lane_name(lane), _endpoint(lane), session]))

    async def begin(
        self, held: Sequence[Held], *, token: str, now: Instant, until: Instant
    ) -> tuple[Parcel | None, ...]:
        """Return what is to be sent, and keep the lanes until then."""
        del now
        if not held:
            return ()
        (shard,) = {one.lane.shard for one in held}
        names = [
            keys.lanes(shard),
            keys.lane_holders(shard),
            *(
                name(shard, one.lane.session_id)
                for one in held
                for name in (keys.session_deliveries, keys.session_messages)
            ),
        ]
        wanted = [{"name": keys.lane_name(one.lane), "field": f"{_endpoint(one.lane)}:{one.seq}"} for one in held]
        begun = await self._scripts.call(Call("begin_deliveries", names, [token, until, encode(wanted)]))
        return tuple(_parcel(*found) if found else None for found in begun)

    async def settle(self, delivery: Delivery, *, token: str, now: Instant, until: Instant | None) -> Parcel | None:
        """Write down what came of a try, and free the lane or go on in it."""
        lane = delivery.lane
        shard, session = lane.shard, lane.session_id
        names = [
            *(name(shard) for name in (keys.lanes, keys.lane_holders, keys.lanes_held)),
            keys.delivery_index(shard),
            keys.received(shard),
            keys.session_lanes(shard, session),
            keys.session_deliveries(shard, session),
            keys.session_messages(shard, session),
            keys.troubled(shard),
        ]
        arguments: list[Argument] = [
            keys.lane_name(lane),
            _endpoint(lane),
            token,
            delivery.seq,
            encode(delivery),
            delivery.state.value,
            delivery.tried_at,
            delivery.next_at or 0,
            now,
            "" if until is None else until,
            _member(delivery, DeliveryState.PENDING),
            _member(delivery, delivery.state),
            HOLD,
            keys.dead_member(delivery.created_at, lane, delivery.seq),
        ]
        match await self._scripts.call(Call("settle_delivery", names, arguments)):
            case [b"lost"]:
                raise LaneLostError(endpoint_id=lane.endpoint_id, session_id=session)
            case [b"next", document, body]:
                return _parcel(document, body)
            case _:
                return None

    async def find(self, search: DeliverySearch) -> DeliveryPage:
        """Return one page of an endpoint's deliveries, youngest first."""
        below = DeliveryPlace.from_cursor(search.cursor) if search.cursor is not None else None
        states = [search.state] if search.state is not None else list(DeliveryState)
        reads = []
        for state in states:
            prefix = keys.delivery_prefix(search.tenant_id, search.endpoint_id, state)
            top = f"({prefix}{below.text}" if below is not None else f"({prefix}\xff"
            reads += [
                ("ZRANGE", keys.delivery_index(shard), top.encode("latin-1"), f"[{prefix}", "BYLEX", "REV",
                 "LIMIT", 0, search.limit + 1)
                for shard in range(self._shards)
            ]  # fmt: skip
        found = await self._scripts.run(*reads)
        places = sorted({DeliveryPlace.of_member(member.decode()) for reply in found for member in reply}, reverse=True)
        page = places[: search.limit]
        lanes = [
            (
                Lane(tenant_id=search.tenant_id, endpoint_id=search.endpoint_id, session_id=place.session_id),
                place.seq,
            )
            for place in page
        ]
        deliveries = await self._get_each(lanes)
        return DeliveryPage(
            deliveries=tuple(one for one in deliveries if one is not None and search.state in {None, one.state}),
            cursor=page[-1].cursor if len(places) > len(page) else None,
        )

    async def search(self, query: DeliveryQuery) -> DeliveryPage:
        """Return one page of the deliveries of all endpoints that are as they are asked for."""
        if query.within is not None and not query.within:
            return DeliveryPage(deliveries=())
        walk = self._dead if query.trouble is Trouble.DEAD else self._unfinished
        found = [
            place
            for part in await asyncio.gather(*(walk(query, shard) for shard in range(self._shards)))
            for place in part
        ]
        found.sort(reverse=query.trouble is Trouble.DEAD)
        page = found[: query.limit]
        deliveries = await self._get_each([(keys.named_lane(place.lane), place.seq) for place in page])
        return DeliveryPage(
            deliveries=tuple(one for one in deliveries if one is not None and query.takes(one)),
            cursor=page[-1].cursor if len(found) > len(page) else None,
        )

    async def receptions(self, endpoints: Sequence[tuple[str, str]]) -> tuple[Reception, ...]:
        """Return how each endpoint receives."""
        if not endpoints:
            return ()
        names = [keys.endpoint_name(*one) for one in endpoints]
        kept = (keys.delivery_index, keys.troubled, keys.received)
        calls = [Call("receptions", [name(shard) for name in kept], names) for shard in range(self._shards)]
        replies = await self._scripts.call_each(calls)
        return tuple(
            Reception(
                pending=sum(parts[number][0] for parts in replies),
                dead=sum(parts[number][1] for parts in replies),
                failures=sum(int(parts[number][2] or 0) for parts in replies),
                received_at=max((int(parts[number][3]) for parts in replies if parts[number][3]), default=None),
            )
            for number in range(len(endpoints))
        )

    async def get(self, lane: Lane, seq: int) -> Delivery | None:
        """Return the delivery of one event to one endpoint, if there is a record of it."""
        (found,) = await self._get_each([(lane, seq)])
        return found

    async def of_session(self, session_id: str, *, limit: int) -> tuple[Delivery, ...]:
        """Return the newest deliveries of one session's events."""
        (found,) = await self._scripts.run(
            ("HGETALL", keys.session_deliveries(session_shard(session_id), session_id)),
        )
        return newest_of(map(decode_delivery, found.values()), limit=limit)

    async def replay(
        self, delivery: Delivery, *, was: DeliveryState, body: bytes, now: Instant, audit: AuditEntry | None = None
    ) -> None:
        """Put a delivery into its lane once more."""
        lane = delivery.lane
        shard, session = lane.shard, lane.session_id
        names = [
            *(name(shard) for name in (keys.lanes, keys.lane_holders, keys.delivery_index)),
            keys.session(shard, session),
            keys.session_lanes(shard, session),
            keys.session_deliveries(shard, session),
            keys.session_messages(shard, session),
            keys.audit(shard),
            keys.audit_index(shard),
        ]
        arguments: list[Argument] = [keys.lane_name(lane), _endpoint(lane), session, encode(delivery), body, now, was]
        arguments += ["", "", ""] if audit is None else audit_arguments(audit)
        arguments.append(keys.dead_member(delivery.created_at, lane, delivery.seq))
        match await self._scripts.call(Call("replay_delivery", names, arguments)):
            case [b"missing"]:
                raise SessionNotFoundError(session_id=session)
            case [b"stale"]:
                raise StaleVersionError(session_id=session)
            case [b"held"]:
                raise DeliveryUnderWayError(endpoint_id=lane.endpoint_id, session_id=session, seq=delivery.seq)
            case _:
                return

    async def wake(self, tenant_id: str, endpoint_id: str, *, now: Instant) -> None:
        """Look now at every lane of the endpoint in which something is pending."""
        prefix = keys.delivery_prefix(tenant_id, endpoint_id, DeliveryState.PENDING)
        arguments: list[Argument] = [prefix, keys.endpoint_name(tenant_id, endpoint_id), now]
        await asyncio.gather(
            *(
                self._scripts.call(
                    Call(
                        "wake_lanes",
                        [keys.lanes(shard), keys.lane_holders(shard), keys.delivery_index(shard)],
                        arguments,
                    )
                )
                for shard in range(self._shards)
            )
        )

    async def delivered_since(self, tenant_id: str, endpoint_id: str, *, since: Instant) -> bool:
        """Tell whether the endpoint received anything since then."""
        name = keys.endpoint_name(tenant_id, endpoint_id)
        found = await self._scripts.run(*(("HGET", keys.received(shard), name) for shard in range(self._shards)))
        return any(at is not None and int(at) >= since for at in found)

    async def backlog(self, shards: Sequence[int], *, now: Instant) -> Backlog:
        """Return what waits in these shards."""
        reads: list[tuple[Argument, ...]] = []
        for shard in shards:
            outbox, lanes = keys.outbox(shard), keys.lanes(shard)
            reads += [
                ("XLEN", outbox),
                ("XRANGE", outbox, "-", "+", "COUNT", 1),
                ("ZCARD", lanes),
                ("ZCOUNT", lanes, "-inf", now),
            ]
        found = await self._scripts.run(*reads)
        oldest = [decode_event(fields[b"event"]).at for entries in found[1::4] for _, fields in entries]
        return Backlog(
            events=sum(found[0::4]), oldest=min(oldest, default=None), lanes=sum(found[2::4]), due=sum(found[3::4])
        )

    async def _unfinished(self, query: DeliveryQuery, shard: int) -> list[LanePlace]:
        """Return places of a shard's pending deliveries, at least one more than a page holds if there are more."""
        after = LanePlace(0, "", 0) if query.cursor is None else LanePlace.from_cursor(query.cursor)
        found: list[LanePlace] = []
        for offset in count(step=READ_AT_ONCE):
            (reply,) = await self._scripts.run(
                ("ZRANGE", keys.lanes(shard), after.at, "+inf", "BYSCORE", "LIMIT", offset, READ_AT_ONCE, "WITHSCORES")
            )
            lanes = [(int(float(at)), name.decode()) for name, at in _pairs(reply)]
            named = [(at, name, keys.named_lane(name)) for at, name in lanes]
            wanted = [one for one in named if query.within is None or one[2].tenant_id in query.within]
            pending = await self._scripts.run(
                *(("HGET", keys.session_lanes(shard, lane.session_id), _endpoint(lane)) for _, _, lane in wanted)
            )
            found += [
                place
                for (at, name, _), queued in zip(wanted, pending, strict=True)
                for seq, tried_at, *_ in msgspec.json.decode(queued or b"[]")
                if (place := LanePlace(at, name, seq)) > after and (tried_at or query.trouble is Trouble.PENDING)
            ]
            if len(lanes) < READ_AT_ONCE or len(found) > query.limit:
                break
        return found

    async def _dead(self, query: DeliveryQuery, shard: int) -> list[LanePlace]:
        """Return places of a shard's dead deliveries, at least one more than a page holds if there are more."""
        below = None if query.cursor is None else LanePlace.from_cursor(query.cursor)
        top = "\xff" if below is None else f"{below.at:015d}:{below.lane}:{below.seq:015d}"
        found: list[LanePlace] = []
        for offset in count(step=READ_AT_ONCE):
            (members,) = await self._scripts.run(
                ("ZRANGE", keys.delivery_index(shard), f"({keys.DEAD}{top}".encode("latin-1"), f"[{keys.DEAD}", "BYLEX",
                 "REV", "LIMIT", offset, READ_AT_ONCE)
            )  # fmt: skip
            places = [LanePlace.of_dead(member.decode()) for member in members]
            found += [
                place
                for place in places
                if query.within is None or keys.named_lane(place.lane).tenant_id in query.within
            ]
            if len(members) < READ_AT_ONCE or len(found) > query.limit:
                break
        return found

    async def _get_each(self, wanted: Sequence[tuple[Lane, int]]) -> list[Delivery | None]:
        reads = [
            ("HGET", keys.session_deliveries(lane.shard, lane.session_id), f"{_endpoint(lane)}:{seq}")
            for lane, seq in wanted
        ]
        return [document and decode_delivery(document) for document in await self._scripts.run(*reads)]


def _placed(delivery: Delivery) -> dict[str, object]:
    endpoint = _endpoint(delivery.lane)
    return {
        "endpoint": endpoint,
        "lane": keys.lane_name(delivery.lane),
        "field": f"{endpoint}:{delivery.seq}",
        "doc": encode(delivery).decode(),
        "member": _member(delivery, delivery.state),
        "seq": delivery.seq,
        "at": delivery.created_at,
    }


def _endpoint(lane: Lane) -> str:
    return keys.endpoint_name(lane.tenant_id, lane.endpoint_id)


def _member(delivery: Delivery, state: DeliveryState) -> str:
    lane = delivery.lane
    prefix = keys.delivery_prefix(lane.tenant_id, lane.endpoint_id, state)
    return prefix + keys.delivery_place(delivery.created_at, lane.session_id, delivery.seq)


def _parcel(document: bytes, body: bytes) -> Parcel:
    return Parcel(delivery=decode_delivery(document), body=body)


def _pairs(reply: Reply) -> list[tuple[bytes, bytes]]:
    flat = list(reply)
    if flat and isinstance(flat[0], list | tuple):
        return [(name, score) for name, score in flat]
    return list(zip(flat[::2], flat[1::2], strict=True))


if TYPE_CHECKING:
    _: type[DeliveryStore] = RedisDeliveryStore
