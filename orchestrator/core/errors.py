"""Every error Zapwright raises, each with a stable `code`.

ZapwrightError
├── NotFoundError
│   ├── SessionNotFoundError
│   ├── StepNotFoundError
│   ├── AppNotFoundError
│   ├── ActionNotFoundError
│   ├── FieldNotFoundError
│   ├── ConnectLinkNotFoundError
│   ├── BrowserNotFoundError
│   ├── TenantNotFoundError
│   ├── ApiKeyNotFoundError
│   ├── EndpointNotFoundError
│   └── DeliveryNotFoundError
├── SignalRefusedError            the signal is not for this moment; nothing changed
│   ├── IllegalSignalError
│   ├── SessionLockedError
│   ├── AttemptStaleError
│   ├── AttemptTakenError
│   ├── TooManyChecksError
│   ├── DeadlineFinalError
│   ├── AuthenticationNotUsableError
│   ├── AppNotOwnError
│   ├── FieldsUnansweredError
│   ├── CandidatesFoundError
│   ├── ConnectLinkOverError
│   ├── TooManyBrowsersError
│   ├── NotReadyError
│   ├── CreateUnknownError
│   ├── ZapNotMatchedError
│   ├── StepNotUsableError
│   ├── InputsFlawedError
│   ├── StepTestRepeatedError
│   ├── AliasTakenError
│   └── TooManyStepsError
├── PreconditionFailedError       the session is not the one the request knows; nothing changed
├── IdempotencyError              the request's idempotency key was used before
│   ├── IdempotencyKeyReusedError
│   └── IdempotencyInFlightError
├── TenantTakenError
├── EndpointUrlRefusedError       messages are not sent there
├── TooManyEndpointsError
├── DeliveryUnderWayError
├── SignInRequiredError
├── CredentialRefusedError
├── SignInRefusedError            this browser may not go on with a sign-in; nothing changed
├── ClientMissingError
├── UpstreamError
│   ├── UpstreamBusyError         no permit in time, or Zapier asked us to wait
│   ├── UpstreamUnavailableError  no usable answer
│   ├── UpstreamRefusedError      an answer that says no
│   ├── FieldsRefusedError        an authentication is not made of these fields
│   ├── StepTestFailedError       the action was carried out, and failed
│   └── StepTestUnknownError      it may have been carried out
└── StoreError
    ├── StoreUnavailableError     the store did not answer, or its answer was lost
    ├── StaleVersionError         somebody else committed first
    ├── GuardFailedError          what a decision relied on is no longer true
    ├── ReferenceTakenError       a session that has not ended has this reference
    ├── LeaseLostError            the watch was leased to somebody else
    └── LaneLostError             the lane was leased to somebody else
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.session import Millis, Session

_SAID: Final = 3
"""As many problems as a person reads in one sentence."""


class ZapwrightError(Exception):
    """Base of every error of Zapwright's own. `facts` are safe to show to API callers."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **facts: object) -> None:
        self.message = message
        self.facts = facts
        super().__init__(message)


class NotFoundError(ZapwrightError):
    """Something named does not exist."""

    code = "not_found"


class SessionNotFoundError(NotFoundError):
    """No session has this id."""

    code = "session_not_found"

    def __init__(self, *, session_id: str) -> None:
        super().__init__(f"no session has the id {session_id!r}", session_id=session_id)


class StepNotFoundError(NotFoundError):
    """The session has no step with this id."""

    code = "step_not_found"

    def __init__(self, *, session_id: str, step_id: str) -> None:
        super().__init__(f"session {session_id} has no step {step_id!r}", session_id=session_id, step_id=step_id)


class AppNotFoundError(NotFoundError):
    """Zapier's catalogue has no app with this id."""

    code = "app_not_found"

    def __init__(self, *, app_id: str) -> None:
        super().__init__(f"Zapier lists no app with the id {app_id!r}; search for it first", app_id=app_id)


class ActionNotFoundError(NotFoundError):
    """The app has no such action."""

    code = "action_not_found"

    def __init__(self, *, app_id: str, key: str, action_type: str) -> None:
        super().__init__(
            f"app {app_id} has no {action_type} action with the key {key!r}; list its actions and choose one",
            app_id=app_id,
            key=key,
            action_type=action_type,
        )


class FieldNotFoundError(NotFoundError):
    """The step's action asks for no such field."""

    code = "field_not_found"

    def __init__(self, *, step_id: str, field: str) -> None:
        super().__init__(f"step {step_id} has no field {field!r}; read its fields again", step_id=step_id, field=field)


