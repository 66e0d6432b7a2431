"""Following a session: however many do, it is read once; and what they wait for is known to have somebody before it."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.events import EventName
from orchestrator.core.ports.around import Changes, Subscription
from orchestrator.core.schedule import VISIBLE_FOR
from orchestrator.core.session import MINUTE, SECOND, Instant, Session, SessionKey
from orchestrator.core.signals import SessionChanged
from orchestrator.following import Follower, Following, Reading
from tests.support.interference import Script, undisturbed
from tests.support.scenes import Process, Scene

WITHIN = 5 * SECOND


class Deaf:
    """Changes of which nothing is ever told, but by whoever subscribed; it counts the subscriptions."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self.begun = 0
        self.now = 0

    @asynccontextmanager
    async def session(self, session_id: str) -> AsyncIterator[Subscription]:
        self.begun += 1
        self.now += 1
        try:
            async with self._changes.session(f"not {session_id}") as subscription:
                yield subscription
        finally:
            self.now -= 1

    def due(self) -> AbstractAsyncContextManager[Subscription]:
        return self._changes.due()

    def outgoing(self) -> AbstractAsyncContextManager[Subscription]:
        return self._changes.outgoing()


class Counting:
    """Counts what is asked of the ports."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    async def __call__(self, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
        self.calls[name] += 1
        return await undisturbed(name, call)


@pytest.fixture(name="scene")
async def _scene() -> Scene:
    """A deployment whose user Ann is signed in."""
    scene = Scene()
    await scene.sign_in("ann")
    return scene


async def turns(count: int = 30) -> None:
    """Let every task go as far as it can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def read(follower: Follower) -> Reading:
    """Return what it is told next."""
    reading = await follower.next(timeout=WITHIN)
    assert reading is not None
    return reading


async def changed(scene: Scene, session: Session, title: str = "new") -> Session:
    """Have something happen to the session."""
    return (await scene.here.engine.apply(session.key, SessionChanged(title=title))).session


def deaf(scene: Scene, process: Process) -> tuple[Following, Deaf]:
    """Have somebody follow without hearing anything."""
    changes = Deaf(scene.store.changes)
    return (
        Following(queries=process.queries, commits=process.commits, changes=changes, clock=scene.clock),
        changes,
    )


async def test_all_who_follow_share_one_reading_of_each_change(scene: Scene) -> None:
    """And of the events since: seven tabs cost what one does."""
    session, counting = await scene.session("ann"), Counting()
    following = scene.process(counting).following
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(following.follow(session.key)) for _ in range(7)]
        first = [await read(tab) for tab in tabs]
        counting.calls.clear()

        after = await changed(scene, session)
        second = [await read(tab) for tab in tabs]

    assert {id(reading) for reading in first} == {id(first[0])}
    assert {id(reading) for reading in second} == {id(second[0])}
    assert (second[0].snapshot.session, second[0].since) == (after, session.seq)
    assert [event.name for event in second[0].events] == [EventName.SESSION_CHANGED]
    assert counting.calls == {"sessions.load_with_events": 1, "credentials.standing": 1}


async def come_and_go(following: Following, session: Session, *, times: int) -> None:
    """Follow, read once, and leave."""
    for _ in range(times):
        async with following.follow(session.key) as follower:
            await read(follower)


async def test_there_is_one_subscription_and_none_when_all_have_left(scene: Scene) -> None:
    """Nothing is left of a thousand followers: no task, no subscription, no object."""
    session = await scene.session("ann")
    following, changes = deaf(scene, scene.here)
    before = asyncio.all_tasks()
    async with following.follow(session.key), following.follow(session.key):
        await turns()
        followed = following.count(session.key), changes.begun
    await come_and_go(following, session, times=1_000)
    gc.collect()

    assert followed == (2, 1)
    assert (changes.begun, changes.now) == (1_001, 0)
    assert following.count(session.key) == 0
    assert asyncio.all_tasks() == before
    assert [one for one in gc.get_objects() if isinstance(one, Follower | Reading)] == []


async def test_who_comes_later_is_shown_the_session_as_it_is_then(scene: Scene) -> None:
    """Not what others have read before, though nobody has told of a change; they are told as well."""
    session = await scene.session("ann")
    following, _ = deaf(scene, scene.here)
    async with following.follow(session.key) as early:
        await read(early)
        after = await changed(scene, session)
        async with following.follow(session.key) as late:
            seen = await read(late), await read(early)

    assert [reading.snapshot.session for reading in seen] == [after, after]


async def test_who_comes_while_it_is_read_waits_for_the_next_reading(scene: Scene) -> None:
    """The one under way may have begun before what they know happened."""
    session, script = await scene.session("ann"), Script()
    following, _ = deaf(scene, scene.process(script))
    stack = AsyncExitStack()
    late: list[asyncio.Task[Reading]] = []

    async def come() -> None:
        await changed(scene, session)
        follower = await stack.enter_async_context(following.follow(session.key))
        late.append(asyncio.create_task(read(follower)))

    script.goes("sessions.load", when="after", then=come)
    script.goes("sessions.load_with_events", then=turns)
    async with stack:
        early = await stack.enter_async_context(following.follow(session.key))
        first = await read(early)
        second = await late[0]

    assert (first.seq, second.seq) == (session.seq, session.seq + 1)


