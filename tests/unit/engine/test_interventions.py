"""What operators do, killed at every moment, answered late and raced: done and on record, or neither."""

from __future__ import annotations

from contextlib import suppress
from typing import cast

import pytest

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.errors.upstream import UpstreamBusyError
from orchestrator.core.interventions import Intervention
from orchestrator.core.ports.audit import AuditQuery
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.session import Session, StepState
from orchestrator.core.terms import Idempotency, Terms
from orchestrator.directory import Directory
from orchestrator.interventions import Interventions, Wish
from orchestrator.webhooks import Webhooks
from tests.support.interference import Around, Fuse, Killed, Script, undisturbed, wrapped
from tests.support.scenes import Scene
from tests.support.upstreams import EGRESS, PARTNER

TERMS = Terms(idempotency=Idempotency(name="n1", fingerprint="f1"))
WISH = Wish(key_id="ak1", key_name="Ann", reason="they rang", terms=TERMS)


class Partners:
    """A directory in which every tenant asks as the same partner."""

    async def partner_of(self, _: str) -> str:
        return PARTNER


def desk(scene: Scene, around: Around = undisturbed) -> Interventions:
    """Return an operators' process with something around its ports; webhooks have tests of their own."""
    process = scene.process(around)
    return Interventions(
        commits=process.commits,
        engine=process.engine,
        webhooks=cast("Webhooks", None),
        watches=process.watches,
        credentials=process.credentials,
        budget=process.budget,
        workers=scene.store.workers,
        audit=wrapped(scene.store.audit, "audit", around),
        directory=cast("Directory", Partners()),
        clock=process.clock,
        ids=process.ids,
        egress=EGRESS,
    )


async def audited(scene: Scene) -> list[tuple[Intervention, Outcome]]:
    """Return what the audit has."""
    return [(entry.action, entry.outcome) for entry in (await scene.store.audit.find(AuditQuery())).entries]


async def begun() -> tuple[Scene, Session]:
    """Begin with a popup that is waited for."""
    scene = Scene()
    await scene.sign_in("ann")
    return scene, await scene.waiting("ann")


async def test_a_death_at_any_moment_leaves_the_deed_and_its_entry_or_neither() -> None:
    """And the same request again does what is left of it, once."""
    moment, is_over = 0, False
    while not is_over:
        scene, session = await begun()
        fuse = Fuse(at=moment)
        with suppress(Killed):
            await desk(scene, fuse).reset(session, session.steps[0].id, WISH)
        moment, is_over = moment + 1, not fuse.is_dead
        is_reset = (await scene.step(session)).state is StepState.CHOOSE_APP

        assert await audited(scene) == ([(Intervention.RESET, Outcome.APPLIED)] if is_reset else [])
        again = await desk(scene).reset(session, session.steps[0].id, WISH)
        assert again.is_replay == is_reset
        assert await audited(scene) == [(Intervention.RESET, Outcome.APPLIED)]

    assert moment > 5


async def test_a_deed_whose_answer_is_lost_is_done_and_on_record_once() -> None:
    """The commit is sent again, and recognised."""
    scene, session = await begun()
    script = Script()
    script.goes("sessions.commit", StoreUnavailableError(problem="lost"), when="after")

    done = await desk(scene, script).cancel(session, WISH)

    assert done.outcome is Outcome.APPLIED
    assert await audited(scene) == [(Intervention.CANCEL, Outcome.APPLIED)]


async def test_what_zapier_cannot_be_asked_for_is_refused_on_record() -> None:
    """Nothing is taken for confirmed that is not."""
    scene, session = await begun()
    script = Script()
    script.goes("upstream.authentications", UpstreamBusyError(retry_after=1_000))

    with pytest.raises(UpstreamBusyError):
        await desk(scene, script).bind(session, session.steps[0].id, "old", WISH)

    assert await audited(scene) == [(Intervention.BIND, Outcome.REFUSED)]
    assert (await scene.step(session)).state is StepState.AWAITING_POPUP


async def test_of_what_the_store_left_unanswered_nothing_is_claimed() -> None:
    """It may have been done; who repeats the request finds out."""
    scene, session = await begun()
    script = Script()
    for _ in range(20):
        script.goes("sessions.commit", StoreUnavailableError(problem="away"))

    with pytest.raises(StoreUnavailableError):
        await desk(scene, script).cancel(session, WISH)

    assert await audited(scene) == []


async def test_a_check_is_planned_for_all_that_wait_on_the_same() -> None:
    """Whoever asks twice a moment later is told that it comes anyway; both are on record."""
    scene, session = await begun()
    step_id = session.steps[0].id
    anew = Wish(key_id="ak1", key_name="Ann", reason="again", terms=Terms())

    first = await desk(scene).check_now(session, step_id, WISH)
    second = await desk(scene).check_now(session, step_id, anew)

    assert first.check_at == second.check_at == scene.clock.now()
    assert [first.applied.outcome, second.applied.outcome] == [Outcome.APPLIED, Outcome.DUPLICATE]
    assert {outcome for _, outcome in await audited(scene)} == {Outcome.APPLIED, Outcome.DUPLICATE}
    assert await scene.here.look() == 1
