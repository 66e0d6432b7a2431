"""Creating the Zap: one call for one wish, and what is known of it is never lost."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from orchestrator.core.errors.actions import InputsFlawedError
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.sessions import SessionLockedError, SessionNotFoundError
from orchestrator.core.errors.store import StaleVersionError, StoreUnavailableError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamUnavailableError
from orchestrator.core.errors.zaps import CreateUnknownError, NotReadyError
from orchestrator.core.events import EventName
from orchestrator.core.ports.credentials import CredentialState
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.upstream import ZapDraft, ZapMade, ZapNotMade, ZapStep, ZapUnknown
from orchestrator.core.recognition import ListedZap, ZapListing
from orchestrator.core.session import MINUTE, SECOND, Session, SessionKey, SessionStatus, ZapState
from orchestrator.core.signals import (
    ActionChosen,
    InputsGiven,
    SessionCancelled,
    SessionChanged,
    StepAdded,
    ZapAnswered,
    ZapRequested,
)
from orchestrator.store.limits import Limits
from tests.support.interference import Call, Fuse, Killed, Script, Turns, lost_answer
from tests.support.scenes import SEND, TENANT, Scene

MADE = ZapMade(zap_id="zap-1", editor_url="https://zapier.test/editor/1")


@pytest.fixture(name="scene")
async def _scene() -> Scene:
    """A deployment whose user Ann is signed in."""
    scene = Scene()
    await scene.sign_in("ann")
    return scene


def codes(refused: InputsFlawedError) -> list[object]:
    """Give the codes of what is wrong."""
    problems = refused.facts["problems"]
    assert isinstance(problems, list)
    return [problem["code"] for problem in problems]


async def status(scene: Scene, session: Session) -> SessionStatus:
    """Read where a session stands."""
    return (await scene.now(session)).status


async def test_a_ready_session_becomes_a_zap_with_one_call(scene: Scene) -> None:
    """The intent is committed, the call is made, its answer is noted."""
    session = await scene.ready("ann")
    scene.zapier.zap_answer = MADE
    applied = await scene.here.creator.create(session.key)

    assert applied.session == await scene.now(session)
    assert (applied.session.status, applied.session.zap.id) == (SessionStatus.CREATED, "zap-1")
    assert len(scene.zapier.zaps) == 1
    assert (await scene.told(session))[-2:] == [EventName.ZAP_REQUESTED, EventName.ZAP_CREATED]


async def test_the_intent_is_there_when_the_call_is_made(scene: Scene) -> None:
    """A death after it leaves a trace."""
    session, seen = await scene.ready("ann"), []

    async def look() -> None:
        seen.append(await status(scene, session))

    scene.zapier.meanwhile("zaps", look)
    await scene.here.creator.create(session.key)

    assert seen == [SessionStatus.CREATING]


async def test_a_zap_is_what_the_session_says_with_the_ids_of_this_moment(scene: Scene) -> None:
    """Action ids are looked up now, and a step without authentication says so with a null."""
    session = await scene.session("ann", "slack", "clock")
    first, second = session.steps
    scene.zapier.connect("ann", "slack", "a1")
    await scene.here.engine.select(session.key, first.id, "a1")
    for step in session.steps:
        await scene.here.engine.apply(session.key, ActionChosen(step_id=step.id, action=SEND))
    await scene.here.engine.apply(session.key, InputsGiven(step_id=second.id, inputs={"text": "hi"}))
    await scene.here.creator.create(session.key)

    (draft,) = scene.zapier.zaps
    assert draft.title == "Slack → Clock"
    assert draft.steps == (
        ZapStep(action_id="slack-write-1", authentication_id="a1", inputs={}),
        ZapStep(action_id="clock-write-1", authentication_id=None, inputs={"text": "hi"}),
    )


async def test_a_created_session_is_created_once(scene: Scene) -> None:
    """Asking again, even with a person's word, is a duplicate."""
    session = await scene.ready("ann")
    first = await scene.here.creator.create(session.key)
    again = [await scene.here.creator.create(session.key, again=word) for word in (False, True)]

    assert [(one.outcome, one.session) for one in again] == [(Outcome.DUPLICATE, first.session)] * 2
    assert len(scene.zapier.zaps) == 1


