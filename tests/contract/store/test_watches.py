"""The promises of `WatchStore`, and what commits do to watches, on every adapter."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from orchestrator.core.effects import (
    ClaimAuthentication,
    ClosePopup,
    Due,
    OpenPopup,
    ReleaseClaim,
    StopWaiting,
    Unclaimed,
    Untouched,
)
from orchestrator.core.errors.store import GuardFailedError, LeaseLostError, StaleVersionError
from orchestrator.core.ports.credentials import NewTokens
from orchestrator.core.ports.watches import PAUSED, Claim, DueWatch, Popup, Settlement, Urgency, Waiter, Watch
from orchestrator.core.session import Instant, WatchKey, shard_of
from orchestrator.store.rules import KEPT_POPUPS
from tests.support.store_values import (
    APP,
    NOON,
    SHARDS,
    TENANT,
    USER,
    WATCH,
    AnyStore,
    a_session,
    committed,
    session_id,
    signed_in,
    wait,
)

LATER = NOON + 30_000
SHARD = shard_of(TENANT, USER, shards=SHARDS)
FIRST = Waiter(session_id=session_id("a"), step_id="st1")
STOP = StopWaiting(app_id=APP, step_id="st1")


async def loaded(store: AnyStore, *, now: Instant = NOON) -> Watch:
    """Load the watch of these tests."""
    return await store.watches.load(WATCH, now=now)


async def due(store: AnyStore, *, now: Instant = NOON, limit: int = 10) -> list[tuple[str, str, Instant]]:
    """Peek, and say of each watch its app, urgency and since when it is due."""
    found = await store.watches.peek(now=now, limit=limit)
    return [(watch.key.app_id, watch.urgency.name, watch.due) for watch in found]


async def leased(store: AnyStore, *, token: str = "ours", now: Instant = NOON) -> bool:
    """Try to lease the watch of these tests."""
    return await store.watches.lease([WATCH], token=token, now=now, until=now + 30_000) == (WATCH,)


async def settled(store: AnyStore, due: Due | None = None, *, token: str = "ours", **changes: object) -> None:
    """End the check under this lease on the watch as it is now."""
    version = (await loaded(store)).version
    settlement = Settlement(key=WATCH, token=token, version=version, now=NOON, due=due)
    await store.watches.settle(replace(settlement, **changes))  # type: ignore[arg-type]


async def test_an_unknown_watch_is_empty(store: AnyStore) -> None:
    """Asking does not make one."""
    assert Watch(key=WATCH) == await loaded(store)
    assert await store.watches.next_checks([WATCH]) == {WATCH: None}


async def test_everything_about_a_watch_is_read_at_once(store: AnyStore) -> None:
    """Who waits, which popups are open, what is claimed: by whom, since and until when."""
    popup = OpenPopup(app_id=APP, step_id="st1", attempt_id="at:1 ü", until=LATER)
    claims = [
        ClaimAuthentication(app_id=APP, step_id="st1", authentication_id="77", by_difference=True),
        ClaimAuthentication(app_id=APP, step_id="st1", authentication_id="78", by_difference=False),
    ]
    effects = [wait(strong=NOON + 5, quiet=NOON + 60), popup, replace(popup, attempt_id="at2", until=NOON), *claims]
    await committed(store, a_session(), effects=effects)

    expected = Watch(
        key=WATCH,
        version=NOON,
        next_check_at=NOON + 5,
        waiters=(FIRST,),
        popups=(Popup(waiter=FIRST, attempt_id="at:1 ü", until=LATER),),
        claims={"77": Claim(at=NOON, holder=FIRST), "78": Claim(at=NOON)},
    )
    assert expected == await loaded(store)


async def test_ids_with_separators_are_kept_apart(store: AnyStore) -> None:
    """No tenant's, user's or app's id can be read as a part of another name."""
    odd = WatchKey(tenant_id="a:b", user_id="{c}%3A ü\n", app_id="d:e")
    session = a_session("a", tenant=odd.tenant_id, user=odd.user_id)
    await committed(store, session, effects=[wait(strong=NOON, app=odd.app_id)])

    assert [odd] == [watch.key for watch in await store.watches.peek(now=NOON, limit=9)]
    assert (await store.watches.next_checks([odd]))[odd] == NOON


