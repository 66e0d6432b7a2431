"""Authentications: those there are for a step, and choosing one."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.auth import STEP_WRITES, SessionDep
from api.deps import EngineDep, QueriesDep, ShowDep, SupplierDep, ViewsDep
from api.openapi import CONDITIONAL, ETAG, KEYED, REPLAY, STEP, UPSTREAM, problems
from api.schemas import answers, requests
from api.schemas.fields import StepId
from api.schemas.parameters import Picking
from api.terms import Conditional, SecretKeyedConditional, etag
from orchestrator.core.errors.actions import AppNotFoundError
from orchestrator.core.errors.attempts import (
    AppNotOwnError,
    AuthenticationNotUsableError,
    CandidatesFoundError,
    FieldsUnansweredError,
)
from orchestrator.core.errors.sessions import IllegalSignalError
from orchestrator.core.errors.upstream import FieldsRefusedError

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
    supplier: SupplierDep,
    queries: QueriesDep,
    views: ViewsDep,
    response: Response,
) -> answers.Picker:
    """Return the authentications to choose from, read anew when asked for or old. An open popup's baseline stays."""
    picker = await engine.pick(key, step_id, refresh=picking.refresh)
    response.headers["ETag"] = etag(picker.session.seq)
    own_app = await supplier.own_app(picker.session, picker.step)
    return views.picker(picker, await queries.snapshot(picker.session), own_app=own_app)


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


_LOOKED_FOR = {
    "model": answers.Session,
    "description": "What came of it is not known: Zapier is asked, and the session tells.",
    "headers": ETAG | REPLAY,
}


@router.post(
    "/authentications",
    status_code=201,
    responses={
        201: {"headers": ETAG | REPLAY},
        202: _LOOKED_FOR,
        **problems(
            *STEP,
            *CONDITIONAL,
            *KEYED,
            IllegalSignalError,
            AppNotOwnError,
            FieldsRefusedError,
            FieldsUnansweredError,
            CandidatesFoundError,
            AppNotFoundError,
            *UPSTREAM,
        ),
    },
)
async def supply_authentication(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    key: SessionDep,
    step_id: StepId,
    given: requests.SuppliedAuthentication,
    supplier: SupplierDep,
    show: ShowDep,
    response: Response,
    terms: SecretKeyedConditional,
) -> answers.Session:
    """Settle the step on a new authentication, made of what its user filled in: for the tenant's own apps alone.

    201 when Zapier made it. When its answer is lost, 202: it is not asked to make another; what it lists tells what
    came of it. What the fields hold is sent on, once, and kept nowhere.
    """
    applied = await supplier.supply(key, step_id, title=given.title, fields=given.values(), terms=terms)
    step = applied.session.step(step_id)
    is_made = step is not None and step.evidence is not None and step.evidence.attempt_id == applied.made
    response.status_code = 201 if is_made else 202
    return await show.applied(applied)