# --- when no call is made ---


async def test_a_session_that_is_not_ready_is_not_created(scene: Scene) -> None:
    """What is missing is said by step, and Zapier is not asked."""
    session = await scene.session("ann", "slack", None)
    scene.zapier.requests.clear()

    with pytest.raises(NotReadyError) as refused:
        await scene.here.creator.create(session.key)

    assert refused.value.facts["missing"] == {
        session.steps[0].id: "is in needs-auth",
        session.steps[1].id: "has no app",
    }
    assert (scene.zapier.requests, await scene.now(session)) == ([], session)


async def test_a_session_that_is_not_there_is_not_created(scene: Scene) -> None:
    """Nor is anything else."""
    with pytest.raises(SessionNotFoundError):
        await scene.here.creator.create(SessionKey(tenant_id=TENANT, session_id="zs00" + "0" * 20))


async def test_without_a_working_credential_nothing_is_asked(scene: Scene) -> None:
    """The session stays ready."""
    session = await scene.ready("ann")
    await scene.store.credentials.need_sign_in(TENANT, "ann", generation=1)

    with pytest.raises(SignInRequiredError):
        await scene.here.creator.create(session.key)

    assert (await status(scene, session), scene.zapier.zaps) == (SessionStatus.READY, [])


async def test_what_is_known_of_the_actions_serves_for_a_minute_until_zapier_refuses_the_zap(scene: Scene) -> None:
    """Then it may have changed, and is read at once."""
    session = await scene.ready("ann")
    scene.zapier.ages.clear()
    scene.zapier.zap_answer = ZapNotMade(status=400, problem="no such action")
    await scene.here.creator.create(session.key)
    await scene.here.creator.create(session.key)

    assert scene.zapier.ages == [MINUTE, 0]


async def test_what_was_connected_just_now_is_looked_for_again_once_zapier_refused_the_zap(scene: Scene) -> None:
    """A refusal may mean that it is gone."""
    scene.zapier.connect("ann", "slack", "old")
    session = await scene.session("ann", "slack")
    (step,) = session.steps
    await scene.here.engine.select(session.key, step.id, "old")
    await scene.here.engine.apply(session.key, ActionChosen(step_id=step.id, action=SEND))
    scene.zapier.zap_answer = ZapNotMade(status=400, problem="no such authentication")
    scene.zapier.disconnect("ann", "slack", "old")
    await scene.here.creator.create(session.key)
    with pytest.raises(InputsFlawedError) as refused:
        await scene.here.creator.create(session.key)

    assert codes(refused.value) == ["authentication_gone"]


async def settled(scene: Scene) -> Session:
    """Begin a session of one step that is settled on an account of Ann's, and lacks nothing."""
    scene.zapier.connect("ann", "slack", "anns")
    session = await scene.session("ann", "slack")
    (step,) = session.steps
    await scene.here.engine.select(session.key, step.id, "anns")
    return (await scene.here.engine.apply(session.key, ActionChosen(step_id=step.id, action=SEND))).session


async def test_what_was_seen_in_one_zapier_account_is_looked_for_in_the_one_the_zap_will_be_in(scene: Scene) -> None:
    """A moment ago is no excuse: the user has signed in as somebody else since."""
    session = await settled(scene)
    await scene.sign_in("ann", token="another", account="work")
    with pytest.raises(InputsFlawedError) as refused:
        await scene.here.creator.create(session.key)

    assert codes(refused.value) == ["authentication_gone"]
    assert scene.zapier.zaps == []


