"""Commits: lost races are decided again, lost answers are settled, nothing happens twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from orchestrator.commits import EARLIER_COMMITS_KEPT, MOST_TRIES, STORE_PATIENCE
from orchestrator.core import decide as decisions
from orchestrator.core.effects import LeaseHeld
from orchestrator.core.errors.sessions import IllegalSignalError, SessionNotFoundError, StepNotFoundError
from orchestrator.core.errors.store import GuardFailedError, LeaseLostError, StaleVersionError, StoreUnavailableError
from orchestrator.core.events import EventName
from orchestrator.core.ports.credentials import CredentialState
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.upstream import ZapMade
from orchestrator.core.session import Action, HintKind, Reason, Session, SessionKey, StepState
from orchestrator.core.signals import (
    ActionChosen,
    CredentialChanged,
    Hinted,
    InputsGiven,
    MessageReceived,
    PopupCancelled,
    PopupOpened,
    SessionCancelled,
    SessionChanged,
    Signal,
    StepAdded,
    StepChanged,
    StepRemoved,
    StepReset,
    ZapAnswered,
    ZapRequested,
)
from tests.support.interference import Script, lost_answer
from tests.support.scenes import TENANT, Process, Scene

TITLE = SessionChanged(title="ours")


@pytest.fixture(name="scene")
async def _scene() -> Scene:
    """A deployment whose user Ann is signed in."""
    scene = Scene()
    await scene.sign_in("ann")
    return scene


def stale() -> StaleVersionError:
    """Return what a lost race raises."""
    return StaleVersionError(session_id="zs")


# --- races ---


@pytest.mark.parametrize("lost", [stale(), GuardFailedError(session_id="zs")], ids=["stale", "guard"])
async def test_a_lost_race_is_decided_again_on_what_is_there_now(scene: Scene, lost: Exception) -> None:
    """What the winner wrote is kept, and what we wanted is added to it."""
    session, script = await scene.session("ann"), Script()

    async def win() -> None:
        await scene.here.engine.apply(session.key, StepAdded(step_id="st-theirs"))

    script.goes("sessions.commit", lost, then=win)

    applied = await scene.process(script).commits.apply(session.key, TITLE)

    assert (applied.session.title, [step.id for step in applied.session.steps]) == ("ours", ["st-theirs"])
    assert applied.session == await scene.now(session)


async def test_a_signal_made_of_the_session_is_made_anew_after_a_lost_race(scene: Scene) -> None:
    """Each try sees what was read for it."""
    session, script, seen = await scene.session("ann"), Script(), []
    script.goes("sessions.commit", stale(), times=2)

    async def made(current: Session) -> Signal:
        seen.append(current.version)
        return TITLE

    await scene.process(script).commits.apply(session.key, made)

    assert seen == [1, 1, 1]


async def test_the_last_try_may_win(scene: Scene) -> None:
    """As many races may be lost as there are tries, but one."""
    session, script = await scene.session("ann"), Script()
    script.goes("sessions.commit", stale(), times=MOST_TRIES - 1)

    applied = await scene.process(script).commits.apply(session.key, TITLE)

    assert applied.outcome is Outcome.APPLIED


@pytest.mark.parametrize("lost", [stale(), GuardFailedError(session_id="zs")], ids=["stale", "guard"])
async def test_who_loses_every_race_is_told(scene: Scene, lost: Exception) -> None:
    """It ends, with the error of the last race, and nothing was written."""
    session, script = await scene.session("ann"), Script()
    script.goes("sessions.commit", lost, times=MOST_TRIES)

    with pytest.raises(type(lost)):
        await scene.process(script).commits.apply(session.key, TITLE)

    assert session == await scene.now(session)


async def test_a_lost_lease_is_no_race(scene: Scene) -> None:
    """Whoever holds it now decides; trying again could only do harm."""
    session = await scene.session("ann")
    guard = LeaseHeld(app_id="slack", token="ck-gone")

    with pytest.raises(LeaseLostError):
        await scene.here.commits.apply(session.key, TITLE, guards=(guard,))

    assert session == await scene.now(session)


# --- lost answers ---


async def test_a_commit_that_did_not_arrive_is_sent_again(scene: Scene) -> None:
    """A broken connection costs a moment, not the signal."""
    session, script = await scene.session("ann"), Script()
    script.goes("sessions.commit", lost_answer(), times=2)

    applied = await scene.process(script).commits.apply(session.key, TITLE)

    assert ["ours", [*STORE_PATIENCE[:2]]] == [(await scene.now(session)).title, scene.clock.naps[-2:]]
    assert applied.outcome is Outcome.APPLIED


async def test_a_commit_whose_answer_was_lost_is_not_made_twice(scene: Scene) -> None:
    """The same commit again is recognised."""
    session, script = await scene.session("ann"), Script()
    script.goes("sessions.commit", lost_answer(), when="after", times=3)

    applied = await scene.process(script).commits.apply(session.key, TITLE)

    assert applied.session == await scene.now(session)
    assert await scene.told(session) == [EventName.SESSION_CREATED, EventName.SESSION_CHANGED]


async def test_a_store_that_stays_away_is_given_up(scene: Scene) -> None:
    """After all repeats the caller hears that nobody knows."""
    session, script = await scene.session("ann"), Script()
    script.goes("sessions.commit", lost_answer(), times=len(STORE_PATIENCE) + 1)

    with pytest.raises(StoreUnavailableError):
        await scene.process(script).commits.apply(session.key, TITLE)

    assert len(STORE_PATIENCE) + 1 == script.calls.count("sessions.commit")


async def test_a_repeat_that_meets_a_failed_guard_is_decided_again(scene: Scene) -> None:
    """It had not been applied: the guard tells."""
    session, script = await scene.session("ann"), Script()
    script.goes("sessions.commit", lost_answer())
    script.goes("sessions.commit", GuardFailedError(session_id=session.id))

    applied = await scene.process(script).commits.apply(session.key, TITLE)

    assert (applied.session.version, applied.session.title) == (2, "ours")


Prepared = Callable[[Scene], Awaitable[Session]]


async def blank(scene: Scene) -> Session:
    """Give a session with one empty step."""
    return await scene.session("ann", None)


async def needing(scene: Scene) -> Session:
    """Give a session whose step needs an authentication."""
    return await scene.session("ann", "slack")


async def awaiting(scene: Scene) -> Session:
    """Give a session whose popup is open."""
    return await scene.waiting("ann")


async def ready(scene: Scene) -> Session:
    """Give a session that lacks nothing."""
    return await scene.ready("ann")


async def creating(scene: Scene) -> Session:
    """Give a session whose Zap is being made."""
    session = await scene.ready("ann")
    return (await scene.here.engine.apply(session.key, ZapRequested(intent_id="in-1"))).session


STEP = "the first step's id"
SIGNALS: dict[str, tuple[Prepared, Callable[[str], Signal]]] = {
    "session_changed": (blank, lambda _: TITLE),
    "session_cancelled": (blank, lambda _: SessionCancelled()),
    "step_added": (blank, lambda _: StepAdded(step_id="st-new")),
    "step_changed": (needing, lambda step: StepChanged(step_id=step, alias="first")),
    "step_removed": (needing, lambda step: StepRemoved(step_id=step)),
    "step_reset": (needing, lambda step: StepReset(step_id=step)),
    "action_chosen": (needing, lambda step: ActionChosen(step_id=step, action=Action(key="k", action_type="write"))),
    "inputs_given": (needing, lambda step: InputsGiven(step_id=step, inputs={"a": 1})),
    "popup_opened": (needing, lambda step: PopupOpened(step_id=step, attempt_id="at-1")),
    "message": (
        awaiting,
        lambda step: MessageReceived(step_id=step, attempt_id="at-1", authentication_id="a1"),
    ),
    "finished": (awaiting, lambda step: Hinted(step_id=step, attempt_id="at-1", kind=HintKind.FINISHED)),
    "cancelled": (awaiting, lambda step: PopupCancelled(step_id=step, attempt_id="at-1")),
    "sign_in_needed": (blank, lambda _: CredentialChanged(state=CredentialState.NEEDS_SIGN_IN)),
    "zap_requested": (ready, lambda _: ZapRequested(intent_id="in-1")),
    "zap_answered": (
        creating,
        lambda _: ZapAnswered(intent_id="in-1", answer=ZapMade(zap_id="zap-1", editor_url=None)),
    ),
}


@pytest.mark.parametrize("name", SIGNALS)
async def test_a_commit_that_others_built_upon_before_its_answer_came_is_not_made_twice(
    scene: Scene, name: str
) -> None:
    """Applied, the answer lost, somebody commits, and the repeat is stale: the signal has still happened once."""
    prepare, signal_for = SIGNALS[name]
    session, script = await prepare(scene), Script()
    signal = signal_for(session.steps[0].id)

    async def build_upon() -> None:
        current = await scene.now(session)
        await scene.here.commits.put_off(current)

    script.goes("sessions.commit", lost_answer(), when="after", then=build_upon)
    applied = await scene.process(script).commits.apply(session.key, signal)

    now = await scene.now(session)
    assert Outcome.APPLIED is applied.outcome
    assert (session.version + 2, applied.session.seq) == (now.version, now.seq)
    assert applied.session.steps == now.steps


async def test_what_was_undone_meanwhile_is_not_done_again(scene: Scene) -> None:
    """We reset a step, the answer was lost, its user chose an app: the late repeat does not take it away."""
    session, script = await scene.session("ann", "slack"), Script()
    step = session.steps[0].id

    async def choose() -> None:
        await scene.here.engine.choose_app(session.key, step, "gmail")

    script.goes("sessions.commit", lost_answer(), when="after", then=choose)
    await scene.process(script).commits.apply(session.key, StepReset(step_id=step))

    app = (await scene.step(session)).app
    assert app is not None
    assert app.id == "gmail"


async def test_a_race_that_was_really_lost_after_an_unknown_outcome_is_decided_again(scene: Scene) -> None:
    """Our commit never arrived, somebody else's did: ours is decided on top of theirs."""
    session, script = await scene.session("ann"), Script()

    async def win() -> None:
        await scene.here.engine.apply(session.key, StepAdded(step_id="st-theirs"))

    script.goes("sessions.commit", lost_answer(), then=win)
    applied = await scene.process(script).commits.apply(session.key, TITLE)

    assert (applied.session.title, len(applied.session.steps), applied.session.version) == ("ours", 1, 3)


