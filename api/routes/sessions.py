"""Sessions: the Zaps being built."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response

from api.auth import BACKEND_READS, BACKEND_WRITES, STEP_READS, Caller, CallerDep, SessionDep, TenantId, bearer_of
from api.deps import (
    EngineDep,
    FollowingDep,
    GrantingDep,
    QueriesDep,
    ShowDep,
    StreamsDep,
    ViewsDep,
    own_cursor,
)
from api.errors import TooManyStreamsError
from api.openapi import COMMIT, CONDITIONAL, ETAG, KEYED, REPLAY, SESSION, UPSTREAM, problems
from api.polls import while_here
from api.schemas import answers, requests
from api.schemas.fields import LastEventId
from api.schemas.parameters import EventSearch, SessionSearch, Streaming, Waiting
from api.stream import MEDIA_TYPE, SHAPE, Reader, SessionStream
from api.terms import Conditional, Keyed, NoneMatch, etag, is_known
from api.views import signals
from orchestrator.core.errors.actions import AppNotFoundError
from orchestrator.core.errors.sessions import AliasTakenError
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.session import SECOND
from orchestrator.core.signals import SessionCancelled, SessionChanged
from orchestrator.core.tenants import Scope

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])

_LOCATION = {"Location": {"description": "The session's address.", "schema": {"type": "string"}}}
_LIVE = {
    "model": answers.CreatedSession,
    "description": "The user's session that has this reference and has not ended.",
    "headers": ETAG | _LOCATION,
}
_STREAM = {
    "description": "The session, then events and the session after them, for as long as the stream is open.",
    "content": {MEDIA_TYPE: {"schema": SHAPE}},
}
_KNOWN = {"description": "The session is still as the entity tag says.", "headers": ETAG}


@router.post(
    "",
    status_code=201,
    dependencies=[BACKEND_WRITES],
    responses={
        201: {"headers": ETAG | _LOCATION | REPLAY},
        200: _LIVE,
        **problems(AppNotFoundError, AliasTakenError, *KEYED, *SESSION, *UPSTREAM),
    },
)
async def create_session(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    new: requests.NewSession,
    tenant_id: TenantId,
    engine: EngineDep,
    show: ShowDep,
    grant: GrantingDep,
    response: Response,
    terms: Keyed,
) -> answers.CreatedSession:
    """Begin a session: 201. While the user has one with this reference that has not ended, return that one: 200.

    With apps given Zapier is asked first, and nothing is written unless all of it worked.
    """
    begun = await engine.create_session(new.meant(tenant_id), terms=terms)
    response.status_code = 200 if begun.outcome is Outcome.DUPLICATE else 201
    response.headers["Location"] = f"{router.prefix}/{begun.session.id}"
    return answers.CreatedSession(**(await show.applied(begun)).parts(), client_token=grant(begun.session))


@router.get("", dependencies=[BACKEND_READS], responses=problems())
async def list_sessions(
    search: SessionSearch, tenant_id: TenantId, queries: QueriesDep, views: ViewsDep
) -> answers.SessionPage:
    """Return sessions that match every given value, youngest first."""
    with own_cursor(search.cursor):
        found, cursor = await queries.sessions(search.meant(tenant_id))
    return answers.SessionPage(sessions=tuple(views.session(snapshot) for snapshot in found), cursor=cursor)


@router.get(
    "/{session_id}",
    dependencies=[STEP_READS],
    response_model=answers.Session,
    responses={200: {"headers": ETAG}, 304: _KNOWN, **problems(*SESSION)},
)
async def read_session(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    key: SessionDep,
    queries: QueriesDep,
    views: ViewsDep,
    following: FollowingDep,
    request: Request,
    response: Response,
    waiting: Waiting,
    _: NoneMatch = None,
) -> answers.Session | Response:
    """Return the session; with `after_seq`, as soon as its `seq` is greater, or as it is when the wait is over."""
    snapshot = None
    if waiting.after_seq is not None:
        after = following.after(key, seq=waiting.after_seq, wait=waiting.wait_s * SECOND)
        snapshot = await while_here(request, after)
    snapshot = snapshot or await queries.session(key)
    tag = etag(snapshot.session.seq)
    if is_known(request, snapshot.session.seq):
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return views.session(snapshot)


@router.patch(
    "/{session_id}",
    dependencies=[BACKEND_WRITES],
    responses={200: {"headers": ETAG}, **problems(*COMMIT, *CONDITIONAL)},
)
async def change_session(
    key: SessionDep, change: requests.SessionChange, engine: EngineDep, show: ShowDep, terms: Conditional
) -> answers.Session:
    """Give the session another title or metadata; what is left out stays."""
    signal = SessionChanged(title=change.title, metadata=change.metadata)
    return await show.applied(await engine.apply(key, signal, terms=terms))


@router.delete(
    "/{session_id}",
    dependencies=[BACKEND_WRITES],
    responses={200: {"headers": ETAG}, **problems(*COMMIT, *CONDITIONAL)},
)
async def cancel_session(key: SessionDep, engine: EngineDep, show: ShowDep, terms: Conditional) -> answers.Session:
    """End the session. A second time changes nothing."""
    return await show.applied(await engine.apply(key, SessionCancelled(), terms=terms))


@router.get("/{session_id}/events", dependencies=[STEP_READS], responses=problems(*SESSION))
async def read_events(key: SessionDep, search: EventSearch, queries: QueriesDep, views: ViewsDep) -> answers.EventPage:
    """Return what happened, in order, after an event's `seq`."""
    return views.events(await queries.events(key, after=search.after, limit=search.limit))


@router.get(
    "/{session_id}/stream",
    status_code=200,
    dependencies=[STEP_READS],
    response_class=SessionStream,
    responses={200: _STREAM, **problems(TooManyStreamsError, *SESSION)},
)
async def stream_session(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    key: SessionDep,
    caller: CallerDep,
    search: Streaming,
    streams: StreamsDep,
    views: ViewsDep,
    request: Request,
    last_event_id: LastEventId = None,
) -> Response:
    """Tell what happens, as it happens (server-sent events), until the token ends or the session is over."""
    callers, bearer = request.app.state.callers, bearer_of(request.headers["authorization"])
    reader = Reader(
        key=key,
        views=views,
        after=search.after if last_event_id is None else int(last_event_id),
        is_visible=search.visible and _may_be_present(caller),
        until=caller.until,
        check=partial(callers.find, bearer),
    )
    return SessionStream(streams, reader)


def _may_be_present(caller: Caller) -> bool:
    """Whether what they say of being visible is believed: it is for the whole session, and a write."""
    if caller.session_id is None:
        return Scope.SESSIONS_WRITE in caller.scopes
    return caller.step_id is None


@router.get("/{session_id}/signals", dependencies=[BACKEND_READS], responses=problems(*SESSION))
async def read_signals(key: SessionDep, queries: QueriesDep) -> answers.SignalLog:
    """Return the newest signals that were heard and what became of each, refused ones included."""
    heard = await queries.signals(key)
    return signals(heard)
