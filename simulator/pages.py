"""What the simulator shows to a browser: pictures of apps, and pages that say what this version does not do.

These stand for zapier.com, not for its API: no token, no limits, no faults.
"""

import json
import shlex
from html import escape
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from simulator.answers import editor_number
from simulator.apps import App
from simulator.upstream import Upstream

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; }}
pre {{ background: #f2f2f2; padding: 1rem; overflow-x: auto; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""
_PICTURE: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" viewBox="0 0 64 64">'
    '<rect width="64" height="64" rx="12" fill="#{color}"/>'
    '<text x="32" y="43" font-family="sans-serif" font-size="32" fill="#fff" text-anchor="middle">{letter}</text></svg>'
)
_SIZES: Final = ("16", "32", "64", "128")


def page_routes(upstream: Upstream) -> list[Route]:
    """Return the routes of the pages and pictures."""
    pages = Pages(upstream)
    return [
        Route("/engine/auth/start/{implementation}", pages.connect),
        Route("/editor/{number:int}", pages.editor),
        Route("/images/{slug}.svg", pages.picture),
    ]


class Pages:
    """The pages of one simulator."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def connect(self, request: Request) -> Response:
        """Say how to finish the popup that this page would be."""
        app = self._upstream.world.catalogue.implemented_by(request.path_params["implementation"])
        if app is None:
            return _page("No such app", "<p>The simulator's catalogue has no app behind this link.</p>", status=404)
        command = escape(_finish_command(app, f"{request.url.scheme}://{request.url.netloc}"))
        body = (
            f"<p>Here a user would sign in to {escape(app.title)}. In this version of the simulator nobody can: finish "
            f"the popup through the control route, with the name of the account in place of <code>USER</code> "
            f"(the token <code>sim-USER</code> is its own).</p><pre>{command}</pre><p>Then close this window.</p>"
        )
        return _page(f"Connect {app.title}", body)

    async def editor(self, request: Request) -> Response:
        """Say that a Zap exists, as its editor link promises."""
        number = request.path_params["number"]
        zap = next((zap for zap in self._upstream.world.zaps() if editor_number(zap) == number), None)
        if zap is None:
            return _page("No such Zap", "<p>The simulator has created no Zap with this number.</p>", status=404)
        body = "<p>This Zap exists in the simulator only; <code>GET /_control/stats</code> shows all of it.</p>"
        return _page(zap.title, body)

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


def _finish_command(app: App, origin: str) -> str:
    body = shlex.quote(json.dumps({"user": "USER", "app": app.title}))
    return f"curl -X POST {origin}/_control/authentications -d {body}"


def _page(title: str, body: str, *, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=escape(title), body=body), status)
