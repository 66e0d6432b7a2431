"""The promises of the audit and of the record of calls, on every adapter."""

from __future__ import annotations

import pytest

from orchestrator.core.deliveries import Delivery, DeliveryState
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import StaleVersionError
from orchestrator.core.health import HOUR
from orchestrator.core.interventions import AuditEntry, Intervention
from orchestrator.core.ports.audit import AuditQuery
from orchestrator.core.ports.calls import CallRecord
from orchestrator.core.ports.credentials import NewTokens
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.session import session_shard
from orchestrator.store.rules import KEPT_CALLS
from tests.support.store_values import (
    NOON,
    SHARDS,
    TENANT,
    USER,
    WATCH,
    AnyStore,
    a_receipt,
    a_session,
    an_entry,
    committed,
    next_commit,
    wait,
)
from tests.support.webhook_values import a_lane, an_endpoint, told

EVERYTHING = AuditQuery()
OTHERS = a_session("b", tenant="other")


async def audited(store: AnyStore, query: AuditQuery = EVERYTHING) -> list[AuditEntry]:
    """Return the first page of what the audit has."""
    return list((await store.audit.find(query)).entries)


async def test_an_entry_is_kept_as_it_was_made(store: AnyStore) -> None:
    """Whatever it says; twice it is there once, as it was the first time."""
    entry = an_entry(step_id="st1", about="40912355", outcome=Outcome.REFUSED, detail="session_locked")
    await store.audit.add(entry)
    await store.audit.add(an_entry(reason="another"))

    assert await audited(store) == [entry]


async def test_an_entry_is_written_by_the_commit_it_goes_with(store: AnyStore) -> None:
    """With the session or not at all: neither when others were faster, nor when the request was carried out before."""
    session = await committed(store, a_session(), audit=an_entry("1"), receipt=a_receipt())
    with pytest.raises(StaleVersionError):
        await store.sessions.commit(next_commit(a_session(), commit_id="late", audit=an_entry("2")))
    await store.sessions.commit(next_commit(session, commit_id="again", audit=an_entry("3"), receipt=a_receipt()))

    assert await audited(store) == [an_entry("1")]


async def test_a_commit_that_is_repeated_leaves_one_entry(store: AnyStore) -> None:
    """Its answer was lost, and it was sent again."""
    commit = next_commit(a_session(), audit=an_entry(), events=2)
    for _ in range(2):
        await store.sessions.commit(commit)

    assert await audited(store) == [an_entry()]
    assert [event.seq for event in (await store.sessions.events(commit.session.id, after=0)).events] == [1, 2]


async def test_a_commit_with_effects_and_an_entry_writes_both(store: AnyStore) -> None:
    """The entry's keys come behind those of the watches."""
    await committed(store, a_session(), audit=an_entry(), effects=[wait(strong=NOON), wait(app="app-2")])

    assert await audited(store) == [an_entry()]
    assert (await store.watches.load(WATCH, now=NOON)).next_check_at == NOON


async def test_entries_come_youngest_first_in_pages(store: AnyStore) -> None:
    """Over every shard; a page ends where the next one begins."""
    users = [f"user-{number}" for number in range(7)]
    made = [an_entry(str(number), session=a_session(user=user), at=NOON + number) for number, user in enumerate(users)]
    for entry in made:
        await store.audit.add(entry)

    seen: list[AuditEntry] = []
    cursor: str | None = None
    while True:
        page = await store.audit.find(AuditQuery(limit=3, cursor=cursor))
        seen += page.entries
        cursor = page.cursor
        if cursor is None:
            break

    assert len({session_shard(entry.session_id) for entry in made}) > 1
    assert seen == made[::-1]


async def test_entries_are_found_by_what_they_say(store: AnyStore) -> None:
    """Each given value narrows, alone and together; tenants that may not be seen are not there."""
    mine = an_entry("1", session=a_session("a"), action=Intervention.BIND)
    other = an_entry("2", session=a_session("c"), key="ak1", at=NOON + 1)
    theirs = an_entry("3", session=OTHERS, at=NOON + 2)
    for entry in (mine, other, theirs):
        await store.audit.add(entry)

    for query, expected in (
        (AuditQuery(session_id=mine.session_id), [mine]),
        (AuditQuery(key_id="ak1"), [other]),
        (AuditQuery(action=Intervention.CHECK_NOW), [theirs, other]),
        (AuditQuery(key_id="ak0", action=Intervention.CHECK_NOW), [theirs]),
        (AuditQuery(within=frozenset({TENANT})), [other, mine]),
        (AuditQuery(within=frozenset({TENANT, "other"})), [theirs, other, mine]),
        (AuditQuery(within=frozenset({TENANT}), key_id="ak0"), [mine]),
        (AuditQuery(within=frozenset({TENANT}), session_id=theirs.session_id), []),
        (AuditQuery(within=frozenset()), []),
        (AuditQuery(session_id="no session"), []),
        (AuditQuery(key_id="nobody:%"), []),
    ):
        assert await audited(store, query) == expected, query