class ConnectLinkNotFoundError(NotFoundError):
    """The step has no connect link with this id."""

    code = "connect_link_not_found"

    def __init__(self, *, session_id: str, step_id: str, link_id: str) -> None:
        super().__init__(
            f"step {step_id} of session {session_id} has no connect link {link_id!r}; make a new one",
            session_id=session_id,
            step_id=step_id,
            link_id=link_id,
        )


class BrowserNotFoundError(NotFoundError):
    """No browser with this code waits to be let in."""

    code = "browser_not_found"

    def __init__(self, *, link_id: str, browser_code: str) -> None:
        super().__init__(
            f"no browser with the code {browser_code} waits for connect link {link_id}; list the links to see which do",
            link_id=link_id,
            browser_code=browser_code,
        )


class TenantNotFoundError(NotFoundError):
    """No tenant has this id."""

    code = "tenant_not_found"

    def __init__(self, *, tenant_id: str) -> None:
        super().__init__(f"no tenant has the id {tenant_id!r}", tenant_id=tenant_id)


class ApiKeyNotFoundError(NotFoundError):
    """No API key has this id."""

    code = "api_key_not_found"

    def __init__(self, *, key_id: str) -> None:
        super().__init__(f"no API key has the id {key_id!r}", key_id=key_id)


class EndpointNotFoundError(NotFoundError):
    """No webhook endpoint has this id."""

    code = "endpoint_not_found"

    def __init__(self, *, endpoint_id: str) -> None:
        super().__init__(f"no webhook endpoint has the id {endpoint_id!r}", endpoint_id=endpoint_id)


class DeliveryNotFoundError(NotFoundError):
    """The endpoint was not sent this event, or the record of it is gone."""

    code = "delivery_not_found"

    def __init__(self, *, endpoint_id: str, session_id: str, seq: int) -> None:
        super().__init__(
            f"endpoint {endpoint_id} has no delivery of event {seq} of session {session_id!r}; list its deliveries",
            endpoint_id=endpoint_id,
            session_id=session_id,
            seq=seq,
        )


class DeliveryUnderWayError(ZapwrightError):
    """Something of the delivery's lane is being tried just now: asking for it again might send it twice."""

    code = "delivery_under_way"

    def __init__(self, *, endpoint_id: str, session_id: str, seq: int) -> None:
        super().__init__(
            f"event {seq} of session {session_id!r} may be on its way to {endpoint_id}: see what comes of it first",
            endpoint_id=endpoint_id,
            session_id=session_id,
            seq=seq,
        )


class EndpointUrlRefusedError(ZapwrightError):
    """Messages are not sent to this URL."""

    code = "endpoint_url_refused"

    def __init__(self, *, why: str) -> None:
        super().__init__(f"this URL cannot be a webhook endpoint: {why}", why=why)


class TooManyEndpointsError(ZapwrightError):
    """There are as many webhook endpoints as there may be."""

    code = "too_many_endpoints"

    def __init__(self, *, most: int, of: str) -> None:
        super().__init__(f"a {of} has {most} webhook endpoints at most: delete one first", most=most, of=of)


class TenantTakenError(ZapwrightError):
    """Another tenant has this id."""

    code = "tenant_taken"

    def __init__(self, *, tenant_id: str) -> None:
        super().__init__(f"there is a tenant {tenant_id!r} already; update it instead", tenant_id=tenant_id)


class SignalRefusedError(ZapwrightError):
    """The signal is not for this moment; nothing changed."""

    code = "signal_refused"


class IllegalSignalError(SignalRefusedError):
    """The step's state does not take this signal."""

    code = "illegal_signal"

    def __init__(self, *, session_id: str, step_id: str, state: str, signal: str) -> None:
        super().__init__(
            f"step {step_id} of session {session_id} is in {state}, which does not take {signal}",
            session_id=session_id,
            step_id=step_id,
            state=state,
            signal=signal,
        )


class SessionLockedError(SignalRefusedError):
    """The session is being created, was created, or has ended."""

    code = "session_locked"

    def __init__(self, *, session_id: str, status: str) -> None:
        super().__init__(
            f"session {session_id} is {status}; its steps cannot change", session_id=session_id, status=status
        )


class AttemptStaleError(SignalRefusedError):
    """The attempt was opened for an app the step no longer has."""

    code = "attempt_stale"

    def __init__(self, *, session_id: str, step_id: str, attempt_id: str) -> None:
        super().__init__(
            f"attempt {attempt_id} of session {session_id} was opened for an app step {step_id} no longer has",
            session_id=session_id,
            step_id=step_id,
            attempt_id=attempt_id,
        )


