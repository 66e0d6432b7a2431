"""The promises of `CensusStore`, and of searches for sessions, on every adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest

from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.events import Event, EventName
from orchestrator.core.health import HOUR, Fate, Popups, Stage
from orchestrator.core.ports.calls import CallEnd, CallKind, CallRecord
from orchestrator.core.ports.census import AppSessions, Situation
from orchestrator.core.ports.sessions import Commit, SessionQuery
from orchestrator.core.ports.watches import WatchQuery
from orchestrator.core.ports.workers import WorkerReport
from orchestrator.core.session import (
    MINUTE,
    SECOND,
    App,
    Attempt,
    Browser,
    BrowserFamily,
    Channel,
    ConnectLink,
    Evidence,
    Hint,
    HintKind,
    Instant,
    Reason,
    Session,
    SessionStatus,
    Step,
    StepState,
    Zap,
    ZapState,
)
from orchestrator.core.tenants import DEFAULT_TENANT, Tenant
from orchestrator.core.waiting import STUCK_AFTER, Waiting
from tests.support.store_values import APP, NOON, TENANT, AnyStore, a_session, committed, next_commit, wait

OTHER: Final = "other:app"
ATTEMPT: Final = Attempt(id="at1", app_id=APP, opened_at=NOON, deadline=NOON + 600_000, browser=BrowserFamily.SAFARI)
CHOSEN: Final = Step(id="st1", app=App(id=APP, title="An app"), state=StepState.NEEDS_AUTH)
OPEN: Final = replace(CHOSEN, state=StepState.AWAITING_POPUP, attempts=(ATTEMPT,))
ELSEWHERE: Final = replace(OPEN, app=App(id=OTHER, title="B"), attempts=(replace(ATTEMPT, app_id=OTHER),))
IN_SAFARI: Final = Popups(tenant_id=TENANT, app_id=APP, browser=BrowserFamily.SAFARI)


def heard(at: Instant, kind: HintKind = HintKind.FINISHED) -> Step:
    """Return a step whose user said something."""
    return replace(OPEN, attempts=(replace(ATTEMPT, hints=(Hint(kind=kind, at=at),)),))


async def told(
    store: AnyStore, before: Session, *names: EventName, now: Instant = NOON, data: dict[str, object] | None = None,
    **changes: object,
) -> Session:  # fmt: skip
    """Commit a change that tells of these events."""
    commit = next_commit(before, events=len(names), now=now, **changes)  # type: ignore[arg-type]
    events = tuple(
        Event(seq=before.seq + number, name=name, at=now, step_id="st1", data=data or {"attempt_id": "at1"})
        for number, name in enumerate(names, start=1)
    )
    await store.sessions.commit(replace(commit, events=events))
    return commit.session


async def found(store: AnyStore, **query: object) -> list[str]:
    """Return the users whose sessions a search finds, page by page."""
    users: list[str] = []
    cursor: str | None = None
    while True:
        asked = SessionQuery(**({"tenant_id": TENANT, "limit": 2} | query), cursor=cursor)  # type: ignore[arg-type]
        page = await store.sessions.find(asked)
        users += [session.user_id for session in page.sessions]
        if (cursor := page.cursor) is None:
            return users


# --- searches -------------------------------------------------------------------------------------------------


async def test_sessions_are_found_by_everything_together(store: AnyStore) -> None:
    """App, reason, state and status; what matches only some of it is left out."""
    needs = replace(CHOSEN, reason=Reason.TIMED_OUT)
    kinds: list[dict[str, object]] = [
        {"steps": (needs,)},
        {"steps": (needs, replace(CHOSEN, id="st2", app=App(id=OTHER, title="B")))},
        {"steps": (replace(needs, app=App(id=OTHER, title="B")),)},
        {"steps": (CHOSEN,)},
        {"steps": (needs,), "ended": SessionStatus.EXPIRED},
        {},
    ]
    for number, changes in enumerate(kinds):
        await committed(store, a_session(f"s{number}", user=f"u{number}", created_at=NOON + number), **changes)

    assert await found(store) == ["u5", "u4", "u3", "u2", "u1", "u0"]
    assert await found(store, app_id=APP) == ["u4", "u3", "u1", "u0"]
    assert await found(store, app_id=OTHER) == ["u2", "u1"]
    assert await found(store, reason=Reason.TIMED_OUT) == ["u4", "u2", "u1", "u0"]
    assert await found(store, app_id=APP, reason=Reason.TIMED_OUT, status=SessionStatus.BUILDING) == ["u1", "u0"]
    assert await found(store, app_id=OTHER, state=StepState.NEEDS_AUTH, user_id="u2") == ["u2"]
    assert await found(store, app_id=OTHER, user_id="u3") == []
    assert await found(store, state=StepState.CHOOSE_APP, status=SessionStatus.EXPIRED) == []
    assert await found(store, begun_from=NOON + 1, begun_before=NOON + 4) == ["u3", "u2", "u1"]
    assert await found(store, app_id=APP, begun_before=NOON + 1) == ["u0"]


async def test_sessions_are_found_by_what_people_quote(store: AnyStore) -> None:
    """Its reference, also once it has ended; the code of a browser, and its Zap's id. Parts of these find nothing."""
    link = ConnectLink(
        id="cl1",
        digest="d",
        made_at=NOON,
        expires_at=NOON + 1,
        browser=Browser(digest="a", code="K7Q2MX4D", at=NOON),
        waiting=(Browser(digest="b", code="W8T1NG00", at=NOON),),
    )
    await committed(store, a_session("a", user="u0"), reference="order: 7/ä", ended=SessionStatus.CANCELLED)
    await committed(store, a_session("b", user="u1", created_at=NOON + 1), steps=(replace(CHOSEN, links=(link,)),))
    zap = Zap(state=ZapState.CREATED, id="zap-1")
    await committed(store, a_session("c", user="u2"), zap=zap, ended=SessionStatus.CREATED)

    assert await found(store, quoted="order: 7/ä") == ["u0"]
    assert await found(store, quoted="K7Q2MX4D") == await found(store, quoted="W8T1NG00") == ["u1"]
    assert await found(store, quoted="zap-1", status=SessionStatus.CREATED) == ["u2"]
    assert await found(store, quoted="order") == await found(store, quoted="zap-1", user_id="u0") == []


