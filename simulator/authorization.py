"""The pages on which a user lets a client act for them (Zapier docs: user-access-token, quick-account-creation).

The API's front door (`/v2/authorize`) leads to Zapier's own page, that one to signing in where the browser is nobody
yet, or to a quick sign-up, and back: with a code and the state, or with the error of RFC 6749 for who denies.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from simulator.accounts import ACCOUNT_NAME, CLIENT_ID
from simulator.pages import page
from simulator.popups import ACCOUNT_COOKIE, form_of, signed_in
from simulator.switches import SignIn
from simulator.upstream import Upstream

_FRONT_DOOR: Final = "/v2/authorize"
_AUTHORIZE: Final = "/oauth/authorize/"
_SEE_OTHER: Final = 303
_FOUND: Final = 302
_OTHER_STATE: Final = "a-state-of-somebody-else"
_SIGN_UP: Final = ("sign_up_email", "sign_up_first_name", "sign_up_last_name")


def authorization_routes(upstream: Upstream) -> list[Route]:
    """Return the routes of the pages."""
    pages = AuthorizationPages(upstream)
    return [
        Route(_FRONT_DOOR, pages.enter, methods=["GET"]),
        Route(_AUTHORIZE, pages.ask, methods=["GET"]),
        Route(_AUTHORIZE, pages.decide, methods=["POST"]),
        Route("/oauth/sign-up/", pages.sign_up, methods=["GET"]),
        Route("/oauth/sign-up/", pages.create, methods=["POST"]),
    ]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks a user for, as the address of the page says it."""

    client_id: str
    redirect_uri: str
    scope: str
    state: str | None
    query: str

    @property
    def origin(self) -> str:
        """The origin of the page it leads back to."""
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc}"

    def back(self, switches: SignIn, **said: str) -> str:
        """Return where the browser goes afterwards."""
        kept = {"state": self.state} if self.state is not None else {}
        state = {"kept": kept, "other": {"state": _OTHER_STATE}, "absent": {}}[switches.state]
        joint = "&" if urlsplit(self.redirect_uri).query else "?"
        return f"{self.redirect_uri}{joint}{urlencode(said | state)}"


