"""Actions: what a step's app can do, and choosing one of them."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.auth import tenant
from api.deps import EngineDep, ShowDep
from api.openapi import CONDITIONAL, ETAG, SESSION, STEP, UPSTREAM, problems
from api.schemas import answers, requests
from api.schemas.fields import SessionId, StepId
from api.terms import Conditional
from api.views import actions
from orchestrator.core.errors import ActionNotFoundError, IllegalSignalError, StepNotFoundError
from orchestrator.core.session import Action

router = APIRouter(prefix="/v1/sessions/{session_id}/steps/{step_id}", tags=["actions"], dependencies=[Depends(tenant)])


@router.get("/actions", responses=problems(*SESSION, StepNotFoundError, IllegalSignalError, *UPSTREAM))
async def list_actions(session_id: SessionId, step_id: StepId, engine: EngineDep) -> answers.ActionList:
    """Return what the step's app can do."""
    return actions(await engine.list_actions(session_id, step_id))


@router.put(
    "/action",
    responses={
        200: {"headers": ETAG},
        **problems(*STEP, *CONDITIONAL, IllegalSignalError, ActionNotFoundError, *UPSTREAM),
    },
)
async def choose_action(
    session_id: SessionId,
    step_id: StepId,
    choice: requests.ActionChoice,
    engine: EngineDep,
    show: ShowDep,
    terms: Conditional,
) -> answers.Session:
    """Give the step its action; the inputs of another action are dropped."""
    action = Action(key=choice.key, action_type=choice.action_type)
    return await show.applied(await engine.choose_action(session_id, step_id, action, terms=terms))