async def test_an_error_leads_to_its_session(store: AnyStore) -> None:
    """By its reference; of each session the newest twenty, until it is purged or its user erased."""
    sessions = [await committed(store, a_session(f"s{number}", user=f"u{number}")) for number in range(3)]
    for number in range(21):
        await store.sessions.quote(sessions[0].id, f"error-{number}")
    for session in sessions[1:]:
        await store.sessions.quote(session.id, f"of-{session.user_id}")
    ended = await committed(store, sessions[1], ended=SessionStatus.CANCELLED)

    assert [await store.sessions.quoted(f"error-{number}") for number in (0, 1, 20)] == [None, *[sessions[0].id] * 2]
    assert await store.sessions.quoted("of-u1") == sessions[1].id
    await store.sessions.purge(ended)
    await store.users.erase(TENANT, "u2", now=NOON)
    assert [await store.sessions.quoted(f"of-u{number}") for number in (1, 2)] == [None, None]
    with pytest.raises(SessionNotFoundError):
        await store.sessions.quote(sessions[2].id, "late")


async def test_one_session_is_found_if_it_is_all_that_is_asked_for(store: AnyStore) -> None:
    """And under no other tenant."""
    session = await committed(store, a_session("a", user="u0"), steps=(CHOSEN,))

    assert await found(store, session_id=session.id, app_id=APP) == ["u0"]
    assert await found(store, session_id=session.id, app_id=OTHER) == []
    assert await found(store, session_id=session.id, tenant_id="other") == []
    assert await found(store, session_id="zs00nobody00000000") == []


