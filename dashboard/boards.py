"""Live pages: each follows what it shows, and is drawn anew when that changes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Final

import structlog
from fastapi import Request
from nicegui import Client, ui
from nicegui import app as nicegui_app

from dashboard import paper
from dashboard.desk import Desk
from dashboard.mirror import Mirror
from dashboard.nodes import Node, html
from dashboard.routes import show_missing
from dashboard.sight import Seen, Sight
from dashboard.views import states
from dashboard.views.pages import PAGES, Page
from dashboard.visits import Visit

log = structlog.get_logger(__name__)

PATIENCE_S: Final = 0.5
"""A page that has its first readings within this comes whole; after that it says that it loads, and they follow."""


MADE_WITHIN_S: Final = 60.0
"""NiceGUI gives up a page that takes longer, for good: a busy machine is no reason for that."""


class Board:
    """One page in one browser, for as long as it is open."""

    def __init__(self, client: Client, desk: Desk, page: Page, request: Request) -> None:
        self._client = client
        self._desk = desk
        self._page = page
        visit: Visit = request.state.visit
        told, visit.told = visit.told, None
        self._sight = Sight(
            seen={},
            visit=visit,
            path=request.url.path,
            query=dict(request.query_params),
            told=told,
            wish=secrets.token_urlsafe(12),
        )
        self._seen: dict[str, Seen] = {}
        self._leaving: list[Callable[[], None]] = []
        self._is_drawing = False
        self._is_complete = asyncio.Event()
        with client.content:
            place = ui.element("div")
        place.props["id"] = "board"
        place.props["tabindex"] = "-1"
        self._mirror = Mirror(place)

    async def open(self, things: Mapping[str, str]) -> None:
        """Follow the addresses of things by their names, and draw what is there within a moment."""
        self._seen = dict.fromkeys(things, Seen())
        self._client.on_connect(partial(self._follow, things))
        self._client.on_disconnect(self._leave)
        self._client.on_delete(self._leave)
        self._follow(things)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_complete.wait(), PATIENCE_S)
        self._is_drawing = True
        self._draw()

    def _follow(self, things: Mapping[str, str]) -> None:
        """Have what is shown kept new, from when the page is asked for until its browser goes, and when it is back."""
        if not self._leaving and not self._client.is_deleted:
            for name, address in things.items():
                follow = self._desk.feeds.follow
                self._leaving.append(follow(self._sight.visit, address, partial(self._hear, name)))

    def _hear(self, name: str, seen: Seen) -> None:
        self._seen[name] = seen
        if all(one != Seen() for one in self._seen.values()):
            self._is_complete.set()
        if self._is_drawing:
            self._draw()

    def _draw(self) -> None:
        if self._client.is_deleted:
            self._leave()
        elif self._sight.visit.ended:
            self._leave()
            self._client.open("/sign-in")
        else:
            self._sight = replace(self._sight, seen=dict(self._seen))
            self._mirror.show(self._drawn())

    def _drawn(self) -> Node:
        """Draw the page; what an answer of the API's breaks is logged and said, and ends nothing."""
        try:
            return states.around(self._sight, self._page.title, self._page.view)
        except Exception:
            log.exception("page_not_drawn", page=self._page.path)
            return states.broken(self._page.title)

    def _leave(self) -> None:
        while self._leaving:
            self._leaving.pop()()


def install(desk: Desk) -> None:
    """Put every live page, and ours for no page, into NiceGUI's application, of which there is one a process."""
    nicegui_app.add_exception_handler(HTTPStatus.NOT_FOUND, show_missing)
    for page in PAGES:
        title = f"{page.title} · {paper.TITLE}"
        ui.page(page.path, title=title, language="en-US", response_timeout=MADE_WITHIN_S)(_shown(desk, page))


def _shown(desk: Desk, page: Page) -> Callable[..., object]:
    async def show(request: Request, client: Client) -> None:
        ui.add_head_html(paper.head())
        ui.add_body_html(paper.top(request.url.path, request.state.visit) + html(states.coming(page.title)))
        name = str(request.path_params.get("name", ""))
        await Board(client, desk, page, request).open(page.things(name, request.query_params))

    return show
