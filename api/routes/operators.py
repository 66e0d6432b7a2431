"""What operators see: sessions of every tenant."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import OPERATORS
from api.deps import QueriesDep, ViewsDep, own_cursor
from api.openapi import problems
from api.schemas import answers
from api.schemas.parameters import OperatorsSearch

router = APIRouter(prefix="/v1/operator", tags=["operators"], dependencies=[OPERATORS])


@router.get("/sessions", responses=problems())
async def search_sessions(
    search: OperatorsSearch, queries: QueriesDep, views: ViewsDep
) -> answers.OperatorsSessionPage:
    """Return sessions of every tenant that match every given value, youngest first."""
    with own_cursor(search.cursor):
        found, cursor = await queries.sessions(search.meant(search.tenant_id))
    return answers.OperatorsSessionPage(sessions=tuple(map(views.operators, found)), cursor=cursor)
