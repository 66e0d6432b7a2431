"""Sweeping: deadlines come, intents grow old, what is over is erased, and nobody is in the way of anybody."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
import structlog

from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import StoreError, StoreUnavailableError
from orchestrator.core.errors.upstream import UpstreamUnavailableError
from orchestrator.core.events import EventName
from orchestrator.core.ports.audit import AuditQuery
from orchestrator.core.ports.upstream import ZapUnknown
from orchestrator.core.ports.watches import PAUSED
from orchestrator.core.schedule import Policy
from orchestrator.core.session import (
    MINUTE,
    SECOND,
    AttemptEnd,
    Instant,
    Reason,
    Session,
    SessionStatus,
    StepState,
    session_shard,
)
from orchestrator.core.signals import SessionCancelled, SessionChanged, ZapRequested
from orchestrator.sweeping import MOST_AT_ONCE, TRIM_AGAIN
from tests.support.interference import Fuse, Killed, Script, Turns
from tests.support.scenes import SHARDS, Scene
from tests.support.store_values import an_entry
from tests.support.webhook_values import an_endpoint, relayed

DAY = 24 * 60 * MINUTE


@pytest.fixture(name="scene")
async def _scene() -> Scene:
    """A deployment whose user Ann is signed in."""
    scene = Scene()
    await scene.sign_in("ann")
    return scene


async def overdue(scene: Scene) -> list[str]:
    """Give the sessions of which the sweeper thinks that their time has come."""
    now = scene.clock.now()
    found = [await scene.store.sessions.to_wake(shard, now=now, limit=1_000) for shard in range(SHARDS)]
    return [session_id for ids in found for session_id in ids]


async def attempt_deadline(scene: Scene, session: Session) -> Instant:
    """Read the deadline of a session's only attempt."""
    return (await scene.step(session)).attempts[-1].deadline


# --- attempts ---


async def test_an_attempt_ends_by_the_check_that_follows_its_deadline(scene: Scene) -> None:
    """The last look came later than the deadline and showed nothing."""
    session = await scene.waiting("ann")
    await scene.pass_time(scene.policy.attempt + MINUTE, tick=10 * SECOND)

    step = await scene.step(session)
    assert (step.state, step.reason) == (StepState.NEEDS_AUTH, Reason.TIMED_OUT)


async def test_a_deadline_without_a_check_after_it_moves_and_says_so(scene: Scene) -> None:
    """Nobody has looked, so nobody can say that nothing came."""
    session = await scene.waiting("ann")
    scene.clock.at = await attempt_deadline(scene, session) + scene.policy.deadline_grace
    await scene.here.sweep()

    assert (await scene.step(session)).state is StepState.AWAITING_POPUP
    assert await attempt_deadline(scene, session) == scene.clock.now() + scene.policy.attempt_extension
    assert (await scene.told(session))[-1] is EventName.ATTEMPT_DEADLINE_MOVED


async def test_within_its_grace_a_deadline_is_left_to_the_check(scene: Scene) -> None:
    """The check that follows it may be under way."""
    session = await scene.waiting("ann")
    before = await scene.now(session)
    scene.clock.at = await attempt_deadline(scene, session) + scene.policy.deadline_grace - 1
    await scene.here.sweep()

    assert await scene.now(session) == before


async def test_a_deadline_moves_for_an_hour_and_not_for_ever(scene: Scene) -> None:
    """Zapier cannot be asked at all: after an attempt's longest time it ends unchecked, and says that too."""
    session = await scene.waiting("ann")
    opened_at = (await scene.step(session)).attempts[0].opened_at
    scene.zapier.fail("authentications", *[UpstreamUnavailableError(problem="502")] * 1_000)
    while (await scene.step(session)).state is StepState.AWAITING_POPUP:
        await scene.pass_time(MINUTE, tick=10 * SECOND)

    last = (await scene.events(session))[-1]
    assert (last.name, last.data["reason"], last.data["checked"]) == (EventName.AUTH_NEEDED, "timed_out", False)
    assert 60 * MINUTE <= last.at - opened_at <= 62 * MINUTE


