"""Calls to Zapier: a request under a permit, its answer judged, its consequences for the budget and the credential."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Self, assert_never

import structlog

from orchestrator.core.errors import (
    SignInRequiredError,
    StoreError,
    UpstreamBusyError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from orchestrator.core.ports import CallLog, CallRecord, Clock, Credential, CredentialStore, Permit
from orchestrator.core.session import Instant, Millis
from orchestrator.zapier.exchange import Answer, Exchange, Flaw, NotSent, Outcome, Request, Unanswered
from orchestrator.zapier.permits import Purse
from orchestrator.zapier.refusals import problem_of, retry_after

log = structlog.get_logger(__name__)

_SENDABLE_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_RETRY_AFTER: Final = "Retry-After"
_SUCCESS: Final = range(200, 300)
_REFUSAL: Final = range(400, 500)
_PASSING: Final = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose behalf a call is made. Without a `generation` the token is not a kept one, and a 401 marks nothing."""

    tenant_id: str
    user_id: str
    token: str = field(repr=False)
    generation: int | None = None

    @classmethod
    def of(cls, credential: Credential) -> Self:
        """Return the user the credential belongs to."""
        return cls(
            tenant_id=credential.tenant_id,
            user_id=credential.user_id,
            token=credential.access_token,
            generation=credential.generation,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The body of a successful answer, and when the request it answers was begun."""

    body: bytes = field(repr=False)
    begun_at: Instant


class Calls:
    """Makes requests, each under one permit, and judges what came of them."""

    def __init__(self, exchange: Exchange, *, clock: Clock, credentials: CredentialStore, log: CallLog) -> None:
        self._exchange = exchange
        self._clock = clock
        self._credentials = credentials
        self._log = log

    async def read(self, request: Request, *, caller: Caller, purse: Purse) -> Reading:
        """Make a request that changes nothing, and return what was read.

        When a user waits for it, a passing failure (a dropped connection, 502, 503 without Retry-After, 504) is met by
        one repetition under a new permit; a check's never is. Raises as the port `Upstream` promises of reads.
        """
        begun_at, outcome = await self.make(request, caller=caller, purse=purse)
        if purse.is_awaited and is_passing(outcome):
            begun_at, outcome = await self.make(request, caller=caller, purse=purse)
        if isinstance(outcome, Answer) and outcome.status == HTTPStatus.UNAUTHORIZED:
            await self.mark(caller)
            raise SignInRequiredError(user_id=caller.user_id)
        return Reading(body=body_of(outcome, token=request.token, now=self._clock.now()), begun_at=begun_at)

    async def make(self, request: Request, *, caller: Caller, purse: Purse) -> tuple[Instant, Outcome]:
        """Make one request, tell the budget what came of it, and return when it was begun with its outcome.

        It is noted among the calls made for the user, too; a store that does not take the note spoils nothing.

        A token that no header can hold is refused here, as Zapier would. Raises what drawing a permit raises, and
        nothing once the request is begun.
        """
        if not _SENDABLE_TOKEN.fullmatch(request.token):
            return self._clock.now(), Answer(status=HTTPStatus.UNAUTHORIZED, headers={})
        permit = await purse.draw()
        begun_at = self._clock.now()
        outcome = await self._exchange.send(request)
        record = _recorded(request, outcome, begun_at=begun_at, took=self._clock.now() - begun_at)
        await asyncio.gather(self._settle(outcome, permit, purse), self._note(caller, record))
        return begun_at, outcome

    def now(self) -> Instant:
        """Return the present moment, by the clock that calls are made by."""
        return self._clock.now()

    async def mark(self, caller: Caller) -> None:
        """Zapier refused the caller's token: let nobody use this generation of it again."""
        if caller.generation is not None:
            await self._credentials.need_sign_in(caller.tenant_id, caller.user_id, generation=caller.generation)

    async def _note(self, caller: Caller, record: CallRecord) -> None:
        if not caller.user_id:
            return
        try:
            await self._log.note(caller.tenant_id, caller.user_id, record)
        except StoreError as error:
            log.warning("call_not_noted", problem=str(error))

    async def _settle(self, outcome: Outcome, permit: Permit, purse: Purse) -> None:
        """Say what became of the permit; without an answer it stays held until its own time: Zapier may count it."""
        match outcome:
            case NotSent():
                await purse.not_used(permit)
            case Answer():
                if outcome.status == HTTPStatus.TOO_MANY_REQUESTS:
                    now = self._clock.now()
                    await purse.cool_down(permit, until=now + _wait(outcome, now))
                await purse.answered(permit)
            case Unanswered():
                pass
            case _:
                assert_never(outcome)


def is_passing(outcome: Outcome) -> bool:
    """Tell whether the same request may well succeed a moment later."""
    if isinstance(outcome, Answer) and outcome.status not in _SUCCESS:
        return outcome.status in _PASSING and not _asks_to_wait(outcome)
    return outcome.flaw is Flaw.DROPPED


def body_of(outcome: Outcome, *, token: str, now: Instant) -> bytes:
    """Return what a successful answer holds. Raises as the port `Upstream` promises of reads."""
    match outcome:
        case NotSent(flaw=flaw):
            raise UpstreamUnavailableError(problem=f"not reached: {flaw}")
        case Unanswered(flaw=flaw):
            raise UpstreamUnavailableError(problem=f"no answer: {flaw}")
        case Answer() if _asks_to_wait(outcome):
            raise UpstreamBusyError(retry_after=_wait(outcome, now))
        case Answer(status=status) if status in _REFUSAL:
            raise UpstreamRefusedError(status=status, problem=problem_of(outcome.body, token=token))
        case Answer(status=status) if status not in _SUCCESS:
            raise UpstreamUnavailableError(problem=f"status {status}")
        case Answer(flaw=None):
            return outcome.body
        case Answer(flaw=flaw):
            raise UpstreamUnavailableError(problem=str(flaw))
        case _:
            assert_never(outcome)


def _asks_to_wait(answer: Answer) -> bool:
    is_unavailable = answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    return answer.status == HTTPStatus.TOO_MANY_REQUESTS or (is_unavailable and _RETRY_AFTER in answer.headers)


def _wait(answer: Answer, now: Instant) -> Millis:
    return retry_after(answer.headers.get(_RETRY_AFTER), now=now)


def _recorded(request: Request, outcome: Outcome, *, begun_at: Instant, took: Millis) -> CallRecord:
    """Log a call, and return what is noted of it."""
    status = outcome.status if isinstance(outcome, Answer) else None
    record = log.debug if status in _SUCCESS and outcome.flaw is None else log.info
    flaw = None if outcome.flaw is None else outcome.flaw.value
    record("upstream_call", endpoint=request.endpoint, status=status, flaw=flaw, duration_ms=took)
    return CallRecord(
        at=begun_at, endpoint=request.endpoint, took=took, status=status, problem=flaw, app_id=request.app_id
    )
