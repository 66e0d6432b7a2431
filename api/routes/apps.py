"""Apps: searching Zapier's catalogue, and choosing one for a step."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.auth import tenant
from api.deps import EngineDep, ShowDep, own_cursor
from api.openapi import CONDITIONAL, ETAG, SESSION, STEP, UPSTREAM, problems
from api.schemas import answers, requests
from api.schemas.fields import SessionId, StepId
from api.schemas.parameters import AppSearch
from api.terms import Conditional
from api.views import apps
from orchestrator.core.errors import AppNotFoundError
from orchestrator.core.signals import StepReset

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["apps"], dependencies=[Depends(tenant)])


@router.get("/apps", responses=problems(*SESSION, *UPSTREAM))
async def search_apps(session_id: SessionId, search: AppSearch, engine: EngineDep) -> answers.AppPage:
    """Search the apps that the session's user may choose, the most popular first."""
    with own_cursor(search.cursor):
        return apps(await engine.search_apps(session_id, query=search.query, cursor=search.cursor))


@router.put(
    "/steps/{step_id}/app",
    responses={200: {"headers": ETAG}, **problems(*STEP, *CONDITIONAL, AppNotFoundError, *UPSTREAM)},
)
async def choose_app(
    session_id: SessionId,
    step_id: StepId,
    choice: requests.AppChoice,
    engine: EngineDep,
    show: ShowDep,
    terms: Conditional,
) -> answers.Session:
    """Give the step its app; what it had of another app is dropped. The same app again changes nothing."""
    return await show.applied(await engine.choose_app(session_id, step_id, choice.app_id, terms=terms))


@router.delete("/steps/{step_id}/app", responses={200: {"headers": ETAG}, **problems(*STEP, *CONDITIONAL)})
async def reset_step(
    session_id: SessionId, step_id: StepId, engine: EngineDep, show: ShowDep, terms: Conditional
) -> answers.Session:
    """Let the step start over, without an app."""
    return await show.applied(await engine.apply(session_id, StepReset(step_id=step_id), terms=terms))