async def test_a_user_who_signs_in_as_somebody_else_while_the_zap_is_drafted_gets_none(scene: Scene) -> None:
    """It would be made in the account of before."""
    session = await settled(scene)

    async def sign_in() -> None:
        await scene.sign_in("ann", token="another", account="work")

    scene.zapier.meanwhile("actions", sign_in)
    with pytest.raises(StaleVersionError):
        await scene.here.creator.create(session.key)

    assert scene.zapier.zaps == []


async def test_an_action_that_is_gone_is_said_before_any_call(scene: Scene) -> None:
    """The app has changed since the action was chosen."""
    session = await scene.ready("ann")
    scene.zapier.actions["clock"] = ()

    with pytest.raises(InputsFlawedError) as refused:
        await scene.here.creator.create(session.key)

    assert codes(refused.value) == ["action_not_found"]
    assert (await status(scene, session), scene.zapier.zaps) == (SessionStatus.READY, [])


@pytest.mark.parametrize(
    "failure", [UpstreamUnavailableError(problem="502"), UpstreamBusyError(retry_after=SECOND)], ids=["broken", "busy"]
)
async def test_when_the_actions_cannot_be_read_no_call_is_made(scene: Scene, failure: Exception) -> None:
    """The session stays ready, to be tried again."""
    session = await scene.ready("ann")
    scene.zapier.fail("actions", failure)

    with pytest.raises(type(failure)):
        await scene.here.creator.create(session.key)

    assert (await status(scene, session), scene.zapier.zaps) == (SessionStatus.READY, [])


async def test_the_permit_comes_before_the_intent() -> None:
    """Without room in the budget the session is not locked for nothing."""
    scene = Scene(limits=Limits(egress=7, partner=7, strong_reserve=1, quiet_reserve=2))
    await scene.sign_in("ann")
    session = await scene.ready("ann")
    while await scene.held() < 6:
        await scene.here.upstream.permit(TENANT)

    with pytest.raises(UpstreamBusyError):
        await scene.here.creator.create(session.key)

    assert (await status(scene, session), scene.zapier.zaps) == (SessionStatus.READY, [])


async def test_a_session_edited_while_its_zap_was_drafted_is_not_created(scene: Scene) -> None:
    """What would be made is not what the user sees now. The permit goes back."""
    session = await scene.ready("ann")

    async def edit() -> None:
        step = InputsGiven(step_id=session.steps[0].id, inputs={"text": "changed"})
        await scene.here.engine.apply(session.key, step)

    scene.zapier.meanwhile("actions", edit)
    with pytest.raises(StaleVersionError):
        await scene.here.creator.create(session.key)

    assert (await status(scene, session), scene.zapier.zaps) == (SessionStatus.READY, [])
    assert await scene.held() == len(scene.zapier.requests)


@pytest.mark.parametrize("signal", [SessionChanged(title="other"), StepAdded(step_id="st-2")], ids=["title", "step"])
async def test_a_change_that_the_zap_would_show_stops_it(scene: Scene, signal: SessionChanged | StepAdded) -> None:
    """Between the draft and the intent."""
    session, script = await scene.ready("ann"), Script()

    async def change() -> None:
        await scene.here.engine.apply(session.key, signal)

    script.goes("sessions.commit", StaleVersionError(session_id=session.id), then=change)

    with pytest.raises((StaleVersionError, NotReadyError)):
        await scene.process(script).creator.create(session.key)

    assert scene.zapier.zaps == []


async def test_a_change_that_the_zap_would_not_show_does_not_stop_it(scene: Scene) -> None:
    """Metadata is the caller's own."""
    session = await scene.ready("ann")

    async def change() -> None:
        await scene.here.engine.apply(session.key, SessionChanged(metadata={"a": 1}))

    scene.zapier.meanwhile("actions", change)
    applied = await scene.here.creator.create(session.key)

    assert (applied.session.status, applied.session.metadata) == (SessionStatus.CREATED, {"a": 1})


# --- rivals ---


