"""What a process recalls of a session saves it a reading, and is never what anybody is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.sessions import PreconditionFailedError, SessionLockedError, SessionNotFoundError
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.session import MINUTE, SECOND, HintKind, Session, SessionKey, StepState
from orchestrator.core.signals import (
    Hinted,
    MessageReceived,
    PopupCancelled,
    SessionCancelled,
    SessionChanged,
    Signal,
    StepAdded,
    StepChanged,
    StepRemoved,
    StepReset,
)
from orchestrator.core.terms import Idempotency, Terms
from orchestrator.core.values import replace
from orchestrator.engine import NewSession
from orchestrator.recollection import RECALLED_FOR, Recollection
from tests.support.clocks import ManualClock
from tests.support.interference import Script, Turns
from tests.support.scenes import TENANT, Process, Scene

TITLE: Final = SessionChanged(title="ours")
STEPS: Final = ("st1", "st2")
ATTEMPTS: Final = ("at1", "at2")


@pytest.fixture(name="scene")
async def _scene() -> Scene:
    """A deployment whose user Ann is signed in."""
    scene = Scene()
    await scene.sign_in("ann")
    return scene


async def recalling(scene: Scene, session: Session) -> tuple[Process, Script]:
    """Return a process that recalls the session as it is now, and what it asks of its ports from now on."""
    script = Script()
    process = scene.process(script)
    await process.engine.apply(session.key, SessionChanged(title="recalled"))
    script.calls.clear()
    return process, script


# --- what it saves ---


async def test_a_session_that_was_just_committed_is_not_read_again(scene: Scene) -> None:
    """The next transition is one exchange."""
    session = await scene.session("ann")
    process, script = await recalling(scene, session)

    applied = await process.engine.apply(session.key, TITLE)

    assert script.calls == ["sessions.commit"]
    assert applied.session == await scene.now(session)


async def test_an_app_is_chosen_after_one_reading_of_session_and_credential(scene: Scene) -> None:
    """Zapier is not asked on account of what is recalled; whose the session is does not change."""
    session = await scene.session("ann", None)
    process, script = await recalling(scene, session)

    applied = await process.engine.choose_app(session.key, session.steps[0].id, "slack")

    assert script.calls[:2] == ["sessions.load", "credentials.get"]
    assert [call for call in script.calls if call.startswith("sessions.")] == ["sessions.load", "sessions.commit"]
    assert applied.session.steps[0].state is StepState.NEEDS_AUTH


async def test_what_grew_old_is_decided_again_on_what_its_commit_found(scene: Scene) -> None:
    """No more exchanges than with a reading first: the commit that fails tells what is there."""
    session = await scene.session("ann")
    process, script = await recalling(scene, session)
    await scene.here.engine.apply(session.key, StepAdded(step_id="st-theirs"))

    applied = await process.engine.apply(session.key, TITLE)

    assert script.calls == ["sessions.commit", "sessions.commit"]
    assert (applied.session.title, [step.id for step in applied.session.steps]) == ("ours", ["st-theirs"])


# --- what it must not do ---


async def test_nobody_is_refused_on_account_of_what_is_recalled(scene: Scene) -> None:
    """The step is there by now, and has its app."""
    session = await scene.session("ann")
    process, _ = await recalling(scene, session)
    await scene.here.engine.apply(session.key, StepAdded(step_id="st1"))
    await scene.here.engine.choose_app(session.key, "st1", "slack")

    opened = await process.engine.open_popup(session.key, "st1", "at1")

    assert opened.outcome is Outcome.APPLIED


async def test_a_refusal_is_that_of_what_is_there(scene: Scene) -> None:
    """Who would have been refused for one reason is refused for the one that holds, which alone is logged."""
    session = await scene.session("ann", None)
    process, _ = await recalling(scene, session)
    await scene.here.engine.apply(session.key, SessionCancelled())

    with pytest.raises(SessionLockedError):
        await process.engine.open_popup(session.key, session.steps[0].id, "at-1")

    refused = [one for one in await scene.store.sessions.signals(session.id) if one.outcome is Outcome.REFUSED]
    assert [one.detail for one in refused] == ["session_locked"]


async def test_nobody_is_told_that_nothing_changes_on_account_of_what_is_recalled(scene: Scene) -> None:
    """It is a change again since somebody else made another."""
    session = await scene.session("ann", None)
    process, _ = await recalling(scene, session)
    step_id = session.steps[0].id
    await process.engine.choose_app(session.key, step_id, "slack")
    await scene.here.engine.choose_app(session.key, step_id, "gmail")

    chosen = await process.engine.choose_app(session.key, step_id, "slack")
    changed = await process.engine.apply(session.key, SessionChanged(title="recalled"))

    assert (chosen.outcome, changed.outcome) == (Outcome.APPLIED, Outcome.DUPLICATE)
    assert chosen.session.seq == changed.session.seq


async def test_a_request_on_terms_is_held_against_what_is_there(scene: Scene) -> None:
    """`If-Match` of what is recalled fails once it is old, and that of what is there holds."""
    session = await scene.session("ann")
    process, _ = await recalling(scene, session)
    recalled = (await scene.now(session)).seq
    there = (await scene.here.engine.apply(session.key, StepAdded(step_id="st1"))).session.seq

    with pytest.raises(PreconditionFailedError):
        await process.engine.apply(session.key, TITLE, terms=Terms(seqs=frozenset({recalled})))
    applied = await process.engine.apply(session.key, TITLE, terms=Terms(seqs=frozenset({there})))

    assert applied.outcome is Outcome.APPLIED


async def test_nothing_is_taken_from_another_step_on_account_of_what_is_recalled(scene: Scene) -> None:
    """A message puts in doubt what another step has by difference; it is read first whether it still may."""
    session = await scene.session("ann", "slack")
    other = await scene.waiting("ann", "at-other")
    scene.zapier.connect("ann", "slack", "77")
    await scene.hint(other, attempt_id="at-other")
    await scene.pass_time(4 * SECOND)
    process, _ = await recalling(scene, session)
    await scene.here.engine.apply(session.key, SessionCancelled())

    message = MessageReceived(step_id=session.steps[0].id, attempt_id="at-1", authentication_id="77")
    with pytest.raises(SessionLockedError):
        await process.engine.apply(session.key, message)

    assert await scene.given(other) == "77"


async def test_an_erased_user_has_no_session(scene: Scene) -> None:
    """Neither where the user was erased, nor in a process that heard nothing of it."""
    session = await scene.session("ann")
    process, _ = await recalling(scene, session)
    await scene.here.engine.erase_user(TENANT, "ann")

    for one in (scene.here, process):
        with pytest.raises(SessionNotFoundError):
            await one.engine.apply(session.key, TITLE)
        assert one.commits.recollection.find(session.key) is None


# --- what is kept ---


def test_the_newest_are_kept_and_none_for_long() -> None:
    """So a process keeps little of anybody in its memory, and for a short while."""
    clock = ManualClock()
    kept = Recollection(clock, most=2)
    first, second, third = (_blank(name) for name in ("a", "b", "c"))
    kept.keep(first)
    kept.keep(second)
    clock.advance(SECOND)
    kept.keep(first)
    kept.keep(third)
    found = [kept.find(one.key) for one in (first, second, third)]
    clock.advance(RECALLED_FOR)

    assert found == [first, None, third]
    assert [kept.find(one.key) for one in (first, second, third)] == [None] * 3


def test_what_was_kept_too_long_can_be_let_go_of_though_nothing_is_committed() -> None:
    """So nobody who was erased elsewhere stays in a process that is left alone."""
    clock = ManualClock()
    kept = Recollection(clock)
    kept.keep(_blank("a"))
    clock.advance(RECALLED_FOR - 1)
    kept.keep(_blank("b"))
    kept.let_go()
    before = len(kept)
    clock.advance(1)
    kept.let_go()

    assert (before, len(kept)) == (2, 1)


def test_a_clock_that_is_set_back_keeps_nobody_longer() -> None:
    """A process corrects its clock by the store's, by an hour if it must."""
    clock = ManualClock()
    kept = Recollection(clock)
    kept.keep(early := _blank("a"))
    clock.advance(-60 * MINUTE)
    found = kept.find(early.key)
    kept.keep(_blank("b"))
    left = len(kept)
    clock.advance(RECALLED_FOR)
    kept.let_go()

    assert (found, left, len(kept)) == (None, 1, 0)