async def test_every_commit_that_touches_a_watch_is_counted(store: AnyStore) -> None:
    """The version grows once for a commit, and not for one about another app."""
    session = await committed(store, a_session(), effects=[wait(strong=NOON), wait("st2", strong=NOON)])
    session = await committed(store, session, effects=[wait(app="app-2")])
    await committed(store, session, effects=[STOP])

    assert (await loaded(store)).version == NOON + 1


async def test_no_commit_gives_a_watch_a_version_that_it_had_before(store: AnyStore) -> None:
    """Also where it was forgotten meanwhile, or a failover took commits back: nobody takes it for what they saw."""
    session = await committed(store, a_session(), effects=[wait(strong=NOON)])
    session = await committed(store, session, effects=[STOP])
    seen = (await loaded(store)).version
    await store.watches.forget_claims(SHARD, before=NOON + 1, limit=9)
    is_forgotten = await loaded(store) == Watch(key=WATCH)
    for later in (NOON + 5, NOON + 6):
        session = await committed(store, session, effects=[wait(strong=NOON)], now=later)

    assert is_forgotten
    with pytest.raises(GuardFailedError):
        await committed(store, session, guards=[Untouched(app_id=APP, version=seen)])


# --- when a watch is due --------------------------------------------------------------------------------------


async def test_the_only_waiter_says_when(store: AnyStore) -> None:
    """What it wanted before does not matter, not even if that was sooner."""
    session = await committed(store, a_session(), effects=[wait(strong=NOON, quiet=NOON)])
    await committed(store, session, effects=[wait(quiet=LATER)])

    assert await due(store) == []
    assert (await loaded(store)).next_check_at == LATER


async def test_with_several_waiters_the_soonest_wish_counts(store: AnyStore) -> None:
    """A second waiter hurries the watch, and never delays it."""
    await committed(store, a_session("a"), effects=[wait(strong=LATER, quiet=NOON)])
    session = await committed(store, a_session("b"), effects=[wait(strong=LATER - 9, quiet=LATER)])
    hurried = await due(store, now=LATER)
    await committed(store, session, effects=[wait(strong=LATER + 9, quiet=LATER + 9)])

    assert [(APP, "STRONG", LATER - 9)] == hurried == await due(store, now=LATER)
    assert await due(store, now=NOON) == [(APP, "QUIET", NOON)]


async def test_with_several_waiters_the_longest_look_counts(store: AnyStore) -> None:
    """A watch is visible while anybody's page is; what its only waiter says is exact again."""
    first = await committed(store, a_session("a"), effects=[wait(quiet=NOON, visible_until=NOON + 5)])
    second = await committed(store, a_session("b"), effects=[wait(quiet=NOON, visible_until=NOON + 9)])
    second = await committed(store, second, effects=[wait(quiet=NOON, visible_until=0)])
    together = [await due(store, now=NOON + 8), await due(store, now=NOON + 9)]
    await committed(store, first, effects=[STOP])
    await committed(store, second, effects=[wait(quiet=NOON, visible_until=NOON + 1)])

    assert together == [[(APP, "VISIBLE", NOON)], [(APP, "QUIET", NOON)]]
    assert await due(store, now=NOON + 1) == [(APP, "QUIET", NOON)]


