"""What operators count, read from indexes and counts that commits keep."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import product
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from orchestrator.core.health import Fate, Popups, Stage
from orchestrator.core.ports.calls import CallEnd, CallKind
from orchestrator.core.ports.census import AppSessions, CensusStore, Counts, Situation, WaitingSession
from orchestrator.core.session import BrowserFamily, Instant, Reason, SessionStatus, StepState
from orchestrator.core.waiting import STUCK_AFTER
from orchestrator.store import keys
from orchestrator.store.scripts import Call, Reply, Scripts

WAITS = keys.index_situation(SessionStatus.BUILDING, StepState.AWAITING_POPUP, None)

FIELDS_KNOWN: Final = 32_768
"""So many things that are counted are known at a time."""

_Field: TypeAlias = (
    tuple[Literal["popup"], Popups, Fate]
    | tuple[Literal["call"], CallKind, CallEnd]
    | tuple[Literal["stage"], str, Stage]
    | tuple[Literal["title"], str]
)


class RedisCensusStore:
    """`CensusStore` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts, *, shards: int) -> None:
        self._scripts = scripts
        self._shards = shards

    async def situations(self, tenants: Sequence[str], *, app_id: str | None = None) -> Mapping[Situation, int]:
        """Count sessions by where they stand."""
        prefix = keys.index_prefix("all") if app_id is None else keys.index_prefix("app", app_id)
        calls = [Call("count_sessions", [index], [prefix]) for index in self._indexes(tenants)]
        counts: Counter[Situation] = Counter()
        for reply in await self._scripts.call_each(calls):
            for status, state, reason, count in _by(4, reply):
                counts[_situation(status, state, reason)] += count
        return counts

    async def apps(self, tenants: Sequence[str]) -> Mapping[str, AppSessions]:
        """Count sessions by app."""
        arguments = [keys.index_prefix("app").removesuffix(":"), WAITS]
        calls = [Call("count_apps", [index], arguments) for index in self._indexes(tenants)]
        sessions: Counter[bytes] = Counter()
        waiting: Counter[bytes] = Counter()
        for reply in await self._scripts.call_each(calls):
            for app, count, waits in _by(3, reply):
                sessions[app] += count
                waiting[app] += waits
        return {
            keys.unquoted(app.decode()): AppSessions(sessions=count, waiting=waiting[app])
            for app, count in sessions.items()
        }

    async def waiting(self, tenants: Sequence[str], *, now: Instant) -> tuple[WaitingSession, ...]:
        """Return every session in which somebody waits."""
        overdue = await self._overdue(now - STUCK_AFTER)
        if not tenants:
            return ()
        places = list(product(tenants, range(self._shards)))
        replies = await self._scripts.run(*(("HGETALL", keys.waiting(shard, tenant)) for tenant, shard in places))
        return tuple(
            _waiting(tenant_id, session_id.decode(), value.decode(), overdue)
            for (tenant_id, _), reply in zip(places, replies, strict=True)
            for session_id, value in reply.items()
        )

    async def hours(self, begun: Sequence[Instant]) -> tuple[Counts, ...]:
        """Return what was counted in each of these hours."""
        return await self._counts(keys.hour, begun)

    async def minutes(self, begun: Sequence[Instant]) -> tuple[Counts, ...]:
        """Return the popups and calls that were counted in each of these minutes."""
        return await self._counts(keys.minute, begun)

    def _indexes(self, tenants: Sequence[str]) -> list[str]:
        return [keys.index(shard, tenant_id) for tenant_id in tenants for shard in range(self._shards)]

    async def _overdue(self, due: Instant) -> set[bytes]:
        """Return the names of watches that were due then and are so still."""
        queues = [queue(shard) for shard in range(self._shards) for queue in (keys.strong, keys.quiet)]
        replies = await self._scripts.run(*(("ZRANGE", queue, "-inf", due, "BYSCORE") for queue in queues))
        return {name for reply in replies for name in reply}

    async def _counts(self, name: Callable[[int, Instant], str], begun: Sequence[Instant]) -> tuple[Counts, ...]:
        reads = [("HGETALL", name(shard, at)) for at in begun for shard in range(self._shards)]
        replies = await self._scripts.run(*reads)
        return tuple(_sum(replies[number : number + self._shards]) for number in range(0, len(replies), self._shards))


@cache
def _situation(status: bytes, state: bytes, reason: bytes) -> Situation:
    """Read back where sessions stand, as `index_situation` writes it; there are not many such places."""
    return Situation(
        status=SessionStatus(status.decode()),
        state=StepState(state.decode()),
        reason=None if reason == b"-" else Reason(reason.decode()),
    )


def _by(size: int, reply: Reply) -> Iterator[tuple[Reply, ...]]:
    parts = iter(reply)
    return zip(*[parts] * size, strict=True)


def _waiting(tenant_id: str, session_id: str, value: str, overdue: set[bytes]) -> WaitingSession:
    waiting, names = keys.value_waiting(value)
    is_overdue = bool(overdue) and any(name.encode() in overdue for name in names)
    return WaitingSession(tenant_id=tenant_id, session_id=session_id, waiting=waiting, is_overdue=is_overdue)


def _sum(replies: Sequence[Mapping[bytes, bytes]]) -> Counts:
    """Add up what the shards counted in the same time."""
    stages: Counter[tuple[str, Stage]] = Counter()
    popups: defaultdict[Popups, Counter[Fate]] = defaultdict(Counter)
    calls: defaultdict[CallKind, Counter[CallEnd]] = defaultdict(Counter)
    titles: dict[str, str] = {}
    for field, value in (pair for reply in replies for pair in reply.items()):
        match _field(field):
            case "popup", of, fate:
                popups[of][fate] += int(value)
            case "call", kind, end:
                calls[kind][end] += int(value)
            case "stage", tenant_id, stage:
                stages[tenant_id, stage] += int(value)
            case "title", app_id:
                titles[app_id] = value.decode()
    return Counts(stages=stages, popups=popups, calls=calls, titles=titles)


@lru_cache(maxsize=FIELDS_KNOWN)
def _field(field: bytes) -> _Field:
    """Read back what is counted, as `keys` writes it; every shard, hour and minute counts the same things."""
    match field.decode().split(":"):
        case ["p", tenant_id, app_id, browser, fate]:
            popups = Popups(
                tenant_id=keys.unquoted(tenant_id), app_id=keys.unquoted(app_id), browser=BrowserFamily(browser)
            )
            return "popup", popups, Fate(fate)
        case ["s", tenant_id, stage]:
            return "stage", keys.unquoted(tenant_id), Stage(stage)
        case ["c", tenant_id, endpoint, end]:
            kind = CallKind(tenant_id=keys.unquoted(tenant_id), endpoint=keys.unquoted(endpoint))
            return "call", kind, CallEnd(end)
        case ["t", app_id]:
            return "title", keys.unquoted(app_id)
        case unknown:
            raise ValueError(unknown)


if TYPE_CHECKING:
    _: type[CensusStore] = RedisCensusStore