class AttemptTakenError(SignalRefusedError):
    """The attempt id is in use for another step."""

    code = "attempt_taken"

    def __init__(self, *, session_id: str, step_id: str, attempt_id: str) -> None:
        super().__init__(
            f"attempt {attempt_id} of session {session_id} belongs to another step than {step_id}; use a new id",
            session_id=session_id,
            step_id=step_id,
            attempt_id=attempt_id,
        )


class TooManyChecksError(SignalRefusedError):
    """Operators have had this popup looked after as often as they may."""

    code = "too_many_checks"

    def __init__(self, *, session_id: str, step_id: str, most: int) -> None:
        super().__init__(
            f"operators have asked {most} times for a check of step {step_id} of session {session_id}, and cannot for "
            "this popup any more: have the user open it again, or bind an authentication",
            session_id=session_id,
            step_id=step_id,
            most=most,
        )


class DeadlineFinalError(SignalRefusedError):
    """The session cannot go on for longer."""

    code = "deadline_final"

    def __init__(self, *, session_id: str, deadline: int) -> None:
        super().__init__(
            f"session {session_id} and its popups have all the time there is: if it is not enough, begin a new one",
            session_id=session_id,
            deadline_ms=deadline,
        )


class AuthenticationNotUsableError(SignalRefusedError):
    """The user's Zapier account does not list this authentication for the step's app, or lists it as expired."""

    code = "authentication_not_usable"

    def __init__(self, *, session_id: str, step_id: str, authentication_id: str, why: str) -> None:
        super().__init__(
            f"authentication {authentication_id!r} cannot be used for step {step_id} of session {session_id}: {why}",
            session_id=session_id,
            step_id=step_id,
            authentication_id=authentication_id,
            why=why,
        )


class AppNotOwnError(SignalRefusedError):
    """Fields are taken for the tenant's own apps alone."""

    code = "app_not_own"

    def __init__(self, *, session_id: str, step_id: str, app_id: str) -> None:
        super().__init__(
            f"app {app_id} of step {step_id} of session {session_id} is none of the tenant's own apps: "
            "connect it by its popup, or add it to the tenant's own apps if it is one",
            session_id=session_id,
            step_id=step_id,
            app_id=app_id,
        )


class FieldsUnansweredError(SignalRefusedError):
    """What came of fields that were sent before is not known yet."""

    code = "fields_unanswered"

    def __init__(self, *, session_id: str, step_id: str, attempt_id: str) -> None:
        super().__init__(
            f"whether Zapier made an authentication of the fields sent for step {step_id} of session {session_id} is "
            "not known yet: wait until the session tells, choose another authentication, or reset the step",
            session_id=session_id,
            step_id=step_id,
            attempt_id=attempt_id,
        )


class CandidatesFoundError(SignalRefusedError):
    """Opening the popup again found what was connected meanwhile."""

    code = "candidates_found"

    def __init__(self, *, session_id: str, step_id: str) -> None:
        super().__init__(
            f"something was connected for step {step_id} of session {session_id} meanwhile: "
            "show its candidates, or repeat the request to connect another account",
            session_id=session_id,
            step_id=step_id,
        )


class ConnectLinkOverError(SignalRefusedError):
    """The connect link is used up, or good for nobody any more."""

    code = "connect_link_over"

    def __init__(self, *, session_id: str, step_id: str, link_id: str, state: str) -> None:
        self.state = state
        super().__init__(
            f"connect link {link_id} of step {step_id} of session {session_id} is {state}; make a new one if needed",
            session_id=session_id,
            step_id=step_id,
            link_id=link_id,
            state=state,
        )


class TooManyBrowsersError(SignalRefusedError):
    """As many browsers wait for the connect link as may."""

    code = "too_many_browsers"

    def __init__(self, *, link_id: str, limit: int) -> None:
        super().__init__(
            f"{limit} browsers wait for connect link {link_id} already: let one of them in, or make a new link",
            link_id=link_id,
            limit=limit,
        )


class NotReadyError(SignalRefusedError):
    """The Zap cannot be created yet."""

    code = "not_ready"

    def __init__(self, *, session_id: str, missing: dict[str, str]) -> None:
        super().__init__(
            f"session {session_id} is not ready: "
            + ("; ".join(f"step {step_id} {what}" for step_id, what in missing.items()) or "it has no steps"),
            session_id=session_id,
            missing=missing,
        )


class CreateUnknownError(SignalRefusedError):
    """A former request to create this Zap had no known outcome."""

    code = "create_unknown"

    def __init__(self, *, session_id: str) -> None:
        super().__init__(
            f"whether the Zap of session {session_id} exists is unknown: look at the user's Zaps, and only if it is "
            "not there send again=true",
            session_id=session_id,
        )


