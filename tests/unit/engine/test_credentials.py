"""Credentials: the sessions know how it is, whoever tells them what and in whatever order."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random

import pytest

from orchestrator.commits import MOST_TRIES
from orchestrator.core.errors.store import StaleVersionError, StoreError, StoreUnavailableError
from orchestrator.core.events import EventName
from orchestrator.core.ports.credentials import Credential, CredentialState, NewTokens, Profile
from orchestrator.core.ports.watches import PAUSED
from orchestrator.core.session import SECOND, Session, shard_of
from orchestrator.core.signals import PopupCancelled, SessionCancelled
from tests.support.clocks import NOON
from tests.support.interference import Fuse, Killed, Script, Turns
from tests.support.scenes import LEASE, SHARDS, TENANT, Scene

PROFILE = Profile(id="ann", email="ann@example.com")


@pytest.fixture(name="scene")
async def _scene() -> Scene:
    """A deployment whose user Ann is signed in."""
    scene = Scene()
    await scene.sign_in("ann")
    return scene


async def put(scene: Scene, token: str = "token-2") -> Credential:
    """Keep a new token of Ann's."""
    now = scene.clock.now()
    return await scene.here.credentials.put(TENANT, "ann", NewTokens(access_token=token), profile=PROFILE, now=now)


async def refuse(scene: Scene, generation: int = 1) -> bool:
    """Have Zapier refuse a token of Ann's."""
    return await scene.here.credentials.need_sign_in(TENANT, "ann", generation=generation)


async def signed_out(scene: Scene, *sessions: Session) -> list[bool]:
    """Read what sessions know."""
    return [(await scene.now(session)).signed_out for session in sessions]


async def test_a_refused_token_is_told_to_every_open_session_of_its_user(scene: Scene) -> None:
    """And to nobody else's."""
    await scene.sign_in("bob")
    first, second, other = await scene.session("ann"), await scene.session("ann"), await scene.session("bob")

    assert await refuse(scene)
    assert await signed_out(scene, first, second, other) == [True, True, False]
    assert (await scene.told(first))[-1] is EventName.SIGN_IN_NEEDED


async def test_a_first_token_is_told_to_the_sessions_that_were_begun_without_one(scene: Scene) -> None:
    """So that whoever follows them goes on."""
    early = await scene.session("bob")
    before = await signed_out(scene, early)
    await scene.sign_in("bob")

    assert before == [True]
    assert await signed_out(scene, early) == [False]
    assert (await scene.told(early))[-1] is EventName.SIGNED_IN


async def test_another_account_is_told_to_the_sessions_though_its_token_works(scene: Scene) -> None:
    """What they show of the account is another one's; a new token of the same is no news."""
    session = await scene.session("ann")
    await put(scene)
    same = await scene.told(session)
    await scene.sign_in("ann", token="of-bob", account="bob")

    assert EventName.SIGNED_IN not in same
    assert (await scene.told(session))[len(same) :] == [EventName.SIGNED_IN]


async def test_a_new_token_is_told_to_the_sessions_that_waited_for_it(scene: Scene) -> None:
    """Those that never knew of trouble stay as they are."""
    first = await scene.session("ann")
    await refuse(scene)
    await put(scene)
    second = await scene.session("ann")
    await put(scene, "token-3")

    assert await scene.told(first) == [EventName.SESSION_CREATED, EventName.SIGN_IN_NEEDED, EventName.SIGNED_IN]
    assert (await scene.now(second), await signed_out(scene, first)) == (second, [False])


async def test_a_token_is_refused_once(scene: Scene) -> None:
    """The second 401 of the same token says nothing new, and one of an old token nothing at all."""
    session = await scene.session("ann")
    answers = [await refuse(scene), await refuse(scene)]
    await put(scene)
    answers.append(await refuse(scene))

    assert (answers, await signed_out(scene, session)) == ([True, False, False], [False])


async def test_sessions_that_have_ended_are_told_nothing(scene: Scene) -> None:
    """Nobody waits there."""
    session = await scene.session("ann")
    await scene.here.engine.apply(session.key, SessionCancelled())
    await refuse(scene)

    assert (await scene.told(session))[-1] is EventName.SESSION_CANCELLED