async def test_changes_that_come_while_nobody_looks_are_told_once(scene: Scene) -> None:
    """A hundred of them are one reading: the newest."""
    session = await scene.session("ann")
    async with scene.here.following.follow(session.key) as slow:
        await read(slow)
        for number in range(100):
            await changed(scene, session, f"title {number}")
        await turns()
        reading = await read(slow)
        is_told_more = await slow.next(timeout=1)

    assert reading.snapshot.session.title == "title 99"
    assert is_told_more is None


async def test_a_store_that_is_away_is_said_and_read_again(scene: Scene) -> None:
    """Whoever follows learns of it, and of the session once it is back."""
    session, script = await scene.session("ann"), Script()
    following = scene.process(script).following
    async with following.follow(session.key) as follower:
        await read(follower)
        script.goes("sessions.load_with_events", then=_unavailable)
        after = await changed(scene, session)
        with pytest.raises(StoreUnavailableError):
            await follower.next(timeout=WITHIN)

        assert (await read(follower)).snapshot.session == after


async def _unavailable() -> None:
    raise StoreUnavailableError(problem="no connection")


async def test_more_events_than_are_shared_are_for_each_to_read(scene: Scene) -> None:
    """The reading says that it has none of them."""
    session = await scene.session("ann")
    following, _ = deaf(scene, scene.here)
    async with following.follow(session.key) as early:
        await read(early)
        for number in range(101):
            await changed(scene, session, f"title {number}")
        async with following.follow(session.key) as late:
            reading = await read(late)

    assert (reading.since, reading.events) == (reading.seq, ())


async def test_another_tenants_session_is_not_found(scene: Scene) -> None:
    """Nor is one followed by who may, for who may not."""
    session = await scene.session("ann")
    theirs = SessionKey(tenant_id="theirs", session_id=session.id)
    async with scene.here.following.follow(session.key), scene.here.following.follow(theirs) as stranger:
        with pytest.raises(SessionNotFoundError):
            await stranger.next(timeout=WITHIN)


async def test_an_erased_session_is_not_found_by_who_follows_it(scene: Scene) -> None:
    """At once."""
    session = await scene.session("ann")
    async with scene.here.following.follow(session.key) as follower:
        await read(follower)
        await scene.here.engine.erase_user(session.tenant_id, session.user_id)
        with pytest.raises(SessionNotFoundError):
            await follower.next(timeout=WITHIN)


async def test_a_mistake_of_ours_is_raised_where_somebody_waits(scene: Scene) -> None:
    """Nobody waits for ever for a reading that will never come."""
    session, script = await scene.session("ann"), Script()

    async def mistaken() -> None:
        raise LookupError("ours")

    script.goes("credentials.standing", then=mistaken)
    async with scene.process(script).following.follow(session.key) as follower:
        with pytest.raises(LookupError, match="ours"):
            await follower.next(timeout=WITHIN)


async def test_who_leaves_and_a_closing_process_wait_no_more(scene: Scene) -> None:
    """What has been read must do; who comes later is shown the session once."""
    session = await scene.session("ann")
    following = scene.here.following
    async with following.follow(session.key) as leaving, following.follow(session.key) as staying:
        await read(staying)
        leaving.leave()
        left = await leaving.next()
        following.close()
        closed = await staying.next()
    async with following.follow(session.key) as late:
        reading, end = await late.next(), await late.next()

    assert (left, closed, end) == (None, None, None)
    assert reading is not None
    assert following.is_closing


# --- presence ---


async def visible_until(scene: Scene, session: Session) -> Instant:
    """Return until when the page is taken to be in front of its user."""
    attempt = (await scene.step(session)).live_attempt
    assert attempt is not None
    return attempt.visible_until


async def test_a_visible_page_is_noted_once_however_many_show_it(scene: Scene) -> None:
    """For the popup that is waited for; the watch is looked at sooner, and nothing is told."""
    session = await scene.waiting("ann")
    following = scene.here.following
    async with AsyncExitStack() as stack:
        for _ in range(7):
            await stack.enter_async_context(following.follow(session.key, is_visible=True))
        await turns(100)
    after = await scene.now(session)

    assert await visible_until(scene, session) == scene.clock.now() + VISIBLE_FOR
    assert (after.seq, after.version) == (session.seq, session.version + 1)
    assert [record.signal for record in await scene.here.queries.signals(session.key)] == ["popup_opened"]


async def test_a_page_that_is_hidden_says_nothing(scene: Scene) -> None:
    """Nor does one whose session waits for no popup."""
    waiting, resting = await scene.waiting("ann"), await scene.session("ann")
    following = scene.here.following
    async with following.follow(waiting.key), following.follow(resting.key, is_visible=True):
        await turns(100)

    assert await visible_until(scene, waiting) == 0
    assert await scene.now(resting) == resting


async def test_a_popup_that_opens_before_a_visible_page_is_noted_too(scene: Scene) -> None:
    """The page was there first."""
    session = await scene.session("ann", "slack")
    async with scene.here.following.follow(session.key, is_visible=True):
        await turns()
        await scene.open(session, "at-1")
        await turns(100)

    assert await visible_until(scene, session) == scene.clock.now() + VISIBLE_FOR


async def test_presence_is_noted_again_when_half_of_it_is_left(scene: Scene) -> None:
    """One write a minute, for as long as the page is there."""
    session = await scene.waiting("ann")
    versions = []
    for _ in range(5):
        following, _ = deaf(scene, scene.here)
        async with following.follow(session.key, is_visible=True):
            await turns(100)
        versions.append((await scene.now(session)).version - session.version)
        scene.clock.advance(MINUTE // 2)

    assert versions == [1, 1, 2, 2, 3]