async def test_several_processes_make_one_call(scene: Scene) -> None:
    """One of them commits its intent; the others are refused, and their permits go back."""
    for seed in range(20):
        session, chance = await scene.ready("ann"), Random(seed)
        creating = (scene.process(Turns(chance)).creator.create(session.key) for _ in range(3))
        answers = await asyncio.gather(*creating, return_exceptions=True)

        failures = [answer for answer in answers if isinstance(answer, Exception)]
        assert {type(failure) for failure in failures} <= {SessionLockedError, StaleVersionError}
        assert (await status(scene, session), len(scene.zapier.zaps)) == (SessionStatus.CREATED, seed + 1)
        scene.clock.advance(2 * MINUTE)


async def test_a_wish_that_was_given_up_and_made_again_is_called_once(scene: Scene) -> None:
    """The process whose intent it was stood still before its call, until a person had looked and found no Zap."""
    session, script = await scene.ready("ann"), Script()

    async def stand_still() -> None:
        scene.clock.advance(scene.policy.creation)
        await scene.here.sweep()
        await scene.here.creator.create(session.key, again=True)

    script.goes("sessions.commit", lost_answer(), when="after", then=stand_still)
    applied = await scene.process(script).creator.create(session.key)

    assert (applied.session.status, len(scene.zapier.zaps)) == (SessionStatus.CREATED, 1)
    assert await scene.now(session) == applied.session


async def test_an_intent_whose_call_comes_too_late_fails(scene: Scene) -> None:
    """Nothing was asked of Zapier, and the session can be edited again."""
    session, script = await scene.ready("ann"), Script()

    async def stand_still() -> None:
        scene.clock.advance(16 * SECOND)

    script.goes("sessions.commit", then=stand_still)
    applied = await scene.process(script).creator.create(session.key)

    assert (applied.session.status, scene.zapier.zaps) == (SessionStatus.READY, [])
    assert await scene.held() == len(scene.zapier.requests)


# --- what comes of the call ---


@pytest.mark.parametrize("http_status", [None, 400, 401, 403, 404, 429])
async def test_a_zap_that_was_surely_not_made_leaves_the_session_editable(
    scene: Scene, http_status: int | None
) -> None:
    """Its problem is told, and another try is another intent."""
    session = await scene.ready("ann")
    scene.zapier.zap_answer = ZapNotMade(status=http_status, problem="no")
    failed = (await scene.here.creator.create(session.key)).session
    scene.zapier.zap_answer = MADE
    await scene.here.engine.apply(session.key, SessionChanged(title="better"))
    made = (await scene.here.creator.create(session.key)).session

    assert (failed.zap.problem, failed.status) == ("no", SessionStatus.READY)
    assert (made.status, len(scene.zapier.zaps)) == (SessionStatus.CREATED, 2)


async def test_an_unknown_outcome_locks_the_session_until_a_person_has_looked(scene: Scene) -> None:
    """Only `again` makes another call; it says that there is no such Zap."""
    session = await scene.ready("ann")
    scene.zapier.zap_answer = ZapUnknown(problem="no answer")
    unknown = (await scene.here.creator.create(session.key)).session

    with pytest.raises(CreateUnknownError):
        await scene.here.creator.create(session.key)
    with pytest.raises(SessionLockedError):
        await scene.here.engine.apply(session.key, StepAdded(step_id="st-2"))
    scene.zapier.zap_answer = MADE
    made = (await scene.here.creator.create(session.key, again=True)).session

    assert unknown.status is SessionStatus.CREATE_UNKNOWN
    assert (made.status, len(scene.zapier.zaps)) == (SessionStatus.CREATED, 2)


async def test_an_answer_later_than_the_time_limit_repairs_the_unknown(scene: Scene) -> None:
    """The sweeper gave it up, then it came."""
    session = await scene.ready("ann")
    seen = []

    async def sweep_late() -> None:
        scene.clock.advance(scene.policy.creation)
        await scene.here.sweep()
        seen.append(await status(scene, session))

    scene.zapier.meanwhile("zaps", sweep_late)
    applied = await scene.here.creator.create(session.key)

    assert (seen, applied.session.status) == ([SessionStatus.CREATE_UNKNOWN], SessionStatus.CREATED)


