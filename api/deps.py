"""What routes are given: use cases, reads, and a way to show what came of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response

from api.auth import Caller, CallerDep
from api.errors import OriginRefusedError, RequestInvalidError
from api.polls import LongPolls
from api.schemas import answers
from api.schemas.fields import timestamp
from api.terms import etag, mark_replay
from api.tokens import ClientTokens
from api.views import Views
from orchestrator.bootstrap import Zapwright
from orchestrator.commits import Applied
from orchestrator.core.ports import Clock, Written
from orchestrator.core.session import Session
from orchestrator.creation import Creator
from orchestrator.engine import Engine
from orchestrator.filling import Filler
from orchestrator.metrics import Metrics
from orchestrator.queries import Queries


class Show:
    """Shows sessions just as they were read or committed, with their user's credential and next checks."""

    def __init__(self, queries: Queries, views: Views, response: Response) -> None:
        self._queries = queries
        self._response = response
        self.views = views

    async def __call__(self, session: Session, written: Written | None = None) -> answers.Session:
        """Show one session under its entity tag; it is not read again, so that a writer sees what was written."""
        self._response.headers["ETag"] = etag(session.seq)
        return self.views.session(await self._queries.snapshot(session, written=written))

    async def applied(self, applied: Applied) -> answers.Session:
        """Show what became of a session, and whether the request had been carried out before."""
        mark_replay(self._response, is_replay=applied.is_replay)
        return await self(applied.session, applied.written)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granting:
    """Gives out client tokens, for pages of the caller's origins."""

    tokens: ClientTokens
    clock: Clock
    caller: Caller
    api_url: str

    def __call__(self, session: Session, *, origin: str | None = None) -> answers.ClientToken:
        """Give one for a session of the caller's. Raises OriginRefusedError for an origin that is not the caller's."""
        if origin is not None and origin not in self.caller.origins:
            raise OriginRefusedError(origin=origin)
        token = self.tokens.make(
            tenant_id=session.tenant_id,
            session_id=session.id,
            user_id=session.user_id,
            origins=sorted(self.caller.origins) if origin is None else [origin],
            now=self.clock.now(),
        )
        return answers.ClientToken(
            token=token.text,
            expires_at=timestamp(token.expires_at),
            api_url=self.api_url,
            session_id=session.id,
        )


async def zapwright(request: Request) -> Zapwright:
    """Return this process's Zapwright."""
    here: Zapwright = request.app.state.zapwright
    return here


Here = Annotated[Zapwright, Depends(zapwright)]


async def _engine(here: Here) -> Engine:
    return here.engine


async def _queries(here: Here) -> Queries:
    return here.queries


async def _filler(here: Here) -> Filler:
    return here.filler


async def _creator(here: Here) -> Creator:
    return here.creator


async def _views(here: Here) -> Views:
    return Views(message_origin=here.settings.zapier_message_origin, baseline_fresh=here.policy.baseline_fresh)


async def _show(
    queries: Annotated[Queries, Depends(_queries)], views: Annotated[Views, Depends(_views)], response: Response
) -> Show:
    return Show(queries, views, response)


async def _granting(request: Request, here: Here, caller: CallerDep) -> Granting:
    url = here.settings.public_api_url or str(request.base_url)
    return Granting(tokens=request.app.state.tokens, clock=here.clock, caller=caller, api_url=url.rstrip("/"))


async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


async def _polls(request: Request) -> LongPolls:
    polls: LongPolls = request.app.state.polls
    return polls


EngineDep = Annotated[Engine, Depends(_engine)]
QueriesDep = Annotated[Queries, Depends(_queries)]
FillerDep = Annotated[Filler, Depends(_filler)]
CreatorDep = Annotated[Creator, Depends(_creator)]
ViewsDep = Annotated[Views, Depends(_views)]
ShowDep = Annotated[Show, Depends(_show)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]
GrantingDep = Annotated[Granting, Depends(_granting)]
PollsDep = Annotated[LongPolls, Depends(_polls)]


@contextmanager
def own_cursor(cursor: str | None) -> Iterator[None]:
    """Take the ValueError of a cursor that is not ours for what it is: a flaw of the request."""
    try:
        yield
    except ValueError as error:
        if cursor is None:
            raise
        raise RequestInvalidError.of_parameter("cursor", "this is no cursor of ours; begin without one") from error
