"""Users: erasing all that is kept of one."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request

from api.auth import USERS_WRITE, TenantId
from api.deps import EngineDep
from api.errors import MethodNotAllowedError
from api.openapi import problems
from api.schemas.fields import UserIdInPath
from orchestrator.core.errors.store import StaleVersionError

_PARTS: Final = {b"/credential": "PUT", b"/zapier-sign-in": "POST"}
"""What lies below a user, and cannot be deleted alone."""

_USERS: Final = b"/v1/users/"

router = APIRouter(prefix="/v1/users", tags=["users"], dependencies=[USERS_WRITE])


@router.delete("/{user_id:path}", status_code=204, responses=problems(StaleVersionError))
async def erase_user(user_id: UserIdInPath, tenant_id: TenantId, engine: EngineDep, request: Request) -> None:
    """Erase everything that is kept of the user: credential, sessions, and all about them. A second time is fine."""
    # Whoever means to take a credential away must not believe that it is gone; in a user's own id the slash is encoded.
    _, _, below = request.scope["raw_path"].partition(_USERS)
    for part, allowed in _PARTS.items():
        if below.endswith(part):
            raise MethodNotAllowedError(method="DELETE", allowed=allowed)
    await engine.erase_user(tenant_id, user_id)
