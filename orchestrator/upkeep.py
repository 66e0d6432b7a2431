"""The port `Access`: the tokens that calls are made with, refreshed by one holder at a time over all processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, assert_never

import structlog

from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamUnavailableError
from orchestrator.core.metering import UNMETERED, Meter
from orchestrator.core.ports.around import Clock, Ids
from orchestrator.core.ports.budget import Permit, Permits
from orchestrator.core.ports.credentials import Credential, CredentialStore, Kept, NewTokens, Refresh, SignInReason
from orchestrator.core.ports.tokens import Access, Client, OAuth, Tokens, TokensRefused
from orchestrator.core.session import MINUTE, SECOND, Instant, Millis
from orchestrator.core.upkeep import (
    LONGEST_CALL,
    Await,
    Begin,
    NeedSignIn,
    PutOff,
    SignInNeeded,
    UseNewer,
    after,
    end_of,
    intent,
    is_ending,
    what_next,
)
from orchestrator.insisting import insist

log = structlog.get_logger(__name__)

GLANCE: Final[Millis] = 100
"""How often who waits for another's refresh looks whether it has ended."""

SOON: Final[Millis] = SECOND
"""When to come again where the credential is another Zapier account's by now: what it was for has to begin anew."""

CLIENT_REFUSED_FOR: Final[Millis] = MINUTE
"""How long a process asks nothing for a client that Zapier does not know: it would cost every user's call a permit."""

PATIENCE: Final[tuple[Millis, ...]] = (50, 100, 200, 400, 800)
"""Waits before repeats of a write whose outcome is unknown."""

PATIENCE_WITH_TOKENS: Final[tuple[Millis, ...]] = (*PATIENCE, 1_600, 3_200, 6_400, 12_800, 25_600)
"""The same for tokens that were just handed out: nobody else has them, and those before are dead."""


