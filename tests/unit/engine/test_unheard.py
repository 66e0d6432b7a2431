"""Popups of which nobody had heard: what difference gave meanwhile is asked about, and nothing else is touched."""

from __future__ import annotations

from contextlib import suppress

import pytest

from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.session import MINUTE, SECOND, Channel, HintKind, Reason, Session, StepState
from orchestrator.core.signals import (
    Context,
    Hinted,
    MessageReceived,
    OpeningSignal,
    PopupBlocked,
    PopupCancelled,
    PopupOpened,
    SessionCancelled,
)
from tests.support.interference import Fuse, Killed, Script
from tests.support.scenes import Process, Scene

OPEN_FOR = 40 * SECOND


@pytest.fixture(name="scene")
async def _scene() -> Scene:
    """A deployment whose user Ann is signed in and has one authentication for Slack."""
    scene = Scene()
    await scene.sign_in("ann")
    scene.zapier.connect("ann", "slack", "old")
    return scene


async def mistaken(scene: Scene) -> tuple[Session, Session]:
    """Give two sessions: the first has by difference what the second's popup made, of which nobody has heard.

    That popup has been open for `OPEN_FOR`.
    """
    second = await scene.session("ann", "slack")
    scene.clock.advance(MINUTE)
    first = await scene.waiting("ann")
    scene.clock.advance(OPEN_FOR)
    scene.zapier.connect("ann", "slack", "new")
    await scene.hint(first)
    await scene.here.look()
    assert await scene.given(first) == "new"
    return first, second


def late(session: Session, kind: HintKind = HintKind.FOCUS, *, elapsed: int | None = OPEN_FOR) -> Hinted:
    """The first that is heard of a popup."""
    context = Context(elapsed_ms=elapsed)
    return Hinted(step_id=session.steps[0].id, attempt_id="at-late", kind=kind, context=context)


async def hear(scene: Scene, session: Session, signal: OpeningSignal, *, by: Process | None = None) -> Outcome:
    """Have a page's signal arrive."""
    return (await (by or scene.here).engine.apply(session.key, signal)).outcome


async def asked(scene: Scene, session: Session) -> tuple[StepState, Reason | None, list[str]]:
    """Read what a session's user is asked."""
    step = await scene.step(session)
    return step.state, step.reason, [shown.id for shown in step.candidates]


IN_DOUBT = (StepState.NEEDS_AUTH, Reason.AMBIGUOUS, ["new"])


@pytest.mark.parametrize("elapsed", [OPEN_FOR, None], ids=["says when", "does not say when"])
async def test_what_difference_gave_while_a_popup_was_open_unheard_is_offered_to_both(
    scene: Scene, elapsed: int | None
) -> None:
    """Either popup may have made it: neither step has it until its user says so."""
    first, second = await mistaken(scene)
    await hear(scene, second, late(second, elapsed=elapsed))
    at_once = await asked(scene, first)
    await scene.here.look()

    assert (at_once, await asked(scene, first), await asked(scene, second)) == (IN_DOUBT,) * 3


async def test_what_the_first_steps_popup_makes_later_is_offered_to_it(scene: Scene) -> None:
    """Its popup may be open still: it is looked for as after any popup that nobody waits for any more."""
    first, second = await mistaken(scene)
    await hear(scene, second, late(second))
    await scene.here.look()
    scene.zapier.connect("ann", "slack", "newer")
    await scene.pass_time(5 * MINUTE, tick=5 * SECOND)

    assert (await scene.step(first)).state is StepState.NEEDS_AUTH
    assert [shown.id for shown in (await scene.step(first)).candidates] == ["new", "newer"]


async def test_the_popup_that_seemed_to_have_yielded_is_remembered_again(scene: Scene) -> None:
    """What appears next may be its own, and is given to no third step by difference."""
    first, second = await mistaken(scene)
    await hear(scene, second, late(second))

    waiters = {popup.waiter.session_id for popup in (await scene.watch("ann")).popups}
    assert waiters == {first.id, second.id}


