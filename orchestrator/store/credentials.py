"""Credentials in a Redis-protocol store, sealed so that the store alone gives nobody access to Zapier."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from orchestrator.core.errors.credentials import SignInRefusedError
from orchestrator.core.errors.store import StoreError
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
from orchestrator.core.session import Instant, WatchKey, shard_of
from orchestrator.core.sign_ins import Refusal
from orchestrator.store import keys
from orchestrator.store.accounts import STANDING, account_of, masked_email, read_standing
from orchestrator.store.scripts import Argument, Call, Reply, Scripts
from orchestrator.store.sealing import Seal, SealBrokenError


class CredentialUnreadableError(StoreError):
    """Tokens were sealed with a key that is not configured, or for somebody else."""

    code: ClassVar[str] = "credential_unreadable"

    def __init__(self, *, user_id: str) -> None:
        super().__init__(
            f"the credential of user {user_id!r} cannot be read with the configured keys: "
            "configure the key it was sealed with, or put the credential again",
            user_id=user_id,
        )


class _Sealed(msgspec.Struct, frozen=True):
    """What is sealed: the tokens together with whose they are, so that they cannot be given to somebody else."""

    tenant_id: str
    user_id: str
    access_token: str
    refresh_token: str | None = None


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
        tokens: NewTokens,
        *,
        profile: Profile | None,
        now: Instant,
        sign_in_id: str | None = None,
    ) -> Credential:
        """Store new tokens and return the credential with its new generation.

        The user is counted under the profile before the tokens can be used, and stays so under earlier ones. Before
        that it is noted which profiles these are, so that erasing the user finds them; who was erased since is counted
        anew, or is nobody any more where a sign-in brought the tokens.
        """
        email = masked_email(profile.email) if profile and profile.email else None
        whose = account_of(profile, generation=""), profile.id if profile else "", email or ""
        reply: Reply = [b"uncounted"]
        while reply == [b"uncounted"]:
            if profile is not None:
                await self._count(tenant_id, user_id, profile.id, sign_in_id)
            reply = await self._put(tenant_id, user_id, tokens, now=now, whose=whose, sign_in_id=sign_in_id or "")
        if reply == [b"gone"]:
            if profile is not None:
                await self._count_no_more(tenant_id, user_id, profile.id)
            raise SignInRefusedError(why=Refusal.UNKNOWN)
        _, generation, account = reply
        return Credential(
            tenant_id=tenant_id,
            user_id=user_id,
            access_token=tokens.access_token,
            generation=generation,
            account=account.decode(),
            profile_id=profile.id if profile else None,
            email=email,
            expires_at=tokens.expires_at,
            has_refresh_token=tokens.refresh_token is not None,
        )

    async def renew(
        self, tenant_id: str, user_id: str, tokens: NewTokens, *, generation: int, refresh_id: str, now: Instant
    ) -> Credential | None:
        """Store the tokens that a refresh of this generation brought, and return the credential as it is then."""
        reply = await self._put(tenant_id, user_id, tokens, now=now, refreshed=(generation, refresh_id))
        return None if reply == [b"stale"] else await self.get(tenant_id, user_id)

    async def get(self, tenant_id: str, user_id: str) -> Credential | None:
        """Return the credential, None when there never was one. Raises CredentialUnreadableError."""
        kept = await self.kept(tenant_id, user_id)
        return None if kept is None else kept.credential

    async def kept(self, tenant_id: str, user_id: str) -> Kept | None:
        """Return the credential with all that refreshing it needs. Raises CredentialUnreadableError."""
        sealed, refresh, *access = await self._read("sealed", "refresh", *STANDING, of=self._key(tenant_id, user_id))
        standing = read_standing(tenant_id, user_id, access)
        if standing is None or sealed is None:
            return None
        opened = self._open(sealed.decode(), tenant_id, user_id)
        return Kept(
            credential=Credential(**vars(standing), access_token=opened.access_token),
            refresh_token=opened.refresh_token,
            refresh=_refresh(refresh),
        )

    async def standing(self, tenant_id: str, user_id: str) -> Standing | None:
        """Return what is known of it but the tokens."""
        return read_standing(tenant_id, user_id, await self._read(*STANDING, of=self._key(tenant_id, user_id)))

    async def _read(self, *names: str, of: str) -> list[bytes | None]:
        (reply,) = await self._scripts.run(("HMGET", of, *names))
        return list(reply)

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
        return await self._noted(
            "mark_credential",
            (tenant_id, user_id),
            generation,
            CredentialState.NEEDS_SIGN_IN,
            more=(reason, _written(refresh)),
        )

    async def note_refresh(
        self, tenant_id: str, user_id: str, *, generation: int, before: Refresh | None, after: Refresh
    ) -> bool:
        """Write the intent to refresh an active credential of this generation over the latest one."""
        arguments: list[Argument] = [generation, CredentialState.ACTIVE, _written(before), _written(after)]
        return bool(await self._scripts.call(Call("note_refresh", [self._key(tenant_id, user_id)], arguments)))

    async def users_of_profile(self, tenant_id: str, profile_id: str, *, now: Instant) -> int:
        """Return how many users of the tenant have, or ever had, this Zapier profile."""
        (members,) = await self._scripts.run(("SMEMBERS", keys.profile_users(tenant_id, profile_id)))
        return sum(keys.counts(member.decode(), now=now) for member in members)

    async def untold(self, shard: int, *, limit: int) -> tuple[tuple[str, str], ...]:
        """Return tenant and user of credentials that changed and of which the sessions may not know."""
        (members,) = await self._scripts.run(("SRANDMEMBER", keys.untold(shard), limit))
        return tuple(keys.member_user(member.decode()) for member in members)

    async def told(self, standing: Standing) -> bool:
        """The user's sessions know that it is as it is here."""
        return await self._noted("told", (standing.tenant_id, standing.user_id), standing.generation, standing.state)

    async def _count(self, tenant_id: str, user_id: str, profile_id: str, sign_in_id: str | None) -> None:
        """Count the user under the profile. Raises SignInRefusedError."""
        shard = self._shard(tenant_id, user_id)
        touched = [keys.user_profiles(shard, tenant_id, user_id), keys.sign_ins(shard)]
        if not await self._scripts.call(Call("note_profile", touched, [profile_id, sign_in_id or ""])):
            raise SignInRefusedError(why=Refusal.UNKNOWN)
        await self._scripts.run(("SADD", keys.profile_users(tenant_id, profile_id), user_id))

    async def _count_no_more(self, tenant_id: str, user_id: str, profile_id: str) -> None:
        """Count an erased user no more, who may be back by now, and counted by others."""
        noted = ("SISMEMBER", keys.user_profiles(self._shard(tenant_id, user_id), tenant_id, user_id), profile_id)
        counted = keys.profile_users(tenant_id, profile_id)
        if await self._scripts.run(noted) == [0]:
            await self._scripts.run(("SREM", counted, user_id))
            if await self._scripts.run(noted) == [1]:
                await self._scripts.run(("SADD", counted, user_id))

    async def _put(  # noqa: PLR0913 - what either of them has
        self,
        tenant_id: str,
        user_id: str,
        tokens: NewTokens,
        *,
        now: Instant,
        whose: tuple[str, str, str] = ("", "", ""),
        refreshed: tuple[int | str, str] = ("", ""),
        sign_in_id: str = "",
    ) -> Reply:
        """Write it together with every watch that may be paused; the script says which those are."""
        sealed = _Sealed(tenant_id, user_id, tokens.access_token, tokens.refresh_token)
        shard = self._shard(tenant_id, user_id)
        touched = [
            self._key(tenant_id, user_id),
            keys.user_profiles(shard, tenant_id, user_id),
            keys.untold(shard),
            keys.user_watches(shard, tenant_id, user_id),
            keys.strong(shard),
            keys.quiet(shard),
            keys.last_generation(shard),
            keys.sign_ins(shard),
        ]
        arguments: list[Argument] = [
            self._seal.close(msgspec.json.encode(sealed)),
            CredentialState.ACTIVE,
            *whose,
            "" if tokens.expires_at is None else tokens.expires_at,
            keys.user_member(tenant_id, user_id),
            now,
            PAUSED,
            keys.DUE,
            "1" if tokens.refresh_token is not None else "",
            *refreshed,
            sign_in_id,
        ]
        reply = await self._scripts.call(Call("put_credential", touched, arguments))
        while reply[0] == b"watches":
            watches = [WatchKey(tenant_id=tenant_id, user_id=user_id, app_id=app.decode()) for app in reply[1]]
            both = [part(shard, watch) for watch in watches for part in (keys.watch, keys.waiters)]
            names = [text for watch in watches for text in (watch.app_id, keys.watch_name(watch))]
            reply = await self._scripts.call(Call("put_credential", [*touched, *both], [*arguments, *names]))
        return reply

    async def _noted(
        self,
        script: str,
        user: tuple[str, str],
        generation: int,
        state: CredentialState,
        *,
        more: tuple[str, ...] = (),
    ) -> bool:
        touched = [self._key(*user), keys.untold(self._shard(*user))]
        arguments: list[Argument] = [generation, state, keys.user_member(*user), *more]
        return bool(await self._scripts.call(Call(script, touched, arguments)))

    def _shard(self, tenant_id: str, user_id: str) -> int:
        return shard_of(tenant_id, user_id, shards=self._shards)

    def _key(self, tenant_id: str, user_id: str) -> str:
        return keys.credential(self._shard(tenant_id, user_id), tenant_id, user_id)

    def _open(self, sealed: str, tenant_id: str, user_id: str) -> _Sealed:
        try:
            opened = msgspec.json.decode(self._seal.open(sealed), type=_Sealed)
        except SealBrokenError as error:
            raise CredentialUnreadableError(user_id=user_id) from error
        if (opened.tenant_id, opened.user_id) != (tenant_id, user_id):
            raise CredentialUnreadableError(user_id=user_id)
        return opened


def _written(refresh: Refresh | None) -> str:
    """Write an intent as it is kept; none is empty."""
    return f"{refresh.id} {refresh.tries} {refresh.until}" if refresh else ""


def _refresh(written: bytes | None) -> Refresh | None:
    if not written:
        return None
    refresh_id, tries, until = written.decode().split()
    return Refresh(id=refresh_id, tries=int(tries), until=int(until))


if TYPE_CHECKING:
    _: type[CredentialStore] = RedisCredentialStore
