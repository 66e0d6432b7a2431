"""Fields: what a step's action asks for and will give, and trying it out."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from api.auth import PAGE_READS, PAGE_WRITES, SessionDep
from api.deps import FillerDep, ShowDep, own_cursor
from api.openapi import CONDITIONAL, ETAG, KEYED, SESSION, STEP, UPSTREAM, Kind, problems
from api.schemas import answers, parameters, requests
from api.schemas.fields import StepId
from api.terms import Conditional, KeyedConditional
from api.views import choices, filling, form, outputs, test_run
from orchestrator.core.errors.actions import (
    ActionNotFoundError,
    FieldNotFoundError,
    InputsFlawedError,
    StepNotUsableError,
    StepTestRepeatedError,
)
from orchestrator.core.errors.sessions import StepNotFoundError
from orchestrator.core.errors.upstream import StepTestFailedError, StepTestUnknownError

router = APIRouter(prefix="/v1/sessions/{session_id}/steps/{step_id}", tags=["fields"])

_USED: Final[tuple[Kind, ...]] = (StepNotUsableError, ActionNotFoundError, *UPSTREAM)
_READ: Final[tuple[Kind, ...]] = (*SESSION, StepNotFoundError, *_USED)


@router.get("/fields", dependencies=[PAGE_READS], responses=problems(*_READ))
async def list_fields(key: SessionDep, step_id: StepId, filler: FillerDep) -> answers.Form:
    """Return what the step's action asks for now, and what is wrong with what it is filled with."""
    _, step, found, flaws = await filler.look(key, step_id)
    return form(step, found, flaws)


@router.patch(
    "/inputs",
    dependencies=[PAGE_WRITES],
    responses={200: {"headers": ETAG}, **problems(*STEP, *CONDITIONAL, *_USED)},
)
async def change_inputs(
    key: SessionDep,
    step_id: StepId,
    change: requests.InputsChange,
    filler: FillerDep,
    show: ShowDep,
    terms: Conditional,
) -> answers.Filling:
    """Fill some of the step's fields as a form does: what depends on a changed one is emptied, and may come or go."""
    filled = await filler.fill(key, step_id, change.inputs, terms=terms)
    return filling(filled, await show.applied(filled.applied))


@router.get("/choices", dependencies=[PAGE_READS], responses=problems(*_READ, FieldNotFoundError))
async def list_choices(
    key: SessionDep, step_id: StepId, search: parameters.ChoiceSearch, filler: FillerDep
) -> answers.ChoicePage:
    """Return what a field may be filled with: a page of all there is, or what matches the words."""
    with own_cursor(search.cursor):
        found = await filler.choices(key, step_id, search.field, query=search.query, cursor=search.cursor)
    return choices(found)


@router.get("/outputs", dependencies=[PAGE_READS], responses=problems(*_READ))
async def list_outputs(
    key: SessionDep, step_id: StepId, wish: parameters.OutputWish, filler: FillerDep
) -> answers.OutputList:
    """Return what the step will give to later ones, each with the reference by which they take it."""
    return outputs(step_id, await filler.outputs(key, step_id, live=wish.live))


@router.post(
    "/test",
    dependencies=[PAGE_WRITES],
    responses=problems(
        *STEP,
        *CONDITIONAL,
        *KEYED,
        *_USED,
        InputsFlawedError,
        StepTestRepeatedError,
        StepTestFailedError,
        StepTestUnknownError,
    ),
)
async def run_step_test(
    key: SessionDep, step_id: StepId, wish: requests.StepTest, filler: FillerDep, terms: KeyedConditional
) -> answers.StepTestRun:
    """Carry the step's action out, once and really: what it writes is written."""
    return test_run(await filler.test(key, step_id, inputs=wish.inputs, terms=terms))