def test_no_session_is_recalled_for_another_tenant() -> None:
    """Ids alone open nothing."""
    kept = Recollection(ManualClock())
    kept.keep(session := _blank("a"))

    assert kept.find(SessionKey(tenant_id="other", session_id=session.id)) is None


def _blank(name: str) -> Session:
    return Session(id=f"zs00{name:x>12}", tenant_id=TENANT, user_id="ann", created_at=0, deadline=0, updated_at=0)


# --- in whatever order ---

Answer: TypeAlias = tuple[Any, ...]
Deed: TypeAlias = Callable[[Process, SessionKey], Awaitable[Answer]]


@dataclass(frozen=True)
class Wish:
    """Something that somebody asks one of two processes for, some time after the one before."""

    process: int
    pause: int
    name: str
    deed: Deed


def applying(name: str, signal: Signal, terms: Terms) -> tuple[str, Deed]:
    """Ask for a signal to be applied."""

    async def deed(process: Process, key: SessionKey) -> Answer:
        applied = await process.engine.apply(key, signal, terms=terms)
        return applied.outcome, applied.made, applied.is_replay, _plain(applied.session)

    return name, deed


def choosing(step_id: str, app_id: str, terms: Terms) -> tuple[str, Deed]:
    """Ask for an app to be chosen."""

    async def deed(process: Process, key: SessionKey) -> Answer:
        applied = await process.engine.choose_app(key, step_id, app_id, terms=terms)
        return applied.outcome, applied.made, applied.is_replay, _plain(applied.session)

    return f"choose {app_id} for {step_id}", deed


