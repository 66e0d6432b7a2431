"""Endpoints and deliveries for tests, where only what a test is about needs to be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from orchestrator.core.deliveries import Answer, Delivery, Lane
from orchestrator.core.endpoints import Endpoint, endpoint_id
from orchestrator.core.events import EventName
from orchestrator.core.ports.webhooks import Outgoing, Relayed
from orchestrator.core.session import Instant, Session
from tests.support.store_values import NOON, TENANT, AnyStore, a_session, next_commit

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLDER_SECRET: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
OK: Final = Answer(status=204, took=5)
BROKEN: Final = Answer(status=500, took=5, text="oops")
ALL: Final = frozenset(EventName)


def an_endpoint(name: str = "a", **changes: object) -> Endpoint:
    """Return an endpoint that hears of everything, unless it is said otherwise."""
    session_id = changes.get("session_id")
    assert session_id is None or isinstance(session_id, str)
    endpoint = Endpoint(
        id=endpoint_id(name, session_id),
        tenant_id=TENANT,
        url="https://hooks.example/zap",
        created_at=NOON,
        secrets=(SECRET,),
        events=ALL,
    )
    return replace(endpoint, **changes)  # type: ignore[arg-type]


def a_lane(session: Session, endpoint: Endpoint | None = None) -> Lane:
    """Return the lane of a session to an endpoint."""
    endpoint = endpoint or an_endpoint()
    return Lane(tenant_id=session.tenant_id, endpoint_id=endpoint.id, session_id=session.id)


def relayed(outgoing: Outgoing, *endpoints: Endpoint, now: Instant = NOON) -> Relayed:
    """Return what becomes of an event for these endpoints."""
    event = outgoing.event
    return Relayed(
        outgoing=outgoing,
        body=f"body of {event.seq}".encode(),
        deliveries=tuple(
            Delivery(
                lane=Lane(tenant_id=TENANT, endpoint_id=endpoint.id, session_id=outgoing.session_id),
                seq=event.seq,
                name=event.name,
                message_id=f"msg-{outgoing.session_id}-{event.seq}",
                created_at=now,
                next_at=now,
            )
            for endpoint in endpoints
        ),
    )


async def told(
    store: AnyStore,
    session: Session | None = None,
    *,
    events: int = 1,
    endpoints: Sequence[Endpoint] | None = None,
    now: Instant = NOON,
) -> Session:
    """Commit a session with so many events, and relay them; return the session."""
    commit = next_commit(session or a_session(), events=events, now=now)
    await store.sessions.commit(commit)
    shard = int(commit.session.id[2:4], 16)
    outgoing = await store.deliveries.outgoing([shard], limit=1000)
    for_whom = [an_endpoint()] if endpoints is None else endpoints
    await store.deliveries.relay([relayed(one, *for_whom, now=now) for one in outgoing], now=now)
    return commit.session
