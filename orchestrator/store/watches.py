"""Watches in a Redis-protocol store: who waits is written by commits, the rest by the scripts named here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator.core.effects import Due
from orchestrator.core.errors.store import LeaseLostError, StaleVersionError
from orchestrator.core.ports.watches import (
    KEPT_CHECKS,
    PAUSED,
    DueWatch,
    Leased,
    PlannedWatch,
    Popup,
    Settlement,
    Urgency,
    Watch,
    WatchPage,
    WatchQuery,
    WatchStore,
)
from orchestrator.core.session import Instant, Session, WatchKey, shard_of
from orchestrator.store import keys as names
from orchestrator.store.codec import decode_session
from orchestrator.store.places import WatchPlace
from orchestrator.store.rules import is_of
from orchestrator.store.scripts import Argument, Call, Reply, Scripts


class RedisWatchStore:
    """`WatchStore` on a Redis-protocol server."""

    def __init__(self, scripts: Scripts, *, shards: int) -> None:
        self._scripts = scripts
        self._shards = shards

    async def load(self, key: WatchKey, *, now: Instant) -> Watch:
        """Return the watch as it is."""
        return (await self.load_with_sessions(key, (), now=now))[0]

    async def leased(self, key: WatchKey, *, token: str, now: Instant) -> Leased | None:
        """Return what a check begins with, if the lease is good."""
        shard = self._shard(key)
        (kept_token, until, failures), waiters, pages = await self._scripts.run(
            ("HMGET", names.watch(shard, key), "lease_token", "lease_until", "failures"),
            ("SMEMBERS", names.waiters(shard, key)),
            ("HGET", names.pages(shard), names.watch_name(key)),
        )
        if kept_token != token.encode() or int(until or 0) <= now:
            return None
        session_ids = frozenset(names.member_waiter(waiter.decode()).session_id for waiter in waiters)
        return Leased(failures=int(failures or 0), pages=int(pages or 1), session_ids=session_ids)

    async def load_with_sessions(
        self, key: WatchKey, session_ids: Collection[str], *, now: Instant
    ) -> tuple[Watch, tuple[Session, ...]]:
        """Return the watch with these sessions of its user."""
        shard = self._shard(key)
        touched = [
            *(part(shard, key) for part in (names.watch, names.waiters, names.popups, names.claims)),
            *(name(shard) for name in (names.strong, names.quiet, names.pages)),
            *(names.session(shard, session_id) for session_id in session_ids),
        ]
        *parts, documents = await self._scripts.call(Call("load_watch", touched, [names.watch_name(key), now]))
        found = [decode_session(document) for document in documents if document is not None]
        return _watch(key, parts), tuple(session for session in found if is_of(session, key))

    async def last_check(self, key: WatchKey) -> Instant | None:
        """Return when the latest complete listing began."""
        (checks,) = await self._scripts.run(("HGET", names.watch(self._shard(key), key), "checks"))
        return int(checks.rpartition(b" ")[2]) if checks else None

    async def next_checks(self, keys: Collection[WatchKey]) -> Mapping[WatchKey, Instant | None]:
        """Return when each watch will be checked next."""
        by_shard: defaultdict[int, list[WatchKey]] = defaultdict(list)
        for key in keys:
            by_shard[self._shard(key)].append(key)
        reads = [
            ("ZMSCORE", queue(shard), *map(names.watch_name, found))
            for shard, found in by_shard.items()
            for queue in (names.strong, names.quiet)
        ]
        scores = iter(await self._scripts.run(*reads))
        return {
            key: sooner(strong, quiet)
            for found in by_shard.values()
            for key, strong, quiet in zip(found, next(scores), next(scores), strict=True)
        }

    async def find(self, query: WatchQuery) -> WatchPage:
        """Return one page of the watches that will be checked."""
        after = WatchPlace(0, "") if query.cursor is None else WatchPlace.from_cursor(query.cursor)
        if query.within is not None and not query.within:
            return WatchPage(watches=())
        wanted = [names.watches_of(tenant_id) for tenant_id in sorted(query.within or ())]
        arguments: list[Argument] = [after.due, after.name, query.limit + 1, *wanted]
        queues = (names.strong, names.quiet)
        calls = [Call("planned", [queue(shard) for queue in queues], arguments) for shard in range(self._shards)]
        found = sorted(
            (WatchPlace(int(due), name.decode()), bool(is_strong))
            for reply in await self._scripts.call_each(calls)
            for name, due, is_strong in zip(reply[::3], reply[1::3], reply[2::3], strict=True)
        )
        page = found[: query.limit]
        return WatchPage(
            watches=tuple(
                PlannedWatch(key=names.named_watch(place.name), due=place.due, is_strong=is_strong)
                for place, is_strong in page
            ),
            cursor=page[-1][0].cursor if len(found) > len(page) else None,
        )

    async def peek(self, *, now: Instant, limit: int) -> tuple[DueWatch, ...]:
        """Return watches that are due and not leased, at most `limit` per shard and urgency."""
        queues = (names.strong, names.quiet, names.visible, names.pages)
        calls = [Call("peek", [queue(shard) for queue in queues], [now, limit]) for shard in range(self._shards)]
        replies = await self._scripts.call_each(calls)
        found = [due for reply in replies for urgency in Urgency for due in _due_watches(urgency, reply[urgency])]
        return tuple(sorted(found, key=lambda due: (due.urgency, due.due, names.watch_name(due.key))))

    async def lease(
        self, keys: Sequence[WatchKey], *, token: str, now: Instant, until: Instant
    ) -> tuple[WatchKey, ...]:
        """Take watches for one check each, those of one shard by one script, all in one exchange."""
        by_shard: defaultdict[int, list[WatchKey]] = defaultdict(list)
        for key in keys:
            by_shard[self._shard(key)].append(key)
        calls = [
            Call(
                "lease_watches",
                [names.strong(shard), names.quiet(shard), *(names.watch(shard, key) for key in of_shard)],
                [token, now, until, *map(names.watch_name, of_shard)],
            )
            for shard, of_shard in by_shard.items()
        ]
        replies = zip(by_shard.values(), await self._scripts.call_each(calls), strict=True)
        taken = {of_shard[number - 1] for of_shard, numbers in replies for number in numbers}
        return tuple(key for key in keys if key in taken)

    async def settle(self, settlement: Settlement) -> None:
        """End a check: write its counters and the next due time, free the lease."""
        key = settlement.key
        shard = self._shard(key)
        touched = [
            names.watch(shard, key),
            names.waiters(shard, key),
            names.strong(shard),
            names.quiet(shard),
            names.visible(shard),
            names.pages(shard),
            names.credential(shard, key.tenant_id, key.user_id),
        ]
        reply = await self._scripts.call(Call("settle", touched, _settlement(settlement)))
        if reply == [b"lease"]:
            raise LeaseLostError(app_id=key.app_id)
        if reply == [b"stale"]:
            raise StaleVersionError(watch_id=names.watch_name(key))

    async def forget_claims(self, shard: int, *, before: Instant, limit: int) -> int:
        """Erase claims made before `before`, and watches of which nothing is left; returns how many claims."""
        (old,) = await self._scripts.run(
            ("ZRANGE", names.kept(shard), "-inf", f"({before}", "BYSCORE", "LIMIT", 0, limit)
        )
        return sum(await self._scripts.call_each([_forget(shard, name.decode(), before=before) for name in old]))

    def _shard(self, key: WatchKey) -> int:
        return shard_of(key.tenant_id, key.user_id, shards=self._shards)


def sooner(*scores: float | bytes | None) -> Instant | None:
    """Return the earliest of these scores of due-lists."""
    return min((int(score) for score in scores if score is not None), default=None)


def _due_watches(urgency: Urgency, reply: Reply) -> list[DueWatch]:
    triples = zip(reply[::3], reply[1::3], reply[2::3], strict=True)
    return [
        DueWatch(key=names.named_watch(name.decode()), urgency=urgency, due=int(since), pages=int(pages or 1))
        for name, since, pages in triples
    ]


def _settlement(settlement: Settlement) -> list[Argument]:
    due = settlement.due or Due()
    return [
        names.watch_name(settlement.key),
        settlement.token,
        settlement.version,
        settlement.now,
        _or_empty(due.strong),
        _or_empty(due.quiet),
        due.visible_until,
        _or_empty(settlement.checked_at),
        KEPT_CHECKS,
        settlement.pages,
        settlement.failures,
        _or_empty(settlement.retry_at) if settlement.paused_for is None else PAUSED,
        PAUSED,
        names.DUE,
        _or_empty(settlement.paused_for),
        names.CHANGED,
    ]


def _or_empty(number: int | None) -> Argument:
    return "" if number is None else number


def _forget(shard: int, name: str, *, before: Instant) -> Call:
    key = names.named_watch(name)
    touched = [
        names.kept(shard),
        names.pages(shard),
        names.user_watches(shard, key.tenant_id, key.user_id),
        *(part(shard, key) for part in (names.watch, names.waiters, names.popups, names.claims)),
    ]
    return Call("forget_claims", touched, [name, key.app_id, before])


def _watch(key: WatchKey, reply: Reply) -> Watch:
    fields, waiters, popups, claims, strong, quiet, pages = reply
    kept = dict(_pairs(fields))
    return Watch(
        key=key,
        version=int(kept.get("version", 0)),
        checks=tuple(int(check) for check in kept.get("checks", "").split()),
        pages=int(pages or 1),
        failures=int(kept.get("failures", 0)),
        retry_at=int(kept["retry_at"]) if "retry_at" in kept else None,
        lease_token=kept.get("lease_token"),
        lease_until=int(kept.get("lease_until", 0)),
        next_check_at=sooner(*(float(score) for score in (strong, quiet) if score)),
        waiters=tuple(sorted(names.member_waiter(waiter.decode()) for waiter in waiters)),
        popups=_popups(popups),
        claims={authentication_id: names.claim_of(claim) for authentication_id, claim in _pairs(claims)},
    )


def _popups(reply: Reply) -> tuple[Popup, ...]:
    found = []
    for member, until in _pairs(reply):
        waiter, attempt_id = names.member_popup(member)
        found.append(Popup(waiter=waiter, attempt_id=attempt_id, until=int(until)))
    return tuple(sorted(found, key=lambda popup: (popup.until, popup.waiter, popup.attempt_id)))


def _pairs(reply: Reply) -> list[tuple[str, str]]:
    texts = [text.decode() for text in reply]
    return list(zip(texts[::2], texts[1::2], strict=True))


if TYPE_CHECKING:
    _: type[WatchStore] = RedisWatchStore