def opening(step_id: str, attempt_id: str, terms: Terms) -> tuple[str, Deed]:
    """Ask for a popup to be opened."""

    async def deed(process: Process, key: SessionKey) -> Answer:
        opened = await process.engine.open_popup(key, step_id, attempt_id, terms=terms)
        return opened.outcome, opened.attempt, opened.is_replay, _plain(opened.session)

    return f"open {attempt_id} of {step_id}", deed


def checking() -> tuple[str, Deed]:
    """Have a worker look, and sweep."""

    async def deed(process: Process, key: SessionKey) -> Answer:
        return await process.look(), await process.sweep()

    return "check", deed


def erasing() -> tuple[str, Deed]:
    """Have the user erased."""

    async def deed(process: Process, key: SessionKey) -> Answer:
        await process.engine.erase_user(TENANT, "ann")
        return ()

    return "erase", deed


def _plain(session: Session) -> Session:
    """Leave out which commit it was: one that failed had an id, too."""
    return replace(session, commit_id="", earlier_commits=())


terms = st.builds(
    Terms,
    idempotency=st.none() | st.builds(Idempotency, name=st.sampled_from(["n1", "n2"]), fingerprint=st.just("f")),
    seqs=st.none() | st.none() | st.frozensets(st.integers(1, 12), max_size=6),
)
steps, attempts = st.sampled_from(STEPS), st.sampled_from(ATTEMPTS)
signals = st.one_of(
    st.builds(SessionChanged, title=st.sampled_from(["one", "two"])),
    st.builds(StepAdded, step_id=steps, alias=st.sampled_from([None, "lead"])),
    st.builds(StepChanged, step_id=steps, alias=st.sampled_from(["lead", "mail"]), position=st.integers(0, 1)),
    st.builds(StepRemoved, step_id=steps),
    st.builds(StepReset, step_id=steps),
    st.builds(Hinted, step_id=steps, attempt_id=attempts, kind=st.sampled_from([HintKind.FINISHED, HintKind.CLOSED])),
    st.builds(MessageReceived, step_id=steps, attempt_id=attempts, authentication_id=st.sampled_from(["77", "78"])),
    st.builds(PopupCancelled, step_id=steps, attempt_id=attempts),
)
deeds = st.one_of(
    st.builds(lambda signal, given: applying(str(signal), signal, given), signals, terms),
    st.builds(choosing, steps, st.sampled_from(["slack", "gmail", "clock"]), terms),
    st.builds(choosing, steps, st.sampled_from(["slack", "gmail", "clock"]), terms),
    st.builds(opening, steps, attempts, terms),
    st.builds(opening, steps, attempts, terms),
    st.builds(checking),
    st.sampled_from([applying("cancel", SessionCancelled(), Terms()), checking(), checking(), erasing()]),
)
wishes = st.lists(
    st.builds(
        lambda process, pause, deed: Wish(process, pause, *deed),
        st.integers(0, 1),
        st.sampled_from([0, SECOND, 30 * SECOND, 3 * MINUTE]),
        deeds,
    ),
    min_size=2,
    max_size=24,
)