async def test_a_watch_nobody_waits_on_is_not_due(store: AnyStore) -> None:
    """The last one who leaves takes every wish along; a new one starts afresh."""
    session = await committed(store, a_session(), effects=[wait(strong=NOON, quiet=NOON), wait("st2", quiet=NOON)])
    session = await committed(store, session, effects=[STOP])
    one_left = await due(store)
    session = await committed(store, session, effects=[replace(STOP, step_id="st2")])
    none_left = await due(store)
    await committed(store, session, effects=[wait(quiet=LATER)])

    assert one_left == [(APP, "STRONG", NOON)]
    assert none_left == []
    assert (await loaded(store)).next_check_at == LATER


async def test_watches_are_served_by_urgency_and_then_by_age(store: AnyStore) -> None:
    """Signals first, then pages in front of somebody, then the rest; each watch once."""
    wishes = {
        "quiet-old": Due(quiet=NOON - 9),
        "quiet": Due(quiet=NOON - 1),
        "visible": Due(quiet=NOON - 1, visible_until=NOON + 1),
        "visible-old": Due(quiet=NOON - 2, visible_until=NOON + 1),
        "no-more-visible": Due(quiet=NOON - 3, visible_until=NOON),
        "strong": Due(strong=NOON, quiet=NOON - 99, visible_until=NOON + 1),
        "strong-old": Due(strong=NOON - 1),
        "not-yet": Due(strong=NOON + 1, quiet=NOON + 1),
        "not-yet-strong": Due(strong=NOON + 1, quiet=NOON - 4),
    }
    for number, (app, wish) in enumerate(wishes.items()):
        session = a_session(app.replace("-", ""), user=f"user-{number}")
        await committed(store, session, effects=[replace(wait(app=app), due=wish)])

    assert await due(store) == [
        ("strong-old", "STRONG", NOON - 1),
        ("strong", "STRONG", NOON),
        ("visible-old", "VISIBLE", NOON - 2),
        ("visible", "VISIBLE", NOON - 1),
        ("quiet-old", "QUIET", NOON - 9),
        ("not-yet-strong", "QUIET", NOON - 4),
        ("no-more-visible", "QUIET", NOON - 3),
        ("quiet", "QUIET", NOON - 1),
    ]


async def test_peeking_is_bounded_per_shard_and_urgency(store: AnyStore) -> None:
    """The longest due come first, and many of one urgency do not hide another."""
    for number in range(6):
        await committed(store, a_session(f"s{number}"), effects=[wait(strong=NOON - number, app=f"s{number}")])
        await committed(store, a_session(f"q{number}"), effects=[wait(quiet=NOON - number, app=f"q{number}")])
        seen = wait(quiet=NOON - number, visible_until=NOON + 1, app=f"v{number}")
        await committed(store, a_session(f"v{number}"), effects=[seen])

    found = [app for app, _, _ in await due(store, limit=2)]

    assert found == ["s5", "s4", "v5", "v4", "q5", "q4"]


async def test_peek_says_what_a_check_will_cost(store: AnyStore) -> None:
    """As many calls as the last complete listing had pages."""
    await committed(store, a_session(), effects=[wait(strong=NOON)])
    await leased(store)
    await settled(store, Due(quiet=NOON), pages=3)

    assert (DueWatch(key=WATCH, urgency=Urgency.QUIET, due=NOON, pages=3),) == await store.watches.peek(
        now=NOON, limit=1
    )
    assert (await loaded(store)).pages == 3


async def test_the_last_check_is_when_the_latest_complete_listing_began(store: AnyStore) -> None:
    """Of several the latest, of none nothing."""
    await committed(store, a_session(), effects=[wait(strong=NOON)])
    before = await store.watches.last_check(WATCH)
    for began in (NOON, NOON + 7):
        await store.watches.lease([WATCH], token="ours", now=NOON, until=LATER)
        await settled(store, Due(strong=NOON), checked_at=began)

    assert before is None
    assert await store.watches.last_check(WATCH) == NOON + 7


