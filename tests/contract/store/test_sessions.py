"""The promises of `SessionStore`, on every adapter."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from orchestrator.core.deliveries import Lane
from orchestrator.core.effects import ClaimAuthentication, LeaseHeld, NoOtherPopup, OpenPopup, Unclaimed
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import GuardFailedError, LeaseLostError, StaleVersionError
from orchestrator.core.ports.credentials import NewTokens, Profile
from orchestrator.core.ports.sessions import SessionQuery, Written
from orchestrator.core.ports.watches import Waiter
from orchestrator.core.ports.webhooks import DeliverySearch
from orchestrator.core.session import (
    App,
    Browser,
    ConnectLink,
    JsonObject,
    LinkEnd,
    Session,
    SessionKey,
    SessionStatus,
    Step,
    StepState,
    WatchKey,
)
from orchestrator.core.tenants import DEFAULT_TENANT, Tenant
from orchestrator.core.trimming import trimmed
from tests.support.store_values import (
    APP,
    NOON,
    TENANT,
    USER,
    WATCH,
    AnyStore,
    a_record,
    a_session,
    an_event,
    committed,
    next_commit,
    session_id,
    wait,
)
from tests.support.webhook_values import OK, a_lane, told

CLAIM = ClaimAuthentication(app_id=APP, step_id="st1", authentication_id="77", by_difference=True)
POPUP = OpenPopup(app_id=APP, step_id="st1", attempt_id="at1", until=NOON + 600_000)


async def ids_found(store: AnyStore, **query: object) -> list[str]:
    """Return the ids on the one page that such a query finds."""
    page = await store.sessions.find(SessionQuery(tenant_id=TENANT, **query))  # type: ignore[arg-type]
    return [session.id for session in page.sessions]


async def test_what_was_committed_is_loaded(store: AnyStore) -> None:
    """A session comes back equal to what was written."""
    browser = Browser(digest="d2", code="K7Q2MX4D", at=NOON)
    link = ConnectLink(
        id="cl1",
        digest="d1",
        made_at=NOON,
        expires_at=NOON + 1,
        browser=browser,
        waiting=(browser,),
        ended=LinkEnd.REVOKED,
    )
    inputs: JsonObject = {"channel": ["#a", None, {"deep": 1.5}]}
    step = Step(id="st1", app=App(id=APP, title="App"), inputs=inputs, links=(link,))
    session = await committed(store, a_session(), title="Ünïcode", steps=(step,), metadata={"plan": "pro"})

    assert await store.sessions.load(session.key) == session


async def test_a_session_is_there_for_its_tenant_alone(store: AnyStore) -> None:
    """For any other there is none, in the same words as if there were none at all."""
    session = await committed(store, a_session())

    with pytest.raises(SessionNotFoundError) as refused:
        await store.sessions.load(SessionKey(tenant_id="other", session_id=session.id))

    assert refused.value.facts == {"session_id": session.id}
    assert await store.sessions.load_any(session.id) == session


async def test_the_sessions_of_every_tenant_are_found_together(store: AnyStore) -> None:
    """Of those that were made and of the default one, merged by age, a page at a time."""
    await store.tenants.create(Tenant(id="acme", name="", created_at=NOON))
    made = []
    for number, tenant in enumerate(["acme", DEFAULT_TENANT, "acme", DEFAULT_TENANT]):
        session = a_session(f"s{number}", tenant=tenant, created_at=NOON + number)
        made.append((await committed(store, session)).id)

    first = await store.sessions.find(SessionQuery(tenant_id=None, limit=3))
    second = await store.sessions.find(SessionQuery(tenant_id=None, limit=3, cursor=first.cursor))
    of_user = await store.sessions.find(SessionQuery(tenant_id=None, user_id=USER))

    assert [session.id for session in (*first.sessions, *second.sessions)] == made[::-1]
    assert second.cursor is None
    assert len(of_user.sessions) == 4


@pytest.mark.parametrize("unknown", ["zs00unknownunknown", "zsff", "", "../../etc", "zs00a:b c{}dddddddd"])
async def test_an_unknown_session_is_not_found(store: AnyStore, unknown: str) -> None:
    """Text that is no session id finds nothing either, whatever is asked of it."""
    for asked in (
        store.sessions.load(SessionKey(tenant_id=TENANT, session_id=unknown)),
        store.sessions.load_any(unknown),
        store.sessions.signals(unknown),
        store.sessions.events(unknown, after=0),
        store.sessions.record(unknown, a_record()),
    ):
        with pytest.raises(SessionNotFoundError):
            await asked


async def test_the_second_of_two_rival_commits_is_refused(store: AnyStore) -> None:
    """Two writers that read the same version cannot both write the next one."""
    session = await committed(store, a_session())
    await committed(store, session, commit_id="ours", title="ours")

    with pytest.raises(StaleVersionError):
        await committed(store, session, commit_id="theirs", title="theirs")

    assert (await store.sessions.load(session.key)).title == "ours"


async def test_who_is_refused_learns_what_is_there(store: AnyStore) -> None:
    """They decide again without another reading; of a session that is gone there is nothing to learn."""
    session = await committed(store, a_session())
    ours = await committed(store, session, commit_id="ours", title="ours")

    with pytest.raises(StaleVersionError) as refused:
        await committed(store, session, commit_id="theirs", title="theirs")
    await store.users.erase(TENANT, USER, now=NOON)
    with pytest.raises(StaleVersionError) as gone:
        await committed(store, session, commit_id="theirs", title="theirs")

    assert (refused.value.found, gone.value.found) == (ours, None)


async def test_a_version_that_another_commit_wrote_is_another_version(store: AnyStore) -> None:
    """After a failover that lost a commit its number is given again; whoever wrote or read the lost one is refused."""
    session = await committed(store, a_session())
    lost = next_commit(session, commit_id="lost", title="lost").session
    there = await committed(store, session, commit_id="there", title="there")

    with pytest.raises(StaleVersionError) as refused:
        await committed(store, lost, commit_id="upon-lost", title="upon lost")

    assert refused.value.found == there == await store.sessions.load(session.key)


async def test_one_of_many_simultaneous_commits_wins(store: AnyStore) -> None:
    """However many race, exactly one is written, with exactly its events."""
    session = await committed(store, a_session())
    rivals = [committed(store, session, commit_id=f"rival-{number}", events=2) for number in range(20)]

    outcomes = await asyncio.gather(*rivals, return_exceptions=True)

    winners = [outcome for outcome in outcomes if isinstance(outcome, Session)]
    assert len(winners) == 1
    assert sum(isinstance(outcome, StaleVersionError) for outcome in outcomes) == 19
    assert winners == [await store.sessions.load(session.key)]
    assert len((await store.sessions.events(session.id, after=0)).events) == 3


async def test_a_session_is_created_once(store: AnyStore) -> None:
    """A commit on nothing is refused where there is something."""
    await committed(store, a_session(), commit_id="first")

    with pytest.raises(StaleVersionError):
        await committed(store, a_session(), commit_id="second")


async def test_a_commit_on_a_session_that_is_gone_is_refused(store: AnyStore) -> None:
    """A commit changes a session, it does not bring one back."""
    with pytest.raises(StaleVersionError):
        await committed(store, replace(a_session(), version=3, seq=3))


async def test_repeating_the_last_commit_changes_nothing(store: AnyStore) -> None:
    """Whoever lost the answer sends the same commit again and gets success; nothing is doubled."""
    commit = next_commit(a_session(), effects=[wait(strong=NOON), POPUP, CLAIM], record=a_record())
    await store.sessions.commit(commit)
    watch = await store.watches.load(WATCH, now=NOON)

    await store.sessions.commit(commit)

    assert watch == await store.watches.load(WATCH, now=NOON)
    assert commit.session == await store.sessions.load(commit.session.key)
    assert commit.events == (await store.sessions.events(commit.session.id, after=0)).events
    assert (a_record(),) == await store.sessions.signals(commit.session.id)


@pytest.mark.parametrize(
    "contradiction",
    [
        {"commit_id": ""},
        {"version": 5},
        {"seq": 9},
        {"user_id": "user-2"},
    ],
)
async def test_a_commit_that_contradicts_itself_is_a_mistake(store: AnyStore, contradiction: dict[str, object]) -> None:
    """It is found before anything is written."""
    commit = next_commit(a_session())
    wrong = replace(commit, session=replace(commit.session, **contradiction))  # type: ignore[arg-type]

    with pytest.raises(ValueError, match=commit.session.id):
        await store.sessions.commit(wrong)

    with pytest.raises(SessionNotFoundError):
        await store.sessions.load(commit.session.key)


# --- guards ---------------------------------------------------------------------------------------------------


async def test_a_claimed_authentication_cannot_be_relied_on_as_free(store: AnyStore) -> None:
    """What another session claimed is not given away; nothing of such a commit is written."""
    await committed(store, a_session("a"), effects=[CLAIM])
    guard = Unclaimed(app_id=APP, authentication_id="77")

    with pytest.raises(GuardFailedError):
        await committed(store, a_session("b"), guards=[guard], effects=[wait(strong=NOON)], record=a_record())

    assert [session_id("a")] == await ids_found(store)
    assert (await store.watches.load(WATCH, now=NOON)).waiters == ()


async def test_a_claim_from_before_a_baseline_does_not_count(store: AnyStore) -> None:
    """A guard says since when a claim matters; the moment itself does."""
    session = await committed(store, a_session(), effects=[CLAIM], now=NOON)
    since = Unclaimed(app_id=APP, authentication_id="77", since=NOON)

    with pytest.raises(GuardFailedError):
        await committed(store, session, guards=[since])
    after = await committed(store, session, guards=[replace(since, since=NOON + 1)])

    assert after == await store.sessions.load(session.key)


async def test_an_authentication_nobody_claimed_may_be_relied_on(store: AnyStore) -> None:
    """Claims of other authentications and of other apps do not matter."""
    session = await committed(store, a_session(), effects=[CLAIM])
    guards = [
        Unclaimed(app_id=APP, authentication_id="78"),
        Unclaimed(app_id="app-2", authentication_id="77"),
    ]

    after = await committed(store, session, guards=guards)

    assert after == await store.sessions.load(session.key)


async def test_a_step_can_rely_on_its_popup_being_the_only_one(store: AnyStore) -> None:
    """Its own popups do not count, and those of others only until they are over."""
    session = await committed(store, a_session(), effects=[POPUP, replace(POPUP, attempt_id="at2")])
    session = await committed(store, session, guards=[NoOtherPopup(app_id=APP, step_id="st1")])
    others = [NoOtherPopup(app_id=APP, step_id="st10"), NoOtherPopup(app_id=APP, step_id="st")]

    for other in others:
        with pytest.raises(GuardFailedError):
            await committed(store, session, guards=[other], now=POPUP.until - 1)
    after = await committed(store, session, guards=others, now=POPUP.until)

    assert after == await store.sessions.load(session.key)


async def test_a_popup_of_the_same_step_id_in_another_session_is_another_popup(store: AnyStore) -> None:
    """Steps are told apart by their session as well."""
    await committed(store, a_session("a"), effects=[POPUP])

    with pytest.raises(GuardFailedError):
        await committed(store, a_session("b"), guards=[NoOtherPopup(app_id=APP, step_id="st1")])


async def test_a_check_that_lost_its_lease_cannot_commit(store: AnyStore) -> None:
    """The lease's token is compared in the commit, and the error says for which app it was lost."""
    session = await committed(store, a_session(), effects=[wait(strong=NOON)])
    await store.watches.lease([WATCH], token="ours", now=NOON, until=NOON + 30_000)
    held = Unclaimed(app_id="app-2", authentication_id="1")

    session = await committed(store, session, guards=[held, LeaseHeld(app_id=APP, token="ours")])
    with pytest.raises(LeaseLostError) as error:
        await committed(store, session, guards=[held, LeaseHeld(app_id=APP, token="theirs")])

    assert error.value.facts == {"app_id": APP}


