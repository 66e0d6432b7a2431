"""Actions: what a step's app can do, and choosing one of them."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import PAGE_READS, PAGE_WRITES, SessionDep
from api.deps import EngineDep, ShowDep
from api.openapi import CONDITIONAL, ETAG, SESSION, STEP, UPSTREAM, problems
from api.schemas import answers, requests
from api.schemas.fields import StepId
from api.terms import Conditional
from api.views import actions
from orchestrator.core.errors.actions import ActionNotFoundError
from orchestrator.core.errors.sessions import IllegalSignalError, StepNotFoundError
from orchestrator.core.session import Action

router = APIRouter(prefix="/v1/sessions/{session_id}/steps/{step_id}", tags=["actions"])


@router.get(
    "/actions",
    dependencies=[PAGE_READS],
    responses=problems(*SESSION, StepNotFoundError, IllegalSignalError, *UPSTREAM),
)
async def list_actions(key: SessionDep, step_id: StepId, engine: EngineDep) -> answers.ActionList:
    """Return what the step's app can do."""
    return actions(await engine.list_actions(key, step_id))


@router.put(
    "/action",
    dependencies=[PAGE_WRITES],
    responses={
        200: {"headers": ETAG},
        **problems(*STEP, *CONDITIONAL, IllegalSignalError, ActionNotFoundError, *UPSTREAM),
    },
)
async def choose_action(
    key: SessionDep,
    step_id: StepId,
    choice: requests.ActionChoice,
    engine: EngineDep,
    show: ShowDep,
    terms: Conditional,
) -> answers.Session:
    """Give the step its action; the inputs of another action are dropped."""
    action = Action(key=choice.key, action_type=choice.action_type)
    return await show.applied(await engine.choose_action(key, step_id, action, terms=terms))
