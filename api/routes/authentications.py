"""Authentications: those there are for a step, and choosing one."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import PAGE_WRITES, SessionDep
from api.deps import EngineDep, QueriesDep, ShowDep, ViewsDep
from api.openapi import STEP, UPSTREAM, problems
from api.schemas import answers, requests
from api.schemas.fields import StepId
from api.schemas.parameters import Picking
from orchestrator.core.errors import AppNotFoundError, AuthenticationNotUsableError, IllegalSignalError

router = APIRouter(
    prefix="/v1/sessions/{session_id}/steps/{step_id}",
    tags=["authentications"],
    dependencies=[PAGE_WRITES],
)


@router.get("/authentications", responses=problems(*STEP, IllegalSignalError, AppNotFoundError, *UPSTREAM))
async def list_authentications(
    key: SessionDep,
    step_id: StepId,
    picking: Picking,
    engine: EngineDep,
    queries: QueriesDep,
    views: ViewsDep,
) -> answers.Picker:
    """Return the authentications to choose from, read anew when asked for or old. An open popup's baseline stays."""
    picker = await engine.pick(key, step_id, refresh=picking.refresh)
    return views.picker(picker, await queries.snapshot(picker.session))


@router.put("/authentication", responses=problems(*STEP, IllegalSignalError, AuthenticationNotUsableError, *UPSTREAM))
async def select_authentication(
    key: SessionDep, step_id: StepId, choice: requests.AuthenticationChoice, engine: EngineDep, show: ShowDep
) -> answers.Session:
    """Settle the step on the user's choice; Zapier must list it now, for this app, not expired."""
    return await show((await engine.select(key, step_id, choice.authentication_id)).session)
