"""Authentications made of fields: one call, whatever dies, and nothing of the fields anywhere else."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import pytest

from orchestrator.commits import Applied
from orchestrator.core.errors.attempts import AppNotOwnError, CandidatesFoundError, FieldsUnansweredError
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.sessions import (
    IllegalSignalError,
    PreconditionFailedError,
    SessionLockedError,
    StepNotFoundError,
)
from orchestrator.core.errors.upstream import (
    FieldsRefusedError,
    UpstreamBusyError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from orchestrator.core.ports.upstream import AuthenticationNotMade, AuthenticationUnknown
from orchestrator.core.session import MINUTE, SECOND, Channel, Reason, Session, StepState
from orchestrator.core.signals import SessionCancelled, StepReset
from orchestrator.core.terms import ANY_TERMS, Idempotency, Terms
from orchestrator.store.limits import Limits
from orchestrator.store.memory import MemoryStore
from tests.support.interference import Fuse, Killed, Script, lost_answer
from tests.support.scenes import SHARDS, TENANT, Process, Scene

SECRET: Final = "correct horse battery staple"
FIELDS: Final = {"username": "ann", "password": SECRET}
LOST: Final = AuthenticationUnknown(problem="no answer")


@pytest.fixture(name="scene")
async def _scene() -> Scene:
    """A deployment whose user Ann is signed in, and whose own app is `slack`."""
    scene = Scene()
    await scene.sign_in("ann")
    return scene


@pytest.fixture(name="session")
async def _session(scene: Scene) -> Session:
    """A session of hers whose one step needs an authentication for it."""
    return await scene.session("ann", "slack")


async def supply(process: Process, session: Session, *, terms: Terms = ANY_TERMS, step: int = 0) -> Applied:
    """Send the fields."""
    return await process.supplier.supply(session.key, session.steps[step].id, title="Ann's", fields=FIELDS, terms=terms)


def keyed(name: str = "n1") -> Terms:
    """Return the terms of a request that has a key."""
    return Terms(idempotency=Idempotency(name=name, fingerprint="f1"))


async def test_fields_become_the_steps_authentication(scene: Scene, session: Session) -> None:
    """By one call, after one listing."""
    scene.zapier.requests.clear()
    applied = await supply(scene.here, session)

    step = await scene.step(session)
    assert scene.zapier.supplied == [("slack", "Ann's", FIELDS)]
    assert [sent.name for sent in scene.zapier.requests if sent.name in {"authentications", "supply"}] == [
        "authentications",
        "supply",
    ]
    assert (step.state, await scene.given(session)) == (StepState.RESOLVED, "own-1")
    assert step.evidence is not None
    assert (step.evidence.channels, step.evidence.attempt_id) == ((Channel.SUPPLIED,), applied.made)
    assert (await scene.watch("ann")).claims.keys() == {"own-1"}
    assert (await scene.watch("ann")).popups == ()


async def test_nothing_of_the_fields_is_kept(scene: Scene, session: Session) -> None:
    """Not in the session, its events, its signals, its receipt, nor anything else a store holds."""
    await supply(scene.here, session, terms=keyed())
    scene.zapier.supply_answers.append(LOST)
    other = await scene.session("ann", "slack")
    await supply(scene.here, other, terms=keyed("n2"))
    assert isinstance(scene.store, MemoryStore)

    kept = repr([vars(part) for part in vars(scene.store).values() if hasattr(part, "__dict__")])
    everything = kept + repr(await scene.events(session)) + repr(await scene.store.sessions.signals(session.id))
    assert SECRET not in everything
    assert "own-1" in everything


async def test_a_lost_answer_is_settled_by_difference_and_never_by_another_call(scene: Scene, session: Session) -> None:
    """However late Zapier lists it."""
    scene.zapier.supply_answers.append(LOST)
    scene.zapier.lag = 40 * SECOND
    applied = await supply(scene.here, session)
    assert (applied.session.steps[0].state, applied.session.steps[0].reason) == (
        StepState.NEEDS_AUTH,
        Reason.UNANSWERED,
    )
    await scene.pass_time(MINUTE)

    step = await scene.step(session)
    assert step.evidence is not None
    assert (await scene.given(session), step.evidence.channels) == ("own-1", (Channel.SUPPLIED, Channel.DIFFERENCE))
    assert len(scene.zapier.supplied) == 1


async def test_what_was_never_made_is_given_up(scene: Scene, session: Session) -> None:
    """The call was lost on its way: after the deadline the user may send the fields anew, and only they."""
    scene.zapier.supply_answers.append(LOST)
    await supply(scene.here, session)
    scene.zapier.disconnect("ann", "slack", "own-1")
    with pytest.raises(FieldsUnansweredError):
        await supply(scene.here, session)
    await scene.pass_time(5 * MINUTE)

    assert (await scene.step(session)).reason is Reason.TIMED_OUT
    assert len(scene.zapier.supplied) == 1
    await supply(scene.here, session)
    assert await scene.given(session) == "own-2"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (AuthenticationNotMade(status=400, problem="no"), FieldsRefusedError),
        (AuthenticationNotMade(status=404, problem="no"), FieldsRefusedError),
        (AuthenticationNotMade(status=401, problem="no"), SignInRequiredError),
        (AuthenticationNotMade(status=403, problem="no"), UpstreamRefusedError),
        (AuthenticationNotMade(status=429, problem="no", retry_after=SECOND), UpstreamBusyError),
        (AuthenticationNotMade(status=None, problem="not reached"), UpstreamUnavailableError),
    ],
    ids=["400", "404", "401", "403", "429", "not reached"],
)
async def test_what_zapier_surely_did_not_make_is_said(
    scene: Scene, session: Session, answer: AuthenticationNotMade, error: type[ZapwrightError]
) -> None:
    """And the step waits for nothing."""
    scene.zapier.supply_answers.append(answer)
    with pytest.raises(error):
        await supply(scene.here, session)

    step = await scene.step(session)
    assert (step.state, step.reason, step.live_attempt) == (StepState.NEEDS_AUTH, Reason.NOT_MADE, None)
    assert (await scene.watch("ann")).popups == ()


async def test_an_app_of_somebody_else_takes_no_fields(scene: Scene) -> None:
    """Zapier is not even asked."""
    session = await scene.session("ann", "gmail")
    scene.zapier.requests.clear()
    with pytest.raises(AppNotOwnError):
        await supply(scene.here, session)

    assert scene.zapier.requests == []


async def test_fields_are_sent_only_when_the_step_needs_them(scene: Scene, session: Session) -> None:
    """Nor for a session that has ended, a step that is gone, or one that the request does not know."""
    other = await scene.waiting("ann")
    with pytest.raises(IllegalSignalError):
        await supply(scene.here, other)
    with pytest.raises(PreconditionFailedError):
        await supply(scene.here, session, terms=Terms(seqs=frozenset({99})))
    with pytest.raises(StepNotFoundError):
        await scene.here.supplier.supply(session.key, "gone", title="t", fields=FIELDS)
    await scene.here.engine.apply(session.key, SessionCancelled())
    with pytest.raises(SessionLockedError):
        await supply(scene.here, session)

    assert scene.zapier.supplied == []


async def test_without_a_working_credential_nothing_is_sent(scene: Scene, session: Session) -> None:
    """The user signs in first."""
    await scene.store.credentials.need_sign_in(TENANT, "ann", generation=1)

    with pytest.raises(SignInRequiredError):
        await supply(scene.here, session)


async def test_what_was_connected_meanwhile_is_offered_first(scene: Scene, session: Session) -> None:
    """Perhaps the one of fields that were sent before; asked once more, it makes another."""
    scene.zapier.connect("ann", "slack", "elsewhere")
    with pytest.raises(CandidatesFoundError):
        await supply(scene.here, session)

    assert [found.id for found in (await scene.step(session)).candidates] == ["elsewhere"]
    await supply(scene.here, session)
    assert await scene.given(session) == "own-1"


async def test_no_room_in_the_budget_leaves_no_intent() -> None:
    """The permit comes first."""
    tight = Scene(MemoryStore(shards=SHARDS, limits=Limits(egress=5, partner=5, strong_reserve=0, quiet_reserve=0)))
    await tight.sign_in("ann")
    session = await tight.session("ann", "slack")
    with pytest.raises(UpstreamBusyError):
        await supply(tight.here, session)

    assert [sent.name for sent in tight.zapier.requests][-1] == "app"
    assert (await tight.step(session)).attempts == ()
    assert tight.zapier.supplied == []


async def test_a_request_that_comes_again_makes_no_second_call(scene: Scene, session: Session) -> None:
    """It is answered with what became of the first."""
    first = await supply(scene.here, session, terms=keyed())
    again = await supply(scene.here, session, terms=keyed())

    assert (again.is_replay, again.made, again.session) == (True, first.made, first.session)
    assert len(scene.zapier.supplied) == 1


async def test_a_refusal_that_comes_again_is_a_refusal(scene: Scene, session: Session) -> None:
    """It is not looked for, and not sent anew under its old name."""
    scene.zapier.supply_answers.append(AuthenticationNotMade(status=400, problem="no"))
    for _ in range(2):
        with pytest.raises(FieldsRefusedError):
            await supply(scene.here, session, terms=keyed())

    assert len(scene.zapier.supplied) == 1


async def test_an_intent_whose_answer_was_lost_is_still_its_own(scene: Scene, session: Session) -> None:
    """Only the commit that wrote it makes the call, and it does."""
    script = Script()
    script.well("sessions.commit")
    script.goes("sessions.commit", lost_answer(), when="after")
    await supply(scene.process(script), session, terms=keyed())

    assert await scene.given(session) == "own-1"
    assert len(scene.zapier.supplied) == 1


async def test_an_answer_outlasts_a_store_that_is_away(scene: Scene, session: Session) -> None:
    """It cannot be asked for again, so it is noted as soon as it can be."""
    script = Script()
    script.well("sessions.commit", times=2)
    script.goes("sessions.commit", lost_answer(), times=8)
    await supply(scene.process(script), session)

    assert await scene.given(session) == "own-1"


async def test_a_step_that_is_reset_meanwhile_gets_nothing(scene: Scene, session: Session) -> None:
    """What was made is in the user's list, and offered to nobody as theirs."""

    async def reset() -> None:
        await scene.here.engine.apply(session.key, StepReset(step_id=session.steps[0].id))

    scene.zapier.meanwhile("supply", reset)
    await supply(scene.here, session)

    assert (await scene.step(session)).state is StepState.CHOOSE_APP