class Upkeep:
    """Refreshes, when a call needs it, the tokens that are ours to refresh.

    `patience` is how long a call waits for another's refresh, `call_limit` how long a call to Zapier may take at most.
    """

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        credentials: CredentialStore,
        oauth: OAuth,
        permits: Permits,
        client_of: Callable[[str], Awaitable[Client | None]],
        clock: Clock,
        ids: Ids,
        patience: Millis,
        call_limit: Millis = LONGEST_CALL,
        meter: Meter = UNMETERED,
    ) -> None:
        self._credentials = credentials
        self._oauth = oauth
        self._permits = permits
        self._client_of = client_of
        self._clock = clock
        self._ids = ids
        self._patience = patience
        self._limit = min(call_limit, LONGEST_CALL)
        self._meter = meter
        self._under_way: set[asyncio.Task[None]] = set()
        self._refused_until: dict[Client, Instant] = {}

    async def newest(self, credential: Credential) -> Credential:
        """Return the credential with a token that is good now, refreshed where it was about to end.

        One that ends later, or that is not ours to refresh, is returned as it is. Where a refresh has to wait, a token
        that has not ended is used.
        """
        now = self._clock.now()
        if not credential.has_refresh_token or (credential.expires_at and not is_ending(credential, now=now)):
            return credential
        kept = (await self._kept(credential)).credential
        if not is_ending(kept, now=now):
            return _of_the_same_account(kept, credential)
        has_ended = kept.expires_at is not None and kept.expires_at <= now
        try:
            kept = await self._renewed(kept, patience=self._patience if has_ended else 0)
        except (UpstreamBusyError, UpstreamUnavailableError):
            if has_ended:
                raise
        return _of_the_same_account(kept, credential)

    async def after_refusal(self, credential: Credential) -> Credential:
        """Return another token than the one that Zapier refused: a newer one that is there, or comes by a refresh."""
        return _of_the_same_account(await self._renewed(credential, patience=self._patience), credential)

    async def mark(self, credential: Credential) -> None:
        """Note that a sign-in is needed, unless there are newer tokens."""
        user = credential.tenant_id, credential.user_id
        await self._credentials.need_sign_in(*user, generation=credential.generation)

    async def settle(self) -> None:
        """Wait until every refresh that this process began has ended: what Zapier hands out then is kept by nobody."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _renewed(self, credential: Credential, *, patience: Millis) -> Credential:
        """Return the credential with tokens of a later generation."""
        until = self._clock.now() + patience
        while True:
            kept = await self._kept(credential)
            match what_next(kept, generation=credential.generation, now=self._clock.now()):
                case UseNewer(credential=newer):
                    return newer
                case SignInNeeded():
                    raise SignInRequiredError(user_id=credential.user_id)
                case NeedSignIn(reason=reason):
                    await self._need_sign_in(kept.credential, reason, kept.refresh)
                case Await() | PutOff() as held:
                    await self._held_back(held, patient_until=until)
                case Begin() as begin:
                    await self._refresh(kept, begin)
                case never:
                    assert_never(never)

    async def _kept(self, credential: Credential) -> Kept:
        kept = await self._credentials.kept(credential.tenant_id, credential.user_id)
        if kept is None:
            raise SignInRequiredError(user_id=credential.user_id)
        return kept

    async def _held_back(self, held: Await | PutOff, *, patient_until: Instant) -> None:
        """Wait a moment for another's refresh. Raises UpstreamBusyError when that is waited for no longer."""
        now = self._clock.now()
        if isinstance(held, PutOff) or now >= patient_until:
            raise UpstreamBusyError(
                retry_after=max(held.until - now, GLANCE), why="the user's token is being refreshed"
            )
        await self._clock.sleep(GLANCE)

    async def _refresh(self, kept: Kept, begin: Begin) -> None:
        """Use the refresh token, unless others were faster: a permit, then the committed intent, then one request.

        Once the intent is written the rest goes on though the caller is gone: only tokens that are kept are any.
        """
        tenant_id = kept.credential.tenant_id
        client = await self._client(tenant_id)
        permit = await self._permits.permit(tenant_id, kept.credential.user_id)
        refresh = intent(begin, refresh_id=self._ids.new("rf"), now=self._clock.now())
        is_ours = False
        try:
            is_ours = await self._note(kept.credential, before=kept.refresh, after=refresh)
        finally:
            if not is_ours:
                await self._permits.give_back([permit])
        if is_ours:
            task = asyncio.create_task(self._use(kept.credential, begin.refresh_token, refresh, client, permit))
            self._under_way.add(task)
            task.add_done_callback(self._ended)
            await asyncio.shield(task)

    async def _client(self, tenant_id: str) -> Client:
        """Return as whom the tenant asks. Raises UpstreamUnavailableError for one that Zapier surely refuses."""
        client = await self._client_of(tenant_id)
        if client is None:
            raise UpstreamUnavailableError(problem="tokens cannot be refreshed without a client secret")
        if self._clock.now() < self._refused_until.get(client, 0):
            raise UpstreamUnavailableError(problem="Zapier refuses our client id and secret: tokens are not refreshed")
        return client

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("refresh_not_settled", problem=str(error))

    async def _use(
        self, credential: Credential, refresh_token: str, refresh: Refresh, client: Client, permit: Permit
    ) -> None:
        asked_at = self._clock.now()
        answer = await self._oauth.refresh(client, refresh_token, limit=self._limit, permit=permit)
        if isinstance(answer, TokensRefused) and answer.is_client_wrong:
            self._refused_until[client] = self._clock.now() + CLIENT_REFUSED_FOR
            log.error("client_refused", tenant_id=credential.tenant_id, client_id=client.id, problem=answer.problem)
        left, is_kept = after(answer, refresh, now=self._clock.now()), False
        match left:
            case Tokens() as tokens:
                is_kept = await self._keep(credential, refresh, tokens.to_keep(asked_at=asked_at, used=refresh_token))
            case NeedSignIn(reason=reason):
                log.warning("refresh_ended", tries=refresh.tries, reason=reason)
                await self._need_sign_in(credential, reason, refresh)
            case Refresh():
                log.warning("refresh_failed", tries=refresh.tries, problem=getattr(answer, "problem", None))
                await self._note(credential, before=refresh, after=left)
            case never:
                assert_never(never)
        self._meter.refreshed(end_of(answer, left, is_kept=is_kept))

    async def _keep(self, credential: Credential, refresh: Refresh, tokens: NewTokens) -> bool:
        """Keep what was handed out, however late, if it still follows what is kept; the store is waited for."""
        renewed = await insist(
            lambda: self._credentials.renew(
                credential.tenant_id,
                credential.user_id,
                tokens,
                generation=credential.generation,
                refresh_id=refresh.id,
                now=self._clock.now(),
            ),
            waits=PATIENCE_WITH_TOKENS,
            clock=self._clock,
        )
        log.info("refreshed" if renewed else "refresh_superseded", tries=refresh.tries)
        return renewed is not None

    async def _note(self, credential: Credential, *, before: Refresh | None, after: Refresh) -> bool:
        return await insist(
            lambda: self._credentials.note_refresh(
                credential.tenant_id,
                credential.user_id,
                generation=credential.generation,
                before=before,
                after=after,
            ),
            waits=PATIENCE,
            clock=self._clock,
        )

    async def _need_sign_in(self, credential: Credential, reason: SignInReason, refresh: Refresh | None) -> None:
        """Note that a sign-in is needed, unless anything about the credential has changed meanwhile."""
        await insist(
            lambda: self._credentials.need_sign_in(
                credential.tenant_id,
                credential.user_id,
                generation=credential.generation,
                reason=reason,
                refresh=refresh,
            ),
            waits=PATIENCE,
            clock=self._clock,
        )


def _of_the_same_account(kept: Credential, credential: Credential) -> Credential:
    """Return what is kept, if it is still of the account that the caller believes it to be of.

    What is read with another account's token must not be taken for the first one's. Raises UpstreamBusyError.
    """
    if kept.account != credential.account:
        raise UpstreamBusyError(retry_after=SOON, why="the user has just signed in to Zapier as somebody else")
    return kept


if TYPE_CHECKING:
    _: type[Access] = Upkeep
