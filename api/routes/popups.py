"""Popups: opening one, and what a page saw of it."""

from __future__ import annotations

from fastapi import APIRouter, Response
from structlog.contextvars import bind_contextvars

from api.auth import STEP_WRITES, SessionDep
from api.deps import BrowserDep, EngineDep, MetricsDep, ShowDep
from api.openapi import CONDITIONAL, ETAG, KEYED, REPLAY, STEP, UPSTREAM, problems
from api.schemas import answers, requests
from api.schemas.fields import StepId
from api.terms import KeyedConditional, mark_replay
from api.views import popup
from orchestrator.core.errors.actions import AppNotFoundError
from orchestrator.core.errors.attempts import AttemptStaleError, AttemptTakenError, CandidatesFoundError
from orchestrator.core.errors.base import SignalRefusedError
from orchestrator.core.errors.sessions import IllegalSignalError
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.signals import Context

router = APIRouter(
    prefix="/v1/sessions/{session_id}/steps/{step_id}/popup",
    tags=["popups"],
    dependencies=[STEP_WRITES],
)

_ATTEMPT = (*STEP, *CONDITIONAL, *KEYED, IllegalSignalError, AttemptStaleError, AttemptTakenError)
_UNNAMED = requests.PopupOpening()
_AGAIN = {"model": answers.OpenedPopup, "description": "The attempt had begun before.", "headers": REPLAY}


@router.post(
    "",
    status_code=201,
    responses={
        201: {"headers": REPLAY},
        200: _AGAIN,
        **problems(*_ATTEMPT, CandidatesFoundError, AppNotFoundError, *UPSTREAM),
    },
)
async def open_popup(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    key: SessionDep,
    step_id: StepId,
    browser: BrowserDep,
    engine: EngineDep,
    response: Response,
    terms: KeyedConditional,
    opening: requests.PopupOpening = _UNNAMED,
) -> answers.OpenedPopup:
    """Begin an attempt: 201. With the id of one that has begun, return that one: 200.

    An id given by the page says that the popup may be open already, so Zapier is not asked. Without one, what the user
    has is listed first; anything connected meanwhile is offered instead (`candidates_found`).
    """
    context = Context(elapsed_ms=opening.elapsed_ms, browser=browser)
    opened = await engine.open_popup(key, step_id, opening.attempt_id, context=context, terms=terms)
    bind_contextvars(attempt=opened.attempt.id)
    mark_replay(response, is_replay=opened.is_replay)
    response.status_code = 200 if opened.outcome is Outcome.DUPLICATE else 201
    return popup(opened)


@router.post("/signals", responses={200: {"headers": ETAG | REPLAY}, **problems(*_ATTEMPT)})
async def send_popup_signal(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    key: SessionDep,
    step_id: StepId,
    given: requests.PopupSignal,
    browser: BrowserDep,
    engine: EngineDep,
    show: ShowDep,
    metrics: MetricsDep,
    terms: KeyedConditional,
) -> answers.HeardSignal:
    """Say what a page saw of a popup, or its user said. A signal with an unused attempt id opens that attempt."""
    bind_contextvars(attempt=given.attempt_id)
    try:
        applied = await engine.apply(key, given.meant(step_id, browser), terms=terms)
    except SignalRefusedError:
        metrics.signal(kind=given.kind, outcome=Outcome.REFUSED)
        raise
    if not applied.is_replay:
        metrics.signal(kind=given.kind, outcome=applied.outcome)
    return answers.HeardSignal(outcome=applied.outcome, session=await show.applied(applied))