@pytest.mark.parametrize("cursor", ["", "x", "MDAw", "MTIzNDU2Nzg5MDEyMzQ1Og=="])
async def test_a_cursor_of_somebody_elses_is_refused(store: AnyStore, cursor: str) -> None:
    """It would begin anywhere."""
    with pytest.raises(ValueError, match="no cursor"):
        await store.audit.find(AuditQuery(cursor=cursor))


async def test_time_removes_entries_the_oldest_first(store: AnyStore) -> None:
    """With all that leads to them; in one shard, so many at a time."""
    for number in range(4):
        await store.audit.add(an_entry(str(number), at=NOON + number))
    shard = session_shard(a_session().id)

    assert await store.audit.forget(shard, before=NOON + 3, limit=2) == 2
    assert [entry.id for entry in await audited(store)] == ["au3", "au2"]
    assert [entry.id for entry in await audited(store, AuditQuery(key_id="ak0"))] == ["au3", "au2"]
    assert await store.audit.forget(shard, before=NOON + 3, limit=9) == 1
    assert await store.audit.forget(shard, before=NOON + 3, limit=9) == 0
    assert await store.audit.forget((shard + 1) % SHARDS, before=NOON + 9, limit=9) == 0
    assert [entry.id for entry in await audited(store, AuditQuery(within=frozenset({TENANT})))] == ["au3"]


async def test_the_audit_outlives_its_session_and_its_user(store: AnyStore) -> None:
    """It names neither but by the session's id."""
    session = await committed(store, a_session(), audit=an_entry())
    await store.users.erase(TENANT, USER, now=NOON)

    with pytest.raises(SessionNotFoundError):
        await store.sessions.load_any(session.id)
    assert await audited(store) == [an_entry()]


async def test_a_replay_is_audited_with_what_it_does(store: AnyStore) -> None:
    """By the same script; where nothing is put into its lane again there is no entry either."""
    session = await told(store, events=2)
    first = await store.deliveries.get(a_lane(session), 1)
    assert first is not None
    with pytest.raises(StaleVersionError):
        await replayed(store, first, was=DeliveryState.DEAD, audit=an_entry("1"))
    await replayed(store, first, audit=an_entry("2"))
    await replayed(store, first)
    await store.sessions.purge(session)
    with pytest.raises(SessionNotFoundError):
        await replayed(store, first, audit=an_entry("3"))

    assert await audited(store) == [an_entry("2")]


async def replayed(
    store: AnyStore,
    delivery: Delivery,
    *,
    was: DeliveryState = DeliveryState.PENDING,
    audit: AuditEntry | None = None,
) -> None:
    """Have a delivery made once more."""
    again = delivery.again(now=NOON, asked_by=None)
    await store.deliveries.replay(again, was=was, body=b"{}", now=NOON, audit=audit)


async def test_a_sessions_deliveries_are_read_together(store: AnyStore) -> None:
    """To whichever endpoint, the newest ones, in order."""
    endpoints = [an_endpoint("a"), an_endpoint("b")]
    session = await told(store, events=3, endpoints=endpoints)

    found = await store.deliveries.of_session(session.id, limit=3)
    ids = sorted(endpoint.id for endpoint in endpoints)
    assert [(one.seq, one.lane.endpoint_id) for one in found] == [(2, ids[1]), (3, ids[0]), (3, ids[1])]
    assert await store.deliveries.of_session(OTHERS.id, limit=9) == ()


async def test_the_newest_calls_of_a_user_are_kept(store: AnyStore) -> None:
    """Of each user apart, and none of an erased one."""
    calls = [
        CallRecord(at=NOON + number, endpoint="GET /v2/apps", took=7, status=200) for number in range(KEPT_CALLS + 2)
    ]
    failed = CallRecord(at=NOON, endpoint="GET /v2/zaps", took=9, status=None, problem="time limit", app_id="app-1")
    for tenant in (TENANT, "other"):
        await store.credentials.put(tenant, USER, NewTokens(access_token="t"), profile=None, now=NOON)
    for call in calls:
        await store.calls.note(TENANT, USER, call)
    await store.calls.note("other", USER, failed)

    assert await store.calls.of_user(TENANT, USER) == tuple(calls[2:])
    assert await store.calls.of_user("other", USER) == (failed,)
    await store.users.erase(TENANT, USER, now=NOON)
    assert await store.calls.of_user(TENANT, USER) == ()


async def test_a_call_that_was_under_way_for_an_erased_user_is_counted_and_not_kept(store: AnyStore) -> None:
    """Its answer came later, and says nothing of whom it was for."""
    await store.credentials.put(TENANT, USER, NewTokens(access_token="t"), profile=None, now=NOON)
    await store.users.erase(TENANT, USER, now=NOON)
    await store.calls.note(TENANT, USER, CallRecord(at=NOON, endpoint="GET /v2/apps", took=7, status=200))
    (hour,) = await store.census.hours([NOON - NOON % HOUR])

    assert await store.calls.of_user(TENANT, USER) == ()
    assert [sum(ends.values()) for ends in hour.calls.values()] == [1]
