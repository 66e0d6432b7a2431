"""Relaying: events leave the outbox as messages, one lane for each endpoint that wants them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

import structlog

from orchestrator.core.deliveries import Delivery, Lane
from orchestrator.core.endpoints import Endpoint
from orchestrator.core.errors.base import NotFoundError
from orchestrator.core.errors.store import StoreError, StoreUnavailableError
from orchestrator.core.events import Event
from orchestrator.core.ports.around import Clock, Ids
from orchestrator.core.ports.sessions import SessionStore
from orchestrator.core.ports.webhooks import DeliveryStore, EndpointStore, Outgoing, Relayed
from orchestrator.core.session import Instant, Session, session_shard
from orchestrator.queries import Queries, Snapshot

log = structlog.get_logger(__name__)

MOST_AT_ONCE: Final = 100
"""Events of one shard."""

Render: TypeAlias = Callable[[Event, Snapshot], bytes]
"""Writes an event and its session down as endpoints get them."""


class Relay:
    """Takes events out of outboxes. Any number may run at the same time: each event is taken out once.

    A message is written down once and sent as it is, however often it is tried; its session is shown as it is then.
    """

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        deliveries: DeliveryStore,
        endpoints: EndpointStore,
        sessions: SessionStore,
        queries: Queries,
        clock: Clock,
        ids: Ids,
        render: Render,
    ) -> None:
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._sessions = sessions
        self._queries = queries
        self._clock = clock
        self._ids = ids
        self._render = render

    async def relay(self, shards: Sequence[int]) -> int:
        """Relay the oldest events of these shards; returns the most that one shard had. Raises StoreError."""
        outgoing = await self._deliveries.outgoing(shards, limit=MOST_AT_ONCE)
        if not outgoing:
            return 0
        tenants = await self._tenants(outgoing)
        names = [(tenant_id, session_id) for session_id, tenant_id in tenants.items()]
        heard_by = dict(zip(tenants, await self._endpoints.listening(names), strict=True))
        wanted = [
            [endpoint for endpoint in heard_by.get(one.session_id, ()) if endpoint.wants(one.event.name)]
            for one in outgoing
        ]
        told = dict.fromkeys(one.session_id for one, by in zip(outgoing, wanted, strict=True) if by)
        shown = await self._shown(await self._found(told))
        now = self._clock.now()
        by_shard: defaultdict[int, list[Relayed]] = defaultdict(list)
        for one, by in zip(outgoing, wanted, strict=True):
            made = self._made(one, by, shown.get(one.session_id), now=now)
            by_shard[session_shard(one.session_id)].append(made)
        await asyncio.gather(*(self._deliveries.relay(made, now=now) for made in by_shard.values()))
        return max(map(len, by_shard.values()))

    async def _tenants(self, outgoing: Iterable[Outgoing]) -> dict[str, str]:
        """Return whose sessions these are, by their ids."""
        said = {one.session_id: one.tenant_id for one in outgoing}
        unsaid = await self._found(session_id for session_id, tenant_id in said.items() if tenant_id is None)
        known = {session_id: tenant_id for session_id, tenant_id in said.items() if tenant_id is not None}
        return known | {session.id: session.tenant_id for session in unsaid}

    async def _found(self, session_ids: Iterable[str]) -> list[Session]:
        """Load the sessions that are there and can be read; nobody can be told of another one's events."""

        async def load(session_id: str) -> Session | None:
            try:
                return await self._sessions.load_any(session_id)
            except NotFoundError:
                return None
            except StoreUnavailableError:
                raise
            except StoreError as error:
                log.error("events_not_relayed", session=session_id, problem=str(error))  # noqa: TRY400 - it says all
                return None

        found = await asyncio.gather(*map(load, session_ids))
        return [session for session in found if session is not None]

    async def _shown(self, sessions: Iterable[Session]) -> dict[str, Snapshot]:
        snapshots = await asyncio.gather(*map(self._queries.snapshot, sessions))
        return {snapshot.session.id: snapshot for snapshot in snapshots}

    def _made(
        self, outgoing: Outgoing, endpoints: Sequence[Endpoint], snapshot: Snapshot | None, *, now: Instant
    ) -> Relayed:
        if not endpoints or snapshot is None:
            return Relayed(outgoing=outgoing, body=b"", deliveries=())
        event, message_id = outgoing.event, self._ids.new("msg_")
        deliveries = tuple(
            Delivery(
                lane=Lane(tenant_id=to.tenant_id, endpoint_id=to.id, session_id=outgoing.session_id),
                seq=event.seq,
                name=event.name,
                message_id=message_id,
                created_at=now,
                next_at=now,
            )
            for to in endpoints
        )
        return Relayed(outgoing=outgoing, body=self._render(event, snapshot), deliveries=deliveries)
