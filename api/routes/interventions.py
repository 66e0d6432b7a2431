"""What operators read of one session, and what they do to help; all of that goes into the audit."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response

from api import views
from api.auth import OPERATORS, VIEWERS, Operator, OperatorDep
from api.deps import Here, InsightDep, InterventionsDep, SeenSession, ShowDep, ViewsDep, own_cursor
from api.errors import RequestInvalidError
from api.openapi import COMMIT, CONDITIONAL, ETAG, KEYED, REPLAY, SESSION, STEP, UPSTREAM, Kind, problems
from api.schemas import answers, requests
from api.schemas.fields import EndpointId, EventSeq, StepId, moment
from api.schemas.parameters import AuditSearch, EventSearch, Question
from api.terms import Keyed, KeyedConditional, etag, mark_replay
from orchestrator.core.errors.attempts import AuthenticationNotUsableError, TooManyChecksError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.sessions import DeadlineFinalError, IllegalSignalError, SessionNotFoundError
from orchestrator.core.errors.webhooks import DeliveryNotFoundError, EndpointNotFoundError
from orchestrator.core.session import SECOND
from orchestrator.core.terms import Terms
from orchestrator.core.why.checks import of_check
from orchestrator.core.why.words import clock
from orchestrator.interventions import Wish

router = APIRouter(prefix="/v1/operator", tags=["operators"])

_SESSION: Final[tuple[Kind, ...]] = (*COMMIT, *CONDITIONAL, *KEYED)
_STEP: Final[tuple[Kind, ...]] = (*STEP, *CONDITIONAL, *KEYED)
_SHOWN: Final[dict[int | str, dict[str, Any]]] = {200: {"headers": ETAG | REPLAY}}


@router.get("/me", dependencies=[VIEWERS], responses=problems())
async def read_me(operator: OperatorDep) -> answers.OperatorsMe:
    """Say whose key this is, and what it may see."""
    return answers.OperatorsMe(
        key_id=operator.key_id,
        name=operator.name,
        role=operator.role,
        tenants=None if operator.sees is None else tuple(sorted(operator.sees)),
    )


@router.get(
    "/sessions/{session_id}",
    dependencies=[VIEWERS],
    responses={200: {"headers": ETAG}, **problems(*SESSION)},
)
async def read_story(
    session: SeenSession, search: EventSearch, insight: InsightDep, shown: ViewsDep, response: Response
) -> answers.Story:
    """Return all that is known of a session: what came, what became of it, what was asked of Zapier, sent and done."""
    story = await insight.story(session, after=search.after, limit=search.limit)
    response.headers["ETag"] = etag(session.seq)
    return shown.story(story)


@router.get("/why", dependencies=[VIEWERS], responses=problems(*SESSION))
async def read_why(question: Question, operator: OperatorDep, insight: InsightDep) -> answers.Why:
    """Say in sentences what is going on with a session, or with an app, and what to do."""
    match question.session, question.app:
        case str() as session_id, None:
            session = await insight.session(session_id)
            if not operator.may_see(session.tenant_id):
                raise SessionNotFoundError(session_id=session_id)
            return views.why(session.id, await insight.why(session))
        case None, str() as app_id:
            return views.why(app_id, await insight.why_app(app_id, within=operator.sees))
        case _:
            raise RequestInvalidError.of_parameter("session", "ask about one session, or about one app")


@router.get("/audit", dependencies=[VIEWERS], responses=problems())
async def list_audit(search: AuditSearch, operator: OperatorDep, insight: InsightDep) -> answers.AuditPage:
    """Return what operators did and were refused, youngest first. No route changes it."""
    with own_cursor(search.cursor):
        return views.audit(await insight.audit(search.meant(operator.sees)))


@router.post(
    "/sessions/{session_id}/extend",
    dependencies=[OPERATORS],
    responses={**_SHOWN, **problems(*_SESSION, DeadlineFinalError)},
)
async def extend_session(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    here: Here,
    session: SeenSession,
    wish: requests.Extension,
    operator: OperatorDep,
    interventions: InterventionsDep,
    show: ShowDep,
    terms: KeyedConditional,
) -> answers.Intervened:
    """Give a session, and the popups it waits for, more time."""
    applied = await interventions.extend(session, wish.by_s * SECOND, _wish(operator, wish, terms))
    return await show.intervened(
        applied,
        says=f"The session goes on until {clock(applied.session.deadline, here.clock.now())}.",
        already="the session has this time already",
    )


@router.post("/sessions/{session_id}/cancel", dependencies=[OPERATORS], responses={**_SHOWN, **problems(*_SESSION)})
async def end_session(
    session: SeenSession,
    wish: requests.InterventionWish,
    operator: OperatorDep,
    interventions: InterventionsDep,
    show: ShowDep,
    terms: KeyedConditional,
) -> answers.Intervened:
    """End a session for its user. A Zap that was created stays; a session of unknown outcome is looked at no more."""
    applied = await interventions.cancel(session, _wish(operator, wish, terms))
    return await show.intervened(applied, says="The session is over.", already="the session was over already")


@router.post(
    "/sessions/{session_id}/steps/{step_id}/check-now",
    dependencies=[OPERATORS],
    responses={**_SHOWN, **problems(*_STEP, IllegalSignalError, SignInRequiredError, TooManyChecksError)},
)
async def check_now(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    here: Here,
    session: SeenSession,
    step_id: StepId,
    wish: requests.InterventionWish,
    operator: OperatorDep,
    interventions: InterventionsDep,
    show: ShowDep,
    terms: KeyedConditional,
) -> answers.CheckPlanned:
    """Have Zapier asked for what a step waits for, as soon as the limits allow; the answer says when that is.

    It is a check like any other: what it finds, it finds by the same rules.
    """
    looked = await interventions.check_now(session, step_id, _wish(operator, wish, terms))
    says = of_check(
        looked.check_at, looked.cooldown_until, looked.held_until, workers=looked.workers, now=here.clock.now()
    )
    shown = await show.intervened(
        looked.applied, says=says, already="a check was asked for a moment ago, see what comes of that"
    )
    return answers.CheckPlanned(
        **shown.parts(), check_at=moment(looked.check_at), cooldown_until=moment(looked.cooldown_until)
    )


@router.post(
    "/sessions/{session_id}/steps/{step_id}/bind",
    dependencies=[OPERATORS],
    responses={**_SHOWN, **problems(*_STEP, IllegalSignalError, AuthenticationNotUsableError, *UPSTREAM)},
)
async def bind_authentication(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    session: SeenSession,
    step_id: StepId,
    wish: requests.Binding,
    operator: OperatorDep,
    interventions: InterventionsDep,
    show: ShowDep,
    terms: KeyedConditional,
) -> answers.Intervened:
    """Give a step an authentication that Zapier lists now as the user's, for its app, not expired.

    The evidence says that an operator spoke for it.
    """
    applied = await interventions.bind(session, step_id, wish.authentication_id, _wish(operator, wish, terms))
    return await show.intervened(
        applied,
        says="The step has this authentication: Zapier lists it as the user's.",
        already="the step has this authentication already",
    )


@router.post(
    "/sessions/{session_id}/steps/{step_id}/reset",
    dependencies=[OPERATORS],
    responses={**_SHOWN, **problems(*_STEP)},
)
async def restart_step(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    session: SeenSession,
    step_id: StepId,
    wish: requests.InterventionWish,
    operator: OperatorDep,
    interventions: InterventionsDep,
    show: ShowDep,
    terms: KeyedConditional,
) -> answers.Intervened:
    """Let a step start over, with the choice of its app."""
    applied = await interventions.reset(session, step_id, _wish(operator, wish, terms))
    return await show.intervened(
        applied,
        says="The step starts over with the choice of its app.",
        already="the step is at its beginning already",
    )


@router.post(
    "/deliveries/{webhook_id}/{session_id}/{seq}/replay",
    status_code=201,
    dependencies=[OPERATORS],
    responses={
        201: {"headers": REPLAY},
        **problems(*SESSION, EndpointNotFoundError, DeliveryNotFoundError, *KEYED),
    },
)
async def send_again(  # noqa: PLR0913, PLR0917 - what FastAPI gives by name
    webhook_id: EndpointId,
    session: SeenSession,
    seq: EventSeq,
    wish: requests.InterventionWish,
    operator: OperatorDep,
    interventions: InterventionsDep,
    response: Response,
    here: Here,
    terms: Keyed,
) -> answers.StoryDelivery:
    """Send an event to an endpoint once more, under the same message id."""
    render = views.rendering(here.settings)
    delivery, is_replay = await interventions.replay(
        session, webhook_id, seq, _wish(operator, wish, terms), render=render
    )
    mark_replay(response, is_replay=is_replay)
    return views.story_delivery(delivery)


def _wish(operator: Operator, wish: requests.InterventionWish, terms: Terms) -> Wish:
    return Wish(key_id=operator.key_id, key_name=operator.name, reason=wish.reason, terms=terms)