async def test_a_session_that_was_told_something_before_its_beginning_was_known_is_begun_once(scene: Scene) -> None:
    """The credential may change between the first commit and its answer."""
    script = Script()

    async def tell() -> None:
        scene.zapier.refuse("token-of-ann")
        await scene.store.credentials.need_sign_in(TENANT, "ann", generation=1)
        for session_id in await scene.store.sessions.of_user(TENANT, "ann"):
            key = SessionKey(tenant_id=TENANT, session_id=session_id)
            await scene.here.engine.apply(key, CredentialChanged(state=CredentialState.NEEDS_SIGN_IN))

    script.goes("sessions.commit", lost_answer(), when="after", then=tell)
    commits = scene.process(script).commits
    blank_session = Session(
        id="zs00" + "a" * 20, tenant_id=TENANT, user_id="ann", created_at=0, updated_at=0, deadline=10**14
    )
    begun = await commits.begin(decisions.found(blank_session, policy=scene.policy, now=scene.clock.now()))

    assert await scene.told(begun.session) == [EventName.SESSION_CREATED, EventName.SIGN_IN_NEEDED]


async def test_a_session_remembers_its_latest_commits_and_no_more(scene: Scene) -> None:
    """What is remembered does not grow."""
    session = await scene.session("ann")
    for number in range(EARLIER_COMMITS_KEPT + 3):
        session = (await scene.here.engine.apply(session.key, SessionChanged(title=str(number)))).session

    assert len(set(session.earlier_commits)) == EARLIER_COMMITS_KEPT
    assert session.commit_id not in session.earlier_commits


