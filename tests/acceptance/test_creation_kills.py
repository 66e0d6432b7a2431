"""The creator is killed at each point of a creation, a hundred times: never two Zaps, never a silent unknown."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import httpx

from orchestrator.bootstrap import Zapwright, compose
from orchestrator.clock import RandomIds, SystemClock
from orchestrator.core.errors.requests import IdempotencyInFlightError
from orchestrator.core.errors.zaps import CreateUnknownError
from orchestrator.core.session import MINUTE, SECOND, Action, Millis, Session, SessionStatus, ZapState
from orchestrator.core.signals import ActionChosen, InputsGiven
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.core.terms import Idempotency, Terms
from orchestrator.engine import NewSession, NewStep
from tests.support.creators import Creators, settings_for, store_of
from tests.support.patience import PATIENT
from tests.support.processes import a_simulator
from tests.support.valkey import running_valkey

KILLS: Final = 100
OF_ADA: Final = {"Authorization": "Bearer sim-ada"}
READY, CREATED, UNKNOWN = SessionStatus.READY, SessionStatus.CREATED, SessionStatus.CREATE_UNKNOWN


class LaterClock(SystemClock):
    """A clock that is ahead, so that a minute that must pass need not be waited for."""

    ahead: Millis = 0

    def now(self) -> int:
        """Return the present moment, as it will be."""
        return super().now() + self.ahead


@dataclass(frozen=True, slots=True)
class Deployment:
    """What outlives the creators: a process of ours beside them, the simulator, and the user's credential."""

    here: Zapwright
    clock: LaterClock
    creators: Creators
    simulator: httpx.AsyncClient
    apps: dict[str, str]

    async def ready(self, title: str) -> Session:
        """Begin a session of two steps that lacks nothing, under a title that no other Zap has."""
        engine = self.here.engine
        steps = tuple(NewStep(app_id=self.apps[name]) for name in ("Schedule", "Slack"))
        new = NewSession(tenant_id=DEFAULT_TENANT, user_id="ada", title=title, steps=steps)
        session = (await engine.create_session(new)).session
        first, second = session.steps
        assert second.baseline is not None
        await engine.select(session.key, second.id, second.baseline.authentications[0].id)
        for step, name in ((first, "every_hour"), (second, "new_message")):
            chosen = ActionChosen(step_id=step.id, action=Action(key=name, action_type="READ"))
            await engine.apply(session.key, chosen)
        return (await engine.apply(session.key, InputsGiven(step_id=second.id, inputs={"text": "hi"}))).session

    async def now(self, session: Session) -> Session:
        """Read the session."""
        return await self.here.store.sessions.load(session.key)

    async def zaps(self) -> Counter[str]:
        """Count the Zaps that the simulator has, by title."""
        titles: Counter[str] = Counter()
        page: dict[str, Any] = {"links": {"next": "/v2/zaps?limit=25"}}
        while page["links"]["next"]:
            page = (await self.simulator.get(page["links"]["next"], headers=OF_ADA)).raise_for_status().json()
            titles.update(row["title"] for row in page["data"])
        return titles

    async def sweep(self, *, after: Millis) -> None:
        """Let so much time pass, and sweep until nothing is left to be done."""
        self.clock.ahead += after
        shards = range(self.here.settings.shards)
        while sum([await self.here.sweeper.sweep(shard) for shard in shards]):
            pass


@asynccontextmanager
async def a_deployment(folder: Path) -> AsyncIterator[Deployment]:
    """Have a store, a simulator, and a user who is signed in and has an account at Slack."""
    with running_valkey() as server, a_simulator(folder) as simulator_url:
        settings, clock = settings_for(server.url, simulator_url), LaterClock()
        store = store_of(settings)
        creators = Creators(server.url, simulator_url, log=folder / "creators.log")
        await creators.start()
        async with (
            httpx.AsyncClient(**PATIENT) as http,
            httpx.AsyncClient(base_url=simulator_url, **PATIENT) as simulator,
        ):
            here = compose(settings, store=store, http=http, clock=clock, ids=RandomIds())
            await here.engine.put_credential(DEFAULT_TENANT, "ada", "sim-ada", expires_in=None)
            await simulator.post("/_control/authentications", json={"user": "ada", "app": "Slack"})
            apps = {}
            for name in ("Schedule", "Slack"):
                found = (await simulator.get("/v2/apps", params={"query": name}, headers=OF_ADA)).json()["data"]
                apps[name] = next(app["id"] for app in found if app["title"] == name)
            yield Deployment(here, clock, creators, simulator, apps)
        await creators.end()
        await cast("Any", store).aclose()


