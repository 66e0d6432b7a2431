"""Credentials: users' access to Zapier."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import USERS_WRITE, TenantId
from api.deps import EngineDep
from api.openapi import problems
from api.schemas import answers, requests
from api.schemas.fields import UserIdInPath
from api.views import credential
from orchestrator.core.errors.credentials import CredentialRefusedError
from orchestrator.core.errors.tenants import ClientMissingError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamRefusedError, UpstreamUnavailableError
from orchestrator.core.session import SECOND

router = APIRouter(prefix="/v1/users", tags=["credentials"], dependencies=[USERS_WRITE])

_UPSTREAM = (UpstreamBusyError, UpstreamRefusedError, UpstreamUnavailableError)


@router.put("/{user_id:path}/credential", responses=problems(CredentialRefusedError, ClientMissingError, *_UPSTREAM))
async def put_credential(
    user_id: UserIdInPath, new: requests.NewCredential, tenant_id: TenantId, engine: EngineDep
) -> answers.Credential:
    """Keep the user's tokens, encrypted and never shown again; what waited for them goes on."""
    kept = await engine.put_credential(
        tenant_id,
        user_id,
        new.access_token.get_secret_value(),
        expires_in=None if new.expires_in is None else new.expires_in * SECOND,
        refresh_token=None if new.refresh_token is None else new.refresh_token.get_secret_value(),
    )
    return credential(kept)
