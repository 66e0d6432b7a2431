"""The connect popup: the pages that a user goes through, and the message that the page behind them may get.

Zapier's page (the connect link), the app's login at another origin, further redirects if a switch wants them, and
Zapier's last page: it makes the authentication and posts `zapier.popup.close` to the window that opened the popup
(Zapier docs: selecting-an-authentication). Which page cuts that window off, what is posted, how often, by whom and
when, and who walks through the pages is up to `Popups` in the switches.
"""

import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from simulator.accounts import ACCOUNT_NAME
from simulator.answers import REDIRECT
from simulator.apps import App
from simulator.gateway import origin_of
from simulator.ids import authentication_id
from simulator.pages import page, picture
from simulator.switches import OpenerPolicy, Popups
from simulator.upstream import Upstream
from simulator.visits import Visit
from simulator.world import Authentication

#: The cookie by which a browser says whom it is signed in to Zapier as.
ACCOUNT_COOKIE: Final = "zapier_account"
#: The account whose authentications stand for those of other people.
STRANGER: Final = "stranger"

#: Beginnings of the pages that send a browser to sign in.
_LEAD_BACK: Final = ("/engine/auth/start/", "/oauth/authorize/?")
#: Says, in a connect link's query, that the user said on the way who they are.
_SAID: Final = "said"
_SEE_OTHER: Final = 303
_MOST_FORM_BYTES: Final = 4_096
_MOST_OFFERED: Final = 50


def popup_routes(upstream: Upstream, *, origin: str | None = None, login_origin: str | None = None) -> list[Route]:
    """Return the routes of the pages. The origins are those that `create_app` takes."""
    pages = PopupPages(upstream, origin=origin, login_origin=login_origin)
    return [
        Route("/engine/auth/start/{implementation}", pages.start, methods=["GET"]),
        Route("/engine/account", pages.account, methods=["GET"]),
        Route("/engine/account", pages.sign_in, methods=["POST"]),
        Route("/login/{visit}", pages.login, methods=["GET"]),
        Route("/login/{visit}", pages.decide, methods=["POST"]),
        Route("/engine/auth/hop/{visit}/{left:int}", pages.hop, methods=["GET"]),
        Route(REDIRECT, pages.finish, methods=["GET"]),
        Route("/engine/auth/spoof/{visit}/{where}", pages.spoof, methods=["GET"]),
    ]


