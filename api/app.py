"""The application, put together by functions; importing this does nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware

from api.auth import Callers
from api.cors import Cors
from api.direct import Direct
from api.errors import HANDLED, answer
from api.limits import BodyLimits
from api.links import LinkTokens
from api.openapi import Api
from api.quick import Quick, Ways
from api.routes import (
    actions,
    apps,
    authentications,
    client_tokens,
    connect_links,
    connect_page,
    credentials,
    development,
    fields,
    health,
    interventions,
    operators,
    pages,
    popups,
    sessions,
    sign_in_page,
    sign_ins,
    steps,
    users,
    webhooks,
    zaps,
)
from api.stream import Streams
from api.tokens import ClientTokens
from api.trace import Trace, Tracer
from orchestrator.bootstrap import Zapwright, opened
from orchestrator.clock import RandomIds
from orchestrator.core.ports.around import Ids
from orchestrator.core.ports.upstream import Upstream
from orchestrator.metrics import Metrics
from orchestrator.settings import Settings, millis

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_LENGTH_OF_REFERENCE = 12
_RESOURCES = (
    sessions,
    steps,
    apps,
    authentications,
    popups,
    actions,
    fields,
    zaps,
    client_tokens,
    connect_links,
    credentials,
    sign_ins,
    users,
    webhooks,
    operators,
    interventions,
    health,
    pages,
    connect_page,
    sign_in_page,
)


def create_app(zapwright: Zapwright) -> FastAPI:
    """Build the application on a Zapwright of the caller's, who closes it. Raises TokenKeysMissingError."""
    app = _assembled(zapwright.settings, ids=zapwright.ids, lifespan=None, metrics=zapwright.metrics)
    _put_behind(app, zapwright)
    return app


def create_server_app(
    settings: Settings,
    *,
    redis_url: str,
    transport: httpx.AsyncBaseTransport | None = None,
    upstream: Upstream | None = None,
) -> FastAPI:
    """Build the application of a process of its own; store and connections open when it starts, and close at its end.

    Requests to Zapier go by `transport`, by default over sockets; with `upstream` none are made. It does not start
    while there is no key by which anybody could be let in. Raises TokenKeysMissingError.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opening = opened(settings, redis_url=redis_url, transport=transport, upstream=upstream, metrics=metrics)
        async with opening as zapwright:
            await _put_behind(app, zapwright).check()
            yield
            await zapwright.directory.settle()

    metrics = Metrics()
    return _assembled(settings, ids=RandomIds(), lifespan=lifespan, metrics=metrics)


def _put_behind(app: FastAPI, zapwright: Zapwright) -> Callers:
    """Let the application work with this Zapwright."""
    app.state.zapwright = zapwright
    callers = Callers(
        zapwright.directory, tokens=app.state.tokens, clock=zapwright.clock, api_key=zapwright.settings.api_key
    )
    app.state.callers = callers
    app.state.streams = Streams(
        following=zapwright.following, queries=zapwright.queries, clock=zapwright.clock, metrics=app.state.metrics
    )
    return callers


def _assembled(settings: Settings, *, ids: Ids, lifespan: Lifespan | None, metrics: Metrics) -> FastAPI:
    routers = _routers(settings)
    ways = Ways(_routes(routers))
    tracer = Tracer(metrics=metrics, new_reference=lambda: ids.new("")[:_LENGTH_OF_REFERENCE])
    app = Api(
        title="Zapwright",
        version="1",
        summary="Sessions in which your users build Zaps inside your product.",
        lifespan=lifespan,
        docs_url=None,  # their scripts come from somebody else's server
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours are in `Trace`; asking costs each request
        middleware=[
            Middleware(Trace, tracer=tracer),
            Middleware(Cors),
            Middleware(BodyLimits, max_bytes=settings.max_body_bytes, max_s=settings.max_body_s),
            Middleware(Quick, ways=ways),
        ],
        exception_handlers=dict.fromkeys(HANDLED, answer),
    )
    token_keys = [key.get_secret_value() for key in settings.token_keys]
    app.state.tokens = ClientTokens(token_keys, life=millis(settings.client_token_s))
    app.state.link_tokens = LinkTokens(token_keys)
    app.state.metrics = metrics
    app.state.direct = Direct(app, ways=ways, tracer=tracer, max_bytes=settings.max_body_bytes)
    for router in routers:
        app.add(router)
    return app


def _routers(settings: Settings) -> tuple[APIRouter, ...]:
    always = tuple(resource.router for resource in _RESOURCES)
    return always if settings.simulator_url is None else (*always, pages.demo, development.router)


def _routes(routers: Iterable[APIRouter]) -> Iterator[APIRoute]:
    for router in routers:
        yield from (route for route in router.routes if isinstance(route, APIRoute))
