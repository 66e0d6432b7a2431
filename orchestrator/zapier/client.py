"""`ZapierClient`: the port `Upstream` over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Final, assert_never

import httpx
import structlog

from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.store import StoreError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamRefusedError, UpstreamUnavailableError
from orchestrator.core.fields import Form
from orchestrator.core.metering import UNMETERED, Meter
from orchestrator.core.ports.around import Cache, Clock
from orchestrator.core.ports.budget import Permit, Share
from orchestrator.core.ports.calls import CallLog
from orchestrator.core.ports.credentials import Credential, Profile
from orchestrator.core.ports.tokens import Access
from orchestrator.core.ports.upstream import (
    ActionUse,
    AppPage,
    AuthenticationMade,
    AuthenticationNotMade,
    AuthenticationUnknown,
    CatalogAction,
    CatalogApp,
    ChoicePage,
    Output,
    StepTestRun,
    ZapDraft,
    ZapMade,
    ZapNotMade,
    ZapUnknown,
)
from orchestrator.core.recognition import ListedZap, ZapListing
from orchestrator.core.session import Instant, Listing, Millis
from orchestrator.zapier import wire
from orchestrator.zapier.address import ApiAddress
from orchestrator.zapier.calls import Calls, Requests, wait_of
from orchestrator.zapier.catalog import Catalog
from orchestrator.zapier.exchange import Answer, Exchange, NotSent, Outcome, Request, Unanswered
from orchestrator.zapier.forms import Forms
from orchestrator.zapier.limits import Limits
from orchestrator.zapier.lists import ListingDraft, Trail
from orchestrator.zapier.permits import PermitSource
from orchestrator.zapier.refusals import flaws_of, problem_of, without
from orchestrator.zapier.shelf import Shelf

log = structlog.get_logger(__name__)

_UNREADABLE_PROFILE: Final = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_NOT_MADE: Final = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS,
}


class _NoCallError(Exception):
    """A call that was to be made once was surely not made, and why."""


class ZapierClient:
    """Zapier's Partner API for every user of this process: one pool of connections, every request under a permit.

    `base_url` is the API's origin (`https://api.zapier.com`). `http` sends the requests over its connections, and is
    closed by who made it.
    """

    def __init__(  # noqa: PLR0913 - everything the world has to give, named where the process is composed
        self,
        *,
        base_url: str,
        http: httpx.AsyncClient,
        permits: PermitSource,
        access: Access,
        calls: CallLog,
        cache: Cache,
        clock: Clock,
        limits: Limits | None = None,
        meter: Meter = UNMETERED,
    ) -> None:
        self._limits = limits or Limits()
        self._address = ApiAddress(base_url)
        self._clock = clock
        requests = Requests(Exchange(http, limits=self._limits), clock=clock, log=calls, meter=meter)
        self._calls = Calls(requests, clock=clock, access=access)
        self._permits = permits
        shelf = Shelf(cache, clock=clock)
        self._catalog = Catalog(
            self._calls,
            address=self._address,
            permits=self._permits,
            shelf=shelf,
            limits=self._limits,
        )
        self._forms = Forms(
            self._calls,
            catalog=self._catalog,
            address=self._address,
            permits=self._permits,
            shelf=shelf,
            limits=self._limits,
        )

    async def permit(self, tenant_id: str, user_id: str | None = None) -> Permit:
        """Take one permit for a call a user waits on. Raises UpstreamBusyError."""
        return await self._permits.permit(tenant_id, user_id)

    async def give_back(self, permits: Sequence[Permit]) -> None:
        """Give back permits that will not be used; twice is fine."""
        await self._permits.give_back(permits)

    async def profile(
        self, tenant_id: str, access_token: str, *, user_id: str | None = None, permits: Sequence[Permit] = ()
    ) -> Profile | None:
        """Read whose token this is; None when its scope does not allow to (403, 404). A 401 marks nothing.

        The e-mail address is as Zapier writes it. Raises what reads raise; the SignInRequiredError names no user, as
        the token is nobody's yet.
        """
        request = _get("/v1/profiles/me", self._address.endpoint("/v1/profiles/me"))
        try:
            async with self._permits.purse(tenant_id, user_id, given=permits) as purse:
                reading = await self._calls.read_as(access_token, request, purse=purse)
        except UpstreamRefusedError as error:
            if error.facts["status"] in _UNREADABLE_PROFILE:
                return None
            raise
        return wire.profile(reading.body)

    async def apps(self, credential: Credential, *, query: str | None, cursor: str | None) -> AppPage:
        """Search the catalogue, most popular first. Raises ValueError for a cursor that is not ours."""
        return await self._catalog.apps(credential, query=query, cursor=cursor)

    async def app(self, credential: Credential, app_id: str) -> CatalogApp:
        """Return one app, its popup address at most a minute old. Raises AppNotFoundError."""
        return await self._catalog.app(credential, app_id)

    async def learn_apps(self, credential: Credential, app_ids: Collection[str]) -> None:
        """Read the apps that are not known with one call; those that Zapier does not give `app` will ask for."""
        await self._catalog.learn_apps(credential, app_ids)

    async def actions(
        self, credential: Credential, app_id: str, *, age: Millis | None = None
    ) -> tuple[CatalogAction, ...]:
        """List the app's actions, read at most `age` ago; by default they may be ten minutes old."""
        return await self._catalog.actions(credential, app_id, age=age)

    async def fields(self, credential: Credential, use: ActionUse) -> Form:
        """Return what the action asks for, at most a minute old."""
        return await self._forms.fields(credential, use)

    async def choices(self, credential: Credential, use: ActionUse, field_id: str, *, cursor: str | None) -> ChoicePage:
        """Return one page of a field's choices. Raises ValueError for a cursor that is not ours."""
        return await self._forms.choices(credential, use, field_id, cursor=cursor)

    async def outputs(self, credential: Credential, use: ActionUse, *, live: bool = False) -> tuple[Output, ...]:
        """Return what the action will give."""
        return await self._forms.outputs(credential, use, live=live)

    async def test(self, credential: Credential, use: ActionUse) -> StepTestRun:
        """Carry the action out with one call, never repeated."""
        return await self._forms.test(credential, use)

    async def authentications(self, credential: Credential, app_id: str, *, permits: Sequence[Permit] = ()) -> Listing:
        """List the user's authentications for the app: every page, never cached.

        With `permits` this is a check: it takes further ones for further pages, waits for none, repeats nothing and
        raises UpstreamBusyError, with the pages there are, when one is refused. `begun_at` is when the first request
        was sent; what makes a listing complete is said in `ListingDraft`.
        """
        first = self._address.endpoint("/v2/authentications", app=app_id, limit=self._limits.page_size)
        trail = Trail(first, address=self._address, max_pages=self._limits.max_pages)
        draft = ListingDraft(app_id, trail)
        share = Share.STRONG if permits else Share.INTERACTIVE
        async with self._permits.purse(credential.tenant_id, credential.user_id, given=permits, share=share) as purse:
            while trail.here is not None:
                request = _get("/v2/authentications", trail.here, app_id=app_id)
                try:
                    reading = await self._calls.read(request, credential=credential, purse=purse)
                except UpstreamBusyError as busy:
                    raise UpstreamBusyError(retry_after=busy.retry_after, pages=draft.pages, why=busy.why) from busy
                draft.add(wire.authentications(reading.body), begun_at=reading.begun_at)
        listing = draft.listing(account=credential.account)
        if not listing.complete:
            log.info("listing_incomplete", app_id=app_id, pages=listing.pages, flaw=trail.flaw)
        return listing

    async def zaps(self, credential: Credential) -> ZapListing:
        """List the user's Zaps with the actions of their steps, every page, as a check would."""
        first = self._address.endpoint("/v2/zaps", expand="steps.action", limit=self._limits.page_size)
        trail = Trail(first, address=self._address, max_pages=self._limits.max_pages)
        found: list[ListedZap] = []
        is_whole = True
        async with self._permits.purse(credential.tenant_id, share=Share.STRONG) as purse:
            while trail.here is not None:
                request = _get("/v2/zaps", trail.here)
                page = wire.zaps((await self._calls.read(request, credential=credential, purse=purse)).body)
                found += [zap for zap in page.rows if zap is not None]
                is_whole = is_whole and None not in page.rows
                trail.turn(page)
        return ZapListing(zaps=tuple(found), complete=is_whole and trail.flaw is None)

    async def create_zap(
        self, credential: Credential, draft: ZapDraft, *, permit: Permit
    ) -> ZapMade | ZapNotMade | ZapUnknown:
        """Make one call, never repeated, and say what is known of the Zap; raises nothing.

        It was made: 201 with an id. It was surely not: never connected, or 400, 401 (after which the next call has
        another token, or a sign-in is needed), 403, 404, 429 (which cools the budget down). Whatever else comes of it:
        nobody knows. When the permit came too late there is no call, nor one under another permit: meanwhile the wish
        may have been given up and made again.
        """
        try:
            outcome, token = await self._posted(
                "/v2/zaps", lambda: wire.zap_request(draft), credential=credential, permit=permit
            )
        except _NoCallError as error:
            return ZapNotMade(status=None, problem=str(error))
        return _zap(outcome, token=token)

    async def make_authentication(
        self, credential: Credential, app_id: str, *, title: str, fields: Mapping[str, str], permit: Permit
    ) -> AuthenticationMade | AuthenticationNotMade | AuthenticationUnknown:
        """Make one call, never repeated, and say what is known of the authentication; raises nothing.

        It was made: 201 with a usable one for this app. When it surely was not is said as of a Zap's. What Zapier says
        is not passed on when it repeats what a field holds.
        """
        try:
            outcome, token = await self._posted(
                "/v2/authentications",
                lambda: wire.authentication_request(app_id, title=title, fields=fields),
                credential=credential,
                permit=permit,
                app_id=app_id,
            )
        except _NoCallError as error:
            return AuthenticationNotMade(status=None, problem=str(error))
        return _authentication(outcome, app_id, token=token, fields=fields, now=self._clock.now())

    async def _posted(
        self,
        path: str,
        written: Callable[[], bytes],
        *,
        credential: Credential,
        permit: Permit,
        app_id: str | None = None,
    ) -> tuple[Outcome, str]:
        """Make one call, never repeated; return what came of it, and the token that it was made with.

        A token that Zapier refused is replaced for the next call. Raises _NoCallError when there was none.
        """
        async with self._permits.purse(credential.tenant_id, given=[permit]) as purse:
            try:
                body = written()
                newest = await self._calls.newest(credential)
            except (ValueError, ZapwrightError) as error:
                raise _NoCallError(str(error)) from error
            if self._clock.now() > permit.start_by:
                raise _NoCallError("too late: the call could not begin in time")
            url = self._address.endpoint(path)
            request = Request(endpoint=f"POST {path}", method="POST", url=url, body=body, app_id=app_id)
            try:
                outcome = await self._calls.act(request, credential=newest, purse=purse)
            except (StoreError, UpstreamBusyError) as error:
                raise _NoCallError(f"no permit: {error}") from error
        if isinstance(outcome, Answer) and outcome.status == HTTPStatus.UNAUTHORIZED:
            await self._after_refusal(newest)
        return outcome, newest.access_token

    async def _after_refusal(self, credential: Credential) -> None:
        """Have another token for the next call; a failure of that must not hide what became of the call."""
        try:
            await self._calls.after_refusal(credential)
        except SignInRequiredError:
            pass  # that is said where the credential is
        except ZapwrightError as error:
            log.warning("token_not_replaced", problem=str(error))