async def _lived(wished: list[Wish], *, most: int) -> tuple[list[Answer], object]:
    """Carry it all out with two processes that recall so many sessions; return the answers and what is there then."""
    scene = Scene()
    await scene.sign_in("ann")
    scene.zapier.connect("ann", "slack", "77")
    processes = [scene.process(), scene.process()]
    for process in processes:
        process.commits.recollection = Recollection(scene.clock, most=most)
    session = (await processes[0].engine.create_session(_new())).session
    for step_id in STEPS:
        await processes[0].engine.apply(session.key, StepAdded(step_id=step_id))
    answers: list[Answer] = []
    for wish in wished:
        scene.clock.advance(wish.pause)
        try:
            answers.append(await wish.deed(processes[wish.process], session.key))
        except ZapwrightError as error:
            answers.append((type(error), error.facts))
    try:
        return answers, (_plain(await scene.now(session)), await scene.events(session), await scene.watch("ann"))
    except SessionNotFoundError:
        return answers, None


def _new() -> NewSession:
    return NewSession(tenant_id=TENANT, user_id="ann")


@given(wished=wishes)
def test_whoever_recalls_answers_as_whoever_reads(wished: list[Wish]) -> None:
    """Two processes that recall are told from two that read by nothing but the number of their exchanges."""
    recalled = asyncio.run(_lived(wished, most=8))
    read = asyncio.run(_lived(wished, most=0))

    assert read == recalled


@given(seed=st.integers(0, 10_000))
def test_what_two_processes_do_at_once_is_all_done(seed: int) -> None:
    """Each commit is upon the one before, whatever either recalls."""
    commits, found = asyncio.run(_at_once(seed))

    assert found == [f"st{number}" for number in range(8)]
    assert commits == 8


async def _at_once(seed: int) -> tuple[int, list[str]]:
    """Let two processes add steps to one session side by side; return how many commits there were, and the steps."""
    scene = Scene()
    chance = Random(seed)
    processes = [scene.process(Turns(chance)) for _ in range(2)]
    session = (await scene.here.engine.create_session(_new())).session

    async def add(process: Process, numbers: range) -> None:
        for number in numbers:
            await process.engine.apply(session.key, StepAdded(step_id=f"st{number}"))

    await asyncio.gather(add(processes[0], range(4)), add(processes[1], range(4, 8)))
    now = await scene.now(session)
    return now.version - session.version, sorted(step.id for step in now.steps)
