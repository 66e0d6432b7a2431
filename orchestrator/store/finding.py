"""Lists of sessions: a walk down the index of every shard that may hold some, merged by age."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from orchestrator.core.ports import SessionQuery
from orchestrator.core.session import shard_of
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.store import keys
from orchestrator.store.rules import Place
from orchestrator.store.scripts import Call, Reply, Scripts

LOOKED_AT: Final = 2_000
"""Index members one run of `lua/find.lua` looks at, so that it never holds the server up."""


@dataclass(slots=True)
class Walk:
    """How far down one index we are, and the places that were found on the way."""

    index: str
    below: str
    found: list[str] = field(default_factory=list)
    goes_on: bool = True

    def call(self, prefixes: list[str], *, wanted: int, looked_at: int) -> Call:
        """Return the call that walks on."""
        return Call("find", [self.index], [self.below, wanted, looked_at, *prefixes])

    def advance(self, reply: Reply) -> None:
        """Take what the call found."""
        tag, below, places = reply
        self.goes_on = tag == b"more"
        self.below = below.decode()
        self.found += [place.decode() for place in places]


async def find_places(scripts: Scripts, query: SessionQuery, *, shards: int, looked_at: int = LOOKED_AT) -> list[Place]:
    """Return the places of the youngest sessions that match, at least one more than the page holds if there are more.

    Raises ValueError for a cursor that is not ours.
    """
    below = Place.from_cursor(query.cursor).index_place if query.cursor is not None else ""
    prefixes = _prefixes(query)
    walks = [
        Walk(keys.index(shard, tenant_id), below)
        for tenant_id in await _tenants(scripts, query)
        for shard in _shards_of(tenant_id, query, shards=shards)
    ]
    while going := [walk for walk in walks if walk.goes_on and len(walk.found) <= query.limit]:
        calls = [walk.call(prefixes, wanted=query.limit + 1 - len(walk.found), looked_at=looked_at) for walk in going]
        for walk, reply in zip(going, await scripts.call_each(calls), strict=True):
            walk.advance(reply)
    return sorted((Place.from_index(place) for walk in walks for place in walk.found), reverse=True)


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
    wanted = {"state": query.state, "status": query.status, "app": query.app_id, "user": query.user_id}
    given = [keys.index_prefix(dimension, value) for dimension, value in wanted.items() if value is not None]
    return given or [keys.index_prefix("all")]
