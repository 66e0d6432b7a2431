"""The connect page: where a connect link leads. Reading it changes nothing, whoever reads: mail programs do.

The browser is named by a cookie that reading gives it and that the form's POST brings back; the link becomes that
browser's. Cookies are for this page alone: no other route reads one.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from structlog.contextvars import bind_contextvars

from api.connect_page import Kind, Page, html
from api.deps import ApiUrl, Here
from api.errors import OriginRefusedError
from api.links import session_of
from api.routes.pages import is_secure, page_headers
from api.schemas.fields import timestamp
from api.tokens import ClientTokens
from orchestrator.bootstrap import Zapwright
from orchestrator.core.errors.base import NotFoundError, SignalRefusedError
from orchestrator.core.errors.links import ConnectLinkOverError, TooManyBrowsersError
from orchestrator.core.errors.store import StoreError
from orchestrator.core.links import USABLE, LinkState, code_of
from orchestrator.core.session import Browser
from orchestrator.core.signals import ConnectLinkOpened
from orchestrator.core.tenants import digest_of, origin_of
from orchestrator.queries import Linked

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/connect/{token}", include_in_schema=False)

COOKIE: Final = "zapwright-browser"
COOKIE_S: Final = 25 * 3600
"""Longer than any link is good."""

_NAME: Final = re.compile(r"[a-z0-9]{20,64}")
_SESSION_ID: Final = re.compile(r"[A-Za-z0-9]{1,64}")
_STATUS: Final = {
    Kind.UNKNOWN: HTTPStatus.NOT_FOUND,
    Kind.EXPIRED: HTTPStatus.GONE,
    Kind.REVOKED: HTTPStatus.GONE,
    Kind.REPLACED: HTTPStatus.GONE,
    Kind.SESSION_OVER: HTTPStatus.GONE,
    Kind.NO_COOKIE: HTTPStatus.FORBIDDEN,
    Kind.ANOTHER_SITE: HTTPStatus.FORBIDDEN,
    Kind.TOO_MANY: HTTPStatus.CONFLICT,
    Kind.TROUBLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Where it is not 200."""