@pytest.mark.parametrize("is_keyed", [True, False])
async def test_a_death_at_any_moment_makes_no_second_call(is_keyed: bool) -> None:
    """Whoever repeats the request, and whoever looks later, finds what the one call made; or it was never made."""
    moments = Fuse()
    await _died(moments, terms=keyed() if is_keyed else ANY_TERMS)
    assert moments.count > 20

    for at in range(moments.count):
        scene, session = await _died(Fuse(at), terms=keyed() if is_keyed else ANY_TERMS)
        sent = len(scene.zapier.supplied)
        try:
            await supply(scene.here, session, terms=keyed() if is_keyed else ANY_TERMS)
        except (FieldsUnansweredError, IllegalSignalError):
            assert not is_keyed
        assert len(scene.zapier.supplied) <= 1, at
        assert sent <= len(scene.zapier.supplied)
        await scene.pass_time(5 * MINUTE)
        step = await scene.step(session)
        if scene.zapier.supplied:
            assert step.authentication is not None, at
            assert step.authentication.id == "own-1"
        else:
            assert step.reason is Reason.TIMED_OUT, at


async def _died(fuse: Fuse, *, terms: Terms) -> tuple[Scene, Session]:
    scene = Scene()
    await scene.sign_in("ann")
    session = await scene.session("ann", "slack")
    with suppress(Killed):
        await supply(scene.process(fuse), session, terms=terms)
    return scene, session