def _get(path: str, url: httpx.URL, *, app_id: str | None = None) -> Request:
    return Request(endpoint=f"GET {path}", method="GET", url=url, app_id=app_id)


def _zap(outcome: Outcome, *, token: str) -> ZapMade | ZapNotMade | ZapUnknown:
    match outcome:
        case NotSent(flaw=flaw):
            return ZapNotMade(status=None, problem=f"not reached: {flaw}")
        case Unanswered(flaw=flaw):
            return ZapUnknown(problem=f"no answer: {flaw}")
        case Answer(status=status) if status in _NOT_MADE:
            return ZapNotMade(status=status, problem=problem_of(outcome.body, token=token))
        case Answer(status=HTTPStatus.CREATED, flaw=None):
            return _made(outcome.body)
        case Answer(status=status, flaw=flaw):
            return ZapUnknown(problem=f"status {status}" if flaw is None else f"status {status}, {flaw}")
        case _:
            assert_never(outcome)


def _authentication(
    outcome: Outcome, app_id: str, *, token: str, fields: Mapping[str, str], now: Instant
) -> AuthenticationMade | AuthenticationNotMade | AuthenticationUnknown:
    match outcome:
        case NotSent(flaw=flaw):
            return AuthenticationNotMade(status=None, problem=f"not reached: {flaw}")
        case Unanswered(flaw=flaw):
            return AuthenticationUnknown(problem=f"no answer: {flaw}")
        case Answer(status=status) if status in _NOT_MADE:
            problem = without(problem_of(outcome.body, token=token), fields.values())
            wait = wait_of(outcome, now) if status == HTTPStatus.TOO_MANY_REQUESTS else None
            flaws = flaws_of(outcome.body, token=token, fields=fields)
            return AuthenticationNotMade(status=status, problem=problem, retry_after=wait, flaws=flaws)
        case Answer(status=HTTPStatus.CREATED, flaw=None):
            return _supplied(outcome.body, app_id)
        case Answer(status=status, flaw=flaw):
            return AuthenticationUnknown(problem=f"status {status}" if flaw is None else f"status {status}, {flaw}")
        case _:
            assert_never(outcome)


def _supplied(body: bytes, app_id: str) -> AuthenticationMade | AuthenticationUnknown:
    try:
        row = wire.made_authentication(body)
    except UpstreamUnavailableError as error:
        return AuthenticationUnknown(problem=f"status 201 that names none: {error.facts['problem']}")
    if row.app_id != app_id or row.authentication.is_expired:
        return AuthenticationUnknown(problem="status 201 with another app's, or an expired one")
    return AuthenticationMade(authentication=row.authentication)


def _made(body: bytes) -> ZapMade | ZapUnknown:
    try:
        return wire.zap(body)
    except UpstreamUnavailableError as error:
        return ZapUnknown(problem=f"status 201 without an id: {error.facts['problem']}")
