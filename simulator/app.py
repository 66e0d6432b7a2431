"""The composition: one simulated service as an ASGI application."""

import asyncio
from typing import Final

from starlette.applications import Starlette
from starlette.routing import Route

from simulator.authorization import authorization_routes
from simulator.control import control_routes
from simulator.gateway import Gateway
from simulator.oauth import TOKENS
from simulator.pages import page_routes
from simulator.popups import popup_routes
from simulator.routes import ROUTES, nothing
from simulator.supplies import SUPPLIES
from simulator.upstream import Clock, Sleep, Upstream, system_clock
from simulator.uses import USES
from simulator.world import World

#: What requests that match no endpoint are counted as.
OTHER: Final = "other"


def create_app(  # noqa: PLR0913 - everything about it is an argument
    world: World,
    *,
    clock: Clock = system_clock,
    sleep: Sleep = asyncio.sleep,
    switches: object = None,
    origin: str | None = None,
    login_origin: str | None = None,
    trust_forwarded_for: bool = False,
) -> Starlette:
    """Build the application.

    `clock` returns Unix ms and `sleep` waits seconds, so that all of it can live in simulated time. `switches` is a
    document as `PATCH /_control/faults` takes it: the position to begin with, and to return to. `origin` is the address
    that links name, by default the one the caller used. `login_origin` is that of the apps' login pages, which are
    another site's: by default `localhost` where the origin is `127.0.0.1`, and the other way round. With
    `trust_forwarded_for` the first address in `X-Forwarded-For` is the caller's, so that one machine can play many.

    The simulated service itself is at `app.state.upstream`, for those who share its process. Raises SwitchError.
    """
    upstream = Upstream(world, clock=clock, sleep=sleep, switches=switches)
    gateway = Gateway(upstream, origin=origin, trust_forwarded_for=trust_forwarded_for)
    endpoints = [
        Route(path, gateway.route(endpoint, handle), methods=[method])
        for endpoint, handle in {**ROUTES, **USES, **SUPPLIES, **TOKENS}.items()
        for method, path in [endpoint.split(" ")]
    ]
    rest = gateway.route(OTHER, nothing)
    every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    others = [Route(f"/{version}/{{path:path}}", rest, methods=every) for version in ("v1", "v2")]
    pages = [
        *page_routes(upstream),
        *popup_routes(upstream, origin=origin, login_origin=login_origin),
        *authorization_routes(upstream),
    ]
    app = Starlette(routes=[*endpoints, *pages, *others, *control_routes(upstream)])
    app.state.upstream = upstream
    return app
