"""An authentication for an app of the tenant's own, made of fields its user filled in: intent, one call, its outcome.

The fields are in the call and nowhere else: no document, event, receipt or log has them, so a call can never be made
again by anybody but who has them. A lost answer is settled by listings instead (ADR 0020).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from orchestrator.commits import Applied, Commits
from orchestrator.core.errors.attempts import AppNotOwnError, FieldsUnansweredError
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.sessions import IllegalSignalError
from orchestrator.core.errors.upstream import (
    FieldsRefusedError,
    UpstreamBusyError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from orchestrator.core.ports.around import Clock, Ids
from orchestrator.core.ports.credentials import Credential, CredentialStore
from orchestrator.core.ports.sessions import SessionStore
from orchestrator.core.ports.upstream import AuthenticationMade, AuthenticationNotMade, AuthenticationUnknown, Upstream
from orchestrator.core.ports.watches import WatchStore
from orchestrator.core.required import active, require_open, step_of
from orchestrator.core.session import SECOND, Millis, Reason, Session, SessionKey, Step, StepState
from orchestrator.core.signals import FieldsAnswered, FieldsSent, Signal
from orchestrator.core.tenants import OwnApp, Tenant
from orchestrator.core.terms import ANY_TERMS, Terms
from orchestrator.core.values import replace
from orchestrator.engine import Engine
from orchestrator.insisting import insist

ANSWER_PATIENCE: tuple[Millis, ...] = (2 * SECOND,) * 5
"""Waits for a store that is away when there is an answer to note; after them listings tell it."""


class Supplier:
    """Makes authentications of fields. A crash after the intent leaves it to listings what became of the one call."""

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        engine: Engine,
        commits: Commits,
        sessions: SessionStore,
        watches: WatchStore,
        credentials: CredentialStore,
        upstream: Upstream,
        tenant_of: Callable[[str], Awaitable[Tenant | None]],
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._engine = engine
        self._sessions = sessions
        self._commits = commits
        self._watches = watches
        self._credentials = credentials
        self._upstream = upstream
        self._tenant_of = tenant_of
        self._clock = clock
        self._ids = ids

    async def own_app(self, session: Session, step: Step) -> OwnApp | None:
        """Return the step's app as its tenant describes it; None where it is none of the tenant's own."""
        tenant = await self._tenant_of(session.tenant_id)
        return None if tenant is None or step.app is None else tenant.own_app(step.app.id)

    async def supply(
        self, key: SessionKey, step_id: str, *, title: str, fields: Mapping[str, str], terms: Terms = ANY_TERMS
    ) -> Applied:
        """Settle a step on a new authentication, which Zapier makes of these fields by one call.

        When the answer is lost the step stays as it is, `unanswered`, and listings tell. What the user has is listed
        first. A request that comes again makes no second call. Raises AppNotOwnError, IllegalSignalError,
        FieldsUnansweredError, CandidatesFoundError (something was connected meanwhile: it is offered instead),
        SignInRequiredError, UpstreamError: no authentication was made then. FieldsRefusedError says that Zapier does
        not take the fields.
        """
        session = await self._sessions.load(key)
        step = step_of(session, step_id)
        earlier = await self._commits.earlier(session.tenant_id, session.user_id, terms)
        if earlier is not None:
            return _replayed(earlier, step_id)
        terms.check(session)
        app_id = await self._suppliable(session, step)
        terms = terms.after(await self._engine.prepare(session, step, terms, anew=True))
        credential = await self._credential(session)
        permit = await self._upstream.permit(session.tenant_id, session.user_id)
        sent = FieldsSent(step_id=step_id, app_id=app_id, attempt_id=self._ids.new("at"))
        try:
            intent = await self._commits.apply(key, sent, terms=terms)
        except ZapwrightError:
            await self._upstream.give_back([permit])
            raise
        if intent.is_replay:
            await self._upstream.give_back([permit])
            return _replayed(intent, step_id)
        answer = await self._upstream.make_authentication(credential, app_id, title=title, fields=fields, permit=permit)
        noted = await self._note(key, sent, answer)
        if isinstance(answer, AuthenticationNotMade):
            raise _refusal(answer, user_id=session.user_id, step_id=step_id)
        return replace(noted, made=sent.attempt_id)

    async def _suppliable(self, session: Session, step: Step) -> str:
        """Return the step's app, if an authentication for it can be made of fields now."""
        require_open(session)
        if step.app is None or step.state is not StepState.NEEDS_AUTH:
            raise IllegalSignalError(
                session_id=session.id, step_id=step.id, state=step.state, signal="authentication_supplied"
            )
        if await self.own_app(session, step) is None:
            raise AppNotOwnError(session_id=session.id, step_id=step.id, app_id=step.app.id)
        if step.live_attempt is not None:
            raise FieldsUnansweredError(session_id=session.id, step_id=step.id, attempt_id=step.live_attempt.id)
        return step.app.id

    async def _credential(self, session: Session) -> Credential:
        found = await self._credentials.get(session.tenant_id, session.user_id)
        return active(found, user_id=session.user_id)

    async def _note(
        self,
        key: SessionKey,
        sent: FieldsSent,
        answer: AuthenticationMade | AuthenticationNotMade | AuthenticationUnknown,
    ) -> Applied:
        async def answered(current: Session) -> Signal:
            watch = await self._watches.load(current.watch_key(sent.app_id), now=self._clock.now())
            return FieldsAnswered(step_id=sent.step_id, attempt_id=sent.attempt_id, answer=answer, claims=watch.claims)

        return await insist(lambda: self._commits.apply(key, answered), waits=ANSWER_PATIENCE, clock=self._clock)


def _refusal(answer: AuthenticationNotMade, *, user_id: str, step_id: str) -> ZapwrightError:
    """Say why nothing was made, as reads say it; what is left is about the fields."""
    match answer.status:
        case None:
            return UpstreamUnavailableError(problem=answer.problem)
        case 401:
            return SignInRequiredError(user_id=user_id)
        case 403:
            return UpstreamRefusedError(status=answer.status, problem=answer.problem)
        case 429:
            return UpstreamBusyError(retry_after=answer.retry_after or 0)
        case _:
            flaws = [{"field": one.field, "code": one.code, "detail": one.detail} for one in answer.flaws]
            return FieldsRefusedError(step_id=step_id, problem=answer.problem, flaws=flaws)


def _replayed(earlier: Applied, step_id: str) -> Applied:
    """Say what became of the call that was made before; why it was refused is not kept."""
    step = step_of(earlier.session, step_id)
    attempts = [attempt.id for attempt in step.app_attempts if attempt.supplied]
    if step.reason is Reason.NOT_MADE and attempts[-1:] == [earlier.made]:
        raise FieldsRefusedError(step_id=step_id, problem="that was when this request came first")
    return earlier