async def test_a_session_that_is_erased_while_all_are_told_is_no_obstacle(scene: Scene) -> None:
    """The others are told, and what called for the telling goes on."""
    gone, session = await scene.session("ann"), await scene.session("ann")
    script = Script()

    async def erase() -> None:
        await scene.store.sessions.purge(await scene.now(gone))

    script.goes("sessions.of_user", when="after", then=erase)
    await scene.process(script).credentials.need_sign_in(TENANT, "ann", generation=1)

    assert await signed_out(scene, session) == [True]


async def test_a_session_begun_while_all_are_told_knows_by_itself(scene: Scene) -> None:
    """It reads how the credential is."""
    script, begun = Script(), []

    async def begin() -> None:
        begun.append(await scene.session("ann"))

    script.goes("sessions.of_user", when="after", then=begin)
    await scene.process(script).credentials.need_sign_in(TENANT, "ann", generation=1)

    assert await signed_out(scene, *begun) == [True]


@pytest.mark.parametrize(
    "moment", ["credentials.need_sign_in", "credentials.standing", "sessions.of_user", "sessions.load"]
)
async def test_a_token_put_while_the_refusal_of_the_old_one_is_told_wins(scene: Scene, moment: str) -> None:
    """The sessions end up knowing what is true, and the last event says so."""
    session, script = await scene.session("ann"), Script()

    async def put_new() -> None:
        await put(scene)

    script.goes(moment, when="after", then=put_new)
    await scene.process(script).credentials.need_sign_in(TENANT, "ann", generation=1)

    kept = await scene.store.credentials.get(TENANT, "ann")
    assert kept is not None
    assert (kept.state, await signed_out(scene, session)) == (CredentialState.ACTIVE, [False])


async def test_however_tellers_interleave_the_sessions_know_what_is_true(scene: Scene) -> None:
    """Tokens are put and refused by several processes at once."""
    for seed in range(40):
        chance = Random(seed)
        await scene.sign_in("ann")
        sessions = [await scene.session("ann") for _ in range(2)]
        refusing, putting = scene.process(Turns(chance)), scene.process(Turns(chance))
        kept = await scene.store.credentials.get(TENANT, "ann")
        assert kept is not None
        generation = kept.generation
        await asyncio.gather(
            refusing.credentials.need_sign_in(TENANT, "ann", generation=generation),
            putting.credentials.put(
                TENANT, "ann", NewTokens(access_token="next"), profile=PROFILE, now=scene.clock.now()
            ),
            refusing.credentials.need_sign_in(TENANT, "ann", generation=generation + 1),
        )
        now = await scene.store.credentials.get(TENANT, "ann")
        assert now is not None
        needs = now.state is CredentialState.NEEDS_SIGN_IN
        assert await signed_out(scene, *sessions) == [needs, needs], seed


async def test_users_of_a_profile_are_counted_by_the_store(scene: Scene) -> None:
    """Telling adds nothing to it."""
    await scene.sign_in("bob", account="ann")

    assert await scene.here.credentials.users_of_profile(TENANT, "ann", now=scene.clock.now()) == 2


# --- what cannot be told ---


@pytest.mark.parametrize(
    ("call", "trouble", "times"),
    [
        ("sessions.commit", StaleVersionError(session_id="busy"), MOST_TRIES),
        ("sessions.of_user", StoreUnavailableError(problem="away"), 1),
        ("credentials.told", StoreUnavailableError(problem="away"), 1),
    ],
    ids=["busy", "away before", "away after"],
)
async def test_a_change_that_is_kept_is_said_to_be_though_the_sessions_cannot_be_told(
    scene: Scene, call: str, trouble: Exception, times: int
) -> None:
    """A caller who heard of trouble would put the same tokens again; the next sweep tells the sessions."""
    early = await scene.session("ann")
    script = Script()
    credentials = scene.process(script).credentials
    script.goes(call, trouble, times=times)
    is_marked = await credentials.need_sign_in(TENANT, "ann", generation=1)
    await scene.here.sweep()
    refused = await signed_out(scene, early)
    script.goes(call, trouble, times=times)
    kept = await credentials.put(TENANT, "ann", NewTokens(access_token="2"), profile=PROFILE, now=NOON)
    await scene.here.sweep()

    assert (is_marked, refused) == (True, [True])
    assert kept == await scene.store.credentials.get(TENANT, "ann")
    assert await signed_out(scene, early) == [False]