async def test_the_store_may_be_away_when_the_answer_comes(scene: Scene) -> None:
    """Ten seconds of nothing, for reads as for writes: the answer is waited with, not lost."""
    session, script = await scene.ready("ann"), Script()

    async def go_away() -> None:
        script.goes("sessions.load", StoreUnavailableError(problem="away"), times=3)
        script.goes("sessions.commit", lost_answer(), times=6)

    scene.zapier.meanwhile("zaps", go_away)
    applied = await scene.process(script).creator.create(session.key)

    assert (applied.session.status, len(scene.zapier.zaps)) == (SessionStatus.CREATED, 1)


async def test_the_commit_of_the_answer_may_be_unknown(scene: Scene) -> None:
    """It was applied each time it seemed lost: the Zap is told of once."""
    session, script = await scene.ready("ann"), Script()
    script.well("sessions.commit")
    script.goes("sessions.commit", lost_answer(), when="after", times=7)
    applied = await scene.process(script).creator.create(session.key)

    assert applied.session.status is SessionStatus.CREATED
    assert (await scene.told(session)).count(EventName.ZAP_CREATED) == 1


async def test_an_answer_that_cannot_be_kept_at_all_ends_as_unknown(scene: Scene) -> None:
    """The caller hears it; the sweeper says later what can be said."""
    session, script = await scene.ready("ann"), Script()
    script.well("sessions.load", times=2)
    script.goes("sessions.load", StoreUnavailableError(problem="away"), times=10_000)

    with pytest.raises(StoreUnavailableError):
        await scene.process(script).creator.create(session.key)
    scene.clock.advance(scene.policy.creation)
    await scene.here.sweep()

    assert await status(scene, session) is SessionStatus.CREATE_UNKNOWN


@pytest.mark.parametrize("when", ["instead", "after"])
async def test_an_intent_whose_answer_is_lost_leads_to_one_call(scene: Scene, when: str) -> None:
    """Applied or not, the same commit again settles it."""
    session, script = await scene.ready("ann"), Script()
    script.goes("sessions.commit", lost_answer(), when="instead" if when == "instead" else "after")
    applied = await scene.process(script).creator.create(session.key)

    assert (applied.session.status, len(scene.zapier.zaps)) == (SessionStatus.CREATED, 1)
    assert (await scene.told(session)).count(EventName.ZAP_REQUESTED) == 1


async def test_an_intent_that_may_not_have_been_committed_leads_to_no_call(scene: Scene) -> None:
    """It is safe to say unknown, and not safe to call."""
    session, script = await scene.ready("ann"), Script()
    script.goes("sessions.commit", lost_answer(), when="after", times=6)

    with pytest.raises(StoreUnavailableError):
        await scene.process(script).creator.create(session.key)
    scene.clock.advance(scene.policy.creation)
    await scene.here.sweep()

    assert (await status(scene, session), scene.zapier.zaps) == (SessionStatus.CREATE_UNKNOWN, [])


# --- death ---


async def test_a_process_killed_at_any_moment_never_makes_a_second_zap(scene: Scene) -> None:
    """Before and after every call: then the session is ready, or what was called is known, or known to be unknown."""
    ends, moment, is_over = set(), 0, False
    while not is_over:
        session, calls = await scene.ready("ann"), len(scene.zapier.zaps)
        fuse = Fuse(moment)
        try:
            await scene.process(fuse).creator.create(session.key)
        except Killed:
            moment += 1
        is_over = not fuse.is_dead
        scene.clock.advance(scene.policy.creation + 2 * MINUTE)
        await scene.here.sweep()
        ends.add((found := await status(scene, session), made := len(scene.zapier.zaps) - calls))
        if found is SessionStatus.CREATE_UNKNOWN:
            with pytest.raises(CreateUnknownError):
                await scene.here.creator.create(session.key)
        else:
            await scene.here.creator.create(session.key)
            assert len(scene.zapier.zaps) - calls == 1, (found, made)

    assert ends == {
        (SessionStatus.READY, 0),
        (SessionStatus.CREATE_UNKNOWN, 0),
        (SessionStatus.CREATE_UNKNOWN, 1),
        (SessionStatus.CREATED, 1),
    }


