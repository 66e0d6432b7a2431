"""What is no live page: signing in and out, actions, files, and how this process is."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse

from dashboard import paper
from dashboard.desk import Desk
from dashboard.door import cookie_name, own_address
from dashboard.nodes import Node
from dashboard.remote import RefusedError, UnreachableError
from dashboard.sight import Json
from dashboard.visits import Scope, Told, Visit
from orchestrator.metrics import CONTENT_TYPE

log = structlog.get_logger(__name__)

router = APIRouter(include_in_schema=False)

NUMBERS: Final = frozenset({"by_s"})
"""Fields of forms that are numbers to the API."""

_NUMBER: Final = re.compile(r"[0-9]{1,15}")

LONGEST_FORM: Final = 64 * 1024
_HERE: Final = Path(__file__).parent / "web"
_SHARED: Final = Path(__file__).parents[1] / "api" / "web"
FILES: Final = {
    "dashboard.css": _HERE,
    "dashboard.js": _HERE,
    "look.css": _SHARED,
    "mark.svg": _SHARED,
}
"""What pages load; the look and the mark are those of all our pages."""


@router.get("/healthz")
async def read_health() -> dict[str, str]:
    """Answer: the process lives, whether the API does or not."""
    return {"status": "alive"}


@router.get("/metrics")
async def read_metrics(request: Request) -> PlainTextResponse:
    """Return what this process has counted, in Prometheus's text format."""
    desk: Desk = request.app.state.desk
    return PlainTextResponse(desk.metrics.render(), media_type=CONTENT_TYPE)


@router.get("/web/{name}")
async def read_file(name: str) -> Response:
    """Return a style, a script or a picture of ours."""
    folder = FILES.get(name)
    if folder is None:
        return PlainTextResponse("There is no such file.", HTTPStatus.NOT_FOUND)
    return FileResponse(folder / name, headers={"Cache-Control": "public, max-age=60"})


@router.get("/sign-in")
async def show_sign_in(request: Request) -> Response:
    """Return the page that asks for a key; who is signed in goes on."""
    following = own_address(request.query_params.get("next", "/"))
    if request.state.visit is not None:
        return RedirectResponse(following, HTTPStatus.SEE_OTHER)
    note = None
    if request.state.visit_name is not None:
        text = "Nothing was done for a while, your key was revoked, or the dashboard was started anew."
        note = paper.sign_in_note("wait", "You were signed out", text)
    return HTMLResponse(paper.sign_in(following=following, note=note))


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Let in who has an operator's key."""
    form = await form_of(request)
    following, key = own_address(form.get("next", "/")), form.get("key", "").strip()
    desk: Desk = request.app.state.desk
    try:
        scope = await _scope_of(desk, key)
    except RefusedError as error:
        return _refused(following, _why(error), HTTPStatus.UNAUTHORIZED)
    except UnreachableError as error:
        note = paper.sign_in_note(
            "bad", "The API does not answer", f"Your key could not be checked: {error.trouble.hint}."
        )
        return _refused(following, note, HTTPStatus.BAD_GATEWAY)
    desk.visits.end(request.state.visit_name)
    answer = RedirectResponse(following, HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        cookie_name(is_secure=desk.is_secure),
        desk.visits.begin(key, scope),
        httponly=True,
        samesite="strict",
        secure=desk.is_secure,
        path="/",
    )
    log.info("signed_in", role=scope.role)
    return answer


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Forget the key, and let the browser's name for it open nothing any more."""
    desk: Desk = request.app.state.desk
    desk.visits.end(request.state.visit_name)
    answer = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(
        cookie_name(is_secure=desk.is_secure), path="/", httponly=True, samesite="strict", secure=desk.is_secure
    )
    return answer


@router.post("/awake")
async def stay(request: Request) -> Response:
    """Hear that somebody is there: pages say so when a key or a pointer moved, once a minute at most."""
    desk: Desk = request.app.state.desk
    is_here = desk.visits.find(request.state.visit_name, touch=True) is not None
    return Response(status_code=HTTPStatus.NO_CONTENT if is_here else HTTPStatus.UNAUTHORIZED)


@router.get("/awake")
async def is_known() -> Response:
    """Answer who is signed in; a page that lost its connection asks whether it may have one, though nobody is there."""
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post("/act/{path:path}")
async def act(path: str, request: Request) -> Response:
    """Do what a dialog was confirmed for, then show the page it was on, which says what became of it."""
    desk: Desk = request.app.state.desk
    visit: Visit = request.state.visit
    form = await form_of(request)
    wish, back = form.pop("wish", ""), own_address(form.pop("back", "/"))
    answer = RedirectResponse(back, HTTPStatus.SEE_OTHER)
    if not visit.may_act or not wish:
        visit.told = Told(tone="bad", title="Nothing was done", text="Your key may only look.")
        return answer
    body: Json = {name: _said(name, value) for name, value in form.items()}
    try:
        done = await desk.remote.act(f"/{path}", key=visit.key, body=body, idempotency_key=wish)
    except RefusedError as error:
        visit.told = Told(tone="wait", title="Nothing was done", text=error.trouble.says, path=f"/{path}", form=form)
    except UnreachableError as error:
        text = f"Whether it was done is not known: {error.trouble.hint}. The audit tells."
        visit.told = Told(tone="bad", title="The API did not answer", text=text, path=f"/{path}", form=form)
    else:
        says = str(done.data.get("says") or "It is done.")
        visit.told = Told(tone="good", title=says, text="It is in the audit, with your reason.")
    log.info("acted", path=path, role=visit.scope.role, tone=visit.told.tone)
    desk.feeds.look_again(visit)
    return answer


def _said(name: str, value: str) -> str | int:
    """Read a field as the API wants it; what is no likely number goes on as it is, for the API to refuse."""
    return int(value) if name in NUMBERS and _NUMBER.fullmatch(value) else value


async def show_missing(request: Request, _: Exception) -> Response:
    """Return the page for an address that nothing has; NiceGUI's own draws itself by what our policy forbids."""
    if request.url.path.startswith("/_nicegui"):
        return PlainTextResponse("There is no such file.", HTTPStatus.NOT_FOUND)
    return HTMLResponse(paper.missing(request.url.path, request.state.visit), HTTPStatus.NOT_FOUND)


async def form_of(request: Request) -> dict[str, str]:
    """Return what a form of ours was filled with; of more than a form can have, nothing.

    What was left blank is left out; of a choice and a free field of one name, the first that is filled counts.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            return {}
    form: dict[str, str] = {}
    for name, value in parse_qsl(body.decode("utf-8", "replace")):
        form.setdefault(name, value)
    return form


async def _scope_of(desk: Desk, key: str) -> Scope:
    """Return what a key opens. Raises RefusedError, UnreachableError."""
    me = (await desk.remote.read("/me", key=key)).data
    tenants = me.get("tenants")
    return Scope(
        role=str(me["role"]),
        tenants=None if tenants is None else tuple(map(str, tenants)),
        name=str(me.get("name") or ""),
    )


def _why(error: RefusedError) -> Node:
    if error.status == HTTPStatus.FORBIDDEN:
        text = "It is a backend's key. The dashboard wants one of `zapwright api-keys create --operator --name YOU`."
        return paper.sign_in_note("bad", "That key opens something else", text)
    return paper.sign_in_note("bad", "No operator has this key", "Perhaps it was revoked, or a part of it is missing.")


def _refused(following: str, note: Node, status: HTTPStatus) -> Response:
    return HTMLResponse(paper.sign_in(following=following, note=note), status)