@pytest.mark.parametrize("elapsed", [OPEN_FOR - 30 * SECOND, 0])
async def test_a_popup_opened_after_the_difference_was_given_puts_nothing_in_doubt(scene: Scene, elapsed: int) -> None:
    """It cannot have made it."""
    first, second = await mistaken(scene)
    scene.clock.advance(OPEN_FOR)
    await hear(scene, second, late(second, elapsed=elapsed))

    assert await scene.given(first) == "new"


async def test_a_step_that_got_its_app_after_the_difference_was_given_puts_nothing_in_doubt(scene: Scene) -> None:
    """Whatever its page says, or does not: there was no popup of it."""
    first, _ = await mistaken(scene)
    scene.clock.advance(SECOND)
    for elapsed in (None, 10 * MINUTE):
        third = await scene.session("ann", "slack")
        await hear(scene, third, late(third, elapsed=elapsed))

    assert await scene.given(first) == "new"


async def test_an_opening_that_arrives_first_puts_nothing_in_doubt(scene: Scene) -> None:
    """The popup was opened just now; and what is said of it later is not the first that is heard."""
    first, second = await mistaken(scene)
    await hear(scene, second, PopupOpened(step_id=second.steps[0].id, attempt_id="at-late"))
    await hear(scene, second, late(second))

    assert await scene.given(first) == "new"


async def test_an_opening_that_is_repeated_late_says_for_how_long_the_popup_has_been_open(scene: Scene) -> None:
    """Then it is as good as any late signal."""
    first, second = await mistaken(scene)
    await scene.here.engine.open_popup(second.key, second.steps[0].id, "at-late", context=Context(elapsed_ms=OPEN_FOR))

    assert await asked(scene, first) == IN_DOUBT


async def test_a_popup_that_was_blocked_puts_nothing_in_doubt_and_one_that_was_given_up_does(scene: Scene) -> None:
    """The one was never open; the other may have been finished before."""
    first, second = await mistaken(scene)
    step_id = second.steps[0].id
    await scene.here.engine.apply(second.key, PopupBlocked(step_id=step_id, attempt_id="at-blocked"))
    after_blocked = await scene.given(first)
    await hear(scene, second, PopupCancelled(step_id=step_id, attempt_id="at-late"))

    assert (after_blocked, await asked(scene, first)) == ("new", IN_DOUBT)


@pytest.mark.parametrize("channel", [Channel.MESSAGE, Channel.SELECTION])
async def test_what_a_message_or_the_user_gave_is_not_in_doubt(scene: Scene, channel: Channel) -> None:
    """It does not rest on who was known to have a popup open."""
    first, second = await mistaken(scene)
    if channel is Channel.MESSAGE:
        await scene.open(first, "at-2")
        await scene.message(first, "new", attempt_id="at-2")
        await scene.here.look()
    else:
        await scene.here.engine.select(first.key, first.steps[0].id, "new")
    await hear(scene, second, late(second))

    evidence = (await scene.step(first)).evidence
    assert evidence is not None
    assert (await scene.given(first), evidence.channels) == ("new", (channel,))


async def test_other_users_apps_and_steps_are_left_alone(scene: Scene) -> None:
    """Only what is on the same watch can have been mistaken."""
    _, second = await mistaken(scene)
    others = []
    for user, app in (("ann", "gmail"), ("bob", "slack")):
        await scene.sign_in(user, token=f"token-{user}")
        other = await scene.session(user, app)
        await scene.open(other, "at-1")
        scene.zapier.connect(user, app, "theirs")
        await scene.hint(other)
        others.append(other)
    await scene.here.look()
    await hear(scene, second, late(second, elapsed=None))

    assert [await scene.given(other) for other in others] == ["theirs", "theirs"]


async def test_a_message_that_is_heard_first_takes_its_own_and_leaves_the_rest(scene: Scene) -> None:
    """It says what its popup made: had that been given to nobody, nobody has another's."""
    first, second = await mistaken(scene)
    scene.zapier.connect("ann", "slack", "mine")
    step_id = second.steps[0].id
    await hear(scene, second, MessageReceived(step_id=step_id, attempt_id="at-late", authentication_id="mine"))
    await scene.here.look()

    assert (await scene.given(first), await scene.given(second)) == ("new", "mine")


