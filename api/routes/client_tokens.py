"""Client tokens: what a backend gives to the page of a session's user."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import BACKEND_WRITES, SessionDep
from api.deps import GrantingDep, QueriesDep
from api.openapi import SESSION, problems
from api.schemas import answers, requests

router = APIRouter(
    prefix="/v1/sessions/{session_id}/client-tokens", tags=["client tokens"], dependencies=[BACKEND_WRITES]
)


@router.post("", status_code=201, responses=problems(*SESSION))
async def create_client_token(
    key: SessionDep, wish: requests.ClientTokenWish, queries: QueriesDep, grant: GrantingDep
) -> answers.ClientToken:
    """Give a token for the page of the session's user; another user's session is not found.

    With it everything a page needs of this one session can be asked, and nothing else.
    """
    return grant(await queries.of_user(key, wish.user_id), origin=wish.origin)