async def test_nobody_holds_a_lease_on_an_unknown_watch(store: AnyStore) -> None:
    """A watch that was never leased has no holder."""
    with pytest.raises(LeaseLostError):
        await committed(store, a_session(), guards=[LeaseHeld(app_id=APP, token="ours")])


# --- events and signals ---------------------------------------------------------------------------------------


async def test_events_are_read_in_order_from_any_point(store: AnyStore) -> None:
    """`after` and `limit` cut a page out of the session's numbered events."""
    session = await committed(store, a_session(), events=5)
    await committed(store, session, events=2)

    page = await store.sessions.events(session.id, after=3, limit=3)

    assert page.events == (an_event(4), an_event(5), an_event(6))
    assert not page.truncated


async def test_old_events_are_dropped_and_the_reader_is_told(store: AnyStore) -> None:
    """A thousand events are kept; who asks for older ones learns that they are gone."""
    session = a_session()
    for _ in range(11):
        session = await committed(store, session, events=100)

    asked_too_early = await store.sessions.events(session.id, after=99, limit=1)
    asked_in_time = await store.sessions.events(session.id, after=100, limit=1)

    assert (an_event(101),) == asked_too_early.events == asked_in_time.events
    assert (asked_too_early.truncated, asked_in_time.truncated) == (True, False)