@pytest.mark.parametrize("is_listed", [True, False])
async def test_a_zap_that_was_made_by_a_dead_process_is_found(scene: Scene, is_listed: bool) -> None:
    """Killed at any moment: what Zapier lists is the session's, twice looked for, and no session is left undecided."""
    ends, moment, is_over = set(), 0, False
    while not is_over:
        session, calls = await scene.ready("ann"), len(scene.zapier.zaps)
        fuse = Fuse(moment)
        scene.zapier.zap_answer = ZapMade(zap_id=f"zap-{moment}", editor_url=None)
        try:
            await scene.process(fuse).creator.create(session.key)
        except Killed:
            moment += 1
        is_over = not fuse.is_dead
        made = scene.zapier.zaps[calls:]
        shown = made if is_listed else []
        listed = tuple(as_listed(draft, f"made-{moment}", at=scene.clock.now()) for draft in shown)
        scene.zapier.listed_zaps = ZapListing(zaps=listed)
        scene.clock.advance(scene.policy.creation + 2 * MINUTE)
        for _ in range(3):
            await scene.here.sweep()
            scene.clock.advance(10 * SECOND)
        found = await scene.now(session)
        ends.add((found.status, len(made)))

        assert found.zap.look_at is None
        assert len(scene.zapier.zaps) - calls <= 1

    expected = {(SessionStatus.READY, 0), (SessionStatus.CREATE_UNKNOWN, 0), (SessionStatus.CREATED, 1)}
    assert ends == expected | (set() if is_listed else {(SessionStatus.CREATE_UNKNOWN, 1)})


def as_listed(draft: ZapDraft, zap_id: str, *, at: int) -> ListedZap:
    """Return a Zap as Zapier would list it that was made of this draft."""
    return ListedZap(
        id=zap_id,
        title=draft.title,
        updated_at=at,
        editor_url=None,
        authentications=tuple(step.authentication_id for step in draft.steps),
        actions=(None,) * len(draft.steps),
    )


async def alike(scene: Scene) -> tuple[Session, Session]:
    """Give two sessions whose Zaps are alike: the outcome of the second one's call is unknown, and it made none.

    Zapier lists a Zap: the one that the first session's call makes.
    """
    first, second = await scene.ready("ann"), await scene.ready("ann")
    scene.zapier.zap_answer = ZapUnknown(problem="no answer")
    await scene.here.creator.create(second.key)
    scene.zapier.listed_zaps = ZapListing(zaps=(as_listed(scene.zapier.zaps[0], "first's", at=scene.clock.now()),))
    return first, second


async def look_twice(scene: Scene) -> None:
    """Let the sweeper look for every Zap of unknown outcome as often as it does."""
    for _ in range(3):
        await scene.here.sweep()
        scene.clock.advance(10 * SECOND)


@pytest.mark.parametrize("is_given_up", [False, True])
async def test_a_zap_that_two_calls_of_unknown_outcome_may_have_made_is_left_to_a_person(
    scene: Scene, is_given_up: bool
) -> None:
    """Neither session takes what may be the other's, nor what may be that of one its user has given up since."""
    first, second = await alike(scene)
    await scene.here.creator.create(first.key)
    if is_given_up:
        await scene.here.engine.apply(first.key, SessionCancelled())
    await look_twice(scene)
    found = (await scene.now(second)).zap

    assert (found.state, [match.id for match in found.matches], found.look_at) == (ZapState.UNKNOWN, ["first's"], None)
    assert await status(scene, first) is (SessionStatus.CANCELLED if is_given_up else SessionStatus.CREATE_UNKNOWN)


