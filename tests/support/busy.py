"""A user of whom everything is kept that can be."""

from __future__ import annotations

from typing import Any

from orchestrator.core.effects import Due
from orchestrator.core.ports.watches import Settlement
from orchestrator.core.session import MINUTE, WatchKey
from orchestrator.core.tenants import DEFAULT_TENANT
from tests.support.deployment import Deployment


class BusyLife:
    """A user who lives through everything that leaves a trace."""

    def __init__(self, api: Deployment, user: str) -> None:
        self._api = api
        self._user = user
        self.sessions: list[str] = []

    async def live(self) -> None:
        """Sign in twice, and build Zaps that end, wait, and resolve."""
        for token in ("sim-elsewhere", "sim-erin"):
            await self._api.ok("PUT", f"/v1/users/{self._user}/credential", {"access_token": token})
        await self._sign_in()
        await self._create()
        await self._cancel()
        await self._be_found()
        await self._wait()

    async def _sign_in(self) -> None:
        newcomer = {"email": "erin@example.test", "first_name": "Erin", "last_name": "E"}
        wish = {"browser": "0" * 64, "newcomer": newcomer}
        await self._api.ok("POST", f"/v1/users/{self._user}/zapier-sign-in", wish, status=201)

    async def _create(self) -> None:
        step = await self._begin("Schedule", title="Every hour")
        await self._api.ok("PUT", f"{step}/action", {"key": "every_hour", "action_type": "READ"})
        await self._api.ok("POST", f"/v1/sessions/{self.sessions[-1]}/zap", {}, status=201)

    async def _cancel(self) -> None:
        step = await self._begin("Slack", reference="gone")
        await self._popup(step, "attempt-0001")
        await self._api.ok("DELETE", f"/v1/sessions/{self.sessions[-1]}")

    async def _be_found(self) -> None:
        step = await self._begin("HubSpot", reference="order-7", metadata={"of": "erin"})
        await self._popup(step, "attempt-0002")
        await self._api.sim.connect("erin", "HubSpot")
        await self._api.signal(step, "finished", attempt="attempt-0002")
        self._api.clock.manual.advance(1_000)
        await self._api.check()

    async def _wait(self) -> None:
        for app, attempt in (("Gmail", "attempt-0003"), ("Trello", "attempt-0004")):
            step = await self._begin(app)
            await self._api.ok("POST", f"{step}/connect-links", {"user_id": self._user}, status=201)
            await self._popup(step, attempt)
            await self._api.signal(step, "focus", attempt=attempt, context={"visible": True})
            await self._api.signal(step, "message", attempt=attempt, authentication_id="777")
        await self._api.client.get(f"/v1/sessions/{self.sessions[-1]}/apps", params={"query": "hubspot"})
        app_id = self._api.sim.app_id("Trello")
        await _list_two_pages(self._api, WatchKey(tenant_id=DEFAULT_TENANT, user_id=self._user, app_id=app_id))

    async def _begin(self, app: str, **more: Any) -> str:
        headers = {"Idempotency-Key": f"key-{self._user}-{len(self.sessions)}"}
        body = {"user_id": self._user, "steps": [{"app_id": self._api.sim.app_id(app)}], **more}
        answer = await self._api.client.post("/v1/sessions", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        session: dict[str, Any] = answer.json()
        self.sessions.append(session["id"])
        return f"/v1/sessions/{session['id']}/steps/{session['steps'][0]['id']}"

    async def _popup(self, step: str, attempt: str) -> None:
        await self._api.ok("POST", f"{step}/popup", {"attempt_id": attempt}, status=201)


async def a_busy_life(api: Deployment, *, user: str) -> list[str]:
    """Have a user live a busy life; return the ids of the sessions."""
    life = BusyLife(api, user)
    await life.live()
    return life.sessions


async def _list_two_pages(api: Deployment, key: WatchKey) -> None:
    """Make a check of a watch that finds two pages, and wants another one soon."""
    api.clock.manual.advance(MINUTE + 1_000)
    now = api.clock.now()
    assert await api.store.watches.lease([key], token="two-pages", now=now, until=now + MINUTE) == (key,)
    watch = await api.store.watches.load(key, now=now)
    settlement = Settlement(
        key=key,
        token="two-pages",
        version=watch.version,
        now=now,
        due=Due(strong=now + 1, quiet=now + MINUTE),
        checked_at=now,
        pages=2,
    )
    await api.store.watches.settle(settlement)