_ENDED: Final = {
    LinkState.EXPIRED: Kind.EXPIRED,
    LinkState.REVOKED: Kind.REVOKED,
    LinkState.REPLACED: Kind.REPLACED,
    LinkState.SESSION_OVER: Kind.SESSION_OVER,
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for the page of a link, and the browser it came from."""

    here: Zapwright
    request: Request
    token: str
    api_url: str

    @property
    def path(self) -> str:
        """The page's path, as browsers see it."""
        return f"{urlsplit(self.api_url).path}/connect/{self.token}"

    @property
    def browser(self) -> str | None:
        """The browser's name, None before it has one."""
        name = self.request.cookies.get(COOKIE, "")
        return name if _NAME.fullmatch(name) else None

    @property
    def session_id(self) -> str | None:
        """The session's id as the link's address says it: known also when the store does not answer."""
        found = session_of(self.token)
        return found if _SESSION_ID.fullmatch(found) else None

    @property
    def is_from_elsewhere(self) -> bool:
        """Whether the browser says that another site's page sent this.

        The form of a page that sends no referrer has the origin `null`; then `Sec-Fetch-Site` tells, which every
        browser of today sends. An older one says neither, but its `SameSite` cookie stays away from what others send.
        """
        site = self.request.headers.get("sec-fetch-site")
        if site is not None:
            return site != "same-origin"
        origin = self.request.headers.get("origin", "null")
        return origin != "null" and origin != _origin(self.api_url)

    async def linked(self) -> Linked:
        """Return the link. Raises SessionNotFoundError, StoreError."""
        return await self.here.queries.linked(session_of(self.token), digest_of(self.token))

    def is_known(self, browser: Browser) -> bool:
        """Tell whether this is the browser."""
        return self.browser is not None and digest_of(self.browser) == browser.digest

    def is_its_own(self, linked: Linked) -> bool:
        """Tell whether the link is this browser's."""
        return linked.link.browser is not None and self.is_known(linked.link.browser)

    def answer(self, page: Page) -> Response:
        """Return a page; the browser gets a name where it may need one."""
        status = _STATUS.get(page.kind, HTTPStatus.OK)
        answer = HTMLResponse(html(page, root=urlsplit(self.api_url).path), status, headers=page_headers(self.request))
        if self.browser is None and page.kind in {Kind.ASK, Kind.ELSEWHERE, Kind.NO_COOKIE}:
            answer.set_cookie(
                COOKIE,
                self.here.ids.new(""),
                max_age=COOKIE_S,
                path=self.path,
                secure=is_secure(self.api_url),
                httponly=True,
                samesite="lax",
            )
        return answer

    async def shown(self, page: Awaitable[Page | None]) -> Response:
        """Return a page, or the one that says why there is none; None leads the browser to read the page."""
        try:
            found = await page
        except NotFoundError:
            return self.answer(Page(kind=Kind.UNKNOWN))
        except StoreError as error:
            log.warning("connect_page_failed", problem=error.message)
            return self.answer(Page(kind=Kind.TROUBLE, reference=self.session_id))
        if found is not None:
            return self.answer(found)
        return RedirectResponse(self.path, HTTPStatus.SEE_OTHER, headers=page_headers(self.request))

    async def page(self) -> Page:
        """Return what this browser is to see. Raises SessionNotFoundError, StoreError."""
        linked = await self.linked()
        kind, waiting = self._kind(linked)
        tenant = await self.here.directory.tenant(linked.session.tenant_id)
        own = tenant.own_app(linked.step.app.id) if tenant is not None and linked.step.app is not None else None
        return Page(
            kind=kind,
            app=linked.step.app,
            takes_fields=own is not None and bool(own.fields),
            asker=None if tenant is None else tenant.public_name,
            zap=linked.session.title,
            account=linked.credential.email if linked.credential else None,
            code=waiting.code if waiting else None,
            step_id=linked.step.id if kind is Kind.FOLLOW else None,
            reference=linked.session.id if kind is Kind.FOLLOW else None,
            return_url=linked.link.return_url if self.is_its_own(linked) else None,
        )

    def _kind(self, linked: Linked) -> tuple[Kind, Browser | None]:
        if linked.state is LinkState.DONE:
            return Kind.DONE, None
        if linked.state in _ENDED:
            return _ENDED[linked.state], None
        if linked.link.browser is None:
            return Kind.ASK, None
        if self.is_its_own(linked):
            return Kind.FOLLOW, None
        waiting = next((one for one in linked.link.waiting if self.is_known(one)), None)
        return (Kind.ELSEWHERE, None) if waiting is None else (Kind.WAITING, waiting)


async def _visit(request: Request, token: str, here: Here, url: ApiUrl) -> Visit:
    visit = Visit(here, request, token, url)
    if visit.session_id is not None:
        bind_contextvars(session=visit.session_id)
    return visit


VisitDep = Annotated[Visit, Depends(_visit)]


@router.api_route("", methods=["GET", "HEAD"])
async def read_connect_page(visit: VisitDep) -> Response:
    """Show what the link is good for, in this browser. Nothing happens."""
    return await visit.shown(visit.page())


@router.api_route("/{rest:path}", methods=["GET", "HEAD"])
async def read_broken_link(visit: VisitDep) -> Response:
    """Say that the address is none, which a problem would repeat in the log, token and all."""
    return visit.answer(Page(kind=Kind.UNKNOWN))


@router.post("")
async def open_connect_link(visit: VisitDep) -> Response:
    """Give the link to this browser, or have it wait; twice is fine. The page that shows what came of it follows."""
    if visit.is_from_elsewhere:
        return visit.answer(Page(kind=Kind.ANOTHER_SITE))
    return await visit.shown(_opened(visit))


async def _opened(visit: Visit) -> Page | None:
    """Open the link in this browser; return what went wrong, None when the page itself tells."""
    linked = await visit.linked()
    if linked.state not in USABLE:
        return None
    if visit.browser is None:
        return Page(kind=Kind.NO_COOKIE)
    signal = ConnectLinkOpened(
        step_id=linked.step.id,
        link_id=linked.link.id,
        browser=digest_of(visit.browser),
        code=code_of(visit.here.ids.new("")),
    )
    try:
        await visit.here.engine.apply(linked.session.key, signal)
    except TooManyBrowsersError:
        return Page(kind=Kind.TOO_MANY)
    except SignalRefusedError:
        return None  # it came to its end just now
    return None


@router.post("/client-token")
async def create_step_token(visit: VisitDep) -> Response:
    """Give the page of this browser a client token that is good for its step alone.

    Raises OriginRefusedError, ConnectLinkOverError when the link is not this browser's or can be used no more,
    SessionNotFoundError, StoreError.
    """
    if visit.is_from_elsewhere:
        raise OriginRefusedError(origin=visit.request.headers.get("origin", "null"))
    linked = await visit.linked()
    session, step, link, now = linked.session, linked.step, linked.link, visit.here.clock.now()
    is_good = linked.state in USABLE or (linked.state is LinkState.DONE and session.is_open and now < link.expires_at)
    if not is_good or not visit.is_its_own(linked):
        raise ConnectLinkOverError(session_id=session.id, step_id=step.id, link_id=link.id, state=linked.state)
    tokens: ClientTokens = visit.request.app.state.tokens
    token = tokens.make(
        tenant_id=session.tenant_id,
        session_id=session.id,
        user_id=session.user_id,
        origins=[_origin(visit.api_url)],
        now=now,
        step_id=step.id,
    )
    return JSONResponse(
        {
            "token": token.text,
            "expires_at": timestamp(token.expires_at),
            "api_url": visit.api_url,
            "session_id": session.id,
            "step_id": step.id,
        },
        headers={"Cache-Control": "no-store"},
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return origin_of(f"{parts.scheme}://{parts.netloc}")