async def test_a_session_is_read_with_the_events_that_led_to_it(store: AnyStore) -> None:
    """All of them after the one that is named; none when that is too many, or when some are gone."""
    session = await committed(store, a_session(), events=5)
    read = [
        await store.sessions.load_with_events(session.key, after=after, limit=limit)
        for after, limit in ((2, 3), (5, 3), (1, 3), (9, 3))
    ]
    for _ in range(10):
        session = await committed(store, session, events=100)
    _, gone = await store.sessions.load_with_events(session.key, after=4, limit=2_000)
    _, kept = await store.sessions.load_with_events(session.key, after=5, limit=2_000)

    assert [found.seq for found, _ in read] == [5, 5, 5, 5]
    assert [events for _, events in read] == [(an_event(3), an_event(4), an_event(5)), (), (), ()]
    assert (len(gone), len(kept)) == (0, 1_000)


async def test_a_session_that_is_not_theirs_is_not_read_with_its_events(store: AnyStore) -> None:
    """Nor one that is not there."""
    session = await committed(store, a_session())
    for key in (replace(session.key, tenant_id="theirs"), replace(session.key, session_id="zs00nobody")):
        with pytest.raises(SessionNotFoundError):
            await store.sessions.load_with_events(key, after=0, limit=9)


async def test_a_session_without_news_has_no_events_after_the_last(store: AnyStore) -> None:
    """An empty page is no truncated page."""
    session = await committed(store, a_session(), events=0)

    page = await store.sessions.events(session.id, after=0)

    assert page.events == ()
    assert not page.truncated


