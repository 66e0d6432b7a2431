"""What the simulator shows to a browser besides its popups: pictures of apps, a Zap's editor; and how pages look.

These stand for zapier.com, not for its API: no token, no limits, no faults.
"""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from simulator.answers import editor_number
from simulator.apps import App
from simulator.upstream import Upstream

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="/web/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="/web/page.css">
<script type="module" src="/web/popup.js"></script>
</head>
<body{data}>
<header class="banner">Simulator <span>nothing here is real</span></header>
<main>
{body}
</main>
</body>
</html>
"""
_PICTURE: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" viewBox="0 0 64 64">'
    '<rect width="64" height="64" rx="12" fill="#{color}"/>'
    '<text x="32" y="43" font-family="sans-serif" font-size="32" fill="#fff" text-anchor="middle">{letter}</text></svg>'
)
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; frame-src 'self'; base-uri 'none';"
)
_SIZES: Final = ("16", "32", "64", "128")


def page_routes(upstream: Upstream) -> list[BaseRoute]:
    """Return the routes of the pages and pictures."""
    pages = Pages(upstream)
    return [
        Route("/", pages.root),
        Route("/editor/{number:int}", pages.editor),
        Route("/images/{slug}.svg", pages.picture),
        Mount("/web", StaticFiles(directory=Path(__file__).with_name("web"))),
    ]


class Pages:
    """The pages of one simulator."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def root(self, _request: Request) -> Response:
        """Say what this is to whoever opens its address."""
        body = (
            "<p>A simulator of Zapier’s Partner API, for development and tests. Whoever builds on it has their pages "
            "elsewhere; here are the pages that they lead to.</p>"
            '<p><a href="/engine/account">Sign in to Zapier as somebody</a></p>'
            '<p class="aside"><a href="/_control/stats">What it holds</a> · <a href="/_control/faults">What it does '
            "wrong</a></p>"
        )
        return page("Zapier, simulated", f"<h1>Zapier, simulated</h1>{body}")

    async def editor(self, request: Request) -> Response:
        """Say that a Zap exists, as its editor link promises."""
        number = request.path_params["number"]
        zap = next((zap for zap in self._upstream.world.zaps() if editor_number(zap) == number), None)
        if zap is None:
            return page("No such Zap", "<p>The simulator has created no Zap with this number.</p>", status=404)
        body = "<p>This Zap exists in the simulator only; <code>GET /_control/stats</code> shows all of it.</p>"
        return page(zap.title, body)

    async def picture(self, request: Request) -> Response:
        """Draw an app's picture: its initial on its colour."""
        app = self._upstream.world.catalogue.with_slug(request.path_params["slug"])
        if app is None:
            return Response(status_code=404)
        size = request.query_params.get("size", "64")
        drawing = _PICTURE.format(
            size=size if size in _SIZES else "64", color=app.hex_color, letter=escape(app.title[0].upper())
        )
        return Response(drawing, media_type="image/svg+xml", headers={"Cache-Control": "max-age=3600"})


def page(
    title: str, body: str, *, status: int = 200, steps: dict[str, Any] | None = None, form_to: Sequence[str] = ()
) -> Response:
    """Return a page. `body` is HTML; `steps` is for `web/popup.js`; `form_to` are other origins that forms lead to."""
    data = f' data-steps="{escape(json.dumps(steps))}"' if steps else ""
    policy = " ".join([_POLICY, "form-action 'self'", *form_to])
    text = _PAGE.format(title=escape(title), body=body, data=data)
    return HTMLResponse(text, status, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})


def picture(app: App) -> str:
    """Return an app's picture for a page, which is an ornament there."""
    return f'<img class="picture" src="/images/{app.slug}.svg?size=64" width="64" height="64" alt="">'
