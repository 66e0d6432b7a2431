"""Credentials in a plain dict."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields
from itertools import islice
from typing import TYPE_CHECKING

from orchestrator.core.errors.credentials import SignInRefusedError
from orchestrator.core.ports.credentials import (
    Credential,
    CredentialState,
    CredentialStore,
    Kept,
    NewTokens,
    Profile,
    Refresh,
    SignInReason,
    Standing,
)
from orchestrator.core.ports.watches import PAUSED
from orchestrator.core.session import Instant, shard_of
from orchestrator.core.sign_ins import Refusal
from orchestrator.core.values import replace
from orchestrator.store import keys
from orchestrator.store.accounts import account_of, masked_email
from orchestrator.store.memory.state import KeptState, State
from orchestrator.store.switchboard import Switchboard


class MemoryCredentialStore:
    """`CredentialStore` of one process, gone with it; tokens are not written anywhere, so not encrypted either."""

    def __init__(self, state: State, switchboard: Switchboard) -> None:
        self._state = state
        self._switchboard = switchboard
        self._users: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

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
        """Store new tokens and return the credential with its new generation."""
        if sign_in_id is not None and sign_in_id not in self._state.sign_ins:
            raise SignInRefusedError(why=Refusal.UNKNOWN)
        before = await self.get(tenant_id, user_id)
        shard = shard_of(tenant_id, user_id, shards=self._state.shards)
        generation = (before.generation if before else self._state.erased.get(shard, 0)) + 1
        credential = Credential(
            tenant_id=tenant_id,
            user_id=user_id,
            access_token=tokens.access_token,
            generation=generation,
            account=account_of(profile, generation=generation),
            profile_id=profile.id if profile else None,
            email=masked_email(profile.email) if profile and profile.email else None,
            expires_at=tokens.expires_at,
            has_refresh_token=tokens.refresh_token is not None,
        )
        self._keep(KeptState(credential=credential, refresh_token=tokens.refresh_token))
        if profile is not None:
            self._users[tenant_id, profile.id].add(user_id)
        self._resume(tenant_id, user_id, now=now)
        return credential

    async def renew(
        self, tenant_id: str, user_id: str, tokens: NewTokens, *, generation: int, refresh_id: str, now: Instant
    ) -> Credential | None:
        """Store the tokens that a refresh of this generation brought, and return the credential as it is then."""
        before = self._state.credentials.get((tenant_id, user_id))
        if before is None:
            return None
        if before.refreshed_by == refresh_id:
            return before.credential
        if before.credential.generation != generation:
            return None
        credential = replace(
            before.credential,
            access_token=tokens.access_token,
            generation=generation + 1,
            state=CredentialState.ACTIVE,
            reason=None,
            expires_at=tokens.expires_at,
            has_refresh_token=tokens.refresh_token is not None,
        )
        self._keep(KeptState(credential=credential, refresh_token=tokens.refresh_token, refreshed_by=refresh_id))
        self._resume(tenant_id, user_id, now=now)
        return credential

    async def get(self, tenant_id: str, user_id: str) -> Credential | None:
        """Return the credential, None when there never was one."""
        kept = self._state.credentials.get((tenant_id, user_id))
        return None if kept is None else kept.credential

    async def kept(self, tenant_id: str, user_id: str) -> Kept | None:
        """Return the credential with all that refreshing it needs."""
        kept = self._state.credentials.get((tenant_id, user_id))
        if kept is None:
            return None
        return Kept(credential=kept.credential, refresh_token=kept.refresh_token, refresh=kept.refresh)

    async def standing(self, tenant_id: str, user_id: str) -> Standing | None:
        """Return what is known of it but the tokens."""
        kept = await self.get(tenant_id, user_id)
        return kept and Standing(**{field.name: getattr(kept, field.name) for field in fields(Standing)})

    async def need_sign_in(
        self,
        tenant_id: str,
        user_id: str,
        *,
        generation: int,
        reason: SignInReason = SignInReason.TOKEN_REFUSED,
        refresh: Refresh | None = None,
    ) -> bool:
        """Nobody gets on with this generation's tokens: mark it, and end its refresh."""
        kept = self._active(tenant_id, user_id, generation)
        if kept is None or (refresh is not None and kept.refresh != refresh):
            return False
        marked = replace(kept.credential, state=CredentialState.NEEDS_SIGN_IN, reason=reason)
        self._keep(replace(kept, credential=marked, refresh=None))
        return True

    async def note_refresh(
        self, tenant_id: str, user_id: str, *, generation: int, before: Refresh | None, after: Refresh
    ) -> bool:
        """Write the intent to refresh an active credential of this generation over the latest one."""
        kept = self._active(tenant_id, user_id, generation)
        if kept is None or kept.refresh not in {before, after}:
            return False
        self._keep(replace(kept, refresh=after))
        return True

    def _active(self, tenant_id: str, user_id: str, generation: int) -> KeptState | None:
        kept = self._state.credentials.get((tenant_id, user_id))
        is_it = kept is not None and kept.credential.generation == generation
        return kept if is_it and kept and kept.credential.state is CredentialState.ACTIVE else None

    async def users_of_profile(self, tenant_id: str, profile_id: str, *, now: Instant) -> int:
        """Return how many users of the tenant have, or ever had, this Zapier profile."""
        return sum(keys.counts(member, now=now) for member in self._users[tenant_id, profile_id])

    def forget(self, tenant_id: str, user_id: str, *, yields_until: Instant | None) -> None:
        """Forget a user; while a popup of theirs may yield something, a nameless one is counted for them."""
        kept = self._state.credentials.pop((tenant_id, user_id), None)
        if kept is not None:
            shard = shard_of(tenant_id, user_id, shards=self._state.shards)
            self._state.erased[shard] = max(self._state.erased.get(shard, 0), kept.credential.generation)
        self._state.untold.discard((tenant_id, user_id))
        for (tenant, _), members in self._users.items():
            if tenant == tenant_id and user_id in members:
                members.discard(user_id)
                if yields_until is not None:
                    members.add(keys.nameless(yields_until))

    async def untold(self, shard: int, *, limit: int) -> tuple[tuple[str, str], ...]:
        """Return tenant and user of credentials that changed and of which the sessions may not know."""
        users = (user for user in sorted(self._state.untold) if shard_of(*user, shards=self._state.shards) == shard)
        return tuple(islice(users, limit))

    async def told(self, standing: Standing) -> bool:
        """The user's sessions know that it is as it is here."""
        user = standing.tenant_id, standing.user_id
        kept = await self.get(*user)
        if kept is None or (kept.generation, kept.state) != (standing.generation, standing.state):
            return False
        self._state.untold.discard(user)
        return True

    def _keep(self, kept: KeptState) -> None:
        user = kept.credential.tenant_id, kept.credential.user_id
        before = self._state.credentials.get(user)
        self._state.credentials[user] = kept
        if before is None or _told_of(before.credential) != _told_of(kept.credential):
            self._state.untold.add(user)

    def _resume(self, tenant_id: str, user_id: str, *, now: Instant) -> None:
        for key, watch in self._state.watches.items():
            if (key.tenant_id, key.user_id) == (tenant_id, user_id) and watch.retry_at == PAUSED:
                watch.resume(now)
                if watch.is_due(now):
                    self._switchboard.wake(keys.DUE)


def _told_of(credential: Credential) -> tuple[CredentialState, str]:
    return credential.state, credential.account


if TYPE_CHECKING:
    _: type[CredentialStore] = MemoryCredentialStore