async def test_what_was_connected_while_zapier_could_not_be_asked_is_found(scene: Scene) -> None:
    """The deadline moved until Zapier was back."""
    session = await scene.waiting("ann")
    scene.zapier.connect("ann", "slack", "new")
    scene.zapier.fail("authentications", *[UpstreamUnavailableError(problem="502")] * 15)
    for _ in range(30):
        await scene.pass_time(MINUTE, tick=10 * SECOND)

    assert await scene.given(session) == "new"


async def test_a_pause_with_good_reason_goes_on_after_the_deadline(scene: Scene) -> None:
    """The user has not signed in, and Zapier is asked nothing."""
    session = await scene.waiting("ann")
    scene.zapier.refuse("token-of-ann")
    await scene.hint(session)
    await scene.here.look()
    asked = len(scene.zapier.requests)
    await scene.pass_time(scene.policy.attempt + MINUTE, tick=10 * SECOND)
    await scene.pass_time(10 * SECOND)

    assert ((await scene.watch("ann")).retry_at, len(scene.zapier.requests)) == (PAUSED, asked)
    assert (await scene.step(session)).state is StepState.AWAITING_POPUP


# --- sessions ---


async def test_a_session_expires_at_its_deadline(scene: Scene) -> None:
    """Not a moment before."""
    session = await scene.session("ann", "slack", ttl=10 * MINUTE)
    scene.clock.at = session.deadline - 1
    await scene.here.sweep()
    before = (await scene.now(session)).status
    scene.clock.advance(1)
    await scene.here.sweep()

    assert (before, (await scene.now(session)).status) == (SessionStatus.BUILDING, SessionStatus.EXPIRED)
    assert (await scene.told(session))[-1] is EventName.SESSION_EXPIRED


async def test_a_session_never_expires_before_its_live_attempts(scene: Scene) -> None:
    """Its deadline moves with theirs; what the popup makes is still found."""
    session = await scene.session("ann", "slack", ttl=5 * MINUTE)
    await scene.open(session, "at-1")
    scene.zapier.fail("authentications", *[UpstreamUnavailableError(problem="502")] * 12)
    await scene.pass_time(6 * MINUTE, tick=10 * SECOND)
    assert (await scene.now(session)).status is SessionStatus.BUILDING

    scene.zapier.connect("ann", "slack", "new")
    while (await scene.step(session)).state is StepState.AWAITING_POPUP:
        assert (await scene.now(session)).is_open
        await scene.pass_time(30 * SECOND, tick=10 * SECOND)

    assert await scene.given(session) == "new"


async def test_a_session_does_not_expire_before_what_a_message_named_was_looked_for(scene: Scene) -> None:
    """It came in the last moment, for an attempt that had ended, while Zapier could not be asked."""
    session = await scene.session("ann", "slack", ttl=15 * MINUTE)
    await scene.open(session, "at-1")
    await scene.pass_time(15 * MINUTE - SECOND)
    assert (await scene.step(session)).reason is Reason.TIMED_OUT

    scene.zapier.connect("ann", "slack", "new")
    await scene.message(session, "new")
    scene.zapier.fail("authentications", *[UpstreamUnavailableError(problem="502")] * 5)
    for _ in range(6):
        await scene.pass_time(30 * SECOND)

    assert await scene.given(session) == "new"


async def test_an_expired_session_waits_for_nothing(scene: Scene) -> None:
    """Its watch has no checks left."""
    session = await scene.session("ann", "slack", ttl=MINUTE)
    await scene.open(session, "at-1")
    for _ in range(30):
        await scene.pass_time(MINUTE, tick=10 * SECOND)

    watch = await scene.watch("ann")
    assert (await scene.now(session)).status is SessionStatus.EXPIRED
    assert (watch.waiters, watch.next_check_at) == ((), None)


