"""Signing users in to Zapier: a browser is sent there, and what it brings back becomes its user's credential."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never
from urllib.parse import quote, urlencode

import structlog

from orchestrator.core.errors.credentials import SignInRefusedError, SignInRequiredError
from orchestrator.core.errors.tenants import ClientMissingError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamError
from orchestrator.core.metering import UNMETERED, Meter
from orchestrator.core.ports.around import Clock, Ids
from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.credentials import CredentialStore, NewTokens, Profile, SignInStore
from orchestrator.core.ports.tokens import Client, OAuth, Tokens, TokensOver, TokensRefused, TokensUnknown
from orchestrator.core.ports.upstream import Upstream
from orchestrator.core.session import Instant, Millis, shard_of
from orchestrator.core.sign_ins import (
    Failure,
    Newcomer,
    Refusal,
    SignIn,
    ended,
    id_prefix,
    open_at_zapier,
    parts_of,
    take_back,
    token_of,
)
from orchestrator.core.tenants import digest_of
from orchestrator.insisting import insist

log = structlog.get_logger(__name__)

_UNMENDABLE: Final = frozenset({Failure.CLIENT_REFUSED})
"""What no user can do anything about."""

PATIENCE: Final[tuple[Millis, ...]] = (50, 100, 200, 400, 800, 1_600, 3_200)
"""Waits for a store that is away when there are tokens to keep: nobody else has them, and the code is used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInWish:
    """For which browser a sign-in is begun, by a page of which origins, and where it leads afterwards."""

    browser: str
    origins: Sequence[str]
    return_url: str | None = None
    newcomer: Newcomer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunSignIn:
    """A sign-in that can be opened, once and until then, by whoever brings the token in the browser it is for."""

    token: str
    opens_until: Instant