async def test_whoever_sees_some_tenants_finds_nothing_of_others(store: AnyStore) -> None:
    """Not even by naming one."""
    for tenant in ("beta", "other"):
        await store.tenants.create(Tenant(id=tenant, name="", created_at=NOON))
    for tenant in (DEFAULT_TENANT, "beta", "other"):
        await committed(store, a_session(tenant[:5], user=tenant, tenant=tenant), steps=(CHOSEN,))

    assert await found(store, tenant_id=None, within=frozenset({"beta", "other"}), app_id=APP) == ["beta", "other"]
    assert await found(store, tenant_id="other", within=frozenset({"beta"})) == []
    assert await found(store, tenant_id=None, within=frozenset()) == []


async def test_who_was_heard_too_long_ago_is_stuck(store: AnyStore) -> None:
    """Until then they are not, nor is who said nothing, nor who has what they wanted."""
    now = NOON + MINUTE
    late = now - STUCK_AFTER
    await committed(store, a_session("a", user="stuck"), steps=(heard(late),))
    await committed(store, a_session("b", user="soon"), steps=(heard(late + 1),))
    await committed(store, a_session("c", user="silent"), steps=(OPEN,))
    await committed(store, a_session("d", user="closed"), steps=(heard(late, HintKind.CLOSED),))
    helped = await committed(store, a_session("e", user="helped"), steps=(heard(late),))
    resolved = replace(heard(late), state=StepState.RESOLVED)
    await committed(store, helped, steps=(resolved,))

    assert await found(store, stuck_at=late) == ["stuck"]
    assert await found(store, stuck_at=late + 1, app_id=APP, state=StepState.AWAITING_POPUP) == ["stuck", "soon"]
    assert await found(store, stuck_at=late, user_id="silent") == []
    assert await found(store, stuck_at=late, app_id=OTHER) == []


async def test_whose_check_is_overdue_is_stuck(store: AnyStore) -> None:
    """By a signal or without one; a lease puts it off."""
    now = NOON + MINUTE
    late = now - STUCK_AFTER
    await committed(store, a_session("a", user="strong"), steps=(OPEN,), effects=[wait(strong=late)])
    await committed(store, a_session("b", user="quiet"), steps=(OPEN,), effects=[wait(quiet=late)])
    await committed(store, a_session("c", user="planned"), steps=(OPEN,), effects=[wait(strong=now, quiet=now)])

    before = await found(store, stuck_at=late)
    waits = {one.session_id: one.is_overdue for one in await store.census.waiting([TENANT], now=now)}
    for watch in await store.watches.peek(now=now, limit=9):
        await store.watches.lease([watch.key], token="t", now=now, until=now + MINUTE)

    assert sorted(before) == ["quiet", "strong"]
    assert sorted(waits.values()) == [False, True, True]
    assert await found(store, stuck_at=late) == []


# --- counts ---------------------------------------------------------------------------------------------------


async def test_sessions_are_counted_where_they_stand(store: AnyStore) -> None:
    """Now, not where they stood; in all of a tenant, or those with one app."""
    await committed(store, a_session("a", user="u0"), steps=(OPEN,))
    moved = await committed(store, a_session("b", user="u1"), steps=(OPEN,))
    await committed(store, moved, steps=(replace(CHOSEN, reason=Reason.TIMED_OUT),))
    await committed(store, a_session("c", user="u2"), steps=(ELSEWHERE,))
    await committed(store, a_session("d", user="u3"), ended=SessionStatus.CANCELLED)
    await committed(store, a_session("e", user="u4", tenant="beta"), steps=(OPEN,))
    waiting = Situation(status=SessionStatus.BUILDING, state=StepState.AWAITING_POPUP)
    timed_out = Situation(status=SessionStatus.BUILDING, state=StepState.NEEDS_AUTH, reason=Reason.TIMED_OUT)
    cancelled = Situation(status=SessionStatus.CANCELLED, state=StepState.CHOOSE_APP)

    assert await store.census.situations([TENANT]) == {waiting: 2, timed_out: 1, cancelled: 1}
    assert await store.census.situations([TENANT], app_id=APP) == {waiting: 1, timed_out: 1}
    assert await store.census.situations([TENANT, "beta"], app_id=APP) == {waiting: 2, timed_out: 1}
    assert await store.census.situations([]) == {}
    assert await store.census.apps([TENANT]) == {
        APP: AppSessions(sessions=2, waiting=1),
        OTHER: AppSessions(sessions=1, waiting=1),
    }