async def test_a_session_that_is_too_busy_keeps_no_other_from_hearing(scene: Scene) -> None:
    """It hears later."""
    sessions = [await scene.session("ann") for _ in range(2)]
    script = Script()
    script.goes("sessions.commit", StaleVersionError(session_id="busy"), times=MOST_TRIES)
    await scene.process(script).credentials.need_sign_in(TENANT, "ann", generation=1)
    first = await signed_out(scene, *sessions)
    await scene.here.sweep()

    assert sorted(first) == [False, True]
    assert await signed_out(scene, *sessions) == [True, True]


# --- processes that die ---


async def refused_with_a_message() -> tuple[Scene, Session]:
    """Give a session whose popup was given up before its message came, whose user's token Zapier refuses."""
    scene = Scene()
    await scene.sign_in("ann")
    session = await scene.waiting("ann")
    await scene.here.engine.apply(session.key, PopupCancelled(step_id=session.steps[0].id, attempt_id="at-1"))
    scene.zapier.connect("ann", "slack", "new")
    await scene.message(session, "new")
    scene.zapier.refuse("token-of-ann")
    return scene, session


async def test_an_api_killed_at_any_moment_of_a_put_leaves_nothing_half_done() -> None:
    """The token is kept, what waited is looked for and the sessions are told; or none of it, and the user tries again.

    Nobody repeats the request.
    """
    kept = []
    for moment in range(100):
        scene, session = await refused_with_a_message()
        await scene.here.look()
        assert (await scene.watch("ann")).retry_at == PAUSED
        scene.zapier.sign_in("token-2", account="ann")
        fuse = Fuse(moment)
        with suppress(Killed):
            await scene.process(fuse).engine.put_credential(TENANT, "ann", "token-2", expires_in=None)
        await scene.pass_time(2 * SECOND)

        credential = await scene.store.credentials.get(TENANT, "ann")
        assert credential is not None
        is_kept = credential.state is CredentialState.ACTIVE
        kept.append(is_kept)
        assert (await signed_out(scene, session), await scene.given(session)) == (
            ([False], "new") if is_kept else ([True], None)
        ), fuse.log[-1]
        told = await scene.told(session)
        assert told.count(EventName.SIGNED_IN) == is_kept
        if not fuse.is_dead:
            break

    assert (kept == sorted(kept), set(kept)) == (True, {False, True})


async def test_a_worker_killed_at_any_moment_of_a_refusal_leaves_every_session_told() -> None:
    """Also those that wait on nothing; as soon as somebody sweeps, or looks again."""
    for moment in range(100):
        scene, session = await refused_with_a_message()
        other = await scene.session("ann")
        fuse = Fuse(moment)
        with suppress(Killed):
            await scene.process(fuse).look()
        await scene.pass_time(LEASE + 2 * SECOND)

        assert await signed_out(scene, session, other) == [True, True], fuse.log[-1]
        assert (await scene.told(other)).count(EventName.SIGN_IN_NEEDED) == 1
        if not fuse.is_dead:
            return
    raise AssertionError("there is no end of moments")


async def test_one_user_who_cannot_be_told_is_in_nobodys_way(scene: Scene) -> None:
    """The sweep says so after it has told the others."""
    shard = shard_of(TENANT, "ann", shards=SHARDS)
    other = next(user for user in "abcdef" if shard_of(TENANT, user, shards=SHARDS) == shard)
    await scene.sign_in(other)
    sessions = {user: await scene.session(user) for user in ("ann", other)}
    for user in sessions:
        await scene.store.credentials.need_sign_in(TENANT, user, generation=1)
    script = Script()
    script.goes("credentials.standing", StoreError("it cannot be read"))

    with pytest.raises(StoreError):
        await scene.process(script).sweep()

    assert sorted(await signed_out(scene, *sessions.values())) == [False, True]
    await scene.here.sweep()
    assert await signed_out(scene, *sessions.values()) == [True, True]
