"""Apps: searching Zapier's catalogue, and choosing one for a step."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import PAGE_READS, PAGE_WRITES, SessionDep
from api.deps import EngineDep, ShowDep, own_cursor
from api.openapi import CONDITIONAL, ETAG, SESSION, STEP, UPSTREAM, problems
from api.schemas import answers, requests
from api.schemas.fields import StepId
from api.schemas.parameters import AppSearch
from api.terms import Conditional
from api.views import apps
from orchestrator.core.errors.actions import AppNotFoundError
from orchestrator.core.signals import StepReset

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["apps"])


@router.get("/apps", dependencies=[PAGE_READS], responses=problems(*SESSION, *UPSTREAM))
async def search_apps(key: SessionDep, search: AppSearch, engine: EngineDep) -> answers.AppPage:
    """Search the apps that the session's user may choose, the most popular first."""
    with own_cursor(search.cursor):
        return apps(await engine.search_apps(key, query=search.query, cursor=search.cursor))


@router.put(
    "/steps/{step_id}/app",
    dependencies=[PAGE_WRITES],
    responses={200: {"headers": ETAG}, **problems(*STEP, *CONDITIONAL, AppNotFoundError, *UPSTREAM)},
)
async def choose_app(
    key: SessionDep,
    step_id: StepId,
    choice: requests.AppChoice,
    engine: EngineDep,
    show: ShowDep,
    terms: Conditional,
) -> answers.Session:
    """Give the step its app; what it had of another app is dropped. The same app again changes nothing."""
    return await show.applied(await engine.choose_app(key, step_id, choice.app_id, terms=terms))


@router.delete(
    "/steps/{step_id}/app",
    dependencies=[PAGE_WRITES],
    responses={200: {"headers": ETAG}, **problems(*STEP, *CONDITIONAL)},
)
async def reset_step(
    key: SessionDep, step_id: StepId, engine: EngineDep, show: ShowDep, terms: Conditional
) -> answers.Session:
    """Let the step start over, without an app."""
    return await show.applied(await engine.apply(key, StepReset(step_id=step_id), terms=terms))
