"""What routes are given: use cases, reads, and a way to show what came of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Annotated

from fastapi import Depends, Request, Response
from starlette.datastructures import URL

from api.auth import Caller, CallerDep, OperatorDep
from api.errors import OriginRefusedError, RequestInvalidError
from api.headers import header
from api.links import LinkTokens
from api.quick import of_process
from api.schemas import answers, requests
from api.schemas.fields import SessionId, timestamp
from api.stream import Streams
from api.terms import etag, mark_replay
from api.tokens import ClientTokens
from api.views import Views, connect_link
from orchestrator.bootstrap import Zapwright
from orchestrator.commits import Applied
from orchestrator.core.errors.links import ConnectLinkNotFoundError
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.health import LONGEST_READ, browser_of
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.sessions import Outcome, Written
from orchestrator.core.required import link_of, step_of
from orchestrator.core.session import BrowserFamily, ConnectLink, Session, Step
from orchestrator.core.sign_ins import Newcomer
from orchestrator.core.tenants import origin_of
from orchestrator.core.values import value
from orchestrator.creation import Creator
from orchestrator.engine import Engine
from orchestrator.filling import Filler
from orchestrator.following import Following
from orchestrator.insight import Insight
from orchestrator.interventions import Interventions
from orchestrator.metrics import Metrics
from orchestrator.oversight import Oversight
from orchestrator.queries import Queries
from orchestrator.signing_in import SignIns, SignInWish
from orchestrator.supplying import Supplier
from orchestrator.webhooks import Webhooks


class Show:
    """Shows sessions just as they were read or committed, with their user's credential and next checks."""

    def __init__(self, queries: Queries, views: Views, response: Response) -> None:
        self._queries = queries
        self._response = response
        self.views = views

    async def __call__(self, session: Session, written: Written | None = None) -> answers.Session:
        """Show one session under its entity tag; it is not read again, so that a writer sees what was written."""
        self._response.raw_headers.append((b"etag", etag(session.seq).encode()))
        return self.views.session(await self._queries.snapshot(session, written=written))

    async def intervened(self, applied: Applied, *, says: str, already: str) -> answers.Intervened:
        """Show an operator what became of a session; `says` is what was done, `already` why nothing had to be."""
        mark_replay(self._response, is_replay=applied.is_replay)
        self._response.headers["ETag"] = etag(applied.session.seq)
        snapshot = await self._queries.snapshot(applied.session, written=applied.written)
        is_done = applied.outcome is Outcome.APPLIED
        return answers.Intervened(
            outcome=applied.outcome,
            says=says if is_done else f"Nothing was changed: {already}.",
            session=self.views.operators(snapshot),
        )

    async def applied(self, applied: Applied) -> answers.Session:
        """Show what became of a session, and whether the request had been carried out before."""
        mark_replay(self._response, is_replay=applied.is_replay)
        return await self(applied.session, applied.written)


@value
class Linking:
    """Knows the addresses of connect links, and shows them."""

    tokens: LinkTokens
    clock: Clock
    caller: Caller
    api_url: str

    def accept(self, return_url: str | None) -> None:
        """Accept an address of the caller's own pages. Raises OriginRefusedError."""
        _accept(return_url, self.caller)

    def created(self, session: Session, step_id: str, link_id: str) -> answers.CreatedConnectLink:
        """Show a link with its address. Raises ConnectLinkNotFoundError when it, or the key it was made by, is gone."""
        step, link = _link(session, step_id, link_id)
        token = self.tokens.again(session.id, link)
        if token is None:
            raise ConnectLinkNotFoundError(session_id=session.id, step_id=step_id, link_id=link_id)
        shown = connect_link(link, step, session, now=self.clock.now())
        return answers.CreatedConnectLink(**shown.parts(), url=f"{self.api_url}/connect/{token}")

    def one(self, session: Session, step_id: str, link_id: str) -> answers.ConnectLink:
        """Show a link. Raises StepNotFoundError, ConnectLinkNotFoundError."""
        step, link = _link(session, step_id, link_id)
        return connect_link(link, step, session, now=self.clock.now())

    def all(self, session: Session, step_id: str) -> answers.ConnectLinkList:
        """Show a step's links. Raises StepNotFoundError."""
        step, now = step_of(session, step_id), self.clock.now()
        return answers.ConnectLinkList(
            links=tuple(connect_link(link, step, session, now=now) for link in reversed(step.links))
        )


@value
class SigningIn:
    """Begins sign-ins, for pages of the caller's origins."""

    sign_ins: SignIns
    caller: Caller
    api_url: str

    def meant(self, wish: requests.SignInWish) -> SignInWish:
        """Return what is asked for. Raises OriginRefusedError."""
        _accept(wish.return_url, self.caller)
        newcomer = None if wish.newcomer is None else Newcomer(**vars(wish.newcomer))
        return SignInWish(
            browser=wish.browser,
            origins=sorted(self.caller.origins),
            return_url=wish.return_url,
            newcomer=newcomer,
        )

    async def __call__(self, tenant_id: str, user_id: str, wish: SignInWish) -> answers.SignIn:
        """Begin one, and show its address. Raises as `SignIns.begin`."""
        begun = await self.sign_ins.begin(tenant_id, user_id, wish)
        return answers.SignIn(
            url=f"{self.api_url}/zapier-sign-in/{begun.token}", opens_until=timestamp(begun.opens_until)
        )


def origin_in(address: str | None) -> str | None:
    """Return the origin of an address, None for what has none."""
    if address is None:
        return None
    with suppress(ValueError):
        return origin_of("/".join(re.split(r"[/?#]", address, maxsplit=3)[:3]))
    return None