async def test_next_checks_are_read_for_many_watches(store: AnyStore) -> None:
    """Over all shards in one go; the earlier of both wishes counts."""
    keys = [WatchKey(tenant_id=TENANT, user_id=f"user-{number}", app_id=APP) for number in range(8)]
    for number, key in enumerate(keys[:-1]):
        wish = wait(strong=NOON + number, quiet=NOON + 3)
        await committed(store, a_session(f"{number}", user=key.user_id), effects=[wish])

    expected = {key: NOON + min(number, 3) for number, key in enumerate(keys[:-1])} | {keys[-1]: None}
    assert expected == await store.watches.next_checks(keys)
    assert await store.watches.next_checks([]) == {}


# --- leases and settlements -----------------------------------------------------------------------------------


async def test_a_watch_is_leased_once(store: AnyStore) -> None:
    """While it is leased it is not due; when the lease has run out it is due again."""
    await committed(store, a_session(), effects=[wait(strong=NOON, quiet=NOON - 1)])
    outcomes = [await leased(store, token="ours"), await leased(store, token="theirs")]
    watch = await loaded(store)
    during, after = await due(store, now=LATER - 1), await due(store, now=LATER)

    assert outcomes == [True, False]
    assert (watch.lease_token, watch.lease_until, watch.next_check_at) == ("ours", LATER, LATER)
    assert during == []
    assert after == [(APP, "STRONG", LATER)]
    assert await leased(store, token="theirs", now=LATER)


async def test_of_many_dispatchers_one_gets_each_watch(store: AnyStore) -> None:
    """However many race for the same watches, each is leased to exactly one."""
    apps = [f"app-{number}" for number in range(5)]
    keys = [WatchKey(tenant_id=TENANT, user_id=USER, app_id=app) for app in apps]
    await committed(store, a_session(), effects=[wait(strong=NOON, app=app) for app in apps])

    takings = await asyncio.gather(
        *(store.watches.lease(keys, token=f"{number}", now=NOON, until=LATER) for number in range(8))
    )

    assert sorted(keys) == sorted(key for taken in takings for key in taken)


async def test_only_what_is_due_is_leased(store: AnyStore) -> None:
    """Watches that are not due, or unknown, are left out."""
    early = WatchKey(tenant_id=TENANT, user_id=USER, app_id="early")
    unknown = WatchKey(tenant_id=TENANT, user_id=USER, app_id="unknown")
    await committed(store, a_session(), effects=[wait(quiet=NOON), wait(quiet=NOON + 1, app="early")])

    assert await store.watches.lease([early, WATCH, unknown], token="t", now=NOON, until=LATER) == (WATCH,)
    assert Watch(key=unknown) == await store.watches.load(unknown, now=NOON)
    assert await store.watches.lease([], token="t", now=NOON, until=LATER) == ()


async def test_watches_of_several_shards_are_leased_under_one_token(store: AnyStore) -> None:
    """Those that were due come back in the order in which they were asked for, whichever shards they are of."""
    mine = {number: WatchKey(tenant_id=TENANT, user_id=f"user-{number}", app_id=APP) for number in range(2, 8)}
    for number, key in mine.items():
        if number != 4:
            await committed(store, a_session(str(number), user=key.user_id), effects=[wait(quiet=NOON)])
    asked = [mine[number] for number in (7, 2, 4, 3, 6, 5)]
    taken = await store.watches.lease(asked, token="t", now=NOON, until=LATER)
    held = {(await store.watches.load(key, now=NOON)).lease_token for key in taken}

    assert len({shard_of(key.tenant_id, key.user_id, shards=SHARDS) for key in asked}) > 1
    assert taken == tuple(mine[number] for number in (7, 2, 3, 6, 5))
    assert held == {"t"}