class SignIns:
    """Sign-ins of every user.

    `authorize_url` is Zapier's page where users allow what `scopes` name, `client_of` as whom a tenant asks them to,
    `limit` the longest that exchanging a code may take.
    """

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        store: SignInStore,
        credentials: CredentialStore,
        upstream: Upstream,
        oauth: OAuth,
        client_of: Callable[[str], Awaitable[Client | None]],
        clock: Clock,
        ids: Ids,
        authorize_url: str,
        scopes: Sequence[str],
        limit: Millis,
        shards: int,
        meter: Meter = UNMETERED,
    ) -> None:
        self._store = store
        self._credentials = credentials
        self._upstream = upstream
        self._oauth = oauth
        self._client_of = client_of
        self._clock = clock
        self._ids = ids
        self._authorize_url = authorize_url
        self._scopes = scopes
        self._limit = limit
        self._shards = shards
        self._meter = meter

    async def begin(self, tenant_id: str, user_id: str, wish: SignInWish) -> BegunSignIn:
        """Begin a sign-in; earlier ones of the user go on as they are. Raises ClientMissingError, StoreError."""
        await self._client(tenant_id)
        secret = self._ids.new("")
        sign_in = SignIn(
            id=self._ids.new(id_prefix(shard_of(tenant_id, user_id, shards=self._shards))),
            tenant_id=tenant_id,
            user_id=user_id,
            browser=wish.browser,
            origins=tuple(wish.origins),
            digest=digest_of(secret),
            made_at=self._clock.now(),
            return_url=wish.return_url,
            newcomer=wish.newcomer,
        )
        await self._store.begin(sign_in)
        return BegunSignIn(token=token_of(sign_in.id, secret), opens_until=sign_in.opens_until)

    async def open(self, token: str, *, browser_secret: str, redirect_uri: str) -> str:
        """Return where the browser is to go: Zapier's page, which will lead it back to `redirect_uri`, once.

        Raises SignInRefusedError, and then nothing has changed; ClientMissingError, StoreError.
        """
        sign_in, secret = await self._found(token)
        next_secret = self._ids.new("")
        opened = open_at_zapier(
            sign_in,
            secret=secret,
            browser_secret=browser_secret,
            next_secret=next_secret,
            redirect_uri=redirect_uri,
            now=self._clock.now(),
        )
        client = await self._client(sign_in.tenant_id)
        await self._go_on(sign_in, opened)
        return self._way_to_zapier(sign_in, client.id, redirect_uri, state=token_of(sign_in.id, next_secret))

    async def finish(self, state: str, *, browser_secret: str, brought: str | Failure) -> SignIn:
        """Take what a browser brought back from Zapier, a code or none, and return the sign-in with what came of it.

        The user is signed in by the commit of `CredentialStore.put`, which resumes what waited; a store that is away
        just then is waited for. Who dies in between leaves a sign-in that can be tried again, like every one that
        failed. Raises SignInRefusedError, and then nothing has changed; StoreError.
        """
        sign_in, secret = await self._found(state)
        returned = take_back(sign_in, secret=secret, browser_secret=browser_secret, now=self._clock.now())
        await self._go_on(sign_in, returned)
        failure = brought if isinstance(brought, Failure) else await self._credited(returned, brought)
        over = ended(returned, failure)
        await self._go_on(returned, over)
        self._meter.signed_in(failure)
        record = log.warning if failure in _UNMENDABLE else log.info
        record("sign_in_ended", tenant_id=over.tenant_id, state=over.state, failure=failure)
        return over

    async def read(self, sign_in_id: str, *, browser_secret: str) -> SignIn:
        """Return the sign-in as it is, to the browser it belongs to. Raises SignInRefusedError, StoreError."""
        sign_in, _ = await self._found(sign_in_id)
        if not sign_in.is_of(browser_secret):
            raise SignInRefusedError(why=Refusal.ANOTHER_BROWSER)
        return sign_in

    async def _credited(self, sign_in: SignIn, code: str) -> Failure | None:
        """Exchange the code, and make the token the user's.

        Both calls have their permits before the first: a token of which nobody knows whose it is would be the price.
        """
        try:
            client = await self._client(sign_in.tenant_id)
            permits = await self._permits(sign_in)
        except ClientMissingError:
            return Failure.CLIENT_REFUSED
        except UpstreamBusyError:
            return Failure.NOT_REACHED
        asked_at = self._clock.now()
        tokens = await self._exchanged(client, sign_in, code, permit=permits[0])
        if isinstance(tokens, Failure):
            await self._upstream.give_back(permits[1:])
            return tokens
        try:
            profile = await self._profile(sign_in, tokens.access_token, permits=permits[1:])
        except SignInRequiredError:
            return Failure.TOKEN_REFUSED
        new = tokens.to_keep(asked_at=asked_at)
        await insist(lambda: self._keep(sign_in, new, profile), waits=PATIENCE, clock=self._clock)
        return None

    async def _keep(self, sign_in: SignIn, tokens: NewTokens, profile: Profile | None) -> None:
        """Make the tokens the user's, who stays erased. Twice is a later generation of the same ones."""
        user, now = (sign_in.tenant_id, sign_in.user_id), self._clock.now()
        await self._credentials.put(*user, tokens, profile=profile, now=now, sign_in_id=sign_in.id)

    async def _permits(self, sign_in: SignIn) -> list[Permit]:
        """Take two permits, or none. Raises UpstreamBusyError."""
        first = await self._upstream.permit(sign_in.tenant_id, sign_in.user_id)
        try:
            return [first, await self._upstream.permit(sign_in.tenant_id, sign_in.user_id)]
        except UpstreamBusyError:
            await self._upstream.give_back([first])
            raise

    async def _exchanged(self, client: Client, sign_in: SignIn, code: str, *, permit: Permit) -> Tokens | Failure:
        told = await self._oauth.exchange_code(
            client, code, redirect_uri=sign_in.redirect_uri, limit=self._limit, permit=permit
        )
        match told:
            case Tokens():
                return told
            case TokensOver():
                return Failure.CODE_REFUSED
            case TokensRefused(is_client_wrong=True, problem=problem):
                log.warning("client_refused", tenant_id=sign_in.tenant_id, client_id=client.id, problem=problem)
                return Failure.CLIENT_REFUSED
            case TokensRefused():
                return Failure.NOT_REACHED
            case TokensUnknown():
                return Failure.ANSWER_LOST
        assert_never(told)

    async def _profile(self, sign_in: SignIn, access_token: str, *, permits: Sequence[Permit]) -> Profile | None:
        """Read whose token it is; where that cannot be told now, the token is worth keeping anyway.

        Raises SignInRequiredError when Zapier does not take the token it has just given.
        """
        try:
            return await self._upstream.profile(
                sign_in.tenant_id, access_token, user_id=sign_in.user_id, permits=permits
            )
        except UpstreamError as error:
            log.info("profile_unread", tenant_id=sign_in.tenant_id, problem=str(error))
            return None

    async def _found(self, token: str) -> tuple[SignIn, str]:
        sign_in_id, secret = parts_of(token)
        sign_in = await self._store.get(sign_in_id)
        if sign_in is None:
            raise SignInRefusedError(why=Refusal.UNKNOWN)
        return sign_in, secret

    async def _go_on(self, before: SignIn, after: SignIn) -> None:
        if not await self._store.move(before, after):
            raise SignInRefusedError(why=Refusal.USED)

    async def _client(self, tenant_id: str) -> Client:
        client = await self._client_of(tenant_id)
        if client is None:
            raise ClientMissingError(tenant_id=tenant_id)
        return client

    def _way_to_zapier(self, sign_in: SignIn, client_id: str, redirect_uri: str, *, state: str) -> str:
        said = {
            "response_type": "code",
            "response_mode": "query",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._scopes),
            "state": state,
        }
        if (newcomer := sign_in.newcomer) is not None:
            said |= {
                "sign_up_email": newcomer.email,
                "sign_up_first_name": newcomer.first_name,
                "sign_up_last_name": newcomer.last_name,
            }
        return f"{self._authorize_url}?{urlencode(said, quote_via=quote)}"
