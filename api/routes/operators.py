"""What operators see: sessions of every tenant that their key lets them see."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import VIEWERS, OperatorDep
from api.deps import QueriesDep, ViewsDep, own_cursor
from api.openapi import problems
from api.schemas import answers
from api.schemas.parameters import OperatorsSearch

router = APIRouter(prefix="/v1/operator", tags=["operators"], dependencies=[VIEWERS])


@router.get("/sessions", responses=problems())
async def search_sessions(
    search: OperatorsSearch, operator: OperatorDep, queries: QueriesDep, views: ViewsDep
) -> answers.OperatorsSessionPage:
    """Return sessions of every tenant that match every given value, youngest first."""
    with own_cursor(search.cursor):
        found, cursor = await queries.sessions(search.meant(search.tenant_id, within=operator.sees))
    return answers.OperatorsSessionPage(sessions=tuple(map(views.operators, found)), cursor=cursor)
