"""A store, a simulator and an engine in the test's own process; workers are processes beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import SecretStr

from orchestrator.bootstrap import Zapwright, opened
from orchestrator.core.events import EventName
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.watches import Watch
from orchestrator.core.session import SECOND, HintKind, Instant, Session, SessionKey, Step, StepState, WatchKey
from orchestrator.core.signals import Context, Hinted
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.engine import NewSession, NewStep
from orchestrator.settings import Settings
from tests.support.patience import PATIENT
from tests.support.processes import SEALING_KEY, Gate, Process, a_worker
from tests.support.valkey import ValkeyServer

APP: Final = "HubSpot"
LISTINGS: Final = "GET /v2/authentications"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step that waits for its popup."""

    user: str
    key: SessionKey
    step_id: str
    attempt_id: str
    opened_at: Instant


class Site:
    """Everything that workers work on."""

    def __init__(self, zapwright: Zapwright, *, valkey: ValkeyServer, simulator_url: str, folder: Path) -> None:
        self.zapwright = zapwright
        self.valkey = valkey
        self._folder = folder
        self._simulator = httpx.AsyncClient(base_url=simulator_url, **PATIENT)
        self._environment = environment_of(simulator_url)
        self._workers = 0

    async def aclose(self) -> None:
        await self._simulator.aclose()

    # --- users ---

    async def waiting(self, user: str) -> Waiting:
        """Have a user whose popup is open."""
        engine = self.zapwright.engine
        await engine.put_credential(DEFAULT_TENANT, user, f"sim-{user}", expires_in=None)
        new = NewSession(tenant_id=DEFAULT_TENANT, user_id=user, steps=(NewStep(),))
        session = (await engine.create_session(new)).session
        step = session.steps[0]
        catalogue = await engine.search_apps(session.key, query=APP, cursor=None)
        await engine.choose_app(session.key, step.id, catalogue.apps[0].app.id)
        opened = await engine.open_popup(session.key, step.id, None)
        return Waiting(user, session.key, step.id, opened.attempt.id, opened.attempt.opened_at)

    async def finish(self, waiting: Waiting) -> str:
        """Let the user finish the popup; returns what arose from it. No message comes."""
        answer = await self._simulator.post("/_control/authentications", json={"user": waiting.user, "app": APP})
        return str(answer.raise_for_status().json()["id"])

    async def hint(self, waiting: Waiting, kind: HintKind, *, gone: bool = False) -> None:
        """Say what the page saw."""
        hint = Hinted(step_id=waiting.step_id, attempt_id=waiting.attempt_id, kind=kind, context=Context(gone=gone))
        applied = await self.zapwright.engine.apply(waiting.key, hint)
        assert applied.outcome is Outcome.APPLIED

    async def lose_message(self, user: str) -> tuple[Waiting, str]:
        """Have a user who finished the popup, whose message is lost, and who says so."""
        waiting = await self.waiting(user)
        made = await self.finish(waiting)
        await self.hint(waiting, HintKind.FINISHED)
        return waiting, made

    async def resolution(self, waiting: Waiting, *, within_s: float) -> Step:
        """Return the step once it is resolved."""
        try:
            async with asyncio.timeout(within_s):
                session = await self.session(waiting)
                while session.steps[0].state is not StepState.RESOLVED:
                    snapshot = await self.zapwright.following.after(session.key, seq=session.seq, wait=SECOND)
                    session = snapshot.session
        except TimeoutError as error:
            raise AssertionError(f"{waiting.user} is not resolved within {within_s:g} s") from error
        return session.steps[0]

    async def session(self, waiting: Waiting) -> Session:
        """Return a session as it is."""
        return await self.zapwright.store.sessions.load(waiting.key)

    async def watch(self, waiting: Waiting) -> Watch:
        """Return what is known of the app that a step waits for."""
        app = (await self.session(waiting)).steps[0].app
        assert app is not None
        key = WatchKey(tenant_id=DEFAULT_TENANT, user_id=waiting.user, app_id=app.id)
        return await self.zapwright.store.watches.load(key, now=self.zapwright.clock.now())

    async def resolved_at(self, waiting: Waiting) -> list[Instant]:
        """Return when the session said that its step is resolved: once, if all is well."""
        page = await self.zapwright.store.sessions.events(waiting.key.session_id, after=0)
        return [event.at for event in page.events if event.name is EventName.AUTH_RESOLVED]

    # --- Zapier ---

    async def set_rule(self, name: str, rule: dict[str, Any] | None) -> None:
        """Set a fault, or take it back."""
        answer = await self._simulator.patch("/_control/faults", json={"rules": {name: rule}})
        assert answer.status_code == 200, answer.text

    async def met(self, name: str) -> int:
        """Return how many requests have met a fault."""
        met = (await self._simulator.get("/_control/faults")).json()["met"]
        return int(met.get(name, 0))

    # --- workers ---

    @contextmanager
    def worker(
        self, *, gate: Gate | None = None, is_awaited: bool = True, clock_ahead_ms: int = 0
    ) -> Iterator[Process]:
        """Have a worker that fetches batches. With a gate it reaches the store through it, and is not awaited."""
        self._workers += 1
        log = self._folder / f"worker-{self._workers}.log"
        url = self.valkey.url if gate is None else gate.url
        with a_worker(
            log,
            redis_url=url,
            environment=self._environment,
            is_awaited=is_awaited and gate is None,
            clock_ahead_ms=clock_ahead_ms,
        ) as process:
            yield process


def environment_of(simulator_url: str) -> dict[str, str]:
    """Return the settings of every process, as their environment."""
    return {
        "ZAPWRIGHT_ZAPIER_API_URL": simulator_url,
        "ZAPWRIGHT_CREDENTIAL_KEYS": SEALING_KEY,
        "ZAPWRIGHT_RATE_LIMIT_EGRESS": "0",
        "ZAPWRIGHT_RATE_LIMIT_PARTNER": "0",
        "ZAPWRIGHT_CALL_LIMIT_S": "3",
    }


@asynccontextmanager
async def a_site(valkey: ValkeyServer, *, simulator_url: str, folder: Path) -> AsyncIterator[Site]:
    """Have a site on this store."""
    settings = Settings(
        zapier_api_url=simulator_url,
        credential_keys=(SecretStr(SEALING_KEY),),
        rate_limit_egress=0,
        rate_limit_partner=0,
        call_limit_s=3,
    )
    async with opened(settings, redis_url=valkey.url) as zapwright:
        site = Site(zapwright, valkey=valkey, simulator_url=simulator_url, folder=folder)
        try:
            yield site
        finally:
            await site.aclose()
