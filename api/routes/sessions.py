"""Sessions: the Zaps being built."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.auth import BACKEND_READS, BACKEND_WRITES, PAGE_READS, SessionDep, TenantId
from api.deps import EngineDep, GrantingDep, PollsDep, QueriesDep, ShowDep, ViewsDep, own_cursor
from api.openapi import COMMIT, SESSION, UPSTREAM, problems
from api.schemas import answers, requests
from api.schemas.parameters import EventSearch, SessionSearch, Waiting
from api.views import events, signals
from orchestrator.core.errors import AliasTakenError, AppNotFoundError
from orchestrator.core.session import SECOND
from orchestrator.core.signals import SessionCancelled, SessionChanged

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])

_ETAG = {"ETag": {"description": "The session's `seq`, quoted.", "schema": {"type": "string"}}}
_LOCATION = {"Location": {"description": "The session's address.", "schema": {"type": "string"}}}


@router.post(
    "",
    status_code=201,
    dependencies=[BACKEND_WRITES],
    responses={201: {"headers": _LOCATION}, **problems(AppNotFoundError, AliasTakenError, *UPSTREAM)},
)
async def create_session(
    new: requests.NewSession,
    tenant_id: TenantId,
    engine: EngineDep,
    show: ShowDep,
    grant: GrantingDep,
    response: Response,
) -> answers.CreatedSession:
    """Begin a session. With apps given Zapier is asked first, and nothing is written unless all of it worked."""
    session = await engine.create_session(new.meant(tenant_id))
    response.headers["Location"] = f"{router.prefix}/{session.id}"
    return answers.CreatedSession(**vars(await show(session)), client_token=grant(session))


@router.get("", dependencies=[BACKEND_READS], responses=problems())
async def list_sessions(
    search: SessionSearch, tenant_id: TenantId, queries: QueriesDep, views: ViewsDep
) -> answers.SessionPage:
    """Return sessions that match every given value, youngest first."""
    with own_cursor(search.cursor):
        found, cursor = await queries.sessions(search.meant(tenant_id))
    return answers.SessionPage(sessions=tuple(views.session(snapshot) for snapshot in found), cursor=cursor)


@router.get("/{session_id}", dependencies=[PAGE_READS], responses={200: {"headers": _ETAG}, **problems(*SESSION)})
async def read_session(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    key: SessionDep,
    queries: QueriesDep,
    views: ViewsDep,
    polls: PollsDep,
    request: Request,
    response: Response,
    waiting: Waiting,
) -> answers.Session:
    """Return the session; with `after_seq`, as soon as its `seq` is greater, or as it is when the wait is over."""
    snapshot = None
    if waiting.after_seq is not None:
        after = queries.after(key, seq=waiting.after_seq, wait=waiting.wait_s * SECOND)
        snapshot = await polls.wait(request, after)
    snapshot = snapshot or await queries.session(key)
    response.headers["ETag"] = f'"{snapshot.session.seq}"'
    return views.session(snapshot)


@router.patch("/{session_id}", dependencies=[BACKEND_WRITES], responses=problems(*COMMIT))
async def change_session(
    key: SessionDep, change: requests.SessionChange, engine: EngineDep, show: ShowDep
) -> answers.Session:
    """Give the session another title or metadata; what is left out stays."""
    signal = SessionChanged(title=change.title, metadata=change.metadata)
    return await show((await engine.apply(key, signal)).session)


@router.delete("/{session_id}", dependencies=[BACKEND_WRITES], responses=problems(*COMMIT))
async def cancel_session(key: SessionDep, engine: EngineDep, show: ShowDep) -> answers.Session:
    """End the session. A second time changes nothing."""
    return await show((await engine.apply(key, SessionCancelled())).session)


@router.get("/{session_id}/events", dependencies=[PAGE_READS], responses=problems(*SESSION))
async def read_events(key: SessionDep, search: EventSearch, queries: QueriesDep) -> answers.EventPage:
    """Return what happened, in order, after an event's `seq`."""
    return events(await queries.events(key, after=search.after, limit=search.limit))


@router.get("/{session_id}/signals", dependencies=[BACKEND_READS], responses=problems(*SESSION))
async def read_signals(key: SessionDep, queries: QueriesDep) -> answers.SignalLog:
    """Return the newest signals that were heard and what became of each, refused ones included."""
    heard = await queries.signals(key)
    return signals(heard)
