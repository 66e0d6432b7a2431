"""Reads: they keep to one tenant, change nothing, and miss no change."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.ports.credentials import CredentialState
from orchestrator.core.ports.sessions import SessionQuery
from orchestrator.core.session import MINUTE, SECOND, HintKind, SessionKey, SessionStatus
from orchestrator.core.signals import Hinted, SessionCancelled, SessionChanged
from orchestrator.engine import NewSession
from tests.support.interference import Script, Turns
from tests.support.scenes import TENANT, Process, Scene

LONG = 30 * SECOND


@pytest.fixture(name="scene")
async def _scene() -> Scene:
    """A deployment whose user Ann is signed in."""
    scene = Scene()
    await scene.sign_in("ann")
    return scene


async def test_a_snapshot_joins_the_session_with_its_credential_and_its_next_checks(scene: Scene) -> None:
    """Only apps that somebody opened a popup for have a next check."""
    session = await scene.session("ann", "slack", "gmail")
    opened = await scene.open(session, "at-1")
    snapshot = await scene.here.queries.session(session.key)

    assert snapshot.session == opened.session
    assert snapshot.credential is not None
    assert snapshot.credential.state is CredentialState.ACTIVE
    assert snapshot.next_checks == {"slack": opened.attempt.opened_at + MINUTE}


async def test_what_a_commit_tells_is_what_reading_would(scene: Scene) -> None:
    """And is not read again; another app's check, which the commit does not know, is."""
    session = await scene.session("ann", "slack", "gmail")
    await scene.open(session, "at-1")
    said = Hinted(step_id=session.steps[0].id, attempt_id="at-1", kind=HintKind.FOCUS)
    of_slack = await scene.here.engine.apply(session.key, said)
    renamed = await scene.here.engine.apply(session.key, SessionChanged(title="new"))
    script = Script()
    script.goes("credentials.standing", then=never)
    script.goes("watches.next_checks", then=never)
    silent = scene.process(script).queries

    told = await silent.snapshot(of_slack.session, written=of_slack.written)
    assert told == await scene.here.queries.snapshot(of_slack.session)
    assert told.next_checks == {"slack": scene.clock.now()}
    with pytest.raises(AssertionError):
        await silent.snapshot(renamed.session, written=renamed.written)


async def never() -> None:
    """What must not happen."""
    raise AssertionError


async def test_a_user_without_a_credential_has_none(scene: Scene) -> None:
    """The page can tell."""
    session = await scene.session("bob")

    assert (await scene.here.queries.session(session.key)).credential is None


async def test_nothing_of_another_tenant_can_be_read(scene: Scene) -> None:
    """Not even that it is there."""
    session, queries = await scene.waiting("ann"), scene.here.queries
    theirs = SessionKey(tenant_id="theirs", session_id=session.id)

    for reading in (
        queries.session(theirs),
        scene.here.following.after(theirs, seq=0, wait=0),
        queries.events(theirs, after=0, limit=10),
        queries.signals(theirs),
    ):
        with pytest.raises(SessionNotFoundError):
            await reading
    listed, _ = await queries.sessions(SessionQuery(tenant_id="theirs"))

    assert listed == ()


async def test_events_and_signals_are_read_in_order(scene: Scene) -> None:
    """From where the reader left off."""
    session, queries = await scene.waiting("ann"), scene.here.queries
    await scene.hint(session, HintKind.FOCUS)
    page = await queries.events(session.key, after=1, limit=1)

    assert [event.seq for event in page.events] == [2]
    assert [record.signal for record in await queries.signals(session.key)] == ["popup_opened", "focus"]


async def test_lists_go_on_where_they_stopped(scene: Scene) -> None:
    """Youngest first; a cursor of somebody else's is an error."""
    made = []
    for _ in range(5):
        made.append((await scene.session("ann")).id)
        scene.clock.advance(SECOND)
    await scene.here.engine.create_session(NewSession(tenant_id="theirs", user_id="ann"))
    query = SessionQuery(tenant_id=TENANT, user_id="ann", limit=3)
    first, cursor = await scene.here.queries.sessions(query)
    second, end = await scene.here.queries.sessions(SessionQuery(tenant_id=TENANT, cursor=cursor, limit=3))

    assert [one.session.id for one in (*first, *second)] == made[::-1]
    assert end is None
    with pytest.raises(ValueError, match="cursor"):
        await scene.here.queries.sessions(SessionQuery(tenant_id=TENANT, cursor="nonsense"))