async def test_who_waits_is_known_at_once(store: AnyStore) -> None:
    """With since when, what for, and when they were heard; of other tenants nobody."""
    one = await committed(store, a_session("a"), steps=(heard(NOON + 9),))
    await committed(store, a_session("b", tenant="beta"), steps=(OPEN,))
    (waits,) = await store.census.waiting([TENANT], now=NOON)

    assert (waits.session_id, waits.tenant_id, waits.is_overdue) == (one.id, TENANT, False)
    assert waits.waiting == Waiting(since=NOON, heard_at=NOON + 9, apps=(APP,))
    await committed(store, one, ended=SessionStatus.CANCELLED)
    assert await store.census.waiting([TENANT], now=NOON) == ()


async def test_a_stage_counts_once_for_a_session(store: AnyStore) -> None:
    """In the hour in which it came there first; with the titles of apps."""
    hour = NOON - NOON % HOUR
    session = await told(store, a_session(), EventName.SESSION_CREATED, EventName.APP_CHOSEN, steps=(CHOSEN,))
    session = await told(store, session, EventName.APP_CHOSEN, now=NOON + HOUR)
    await told(store, session, EventName.SESSION_CANCELLED, now=NOON + HOUR)
    await told(store, a_session("b", user="u", tenant="a:b"), EventName.SESSION_CREATED)
    first, second, third = await store.census.hours([hour, hour + HOUR, hour + 2 * HOUR])

    assert first.stages == {(TENANT, Stage.BEGUN): 1, (TENANT, Stage.APP_CHOSEN): 1, ("a:b", Stage.BEGUN): 1}
    assert second.stages == {(TENANT, Stage.CANCELLED): 1}
    assert first.titles == {APP: "An app"}
    assert (third.stages, third.popups, third.calls) == ({}, {}, {})


async def test_popups_are_counted_in_their_hour_and_minute(store: AnyStore) -> None:
    """By tenant, app, family of browsers and what became of them, in the same commit as the event."""
    hour, minute = NOON - NOON % HOUR, NOON - NOON % MINUTE
    evidence = Evidence(channels=(Channel.DIFFERENCE,), checked_at=NOON, attempt_id="at1")
    for number in range(2):
        session = await told(store, a_session(f"s{number}", user=f"u{number}"), EventName.POPUP_OPENED, steps=(OPEN,))
        resolved = replace(OPEN, state=StepState.RESOLVED, evidence=evidence)
        await told(store, session, EventName.AUTH_RESOLVED, steps=(resolved,), now=NOON + MINUTE)
    (of_hour,) = await store.census.hours([hour])
    first, second = await store.census.minutes([minute, minute + MINUTE])

    assert of_hour.popups == {IN_SAFARI: {Fate.OPENED: 2, Fate.WITHOUT_MESSAGE: 2}}
    assert first.popups == {IN_SAFARI: {Fate.OPENED: 2}}
    assert second.popups == {IN_SAFARI: {Fate.WITHOUT_MESSAGE: 2}}


async def test_a_repeated_commit_counts_nothing_twice(store: AnyStore) -> None:
    """Nor does one that loses its race."""
    commit: Commit = next_commit(a_session(), steps=(OPEN,))
    event = Event(seq=1, name=EventName.POPUP_OPENED, at=NOON, step_id="st1", data={"attempt_id": "at1"})
    opened = replace(commit, events=(event,))
    await store.sessions.commit(opened)
    await store.sessions.commit(opened)
    (of_hour,) = await store.census.hours([NOON - NOON % HOUR])

    assert of_hour.popups == {IN_SAFARI: {Fate.OPENED: 1}}