async def test_a_signal_during_a_check_is_not_served_twice_at_once(store: AnyStore) -> None:
    """The watch stays leased, and the checker learns that the world has moved."""
    session = await committed(store, a_session(), effects=[wait(strong=NOON)])
    await leased(store)
    version = (await loaded(store)).version
    await committed(store, session, effects=[wait(strong=NOON + 1)])

    assert await due(store, now=NOON + 1) == []
    with pytest.raises(StaleVersionError):
        await settled(store, Due(quiet=LATER), version=version)

    await settled(store, Due(strong=NOON + 1))
    assert await due(store, now=NOON + 1) == [(APP, "STRONG", NOON + 1)]


async def test_settling_writes_what_the_check_found(store: AnyStore) -> None:
    """Exact due times, counters and the listing's beginning; the lease is free."""
    await committed(store, a_session(), effects=[wait(strong=NOON, quiet=NOON - 5)])
    await leased(store)

    await settled(store, Due(quiet=LATER), checked_at=NOON - 7, pages=2, failures=0)

    watch = await loaded(store)
    assert watch.checks == (NOON - 7,)
    assert (
        watch.pages,
        watch.failures,
        watch.retry_at,
        watch.lease_token,
        watch.lease_until,
    ) == (2, 0, None, None, 0)
    assert (watch.version, watch.next_check_at) == (NOON, LATER)
    assert await due(store, now=LATER) == [(APP, "QUIET", LATER)]


async def test_the_latest_sixteen_listings_are_kept(store: AnyStore) -> None:
    """Oldest first; a check without a complete listing adds none."""
    await committed(store, a_session(), effects=[wait(strong=NOON)])
    for number in range(18):
        await leased(store)
        await settled(store, Due(strong=NOON), checked_at=None if number == 9 else NOON + number)

    assert tuple(NOON + number for number in range(1, 18) if number != 9) == (await loaded(store)).checks


async def test_a_check_whose_lease_was_lost_cannot_settle(store: AnyStore) -> None:
    """Only the holder of the lease writes; the error says for which app it was lost."""
    await committed(store, a_session(), effects=[wait(strong=NOON)])
    await leased(store, token="ours")
    await leased(store, token="theirs", now=LATER)

    with pytest.raises(LeaseLostError) as error:
        await settled(store, Due(quiet=LATER), token="ours")

    assert error.value.facts == {"app_id": APP}
    assert (await loaded(store)).lease_token == "theirs"


async def test_a_settled_check_cannot_settle_again(store: AnyStore) -> None:
    """The second try finds no lease."""
    await committed(store, a_session(), effects=[wait(strong=NOON)])
    await leased(store)
    await settled(store, Due(quiet=LATER))

    with pytest.raises(LeaseLostError):
        await settled(store, Due(quiet=LATER))


async def test_a_check_that_found_nobody_waiting_leaves_nothing_due(store: AnyStore) -> None:
    """A due time without a waiter is not kept, whoever asks for it."""
    session = await committed(store, a_session(), effects=[wait(strong=NOON)])
    await leased(store)
    await committed(store, session, effects=[STOP])

    await settled(store, Due(strong=NOON, quiet=NOON))

    assert await due(store, now=LATER) == []


async def test_a_failed_check_holds_the_next_ones_back(store: AnyStore) -> None:
    """Until `retry_at` no wish makes the watch due, not even a new one."""
    session = await committed(store, a_session(), effects=[wait(strong=NOON)])
    await leased(store)
    await settled(store, Due(strong=NOON), failures=2, retry_at=LATER)
    settled_at = await due(store, now=LATER - 1), await due(store, now=LATER)
    await committed(store, session, effects=[wait(strong=NOON + 1)])

    assert settled_at == ([], [(APP, "STRONG", LATER)])
    watch = await loaded(store)
    assert (watch.failures, watch.retry_at, watch.next_check_at) == (2, LATER, LATER)
    assert await due(store, now=LATER - 1) == []
    assert await due(store, now=LATER) == [(APP, "STRONG", LATER)]


# --- pause and resume -----------------------------------------------------------------------------------------