class PopupPages:
    """The popup pages of one simulator."""

    def __init__(self, upstream: Upstream, *, origin: str | None, login_origin: str | None) -> None:
        self._upstream = upstream
        self._origin = origin
        self._login_origin = login_origin

    async def start(self, request: Request) -> Response:
        """Begin: Zapier's page, which says for which app and for which Zapier account."""
        app = self._upstream.world.catalogue.implemented_by(request.path_params["implementation"])
        if app is None:
            return page("No such app", "<p>The simulator's catalogue has no app behind this link.</p>", status=404)
        origin = self._origin or origin_of(request.scope)
        if request.query_params.get("redirect", origin + REDIRECT) != origin + REDIRECT:
            return page("Not a connect link", "<p>It leads back to another place than Zapier's own.</p>", status=400)
        popups, title = self._popups(app), self._upstream.switches.title_of(app)
        is_overruled = popups.account is not None and popups.account_wins and _SAID not in request.query_params
        account = (
            (None if is_overruled else signed_in(request)) or popups.account or self._upstream.visits.expected(app.id)
        )
        here = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
        said = f"{here}{'&' if request.url.query else '?'}{_SAID}=1"
        if account is None:
            return RedirectResponse(f"/engine/account?{urlencode({'next': here})}", _SEE_OTHER)
        login_origin = self._login_origin or other_origin(origin)
        visit = self._upstream.visits.begin(app, account, origin=origin, login_origin=login_origin)
        body = (
            f"{_heading(app, f'Connect {title} to Zapier')}"
            f"<p>You will sign in at {escape(title)}, and come back.</p>"
            f'<p><a class="button" id="continue" href="{login_origin}/login/{visit.id}">Continue</a></p>'
            f'<p class="aside">Signed in to Zapier as <b>{escape(account)}</b>. '
            f'<a id="switch" href="/engine/account?{escape(urlencode({"next": said}))}">Not you?</a></p>'
        )
        walk = None if popups.visitor == "person" else {"click": "continue", "after_ms": popups.visitor_ms}
        return _popup_page(f"Connect {title}", body, visit, {"walk": walk}, coop=popups.coop.first)

    async def account(self, request: Request) -> Response:
        """Ask whom the browser is signed in to Zapier as."""
        account = signed_in(request)
        back = request.query_params.get("next", "")
        state = f"This browser is signed in as <b>{escape(account)}</b>." if account else "Nobody is signed in here."
        way_out = (
            '<button class="button plain" id="sign-out" name="sign_out" value="1" formnovalidate>Sign out</button>'
            if account
            else ""
        )
        body = (
            f"<h1>Sign in to Zapier</h1><p>{state} Any name will do, without a password: this is the simulator.</p>"
            f'<form method="post" action="/engine/account">'
            f'<input type="hidden" name="next" value="{escape(back)}">'
            f'<label for="account">Name</label>'
            f'<input id="account" name="account" required pattern="{escape(ACCOUNT_NAME)}" autocomplete="username" '
            f'title="Letters and digits, with . _ - between them" placeholder="ada" '
            f'autocapitalize="none" spellcheck="false" value="{escape(account or self._suggested(back))}">'
            f'<p><button class="button" id="sign-in">Sign in</button> {way_out}</p>'
            f"</form>"
        )
        return page("Sign in to Zapier", body)

    def _suggested(self, back: str) -> str:
        """Return who last asked for the app to which the page leads back, or nothing."""
        implementation = urlsplit(back).path.removeprefix(_LEAD_BACK[0])
        app = self._upstream.world.catalogue.implemented_by(unquote(implementation))
        return (app and self._upstream.visits.expected(app.id)) or ""

    async def sign_in(self, request: Request) -> Response:
        """Sign the browser in, or out, and go back to where it came from."""
        form = await form_of(request)
        account = form.get("account", "")
        signs_out = "sign_out" in form
        if not signs_out and not re.fullmatch(ACCOUNT_NAME, account):
            return page("No such account", "<p>A name has letters, digits, dots and hyphens.</p>", status=422)
        back = form.get("next", "")
        target = back if back.startswith(_LEAD_BACK) else "/engine/account"
        response = RedirectResponse(target, _SEE_OTHER)
        if signs_out:
            response.delete_cookie(ACCOUNT_COOKIE, httponly=True, samesite="lax")
        else:
            response.set_cookie(ACCOUNT_COOKIE, account, httponly=True, samesite="lax")
        return response

    async def login(self, request: Request) -> Response:
        """Ask the user at the app, which is another site."""
        visit = self._visit(request)
        if visit is None:
            return _forgotten()
        popups, app, title = self._popups(visit.app), visit.app, self._upstream.switches.title_of(visit.app)
        body = (
            f"{_heading(app, f'Sign in to {title}')}"
            f"<p>Zapier would like to use your {escape(title)} account.</p>"
            f'<form method="post">{self._choice(visit, popups)}'
            f'<p><button class="button" id="allow" name="answer" value="allowed">Allow</button> '
            f'<button class="button plain" id="deny" name="answer" value="denied">Deny</button></p></form>'
            f'<p class="aside">A page of the simulator, in place of {escape(title)}’s.</p>'
        )
        steps: dict[str, Any] = {}
        match popups.visitor:
            case "allows":
                steps["walk"] = {"click": "allow", "after_ms": popups.visitor_ms}
            case "denies":
                steps["walk"] = {"click": "deny", "after_ms": popups.visitor_ms}
            case "closes":
                steps["close_after_ms"] = popups.visitor_ms
            case "person" | "stays":
                pass
        if "origin" in popups.spoofs:
            steps["posts"] = [_post(self._spoofed(visit), to="page")]
        return _popup_page(f"Sign in to {title}", body, visit, steps, coop=popups.coop.middle)

    async def decide(self, request: Request) -> Response:
        """Take the user's answer, and lead back to Zapier."""
        visit = self._visit(request)
        if visit is None:
            return _forgotten()
        form = await form_of(request)
        match form.get("answer"):
            case "allowed":
                again = next((one.id for one in self._own(visit) if one.id == form.get("account")), None)
                self._upstream.visits.end(visit, "allowed", repairs=again)
            case "denied":
                self._upstream.visits.end(visit, "denied")
            case _:
                return page("No answer", "<p>Allow or deny.</p>", status=422)
        redirects = self._popups(visit.app).redirects if visit.outcome == "allowed" else 0
        return RedirectResponse(_next_address(visit, left=redirects), _SEE_OTHER)

    async def hop(self, request: Request) -> Response:
        """Take a while, and lead on."""
        visit = self._visit(request)
        if visit is None:
            return _forgotten()
        await self._upstream.sleep(self._popups(visit.app).redirect_ms / 1000)
        return RedirectResponse(_next_address(visit, left=request.path_params["left"] - 1), _SEE_OTHER)

    async def finish(self, request: Request) -> Response:
        """End: Zapier's page, which makes the authentication, once, and tells the page behind the popup."""
        visit = self._upstream.visits.find(request.query_params.get("visit", ""))
        if visit is None or visit.outcome is None:
            return _forgotten()
        popups, app, title = self._popups(visit.app), visit.app, self._upstream.switches.title_of(visit.app)
        if visit.outcome == "denied":
            body = (
                f"{_heading(app, f'{title} was not connected')}<p>You can close this window.</p>"
                f'<p><button class="button plain" id="done">Close</button></p>'
            )
            return _popup_page("Not connected", body, visit, {}, coop=popups.coop.last)
        made = self._made(visit)
        if made is None:
            return _forgotten()
        body = (
            f"{_heading(app, f'{title} is connected')}"
            f"<p>{escape(made.title)}</p>"
            f'<p class="aside reachable">You can close this window.</p>'
            f'<p class="aside cut">The page that you came from cannot be told: a page on the way here has cut this '
            f"window off from it. You can close this window.</p>"
            f'<p><button class="button" id="done">Done</button></p>'
        )
        spoofing = [where for where in popups.spoofs if where != "origin"]
        steps = {
            "spoofs": [{"where": where, "address": f"/engine/auth/spoof/{visit.id}/{where}"} for where in spoofing],
            "after_ms": popups.message_after_ms,
            "posts": [self._message(visit, popups)] * (popups.message_times if popups.message == "sent" else 0),
            "close_after_ms": popups.closes_after_ms,
        }
        return _popup_page(f"{title} is connected", body, visit, steps, coop=popups.coop.last)

    async def spoof(self, request: Request) -> Response:
        """Say what only the popup may say, from a frame in it or from a window that it opened."""
        visit = self._visit(request)
        where = request.path_params["where"]
        if visit is None or where not in {"frame", "window"}:
            return _forgotten()
        steps = {"posts": [_post(self._spoofed(visit), to=where)]}
        return _popup_page("Not Zapier’s last page", "<h1>Not Zapier’s last page</h1>", visit, steps)

    def _popups(self, app: App) -> Popups:
        return self._upstream.switches.popups_of(app.id)

    def _visit(self, request: Request) -> Visit | None:
        return self._upstream.visits.find(request.path_params["visit"])

    def _own(self, visit: Visit) -> Sequence[Authentication]:
        """Return what the account has for the app already, listed or not."""
        return self._upstream.world.owned(visit.account, visit.app.id)

    def _choice(self, visit: Visit, popups: Popups) -> str:
        """Return the fields by which the user says which account of the app they sign in with."""
        own = self._own(visit)[-_MOST_OFFERED:]
        if not own:
            return ""
        due = next((one.id for one in own if one.is_expired), None)
        chosen = {"due": due, "new": None, "again": due or own[0].id}[popups.login]
        options = [("A new account", "")] + [(one.title + " (expired)" * one.is_expired, one.id) for one in own]
        fields = "".join(_option(text, value, is_chosen=value == (chosen or "")) for text, value in options)
        return f"<fieldset><legend>Which account?</legend>{fields}</fieldset>"

    def _made(self, visit: Visit) -> Authentication | None:
        """Return the authentication that the visit leads to, made at the first time of asking; None once deleted."""
        world, upstream = self._upstream.world, self._upstream
        if visit.authentication is not None:
            return world.authentication(visit.authentication)
        before = world.authentication(visit.repairs) if visit.repairs is not None else None
        if before is not None:
            made = upstream.reconnect(before, visit.app)
        else:
            made = upstream.finish_popup(visit.account, visit.app)[0]
        visit.authentication = made.id
        return made

    def _message(self, visit: Visit, popups: Popups) -> dict[str, Any]:
        """Return what the last page posts."""
        right = visit.authentication or ""
        ids: dict[str, Callable[[], Any]] = {
            "right": lambda: right,
            "other": lambda: self._spoofed(visit),
            "foreign": lambda: self._foreign(visit),
            "unknown": lambda: authentication_id(0, seed=self._upstream.world.seed),
            "number": lambda: int(right, 36),
            "object": lambda: {"id": right},
            "null": lambda: None,
        }
        if popups.message_id == "absent":
            return _post(to="page", padding=popups.message_bytes)
        return _post(ids[popups.message_id](), to="page", padding=popups.message_bytes)

    def _spoofed(self, visit: Visit) -> str:
        """Return the most dangerous wrong id: the account's oldest other one for the app, else somebody else's."""
        others = [one.id for one in self._own(visit) if one.id not in (visit.authentication, visit.repairs)]
        return others[0] if others else self._foreign(visit)

    def _foreign(self, visit: Visit) -> str:
        """Return somebody else's id for the app; made where there is none."""
        stranger = f"{STRANGER}-2" if visit.account == STRANGER else STRANGER
        owned = self._upstream.world.owned(stranger, visit.app.id)
        return owned[0].id if owned else self._upstream.world.connect(stranger, visit.app)[0].id