@pytest.mark.parametrize(
    ("status", "end"), [(200, CallEnd.ANSWERED), (404, CallEnd.ANSWERED), (429, CallEnd.REFUSED),
                            (503, CallEnd.FAILED), (None, CallEnd.FAILED)]
)  # fmt: skip
async def test_calls_are_counted_by_tenant_and_endpoint(store: AnyStore, status: int | None, end: CallEnd) -> None:
    """With what became of them."""
    record = CallRecord(at=NOON, endpoint="GET /v2/apps", took=5, status=status)
    for user in ("u0", "u1"):
        await store.calls.note("a:b", user, record)
    (of_hour,) = await store.census.hours([NOON - NOON % HOUR])
    (of_minute,) = await store.census.minutes([NOON - NOON % MINUTE])

    assert of_hour.calls == of_minute.calls == {CallKind(tenant_id="a:b", endpoint="GET /v2/apps"): {end: 2}}


# --- watches and workers --------------------------------------------------------------------------------------


async def planned(store: AnyStore, *, within: Sequence[str] | None = None, limit: int = 2) -> list[tuple[str, Instant]]:
    """Return users and moments of the watches that are listed, page by page."""
    listed: list[tuple[str, Instant]] = []
    cursor: str | None = None
    while True:
        wanted = None if within is None else frozenset(within)
        page = await store.watches.find(WatchQuery(within=wanted, cursor=cursor, limit=limit))
        listed += [(watch.key.user_id, watch.due - NOON) for watch in page.watches]
        if (cursor := page.cursor) is None:
            return listed


async def test_watches_are_listed_by_their_next_check(store: AnyStore) -> None:
    """Once each, under the sooner of their two, in pages of any size."""
    for user, strong, quiet in (("a", 9, 5), ("b", None, 7), ("c", 3, None), ("d", 7, 7), ("e", None, None)):
        effect = wait(strong=None if strong is None else NOON + strong, quiet=None if quiet is None else NOON + quiet)
        await committed(store, a_session(f"s{user}", user=user), effects=[effect])
    await committed(store, a_session("sx", user="x", tenant="beta"), effects=[wait(strong=NOON + 6)])
    expected = [("c", 3), ("a", 5), ("x", 6), ("b", 7), ("d", 7)]

    assert await planned(store, limit=1) == await planned(store, limit=2) == expected
    assert await planned(store, limit=99) == expected
    assert await planned(store, within=["beta"]) == [("x", 6)]
    assert await planned(store, within=[]) == []
    urgent = {one.key.user_id: one.is_strong for one in (await store.watches.find(WatchQuery())).watches}
    assert urgent == {"a": False, "b": False, "c": True, "d": True, "x": True}


@pytest.mark.parametrize("cursor", ["", "x", "MTIz", "NSAgYTpiOmM=", "NSBh"])
async def test_a_foreign_cursor_of_watches_is_refused(store: AnyStore, cursor: str) -> None:
    """It is none of ours."""
    with pytest.raises(ValueError, match="no cursor"):
        await store.watches.find(WatchQuery(cursor=cursor))


async def test_workers_are_known_by_what_they_last_said(store: AnyStore) -> None:
    """The newest first; who ended is gone at once, who was killed in time."""
    old = WorkerReport(id="wk1", host="one", pid=1, started_at=NOON, seen_at=NOON)
    new = WorkerReport(id="wk2", host="two", pid=2, started_at=NOON + 1, seen_at=NOON + 1)
    for report in (old, new, replace(new, seen_at=NOON + 5 * SECOND, checks=3, deliveries=4)):
        await store.workers.report(report)

    assert await store.workers.all() == (replace(new, seen_at=NOON + 5 * SECOND, checks=3, deliveries=4), old)
    assert await store.workers.forget(before=NOON) == 0
    assert await store.workers.forget(before=NOON + 1) == 1
    await store.workers.leave("wk2")
    await store.workers.leave("wk2")
    assert await store.workers.all() == ()