async def test_an_ended_session_is_erased_after_its_retention(scene: Scene) -> None:
    """With everything that was kept beside it."""
    session = await scene.session("ann")
    await scene.here.engine.apply(session.key, SessionCancelled())
    scene.clock.advance(scene.policy.retention - 1)
    await scene.here.sweep()
    kept = await scene.now(session)
    scene.clock.advance(1)
    await scene.here.sweep()

    assert kept.status is SessionStatus.CANCELLED
    with pytest.raises(SessionNotFoundError):
        await scene.now(session)


async def test_events_that_are_given_up_unsent_are_said(scene: Scene) -> None:
    """In the log: no worker relayed them for longer than anything of their sessions is kept."""
    session = await scene.session("ann")
    scene.clock.advance(scene.policy.retention + 1)
    with structlog.testing.capture_logs() as logs:
        await scene.here.sweep()
        await scene.here.sweep()

    lines = [line for line in logs if line["event"] == "outbox_trimmed"]
    assert [(line["shard"], line["events_lost"]) for line in lines] == [(session_shard(session.id), 1)]


async def test_an_ended_session_loses_its_history_first(scene: Scene) -> None:
    """It is still there, with its end; whoever asks for its events is told that they are gone."""
    session = await scene.session("ann")
    await scene.here.engine.apply(session.key, SessionCancelled())
    scene.clock.advance(scene.policy.history - 1)
    await scene.here.sweep()
    before = await scene.store.sessions.events(session.id, after=0)
    scene.clock.advance(1)
    looked = [await scene.here.sweep(), await scene.here.sweep()]
    after = await scene.store.sessions.events(session.id, after=0)
    kept = await scene.now(session)

    assert looked == [1, 0]
    assert (len(before.events), before.truncated) == (2, False)
    assert (after.events, after.truncated) == ((), True)
    assert (kept.status, kept.trimmed_at) == (SessionStatus.CANCELLED, scene.clock.now())
    scene.clock.advance(scene.policy.retention - scene.policy.history)
    assert await overdue(scene) == [session.id]


async def test_history_is_never_kept_for_longer_than_its_session(scene: Scene) -> None:
    """Whose retention is shorter is erased at once."""
    hasty = scene.process(policy=Policy(history=2 * DAY, retention=DAY))
    session = await scene.session("ann")
    await hasty.engine.apply(session.key, SessionCancelled())
    scene.clock.advance(DAY)
    await hasty.sweep()

    with pytest.raises(SessionNotFoundError):
        await scene.now(session)


async def test_what_is_still_to_be_sent_keeps_the_history_until_it_arrived(scene: Scene) -> None:
    """It is looked at again within the hour, and goes with its session at the latest."""
    session = await scene.session("ann")
    await scene.here.engine.apply(session.key, SessionCancelled())
    outgoing = await scene.store.deliveries.outgoing(range(SHARDS), limit=9)
    now = scene.clock.now()
    await scene.store.deliveries.relay([relayed(one, an_endpoint(), now=now) for one in outgoing], now=now)
    scene.clock.advance(scene.policy.history)
    await scene.here.sweep()
    waits = (await scene.now(session)).trimmed_at
    (due,) = await scene.store.deliveries.due(range(SHARDS), now=scene.clock.now(), limit=9)
    await scene.store.deliveries.drop(due.lane)
    scene.clock.advance(TRIM_AGAIN)
    await scene.here.sweep()

    assert waits is None
    assert (await scene.now(session)).trimmed_at == scene.clock.now()


async def test_an_intent_without_an_answer_becomes_unknown(scene: Scene) -> None:
    """After its time limit; a person may then look for the Zap."""
    session = await scene.ready("ann")
    await scene.here.engine.apply(session.key, ZapRequested(intent_id="in-1"))
    scene.clock.advance(scene.policy.creation - 1)
    await scene.here.sweep()
    before = (await scene.now(session)).status
    scene.clock.advance(1)
    await scene.here.sweep()

    assert (before, (await scene.now(session)).status) == (SessionStatus.CREATING, SessionStatus.CREATE_UNKNOWN)


