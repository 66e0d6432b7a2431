"""The door (ASGI middleware).

Who is not signed in sees nothing of a deployment, nobody acts from another origin, and every page has its policy.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, MutableMapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlsplit

from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard import paper
from dashboard.visits import Visits

Headers: TypeAlias = list[tuple[bytes, bytes]]

SIGN_IN: Final = "/sign-in"
OPEN: Final = ("/healthz", "/metrics", SIGN_IN, "/web/", "/favicon.ico", "/_nicegui/")
"""What anybody may have: nothing of a deployment's is there."""

_SOCKET: Final = "/_nicegui_ws/"
_HTML: Final = b"text/html"
_IGNORED: Final = frozenset({b"x-forwarded-prefix", b"accept-encoding"})
"""NiceGUI would believe the first whoever sent it. Pages are not compressed: they are read here."""

ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


class Door:
    """Stands before every page. `public_url` is where browsers reach the dashboard, if a proxy stands before that."""

    def __init__(self, app: ASGIApp, *, visits: Visits, public_url: str | None = None) -> None:
        self._app = app
        self._visits = visits
        self._origin = None if public_url is None else origin_of(public_url)
        self._is_secure = is_secure(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through what may pass."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name not in _IGNORED]
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            await (_hang_up(receive, send) if refusal else self._app(scope, receive, send))
            return
        nonce = secrets.token_urlsafe(16)
        await (refusal or self._app)(scope, receive, _Reader(send, nonce).send)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return what is answered in place of what was asked for, None for who may have it."""
        path = scope["path"]
        if not self._is_from_here(scope):
            return PlainTextResponse(
                "This came from another place than the dashboard's own pages.", HTTPStatus.FORBIDDEN
            )
        scope.setdefault("state", {})["visit_name"] = name = cookie_of(scope, is_secure=self._is_secure)
        is_page = not path.startswith(_SOCKET) and path != "/awake"
        scope["state"]["visit"] = visit = self._visits.find(name, touch=is_page)
        if visit is not None or path.startswith(OPEN):
            return None
        if scope["type"] == "websocket" or path.startswith(_SOCKET):
            return PlainTextResponse("Sign in first.", HTTPStatus.FORBIDDEN)
        if name is None and _header(scope, b"sec-fetch-site") == "cross-site":
            return HTMLResponse(paper.step_inside())
        return RedirectResponse(f"{SIGN_IN}?next={quote(_address(scope))}", HTTPStatus.SEE_OTHER)

    def _is_from_here(self, scope: Scope) -> bool:
        """Whether what changes something, or keeps a connection, comes from a page of our own."""
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"} and not scope["path"].startswith(_SOCKET):
            return True
        origin = _header(scope, b"origin")
        if origin is None:
            return scope["path"].startswith(_SOCKET) and _header(scope, b"sec-fetch-site") == "same-origin"
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        return origin == (self._origin or f"{scheme}://{_header(scope, b'host')}")


class _Reader:
    """Reads answers on their way out: each gets its headers, and NiceGUI's inline scripts the nonce of their page."""

    def __init__(self, send: Send, nonce: str) -> None:
        self._send = send
        self._nonce = nonce
        self._start: MutableMapping[str, Any] | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        """Send one part of an answer, or keep it until the whole is there."""
        if message["type"] == "http.response.start":
            headers: Headers = list(message.get("headers", ()))
            is_html = any(name.lower() == b"content-type" and value.startswith(_HTML) for name, value in headers)
            message = {**message, "headers": [*headers, *ALWAYS, *self._policies(is_html=is_html)]}
            if is_html:
                self._start = message
                return
        elif self._start is not None:
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            await self._finish(self._start)
            return
        await self._send(message)

    async def _finish(self, start: Message) -> None:
        body = self._body.replace(
            b'style="display: none"', b"hidden"
        )  # NiceGUI's page has one, and no style may be inline
        for tag in (b"script", b"style"):
            body = body.replace(b"<" + tag, b'<%b nonce="%b"' % (tag, self._nonce.encode()))
        kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        await self._send({**start, "headers": [*kept, (b"content-length", str(len(body)).encode())]})
        await self._send({"type": "http.response.body", "body": body})

    def _policies(self, *, is_html: bool) -> Headers:
        if not is_html:
            return [(b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")]
        return [(b"content-security-policy", policy(self._nonce).encode()), (b"cache-control", b"no-store")]


def policy(nonce: str) -> str:
    """Return under what policy a page runs.

    Scripts and styles are our own files or bear the nonce, none is made of text (no `unsafe-eval`, no `unsafe-inline`),
    nothing is asked of anybody else, forms lead nowhere else, and no page stands in a frame.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}'",
            f"style-src 'self' 'nonce-{nonce}'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


def is_secure(public_url: str | None) -> bool:
    """Whether browsers reach the dashboard by https, so that its cookie may be kept to that."""
    return (public_url or "").startswith("https:")


def cookie_name(*, is_secure: bool) -> str:
    """Return what the cookie is called; the prefix has browsers refuse one that somebody else put there."""
    return "__Host-zapwright" if is_secure else "zapwright-dashboard"


def cookie_of(scope: Scope, *, is_secure: bool) -> str | None:
    """Return what the browser sent to be known by."""
    cookies = SimpleCookie()
    try:
        for name, value in scope["headers"]:
            if name == b"cookie":
                cookies.load(value.decode("latin-1"))
    except CookieError:
        return None
    found = cookies.get(cookie_name(is_secure=is_secure))
    return None if found is None else found.value


def origin_of(url: str) -> str:
    """Return the origin of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def own_address(text: str) -> str:
    """Return the address if it is one of the dashboard's pages, else that of the overview."""
    is_own = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if is_own and not text.startswith(SIGN_IN) else "/"


def _address(scope: Scope) -> str:
    query = scope["query_string"].decode("latin-1")
    path: str = quote(scope["path"])
    return f"{path}?{query}" if query else path


def _header(scope: Scope, name: bytes) -> str | None:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return next((value.decode("latin-1") for found, value in headers if found == name), None)


async def _hang_up(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1008})
