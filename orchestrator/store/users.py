"""Users as a whole in a Redis-protocol store: what lies in their shard goes at one moment, by `lua/erase.lua`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orchestrator.core.errors.store import StaleVersionError
from orchestrator.core.ports.tenants import UserStore
from orchestrator.core.session import Instant, WatchKey, shard_of
from orchestrator.store import keys
from orchestrator.store.codec import encode
from orchestrator.store.scripts import Argument, Call, Scripts

MOST_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class _Known:
    """What there is of a user, by id. It lies in this shard."""

    shard: int
    tenant_id: str
    user_id: str
    sessions: list[str]
    apps: list[str]
    profiles: list[str]

    @property
    def watches(self) -> list[WatchKey]:
        """The user's watches."""
        return [WatchKey(tenant_id=self.tenant_id, user_id=self.user_id, app_id=app_id) for app_id in self.apps]

    @property
    def call(self) -> Call:
        """The call that erases it."""
        shard, user = self.shard, (self.tenant_id, self.user_id)
        of_sessions = [
            name(shard, session_id)
            for session_id in self.sessions
            for name in (
                keys.session,
                keys.events,
                keys.signals,
                keys.session_endpoints,
                keys.session_lanes,
                keys.session_deliveries,
                keys.session_messages,
                keys.session_deleted_endpoints,
            )
        ]
        of_watches = [
            name(shard, watch)
            for watch in self.watches
            for name in (keys.watch, keys.waiters, keys.popups, keys.claims)
        ]
        names = [
            keys.index(shard, self.tenant_id),
            *(name(shard) for name in (keys.wake, keys.outbox, keys.strong, keys.quiet, keys.visible, keys.kept)),
            keys.pages(shard),
            keys.good_receipts(shard),
            keys.receipts(shard, *user),
            keys.open_sessions(shard, *user),
            keys.references(shard, *user),
            keys.user_watches(shard, *user),
            keys.user_profiles(shard, *user),
            keys.credential(shard, *user),
            keys.untold(shard),
            *(name(shard) for name in (keys.lanes, keys.lane_holders, keys.lanes_held, keys.delivery_index)),
            *(name(shard) for name in (keys.sign_ins, keys.kept_sign_ins)),
            keys.calls(shard, *user),
            keys.waiting(shard, self.tenant_id),
            keys.quoted(shard),
            keys.last_generation(shard),
            keys.user_sign_ins(shard, *user),
            *of_sessions,
            *of_watches,
        ]
        arguments: list[Argument] = [
            keys.index_prefix("user", self.user_id),
            keys.receipt_member(*user, ""),
            keys.CHANGED,
            encode(self.sessions),
            encode([{"name": keys.watch_name(watch), "app": watch.app_id} for watch in self.watches]),
            encode(self.profiles),
            keys.user_member(*user),
        ]
        return Call("erase", names, arguments)


class RedisUserStore:
    """`UserStore` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts, *, shards: int) -> None:
        self._scripts = scripts
        self._shards = shards

    async def erase(self, tenant_id: str, user_id: str, *, now: Instant) -> None:
        """Erase everything that is kept of a user.

        What lies outside their shard goes first, while the shard still says where it is: dying in between leaves
        enough for the next try to find the rest.
        """
        for _ in range(MOST_TRIES):
            known = await self._known(tenant_id, user_id)
            await self._leave_profiles(known, now=now)
            if await self._scripts.call(known.call) == [b"done"]:
                return
        raise StaleVersionError(user_id=user_id)

    async def _known(self, tenant_id: str, user_id: str) -> _Known:
        shard = shard_of(tenant_id, user_id, shards=self._shards)
        prefix = keys.index_prefix("user", user_id).encode()
        members, apps, profiles, profile_id = await self._scripts.run(
            ("ZRANGE", keys.index(shard, tenant_id), b"[" + prefix, b"(" + prefix + b"\xff", "BYLEX"),
            ("SMEMBERS", keys.user_watches(shard, tenant_id, user_id)),
            ("SMEMBERS", keys.user_profiles(shard, tenant_id, user_id)),
            ("HGET", keys.credential(shard, tenant_id, user_id), "profile_id"),
        )
        return _Known(
            shard=shard,
            tenant_id=tenant_id,
            user_id=user_id,
            sessions=[member.decode().rpartition(":")[2] for member in members],
            apps=sorted(app.decode() for app in apps),
            profiles=sorted(profile.decode() for profile in {*profiles, *([profile_id] if profile_id else [])}),
        )

    async def _leave_profiles(self, known: _Known, *, now: Instant) -> None:
        """Count the user no more, but for as long as a popup of theirs may yield something count a nameless one."""
        if not known.profiles:
            return
        latest = await self._scripts.run(
            *(("ZRANGE", keys.popups(known.shard, watch), -1, -1, "WITHSCORES") for watch in known.watches)
        )
        until = max((int(score) for found in latest for score in found[1::2]), default=now)
        for profile_id in known.profiles:
            profile = keys.profile_users(known.tenant_id, profile_id)
            if until > now:
                await self._scripts.run(("SADD", profile, keys.nameless(until)))
            await self._scripts.run(("SREM", profile, known.user_id))


if TYPE_CHECKING:
    _: type[UserStore] = RedisUserStore
