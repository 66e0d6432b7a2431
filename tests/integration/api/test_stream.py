"""What a page reads in its session's stream, when, and how that ends."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.support.deployment import ORIGIN, Deployment
from tests.support.streams import AppPage, app_page


class Reading:
    """A session, and its pages."""

    def __init__(self, api: Deployment) -> None:
        self.api = api

    async def begin(self, app: str = "Slack") -> dict[str, Any]:
        """Begin a session whose user waits for a popup."""
        self.session, self.step = await self.api.awaiting(app)
        return self.session

    async def page(self, query: str = "", **headers: str) -> AbstractAsyncContextManager[AppPage]:
        """Have a page with a token of its own."""
        token = await self.api.ok("POST", f"{self.address}/client-tokens", {"user_id": "alice"}, status=201)
        return self.reader(query, {"Authorization": f"Bearer {token.json()['token']}", "Origin": ORIGIN, **headers})

    def reader(self, query: str, headers: dict[str, str]) -> AbstractAsyncContextManager[AppPage]:
        """Have a reader with these headers."""
        return app_page(self.api.app, f"{self.address}/stream{query}", headers)

    @property
    def address(self) -> str:
        return f"/v1/sessions/{self.session['id']}"

    async def change(self, title: str = "new") -> dict[str, Any]:
        """Have something happen to the session."""
        document: dict[str, Any] = (await self.api.ok("PATCH", self.address, {"title": title})).json()
        return document


@pytest.fixture
async def reading(api: Deployment) -> Reading:
    """A session whose user waits for a popup."""
    reading = Reading(api)
    await reading.begin()
    return reading


async def test_a_page_is_shown_the_session_and_then_what_happens_to_it(reading: Reading) -> None:
    """The session first; each event as the list has it, by its number; and the session after it."""
    async with await reading.page() as page:
        await page.until_told("session")
        before = await reading.api.read(reading.session)
        assert page.session == before

        after = await reading.change()
        await page.until(lambda page: len(page.told) == 3)
    listed = (await reading.api.ok("GET", f"{reading.address}/events?after={before['seq']}")).json()

    assert page.status == 200
    assert page.headers["content-type"] == "text/event-stream"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-accel-buffering"] == "no"
    assert page.headers["access-control-allow-origin"] == ORIGIN
    assert page.names == ["session", "session_changed", "session"]
    assert [(one.data, one.id) for one in page.told[1:2]] == [(listed["events"][0], str(after["seq"]))]
    assert page.session == after
