"""A product that uses Zapwright: a page on an origin of its own, and the backend that gives it client tokens."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from orchestrator.serving import KEPT_S
from tests.support.patience import PATIENT
from tests.support.processes import eventually

FILES: Final = Path(__file__).parent / "host"


RENAMED: Final = "Twilio"
"""An app that a test renames: what a search found serves everybody for minutes, so no other asks for it."""

ANEW: Final[dict[str, Any]] = {
    **PATIENT,
    "limits": httpx.Limits(max_keepalive_connections=0),  # one that was idle may be closed as it is used
}


class Product:
    """A product's backend, and what it was asked.

    `headers` are its page's own, `files` what else it serves, `answers` what it says where it thinks first. `alter`
    says, of a session, what becomes of the token that is given for the nth time.
    """

    def __init__(self, origin: str, *, api_url: str, api_key: str, simulator_url: str) -> None:
        self.origin = origin
        self.api_url = api_url
        self.simulator_url = simulator_url
        self.tokens_given: dict[str, int] = {}
        self.headers: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.answers: dict[str, Callable[[Request], Response]] = {}
        self.alter: dict[str, Callable[[int, dict[str, Any]], dict[str, Any]]] = {}
        bearer = {"Authorization": f"Bearer {api_key}"}
        self.backend = httpx.AsyncClient(base_url=api_url, headers=bearer, **ANEW)
        self.simulator = httpx.AsyncClient(base_url=simulator_url, **ANEW)

    async def session(self, user: str, *apps: str) -> dict[str, Any]:
        """Sign a user in, and begin a session of theirs with one step for each app, given by its title."""
        await self.sign_in(user)
        return await self.begin(user, *apps)

    async def sign_in(self, user: str) -> None:
        """Hand a user's token over."""
        answer = await self.backend.put(f"/v1/users/{user}/credential", json={"access_token": f"sim-{user}"})
        answer.raise_for_status()

    async def begin(self, user: str, *apps: str) -> dict[str, Any]:
        """Begin a session of a user who is signed in, with one step for each app."""
        session = await self._post("/v1/sessions", {"user_id": user, "steps": [{} for _ in apps]})
        for step, title in zip(session["steps"], apps, strict=True):
            found = await self._get(f"/v1/sessions/{session['id']}/apps", query=title)
            app_id = next(app["id"] for app in found["apps"] if app["title"] == title)
            path = f"/v1/sessions/{session['id']}/steps/{step['id']}/app"
            answer = await self.backend.put(path, json={"app_id": app_id})
            session = answer.raise_for_status().json()
        return session

    async def popups(self, **of_app: dict[str, Any]) -> None:
        """Set what goes wrong in the popups of apps, by their titles, and nothing of what was set before."""
        for popups in (dict.fromkeys(of_app), of_app):
            apps = {title: {"popups": popups[title]} for title in of_app}
            (await self.simulator.patch("/_control/faults", json={"apps": apps})).raise_for_status()

    async def connect_account(self, user: str, app: str) -> str:
        """Have a user connect an account without any popup of ours; return its id."""
        made = await self.simulator.post("/_control/authentications", json={"user": user, "app": app})
        found: str = made.raise_for_status().json()["id"]
        return found

    async def accounts(self, user: str, app: str) -> list[str]:
        """Return the ids of what a user has connected, the oldest first."""
        found = await self.simulator.get("/_control/authentications", params={"user": user, "app": app})
        return [one["id"] for one in found.raise_for_status().json()["authentications"]]

    async def apps(self) -> list[str]:
        """Return the titles of all apps that need an authentication, but the one that is renamed."""
        await self.sign_in("nobody")
        session = await self._post("/v1/sessions", {"user_id": "nobody", "steps": []})
        titles: list[str] = []
        cursor: str | None = None
        while True:
            found = await self._get(f"/v1/sessions/{session['id']}/apps", **({"cursor": cursor} if cursor else {}))
            titles += [app["title"] for app in found["apps"] if app["needs_authentication"]]
            if (cursor := found["cursor"]) is None:
                return [title for title in titles if title != RENAMED]

    def page(self, session: dict[str, Any]) -> str:
        """Return the address of the product's page for a session."""
        return (
            f"{self.origin}/?{urlencode({'api': self.api_url, 'session': session['id'], 'user': session['user_id']})}"
        )

    def app(self) -> Starlette:
        """Return what the browser is served."""
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/host.js", self._script),
                Route("/token", self._token, methods=["POST"]),
                Route("/{name}", self._file),
            ]
        )

    async def _page(self, _request: Request) -> Response:
        return FileResponse(FILES / "index.html", headers=self._headers())

    async def _script(self, _request: Request) -> Response:
        return FileResponse(FILES / "host.js")

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name in self.answers:
            return self.answers[name](request)
        media_type = "text/javascript" if name.endswith(".js") else "text/html"
        return Response(self.files[name], media_type=media_type)

    async def _token(self, request: Request) -> Response:
        session = request.query_params["session"]
        self.tokens_given[session] = self.tokens_given.get(session, 0) + 1
        given = await self._post_token(session, request.query_params["user"])
        alter = self.alter.get(session)
        return JSONResponse(alter(self.tokens_given[session], given) if alter else given)

    def _headers(self) -> dict[str, str]:
        policy = f"default-src 'none'; script-src 'self' {self.api_url}; connect-src 'self' {self.api_url}"
        return {"Content-Security-Policy": policy, **self.headers}

    async def _post_token(self, session: str, user: str) -> dict[str, Any]:
        bearer = self.backend.headers["Authorization"]
        async with httpx.AsyncClient(base_url=self.api_url, **ANEW) as client:
            answer = await client.post(
                f"/v1/sessions/{session}/client-tokens", json={"user_id": user}, headers={"Authorization": bearer}
            )
        given: dict[str, Any] = answer.raise_for_status().json()
        return given

    async def _get(self, path: str, **query: str) -> dict[str, Any]:
        answer = await self.backend.get(path, params=query)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    async def _post(self, path: str, body: object) -> dict[str, Any]:
        answer = await self.backend.post(path, json=body)
        made: dict[str, Any] = answer.raise_for_status().json()
        return made


def listening() -> socket.socket:
    """Return a socket for the product's server."""
    return socket.create_server(("127.0.0.1", 0))


@contextmanager
def serving(product: Product, at: socket.socket) -> Iterator[None]:
    """Serve a product's page and backend."""
    server = uvicorn.Server(uvicorn.Config(product.app(), log_config=None, lifespan="off", timeout_keep_alive=KEPT_S))
    thread = threading.Thread(target=server.run, args=([at],), daemon=True)
    thread.start()
    eventually(lambda: server.started, what="the product serves")
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
