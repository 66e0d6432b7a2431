"""Searches for sessions: of every shard that may hold some the youngest that match, merged by age."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from orchestrator.core.ports.sessions import SessionQuery
from orchestrator.core.session import shard_of
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.store import keys
from orchestrator.store.places import Place
from orchestrator.store.scripts import Argument, Call, Reply, Scripts

LOOKED_AT: Final = 2_000
"""Places one run of `lua/find_sessions.lua` looks at, so that it never holds the server up."""

SPARE: Final = 4
"""How many more than its share each shard is asked for at first."""

_TOP: Final = b"\xff"


@dataclass(slots=True)
class _Walk:
    """How far down one shard's index of a tenant we are, and what was found on the way."""

    shard: int
    tenant_id: str
    below: bytes
    found: list[bytes] = field(default_factory=list)
    goes_on: bool = True

    def call(self, query: SessionQuery, *, wanted: int, looked_at: int) -> Call:
        """Return the call that walks on."""
        names = [
            keys.index(self.shard, self.tenant_id),
            keys.waiting(self.shard, self.tenant_id),
            keys.strong(self.shard),
            keys.quiet(self.shard),
        ]
        arguments: list[Argument] = [
            self.below,
            "" if query.begun_from is None else keys.index_place(query.begun_from, ""),
            wanted,
            looked_at,
            query.status or "",
            query.state or "",
            query.reason or "",
            "" if query.stuck_at is None else query.stuck_at,
        ]
        return Call("find_sessions", names, [*arguments, *_prefixes(query)])

    def advance(self, reply: Reply) -> None:
        """Take what the call found."""
        tag, self.below, places = reply
        self.goes_on = tag == b"more"
        self.found += places


async def find_places(scripts: Scripts, query: SessionQuery, *, shards: int, looked_at: int = LOOKED_AT) -> list[Place]:
    """Return the places of the youngest sessions that match, one more than the page holds if there are more.

    No shard is asked for all of them: each for its share and a few more, and once more where that may not have been
    enough. Raises ValueError for a cursor that is not ours.
    """
    below, most = _below(query), query.limit + 1
    walks = [
        _Walk(shard, tenant_id, below)
        for tenant_id in await _tenants(scripts, query)
        for shard in _shards_of(tenant_id, query, shards=shards)
    ]
    wanted = min(most, SPARE + 2 * most // max(1, len(walks)))
    going, found = walks, list[bytes]()
    while going:
        calls = [walk.call(query, wanted=wanted, looked_at=looked_at) for walk in going]
        for walk, reply in zip(going, await scripts.call_each(calls), strict=True):
            walk.advance(reply)
        found = sorted((place for walk in walks for place in walk.found), reverse=True)[:most]
        last = found[-1] if len(found) == most else b""
        going = [walk for walk in walks if walk.goes_on and walk.below > last]
        wanted = most
    return [Place.from_index(place.decode()) for place in found]


def _below(query: SessionQuery) -> bytes:
    """Return where to begin."""
    begun_before = [] if query.begun_before is None else [keys.index_place(query.begun_before, "")]
    cursor = [] if query.cursor is None else [Place.from_cursor(query.cursor).index_place]
    return min((place.encode() for place in (*begun_before, *cursor)), default=_TOP)


async def _tenants(scripts: Scripts, query: SessionQuery) -> list[str]:
    if query.tenant_id is not None:
        known = [query.tenant_id]
    else:
        (found,) = await scripts.run(("SMEMBERS", keys.tenants()))
        known = [DEFAULT_TENANT, *(tenant_id.decode() for tenant_id in found)]
    return [tenant_id for tenant_id in known if query.within is None or tenant_id in query.within]


def _shards_of(tenant_id: str, query: SessionQuery, *, shards: int) -> range | list[int]:
    if query.user_id is None:
        return range(shards)
    return [shard_of(tenant_id, query.user_id, shards=shards)]


def _prefixes(query: SessionQuery) -> list[str]:
    """Return what the sessions must all be found by."""
    wanted = {"user": query.user_id, "app": query.app_id, "quoted": query.quoted}
    given = [keys.index_prefix(dimension, value) for dimension, value in wanted.items() if value is not None]
    if query.stuck_at is not None:
        given.append(keys.index_prefix("waiting"))
    return given or [keys.index_prefix("all")]