def _accept(return_url: str | None, caller: Caller) -> None:
    """Accept an address of the caller's own pages. Raises OriginRefusedError."""
    if return_url is None:
        return
    origin = origin_in(return_url)
    if origin is None or origin not in caller.origins:  # what is no origin is none of the caller's
        raise OriginRefusedError(origin=origin or return_url)


def _link(session: Session, step_id: str, link_id: str) -> tuple[Step, ConnectLink]:
    step = step_of(session, step_id)
    return step, link_of(session, step, link_id)


@value
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


@of_process
async def zapwright(request: Request) -> Zapwright:
    """Return this process's Zapwright."""
    here: Zapwright = request.app.state.zapwright
    return here


Here = Annotated[Zapwright, Depends(zapwright)]


@of_process
async def _engine(here: Here) -> Engine:
    return here.engine


@of_process
async def _queries(here: Here) -> Queries:
    return here.queries


@of_process
async def _oversight(here: Here) -> Oversight:
    return here.oversight


@of_process
async def _filler(here: Here) -> Filler:
    return here.filler


@of_process
async def _creator(here: Here) -> Creator:
    return here.creator


@of_process
async def _supplier(here: Here) -> Supplier:
    return here.supplier


@of_process
async def _webhooks(here: Here) -> Webhooks:
    return here.webhooks


@of_process
async def _insight(here: Here) -> Insight:
    return here.insight


@of_process
async def _interventions(here: Here) -> Interventions:
    return here.interventions


async def _seen(session_id: SessionId, operator: OperatorDep, here: Here) -> Session:
    """Return the session that the address names, if it is the operator's to see. Raises SessionNotFoundError."""
    session = await here.insight.session(session_id)
    if not operator.may_see(session.tenant_id):
        raise SessionNotFoundError(session_id=session_id)
    return session


async def _views(here: Here, caller: CallerDep) -> Views:
    return Views(
        message_origin=here.settings.zapier_message_origin,
        baseline_fresh=here.policy.baseline_fresh,
        only_step=caller.step_id,
    )


async def _show(
    queries: Annotated[Queries, Depends(_queries)], views: Annotated[Views, Depends(_views)], response: Response
) -> Show:
    return Show(queries, views, response)


async def api_url(request: Request, here: Here) -> str:
    """Return where browsers reach the API, without a slash at the end."""
    url = here.settings.public_api_url or _base_url(
        request.scope["scheme"],
        header(request.scope, b"host"),
        request.scope["server"],
        request.scope.get("root_path", ""),
    )
    return url.rstrip("/")


ApiUrl = Annotated[str, Depends(api_url)]


async def _granting(request: Request, here: Here, caller: CallerDep, url: ApiUrl) -> Granting:
    return Granting(tokens=request.app.state.tokens, clock=here.clock, caller=caller, api_url=url)


async def _linking(request: Request, here: Here, caller: CallerDep, url: ApiUrl) -> Linking:
    return Linking(tokens=request.app.state.link_tokens, clock=here.clock, caller=caller, api_url=url)


async def _signing_in(here: Here, caller: CallerDep, url: ApiUrl) -> SigningIn:
    return SigningIn(sign_ins=here.sign_ins, caller=caller, api_url=url)


@lru_cache(maxsize=64)
def _base_url(scheme: str, host: str | None, server: tuple[str, int | None] | None, path: str) -> str:
    """Say where the API was reached, as Starlette does, which looks at every part anew for each request."""
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    return str(URL(scope={"scheme": scheme, "server": server, "path": path or "/", "headers": headers}))


@of_process
async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


@of_process
async def _following(here: Here) -> Following:
    return here.following


async def _browser(request: Request) -> BrowserFamily:
    return _family((header(request.scope, b"user-agent") or "")[:LONGEST_READ])


_family = lru_cache(maxsize=256)(browser_of)


@of_process
async def _streams(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


EngineDep = Annotated[Engine, Depends(_engine)]
QueriesDep = Annotated[Queries, Depends(_queries)]
OversightDep = Annotated[Oversight, Depends(_oversight)]
FillerDep = Annotated[Filler, Depends(_filler)]
CreatorDep = Annotated[Creator, Depends(_creator)]
SupplierDep = Annotated[Supplier, Depends(_supplier)]
WebhooksDep = Annotated[Webhooks, Depends(_webhooks)]
ViewsDep = Annotated[Views, Depends(_views)]
ShowDep = Annotated[Show, Depends(_show)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]
GrantingDep = Annotated[Granting, Depends(_granting)]
FollowingDep = Annotated[Following, Depends(_following)]
LinkingDep = Annotated[Linking, Depends(_linking)]
BrowserDep = Annotated[BrowserFamily, Depends(_browser)]
"""In which family of browsers the page is."""

SigningInDep = Annotated[SigningIn, Depends(_signing_in)]
StreamsDep = Annotated[Streams, Depends(_streams)]
InsightDep = Annotated[Insight, Depends(_insight)]
InterventionsDep = Annotated[Interventions, Depends(_interventions)]
SeenSession = Annotated[Session, Depends(_seen)]
"""The session that the address names, for operators who may see it."""


@contextmanager
def own_cursor(cursor: str | None) -> Iterator[None]:
    """Take the ValueError of a cursor that is not ours for what it is: a flaw of the request."""
    try:
        yield
    except ValueError as error:
        if cursor is None:
            raise
        raise RequestInvalidError.of_parameter("cursor", "this is no cursor of ours; begin without one") from error
