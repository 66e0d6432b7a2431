"""Client tokens: what a backend gives to the page of a session's user."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import BACKEND_WRITES, SessionDep
from api.deps import EngineDep, GrantingDep, QueriesDep
from api.openapi import KEYED, SESSION, problems
from api.schemas import answers, requests
from api.terms import Keyed

router = APIRouter(
    prefix="/v1/sessions/{session_id}/client-tokens", tags=["client tokens"], dependencies=[BACKEND_WRITES]
)


@router.post("", status_code=201, responses=problems(*KEYED, *SESSION))
async def create_client_token(
    key: SessionDep,
    wish: requests.ClientTokenWish,
    engine: EngineDep,
    queries: QueriesDep,
    grant: GrantingDep,
    terms: Keyed,
) -> answers.ClientToken:
    """Give a token for the page of the session's user; another user's session is not found.

    With it everything a page needs of this one session can be asked, and nothing else. Tokens are not kept: a repeat
    gives another one, as good.
    """
    session = await queries.of_user(key, wish.user_id)
    await engine.bind(key.tenant_id, terms)
    return grant(session, origin=wish.origin)