async def test_the_signal_log_keeps_the_newest(store: AnyStore) -> None:
    """Commits and refusals write to the same log; the newest 200 stay, oldest first."""
    session = await committed(store, a_session(), record=a_record(0))
    for number in range(1, 205):
        await store.sessions.record(session.id, a_record(number))

    assert tuple(a_record(number) for number in range(5, 205)) == await store.sessions.signals(session.id)


async def test_recording_changes_nothing_else(store: AnyStore) -> None:
    """A refused signal leaves session and events as they were."""
    session = await committed(store, a_session())

    await store.sessions.record(session.id, a_record())

    assert session == await store.sessions.load(session.key)
    assert len((await store.sessions.events(session.id, after=0)).events) == 1


# --- lists ----------------------------------------------------------------------------------------------------


async def many_sessions(store: AnyStore, count: int) -> list[str]:
    """Commit sessions of several users, two in each millisecond; return their ids, youngest first."""
    sessions = []
    for number in range(count):
        session = a_session(f"{number:03}", user=f"user-{number % 7}", created_at=NOON + number // 2)
        sessions.append(await committed(store, session))
    sessions.sort(key=lambda session: (session.created_at, session.id), reverse=True)
    return [session.id for session in sessions]


async def test_sessions_are_listed_youngest_first_over_all_shards(store: AnyStore) -> None:
    """Pages join without gap and repetition, and the last one says that it is the last."""
    expected = await many_sessions(store, 23)

    found, cursor, pages = [], None, 0
    while cursor or not pages:
        page = await store.sessions.find(SessionQuery(tenant_id=TENANT, cursor=cursor, limit=5))
        found += [session.id for session in page.sessions]
        cursor, pages = page.cursor, pages + 1

    assert expected == found
    assert pages == 5


async def test_a_page_may_come_from_one_shard(store: AnyStore) -> None:
    """All sessions of one user lie together, and are still found page by page."""
    sessions = [await committed(store, a_session(f"{number}", created_at=NOON - number)) for number in range(9)]
    query = SessionQuery(tenant_id=TENANT, user_id=USER, status=SessionStatus.BUILDING, limit=7)

    first = await store.sessions.find(query)
    second = await store.sessions.find(replace(query, cursor=first.cursor))

    assert (first.sessions, second.sessions) == (tuple(sessions[:7]), tuple(sessions[7:]))


async def test_a_list_that_fits_its_page_has_no_next_page(store: AnyStore) -> None:
    """There is no empty last page."""
    await many_sessions(store, 5)

    page = await store.sessions.find(SessionQuery(tenant_id=TENANT, limit=5))

    assert len(page.sessions) == 5
    assert page.cursor is None


async def test_a_cursor_holds_its_place_while_sessions_arrive(store: AnyStore) -> None:
    """New sessions are younger than every cursor, and do not shift what is below it."""
    expected = await many_sessions(store, 9)
    first = await store.sessions.find(SessionQuery(tenant_id=TENANT, limit=4))

    await committed(store, a_session("new", created_at=NOON + 1_000))
    rest = await store.sessions.find(SessionQuery(tenant_id=TENANT, cursor=first.cursor))

    assert expected[4:] == [session.id for session in rest.sessions]


async def test_filters_are_combined(store: AnyStore) -> None:
    """Only sessions that match every given value are listed."""
    awaiting = (Step(id="st1", state=StepState.AWAITING_POPUP),)
    await committed(store, a_session("a", user="u1"), steps=awaiting)
    await committed(store, a_session("b", user="u2"), steps=awaiting)
    await committed(store, a_session("c", user="u1"))
    await committed(store, a_session("d", user="u1"), steps=awaiting, ended=SessionStatus.CANCELLED)

    found = await ids_found(store, user_id="u1", state=StepState.AWAITING_POPUP, status=SessionStatus.BUILDING)

    assert [session_id("a", user="u1")] == found


async def test_a_session_is_found_by_what_it_is_now(store: AnyStore) -> None:
    """A commit takes the session out of the lists it no longer belongs to."""
    session = await committed(store, a_session(), steps=(Step(id="st1", state=StepState.NEEDS_AUTH),))

    await committed(store, session, steps=(Step(id="st1", state=StepState.AWAITING_POPUP),))

    assert await ids_found(store, state=StepState.NEEDS_AUTH) == []
    assert [session.id] == await ids_found(store, state=StepState.AWAITING_POPUP)


async def test_tenants_do_not_see_each_other(store: AnyStore) -> None:
    """A list holds one tenant's sessions, also when users have the same id."""
    await committed(store, a_session("a", tenant="acme"))
    await committed(store, a_session("b", tenant="acme:x"))

    assert [session_id("a", tenant="acme")] == await ids_found(store)
    assert [session_id("a", tenant="acme")] == await ids_found(store, user_id=USER)


@pytest.mark.parametrize("cursor", ["", "?", "bm8=", "MTp6czAw", "LTE6enMwMGFhYWFhYWFhYWFhYQ==", "é"])
async def test_a_cursor_that_is_not_ours_is_refused(store: AnyStore, cursor: str) -> None:
    """It is the caller's mistake, and not an empty list."""
    with pytest.raises(ValueError, match="cursor"):
        await store.sessions.find(SessionQuery(tenant_id=TENANT, cursor=cursor))


async def test_a_users_sessions_are_those_that_have_not_ended(store: AnyStore) -> None:
    """Oldest first; ended ones and those of others are left out."""
    young = await committed(store, a_session("a", created_at=NOON + 1))
    old = await committed(store, a_session("b"))
    await committed(store, a_session("c"), ended=SessionStatus.CANCELLED)
    await committed(store, a_session("d", user="user-2"))

    before = await store.sessions.of_user(TENANT, USER)
    await committed(store, old, ended=SessionStatus.EXPIRED)

    assert before == (old.id, young.id)
    assert (young.id,) == await store.sessions.of_user(TENANT, USER)


async def test_the_sweeper_is_told_which_sessions_to_look_at(store: AnyStore) -> None:
    """Sessions whose time has come, the longest overdue first; a commit moves or removes the time."""
    shard = int(a_session().id[2:4], 16)
    late = await committed(store, a_session("a"), wake_at=NOON - 1)
    later = await committed(store, a_session("b"), wake_at=NOON - 2)
    await committed(store, a_session("c"), wake_at=NOON + 1)
    never = await committed(store, a_session("d"), wake_at=NOON - 9)
    await committed(store, never, wake_at=None)

    assert (later.id, late.id) == await store.sessions.to_wake(shard, now=NOON, limit=9)
    assert (later.id,) == await store.sessions.to_wake(shard, now=NOON, limit=1)
    assert await store.sessions.to_wake((shard + 1) % 4, now=NOON, limit=9) == ()


async def test_a_trimmed_session_has_no_history(store: AnyStore) -> None:
    """It is found and read as it is given; its events and signals are gone, and who asks for them is told so."""
    session = await committed(
        store, a_session(), events=3, wake_at=NOON, record=a_record(), ended=SessionStatus.CANCELLED
    )
    left = trimmed(session, now=NOON + 5)

    assert await store.sessions.trim(left, now=NOON + 5, wake_at=NOON + 9, if_pending_at=NOON + 6)

    assert await store.sessions.load(session.key) == left
    assert await ids_found(store) == [session.id]
    assert await store.sessions.signals(session.id) == ()
    pages = [await store.sessions.events(session.id, after=after) for after in (0, 2, 3)]
    assert [(page.events, page.truncated) for page in pages] == [((), True), ((), True), ((), False)]
    assert await store.sessions.load_with_events(session.key, after=1, limit=9) == (left, ())
    shard = int(session.id[2:4], 16)
    woken = [await store.sessions.to_wake(shard, now=now, limit=9) for now in (NOON + 8, NOON + 9)]
    assert woken == [(), (session.id,)]


async def test_a_trimmed_session_is_purged_and_erased_like_any_other(store: AnyStore) -> None:
    """Nothing of it stays in any index."""
    for name, end in (("a", "purge"), ("b", "erase")):
        session = await committed(store, a_session(name), ended=SessionStatus.CANCELLED)
        left = trimmed(session, now=NOON)
        await store.sessions.trim(left, now=NOON, wake_at=NOON, if_pending_at=NOON)
        if end == "purge":
            await store.sessions.purge(left)
        else:
            await store.users.erase(TENANT, USER, now=NOON)

        assert await ids_found(store) == []
        assert await ids_found(store, user_id=USER) == []
        assert await ids_found(store, status=SessionStatus.CANCELLED) == []


async def test_a_trimmed_session_can_be_put_off(store: AnyStore) -> None:
    """A longer retention moves its time by a commit like any other; then it can be purged without a trace."""
    session = await committed(store, a_session(), ended=SessionStatus.CANCELLED)
    left = trimmed(session, now=NOON)
    await store.sessions.trim(left, now=NOON, wake_at=NOON, if_pending_at=NOON)

    later = await committed(store, left, events=0, wake_at=NOON + 99)
    found = await ids_found(store)
    await store.sessions.purge(later)

    assert found == [session.id]
    assert await ids_found(store) == []


async def test_a_session_is_not_trimmed_while_something_of_it_is_on_its_way(store: AnyStore) -> None:
    """What is pending needs its bytes; it is looked at again soon. Once it has arrived, its record goes too."""
    session = await told(store, await committed(store, a_session()))
    lane = a_lane(session)
    left = trimmed(session, now=NOON)

    assert not await store.sessions.trim(left, now=NOON, wake_at=NOON + 9, if_pending_at=NOON + 1)
    assert await store.sessions.load(session.key) == session
    assert await store.sessions.to_wake(int(session.id[2:4], 16), now=NOON + 1, limit=9) == (session.id,)
    await delivered(store, lane)
    assert await store.sessions.trim(left, now=NOON, wake_at=NOON + 9, if_pending_at=NOON + 1)
    page = await store.deliveries.find(DeliverySearch(tenant_id=TENANT, endpoint_id=lane.endpoint_id))
    assert page.deliveries == ()


async def delivered(store: AnyStore, lane: Lane) -> None:
    """Deliver all that is pending in a lane."""
    while held := await store.deliveries.lease([lane], token="t", now=NOON, until=NOON + 9, most=9):
        (parcel,) = await store.deliveries.begin(held, token="t", now=NOON, until=NOON + 9)
        assert parcel is not None
        after = parcel.delivery.after(OK, at=NOON, now=NOON, jitter=0)
        await store.deliveries.settle(after, token="t", now=NOON, until=None)


async def test_a_session_that_changed_is_not_trimmed(store: AnyStore) -> None:
    """Nor one that is gone."""
    session = await committed(store, a_session())
    await committed(store, session)
    left = trimmed(session, now=NOON)

    with pytest.raises(StaleVersionError):
        await store.sessions.trim(left, now=NOON, wake_at=NOON, if_pending_at=NOON)
    gone = trimmed(a_session("gone"), now=NOON)
    with pytest.raises(SessionNotFoundError):
        await store.sessions.trim(gone, now=NOON, wake_at=NOON, if_pending_at=NOON)


async def test_trimming_forgets_popups_that_can_yield_nothing_any_more(store: AnyStore) -> None:
    """Of the watches its steps had; others stay as long as they are good."""
    waiter = Waiter(session_id=a_session().id, step_id="st1")
    step = Step(id="st1", app=App(id=APP, title="App"))
    opened = [
        OpenPopup(app_id=APP, step_id="st1", attempt_id=name, until=until) for name, until in (("1", 5), ("2", 7))
    ]
    session = await committed(store, replace(a_session(), steps=(step,)), effects=opened, now=1)
    left = trimmed(session, now=6)
    await store.sessions.trim(left, now=6, wake_at=9, if_pending_at=9)

    watch = await store.watches.load(WatchKey(tenant_id=TENANT, user_id=USER, app_id=APP), now=0)
    assert [(popup.waiter, popup.attempt_id) for popup in watch.popups] == [(waiter, "2")]


async def test_a_purged_session_leaves_nothing(store: AnyStore) -> None:
    """It is in no list, log or queue any more; purging twice is fine, and its id may be used again."""
    session = await committed(store, a_session(), wake_at=NOON, record=a_record(), ended=SessionStatus.CANCELLED)

    await store.sessions.purge(session)
    await store.sessions.purge(session)

    assert await ids_found(store) == []
    assert await store.sessions.to_wake(int(session.id[2:4], 16), now=NOON, limit=9) == ()
    with pytest.raises(SessionNotFoundError):
        await store.sessions.load(session.key)
    await committed(store, a_session())
    assert (an_event(1),) == (await store.sessions.events(session.id, after=0)).events


async def test_a_session_that_changed_is_not_purged(store: AnyStore) -> None:
    """Whoever purges must have seen the session as it is."""
    session = await committed(store, a_session())
    changed = await committed(store, session)

    with pytest.raises(StaleVersionError):
        await store.sessions.purge(session)

    assert changed == await store.sessions.load(session.key)


async def test_a_commit_tells_what_is_true_just_after_it(store: AnyStore) -> None:
    """How the user stands, and when each watch it concerns is checked next; whoever repeats it is told the same."""
    bare = await store.sessions.commit(next_commit(a_session()))
    profile = Profile(id="pr1", email="a@b.c")
    await store.credentials.put(TENANT, USER, NewTokens(access_token="t", expires_at=9), profile=profile, now=NOON)
    standing = await store.credentials.standing(TENANT, USER)
    effects = [wait(strong=NOON + 7, quiet=NOON + 9)]
    guards = [Unclaimed(app_id="other", authentication_id="7", since=NOON)]
    waiting = next_commit(next_commit(a_session()).session, effects=effects, guards=guards)

    first, again = [await store.sessions.commit(waiting) for _ in range(2)]

    assert bare == Written(standing=None, next_checks={})
    assert first == Written(standing=standing, next_checks={APP: NOON + 7, "other": None})
    assert again == first