async def paused(store: AnyStore, *, app: str = APP, paused_for: int = 0) -> None:
    """Have a watch that somebody waits on, paused by its check for this generation of the credential."""
    key = replace(WATCH, app_id=app)
    await committed(store, a_session(app.replace("-", "")), effects=[wait(strong=NOON, quiet=LATER, app=app)])
    await store.watches.lease([key], token="ours", now=NOON, until=LATER)
    due = Due(strong=NOON, quiet=LATER)
    settlement = Settlement(key=key, token="ours", version=NOON, now=NOON, due=due, paused_for=paused_for)
    await store.watches.settle(replace(settlement, failures=1))


async def test_a_paused_watch_is_never_due_by_itself(store: AnyStore) -> None:
    """Signals may come and somebody may wait; nothing is checked."""
    await paused(store)
    await committed(store, a_session("b"), effects=[wait(strong=NOON)])

    watch = await loaded(store)
    assert (watch.retry_at, watch.next_check_at) == (PAUSED, None)
    assert await due(store, now=PAUSED - 1) == []
    assert not await leased(store, now=LATER)


async def test_a_new_credential_makes_every_paused_watch_of_its_user_due(store: AnyStore) -> None:
    """At once, as if a signal had come; the failures are forgotten, and later wishes still stand."""
    await paused(store)
    await paused(store, app="app-2")
    await committed(store, a_session("c"), effects=[wait(quiet=LATER, app="app-3")])

    await signed_in(store, now=NOON + 5)

    watch = await loaded(store)
    assert (watch.retry_at, watch.failures, watch.next_check_at, watch.version) == (None, 0, NOON + 5, NOON + 5)
    assert await due(store, now=NOON + 5) == [(APP, "STRONG", NOON + 5), ("app-2", "STRONG", NOON + 5)]
    await signed_in(store, now=NOON + 6)
    assert watch == await loaded(store, now=NOON + 6)


async def test_a_refresh_that_comes_late_makes_every_paused_watch_of_its_user_due(store: AnyStore) -> None:
    """They were paused for tokens that are good again."""
    user, now = (TENANT, USER), NOON + 5
    tokens = NewTokens(access_token="t", refresh_token="r")
    await store.credentials.put(*user, tokens, profile=None, now=NOON)
    await paused(store, paused_for=1)
    held = await due(store, now=now)
    await store.credentials.renew(*user, tokens, generation=1, refresh_id="rf1", now=now)

    assert (held, await due(store, now=now)) == ([], [(APP, "STRONG", now)])


async def test_a_resumed_watch_keeps_what_it_wanted(store: AnyStore) -> None:
    """What was due without news while it was paused has been due since then."""
    await paused(store)

    await signed_in(store, now=LATER + 5)

    assert (await loaded(store)).next_check_at == LATER
    assert await due(store, now=LATER + 5) == [(APP, "STRONG", LATER + 5)]


async def test_a_new_credential_unpauses_a_watch_nobody_waits_on(store: AnyStore) -> None:
    """It is not due, and serves whoever waits on it next."""
    await paused(store)
    session = await store.sessions.load_any(session_id("app1"))
    session = await committed(store, session, effects=[STOP])

    await signed_in(store)
    nobody_waits = await due(store, now=LATER)
    await committed(store, session, effects=[wait(strong=NOON)])

    assert nobody_waits == []
    assert await due(store) == [(APP, "STRONG", NOON)]


async def test_a_new_credential_leaves_the_watches_of_others_alone(store: AnyStore) -> None:
    """It is about its own user."""
    await paused(store)

    await signed_in(store, user="user-3")
    await signed_in(store, tenant="other")

    assert (await loaded(store)).retry_at == PAUSED


@pytest.mark.parametrize("paused_for", [0, 1])
async def test_nothing_is_paused_for_a_credential_that_was_replaced(store: AnyStore, paused_for: int) -> None:
    """Whoever put the new one cannot resume what is paused later: the check is due as it was wanted."""
    for _ in range(paused_for + 1):
        await signed_in(store)
    await paused(store, paused_for=paused_for)

    assert ((await loaded(store)).retry_at, await due(store)) == (None, [(APP, "STRONG", NOON)])


