"""`ZapierOAuth`: the port `OAuth` over HTTP (Zapier docs: user-access-token)."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Coroutine, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final, assert_never
from urllib.parse import quote_plus, urlencode

import httpx
import msgspec
from msgspec import Meta, Struct

from orchestrator.core.errors.store import StoreError
from orchestrator.core.errors.upstream import UpstreamBusyError
from orchestrator.core.metering import UNMETERED, Meter
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.budget import Budget, Permit
from orchestrator.core.ports.tokens import Client, OAuth, Tokens, TokensOver, TokensRefused, TokensUnknown
from orchestrator.core.session import SECOND, Instant, Millis
from orchestrator.zapier.calls import Requests, asks_to_wait, wait_of
from orchestrator.zapier.exchange import Answer, Exchange, Flaw, NotSent, Outcome, Request, Unanswered
from orchestrator.zapier.limits import Limits
from orchestrator.zapier.permits import PermitSource, Purse

_ENDPOINT: Final = "POST /oauth/token/"
_FORM: Final = "application/x-www-form-urlencoded"
_OVER: Final = "invalid_grant"
_WRONG_CLIENT: Final = {"invalid_client", "unauthorized_client"}
_AN_ERROR: Final = re.compile(r"[a-z_]{1,64}")
_SUCCESS: Final = range(200, 300)
_FAILURE: Final = 500
_NO_LIMIT: Final[Millis] = 3600 * SECOND
"""For the exchange itself: the time limit is kept around it."""

_LAST_LOOK: Final[Millis] = 500
_LONGEST_LIFE: Final = 10 * 366 * 24 * 3600

_Text = Annotated[str, Meta(min_length=1, max_length=16_384, pattern=r"^[\x21-\x7e]+$")]


class _HandedOut(Struct):
    access_token: _Text
    refresh_token: _Text | None = None
    expires_in: object = None
    scope: object = None


class _Refusal(Struct):
    error: object = None


class ZapierOAuth:
    """Zapier's token endpoint, at `token_url`. `http` is closed by who made it.

    Each request is made under a permit: Zapier's limits count all endpoints, and do not say that this one is none.
    """

    def __init__(
        self, *, token_url: str, http: httpx.AsyncClient, budget: Budget, clock: Clock, meter: Meter = UNMETERED
    ) -> None:
        self._url = httpx.URL(token_url)
        self._requests = Requests(Exchange(http, limits=Limits(call_limit=_NO_LIMIT)), clock=clock, meter=meter)
        self._budget = budget
        self._clock = clock

    async def exchange_code(
        self, client: Client, code: str, *, redirect_uri: str, limit: Millis, permit: Permit
    ) -> Tokens | TokensOver | TokensRefused | TokensUnknown:
        """Exchange the code that a browser brought back to `redirect_uri`, which must be the one it was sent with."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        return await self._ask(client, form, limit=limit, permit=permit)

    async def refresh(
        self, client: Client, refresh_token: str, *, limit: Millis, permit: Permit
    ) -> Tokens | TokensOver | TokensRefused | TokensUnknown:
        """Exchange a refresh token, which is dead as soon as Zapier has done so."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return await self._ask(client, form, limit=limit, permit=permit)

    async def _ask(
        self, client: Client, form: Mapping[str, str], *, limit: Millis, permit: Permit
    ) -> Tokens | TokensOver | TokensRefused | TokensUnknown:
        request = Request(
            endpoint=_ENDPOINT,
            method="POST",
            url=self._url,
            scheme="Basic",
            token=_basic(client),
            body=urlencode(form).encode(),
            media_type=_FORM,
        )
        async with self._purse(permit) as purse:
            if self._clock.now() > permit.start_by:
                return TokensRefused(problem="too late: the call could not begin in time")
            try:
                outcome = await _within(limit, self._requests.make(request, purse=purse))
            except (StoreError, UpstreamBusyError) as error:
                return TokensRefused(problem=f"no permit: {error}")
        return self._judged(outcome)

    def _purse(self, permit: Permit) -> Purse:
        async def partner_of(_: str) -> str:
            return permit.partner

        source = PermitSource(
            budget=self._budget, clock=self._clock, egress=permit.egress, partner_of=partner_of, patience=0
        )
        return source.purse("", given=[permit])

    def _judged(self, outcome: Outcome) -> Tokens | TokensOver | TokensRefused | TokensUnknown:
        match outcome:
            case NotSent(flaw=flaw):
                return TokensRefused(problem=f"not reached: {flaw}")
            case Unanswered(flaw=flaw):
                return TokensUnknown(problem=f"no answer: {flaw}")
            case Answer() if asks_to_wait(outcome):
                wait = wait_of(outcome, self._clock.now())
                return TokensRefused(problem=f"status {outcome.status}", status=outcome.status, retry_after=wait)
            case Answer(status=status) if status in _SUCCESS:
                return _handed_out(outcome)
            case Answer(status=status) if status >= _FAILURE:
                return TokensUnknown(problem=f"status {status}")
            case Answer():
                return _refused(outcome)
            case _:
                assert_never(outcome)


async def _within(limit: Millis, asking: Coroutine[Any, Any, tuple[Instant, Outcome]]) -> Outcome:
    """Return what comes of a request within this time.

    A process that stood still finds its time over and perhaps the answer beside it: so it looks once more before it
    gives up, as an answer that nobody reads is lost for good.
    """
    task = asyncio.ensure_future(asking)
    try:
        for wait in (limit, _LAST_LOOK):
            done, _ = await asyncio.wait({task}, timeout=wait / 1000)
            if done:
                return task.result()[1]
        return Unanswered(flaw=Flaw.TIMED_OUT)
    finally:
        task.cancel()


def _basic(client: Client) -> str:
    """Write a client's id and secret as a header holds them (RFC 6749, 2.3.1)."""
    return base64.b64encode(f"{quote_plus(client.id)}:{quote_plus(client.secret)}".encode()).decode()


def _handed_out(answer: Answer) -> Tokens | TokensUnknown:
    """Read tokens; without them the ones used are as dead as with them."""
    try:
        found = msgspec.json.decode(answer.body, type=_HandedOut)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        flaw = answer.flaw or "without an access token"
        return TokensUnknown(problem=f"status {answer.status}, {flaw}")
    return Tokens(
        access_token=found.access_token,
        refresh_token=found.refresh_token,
        expires_in=_life(found.expires_in),
        scopes=frozenset(found.scope.split()) if isinstance(found.scope, str) else frozenset(),
    )


def _life(told: object) -> Millis | None:
    """Read how many seconds an access token is good for; None for what is no such number."""
    try:
        life = msgspec.convert(told, int, strict=False)
    except msgspec.ValidationError:
        return None
    return life * SECOND if 0 < life <= _LONGEST_LIFE else None


def _refused(answer: Answer) -> TokensOver | TokensRefused:
    try:
        told = msgspec.json.decode(answer.body, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        told = None
    if told == _OVER:
        return TokensOver()
    error = told if isinstance(told, str) and _AN_ERROR.fullmatch(told) else "no reason given"
    is_client_wrong = answer.status == HTTPStatus.UNAUTHORIZED or error in _WRONG_CLIENT
    problem = f"status {answer.status}: {error}"
    return TokensRefused(problem=problem, status=answer.status, is_client_wrong=is_client_wrong)


if TYPE_CHECKING:
    _: type[OAuth] = ZapierOAuth
