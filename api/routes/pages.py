"""What browsers load: modules for anybody's pages, and pages of our own. All of it are files in `api/web`.

A new page is a file there and a route here that calls `page`; what it links to is at `/web/<name>`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from api.elements import document, element
from api.errors import RouteNotFoundError
from orchestrator.bootstrap import Zapwright

router = APIRouter(include_in_schema=False)
demo = APIRouter(prefix="/demo", include_in_schema=False)
"""Pages that exist only where the upstream is the simulator."""

SERVED: Final = frozenset({".css", ".js", ".png", ".svg"})
"""What is served as it is. Pages have routes of their own, which say under what policy they run."""

FILE_HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "public, max-age=60",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
PAGE_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
"""No Cross-Origin-Opener-Policy: one of ours would cut the popup off."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_FILES: Final = StaticFiles(directory=Path(__file__).parents[1] / "web")


@router.api_route("/", methods=["GET", "HEAD"])
async def show_root(request: Request) -> Response:
    """Say what this is to whoever opens its address."""
    here: Zapwright = request.app.state.zapwright
    has_demo = here.settings.simulator_url is not None
    links = {"openapi.json": "What it can be asked, for programs (OpenAPI)"} | (
        {"demo": "The demo"} if has_demo else {}
    )
    card = element(
        "section",
        element("h1", "Zapwright’s API"),
        element("p", "It answers backends and their pages, in which users build Zaps."),
        *(element("p", element("a", words, href=path)) for path, words in links.items()),
        element(
            "p",
            "For people it is written down in docs/reference/api.md, which comes with Zapwright.",
            **{"class": "soft"},
        ),
        **{"class": "card stack"},
    )
    body = element("body", element("main", card, **{"class": "page narrow"}))
    return HTMLResponse(document("Zapwright", body, files="web", styles=("look.css",)), headers=page_headers(request))


@router.api_route("/web/{name}", methods=["GET", "HEAD"])
async def read_file(name: str, request: Request) -> Response:
    """Return a module, a style or a picture; a page on any origin may load it. Raises RouteNotFoundError."""
    if Path(name).suffix not in SERVED:
        raise RouteNotFoundError(path=request.url.path)
    return await _file(name, request, FILE_HEADERS)


@demo.api_route("", methods=["GET", "HEAD"])
async def show_builder(request: Request) -> Response:
    """Return the demo builder."""
    return await page("builder.html", request)


@demo.api_route("/compare", methods=["GET", "HEAD"])
async def show_comparison(request: Request) -> Response:
    """Return the comparison of two pages that open the same popup."""
    return await page("compare.html", request)


async def page(name: str, request: Request) -> Response:
    """Return a page of ours, whose scripts make neither script nor markup out of text."""
    headers = page_headers(request)
    headers["Content-Security-Policy"] += "; require-trusted-types-for 'script'; trusted-types 'none'"
    return await _file(name, request, headers)


def is_secure(api_url: str) -> bool:
    """Whether pages' cookies are to be kept to https: by plain http only this machine itself is trusted with one."""
    url = urlsplit(api_url)
    return not (url.scheme == "http" and url.hostname in _LOOPBACK)


def page_headers(request: Request) -> dict[str, str]:
    """Return under what policy a page of ours runs.

    It runs no script and has no style but those of `/web`, asks nobody but this API, sends forms to nobody else, and
    stands in no frame. Apps' pictures are wherever Zapier has them.
    """
    here: Zapwright = request.app.state.zapwright
    return PAGE_HEADERS | {"Content-Security-Policy": _policy(here.settings.simulator_url)}


def _policy(simulator_url: str | None) -> str:
    pictures = ("'self'", "data:", "https:", *([simulator_url] if simulator_url else []))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            f"img-src {' '.join(pictures)}",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        )
    )


async def _file(name: str, request: Request, headers: dict[str, str]) -> Response:
    found = await _FILES.get_response(name, request.scope)
    found.headers.update(headers)
    return found
