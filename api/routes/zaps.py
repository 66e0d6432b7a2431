"""Zaps: creating the one a session is for."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.auth import PAGE_WRITES, SessionDep
from api.deps import CreatorDep, ShowDep
from api.openapi import COMMIT, CONDITIONAL, ETAG, KEYED, REPLAY, UPSTREAM, problems
from api.schemas import answers, requests
from api.terms import KeyedConditional
from orchestrator.core.errors.actions import InputsFlawedError
from orchestrator.core.errors.requests import IdempotencyInFlightError
from orchestrator.core.errors.zaps import CreateUnknownError, NotReadyError, ZapNotMatchedError
from orchestrator.core.ports.sessions import Outcome
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
    "headers": ETAG | REPLAY,
}
_PROBLEMS = (
    *COMMIT,
    *CONDITIONAL,
    *KEYED,
    IdempotencyInFlightError,
    NotReadyError,
    CreateUnknownError,
    ZapNotMatchedError,
)


@router.post(
    "",
    status_code=201,
    responses={
        201: {"headers": ETAG | REPLAY},
        200: _NOT_MADE,
        **problems(*_PROBLEMS, InputsFlawedError, *UPSTREAM),
    },
)
async def create_zap(
    key: SessionDep,
    creator: CreatorDep,
    show: ShowDep,
    response: Response,
    terms: KeyedConditional,
    wish: requests.ZapRequest = _FIRST,
) -> answers.Session:
    """Create the Zap with one call to Zapier: 201 when it made one, otherwise 200, and `zap` says what is known.

    A request that comes again makes no second call: a new wish needs a new `Idempotency-Key`.
    """
    if wish.zap_id is not None:
        response.status_code = 200
        return await show.applied(await creator.identify(key, wish.zap_id, terms=terms))
    applied = await creator.create(key, again=wish.again, terms=terms)
    is_made_now = applied.session.zap.state is ZapState.CREATED and applied.outcome is Outcome.APPLIED
    response.status_code = 201 if is_made_now else 200
    return await show.applied(applied)
