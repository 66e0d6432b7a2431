"""Credentials in a Redis-protocol store, sealed so that the store alone gives nobody access to Zapier."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, ClassVar

import msgspec

from orchestrator.core.errors import StoreError
from orchestrator.core.ports import Credential, CredentialState, CredentialStore, Profile, Standing
from orchestrator.core.session import Instant, shard_of
from orchestrator.store import keys
from orchestrator.store.accounts import STANDING, account_of, masked_email, read_standing
from orchestrator.store.scripts import Argument, Call, Scripts
from orchestrator.store.sealing import Seal, SealBrokenError


class CredentialUnreadableError(StoreError):
    """A token was sealed with a key that is not configured, or for somebody else."""

    code: ClassVar[str] = "credential_unreadable"

    def __init__(self, *, user_id: str) -> None:
        super().__init__(
            f"the credential of user {user_id!r} cannot be read with the configured keys: "
            "configure the key it was sealed with, or put the credential again",
            user_id=user_id,
        )


class _Sealed(msgspec.Struct, frozen=True):
    """What is sealed: the token together with whose it is, so that it cannot be given to somebody else."""

    tenant_id: str
    user_id: str
    access_token: str


class RedisCredentialStore:
    """`CredentialStore` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts, *, shards: int, seal: Seal) -> None:
        self._scripts = scripts
        self._shards = shards
        self._seal = seal

    async def put(
        self,
        tenant_id: str,
        user_id: str,
        *,
        access_token: str,
        profile: Profile | None,
        expires_at: Instant | None,
    ) -> Credential:
        """Store a new access token and return the credential with its new generation.

        The user is counted under the profile before the token can be used, and stays so under earlier ones. Before
        that, and with the token once more, it is noted which profiles these are, so that erasing the user finds them.
        """
        shard = shard_of(tenant_id, user_id, shards=self._shards)
        profiles = keys.user_profiles(shard, tenant_id, user_id)
        if profile is not None:
            await self._scripts.run(("SADD", profiles, profile.id))
            await self._scripts.run(("SADD", keys.profile_users(tenant_id, profile.id), user_id))
        email = masked_email(profile.email) if profile and profile.email else None
        sealed = self._seal.close(msgspec.json.encode(_Sealed(tenant_id, user_id, access_token)))
        arguments = [
            sealed,
            CredentialState.ACTIVE,
            account_of(profile, generation=""),
            profile.id if profile else "",
            email or "",
            "" if expires_at is None else expires_at,
        ]
        call = Call("put_credential", [keys.credential(shard, tenant_id, user_id), profiles], arguments)
        generation, account = await self._scripts.call(call)
        return Credential(
            tenant_id=tenant_id,
            user_id=user_id,
            access_token=access_token,
            generation=generation,
            account=account.decode(),
            profile_id=profile.id if profile else None,
            email=email,
            expires_at=expires_at,
        )

    async def get(self, tenant_id: str, user_id: str) -> Credential | None:
        """Return the credential, None when there never was one. Raises CredentialUnreadableError."""
        (sealed, *access) = await self._kept("sealed", *STANDING, of=self._key(tenant_id, user_id))
        standing = read_standing(tenant_id, user_id, access)
        if standing is None or sealed is None:
            return None
        known = {field.name: getattr(standing, field.name) for field in fields(standing)}
        return Credential(**known, access_token=self._open(sealed.decode(), tenant_id, user_id))

    async def standing(self, tenant_id: str, user_id: str) -> Standing | None:
        """Return what is known of it but the token."""
        return read_standing(tenant_id, user_id, await self._kept(*STANDING, of=self._key(tenant_id, user_id)))

    async def _kept(self, *names: str, of: str) -> list[bytes | None]:
        (reply,) = await self._scripts.run(("HMGET", of, *names))
        return list(reply)

    async def need_sign_in(self, tenant_id: str, user_id: str, *, generation: int) -> bool:
        """Zapier refused this generation's token: mark it."""
        arguments: list[Argument] = [generation, CredentialState.NEEDS_SIGN_IN]
        return bool(await self._scripts.call(Call("mark_credential", [self._key(tenant_id, user_id)], arguments)))

    async def users_of_profile(self, tenant_id: str, profile_id: str, *, now: Instant) -> int:
        """Return how many users of the tenant have, or ever had, this Zapier profile."""
        (members,) = await self._scripts.run(("SMEMBERS", keys.profile_users(tenant_id, profile_id)))
        return sum(keys.counts(member.decode(), now=now) for member in members)

    def _key(self, tenant_id: str, user_id: str) -> str:
        return keys.credential(shard_of(tenant_id, user_id, shards=self._shards), tenant_id, user_id)

    def _open(self, sealed: str, tenant_id: str, user_id: str) -> str:
        try:
            opened = msgspec.json.decode(self._seal.open(sealed), type=_Sealed)
        except SealBrokenError as error:
            raise CredentialUnreadableError(user_id=user_id) from error
        if (opened.tenant_id, opened.user_id) != (tenant_id, user_id):
            raise CredentialUnreadableError(user_id=user_id)
        return opened.access_token


if TYPE_CHECKING:
    _: type[CredentialStore] = RedisCredentialStore
