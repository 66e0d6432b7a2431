"""Authentications: those there are for a step, and choosing one."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.auth import STEP_WRITES, SessionDep
from api.deps import EngineDep, QueriesDep, ShowDep, ViewsDep
from api.openapi import CONDITIONAL, ETAG, STEP, UPSTREAM, problems
from api.schemas import answers, requests
from api.schemas.fields import StepId
from api.schemas.parameters import Picking
from api.terms import Conditional, etag
from orchestrator.core.errors import AppNotFoundError, AuthenticationNotUsableError, IllegalSignalError

router = APIRouter(
    prefix="/v1/sessions/{session_id}/steps/{step_id}",
    tags=["authentications"],
    dependencies=[STEP_WRITES],
)


@router.get(
    "/authentications",
    responses={200: {"headers": ETAG}, **problems(*STEP, IllegalSignalError, AppNotFoundError, *UPSTREAM)},
)
async def list_authentications(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    key: SessionDep,
    step_id: StepId,
    picking: Picking,
    engine: EngineDep,
    queries: QueriesDep,
    views: ViewsDep,
    response: Response,
) -> answers.Picker:
    """Return the authentications to choose from, read anew when asked for or old. An open popup's baseline stays."""
    picker = await engine.pick(key, step_id, refresh=picking.refresh)
    response.headers["ETag"] = etag(picker.session.seq)
    return views.picker(picker, await queries.snapshot(picker.session))


@router.put(
    "/authentication",
    responses={
        200: {"headers": ETAG},
        **problems(*STEP, *CONDITIONAL, IllegalSignalError, AuthenticationNotUsableError, *UPSTREAM),
    },
)
async def select_authentication(
    key: SessionDep,
    step_id: StepId,
    choice: requests.AuthenticationChoice,
    engine: EngineDep,
    show: ShowDep,
    terms: Conditional,
) -> answers.Session:
    """Settle the step on the user's choice; Zapier must list it now, for this app, not expired."""
    return await show.applied(await engine.select(key, step_id, choice.authentication_id, terms=terms))
