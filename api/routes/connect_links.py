"""Connect links: what a backend sends to a user who has no page of its own in front of them."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.auth import BACKEND_READS, BACKEND_WRITES, SessionDep
from api.deps import EngineDep, LinkingDep, QueriesDep
from api.openapi import CONDITIONAL, KEYED, REPLAY, SESSION, STEP, problems
from api.schemas import answers, requests
from api.schemas.fields import LinkId, StepId
from api.terms import Conditional, KeyedConditional, mark_replay
from orchestrator.core.errors.links import BrowserNotFoundError, ConnectLinkNotFoundError, ConnectLinkOverError
from orchestrator.core.errors.sessions import IllegalSignalError, StepNotFoundError
from orchestrator.core.session import SECOND
from orchestrator.core.signals import ConnectLinkAllowed, ConnectLinkMade, ConnectLinkRevoked
from orchestrator.core.tenants import digest_of

router = APIRouter(prefix="/v1/sessions/{session_id}/steps/{step_id}/connect-links", tags=["connect links"])

_LINK = (*STEP, *CONDITIONAL, ConnectLinkNotFoundError)


@router.post(
    "",
    status_code=201,
    dependencies=[BACKEND_WRITES],
    responses={201: {"headers": REPLAY}, **problems(*_LINK, *KEYED, IllegalSignalError)},
)
async def create_connect_link(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    key: SessionDep,
    step_id: StepId,
    wish: requests.ConnectLinkWish,
    engine: EngineDep,
    queries: QueriesDep,
    links: LinkingDep,
    response: Response,
    terms: KeyedConditional,
) -> answers.CreatedConnectLink:
    """Make a link to our own page, where the session's user connects this step; another user's session is not found.

    It takes the place of the step's earlier one. The page's last button leads to `return_url`.
    """
    links.accept(wish.return_url)
    await queries.of_user(key, wish.user_id)
    link_id = engine.new_link_id()
    made = ConnectLinkMade(
        step_id=step_id,
        link_id=link_id,
        digest=digest_of(links.tokens.make(key.session_id, link_id)),
        ttl=wish.ttl_s * SECOND,
        return_url=wish.return_url,
    )
    applied = await engine.apply(key, made, terms=terms)
    mark_replay(response, is_replay=applied.is_replay)
    return links.created(applied.session, step_id, applied.made or link_id)


@router.get("", dependencies=[BACKEND_READS], responses=problems(*SESSION, StepNotFoundError))
async def list_connect_links(
    key: SessionDep, step_id: StepId, queries: QueriesDep, links: LinkingDep
) -> answers.ConnectLinkList:
    """Return the step's newest links, and which browsers wait to be let in."""
    return links.all((await queries.session(key)).session, step_id)


@router.post(
    "/{link_id}/allow",
    dependencies=[BACKEND_WRITES],
    responses={
        200: {"headers": REPLAY},
        **problems(*_LINK, *KEYED, ConnectLinkOverError, BrowserNotFoundError),
    },
)
async def allow_browser(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    key: SessionDep,
    step_id: StepId,
    link_id: LinkId,
    choice: requests.BrowserChoice,
    engine: EngineDep,
    links: LinkingDep,
    response: Response,
    terms: KeyedConditional,
) -> answers.ConnectLink:
    """Let a browser that waits in, instead of the one the link belonged to. A second time changes nothing."""
    signal = ConnectLinkAllowed(step_id=step_id, link_id=link_id, code=choice.meant())
    applied = await engine.apply(key, signal, terms=terms)
    mark_replay(response, is_replay=applied.is_replay)
    return links.one(applied.session, step_id, link_id)


@router.delete("/{link_id}", dependencies=[BACKEND_WRITES], responses=problems(*_LINK))
async def revoke_connect_link(
    key: SessionDep, step_id: StepId, link_id: LinkId, engine: EngineDep, links: LinkingDep, terms: Conditional
) -> answers.ConnectLink:
    """Let nobody in by this link any more. A second time changes nothing."""
    signal = ConnectLinkRevoked(step_id=step_id, link_id=link_id)
    return links.one((await engine.apply(key, signal, terms=terms)).session, step_id, link_id)
