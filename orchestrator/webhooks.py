"""What backends ask for about webhooks: endpoints, their secrets, and the record of what was sent there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from orchestrator.core.deliveries import Answer, Delivery, DeliveryState, Lane
from orchestrator.core.endpoints import Endpoint, Networks, Pause, check_url, endpoint_id
from orchestrator.core.errors.store import StaleVersionError
from orchestrator.core.errors.webhooks import DeliveryNotFoundError, EndpointNotFoundError
from orchestrator.core.events import OUTCOMES, Event, EventName, example
from orchestrator.core.interventions import Act
from orchestrator.core.ports.around import Clock, Ids
from orchestrator.core.ports.sessions import Outcome, SessionStore
from orchestrator.core.ports.webhooks import DeliveryPage, DeliverySearch, DeliveryStore, EndpointStore
from orchestrator.core.session import Session, SessionKey, is_session_id
from orchestrator.core.terms import ANY_TERMS, RECEIPT_KEPT, Terms
from orchestrator.delivering import Courier
from orchestrator.queries import Queries, Snapshot
from orchestrator.relaying import Render

MOST_TRIES: Final = 10
TEST_SESSION: Final = "zs00test00000000000000"
"""The session that test messages speak of; nobody has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEndpoint:
    """An endpoint to be made; `session_id`: it hears of this session alone."""

    tenant_id: str
    url: str
    session_id: str | None = None
    events: frozenset[EventName] = OUTCOMES
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointChange:
    """What becomes different about an endpoint; None leaves it as it is."""

    url: str | None = None
    events: frozenset[EventName] | None = None
    description: str | None = None
    paused: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An endpoint whose newest secret may be shown now; `is_replay`: it was made by the same request, earlier."""

    endpoint: Endpoint
    is_replay: bool = False

    @property
    def secret(self) -> str:
        """The newest secret."""
        return self.endpoint.secrets[0]


class Webhooks:
    """Endpoints of every tenant; each is named together with its tenant, and under another's name there is none."""

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        endpoints: EndpointStore,
        deliveries: DeliveryStore,
        sessions: SessionStore,
        queries: Queries,
        courier: Courier,
        clock: Clock,
        ids: Ids,
        networks: Networks,
        new_secret: Callable[[], str],
    ) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._sessions = sessions
        self._queries = queries
        self._courier = courier
        self._clock = clock
        self._ids = ids
        self._networks = networks
        self._new_secret = new_secret

    # --- endpoints ---

    async def create(self, new: NewEndpoint, *, terms: Terms = ANY_TERMS) -> Made:
        """Make an endpoint. It hears of what is relayed from now on.

        The same request again, by its idempotency key, returns the one it made. Raises EndpointUrlRefusedError,
        TooManyEndpointsError, SessionNotFoundError, EndpointNotFoundError when that one was deleted since.
        """
        check_url(new.url, self._networks)
        if new.session_id is not None:
            await self._sessions.load(SessionKey(tenant_id=new.tenant_id, session_id=new.session_id))
        asked_by = _asked_by(terms)
        name = asked_by or self._ids.new("")
        endpoint = Endpoint(
            id=endpoint_id(name, new.session_id),
            tenant_id=new.tenant_id,
            url=new.url,
            created_at=self._clock.now(),
            secrets=(self._new_secret(),),
            session_id=new.session_id,
            events=new.events,
            description=new.description,
            asked_by=asked_by,
        )
        try:
            await self._endpoints.create(endpoint)
        except StaleVersionError:
            return Made(endpoint=await self.endpoint(new.tenant_id, endpoint.id), is_replay=True)
        return Made(endpoint=endpoint)

    async def endpoint(self, tenant_id: str, endpoint: str) -> Endpoint:
        """Return an endpoint. Raises EndpointNotFoundError."""
        found = await self._endpoints.get(tenant_id, endpoint)
        if found is None:
            raise EndpointNotFoundError(endpoint_id=endpoint)
        return found

    async def endpoints(self, tenant_id: str, *, session_id: str | None = None) -> tuple[Endpoint, ...]:
        """Return who hears of every session, or of this one alone; of a session that is not there, nobody does."""
        if session_id is not None and not is_session_id(session_id):
            return ()
        return await self._endpoints.all(tenant_id, session_id=session_id)

    async def change(self, tenant_id: str, endpoint: str, change: EndpointChange) -> Endpoint:
        """Change what is given. One that listens again gets what waited for it.

        Raises EndpointNotFoundError, EndpointUrlRefusedError, StaleVersionError when others change it all the time.
        """
        if change.url is not None:
            check_url(change.url, self._networks)
        changed, before = await self._change(tenant_id, endpoint, lambda found: self._changed(found, change))
        if before.paused is not None and changed.paused is None:
            await self._deliveries.wake(tenant_id, endpoint, now=self._clock.now())
        return changed

    async def renew_secret(self, tenant_id: str, endpoint: str, *, terms: Terms = ANY_TERMS) -> Made:
        """Give an endpoint a new secret; messages are signed with this one and the one before.

        The same request again, by its idempotency key, returns the secret it made while that is the newest. Raises
        EndpointNotFoundError, StaleVersionError.
        """
        secret, asked_by = self._new_secret(), _asked_by(terms)

        def renewed(found: Endpoint) -> Endpoint:
            is_repeat = asked_by is not None and found.asked_by == asked_by
            return found if is_repeat else found.renew(secret, asked_by=asked_by)

        changed, before = await self._change(tenant_id, endpoint, renewed)
        return Made(endpoint=changed, is_replay=changed == before)

    async def delete(self, tenant_id: str, endpoint: str) -> None:
        """Forget an endpoint; what was on its way there is dropped. Raises EndpointNotFoundError.

        The request that made it, when it comes again, makes none.
        """
        found, now = await self.endpoint(tenant_id, endpoint), self._clock.now()
        await self._endpoints.delete(found, now=now, until=now + RECEIPT_KEPT)
        await self._deliveries.wake(tenant_id, endpoint, now=now)

    async def fire(self, tenant_id: str, endpoint: str, name: EventName, *, render: Render) -> Answer:
        """Send a made-up event to an endpoint now, paused or not, and return what came of it.

        Raises EndpointNotFoundError.
        """
        found = await self.endpoint(tenant_id, endpoint)
        body = render(*self._made_up(found, name))
        return await self._courier.send(self._ids.new("msg_"), body, found)

    # --- deliveries ---

    async def find(self, search: DeliverySearch) -> DeliveryPage:
        """Return one page of what was sent to an endpoint. Raises EndpointNotFoundError, ValueError for the cursor."""
        await self.endpoint(search.tenant_id, search.endpoint_id)
        return await self._deliveries.find(search)

    async def delivery(self, tenant_id: str, endpoint: str, *, session_id: str, seq: int) -> Delivery:
        """Return one delivery with its tries. Raises EndpointNotFoundError, DeliveryNotFoundError."""
        found = await self.endpoint(tenant_id, endpoint)
        delivery = await self._record(found, session_id, seq)
        if delivery is None:
            raise DeliveryNotFoundError(endpoint_id=endpoint, session_id=session_id, seq=seq)
        return delivery

    async def replay(  # noqa: PLR0913 - which delivery, and on what terms
        self,
        tenant_id: str,
        endpoint: str,
        *,
        session_id: str,
        seq: int,
        render: Render,
        terms: Terms = ANY_TERMS,
        act: Act | None = None,
    ) -> tuple[Delivery, bool]:
        """Send an event once more, under the same message id, and tell whether this request had asked for it before.

        An operator's `act` goes into the audit by the same script.

        A dead one is sent as it was; of one that was received the bytes are gone: its session is shown as it is now.
        It waits behind whatever is tried in its lane. Raises EndpointNotFoundError, DeliveryNotFoundError,
        SessionNotFoundError, DeliveryUnderWayError when it may be what is being tried, StaleVersionError.
        """
        asked_by = _asked_by(terms)
        for left in reversed(range(MOST_TRIES)):
            delivery = await self.delivery(tenant_id, endpoint, session_id=session_id, seq=seq)
            if asked_by is not None and delivery.replayed_by == asked_by:
                return delivery, True
            body = b""
            if delivery.state is DeliveryState.DELIVERED:
                body = await self._written_anew(delivery, render)
            now = self._clock.now()
            again = delivery.again(now=now, asked_by=asked_by)
            audit = None if act is None else act.entry(at=now, outcome=Outcome.APPLIED)
            try:
                await self._deliveries.replay(again, was=delivery.state, body=body, now=now, audit=audit)
            except StaleVersionError:
                if not left:
                    raise
            else:
                return again, False
        raise AssertionError("unreachable")

    async def _written_anew(self, delivery: Delivery, render: Render) -> bytes:
        """Write down an event that was received, with its session as it is now. Raises DeliveryNotFoundError."""
        lane = delivery.lane
        key = SessionKey(tenant_id=lane.tenant_id, session_id=lane.session_id)
        page = await self._queries.events(key, after=delivery.seq - 1, limit=1)
        if [event.seq for event in page.events] != [delivery.seq]:
            raise DeliveryNotFoundError(endpoint_id=lane.endpoint_id, session_id=lane.session_id, seq=delivery.seq)
        return render(page.events[0], await self._queries.session(key))

    async def _record(self, endpoint: Endpoint, session_id: str, seq: int) -> Delivery | None:
        if not is_session_id(session_id):
            return None
        lane = Lane(tenant_id=endpoint.tenant_id, endpoint_id=endpoint.id, session_id=session_id)
        return await self._deliveries.get(lane, seq)

    async def _change(
        self, tenant_id: str, endpoint: str, become: Callable[[Endpoint], Endpoint]
    ) -> tuple[Endpoint, Endpoint]:
        """Change an endpoint as it is when nobody else does; return it, and what it was."""
        for left in reversed(range(MOST_TRIES)):
            found = await self.endpoint(tenant_id, endpoint)
            changed = become(found)
            if changed == found:
                return found, found
            try:
                return await self._endpoints.change(changed), found
            except StaleVersionError:
                if not left:
                    raise
        raise AssertionError("unreachable")

    def _changed(self, found: Endpoint, change: EndpointChange) -> Endpoint:
        changed = replace(
            found,
            url=change.url or found.url,
            events=found.events if change.events is None else change.events,
            description=found.description if change.description is None else change.description,
        )
        match change.paused:
            case True:
                return changed.pause(Pause.REQUESTED, now=self._clock.now())
            case False:
                return changed.resume()
            case None:
                return changed

    def _made_up(self, endpoint: Endpoint, name: EventName) -> tuple[Event, Snapshot]:
        now = self._clock.now()
        session = Session(
            id=endpoint.session_id or TEST_SESSION,
            tenant_id=endpoint.tenant_id,
            user_id="test",
            created_at=now,
            updated_at=now,
            deadline=now,
            title="A test of this endpoint",
            metadata={"test": True},
            seq=1,
        )
        return example(name, seq=1, at=now), Snapshot(session=session, credential=None, next_checks={})


def _asked_by(terms: Terms) -> str | None:
    return None if terms.idempotency is None else terms.idempotency.name
