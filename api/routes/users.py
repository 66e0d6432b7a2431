"""Users: erasing all that is kept of one."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import USERS_WRITE, TenantId
from api.deps import EngineDep
from api.errors import MethodNotAllowedError
from api.openapi import problems
from api.schemas.fields import UserIdInPath
from orchestrator.core.errors import StaleVersionError

router = APIRouter(prefix="/v1/users", tags=["users"], dependencies=[USERS_WRITE])


@router.delete("/{user_id:path}", status_code=204, responses=problems(StaleVersionError))
async def erase_user(user_id: UserIdInPath, tenant_id: TenantId, engine: EngineDep) -> None:
    """Erase everything that is kept of the user: credential, sessions, and all about them. A second time is fine."""
    if user_id.endswith("/credential"):  # whoever means to take a credential away must not believe that it is gone
        raise MethodNotAllowedError(method="DELETE", allowed="PUT")
    await engine.erase_user(tenant_id, user_id)
