"""The way of a browser that signs its user in to Zapier: it is given a name, sent there, and led back.

The browser's secret is in a cookie, which only these pages read. What Zapier hands back stands in no address for longer
than it takes to read it: every answer to that leads on to an address that says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import urlencode, urlsplit

import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.deps import ApiUrl, Here, origin_in
from api.routes.pages import is_secure, page_headers
from api.sign_in_page import Kind, Page, html
from orchestrator.bootstrap import Zapwright
from orchestrator.core.errors.credentials import SignInRefusedError
from orchestrator.core.errors.store import StoreError
from orchestrator.core.errors.tenants import ClientMissingError
from orchestrator.core.sign_ins import Failure, SignIn, SignInState, name_for

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/zapier-sign-in", include_in_schema=False)

COOKIE: Final = "zapwright-sign-in"
COOKIE_S: Final = 2 * 3600
"""Longer than a sign-in can take."""

CALLBACK: Final = "/zapier-sign-in/callback"
"""Where Zapier leads back to, below the API's address: what is registered there as a redirect URI."""

BROWSER: Final = "zapwright_browser"
OUTCOME: Final = "zapwright_sign_in"
"""What pages that are led back to are told, in their address's query."""

_REFERENCE: Final = re.compile(r"[a-z0-9]{1,20}")
_SECRET: Final = re.compile(r"[a-z0-9]{20,64}")
_AN_ERROR: Final = re.compile(r"[a-z_]{1,64}")
_PASSING: Final = frozenset({"server_error", "temporarily_unavailable"})
_STATUS: Final = {
    Kind.UNKNOWN: HTTPStatus.NOT_FOUND,
    Kind.ANOTHER_BROWSER: HTTPStatus.FORBIDDEN,
    Kind.FOREIGN_PAGE: HTTPStatus.FORBIDDEN,
    Kind.EXPIRED: HTTPStatus.GONE,
    Kind.USED: HTTPStatus.GONE,
    Kind.TROUBLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Where it is not 200."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a browser on its way."""

    here: Zapwright
    request: Request
    api_url: str

    @property
    def root(self) -> str:
        """The path of the API, as browsers see it."""
        return urlsplit(self.api_url).path

    @property
    def secret(self) -> str:
        """The browser's secret; empty where it has none."""
        found = self.request.cookies.get(self._cookie, "")
        return found if _SECRET.fullmatch(found) else ""

    @property
    def _is_secure(self) -> bool:
        return is_secure(self.api_url)

    @property
    def _cookie(self) -> str:
        """The cookie's name: with this beginning, no neighbouring host can plant one of its own."""
        return f"__Host-{COOKIE}" if self._is_secure else COOKIE

    def remember(self, answer: Response, secret: str) -> Response:
        """Have the browser keep its secret, for as long as a sign-in may take from now."""
        answer.set_cookie(
            self._cookie,
            secret,
            max_age=COOKIE_S,
            path="/" if self._is_secure else f"{self.root}/zapier-sign-in",
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    def page(self, page: Page) -> Response:
        """Return a page."""
        status = _STATUS.get(page.kind, HTTPStatus.OK)
        return HTMLResponse(html(page, root=self.root), status, headers=page_headers(self.request))

    def to(self, address: str) -> Response:
        """Lead the browser there."""
        return RedirectResponse(address, HTTPStatus.SEE_OTHER, headers=page_headers(self.request))

    def refused(self, kind: str) -> Response:
        """Lead the browser to the page that says why it cannot go on."""
        return self.to(f"{self.root}/zapier-sign-in/refused/{kind}")

    async def is_known(self, origin: str | None) -> bool:
        """Tell whether pages of this origin may name the browser: any tenant's, and our own. Raises StoreError."""
        return origin is not None and (
            origin == origin_in(self.api_url) or origin in await self.here.directory.origins()
        )

    async def shown(self, sign_in: SignIn) -> Page:
        """Return the page that says what came of a sign-in. Raises StoreError."""
        tenant = await self.here.directory.tenant(sign_in.tenant_id)
        standing = None
        if sign_in.state is SignInState.SIGNED_IN:
            standing = await self.here.store.credentials.standing(sign_in.tenant_id, sign_in.user_id)
        kind = _kind(sign_in)
        return Page(
            kind=kind,
            asker=None if tenant is None else tenant.public_name,
            account=standing.email if standing is not None else None,
            back=None if sign_in.return_url is None else _with(sign_in.return_url, OUTCOME, kind),
            tells=sign_in.origins,
        )

    async def tried(self, deed: Callable[[], Awaitable[Response]]) -> Response:
        """Return what a deed answers, or lead to the page that says why it cannot be done."""
        try:
            return await deed()
        except SignInRefusedError as refused:
            return self.refused(refused.why)
        except ClientMissingError as error:
            log.warning("client_missing", problem=error.message)
            return self.refused(Kind.CLIENT_REFUSED)
        except StoreError as error:
            log.warning("sign_in_failed", problem=error.message)
            return self.refused(f"{Kind.TROUBLE}?reference={self.request.scope['state']['reference']}")


async def _visit(request: Request, here: Here, url: ApiUrl) -> Visit:
    return Visit(here, request, url)


VisitDep = Annotated[Visit, Depends(_visit)]


@router.get("")
async def name_browser(visit: VisitDep, origin: str | None = None, return_url: str | None = None) -> Response:
    """Tell a page how it may name this browser: the page that opened this window, or the one that is led back to.

    Nobody else hears it: a message goes to pages of that origin only, and a way back leads to one.
    """

    async def named() -> Response:
        place = origin_in(return_url) if return_url is not None else origin
        if place is None or not await visit.is_known(place):
            return visit.page(Page(kind=Kind.FOREIGN_PAGE))
        secret = visit.secret or visit.here.ids.new("")
        name = name_for(place, secret)
        if return_url is not None:
            return visit.remember(visit.to(_with(return_url, BROWSER, name)), secret)
        return visit.remember(visit.page(Page(kind=Kind.GREETING, tells=(place,), browser=name)), secret)

    return await visit.tried(named)


@router.get("/callback")
async def come_back(visit: VisitDep, state: str = "", code: str | None = None, error: str | None = None) -> Response:
    """Take what the browser brings back from Zapier, and lead on to the page that says what came of it."""

    async def taken() -> Response:
        if not code and error is None:
            return visit.refused(Kind.UNKNOWN)
        sign_in = await visit.here.sign_ins.finish(
            state, browser_secret=visit.secret, brought=code if code and error is None else _failure(error)
        )
        return visit.to(f"{visit.root}/zapier-sign-in/result/{sign_in.id}")

    return await visit.tried(taken)


@router.get("/result/{sign_in_id}")
async def show_result(visit: VisitDep, sign_in_id: str) -> Response:
    """Say what came of a sign-in.

    Who came with their whole page goes back from there, by the page's script or its button: a redirect would be one of
    the form by which they answered Zapier, and where such a form may lead to is up to Zapier's page.
    """

    async def result() -> Response:
        sign_in = await visit.here.sign_ins.read(sign_in_id, browser_secret=visit.secret)
        return visit.page(await visit.shown(sign_in))

    return await visit.tried(result)


@router.get("/refused/{why}")
async def show_refusal(visit: VisitDep, why: str, reference: str = "") -> Response:
    """Say why the browser cannot go on; `reference` is by what the log has the request that failed."""
    kinds = {kind.value for kind in (*_STATUS, Kind.CLIENT_REFUSED)}
    kind = Kind(why) if why in kinds else Kind.UNKNOWN
    is_quoted = kind is Kind.TROUBLE and _REFERENCE.fullmatch(reference)
    return visit.page(Page(kind=kind, reference=reference if is_quoted else None))


@router.get("/{token}")
async def open_sign_in(visit: VisitDep, token: str) -> Response:
    """Send the browser to Zapier, if the sign-in is its own. Once."""

    async def opened() -> Response:
        way = await visit.here.sign_ins.open(
            token, browser_secret=visit.secret, redirect_uri=f"{visit.api_url}{CALLBACK}"
        )
        return visit.remember(visit.to(way), visit.secret)

    return await visit.tried(opened)


def _kind(sign_in: SignIn) -> Kind:
    match sign_in.state:
        case SignInState.SIGNED_IN:
            return Kind.SIGNED_IN
        case SignInState.FAILED if sign_in.failure is not None:
            return Kind(sign_in.failure.value)
        case SignInState.RETURNED:
            return Kind.UNSURE
        case _:
            return Kind.UNKNOWN


def _failure(error: str | None) -> Failure:
    """Read why Zapier led the browser back without a code (RFC 6749, 4.1.2.1)."""
    if error == "access_denied":
        return Failure.DENIED
    log.warning("authorization_refused", error=error if error and _AN_ERROR.fullmatch(error) else None)
    return Failure.NOT_REACHED if error in _PASSING else Failure.CLIENT_REFUSED


def _with(address: str, name: str, value: str) -> str:
    """Return an address with one more word in its query."""
    before, mark, fragment = address.partition("#")
    return f"{before}{'&' if '?' in before else '?'}{urlencode({name: value})}{mark}{fragment}"