class AuthorizationPages:
    """The pages of one simulator."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    @property
    def _switches(self) -> SignIn:
        return self._upstream.switches.sign_in

    async def enter(self, request: Request) -> Response:
        """Lead from the API's address to the page."""
        return RedirectResponse(f"{_AUTHORIZE}?{request.url.query}", _FOUND)

    async def ask(self, request: Request) -> Response:
        """Ask the user, once it is known who they are."""
        wish = self._wish(request.url.query)
        if isinstance(wish, str):
            return page("This sign-in cannot begin", f"<p>{escape(wish)}</p>", status=400)
        account = signed_in(request) or self._switches.account
        if account is None:
            return RedirectResponse(self._way_in(wish), _SEE_OTHER)
        here = escape(urlencode({"next": f"{_AUTHORIZE}?{wish.query}"}))
        asked = "".join(f"<li><code>{escape(one)}</code></li>" for one in wish.scope.split())
        body = (
            f"<h1>Let {escape(wish.client_id)} use your Zapier account?</h1>"
            f"<p>It asks for:</p><ul>{asked}</ul>"
            f'<form method="post"><p><button class="button" id="allow" name="answer" value="allowed">Allow</button> '
            f'<button class="button plain" id="deny" name="answer" value="denied">Deny</button></p></form>'
            f'<p class="aside">Signed in as <b id="who">{escape(account)}</b>. '
            f'<a id="switch" href="/engine/account?{here}">Not you?</a></p>'
        )
        walks = {"allows": "allow", "denies": "deny"}
        return self._page("Sign in to Zapier", body, wish, click=walks.get(self._switches.visitor))

    async def decide(self, request: Request) -> Response:
        """Take the user's answer, and lead back."""
        wish = self._wish(request.url.query)
        account = signed_in(request) or self._switches.account
        if isinstance(wish, str) or account is None:
            return RedirectResponse(f"{_AUTHORIZE}?{request.url.query}", _SEE_OTHER)
        switches, upstream = self._switches, self._upstream
        if switches.redirect_after_ms:
            await upstream.sleep(switches.redirect_after_ms / 1000)
        if (await form_of(request)).get("answer") == "allowed":
            code = upstream.tokens.issue_code(
                account,
                client_id=wish.client_id,
                redirect_uri=wish.redirect_uri,
                scope=wish.scope,
                now=upstream.clock(),
                switches=upstream.switches.tokens,
            )
            return RedirectResponse(wish.back(switches, code=code), _SEE_OTHER)
        if switches.denial == "page":
            return page("Nothing was allowed", "<p>You can close this window.</p>")
        return RedirectResponse(wish.back(switches, error="access_denied"), _SEE_OTHER)

    async def sign_up(self, request: Request) -> Response:
        """Offer an account to somebody of whom everything is known that it takes."""
        wish = self._wish(request.url.query)
        newcomer = _newcomer(request.url.query)
        if isinstance(wish, str) or newcomer is None:
            return page("This sign-up cannot begin", "<p>Something is missing in its address.</p>", status=400)
        rows = "".join(f"<p><b>{escape(value)}</b></p>" for value in newcomer.values())
        body = (
            f"<h1>Create your Zapier account</h1>{rows}"
            f'<form method="post"><p><button class="button" id="create-account">Create account</button></p></form>'
            f'<p class="aside">You have one? <a id="sign-in-instead" href="{escape(_sign_in(wish))}">Sign in</a></p>'
        )
        is_walked = self._switches.visitor in {"allows", "denies"}
        return self._page("Create your Zapier account", body, wish, click="create-account" if is_walked else None)

    async def create(self, request: Request) -> Response:
        """Create the account, and sign the browser in to it."""
        newcomer = _newcomer(request.url.query)
        response = RedirectResponse(f"{_AUTHORIZE}?{request.url.query}", _SEE_OTHER)
        if newcomer is not None:
            response.set_cookie(ACCOUNT_COOKIE, _account(newcomer) or "", httponly=True, samesite="lax")
        return response

    def _wish(self, query: str) -> Wish | str:
        """Read what is asked for, or say what is wrong with it."""
        given = dict(parse_qsl(query, keep_blank_values=True))
        uri = given.get("redirect_uri", "")
        parts = urlsplit(uri)
        if not re.fullmatch(CLIENT_ID, given.get("client_id", "")):
            return "There is no client with this client_id."
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.fragment:
            return "The redirect_uri is no address."
        if self._switches.redirect_uris and uri not in self._switches.redirect_uris:
            return "The redirect_uri is not one that was registered."
        if given.get("response_type") != "code" or not given.get("scope"):
            return "The response_type must be code, and there must be a scope."
        return Wish(given["client_id"], uri, given["scope"], given.get("state"), query)

    def _way_in(self, wish: Wish) -> str:
        """Return where who is not signed in goes: to sign up, where all that takes is given and the address is new."""
        newcomer = _newcomer(wish.query)
        if newcomer is None or self._upstream.world.knows(_account(newcomer) or ""):
            return _sign_in(wish)
        return f"/oauth/sign-up/?{wish.query}"

    def _page(self, title: str, body: str, wish: Wish, *, click: str | None) -> Response:
        steps: dict[str, Any] = {"walk": {"click": click, "after_ms": self._switches.visitor_ms}} if click else {}
        response = page(title, body, steps=steps, form_to=(wish.origin,))
        if self._switches.coop is not None:
            response.headers["Cross-Origin-Opener-Policy"] = self._switches.coop
        return response


def _sign_in(wish: Wish) -> str:
    return f"/engine/account?{urlencode({'next': f'{_AUTHORIZE}?{wish.query}'})}"


def _newcomer(query: str) -> Mapping[str, str] | None:
    """Return for whom an account may be created: all three are needed, and an address we can name an account after."""
    given = dict(parse_qsl(query))
    newcomer = {name: given[name] for name in _SIGN_UP if given.get(name)}
    return newcomer if len(newcomer) == len(_SIGN_UP) and _account(newcomer) else None


def _account(newcomer: Mapping[str, str]) -> str | None:
    name = newcomer["sign_up_email"].partition("@")[0]
    return name if re.fullmatch(ACCOUNT_NAME, name) else None