# --- refusals and the log ---


async def test_a_refused_signal_is_logged_and_changes_nothing(scene: Scene) -> None:
    """The log says what came, of what, and why it was refused."""
    session = await scene.session("ann", None)
    signal = PopupOpened(step_id=session.steps[0].id, attempt_id="at-1")

    with pytest.raises(IllegalSignalError):
        await scene.here.commits.apply(session.key, signal)

    (record,) = await scene.store.sessions.signals(session.id)
    assert session == await scene.now(session)
    assert (record.signal, record.outcome, record.detail) == ("popup_opened", Outcome.REFUSED, "illegal_signal")
    assert (signal.step_id, "at-1") == (record.step_id, record.attempt_id)


async def test_a_signal_for_a_step_that_is_not_there_is_logged(scene: Scene) -> None:
    """Whoever asks why a page's signals do nothing can see it."""
    session = await scene.session("ann")

    with pytest.raises(StepNotFoundError):
        await scene.here.commits.apply(session.key, StepReset(step_id="st-none"))

    (record,) = await scene.store.sessions.signals(session.id)
    assert (record.outcome, record.detail) == (Outcome.REFUSED, "step_not_found")


async def test_no_session_no_signal(scene: Scene) -> None:
    """There is nowhere to log it either."""
    with pytest.raises(SessionNotFoundError):
        await scene.here.commits.apply(SessionKey(tenant_id=TENANT, session_id="zs00" + "0" * 20), TITLE)


async def test_a_duplicate_is_logged_and_is_no_commit(scene: Scene) -> None:
    """The second time there is a line in the log, but no new version."""
    session = await scene.session("ann")
    first = await scene.here.commits.apply(session.key, TITLE)

    second = await scene.here.commits.apply(session.key, TITLE)

    outcomes = [record.outcome for record in await scene.store.sessions.signals(session.id)]
    assert (Outcome.DUPLICATE, first.session) == (second.outcome, second.session)
    assert outcomes == [Outcome.APPLIED, Outcome.DUPLICATE]