async def test_a_message_that_names_what_another_got_puts_all_in_doubt_that_followed(scene: Scene) -> None:
    """The other's popup was taken to have yielded, so that a third step was given what that one made."""
    first, second = await mistaken(scene)
    third = await scene.waiting("ann", "at-3")
    scene.zapier.connect("ann", "slack", "of-first")
    await scene.hint(third, attempt_id="at-3")
    await scene.here.look()
    assert await scene.given(third) == "of-first"

    message = MessageReceived(step_id=second.steps[0].id, attempt_id="at-late", authentication_id="new")
    await hear(scene, second, message)
    await scene.here.look()

    assert (await scene.given(first), await scene.given(second), await scene.given(third)) == (None, "new", None)


async def test_two_steps_of_one_session_are_no_different(scene: Scene) -> None:
    """What is taken back is a commit of its own, then the signal is decided again."""
    session = await scene.session("ann", "slack", "slack")
    await scene.open(session, "at-1")
    scene.zapier.connect("ann", "slack", "new")
    await scene.hint(session)
    await scene.here.look()
    signal = Hinted(step_id=session.steps[1].id, attempt_id="at-late", kind=HintKind.FINISHED)
    outcome = await hear(scene, session, signal)
    await scene.here.look()

    steps = (await scene.now(session)).steps
    assert outcome is Outcome.APPLIED
    assert [step.reason for step in steps] == [Reason.AMBIGUOUS] * 2
    assert [[shown.id for shown in step.candidates] for step in steps] == [["new"]] * 2


async def test_what_is_given_while_the_signal_is_decided_is_seen(scene: Scene) -> None:
    """Between reading what was given and the commit, difference gives something more: it is decided again."""
    second = await scene.session("ann", "slack")
    first = await scene.waiting("ann")
    scene.clock.advance(OPEN_FOR)
    scene.zapier.connect("ann", "slack", "new")
    await scene.hint(first)
    script = Script()

    async def give() -> None:
        await scene.here.look()
        assert await scene.given(first) == "new"

    script.goes("watches.load", when="after", then=give)
    await hear(scene, second, late(second), by=scene.process(script))

    assert await asked(scene, first) == IN_DOUBT


async def test_a_session_that_has_ended_keeps_what_it_has(scene: Scene) -> None:
    """Nothing can be taken back from it; the signal is heard all the same."""
    first, second = await mistaken(scene)
    await scene.here.engine.apply(first.key, SessionCancelled())
    outcome = await hear(scene, second, late(second))

    assert (outcome, await scene.given(first)) == (Outcome.APPLIED, "new")
    assert (await scene.step(second)).state is StepState.AWAITING_POPUP


async def test_a_process_killed_at_any_moment_never_leaves_a_popup_heard_of_and_its_doubt_forgotten() -> None:
    """What is in doubt is taken back first: a death in between costs a click at worst."""
    for moment in range(100):
        scene = Scene()
        await scene.sign_in("ann")
        first, second = await mistaken(scene)
        fuse = Fuse(moment)
        with suppress(Killed):
            await hear(scene, second, late(second), by=scene.process(fuse))

        is_heard = (await scene.step(second)).attempt("at-late") is not None
        given = await scene.given(first)
        assert not (is_heard and given), fuse.log[-1]
        await hear(scene, second, late(second))
        await scene.here.look()
        assert (await asked(scene, first), await asked(scene, second)) == (IN_DOUBT, IN_DOUBT)
        if not fuse.is_dead:
            assert is_heard
            return
    raise AssertionError("there is no end of moments")


async def test_what_is_taken_back_is_unclaimed_and_can_be_chosen_by_either(scene: Scene) -> None:
    """The user says whose it is."""
    first, second = await mistaken(scene)
    await hear(scene, second, late(second))
    await scene.here.look()
    claims = (await scene.watch("ann")).claims
    await scene.here.engine.select(second.key, second.steps[0].id, "new")

    assert ("new" in claims, await scene.given(first), await scene.given(second)) == (False, None, "new")
