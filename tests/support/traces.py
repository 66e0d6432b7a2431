"""What a store still says of somebody: every key, field, member and value in it is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from redis import Redis

from orchestrator.core.tenants import DEFAULT_TENANT


def everything(redis: Redis) -> Iterator[tuple[str, bytes]]:
    """Give every text in the store, with the key it is under; the key's own name too."""
    for key in redis.scan_iter(count=1_000):
        name = key.decode()
        yield name, key
        yield from ((name, text) for text in _texts(redis, key))


def _texts(redis: Any, key: bytes) -> Iterator[bytes]:
    read: Any = {
        b"string": lambda: [redis.get(key)],
        b"hash": lambda: [text for pair in redis.hgetall(key).items() for text in pair],
        b"set": lambda: redis.smembers(key),
        b"zset": lambda: redis.zrange(key, 0, -1),
        b"list": lambda: redis.lrange(key, 0, -1),
        b"stream": lambda: [text for _, fields in redis.xrange(key) for pair in fields.items() for text in pair],
    }[redis.type(key)]
    yield from read()


def mentions(redis: Redis, names: Iterable[str]) -> dict[str, set[str]]:
    """Return where somebody is mentioned: kind of key → the names that occur in keys of it."""
    wanted = {form: name for name in names for form in (name.encode(), quote(name, safe="").encode())}
    found: dict[str, set[str]] = {}
    for key, text in everything(redis):
        for form, name in wanted.items():
            if form in text:
                found.setdefault(kind_of(key), set()).add(name)
    return found


def kind_of(key: str) -> str:
    """Say what kind of key this is: its name without shards and ids."""
    _, _, rest = key.partition("}:")
    parts = (rest or key).split(":")
    return ":".join(part for part in parts if re.fullmatch(r"[a-z]+", part) and part != DEFAULT_TENANT)
