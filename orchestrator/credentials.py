"""Credentials whose changes reach the sessions: signing in and having to sign in again are events of theirs."""

from __future__ import annotations

import structlog

from orchestrator.commits import Commits
from orchestrator.core.errors.base import NotFoundError
from orchestrator.core.errors.store import GuardFailedError, StaleVersionError, StoreError
from orchestrator.core.ports.credentials import (
    Credential,
    CredentialStore,
    Kept,
    NewTokens,
    Profile,
    Refresh,
    SignInReason,
    Standing,
)
from orchestrator.core.ports.sessions import SessionStore
from orchestrator.core.session import Instant, SessionKey
from orchestrator.core.signals import CredentialChanged

log = structlog.get_logger(__name__)


class ToldCredentials:
    """A CredentialStore that tells the user's sessions; those that know already stay as they are.

    Who dies between a change and the telling, or cannot tell, leaves the user among the `untold`, whom the sweeper
    tells: a change that was kept is never answered as if it were not.
    """

    def __init__(self, store: CredentialStore, *, sessions: SessionStore, commits: Commits) -> None:
        self._store = store
        self._sessions = sessions
        self._commits = commits

    async def put(
        self,
        tenant_id: str,
        user_id: str,
        tokens: NewTokens,
        *,
        profile: Profile | None,
        now: Instant,
        sign_in_id: str | None = None,
    ) -> Credential:
        """Store new tokens, as the store does, and tell the sessions."""
        credential = await self._store.put(tenant_id, user_id, tokens, profile=profile, now=now, sign_in_id=sign_in_id)
        await self._tell_now(tenant_id, user_id)
        return credential

    async def renew(
        self, tenant_id: str, user_id: str, tokens: NewTokens, *, generation: int, refresh_id: str, now: Instant
    ) -> Credential | None:
        """Store the tokens that a refresh brought, as the store does, and tell the sessions that knew of trouble."""
        credential = await self._store.renew(
            tenant_id, user_id, tokens, generation=generation, refresh_id=refresh_id, now=now
        )
        if credential is not None:
            await self._tell_now(tenant_id, user_id)
        return credential

    async def kept(self, tenant_id: str, user_id: str) -> Kept | None:
        """Return the credential with all that refreshing it needs."""
        return await self._store.kept(tenant_id, user_id)

    async def note_refresh(
        self, tenant_id: str, user_id: str, *, generation: int, before: Refresh | None, after: Refresh
    ) -> bool:
        """Write the intent to refresh, as the store does."""
        return await self._store.note_refresh(tenant_id, user_id, generation=generation, before=before, after=after)

    async def get(self, tenant_id: str, user_id: str) -> Credential | None:
        """Return the credential, None when there never was one."""
        return await self._store.get(tenant_id, user_id)

    async def standing(self, tenant_id: str, user_id: str) -> Standing | None:
        """Return what is known of it but the tokens."""
        return await self._store.standing(tenant_id, user_id)

    async def need_sign_in(
        self,
        tenant_id: str,
        user_id: str,
        *,
        generation: int,
        reason: SignInReason = SignInReason.TOKEN_REFUSED,
        refresh: Refresh | None = None,
    ) -> bool:
        """Mark this generation, as the store does, and tell the sessions."""
        is_marked = await self._store.need_sign_in(
            tenant_id, user_id, generation=generation, reason=reason, refresh=refresh
        )
        if is_marked:
            await self._tell_now(tenant_id, user_id)
        return is_marked

    async def users_of_profile(self, tenant_id: str, profile_id: str, *, now: Instant) -> int:
        """Return how many users of the tenant have, or ever had, this Zapier profile."""
        return await self._store.users_of_profile(tenant_id, profile_id, now=now)

    async def untold(self, shard: int, *, limit: int) -> tuple[tuple[str, str], ...]:
        """Return tenant and user of credentials that changed and of which the sessions may not know."""
        return await self._store.untold(shard, limit=limit)

    async def told(self, standing: Standing) -> bool:
        """Note that the user's sessions know that it is as it is here."""
        return await self._store.told(standing)

    async def tell(self, tenant_id: str, user_id: str) -> None:
        """Tell the user's sessions how it is, until it is still so afterwards: others may be telling them too.

        Raises as `Commits.apply`, after all the others were told, and StoreError.
        """
        while (standing := await self._store.standing(tenant_id, user_id)) is not None:
            changed = CredentialChanged(state=standing.state, reason=standing.reason, account=standing.account)
            busy: StaleVersionError | GuardFailedError | None = None
            for session_id in await self._sessions.of_user(tenant_id, user_id):
                key = SessionKey(tenant_id=tenant_id, session_id=session_id)
                try:
                    await self._commits.apply(key, changed)
                except NotFoundError:
                    continue  # erased between the two
                except (StaleVersionError, GuardFailedError) as error:
                    busy = error
            if busy is not None:
                raise busy
            if await self._store.told(standing):
                return

    async def _tell_now(self, tenant_id: str, user_id: str) -> None:
        """Tell the sessions if that can be; the change is kept anyway, and the sweeper tells who was not told."""
        try:
            await self.tell(tenant_id, user_id)
        except StoreError as error:
            log.warning("sessions_not_told", tenant_id=tenant_id, problem=str(error))
