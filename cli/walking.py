"""Signing in to the simulator without a browser: somebody who keeps cookies, follows where they are led, and answers.

What a walk needs is asked for step by step, so that whoever has an HTTP client, waiting or not, can take one.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from html import unescape
from http import HTTPStatus
from typing import Final, TypeAlias

import httpx

from cli.errors import CommandError

Step: TypeAlias = tuple[str, str, dict[str, str] | None]
"""Method, address and form of a request to be made, not following redirects, with the cookies there are."""

MOST_STEPS: Final = 20
_LIMIT_S: Final = 30.0
_NEXT: Final = re.compile(r'name="next" value="([^"]*)"')
_NAME: Final = re.compile(r'data-browser="([0-9a-f]{64})"')
_KIND: Final = re.compile(r'data-kind="([a-z_]+)"')


def walk(address: str, *, account: str, answer: str = "allowed") -> Generator[Step, httpx.Response, httpx.Response]:
    """Go on from an address until a page asks nothing of a user, and return that page.

    On the way sign in to Zapier as `account`, and give `answer` where a client asks to act for it.
    """
    found = yield ("GET", address, None)
    for _ in range(MOST_STEPS):
        if found.is_redirect:
            found = yield ("GET", str(found.url.join(found.headers["location"])), None)
        elif (back := _NEXT.search(found.text)) is not None:
            form = {"account": account, "next": unescape(back[1])}
            found = yield ("POST", str(found.url.join("/engine/account")), form)
        elif 'id="allow"' in found.text:
            found = yield ("POST", str(found.url), {"answer": answer})
        else:
            break
    return found


def browser_in(page: httpx.Response) -> str:
    """Return the name that the first page of a sign-in tells whoever opened it. Raises CommandError."""
    found = _NAME.search(page.text)
    if found is None:
        raise CommandError(f"{page.url.host} did not name this browser: {page.status_code}")
    return found[1]


def outcome_in(page: httpx.Response) -> str:
    """Return what the last page of a sign-in says came of it."""
    found = _KIND.search(page.text)
    return found[1] if found else f"status {page.status_code}"


def sign_in(api_url: str, *, api_key: str, user_id: str, account: str, origin: str) -> None:
    """Sign a user in to the simulator as `account`, as a browser would, for pages of `origin`. Raises CommandError."""
    with httpx.Client(trust_env=False, timeout=_LIMIT_S) as http:
        try:
            greeting = http.get(f"{api_url}/zapier-sign-in", params={"origin": origin})
            begun = http.post(
                f"{api_url}/v1/users/{user_id}/zapier-sign-in",
                json={"browser": browser_in(greeting)},
                headers={"Authorization": f"Bearer {api_key}"},
            )
            if begun.status_code != HTTPStatus.CREATED:
                raise CommandError(f"no sign-in could be begun: {begun.status_code} {begun.text}")
            outcome = outcome_in(_taken(http, walk(begun.json()["url"], account=account)))
        except httpx.HTTPError as error:
            raise CommandError(f"the sign-in broke off: {error}") from error
    if outcome != "signed_in":
        raise CommandError(f"the sign-in ended otherwise: {outcome}")


def _taken(http: httpx.Client, steps: Generator[Step, httpx.Response, httpx.Response]) -> httpx.Response:
    """Take a walk to its end."""
    method, address, form = next(steps)
    while True:
        try:
            method, address, form = steps.send(http.request(method, address, data=form))
        except StopIteration as end:
            last: httpx.Response = end.value
            return last
