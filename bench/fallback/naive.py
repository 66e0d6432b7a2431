"""What most would write: trust the message, and until it comes ask for each waiting session every three seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import httpx

from bench.fallback.world import OTHER_CALLS, Result, Visit
from bench.fallback.zapier import Zapier
from bench.virtual import VirtualTimeLoop
from simulator.apps import App

POLL_EVERY_S = 3.0
GIVE_UP_AFTER_S = 600.0
MESSAGE_TAKES_S = 0.1


class Naive:
    """One polling loop a session, all of them from one address."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop
        self.zapier = Zapier(loop)
        self._http = self.zapier.client()
        self.listings = 0

    async def run(self, visits: Iterable[Visit]) -> list[Result]:
        """Let all visits happen; returns what became of them."""
        apps = self.zapier.apps
        async with self._http, asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._visit(visit, apps[number % len(apps)])) for number, visit in enumerate(visits)
            ]
        return [task.result() for task in tasks]

    async def _visit(self, visit: Visit, app: App) -> Result:
        await asyncio.sleep(visit.arrives_s - self._loop.time())
        for _ in range(OTHER_CALLS):
            await self._get(visit, "/v2/apps", ids=app.id)
        opened_s = self._loop.time()
        resolved = asyncio.Event()
        login = asyncio.create_task(self._login(visit, app, resolved))
        while not resolved.is_set() and self._loop.time() < opened_s + GIVE_UP_AFTER_S:
            self.listings += 1
            answer = await self._get(visit, "/v2/authentications", app=app.id)
            if answer.status_code == httpx.codes.OK and answer.json()["data"]:
                break
            try:
                await asyncio.wait_for(resolved.wait(), POLL_EVERY_S)
            except TimeoutError:
                continue
        found = resolved.is_set() or self._loop.time() < opened_s + GIVE_UP_AFTER_S
        resolved_s = self._loop.time() if found else None
        return Result(visit=visit, done_s=await login, resolved_s=resolved_s)

    async def _login(self, visit: Visit, app: App, resolved: asyncio.Event) -> float | None:
        if visit.login_s is None:
            return None
        await asyncio.sleep(visit.login_s)
        done_s = self._loop.time()
        self.zapier.finish(visit.user, app)
        if visit.has_message:
            await asyncio.sleep(MESSAGE_TAKES_S)
            resolved.set()
        return done_s

    async def _get(self, visit: Visit, path: str, **query: str) -> httpx.Response:
        return await self._http.get(path, params=query, headers={"Authorization": f"Bearer sim-{visit.user}"})
