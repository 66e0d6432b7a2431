"""The switchboard, under `/_control`: it changes the world as users would, sets faults, and tells what happened.

It belongs to the simulator and not to the API: no token, no limits, no faults. What it cannot do it refuses with 422
(or 404 for what is not there) and `{"error": …}`, and has then done nothing.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator.accounts import AccountName, ClientId, bearer_of
from simulator.apps import App
from simulator.limits import Meter, Usage
from simulator.oauth import token_document
from simulator.switches import Millis, SwitchError
from simulator.tokens import ALL_SCOPES
from simulator.upstream import Upstream
from simulator.world import Authentication, RefreshToken, Zap

_Input = TypeVar("_Input")
_Respond: TypeAlias = Callable[[Request], Awaitable[Response]]

Title: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]

MOST_AT_ONCE: Final = 1_000
MOST_BODY_BYTES: Final = 2**20


class _Given(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a control route takes: a member it does not know is refused."""


class FinishedPopup(_Given, frozen=True):
    """What came of a popup. `shared_by` makes it somebody else's connection, which `user` may use and not list."""

    user: AccountName
    app: str  #: uuid or title
    title: Title | None = None
    is_expired: bool = False
    count: Annotated[int, Meta(ge=1, le=MOST_AT_ONCE)] = 1
    listed_after_ms: Millis | None = None  #: instead of the switch of this name
    shared_by: AccountName | None = None
    reconnect: str | None = None  #: id of an authentication of `user` for `app`, which the popup repairs


class Amendment(_Given, frozen=True):
    """What becomes different about an authentication."""

    title: Title | UnsetType = UNSET
    is_expired: bool | UnsetType = UNSET


class Grant(_Given, frozen=True):
    """A sign-in that went well: `user` lets the client act for them."""

    user: AccountName
    client_id: ClientId
    scope: Annotated[str, Meta(max_length=1_000)] = ALL_SCOPES


class TokenState(_Given, frozen=True):
    """Whether a token is dead."""

    revoked: bool