async def test_a_watch_is_paused_for_the_credential_that_is_there(store: AnyStore) -> None:
    """Until the next one is put."""
    await signed_in(store)
    await paused(store, paused_for=1)
    before = (await loaded(store)).retry_at
    await signed_in(store)

    assert (before, (await loaded(store)).retry_at) == (PAUSED, None)


# --- popups and claims ----------------------------------------------------------------------------------------


async def test_a_popup_counts_until_it_is_over_or_has_yielded(store: AnyStore) -> None:
    """Its end can be moved, and closing an unknown one is fine."""
    popup = OpenPopup(app_id=APP, step_id="st1", attempt_id="at1", until=LATER)
    close = ClosePopup(app_id=APP, step_id="st1", attempt_id="at1")
    session = await committed(store, a_session("a"), effects=[popup])
    session = await committed(store, session, effects=[replace(popup, until=LATER + 9)])
    moved = (await loaded(store, now=LATER)).popups
    over = (await loaded(store, now=LATER + 9)).popups
    session = await committed(store, session, effects=[close])
    await committed(store, session, effects=[close])

    assert (Popup(waiter=FIRST, attempt_id="at1", until=LATER + 9),) == moved
    assert () == over == (await loaded(store)).popups


async def test_of_one_steps_many_popups_the_newest_are_kept(store: AnyStore) -> None:
    """A page may open them without end; the older ones are over sooner and say nothing more. Other steps' stay."""
    other = OpenPopup(app_id=APP, step_id="st2", attempt_id="first", until=LATER)
    session = await committed(store, a_session("a"), effects=[other])
    for number in range(KEPT_POPUPS + 3):
        popup = OpenPopup(app_id=APP, step_id="st1", attempt_id=f"at{number}", until=LATER + number // 2)
        session = await committed(store, session, effects=[popup])
    found = (await loaded(store)).popups
    kept = sorted((popup.waiter.step_id, popup.attempt_id) for popup in found)

    assert kept == sorted([("st2", "first"), *(("st1", f"at{number}") for number in range(3, KEPT_POPUPS + 3))])


async def test_a_better_claim_replaces_the_difference(store: AnyStore) -> None:
    """Once anything else spoke for an authentication, no step has it by difference alone."""
    claim = ClaimAuthentication(app_id=APP, step_id="st1", authentication_id="77", by_difference=True)
    session = await committed(store, a_session("a"), effects=[claim])
    await committed(store, session, effects=[replace(claim, by_difference=False)], now=NOON + 1)

    assert {"77": Claim(at=NOON + 1)} == (await loaded(store)).claims


async def test_a_released_claim_is_nobodys(store: AnyStore) -> None:
    """As if it had never been made; who has no claim by difference releases none."""
    claim = ClaimAuthentication(app_id=APP, step_id="st1", authentication_id="77", by_difference=True)
    release = ReleaseClaim(app_id=APP, step_id="st1", authentication_id="77")
    session = await committed(store, a_session("a"), effects=[claim, replace(claim, authentication_id="78")])
    other = await committed(store, a_session("b"), effects=[release])
    session = await committed(store, session, effects=[replace(release, step_id="st2"), release])
    released = dict((await loaded(store)).claims)
    await committed(store, other, guards=[Unclaimed(app_id=APP, authentication_id="77")])
    better = replace(claim, authentication_id="78", by_difference=False)
    await committed(store, session, effects=[better, replace(release, authentication_id="78")])

    assert {"78": Claim(at=NOON, holder=FIRST)} == released
    assert {"78": Claim(at=NOON)} == (await loaded(store)).claims


async def test_a_commit_may_rely_on_a_watch_that_nobody_touched(store: AnyStore) -> None:
    """Also on one that is not there yet; leases and settlements touch nothing."""
    untouched = Untouched(app_id=APP, version=0)
    session = await committed(store, a_session("a"), effects=[wait(strong=NOON)], guards=[untouched])
    with pytest.raises(GuardFailedError):
        await committed(store, session, guards=[untouched])
    await leased(store)
    await settled(store, Due(strong=NOON))

    session = await committed(store, session, guards=[replace(untouched, version=NOON)])
    assert session == await store.sessions.load_any(session.id)


async def test_old_claims_are_forgotten(store: AnyStore) -> None:
    """Claims from before a moment go, younger ones stay, and the count says how many went."""
    claim = ClaimAuthentication(app_id=APP, step_id="st1", authentication_id="1", by_difference=True)
    session = await committed(store, a_session("a"), effects=[claim], now=NOON)
    session = await committed(store, session, effects=[replace(claim, authentication_id="2")], now=NOON + 1)
    await committed(store, session, effects=[replace(claim, authentication_id="3")], now=NOON + 2)

    forgotten = [await store.watches.forget_claims(SHARD, before=NOON + 2, limit=9) for _ in range(2)]

    assert forgotten == [2, 0]
    assert {"3": Claim(at=NOON + 2, holder=FIRST)} == (await loaded(store)).claims


async def test_forgetting_goes_on_where_it_was_bounded(store: AnyStore) -> None:
    """A small limit forgets a few watches at a time until all are done; other shards are left alone."""
    for number in range(5):
        claim = ClaimAuthentication(app_id=f"app-{number}", step_id="st", authentication_id="1", by_difference=False)
        await committed(store, a_session(f"{number}"), effects=[claim])

    forgotten = [await store.watches.forget_claims(SHARD, before=NOON + 1, limit=2) for _ in range(4)]

    assert forgotten == [2, 2, 1, 0]
    assert await store.watches.forget_claims((SHARD + 1) % SHARDS, before=NOON + 1, limit=2) == 0


async def test_a_watch_with_young_claims_does_not_stand_before_older_ones(store: AnyStore) -> None:
    """However small the limit is, old claims are reached."""
    claim = ClaimAuthentication(app_id=APP, step_id="st", authentication_id="1", by_difference=False)
    first = await committed(store, a_session("a"), effects=[claim])
    await committed(store, first, effects=[replace(claim, authentication_id="2")], now=NOON + 9)
    await committed(store, a_session("b"), effects=[replace(claim, app_id="app-2")], now=NOON + 2)

    forgotten = [await store.watches.forget_claims(SHARD, before=NOON + span, limit=1) for span in (1, 3)]

    assert forgotten == [1, 1]


async def test_a_watch_of_which_nothing_is_left_goes_with_its_claims(store: AnyStore) -> None:
    """With nobody waiting, no popup and no claim, only its counters are left, and nobody needs them."""
    claim = ClaimAuthentication(app_id=APP, step_id="st1", authentication_id="1", by_difference=True)
    session = await committed(store, a_session("a"), effects=[claim, wait(strong=NOON)])
    await store.watches.forget_claims(SHARD, before=NOON + 1, limit=9)
    waited_on = (await loaded(store)).version
    await committed(store, session, effects=[STOP], now=NOON + 1)
    await store.watches.forget_claims(SHARD, before=NOON + 2, limit=9)

    assert waited_on == NOON
    assert Watch(key=WATCH) == await loaded(store)


async def test_a_watch_with_an_open_popup_is_kept(store: AnyStore) -> None:
    """An authentication may still arise from it."""
    popup = OpenPopup(app_id=APP, step_id="st1", attempt_id="at1", until=LATER)
    await committed(store, a_session("a"), effects=[popup])

    await store.watches.forget_claims(SHARD, before=LATER, limit=9)

    assert (await loaded(store)).version == NOON
