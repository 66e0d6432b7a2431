"""Sign-ins to Zapier, as pages and backends begin them. What the user's browser goes through is `sign_in_page`."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import STEP_WRITES, USERS_WRITE, SessionDep, TenantId
from api.deps import EngineDep, QueriesDep, SigningInDep
from api.openapi import KEYED, SESSION, problems
from api.schemas import answers, requests
from api.schemas.fields import UserIdInPath
from api.terms import Keyed
from orchestrator.core.errors.tenants import ClientMissingError

router = APIRouter(prefix="/v1", tags=["sign-ins"])


@router.post(
    "/sessions/{session_id}/zapier-sign-in",
    status_code=201,
    dependencies=[STEP_WRITES],
    responses=problems(*KEYED, *SESSION, ClientMissingError),
)
async def begin_session_sign_in(
    key: SessionDep,
    wish: requests.SignInWish,
    engine: EngineDep,
    queries: QueriesDep,
    signing_in: SigningInDep,
    terms: Keyed,
) -> answers.SignIn:
    """Begin a sign-in to Zapier of the session's user, in the browser that `browser` names.

    Only that browser can open the address, once and at once, and only it can come back with what Zapier says. The
    session's `credential` then shows it, and whoever follows the session is told. A repeat gives another address.
    """
    wanted = signing_in.meant(wish)
    session = (await queries.session(key)).session
    await engine.bind(key.tenant_id, terms)
    return await signing_in(session.tenant_id, session.user_id, wanted)


@router.post(
    "/users/{user_id:path}/zapier-sign-in",
    status_code=201,
    dependencies=[USERS_WRITE],
    responses=problems(*KEYED, ClientMissingError),
)
async def begin_sign_in(
    user_id: UserIdInPath,
    wish: requests.SignInWish,
    tenant_id: TenantId,
    engine: EngineDep,
    signing_in: SigningInDep,
    terms: Keyed,
) -> answers.SignIn:
    """Begin a sign-in to Zapier of one of your users, in the browser that `browser` names: theirs, as you know them.

    A repeat gives another address.
    """
    wanted = signing_in.meant(wish)
    await engine.bind(tenant_id, terms)
    return await signing_in(tenant_id, user_id, wanted)
