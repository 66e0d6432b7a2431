"""Erasing a user while something is under way for them: whatever it is, it brings nothing back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

import pytest

from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.ports.sessions import SessionQuery
from orchestrator.core.ports.watches import Watch
from orchestrator.core.session import MINUTE, Session, WatchKey
from orchestrator.core.signals import MessageReceived, SessionCancelled, StepAdded
from orchestrator.core.terms import Idempotency, Terms
from tests.support.interference import Call, Fuse, Killed
from tests.support.scenes import TENANT, Process, Scene

TERMS: Final = Terms(idempotency=Idempotency(name="n1", fingerprint="f1"))

Deed: TypeAlias = Callable[[Process, Session], Awaitable[object]]


async def check(process: Process, session: Session) -> object:
    """A worker looks, and finds what the popup made."""
    return await process.look()


async def add(process: Process, session: Session) -> object:
    """A page adds a step."""
    return await process.engine.apply(session.key, StepAdded(step_id="st-new"), terms=TERMS)


async def open_popup(process: Process, session: Session) -> object:
    """A page opens a popup anew."""
    return await process.engine.open_popup(session.key, session.steps[0].id, None, terms=TERMS)


async def message(process: Process, session: Session) -> object:
    """A popup's message arrives."""
    said = MessageReceived(step_id=session.steps[0].id, attempt_id="at-1", authentication_id="new")
    return await process.engine.apply(session.key, said, terms=TERMS)


async def refuse(process: Process, session: Session) -> object:
    """A page asks for something that is not for this moment."""
    return await process.engine.open_popup(session.key, "st-gone", "at-9", terms=TERMS)


async def choose(process: Process, session: Session) -> object:
    """A page chooses another app."""
    return await process.engine.choose_app(session.key, session.steps[0].id, "gmail")


async def create(process: Process, session: Session) -> object:
    """The Zap is made."""
    return await process.creator.create(session.key, terms=TERMS)


async def sweep(process: Process, session: Session) -> object:
    """The sweeper comes by."""
    return await process.sweep()


async def cancel(process: Process, session: Session) -> object:
    """The session is wanted no more."""
    return await process.engine.apply(session.key, SessionCancelled())


DEEDS: Final[list[Deed]] = [check, add, open_popup, message, refuse, choose, create, sweep, cancel]


class Eraser:
    """Erases a user just before, or just after, one of a process's calls."""

    def __init__(self, scene: Scene, at: int) -> None:
        self._scene = scene
        self._left = at

    async def __call__(self, name: str, call: Call) -> Any:
        """Make the call between two moments."""
        await self._pass()
        try:
            return await call()
        finally:
            await self._pass()

    async def _pass(self) -> None:
        if self._left == 0:
            await self._scene.here.engine.erase_user(TENANT, "ann")
        self._left -= 1


async def begun(deed: Deed, *, refused: bool = False) -> tuple[Scene, Session]:
    """Have a user for whom the deed is about to be done; `refused`: Zapier no longer takes their token."""
    scene = Scene()
    await scene.sign_in("ann")
    session = await (scene.ready("ann") if deed is create else scene.waiting("ann"))
    if deed is not create:
        await scene.hint(session)
        scene.zapier.connect("ann", "slack", "new")
    if deed is sweep:
        scene.clock.advance(20 * MINUTE)
    if refused:
        scene.zapier.refuse("token-of-ann")
    return scene, session


async def is_nothing_kept(scene: Scene, session: Session) -> bool:
    """Tell whether the store has nothing of the user."""
    now = scene.clock.now()
    with pytest.raises(SessionNotFoundError):
        await scene.store.sessions.signals(session.id)
    watches = [WatchKey(tenant_id=TENANT, user_id="ann", app_id=app) for app in ("slack", "gmail")]
    return (
        (await scene.store.sessions.find(SessionQuery(tenant_id=TENANT))).sessions == ()
        and [await scene.store.watches.load(key, now=now) for key in watches] == [Watch(key=key) for key in watches]
        and await scene.store.watches.peek(now=now + 999 * MINUTE, limit=9) == ()
        and await scene.store.credentials.get(TENANT, "ann") is None
        and await scene.store.receipts.find(TENANT, "ann", "n1", now=now) is None
    )


@pytest.mark.parametrize("refused", [False, True], ids=["", "signed out"])
@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: str(deed.__name__))
async def test_whatever_is_under_way_brings_nothing_back(deed: Deed, refused: bool) -> None:
    """At each moment of it; whoever asked is told that the session is not there, or was answered before."""
    scene, session = await begun(deed, refused=refused)
    fuse = Fuse()
    with suppress(ZapwrightError):
        await deed(scene.process(fuse), session)

    for moment in range(fuse.count):
        scene, session = await begun(deed, refused=refused)
        with suppress(ZapwrightError):
            await deed(scene.process(Eraser(scene, moment)), session)

        assert await is_nothing_kept(scene, session), fuse.log[moment]
        assert await scene.held() <= len(scene.zapier.requests), "a permit was kept"


async def test_who_dies_while_erasing_is_followed_by_another() -> None:
    """Doing it again is all there is to do."""
    scene, session = await begun(check)
    for moment in range(2):
        with suppress(Killed):
            await scene.process(Fuse(moment)).engine.erase_user(TENANT, "ann")
    await scene.here.engine.erase_user(TENANT, "ann")

    assert await is_nothing_kept(scene, session)
