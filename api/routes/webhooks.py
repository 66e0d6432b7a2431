"""Webhooks: where events are sent, and what was sent there."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api import views
from api.auth import BACKEND_READS, BACKEND_WRITES, TenantId
from api.deps import EngineDep, Here, WebhooksDep, own_cursor
from api.openapi import KEYED, REPLAY, problems
from api.schemas import answers, requests
from api.schemas.fields import EndpointId, EventSeq, SessionId
from api.schemas.parameters import DeliveriesSearch, EndpointsSearch
from api.terms import Keyed, mark_replay
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import StaleVersionError
from orchestrator.core.errors.webhooks import (
    DeliveryNotFoundError,
    DeliveryUnderWayError,
    EndpointNotFoundError,
    EndpointUrlRefusedError,
    TooManyEndpointsError,
)

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

_ENDPOINT = (EndpointNotFoundError,)
_DELIVERY = (*_ENDPOINT, DeliveryNotFoundError)


@router.post(
    "",
    status_code=201,
    dependencies=[BACKEND_WRITES],
    responses={
        201: {"headers": REPLAY},
        **problems(EndpointUrlRefusedError, TooManyEndpointsError, SessionNotFoundError, *_ENDPOINT, *KEYED),
    },
)
async def create_webhook(
    new: requests.NewWebhook,
    tenant_id: TenantId,
    engine: EngineDep,
    webhooks: WebhooksDep,
    response: Response,
    terms: Keyed,
) -> answers.CreatedWebhook:
    """Have events sent to a URL, of every session or of one, signed with the secret in the answer, shown this once.

    Of the events relayed from now on those in `events` are sent, by default outcomes.
    """
    await engine.bind(tenant_id, terms)
    made = await webhooks.create(new.meant(tenant_id), terms=terms)
    mark_replay(response, is_replay=made.is_replay)
    return views.created_webhook(made)


@router.get("", dependencies=[BACKEND_READS], responses=problems())
async def list_webhooks(search: EndpointsSearch, tenant_id: TenantId, webhooks: WebhooksDep) -> answers.WebhookList:
    """Return the endpoints that hear of every session, or those of one session alone; oldest first."""
    found = await webhooks.endpoints(tenant_id, session_id=search.session_id)
    return answers.WebhookList(webhooks=tuple(map(views.webhook, found)))


@router.get("/{webhook_id}", dependencies=[BACKEND_READS], responses=problems(*_ENDPOINT))
async def read_webhook(webhook_id: EndpointId, tenant_id: TenantId, webhooks: WebhooksDep) -> answers.Webhook:
    """Return an endpoint, without its secrets. `paused` says why nothing is sent there, null while it is."""
    return views.webhook(await webhooks.endpoint(tenant_id, webhook_id))


@router.patch(
    "/{webhook_id}",
    dependencies=[BACKEND_WRITES],
    responses=problems(*_ENDPOINT, EndpointUrlRefusedError, StaleVersionError),
)
async def change_webhook(
    webhook_id: EndpointId, change: requests.WebhookChange, tenant_id: TenantId, webhooks: WebhooksDep
) -> answers.Webhook:
    """Change what is given. What happens during a pause is kept, and sent when it ends."""
    return views.webhook(await webhooks.change(tenant_id, webhook_id, change.meant()))


@router.delete("/{webhook_id}", status_code=204, dependencies=[BACKEND_WRITES], responses=problems(*_ENDPOINT))
async def delete_webhook(webhook_id: EndpointId, tenant_id: TenantId, webhooks: WebhooksDep) -> None:
    """Send nothing there any more, not even what was on its way."""
    await webhooks.delete(tenant_id, webhook_id)


@router.post(
    "/{webhook_id}/secrets",
    status_code=201,
    dependencies=[BACKEND_WRITES],
    responses={201: {"headers": REPLAY}, **problems(*_ENDPOINT, StaleVersionError, *KEYED)},
)
async def renew_webhook_secret(
    webhook_id: EndpointId,
    tenant_id: TenantId,
    engine: EngineDep,
    webhooks: WebhooksDep,
    response: Response,
    terms: Keyed,
) -> answers.CreatedWebhook:
    """Give the endpoint a new secret, shown this once. Messages are signed with it and with the one before."""
    await engine.bind(tenant_id, terms)
    made = await webhooks.renew_secret(tenant_id, webhook_id, terms=terms)
    mark_replay(response, is_replay=made.is_replay)
    return views.created_webhook(made)


@router.post("/{webhook_id}/test", dependencies=[BACKEND_WRITES], responses=problems(*_ENDPOINT, *KEYED))
async def fire_webhook(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    webhook_id: EndpointId,
    wish: requests.WebhookTest,
    tenant_id: TenantId,
    engine: EngineDep,
    webhooks: WebhooksDep,
    here: Here,
    terms: Keyed,
) -> answers.WebhookTested:
    """Send a made-up event now, paused or not, and return what came of it. It is not sent again.

    Its session is one that nobody has, with `test` in its metadata.
    """
    await engine.bind(tenant_id, terms)
    answer = await webhooks.fire(tenant_id, webhook_id, wish.event, render=views.rendering(here.settings))
    return views.tested(answer)


@router.get("/{webhook_id}/deliveries", dependencies=[BACKEND_READS], responses=problems(*_ENDPOINT))
async def list_deliveries(
    webhook_id: EndpointId, search: DeliveriesSearch, tenant_id: TenantId, webhooks: WebhooksDep
) -> answers.DeliveryPage:
    """Return what was sent to the endpoint, or waits to be, youngest first; each with its newest tries."""
    with own_cursor(search.cursor):
        return views.deliveries(await webhooks.find(search.meant(tenant_id, webhook_id)))


@router.get("/{webhook_id}/deliveries/{session_id}/{seq}", dependencies=[BACKEND_READS], responses=problems(*_DELIVERY))
async def read_delivery(
    webhook_id: EndpointId, session_id: SessionId, seq: EventSeq, tenant_id: TenantId, webhooks: WebhooksDep
) -> answers.Delivery:
    """Return the delivery of one event."""
    return views.delivery(await webhooks.delivery(tenant_id, webhook_id, session_id=session_id, seq=seq))


@router.post(
    "/{webhook_id}/deliveries/{session_id}/{seq}/replay",
    status_code=201,
    dependencies=[BACKEND_WRITES],
    responses={
        201: {"headers": REPLAY},
        **problems(*_DELIVERY, DeliveryUnderWayError, StaleVersionError, SessionNotFoundError, *KEYED),
    },
)
async def replay_delivery(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    webhook_id: EndpointId,
    session_id: SessionId,
    seq: EventSeq,
    tenant_id: TenantId,
    engine: EngineDep,
    webhooks: WebhooksDep,
    here: Here,
    response: Response,
    terms: Keyed,
) -> answers.Delivery:
    """Send one event once more, under the same message id, with all its tries before it.

    It waits behind what is being tried of its session; one that may be what is being tried is refused.
    """
    await engine.bind(tenant_id, terms)
    delivery, is_replay = await webhooks.replay(
        tenant_id,
        webhook_id,
        session_id=session_id,
        seq=seq,
        render=views.rendering(here.settings),
        terms=terms,
    )
    mark_replay(response, is_replay=is_replay)
    return views.delivery(delivery)
