"""Popups: opening one, and what a page saw of it."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.auth import PAGE_WRITES, SessionDep
from api.deps import EngineDep, MetricsDep, ShowDep
from api.openapi import STEP, UPSTREAM, problems
from api.schemas import answers, requests
from api.schemas.fields import StepId
from api.views import popup
from orchestrator.commits import Applied
from orchestrator.core.errors import (
    AppNotFoundError,
    AttemptStaleError,
    AttemptTakenError,
    CandidatesFoundError,
    IllegalSignalError,
    SignalRefusedError,
)
from orchestrator.core.ports import Outcome
from orchestrator.core.session import SessionKey
from orchestrator.core.signals import PopupSignal
from orchestrator.engine import Engine
from orchestrator.metrics import Metrics

router = APIRouter(
    prefix="/v1/sessions/{session_id}/steps/{step_id}/popup",
    tags=["popups"],
    dependencies=[PAGE_WRITES],
)

_ATTEMPT = (*STEP, IllegalSignalError, AttemptStaleError, AttemptTakenError)
_UNNAMED = requests.PopupOpening()
_AGAIN = {"model": answers.OpenedPopup, "description": "The attempt had begun before."}


@router.post(
    "",
    status_code=201,
    responses={200: _AGAIN, **problems(*_ATTEMPT, CandidatesFoundError, AppNotFoundError, *UPSTREAM)},
)
async def open_popup(
    key: SessionDep,
    step_id: StepId,
    engine: EngineDep,
    response: Response,
    opening: requests.PopupOpening = _UNNAMED,
) -> answers.OpenedPopup:
    """Begin an attempt: 201. With the id of one that has begun, return that one: 200.

    An id given by the page says that the popup may be open already, so Zapier is not asked. Without one, what the user
    has is listed first; anything connected meanwhile is offered instead (`candidates_found`).
    """
    opened = await engine.open_popup(key, step_id, opening.attempt_id)
    response.status_code = 200 if opened.outcome is Outcome.DUPLICATE else 201
    return popup(opened)


@router.post("/signals", responses=problems(*_ATTEMPT))
async def send_popup_signal(
    key: SessionDep,
    step_id: StepId,
    given: requests.PopupSignal,
    engine: EngineDep,
    show: ShowDep,
    metrics: MetricsDep,
) -> answers.HeardSignal:
    """Say what a page saw of a popup, or its user said. A signal with an unused attempt id opens that attempt."""
    applied = await _counted(engine, key, given.meant(step_id), kind=given.kind, metrics=metrics)
    return answers.HeardSignal(outcome=applied.outcome, session=await show(applied.session))


async def _counted(engine: Engine, key: SessionKey, signal: PopupSignal, *, kind: str, metrics: Metrics) -> Applied:
    try:
        applied = await engine.apply(key, signal)
    except SignalRefusedError:
        metrics.signal(kind=kind, outcome=Outcome.REFUSED)
        raise
    metrics.signal(kind=kind, outcome=applied.outcome)
    return applied
