"""Calls to Zapier: a request under a permit, its answer judged, its consequences for the budget and the credential."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final, assert_never

import structlog

from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.store import StoreError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamRefusedError, UpstreamUnavailableError
from orchestrator.core.metering import UNMETERED, Meter
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.calls import CallLog, CallRecord
from orchestrator.core.ports.credentials import Credential
from orchestrator.core.ports.tokens import Access
from orchestrator.core.retry_after import date_of
from orchestrator.core.session import Instant, Millis
from orchestrator.zapier.exchange import Answer, Exchange, Flaw, NotSent, Outcome, Request, Unanswered
from orchestrator.zapier.permits import NO_ROOM, Purse
from orchestrator.zapier.refusals import problem_of, retry_after

log = structlog.get_logger(__name__)

_SENDABLE_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_MOST_OTHER_TOKENS: Final = 2
_RETRY_AFTER: Final = "Retry-After"
_AWAY: Final = "Zapier is not available, and asks to be left alone for a while"
_SUCCESS: Final = range(200, 300)
_REFUSAL: Final = range(400, 500)
_PASSING: Final = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The body of a successful answer, and when the request it answers was begun."""

    body: bytes = field(repr=False)
    begun_at: Instant


class Requests:
    """Makes requests, each under one permit, and tells the budget what came of them; and the log of users' calls."""

    def __init__(
        self, exchange: Exchange, *, clock: Clock, log: CallLog | None = None, meter: Meter = UNMETERED
    ) -> None:
        self._exchange = exchange
        self._meter = meter
        self._clock = clock
        self._log = log

    async def make(self, request: Request, *, purse: Purse, user: Credential | None = None) -> tuple[Instant, Outcome]:
        """Make one request, tell the budget what came of it, and return when it was begun with its outcome.

        It is noted among the calls made for the user, too; a store that does not take the note spoils nothing. Raises
        what drawing a permit raises, and nothing once the request is begun.
        """
        permit = await purse.draw()
        begun_at = self._clock.now()
        outcome = await self._exchange.send(request)
        record = _recorded(request, outcome, begun_at=begun_at, took=self._clock.now() - begun_at)
        self._meter.called(record.endpoint, status=record.status, took=record.took)
        await asyncio.gather(self._settle(outcome, permit, purse), self._note(user, record))
        return begun_at, outcome

    async def _note(self, user: Credential | None, record: CallRecord) -> None:
        if user is None or self._log is None:
            return
        try:
            await self._log.note(user.tenant_id, user.user_id, record)
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
                    await purse.cool_down(permit, until=now + wait_of(outcome, now))
                await purse.answered(permit)
            case Unanswered():
                pass
            case _:
                assert_never(outcome)


