"""What a server says of itself: as much of it as it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.core.errors.store import StoreError, StoreUnavailableError
from orchestrator.store.scripts import Argument, Reply, Scripts


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReport:
    """What a server says of itself; None is what it does not say, or does not let us ask.

    `version` is its own, whatever it is compatible with. `appendfsync` is also None when it is not persistent.
    `is_cautious` says whether it refuses to write when no replica follows (`min-replicas-to-write`).
    """

    name: str
    version: str | None = None
    maxmemory_policy: str | None = None
    is_persistent: bool | None = None
    appendfsync: str | None = None
    is_cluster: bool = False
    is_replica: bool = False
    replicas: int | None = None
    is_cautious: bool | None = None


async def report(scripts: Scripts) -> ServerReport:
    """Ask a server about itself. Raises StoreUnavailableError."""
    info: Mapping[str, Any] = await _if_allowed(scripts, "INFO") or {}
    hello = _texts(await _if_allowed(scripts, "HELLO"))
    policy = info.get("maxmemory_policy") or await _configured(scripts, "maxmemory-policy")
    is_persistent = await _is_persistent(scripts, info)
    name = info.get("server_name") or hello.get("server", "redis")
    return ServerReport(
        name=name,
        version=info.get(f"{name}_version") or hello.get("version"),
        maxmemory_policy=policy,
        is_persistent=is_persistent,
        appendfsync=await _configured(scripts, "appendfsync") if is_persistent else None,
        is_cluster=hello.get("mode") == "cluster" or bool(info.get("cluster_enabled")),
        is_replica=hello.get("role") == "replica" or info.get("role") == "slave",
        replicas=info.get("connected_slaves"),
        is_cautious="min_slaves_good_slaves" in info if info else None,
    )


async def _is_persistent(scripts: Scripts, info: Mapping[str, Any]) -> bool | None:
    if "aof_enabled" in info:
        return bool(info["aof_enabled"])
    configured = await _configured(scripts, "appendonly")
    return None if configured is None else configured == "yes"


async def _configured(scripts: Scripts, name: str) -> str | None:
    answer = await _if_allowed(scripts, "CONFIG GET", name)
    return str(answer[name]) if answer and name in answer else None


async def _if_allowed(scripts: Scripts, *command: Argument) -> Reply | None:
    """Ask; None when the server will not answer this, ever. Raises StoreUnavailableError."""
    try:
        (answer,) = await scripts.run(command)
    except StoreUnavailableError:
        raise
    except StoreError:
        return None
    return answer


def _texts(hello: Reply | None) -> dict[str, str]:
    """Read the reply to HELLO."""
    if hello is None:
        return {}
    pairs = hello.items() if isinstance(hello, dict) else zip(hello[::2], hello[1::2], strict=True)
    return {_text(name): _text(value) for name, value in pairs if isinstance(value, bytes | str)}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