async def test_reading_changes_nothing(scene: Scene) -> None:
    """Neither the session nor its log."""
    session = await scene.waiting("ann")
    before = await scene.now(session), await scene.store.sessions.signals(session.id), len(scene.zapier.requests)
    await scene.here.following.after(session.key, seq=0, wait=LONG)
    await scene.here.queries.events(session.key, after=0, limit=10)

    assert before == (
        await scene.now(session),
        await scene.store.sessions.signals(session.id),
        len(scene.zapier.requests),
    )


# --- waiting for a change ---


async def test_what_is_newer_already_is_answered_at_once(scene: Scene) -> None:
    """Nobody waits for what is there."""
    session = await scene.session("ann")
    snapshot = await scene.here.following.after(session.key, seq=session.seq - 1, wait=LONG)

    assert snapshot.session == session


async def test_without_a_change_the_answer_comes_when_the_time_is_over(scene: Scene) -> None:
    """It is the session as it is."""
    session = await scene.session("ann")
    answers = [await scene.here.following.after(session.key, seq=session.seq, wait=wait) for wait in (0, 1)]

    assert [answer.session for answer in answers] == [session, session]


async def test_a_change_ends_the_waiting(scene: Scene) -> None:
    """The new session is the answer."""
    session = await scene.session("ann")
    waiting = asyncio.create_task(scene.here.following.after(session.key, seq=session.seq, wait=LONG))
    for _ in range(5):
        await asyncio.sleep(0)
    was_waiting = not waiting.done()
    changed = await scene.here.engine.apply(session.key, SessionChanged(title="new"))

    assert (was_waiting, (await waiting).session) == (True, changed.session)


async def test_a_commit_without_an_event_goes_on_waiting(scene: Scene) -> None:
    """A hint says nothing to subscribers; the event after it does."""
    session = await scene.waiting("ann")
    waiting = asyncio.create_task(scene.here.following.after(session.key, seq=session.seq, wait=LONG))
    await asyncio.sleep(0)
    await scene.hint(session, HintKind.FOCUS)
    for _ in range(5):
        await asyncio.sleep(0)
    was_waiting = not waiting.done()
    await scene.here.engine.apply(session.key, SessionCancelled())

    assert (was_waiting, (await waiting).session.status) == (True, SessionStatus.CANCELLED)


@pytest.mark.parametrize("moment", ["sessions.load", "credentials.standing"])
async def test_a_change_between_reading_and_waiting_is_not_missed(scene: Scene, moment: str) -> None:
    """Whoever subscribes first and reads then hears of everything."""
    session, script = await scene.session("ann"), Script()

    async def change() -> None:
        await scene.here.engine.apply(session.key, SessionChanged(title="new"))

    script.goes(moment, when="after", then=change)
    async with asyncio.timeout(20):
        snapshot = await scene.process(script).following.after(session.key, seq=session.seq, wait=LONG)

    assert snapshot.session.title == "new"


async def test_a_session_erased_while_somebody_waits_is_not_found(scene: Scene) -> None:
    """The wait ends with an error when it is over, not with a session that is gone."""
    session, script = await scene.session("ann"), Script()

    async def erase() -> None:
        await scene.store.sessions.purge(await scene.now(session))

    script.goes("credentials.standing", when="after", then=erase)

    with pytest.raises(SessionNotFoundError):
        await scene.process(script).following.after(session.key, seq=session.seq, wait=1)


async def ten_titles(process: Process, key: SessionKey) -> None:
    """Give a session ten titles, one after the other."""
    for number in range(10):
        await process.engine.apply(key, SessionChanged(title=str(number)))


async def test_a_reader_who_follows_misses_no_change(scene: Scene) -> None:
    """However reading and writing interleave, the last change is seen without waiting for its time to be over."""
    for seed in range(30):
        session, chance = await scene.session("ann"), Random(seed)
        reader, writer = scene.process(Turns(chance)), scene.process(Turns(chance))

        writing = asyncio.create_task(ten_titles(writer, session.key))
        seq, title = session.seq, None
        async with asyncio.timeout(10):
            while title != "9":
                snapshot = await reader.following.after(session.key, seq=seq, wait=LONG)
                assert snapshot.session.seq > seq
                seq, title = snapshot.session.seq, snapshot.session.title
        await writing
