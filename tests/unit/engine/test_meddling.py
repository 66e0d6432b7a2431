"""Checks that others meddle with at any moment: whoever waits is looked after, and nobody gets what is another's."""

from __future__ import annotations

from contextlib import suppress
from functools import reduce
from random import Random
from typing import Any, Final

import pytest

from orchestrator.core import schedule
from orchestrator.core.effects import Due
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.session import MINUTE, SECOND, HintKind, Session, Step
from orchestrator.core.signals import PopupCancelled, SessionCancelled
from tests.support.failovers import lost
from tests.support.interference import Call
from tests.support.scenes import Scene

WALKS: Final = 40
MOST_SESSIONS: Final = 4


class Meddlers:
    """Ann's pages, which do by chance what pages do. Every attempt yields one authentication at most."""

    def __init__(self, scene: Scene, chance: Random) -> None:
        self._scene = scene
        self._chance = chance
        self._often = chance.choice([0, 0.05, 0.15, 0.3])
        self._is_busy = False
        self._attempts: list[tuple[Session, str]] = []
        self._names = iter(range(1_000))
        self.told: dict[str, str] = {}
        """Which session has heard of an authentication by a message."""

    @property
    def sessions(self) -> list[Session]:
        """All that were begun."""
        return list({session.id: session for session, _ in self._attempts}.values())

    async def __call__(self, name: str, call: Call) -> Any:
        """Do something around a call of the process that checks."""
        await self._meddle()
        answer = await call()
        await self._meddle()
        return answer

    async def act(self) -> None:
        """Do one thing; what is refused changes nothing."""
        with suppress(ZapwrightError):
            await self._act()

    async def _meddle(self) -> None:
        if not self._is_busy and self._chance.random() < self._often:
            self._is_busy = True
            await self.act()
            self._is_busy = False

    async def _act(self) -> None:
        scene, chance = self._scene, self._chance
        wish = chance.choice(["begin", "hint", "hint", "tell", "tell", "connect", "open", "give up", "end", "wait"])
        if not self._attempts or (wish == "begin" and len(self.sessions) < MOST_SESSIONS):
            attempt_id = self._name("at")
            self._attempts.append((await scene.waiting("ann", attempt_id), attempt_id))
            return
        session, attempt_id = chance.choice(self._attempts)
        match wish:
            case "hint":
                await scene.hint(session, chance.choice([HintKind.FINISHED, HintKind.FOCUS]), attempt_id=attempt_id)
            case "tell" if f"of-{attempt_id}" not in self.told:
                self.told[f"of-{attempt_id}"] = session.id
                scene.zapier.connect("ann", "slack", f"of-{attempt_id}")
                await scene.message(session, f"of-{attempt_id}", attempt_id=attempt_id)
            case "connect":
                scene.zapier.connect("ann", "slack", self._name("elsewhere"))
            case "open":
                self._attempts.append((session, self._name("at")))
                await scene.open(session, self._attempts[-1][1])
            case "give up":
                given_up = PopupCancelled(step_id=session.steps[0].id, attempt_id=attempt_id)
                await scene.here.engine.apply(session.key, given_up)
            case "end" if chance.random() < 1 / 3:
                await scene.here.engine.apply(session.key, SessionCancelled())
            case _:
                scene.clock.advance(chance.choice([1, 300, SECOND, 5 * SECOND]))

    def _name(self, kind: str) -> str:
        return f"{kind}-{next(self._names)}"


class FailingOver:
    """A process that reads what is then lost: somebody did something just before, and others do something after."""

    def __init__(self, scene: Scene, meddlers: Meddlers, chance: Random) -> None:
        self._scene = scene
        self._meddlers = meddlers
        self._chance = chance

    async def __call__(self, name: str, call: Call) -> Any:
        """Make the call, of which there may be nothing left afterwards."""
        if not name.startswith("watches.load") or self._chance.random() < 1 / 3:
            return await call()
        with lost(self._scene.store):
            await self._meddlers.act()
            answer = await call()
        self._scene.clock.advance(SECOND)
        await self._meddlers.act()
        return answer


async def wanted(scene: Scene, sessions: list[Session]) -> Due | None:
    """Return when those who wait want the next check, after those that were made; who was lost waits no more."""
    checks = (await scene.watch("ann")).checks
    steps: list[Step] = []
    for session in sessions:
        with suppress(SessionNotFoundError):
            now = await scene.now(session)
            steps += now.steps if now.is_open else ()
    found = [schedule.due(step, checked_at=checks[-1] if checks else None) for step in steps]
    dues = [due for due in found if due is not None]
    return reduce(Due.__or__, dues) if dues else None


@pytest.mark.parametrize("walk", range(WALKS))
async def test_whatever_happens_amid_a_check_nobody_is_forgotten_or_given_what_is_anothers(walk: int) -> None:
    """The watch is due no later than anybody wants, its lease is free, and messages reach whom they are for."""
    scene, chance = Scene(), Random(walk)
    await scene.sign_in("ann")
    scene.zapier.connect("ann", "slack", "old")
    meddlers = Meddlers(scene, chance)
    worker = scene.process(meddlers)
    for _ in range(8):
        for _ in range(chance.randrange(4)):
            await meddlers.act()
        await worker.look()
        watch, due = await scene.watch("ann"), await wanted(scene, meddlers.sessions)
        assert watch.lease_token is None
        assert due is None or due.soonest is None or (watch.next_check_at or due.soonest + 1) <= due.soonest
        scene.clock.advance(chance.choice([0, SECOND, 4 * SECOND, 30 * SECOND]))
    await scene.pass_time(3 * MINUTE, tick=10 * SECOND)
    given = {session.id: await scene.given(session) for session in meddlers.sessions}
    held = [authentication_id for authentication_id in given.values() if authentication_id is not None]

    assert len(held) == len(set(held))
    assert all(meddlers.told.get(one, session_id) == session_id for session_id, one in given.items() if one)


@pytest.mark.parametrize("walk", range(WALKS))
async def test_whatever_failovers_lose_amid_a_check_nobody_who_waits_is_forgotten(walk: int) -> None:
    """What it read may not be so any more, nor ever have been for those who act next."""
    scene, chance = Scene(), Random(walk)
    await scene.sign_in("ann")
    meddlers = Meddlers(scene, chance)
    worker = scene.process(FailingOver(scene, meddlers, chance))
    for _ in range(8):
        for _ in range(chance.randrange(4)):
            await meddlers.act()
        await worker.look()
        watch, due = await scene.watch("ann"), await wanted(scene, meddlers.sessions)
        assert watch.lease_token is None
        if due is not None and due.soonest is not None:
            assert watch.next_check_at is not None
            assert watch.next_check_at <= max(due.soonest, scene.clock.now())
        scene.clock.advance(chance.choice([0, SECOND, 4 * SECOND, 30 * SECOND]))