@dataclass(slots=True)
class Deaths:
    """Creations that were begun, each with where its process died, and how often every point of one was tried."""

    begun: list[tuple[Session, str]] = field(default_factory=list)
    places: Counter[str] = field(default_factory=Counter)
    passes: int = 0

    async def happen(self, deployment: Deployment) -> None:
        """Kill creators at one point after another, from the first again once one comes to its end before its point.

        Every other request comes again, as from a client that heard nothing.
        """
        point = 0
        while self.places.total() < KILLS or self.passes == 0:
            number = len(self.begun)
            session = await deployment.ready(f"Zap {number}")
            died_by, place = await deployment.creators.create(session.id, key=f"k{number}", point=point)
            self.begun.append((session, place))
            if died_by == signal.SIGKILL:
                self.places[place] += 1
                point += 1
            else:
                assert int(place) == point
                point, self.passes = 0, self.passes + 1
            if number % 2:
                await _ask_again(deployment, session, number)


async def test_a_creator_killed_a_hundred_times_makes_no_second_zap_and_leaves_no_silent_unknown(
    tmp_path: Path,
) -> None:
    """At each point at least once, with `kill -9`, on a real store and over real connections.

    A Zap that was made is found or was noted; one that was not made can be asked for again; and in between nobody,
    neither the request that comes again nor the sweeper, makes another.
    """
    deaths, ends = Deaths(), Counter[tuple[str, int]]()
    async with a_deployment(tmp_path) as deployment:
        await deaths.happen(deployment)
        await deployment.sweep(after=deployment.here.policy.creation + SECOND)
        await deployment.sweep(after=10 * SECOND)
        made = await deployment.zaps()
        for number, (session, place) in enumerate(deaths.begun):
            found = await deployment.now(session)
            ends[found.status.value, made[f"Zap {number}"]] += 1
            assert (found.status, made[f"Zap {number}"]) in {(READY, 0), (CREATED, 1), (UNKNOWN, 0)}, place
            assert found.zap.state is not ZapState.CREATING
            assert found.zap.look_at is None
            await _finish(deployment, session)
        await deployment.sweep(after=10 * MINUTE)
        made = await deployment.zaps()

    kinds = ", ".join(f"{count} {status} with {zaps} Zaps" for (status, zaps), count in sorted(ends.items()))
    print(  # noqa: T201 - for people
        f"{deaths.places.total()} kills at {len(deaths.places)} kinds of places, every point {deaths.passes} times; "
        f"then {kinds}; in the end {len(made)} sessions, {max(made.values())} Zap each"
    )
    assert deaths.places.total() >= KILLS
    assert [made[f"Zap {number}"] for number in range(len(deaths.begun))] == [1] * len(deaths.begun)
    assert {status for status, _ in ends} == {"ready", "created", "create_unknown"}


async def _ask_again(deployment: Deployment, session: Session, number: int) -> None:
    """Repeat the request, as a client does that heard nothing."""
    terms = Terms(idempotency=Idempotency(name=f"k{number}", fingerprint="f"))
    try:
        await deployment.here.creator.create(session.key, terms=terms)
    except IdempotencyInFlightError:
        return


async def _finish(deployment: Deployment, session: Session) -> None:
    """Do as the user does who sees how it stands: create it, or, once they have looked, create it again."""
    try:
        await deployment.here.creator.create(session.key)
    except CreateUnknownError:
        await deployment.here.creator.create(session.key, again=True)
    assert (await deployment.now(session)).status is CREATED
