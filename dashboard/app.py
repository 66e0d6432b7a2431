"""The application, put together."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from nicegui import ui
from starlette.middleware import Middleware

from dashboard import boards, routes
from dashboard.counting import Counting
from dashboard.desk import Desk
from dashboard.door import Door, is_secure
from dashboard.feeds import Feeds
from dashboard.remote import Remote
from dashboard.visits import Visits
from orchestrator.metrics import Metrics, Process
from orchestrator.settings import Settings

RECONNECT_S: Final = 15
"""For so long a page waits for a browser that lost its connection; after that it is made anew."""


def create_app(settings: Settings) -> FastAPI:
    """Build the application of a process of its own: NiceGUI knows only one."""
    visits = Visits(idle_s=settings.dashboard_idle_s, clock=time.monotonic)
    remote = Remote(api_url(settings))
    desk = Desk(
        remote=remote,
        visits=visits,
        feeds=Feeds(remote, visits),
        metrics=Metrics(Process.DASHBOARD),
        is_secure=is_secure(settings.public_dashboard_url),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await desk.feeds.aclose()
        await desk.remote.aclose()

    app = FastAPI(
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        middleware=[
            Middleware(Counting, metrics=desk.metrics),
            Middleware(Door, visits=visits, public_url=settings.public_dashboard_url),
        ],
    )
    app.state.desk = desk
    app.include_router(routes.router)
    boards.install(desk)
    ui.run_with(
        app,
        title="Zapwright operations",
        favicon=routes.FILES["mark.svg"] / "mark.svg",
        dark=None,
        tailwind=False,
        gzip_middleware_factory=None,
        reconnect_timeout=RECONNECT_S,
        show_welcome_message=False,
    )
    return app


def api_url(settings: Settings) -> str:
    """Return where the API is: where the settings say, else on this machine."""
    if settings.api_url is not None:
        return settings.api_url
    host = "127.0.0.1" if settings.api_host in {"0.0.0.0", "::"} else settings.api_host  # noqa: S104 - read, not listened at
    return f"http://[{host}]:{settings.api_port}" if ":" in host else f"http://{host}:{settings.api_port}"
