"""Steps: their place, their name, and what they do."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import PAGE_WRITES, SessionDep
from api.deps import EngineDep, ShowDep
from api.openapi import COMMIT, CONDITIONAL, ETAG, KEYED, REPLAY, STEP, problems
from api.schemas import answers, requests
from api.schemas.fields import StepId
from api.terms import Conditional, KeyedConditional
from orchestrator.core.errors.sessions import AliasTakenError, IllegalSignalError, TooManyStepsError
from orchestrator.core.signals import InputsGiven, StepAdded, StepChanged, StepRemoved

router = APIRouter(
    prefix="/v1/sessions/{session_id}/steps",
    tags=["steps"],
    dependencies=[PAGE_WRITES],
)


@router.post(
    "",
    status_code=201,
    responses={
        201: {"headers": ETAG | REPLAY},
        **problems(*COMMIT, *CONDITIONAL, *KEYED, AliasTakenError, TooManyStepsError),
    },
)
async def add_step(
    key: SessionDep, added: requests.StepAddition, engine: EngineDep, show: ShowDep, terms: KeyedConditional
) -> answers.AddedStep:
    """Put a step in, last unless told otherwise."""
    signal = StepAdded(step_id=engine.new_step_id(), alias=added.alias, position=added.position)
    applied = await engine.apply(key, signal, terms=terms)
    return answers.AddedStep(step_id=applied.made or signal.step_id, session=await show.applied(applied))


@router.patch("/{step_id}", responses={200: {"headers": ETAG}, **problems(*STEP, *CONDITIONAL, AliasTakenError)})
async def change_step(
    key: SessionDep,
    step_id: StepId,
    change: requests.StepChange,
    engine: EngineDep,
    show: ShowDep,
    terms: Conditional,
) -> answers.Session:
    """Move a step or give it another alias; what is left out stays."""
    signal = StepChanged(step_id=step_id, alias=change.alias, position=change.position)
    return await show.applied(await engine.apply(key, signal, terms=terms))


@router.delete("/{step_id}", responses={200: {"headers": ETAG}, **problems(*STEP, *CONDITIONAL)})
async def remove_step(
    key: SessionDep, step_id: StepId, engine: EngineDep, show: ShowDep, terms: Conditional
) -> answers.Session:
    """Take a step out."""
    return await show.applied(await engine.apply(key, StepRemoved(step_id=step_id), terms=terms))


@router.put(
    "/{step_id}/inputs", responses={200: {"headers": ETAG}, **problems(*STEP, *CONDITIONAL, IllegalSignalError)}
)
async def give_inputs(
    key: SessionDep,
    step_id: StepId,
    given: requests.GivenInputs,
    engine: EngineDep,
    show: ShowDep,
    terms: Conditional,
) -> answers.Session:
    """Fill the step's fields; inputs are kept as given, those of before are replaced."""
    signal = InputsGiven(step_id=step_id, inputs=given.inputs)
    return await show.applied(await engine.apply(key, signal, terms=terms))