class Calls:
    """Makes requests with users' tokens, each under one permit, and judges what came of them."""

    def __init__(self, requests: Requests, *, clock: Clock, access: Access) -> None:
        self._requests = requests
        self._clock = clock
        self._access = access

    async def read(self, request: Request, *, credential: Credential, purse: Purse) -> Reading:
        """Make a request that changes nothing with the user's newest token, and return what was read.

        When a user waits for it, a passing failure (a dropped connection, 502, 503 without Retry-After, 504) is met by
        one repetition under a new permit; a check's never is. A token that Zapier refuses is met by a repetition with
        another one, twice at most: one that others put may be dead, too. Raises as the port promises of reads.
        """
        credential = await self._access.newest(credential)
        begun_at, outcome = await self._made(request, credential, purse)
        for _ in range(_MOST_OTHER_TOKENS):
            if not _is_refused(outcome):
                break
            credential = await self._access.after_refusal(credential)
            begun_at, outcome = await self._made(request, credential, purse)
        if _is_refused(outcome):
            await self._access.mark(credential)
            raise SignInRequiredError(user_id=credential.user_id)
        return self._reading(outcome, begun_at, credential.access_token)

    async def read_as(self, token: str, request: Request, *, purse: Purse) -> Reading:
        """Read with a token that is nobody's yet. A 401 raises SignInRequiredError, which names no user."""
        begun_at, outcome = await self._tried(replace(request, token=token), purse, user=None)
        if _is_refused(outcome):
            raise SignInRequiredError(user_id="")
        return self._reading(outcome, begun_at, token)

    async def newest(self, credential: Credential) -> Credential:
        """Return the credential with the user's newest token. Raises as the port `Access` promises."""
        return await self._access.newest(credential)

    async def act(self, request: Request, *, credential: Credential, purse: Purse) -> Outcome:
        """Make a request that may change something, once, with exactly this token."""
        _, outcome = await self._make(replace(request, token=credential.access_token), purse, user=credential)
        return outcome

    async def after_refusal(self, credential: Credential) -> None:
        """Zapier refused this token for what must not be repeated: have another one for the next call.

        Raises as the port `Access` promises.
        """
        await self._access.after_refusal(credential)

    def now(self) -> Instant:
        """Return the present moment, by the clock that calls are made by."""
        return self._clock.now()

    async def _made(self, request: Request, credential: Credential, purse: Purse) -> tuple[Instant, Outcome]:
        return await self._tried(replace(request, token=credential.access_token), purse, user=credential)

    async def _tried(self, request: Request, purse: Purse, *, user: Credential | None) -> tuple[Instant, Outcome]:
        begun_at, outcome = await self._make(request, purse, user=user)
        if purse.is_awaited and is_passing(outcome):
            begun_at, outcome = await self._make(request, purse, user=user)
        return begun_at, outcome

    async def _make(self, request: Request, purse: Purse, *, user: Credential | None) -> tuple[Instant, Outcome]:
        """Make one request; a token that no header can hold is refused here, as Zapier would."""
        if not _SENDABLE_TOKEN.fullmatch(request.token):
            return self._clock.now(), Answer(status=HTTPStatus.UNAUTHORIZED, headers={})
        return await self._requests.make(request, purse=purse, user=user)

    def _reading(self, outcome: Outcome, begun_at: Instant, token: str) -> Reading:
        return Reading(body=body_of(outcome, token=token, now=self._clock.now()), begun_at=begun_at)


def _is_refused(outcome: Outcome) -> bool:
    return isinstance(outcome, Answer) and outcome.status == HTTPStatus.UNAUTHORIZED


def is_passing(outcome: Outcome) -> bool:
    """Tell whether the same request may well succeed a moment later."""
    if isinstance(outcome, Answer) and outcome.status not in _SUCCESS:
        return outcome.status in _PASSING and not asks_to_wait(outcome)
    return outcome.flaw is Flaw.DROPPED


def body_of(outcome: Outcome, *, token: str, now: Instant) -> bytes:
    """Return what a successful answer holds. Raises as the port `Upstream` promises of reads."""
    match outcome:
        case NotSent(flaw=flaw):
            raise UpstreamUnavailableError(problem=f"not reached: {flaw}")
        case Unanswered(flaw=flaw):
            raise UpstreamUnavailableError(problem=f"no answer: {flaw}")
        case Answer(status=status) if asks_to_wait(outcome):
            why = NO_ROOM if status == HTTPStatus.TOO_MANY_REQUESTS else _AWAY
            raise UpstreamBusyError(retry_after=wait_of(outcome, now), why=why)
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


def asks_to_wait(answer: Answer) -> bool:
    """Tell whether Zapier refuses everything for a while."""
    is_unavailable = answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    return answer.status == HTTPStatus.TOO_MANY_REQUESTS or (is_unavailable and _RETRY_AFTER in answer.headers)


def wait_of(answer: Answer, now: Instant) -> Millis:
    """Return how long Zapier asks us to wait; a date is read by the clock that wrote it, if the answer tells that."""
    their_now = date_of(answer.headers.get("Date", ""))
    return retry_after(answer.headers.get(_RETRY_AFTER), now=now if their_now is None else their_now)


def _recorded(request: Request, outcome: Outcome, *, begun_at: Instant, took: Millis) -> CallRecord:
    """Log a call, and return what is noted of it."""
    status = outcome.status if isinstance(outcome, Answer) else None
    record = log.debug if status in _SUCCESS and outcome.flaw is None else log.info
    flaw = None if outcome.flaw is None else outcome.flaw.value
    record("upstream_call", endpoint=request.endpoint, status=status, flaw=flaw, duration_ms=took)
    return CallRecord(
        at=begun_at, endpoint=request.endpoint, took=took, status=status, problem=flaw, app_id=request.app_id
    )
