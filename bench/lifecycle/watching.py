"""`python -m bench.lifecycle.watching URL BROWSERS`: browsers of operators with the dashboard's pages open.

Each signs in with the key in ZAPWRIGHT_OPERATOR_KEY, loads its pages and holds their sockets, as Chromium would, and
draws nothing: what a browser does on its own machine is none of the API's cost. Prints `open` when all are.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from typing import Any, Final

import httpx
import socketio

PAGES: Final = ("/", "/sessions", "/sessions?state=awaiting-popup", "/apps", "/workers", "/audit")
_CLIENT: Final = re.compile(r"'client_id': '([0-9a-f-]+)'")


class PageMissingError(Exception):
    """The dashboard did not show one of its pages."""


async def browser(url: str, key: str, stack: list[Any]) -> None:
    """Sign in and open every page; the sockets go onto the stack. Raises PageMissingError."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
        await client.post("/sign-in", data={"key": key}, headers={"Origin": url})
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        for path in PAGES:
            page = await client.get(path)
            found = _CLIENT.search(page.text)
            if found is None:
                raise PageMissingError(f"{path} answered {page.status_code}")
            stack.append(await _socket(url, found[1], cookie))


async def _socket(url: str, client_id: str, cookie: str) -> Any:  # noqa: ANN401 - the library has no types
    socket = socketio.AsyncClient(reconnection=False)
    await socket.connect(
        f"{url}?client_id={client_id}&next_message_id=0&implicit_handshake=true&document_id={client_id}&tab_id={client_id}",
        headers={"Cookie": cookie, "Origin": url},
        socketio_path="/_nicegui_ws/socket.io",
        transports=["websocket"],
    )
    return socket


async def watch(url: str, browsers: int) -> None:
    """Have so many browsers open until this process is ended."""
    stack: list[Any] = []
    for _ in range(browsers):
        await browser(url, os.environ["ZAPWRIGHT_OPERATOR_KEY"], stack)
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(watch(sys.argv[1], int(sys.argv[2])))
