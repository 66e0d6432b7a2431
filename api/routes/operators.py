"""What operators see: everything that goes on, of the tenants that their key lets them see."""

from __future__ import annotations

from fastapi import APIRouter

from api import overviews
from api.auth import VIEWERS, OperatorDep
from api.deps import Here, OversightDep, ViewsDep, WebhooksDep, own_cursor
from api.openapi import problems
from api.schemas import operators as shapes
from api.schemas.fields import AppIdInPath, EndpointId
from api.schemas.parameters import DeliveriesOverview, DeliveriesSearch, OperatorsSearch, WatchSearch
from orchestrator.core.errors.webhooks import EndpointNotFoundError

router = APIRouter(prefix="/v1/operator", tags=["operators"], dependencies=[VIEWERS])


@router.get("/sessions", responses=problems())
async def search_sessions(
    search: OperatorsSearch, operator: OperatorDep, oversight: OversightDep, views: ViewsDep, here: Here
) -> shapes.FoundSessionPage:
    """Return sessions that match every given value, youngest first."""
    now = here.clock.now()
    with own_cursor(search.cursor):
        found, cursor = await oversight.sessions(search.wanted(sees=operator.sees, now=now))
    sessions = tuple(overviews.session(one, views, now=now) for one in found)
    return shapes.FoundSessionPage(sessions=sessions, cursor=cursor)


@router.get("/overview", responses=problems())
async def read_overview(operator: OperatorDep, oversight: OversightDep) -> shapes.Overview:
    """Return everything at a glance: where sessions stand, who waits and is stuck, the funnel, the budget, jumps."""
    return overviews.overview(await oversight.overview(operator.sees))


@router.get("/apps", responses=problems())
async def list_apps(operator: OperatorDep, oversight: OversightDep) -> shapes.AppHealthList:
    """Return every app that has sessions, or had popups in the last day, with how these went; jumps come first."""
    at, found = await oversight.apps(operator.sees)
    return overviews.apps(found, at=at)


@router.get("/apps/{app_id}", responses=problems())
async def read_app(app_id: AppIdInPath, operator: OperatorDep, oversight: OversightDep) -> shapes.AppStory:
    """Return how an app's popups went, in the last day by the hour, and where its sessions stand."""
    at, found = await oversight.app(operator.sees, app_id)
    return overviews.app(found, at=at)


@router.get("/budget", responses=problems())
async def read_budget(operator: OperatorDep, oversight: OversightDep) -> shapes.Budget:
    """Return what is held of Zapier's limits, until when they cool down, and what was asked of it."""
    sides, calls = await oversight.sides(operator.sees), await oversight.calls(operator.sees)
    return overviews.budget(sides, calls)


@router.get("/watches", responses=problems())
async def list_watches(
    search: WatchSearch, operator: OperatorDep, oversight: OversightDep, here: Here
) -> shapes.WatchPage:
    """Return what Zapier will be asked next, and for whom."""
    now = here.clock.now()
    with own_cursor(search.cursor):
        found, cursor = await oversight.watches(search.meant(operator.within(search.tenant_id)))
    return shapes.WatchPage(watches=tuple(overviews.watch(one, now=now) for one in found), cursor=cursor)


@router.get("/workers", responses=problems())
async def list_workers(oversight: OversightDep) -> shapes.Workers:
    """Return the workers, what they have in hand, and what waits for them."""
    return overviews.workers(await oversight.staff())


@router.get("/deliveries", responses=problems())
async def list_all_deliveries(
    search: DeliveriesOverview, operator: OperatorDep, oversight: OversightDep
) -> shapes.OperatorsDeliveryPage:
    """Return deliveries to every endpoint that are pending, failing or dead."""
    with own_cursor(search.cursor):
        page = await oversight.deliveries(search.meant(operator.within(search.tenant_id)))
    return shapes.OperatorsDeliveryPage(deliveries=tuple(map(overviews.delivery, page.deliveries)), cursor=page.cursor)


@router.get("/endpoints", responses=problems())
async def list_endpoints(operator: OperatorDep, oversight: OversightDep) -> shapes.OperatorsWebhookList:
    """Return the endpoints that hear of every session of their tenant, and how they receive."""
    found = await oversight.endpoints(operator.sees)
    return shapes.OperatorsWebhookList(webhooks=tuple(overviews.webhook(*one) for one in found))


@router.get("/endpoints/{webhook_id}/deliveries", responses=problems(EndpointNotFoundError))
async def list_sent(
    webhook_id: EndpointId,
    search: DeliveriesSearch,
    operator: OperatorDep,
    oversight: OversightDep,
    webhooks: WebhooksDep,
) -> shapes.OperatorsDeliveryPage:
    """Return what was sent to an endpoint of any tenant, or waits to be, youngest first; each with its newest tries."""
    endpoint = await oversight.endpoint(operator.sees, webhook_id)
    with own_cursor(search.cursor):
        page = await webhooks.find(search.meant(endpoint.tenant_id, webhook_id))
    return shapes.OperatorsDeliveryPage(deliveries=tuple(map(overviews.delivery, page.deliveries)), cursor=page.cursor)