class ControlError(Exception):
    """A control request that cannot be done."""

    def __init__(self, message: str, *, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


def control_routes(upstream: Upstream) -> list[Route]:
    """Return the routes under `/_control`."""
    control = Control(upstream)
    by_path: dict[str, dict[str, _Respond]] = {
        "/_control/authentications": {"GET": control.authentications, "POST": control.connect},
        "/_control/authentications/{id}": {"PATCH": control.amend, "DELETE": control.disconnect},
        "/_control/faults": {"GET": control.faults, "PATCH": control.switch, "DELETE": control.switch_back},
        "/_control/grants": {"POST": control.grant},
        "/_control/tokens/{token}": {"PATCH": control.set_token},
        "/_control/stats": {"GET": control.stats},
        "/_control/reset": {"POST": control.reset},
    }
    return [
        Route(path, _refusing(respond), methods=[method])
        for path, responders in by_path.items()
        for method, respond in responders.items()
    ]


class Control:
    """The control routes of one simulator."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def authentications(self, request: Request) -> Response:
        """List authentications: all, or those of `user`, of `app`, or both."""
        user, name = request.query_params.get("user"), request.query_params.get("app")
        app_id = self._app(name).id if name else None
        found = [
            self._shown(one)
            for one in self._upstream.world.authentications()
            if (user is None or user in (one.owner, one.shared_with)) and app_id in (None, one.app)
        ]
        return _json({"authentications": found})

    async def connect(self, request: Request) -> Response:
        """Make authentications, as if a user had finished a popup."""
        popup = await _input(request, FinishedPopup)
        app = self._app(popup.app)
        if not app.needs_authentication:
            raise ControlError(f"{app.title} needs no authentication - at `$.app`")
        made = [self._repaired(popup, app)] if popup.reconnect is not None else self._made(popup, app)
        return _json(self._shown(made[0]) | {"ids": [one.id for one in made]}, status=201)

    async def amend(self, request: Request) -> Response:
        """Change an authentication's title or expiry."""
        before = self._authentication(request.path_params["id"])
        amendment = await _input(request, Amendment)
        title = None if amendment.title is UNSET else amendment.title
        is_expired = None if amendment.is_expired is UNSET else amendment.is_expired
        if title is None and is_expired is None:
            raise ControlError("Expected `title`, `is_expired` or both")
        return _json(self._shown(self._upstream.world.amend(before, title=title, is_expired=is_expired)))

    async def disconnect(self, request: Request) -> Response:
        """Delete an authentication."""
        found = self._authentication(request.path_params["id"])
        self._upstream.world.disconnect(found.id)
        return Response(status_code=204)

    async def faults(self, _request: Request) -> Response:
        """Show every switch, and how many requests each rule has met."""
        return _json(self._switchboard())

    async def switch(self, request: Request) -> Response:
        """Apply a JSON merge patch to the switches."""
        patch = await _document(request)
        if isinstance(patch, dict):
            patch.pop("met", None)
        try:
            self._upstream.switch(patch)
        except SwitchError as problem:
            raise ControlError(str(problem)) from problem
        return _json(self._switchboard())

    async def switch_back(self, _request: Request) -> Response:
        """Set every switch as it was at the start."""
        self._upstream.switch_back()
        return _json(self._switchboard())

    async def grant(self, request: Request) -> Response:
        """Hand out tokens, as if a user had signed in and the client had exchanged its code."""
        upstream, given = self._upstream, await _input(request, Grant)
        issued = upstream.tokens.grant(
            given.user,
            client_id=given.client_id,
            scope=given.scope,
            now=upstream.clock(),
            switches=upstream.switches.tokens,
        )
        return _json(token_document(issued), status=201)

    async def set_token(self, request: Request) -> Response:
        """Revoke a token, or let it live again."""
        token = request.path_params["token"]
        if bearer_of(token) is None and not isinstance(self._upstream.world.issued(token), RefreshToken):
            raise ControlError(
                "Tokens look like `sim-<account>`, `sim-<account>+<anything>` or `sim-<account>@<partner>`; "
                "refresh tokens are those that were handed out"
            )
        state = await _input(request, TokenState)
        self._upstream.world.revoke(token, revoked=state.revoked)
        return _json({"token": token, "revoked": state.revoked})

    async def stats(self, _request: Request) -> Response:
        """Tell what was asked, how it was answered, and what came of it."""
        upstream = self._upstream
        zaps = upstream.world.zaps()
        return _json(
            {
                "requests": {
                    "total": upstream.counts.total,
                    "refused_429": upstream.counts.refused,
                    "by_endpoint": upstream.counts.by_endpoint,
                },
                "limits": {
                    "ip": self._usage(upstream.limits.addresses),
                    "partner": self._usage(upstream.limits.partners),
                },
                "popups": upstream.visits.counts,
                "zaps": {"created": len(zaps), "list": [_zap(zap) for zap in zaps]},
                "executed": upstream.executed,
            }
        )

    async def reset(self, _request: Request) -> Response:
        """Go back to the seeded world, with the switches of the start and nothing counted."""
        self._upstream.reset()
        return Response(status_code=204)

    def _made(self, popup: FinishedPopup, app: App) -> list[Authentication]:
        return self._upstream.finish_popup(
            popup.shared_by or popup.user,
            app,
            title=popup.title,
            count=popup.count,
            is_expired=popup.is_expired,
            listed_after_ms=popup.listed_after_ms,
            shared_with=popup.user if popup.shared_by else None,
        )

    def _repaired(self, popup: FinishedPopup, app: App) -> Authentication:
        if popup.count != 1 or popup.is_expired or popup.shared_by or popup.listed_after_ms is not None:
            raise ControlError("`reconnect` goes with `user`, `app` and `title` only")
        before = self._upstream.world.authentication(popup.reconnect or "")
        if before is None or before.owner != popup.user or before.app != app.id:
            raise ControlError(
                f"{popup.user} has no authentication {popup.reconnect!r} for {app.title} - at `$.reconnect`"
            )
        return self._upstream.reconnect(before, app, title=popup.title)

    def _app(self, name: str) -> App:
        app = self._upstream.world.catalogue.find(name)
        if app is None:
            raise ControlError(f"No app is called {name!r} - at `$.app`")
        return app

    def _authentication(self, authentication_id: str) -> Authentication:
        found = self._upstream.world.authentication(authentication_id)
        if found is None:
            raise ControlError(f"No authentication has the id {authentication_id!r}", status=404)
        return found

    def _shown(self, one: Authentication) -> dict[str, Any]:
        app = self._upstream.world.catalogue.by_id[one.app]
        return {
            "id": one.id,
            "user": one.owner,
            "app": one.app,
            "app_title": app.title,
            "title": one.title,
            "is_expired": one.is_expired,
            "listed": one.listed_at <= self._upstream.clock(),
            "listed_at": one.listed_at,
            "shared_with": one.shared_with,
        }

    def _switchboard(self) -> dict[str, Any]:
        upstream = self._upstream
        document: dict[str, Any] = msgspec.to_builtins(upstream.switches)
        return document | {"met": {name: upstream.faults.met.get(name, 0) for name in upstream.switches.rules}}

    def _usage(self, meters: dict[str, Meter]) -> dict[str, Usage]:
        now, window_ms = self._upstream.clock(), self._upstream.switches.limits.window_ms
        return {key: meter.usage(now, window_ms=window_ms) for key, meter in meters.items()}


def _refusing(respond: _Respond) -> _Respond:
    """Return a responder that answers what cannot be done with an error document."""

    async def answered(request: Request) -> Response:
        try:
            return await respond(request)
        except ControlError as problem:
            return _json({"error": str(problem)}, status=problem.status)

    return answered


async def _document(request: Request) -> Any:  # noqa: ANN401 - JSON has no closer type
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY_BYTES:
            raise ControlError("The body is too large", status=413)
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise ControlError(f"The body is not JSON: {problem}") from problem


async def _input(request: Request, kind: type[_Input]) -> _Input:
    document = await _document(request)
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as problem:
        raise ControlError(str(problem)) from problem


def _zap(zap: Zap) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(zap)
    return {name: value for name, value in document.items() if name not in {"kind", "serial"}}


def _json(document: Any, *, status: int = 200) -> Response:  # noqa: ANN401 - JSON has no closer type
    return Response(msgspec.json.encode(document), status, media_type="application/json")