class ZapNotMatchedError(SignalRefusedError):
    """This Zap is none of those that may be the session's."""

    code = "zap_not_matched"

    def __init__(self, *, session_id: str, zap_id: str) -> None:
        super().__init__(
            f"Zap {zap_id!r} is none of the matches of session {session_id}; read the session for them",
            session_id=session_id,
            zap_id=zap_id,
        )


class StepNotUsableError(SignalRefusedError):
    """The step cannot be asked for fields yet."""

    code = "step_not_usable"

    def __init__(self, *, session_id: str, step_id: str, lacks: str) -> None:
        super().__init__(
            f"step {step_id} of session {session_id} {lacks}", session_id=session_id, step_id=step_id, lacks=lacks
        )


class InputsFlawedError(SignalRefusedError):
    """What steps are filled with, or what they rely on, is not as it must be."""

    code = "inputs_flawed"

    def __init__(self, *, session_id: str, problems: Sequence[Mapping[str, str | None]]) -> None:
        said = "; ".join(
            f"step {one['step_id']}" + (f", {one['field']}" if one["field"] else "") + f": {one['detail']}"
            for one in problems[:_SAID]
        )
        more = f" (and {len(problems) - _SAID} more)" if len(problems) > _SAID else ""
        super().__init__(
            f"session {session_id} is not right yet: {said}{more}", session_id=session_id, problems=list(problems)
        )


class StepTestRepeatedError(SignalRefusedError):
    """This very test was carried out before; its results are not kept."""

    code = "test_repeated"

    def __init__(self, *, session_id: str, step_id: str) -> None:
        super().__init__(
            f"this test of step {step_id} of session {session_id} was begun before, and what came of it is not kept: "
            "use a new idempotency key to carry the action out once more",
            session_id=session_id,
            step_id=step_id,
        )


class AliasTakenError(SignalRefusedError):
    """Another step has this alias."""

    code = "alias_taken"

    def __init__(self, *, session_id: str, alias: str) -> None:
        super().__init__(f"session {session_id} has a step {alias!r} already", session_id=session_id, alias=alias)


class TooManyStepsError(SignalRefusedError):
    """A Zap has at most 25 steps (Zapier docs: how to build a workflow)."""

    code = "too_many_steps"

    def __init__(self, *, session_id: str, limit: int) -> None:
        super().__init__(
            f"session {session_id} has {limit} steps, and no Zap has more", session_id=session_id, limit=limit
        )


class PreconditionFailedError(ZapwrightError):
    """The session is not as the request's precondition says."""

    code = "precondition_failed"

    def __init__(self, *, session_id: str, seq: int) -> None:
        self.seq = seq
        super().__init__(
            f"session {session_id} is at seq {seq}; read it, and decide again what to do with it",
            session_id=session_id,
            seq=seq,
        )


class IdempotencyError(ZapwrightError):
    """The request's idempotency key was used before."""

    code = "idempotency"