async def test_a_hint_is_logged_by_its_kind(scene: Scene) -> None:
    """`finished` says more than `hinted`."""
    session = await scene.waiting("ann")
    await scene.hint(session, HintKind.FINISHED)

    signals = [record.signal for record in await scene.store.sessions.signals(session.id)]
    assert signals == ["popup_opened", "finished"]


async def test_what_nobody_sent_is_not_logged_when_it_changes_nothing(scene: Scene) -> None:
    """Neither a check without news nor being told what is known already fills the log."""
    session = await scene.waiting("ann")
    await scene.hint(session)
    before = await scene.store.sessions.signals(session.id)
    await scene.here.look()
    await scene.sign_in("ann")

    assert before == await scene.store.sessions.signals(session.id)


# --- displacement ---


async def contested(scene: Scene) -> tuple[Session, Session]:
    """Give two sessions: the first has `a1` by difference alone, a message says it belongs to the second."""
    first = await scene.waiting("ann")
    scene.zapier.connect("ann", "slack", "a1")
    await scene.hint(first)
    await scene.here.look()
    second = await scene.waiting("ann", "at-2")
    await scene.message(second, "a1", attempt_id="at-2")
    return first, second


async def test_a_confirmed_message_takes_an_authentication_from_who_had_it_by_difference(scene: Scene) -> None:
    """The first step is asked again, with the candidate shown; the second has its own."""
    first, second = await contested(scene)
    await scene.here.look()

    step = await scene.step(first)
    assert (step.state, step.reason) == (StepState.NEEDS_AUTH, Reason.CLAIMED_ELSEWHERE)
    assert ([shown.id for shown in step.candidates], await scene.given(second)) == (["a1"], "a1")


async def test_never_do_two_steps_have_what_one_of_them_lost(scene: Scene) -> None:
    """The holder is displaced before the owner's commit: a death in between leaves nobody with the wrong one."""
    first, second = await contested(scene)
    script, seen = Script(), []

    async def witness() -> None:
        seen.append(((await scene.step(first)).state, await scene.given(second)))

    script.well("sessions.commit")
    script.goes("sessions.commit", lost_answer(), then=witness)
    await scene.process(script).look()

    assert seen == [(StepState.NEEDS_AUTH, None)]
    assert await scene.given(second) == "a1"


async def test_who_had_it_by_difference_in_the_same_session_gives_it_up_too(scene: Scene) -> None:
    """Two steps of one session: the displacement is a commit of its own, then the owner's is decided again."""
    session = await scene.session("ann", "slack", "slack")
    await scene.open(session, "at-1")
    scene.zapier.connect("ann", "slack", "a1")
    await scene.hint(session)
    await scene.here.look()
    assert await scene.given(session, 0) == "a1"

    await scene.open(session, "at-2", step=1)
    await scene.message(session, "a1", attempt_id="at-2", step=1)
    await scene.here.look()

    assert (await scene.given(session, 0), await scene.given(session, 1)) == (None, "a1")


async def test_the_users_choice_takes_it_from_who_had_it_by_difference(scene: Scene) -> None:
    """A choice is as good as a message."""
    first, _ = await contested(scene)
    third = await scene.session("ann", "slack")
    await scene.here.engine.select(third.key, third.steps[0].id, "a1")

    assert (await scene.given(first), await scene.given(third)) == (None, "a1")


async def test_a_session_that_has_ended_keeps_what_it_had(scene: Scene) -> None:
    """Nothing can be taken back from it, and the owner gets its own all the same."""
    first, second = await contested(scene)
    await scene.here.engine.apply(first.key, SessionCancelled())
    await scene.here.look()

    assert (await scene.given(first), await scene.given(second)) == ("a1", "a1")


async def test_an_erased_session_is_no_obstacle(scene: Scene) -> None:
    """Its claim outlives it."""
    first, second = await contested(scene)
    ended = (await scene.here.engine.apply(first.key, SessionCancelled())).session
    await scene.store.sessions.purge(ended)
    await scene.here.look()

    assert await scene.given(second) == "a1"


# --- putting off ---


async def test_putting_off_writes_when_to_wake_and_nothing_else(scene: Scene) -> None:
    """No event, no other change; the version says that something was written."""
    session = await scene.session("ann")
    process: Process = scene.here
    await process.commits.put_off(session)

    now = await scene.now(session)
    assert (session.version + 1, session.seq, session.updated_at) == (now.version, now.seq, now.updated_at)