async def test_a_zap_that_a_call_still_under_way_may_have_made_is_not_taken(scene: Scene) -> None:
    """Its answer comes after the looks, and says whose it is."""
    first, second = await alike(scene)
    await scene.here.engine.apply(first.key, ZapRequested(intent_id="in-1"))
    await look_twice(scene)
    answer = ZapMade(zap_id="first's", editor_url=None)
    await scene.here.engine.apply(first.key, ZapAnswered(intent_id="in-1", answer=answer))

    assert (await scene.now(first)).zap.id == "first's"
    assert (await scene.now(second)).zap.id is None


async def test_while_zapier_cannot_be_asked_looking_waits_and_then_gives_up(scene: Scene) -> None:
    """Ten minutes after the wish a person must tell."""
    session = await scene.ready("ann")
    scene.zapier.zap_answer = ZapUnknown(problem="no answer")
    await scene.here.creator.create(session.key)
    scene.zapier.fail("listed zaps", *[UpstreamUnavailableError(problem="502")] * 4)
    await scene.here.sweep()
    waiting = (await scene.now(session)).zap
    scene.clock.advance(10 * MINUTE)
    for _ in range(3):
        await scene.here.sweep()
        scene.clock.advance(10 * SECOND)

    assert (waiting.looks, waiting.look_at is None) == (0, False)
    assert ((await scene.now(session)).zap.looks, (await scene.now(session)).zap.look_at) == (2, None)


async def test_a_zapier_that_cannot_be_asked_is_asked_ever_more_seldom(scene: Scene) -> None:
    """However often a worker sweeps: what others wait for needs the same permits, and the same sweeper."""
    session = await scene.ready("ann")
    scene.zapier.zap_answer = ZapUnknown(problem="no answer")
    await scene.here.creator.create(session.key)
    scene.zapier.fail("listed zaps", *[UpstreamUnavailableError(problem="502")] * 1000)
    for _ in range(130):
        await scene.here.sweep()
        scene.clock.advance(5 * SECOND)

    assert scene.zapier.sent("listed zaps") == 9
    assert ((await scene.now(session)).zap.looks, (await scene.now(session)).zap.look_at) == (2, None)


async def test_a_zapier_that_hangs_holds_no_sweeper_up(scene: Scene) -> None:
    """A look is given up when its time is over, and comes again later like one that was refused."""

    async def hanging(name: str, call: Call) -> Any:
        return await (asyncio.Event().wait() if name == "upstream.zaps" else call())

    session = await scene.ready("ann")
    scene.zapier.zap_answer = ZapUnknown(problem="no answer")
    await scene.here.creator.create(session.key)
    await scene.process(hanging, look_limit=1).sweep()
    waiting = (await scene.now(session)).zap
    scene.clock.advance(MINUTE)
    await scene.here.sweep()

    assert (waiting.looks, waiting.look_at is None) == (0, False)
    assert (await scene.now(session)).zap.looks == 1


async def test_a_401_to_the_call_is_an_answer_like_another(scene: Scene) -> None:
    """The session stays ready; once the user has signed in again it is created."""
    session = await scene.ready("ann")
    scene.zapier.zap_answer = ZapNotMade(status=401, problem="sign in")

    async def around(name: str, call: Call) -> object:
        answer = await call()
        if name == "upstream.create_zap":
            await scene.here.credentials.need_sign_in(TENANT, "ann", generation=1)
        return answer

    failed = (await scene.process(around).creator.create(session.key)).session
    with pytest.raises(ZapwrightError):
        await scene.here.creator.create(session.key)
    scene.zapier.zap_answer = MADE
    await scene.sign_in("ann")
    made = (await scene.here.creator.create(session.key)).session

    credential = await scene.store.credentials.get(TENANT, "ann")
    assert credential is not None
    assert (failed.status, made.status, credential.state) == (
        SessionStatus.READY,
        SessionStatus.CREATED,
        CredentialState.ACTIVE,
    )