class IdempotencyKeyReusedError(IdempotencyError):
    """The idempotency key was used for a request with another body."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("this idempotency key was used with another body; use a new key for a new request")


class IdempotencyInFlightError(IdempotencyError):
    """The first request with this idempotency key is still being carried out."""

    code = "idempotency_in_flight"

    def __init__(self, *, retry_after: Millis) -> None:
        self.retry_after = retry_after
        super().__init__(
            "the first request with this idempotency key is still being carried out; repeat it a little later",
            retry_after_ms=retry_after,
        )


class SignInRequiredError(ZapwrightError):
    """Zapier needs the user to sign in: there is no credential, or Zapier refused it."""

    code = "zapier_sign_in_required"

    def __init__(self, *, user_id: str) -> None:
        super().__init__(
            f"user {user_id!r} has no working Zapier credential: put a new one, then repeat this request",
            user_id=user_id,
        )


class CredentialRefusedError(ZapwrightError):
    """Zapier does not accept the access token that was put."""

    code = "credential_refused"

    def __init__(self, *, user_id: str) -> None:
        super().__init__(
            f"Zapier does not accept this access token for user {user_id!r}; the credential there was is kept",
            user_id=user_id,
        )


class SignInRefusedError(ZapwrightError):
    """This browser may not go on with the sign-in."""

    code = "sign_in_refused"

    def __init__(self, *, why: str) -> None:
        self.why = why
        super().__init__(f"the sign-in cannot go on here ({why}): begin another one", why=why)


class ClientMissingError(ZapwrightError):
    """The tenant has no client at Zapier that could sign anybody in."""

    code = "client_missing"

    def __init__(self, *, tenant_id: str) -> None:
        super().__init__(
            f"tenant {tenant_id!r} has no client secret at Zapier: set its client id and secret "
            "(ZAPWRIGHT_ZAPIER_CLIENT_ID and ZAPWRIGHT_ZAPIER_CLIENT_SECRET, or `zapwright tenants`)",
            tenant_id=tenant_id,
        )


class UpstreamError(ZapwrightError):
    """Something between Zapier and us."""

    code = "upstream"


class UpstreamBusyError(UpstreamError):
    """No call to Zapier may be made now: there is no room under its limits, or no good token yet.

    `pages`: how many the list has, as far as is known, when it was broken off after its first one.
    """

    code = "upstream_busy"

    def __init__(
        self,
        *,
        retry_after: Millis,
        pages: int = 1,
        why: str = "Zapier's rate limit leaves no room for this call",
    ) -> None:
        self.retry_after = retry_after
        self.pages = pages
        self.why = why
        super().__init__(f"{why}; repeat it in {max(1, round(retry_after / 1000))} s", retry_after_ms=retry_after)


class UpstreamUnavailableError(UpstreamError):
    """Zapier gave no usable answer."""

    code = "upstream_unavailable"

    def __init__(self, *, problem: str) -> None:
        super().__init__(f"Zapier gave no usable answer ({problem}); repeat the request", problem=problem)


class UpstreamRefusedError(UpstreamError):
    """Zapier answered that it will not do this."""

    code = "upstream_refused"

    def __init__(self, *, status: int, problem: str) -> None:
        super().__init__(f"Zapier answered {status}: {problem}", status=status, problem=problem)


class FieldsRefusedError(UpstreamError):
    """Zapier makes no authentication of these fields."""

    code = "fields_refused"

    def __init__(self, *, step_id: str, problem: str, flaws: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(
            f"Zapier made no authentication of these fields ({problem}): correct them, then send them anew",
            step_id=step_id,
            problem=problem,
            flaws=list(flaws),
        )


class StepTestFailedError(UpstreamError):
    """The action was carried out, and failed."""

    code = "test_failed"

    def __init__(self, *, status: int, problem: str) -> None:
        super().__init__(f"the test failed: {problem}", status=status, problem=problem)


class StepTestUnknownError(UpstreamError):
    """Whether the action was carried out is unknown."""

    code = "test_unknown"

    def __init__(self, *, problem: str) -> None:
        super().__init__(
            f"nobody knows whether the action was carried out ({problem}): look at the app before testing again",
            problem=problem,
        )


class StoreError(ZapwrightError):
    """Something between the store and us."""

    code = "store"


class StoreUnavailableError(StoreError):
    """The store did not answer; what was asked may or may not have happened."""

    code = "store_unavailable"

    def __init__(self, *, problem: str) -> None:
        super().__init__(f"the store did not answer ({problem}); repeat the request", problem=problem)


class StaleVersionError(StoreError):
    """Somebody else committed first. `found` is the session as it was just then, where that is known."""

    code = "stale_version"

    def __init__(self, *, session_id: str, found: Session | None = None) -> None:
        super().__init__(f"session {session_id} changed meanwhile; read it and decide again", session_id=session_id)
        self.found = found


class GuardFailedError(StoreError):
    """What a decision relied on (claims, other openings) is no longer true; read it and decide again."""

    code = "guard_failed"

    def __init__(self, *, session_id: str) -> None:
        super().__init__(
            f"what was decided for session {session_id} relied on something that changed; decide again",
            session_id=session_id,
        )


class ReferenceTakenError(StoreError):
    """A session of the user that has not ended has this reference."""

    code = "reference_taken"

    def __init__(self, *, session_id: str, reference: str) -> None:
        self.session_id = session_id
        super().__init__(
            f"session {session_id} has the reference {reference!r} already", session_id=session_id, reference=reference
        )


class LeaseLostError(StoreError):
    """The watch was leased to somebody else, who will check it."""

    code = "lease_lost"

    def __init__(self, *, app_id: str) -> None:
        super().__init__(f"the lease on the watch for app {app_id} was lost", app_id=app_id)


class LaneLostError(StoreError):
    """The lane was leased to somebody else, who will try what is due in it."""

    code = "lane_lost"

    def __init__(self, *, endpoint_id: str, session_id: str) -> None:
        super().__init__(
            f"the lease on the deliveries of session {session_id} to endpoint {endpoint_id} was lost",
            endpoint_id=endpoint_id,
            session_id=session_id,
        )