def other_origin(origin: str) -> str:
    """Return another origin of the same server: `localhost` for `127.0.0.1` and the other way round, else the same."""
    parts = urlsplit(origin)
    other = {"127.0.0.1": "localhost", "localhost": "127.0.0.1"}.get(parts.hostname or "")
    if other is None:
        return origin
    return f"{parts.scheme}://{other}" + (f":{parts.port}" if parts.port else "")


def _next_address(visit: Visit, *, left: int) -> str:
    """Return where to after the login: another redirect, at both origins in turn, or the last page."""
    if left > 0:
        return f"{visit.login_origin if left % 2 else visit.origin}/engine/auth/hop/{visit.id}/{left}"
    return f"{visit.origin}{REDIRECT}?visit={visit.id}"


def _post(*ids: object, to: str, padding: int = 0) -> dict[str, Any]:
    """Return an order to the page's script: what to post, and to which window's opener."""
    message = {"type": "zapier.popup.close"} | ({"authentication_id": ids[0]} if ids else {})
    return {"to": to, "message": message, "padding": padding}


def signed_in(request: Request) -> str | None:
    """Return whom the browser is signed in to Zapier as."""
    account = request.cookies.get(ACCOUNT_COOKIE, "")
    return account if re.fullmatch(ACCOUNT_NAME, account) else None


async def form_of(request: Request) -> dict[str, str]:
    """Return a small form's fields; a bigger one is cut off."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_FORM_BYTES:
            break
    return dict(parse_qsl(body[:_MOST_FORM_BYTES].decode("utf-8", "replace"), keep_blank_values=True))


def _heading(app: App, text: str) -> str:
    return f"{picture(app)}<h1>{escape(text)}</h1>"


def _option(text: str, value: str, *, is_chosen: bool) -> str:
    checked = " checked" if is_chosen else ""
    return (
        f'<label class="option"><input type="radio" name="account" value="{escape(value)}"{checked}> '
        f"<span>{escape(text)}</span></label>"
    )


def _forgotten() -> Response:
    text = "<p>Nothing is known of this visit any more. Close the window, and connect once more.</p>"
    return page("This link is no longer good", text, status=404)


def _popup_page(
    title: str, body: str, visit: Visit, steps: dict[str, Any], *, coop: OpenerPolicy | None = None
) -> Response:
    """Return a page of a popup. `steps` is for its script: what to do without being asked."""
    response = page(title, body, steps=steps, form_to=(visit.origin, visit.login_origin))
    if coop is not None:
        response.headers["Cross-Origin-Opener-Policy"] = coop
    return response
