"""Sealing anew: every secret in the store comes under the newest key, while the deployment runs.

What was done is told by the secrets themselves, so a run that was killed is simply begun again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from orchestrator.store import keys
from orchestrator.store.codec import decode_endpoint, encode
from orchestrator.store.scripts import Call, Scripts
from orchestrator.store.sealing import Seal, SealBrokenError

AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Resealed:
    """How many secrets were sealed anew, were so already, and can be read by no key that is configured."""

    resealed: int = 0
    current: int = 0
    unreadable: int = 0

    def __add__(self, other: Resealed) -> Resealed:
        return Resealed(
            resealed=self.resealed + other.resealed,
            current=self.current + other.current,
            unreadable=self.unreadable + other.unreadable,
        )


_RESEALED: Final = Resealed(resealed=1)
_CURRENT: Final = Resealed(current=1)
_UNREADABLE: Final = Resealed(unreadable=1)


async def reseal(scripts: Scripts, *, servers: Sequence[Scripts], seal: Seal) -> Resealed:
    """Bring every secret under the newest key; `servers` hold the keys between them. Raises StoreError.

    A secret that is put meanwhile by a process that has the newest key is under it already.
    """
    total = Resealed()
    for server in servers:
        for pattern in keys.sealed():
            async for names in _names(server, pattern):
                for name in names:
                    total += await _reseal(scripts, name, seal)
        for pattern in keys.all_endpoints():
            async for names in _names(server, pattern):
                for name in names:
                    total += await _reseal_endpoints(scripts, name, seal)
    return total


async def _names(server: Scripts, pattern: str) -> AsyncIterator[list[str]]:
    """Give the names of keys as the server has them, some at a time: each that was there all the while, once."""
    cursor, seen = 0, set[bytes]()
    while True:
        ((cursor, found),) = await server.run(("SCAN", cursor, "MATCH", pattern, "COUNT", AT_ONCE))
        yield [name.decode() for name in dict.fromkeys(found) if name not in seen]
        seen.update(found)
        if not int(cursor):
            return


async def _reseal_endpoints(scripts: Scripts, name: str, seal: Seal) -> Resealed:
    """Bring the secrets of endpoints that lie together under the newest key; each endpoint counts once."""
    (ids,) = await scripts.run(("HGETALL", name))
    total = Resealed()
    for endpoint_id in ids:
        total += await _reseal_endpoint(scripts, name, endpoint_id, seal)
    return total


async def _reseal_endpoint(scripts: Scripts, name: str, endpoint_id: bytes, seal: Seal) -> Resealed:
    while True:
        (document,) = await scripts.run(("HGET", name, endpoint_id))
        if document is None:
            return Resealed()
        endpoint = decode_endpoint(document)
        try:
            anew = [seal.renewed(secret) for secret in endpoint.secrets]
        except SealBrokenError:
            return _UNREADABLE
        if not any(anew):
            return _CURRENT
        secrets = tuple(
            secret if new is None else new.decode() for secret, new in zip(endpoint.secrets, anew, strict=True)
        )
        changed = encode(replace(endpoint, secrets=secrets, version=endpoint.version + 1))
        write = Call("write_endpoint", [name, name, name], [endpoint_id, changed, endpoint.version, 0, 0])
        if await scripts.call(write) != [b"stale"]:
            return _RESEALED


async def _reseal(scripts: Scripts, name: str, seal: Seal) -> Resealed:
    """Bring one secret under the newest key; when another one takes its place meanwhile, look at that."""
    while True:
        (sealed,) = await scripts.run(("HGET", name, "sealed"))
        if not sealed:
            return Resealed()
        try:
            anew = seal.renewed(sealed)
        except SealBrokenError:
            return _UNREADABLE
        if anew is None:
            return _CURRENT
        if await scripts.call(Call("reseal", [name], [sealed, anew])):
            return _RESEALED
