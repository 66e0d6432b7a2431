"""What pages of a development have instead of a backend; it exists only where the upstream is the simulator.

Nobody needs a key here: whoever can reach the API may do what the default tenant's backend may, in a simulated world.
Browsers are let in from the default tenant's origins alone, to which `zapwright up` adds the API's own.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import httpx
from fastapi import APIRouter, Body, Response
from starlette.status import HTTP_201_CREATED

from api.auth import DEVELOPERS, SessionDep, TenantId
from api.deps import EngineDep, GrantingDep, Here, QueriesDep, ShowDep
from api.errors import RequestInvalidError
from api.routes.sessions import change_session
from api.schemas import answers, requests
from api.schemas.problems import Flaw
from api.terms import Keyed
from orchestrator.bootstrap import Zapwright
from orchestrator.core.errors.upstream import UpstreamUnavailableError
from orchestrator.core.ports.sessions import Outcome

router = APIRouter(prefix="/dev", include_in_schema=False, dependencies=[DEVELOPERS])

_FAULTS: Final = "/_control/faults"
_LIMIT_S: Final = 5.0


@router.post("/session", status_code=HTTP_201_CREATED)
async def create_development_session(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    new: requests.NewDevelopmentSession,
    tenant_id: TenantId,
    engine: EngineDep,
    show: ShowDep,
    grant: GrantingDep,
    response: Response,
    terms: Keyed,
) -> answers.CreatedSession:
    """Begin a session as a backend would have done, of a user who is signed in to the simulator unless it says not."""
    meant = new.meant(tenant_id)
    if new.signed_in:
        await engine.put_credential(tenant_id, meant.user_id, f"sim-{meant.user_id}", expires_in=None)
    begun = await engine.create_session(meant, terms=terms)
    response.status_code = 200 if begun.outcome is Outcome.DUPLICATE else HTTP_201_CREATED
    response.headers["Location"] = f"/v1/sessions/{begun.session.id}"
    return answers.CreatedSession(**(await show.applied(begun)).parts(), client_token=grant(begun.session))


@router.post("/session/{session_id}/client-tokens", status_code=HTTP_201_CREATED)
async def create_development_token(
    key: SessionDep, queries: QueriesDep, engine: EngineDep, grant: GrantingDep, terms: Keyed
) -> answers.ClientToken:
    """Give another token for a session of the default tenant. Raises SessionNotFoundError."""
    found = await queries.session(key)
    await engine.bind(key.tenant_id, terms)
    return grant(found.session)


router.add_api_route("/session/{session_id}", change_session, methods=["PATCH"])


@router.get("/faults")
async def read_faults(here: Here) -> dict[str, Any]:
    """Return the simulator's switches as they are: everything that can go wrong. Raises UpstreamUnavailableError."""
    return await _control(here, "GET")


@router.put("/faults")
async def put_faults(here: Here, faults: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
    """Set the simulator's switches: those given, and the others as they were when it started. Return all of them.

    Raises RequestInvalidError, and then changes nothing; UpstreamUnavailableError.
    """
    await _control(here, "PATCH", faults)
    await _control(here, "DELETE")
    return await _control(here, "PATCH", faults)


@router.patch("/faults")
async def patch_faults(here: Here, faults: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
    """Set the switches of the simulator that are given, by JSON merge patch, and leave the others. Return all of them.

    Raises RequestInvalidError, and then changes nothing; UpstreamUnavailableError.
    """
    return await _control(here, "PATCH", faults)


async def _control(here: Zapwright, method: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        answer = await here.http.request(
            method, f"{here.settings.simulator_url}{_FAULTS}", json=document, timeout=_LIMIT_S
        )
        found: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise UpstreamUnavailableError(problem="the simulator gave no usable answer") from error
    if answer.is_success:
        return found
    raise RequestInvalidError([Flaw(pointer="", detail=str(found.get("error")))])