async def test_a_session_of_unknown_outcome_is_kept_beyond_its_deadline(scene: Scene) -> None:
    """It may be the only trace of a Zap."""
    session = await scene.ready("ann")
    scene.zapier.zap_answer = ZapUnknown(problem="no answer")
    await scene.here.creator.create(session.key)
    for _ in range(2):
        scene.clock.advance(10 * SECOND)
        await scene.here.sweep()
    scene.clock.at = session.deadline + scene.policy.retention - 1
    await scene.here.sweep()
    kept = await scene.now(session)
    scene.clock.advance(1)
    await scene.here.sweep()

    assert kept.status is SessionStatus.CREATE_UNKNOWN
    with pytest.raises(SessionNotFoundError):
        await scene.now(session)


# --- sweeping itself ---


async def test_a_sweep_says_how_many_sessions_it_looked_at(scene: Scene) -> None:
    """And another one right after finds nothing to do."""
    for user in ("ann", "bob", "eve"):
        await scene.session(user, ttl=MINUTE)
    scene.clock.advance(MINUTE)

    assert (await scene.here.sweep(), await scene.here.sweep(), await overdue(scene)) == (3, 0, [])


async def test_a_longer_retention_puts_what_is_kept_off(scene: Scene) -> None:
    """Sessions that ended under the former policy wait for the new time, and are not looked at by every sweep."""
    session = await scene.session("ann")
    await scene.here.engine.apply(session.key, SessionCancelled())
    scene.clock.advance(scene.policy.retention)
    patient = scene.process(policy=Policy(retention=30 * DAY))
    looked = [await patient.sweep(), await patient.sweep()]
    kept = (await scene.now(session)).status
    scene.clock.advance(30 * DAY - scene.policy.retention)

    assert (looked, kept, await overdue(scene)) == ([1, 0], SessionStatus.CANCELLED, [session.id])


async def test_more_than_one_sweep_can_hold_are_swept_by_the_next(scene: Scene) -> None:
    """The longest overdue come first, so nobody waits for ever."""
    for _ in range(MOST_AT_ONCE + 5):
        await scene.session("ann", ttl=MINUTE)
    scene.clock.advance(MINUTE)

    assert [await scene.here.sweep(), await scene.here.sweep()] == [MOST_AT_ONCE, 5]


async def test_a_session_that_is_erased_or_busy_stops_nobody(scene: Scene) -> None:
    """The others' deadlines come all the same."""
    gone, session = await scene.session("ann", ttl=MINUTE), await scene.session("ann", ttl=MINUTE + 1)
    scene.clock.advance(2 * MINUTE)
    script = Script()

    async def erase() -> None:
        await scene.store.sessions.purge(await scene.now(gone))

    script.goes("sessions.to_wake", when="after", then=erase)
    await scene.process(script).sweep()

    assert (await scene.now(session)).status is SessionStatus.EXPIRED


async def test_a_session_that_cannot_be_read_stops_nobody_and_is_not_hushed_up(scene: Scene) -> None:
    """The others are swept first; then the sweep fails with what is wrong."""
    await scene.session("ann", ttl=MINUTE)
    session = await scene.session("ann", ttl=MINUTE + 1)
    scene.clock.advance(2 * MINUTE)
    script = Script()
    script.goes("sessions.load_any", StoreError("no document of this release"))

    with pytest.raises(StoreError, match="no document"):
        await scene.process(script).sweep()

    assert (await scene.now(session)).status is SessionStatus.EXPIRED


async def test_a_store_that_is_away_ends_the_sweep(scene: Scene) -> None:
    """At once: the next session would only wait for the same."""
    for _ in range(3):
        await scene.session("ann", ttl=MINUTE)
    scene.clock.advance(MINUTE)
    script = Script()
    script.goes("sessions.load_any", StoreUnavailableError(problem="away"))

    with pytest.raises(StoreUnavailableError):
        await scene.process(script).sweep()

    assert script.calls.count("sessions.load_any") == 1


