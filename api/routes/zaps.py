"""Zaps: creating the one a session is for."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.auth import PAGE_WRITES, SessionDep
from api.deps import CreatorDep, ShowDep
from api.openapi import COMMIT, UPSTREAM, problems
from api.schemas import answers, requests
from orchestrator.core.errors import ActionNotFoundError, CreateUnknownError, NotReadyError
from orchestrator.core.ports import Outcome
from orchestrator.core.session import ZapState

router = APIRouter(
    prefix="/v1/sessions/{session_id}/zap",
    tags=["zaps"],
    dependencies=[PAGE_WRITES],
)

_FIRST = requests.ZapRequest()
_NOT_MADE = {
    "model": answers.Session,
    "description": "The call made no Zap, or none that is known of, or there was one before: `zap` says which.",
}


@router.post(
    "",
    status_code=201,
    responses={200: _NOT_MADE, **problems(*COMMIT, NotReadyError, CreateUnknownError, ActionNotFoundError, *UPSTREAM)},
)
async def create_zap(
    key: SessionDep,
    creator: CreatorDep,
    show: ShowDep,
    response: Response,
    wish: requests.ZapRequest = _FIRST,
) -> answers.Session:
    """Create the Zap with one call to Zapier: 201 when it made one, otherwise 200, and `zap` says what is known."""
    applied = await creator.create(key, again=wish.again)
    is_made_now = applied.session.zap.state is ZapState.CREATED and applied.outcome is Outcome.APPLIED
    response.status_code = 201 if is_made_now else 200
    return await show(applied.session)