async def test_a_session_that_changed_before_its_erasure_is_kept(scene: Scene) -> None:
    """What the sweeper read is old."""
    session = await scene.session("ann")
    await scene.here.engine.apply(session.key, SessionCancelled())
    scene.clock.advance(scene.policy.retention)
    script = Script()

    async def change() -> None:
        await scene.here.commits.put_off(await scene.now(session))

    script.goes("sessions.load_any", when="after", then=change)
    await scene.process(script).sweep()

    assert (await scene.now(session)).status is SessionStatus.CANCELLED


async def test_many_sweepers_at_once_do_everything_once(scene: Scene) -> None:
    """Leases only save work."""
    session = await scene.session("ann", ttl=MINUTE)
    scene.clock.advance(MINUTE)
    chance = Random(1)
    await asyncio.gather(*(scene.process(Turns(chance)).sweep() for _ in range(5)))

    assert await scene.told(session) == [EventName.SESSION_CREATED, EventName.SESSION_EXPIRED]


async def test_a_sweeper_killed_at_any_moment_leaves_the_rest_to_the_next(scene: Scene) -> None:
    """Every deadline comes once, whoever brings it about."""
    moment, is_over = 0, False
    while not is_over:
        waiting = await scene.waiting("ann", f"at-{moment}")
        expiring = await scene.session("ann", ttl=MINUTE)
        scene.clock.advance(scene.policy.attempt + scene.policy.deadline_grace)
        fuse = Fuse(moment)
        try:
            await scene.process(fuse).sweep()
        except Killed:
            moment += 1
        is_over = not fuse.is_dead
        await scene.here.sweep()

        told = await scene.told(waiting)
        assert told.count(EventName.ATTEMPT_DEADLINE_MOVED) == 1
        assert (await scene.told(expiring)).count(EventName.SESSION_EXPIRED) == 1
        await scene.here.engine.apply(waiting.key, SessionCancelled())

    assert moment > 10


# --- claims ---


async def test_claims_outlive_every_baseline_that_lacks_them_and_then_are_forgotten(scene: Scene) -> None:
    """No session that was begun before the claim can be left."""
    session = await scene.waiting("ann")
    scene.zapier.connect("ann", "slack", "new")
    await scene.hint(session)
    await scene.here.look()
    claimed_at = (await scene.watch("ann")).claims["new"].at
    scene.clock.at = claimed_at + scene.policy.session_ttl_longest
    await scene.here.sweep()
    kept = (await scene.watch("ann")).claims
    scene.clock.at = claimed_at + scene.policy.session_ttl_longest + scene.policy.attempt_longest + 1
    await scene.here.sweep()

    assert ([*kept], (await scene.watch("ann")).claims) == (["new"], {})


async def test_an_attempt_cancelled_by_its_session_is_left_alone(scene: Scene) -> None:
    """Its deadline means nothing any more."""
    session = await scene.waiting("ann")
    await scene.here.engine.apply(session.key, SessionChanged(title="x"))
    ended = (await scene.here.engine.apply(session.key, SessionCancelled())).session
    scene.clock.advance(60 * MINUTE)
    await scene.here.sweep()

    assert await scene.now(session) == ended
    assert (await scene.step(session)).attempts[0].ended in {None, AttemptEnd.SETTLED, AttemptEnd.CANCELLED}


# --- the audit ---


async def test_what_operators_did_is_forgotten_after_its_own_time(scene: Scene) -> None:
    """However long its session is gone by then."""
    now = scene.clock.now()
    await scene.store.audit.add(an_entry(at=now))
    scene.clock.advance(scene.policy.audit_retention)
    await scene.here.sweep()
    kept = (await scene.store.audit.find(AuditQuery())).entries
    scene.clock.advance(1)
    await scene.here.sweep()

    assert kept == (an_entry(at=now),)
    assert (await scene.store.audit.find(AuditQuery())).entries == ()
