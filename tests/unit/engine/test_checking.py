"""Checks: one listing serves everybody who waits, failures are waited out, and a death anywhere loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import count, pairwise
from typing import Final

import pytest

from orchestrator.core.errors.store import StaleVersionError, StoreError, StoreUnavailableError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamRefusedError, UpstreamUnavailableError
from orchestrator.core.events import EventName
from orchestrator.core.ports.budget import Share
from orchestrator.core.ports.credentials import CredentialState
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.watches import PAUSED
from orchestrator.core.session import (
    MINUTE,
    SECOND,
    AttemptEnd,
    Channel,
    HintKind,
    Millis,
    Reason,
    Session,
    StepState,
)
from orchestrator.core.signals import PopupCancelled, SessionCancelled
from orchestrator.store.limits import Limits
from tests.support.failovers import lost
from tests.support.interference import Call, Fuse, Killed, Script, lost_answer
from tests.support.scenes import LEASE, TENANT, Scene
from tests.support.upstreams import EGRESS, PARTNER


@pytest.fixture(name="scene")
async def _scene() -> Scene:
    """A deployment whose user Ann is signed in and has one authentication for Slack."""
    scene = Scene()
    await scene.sign_in("ann")
    scene.zapier.connect("ann", "slack", "old")
    return scene


async def finished(scene: Scene, *, makes: str | None = None, attempt_id: str = "at-1") -> Session:
    """Give a session whose user says "I've finished", with what the popup made."""
    session = await scene.waiting("ann", attempt_id)
    if makes is not None:
        scene.zapier.connect("ann", "slack", makes)
    await scene.hint(session, attempt_id=attempt_id)
    return session


# --- what a check finds ---


async def test_a_silent_popup_is_found_by_difference(scene: Scene) -> None:
    """One listing, one commit, and the watch wants nothing more."""
    session = await finished(scene, makes="new")
    scene.zapier.requests.clear()
    found = await scene.here.look()

    step = await scene.step(session)
    assert step.evidence is not None
    assert (found, await scene.given(session), step.evidence.channels) == (1, "new", (Channel.DIFFERENCE,))
    assert (scene.zapier.sent("authentications"), (await scene.watch("ann")).next_check_at) == (1, None)


async def test_a_check_that_finds_nothing_commits_nothing(scene: Scene) -> None:
    """Its counters are the watch's business."""
    session = await finished(scene)
    before = await scene.now(session)
    await scene.here.look()

    watch = await scene.watch("ann")
    assert (before, 1) == (await scene.now(session), len(watch.checks))
    assert watch.next_check_at is not None


async def test_one_listing_serves_every_session_that_waits(scene: Scene) -> None:
    """The message of one is confirmed, and what is left can only be offered to the other."""
    first, second = await finished(scene, attempt_id="at-1"), await finished(scene, attempt_id="at-2")
    scene.zapier.connect("ann", "slack", "new")
    await scene.message(second, "new", attempt_id="at-2")
    scene.zapier.requests.clear()
    await scene.here.look()

    assert (
        await scene.given(first),
        await scene.given(second),
        scene.zapier.sent("authentications"),
    ) == (None, "new", 1)
    assert StepState.AWAITING_POPUP is (await scene.step(first)).state


@pytest.mark.parametrize("talker", [0, 1])
async def test_messages_come_first_whichever_session_has_them(scene: Scene, talker: int) -> None:
    """Both logins end; one message arrives. Each session gets its own, or is asked; none gets the other's."""
    sessions = [await finished(scene, attempt_id=f"at-{number}") for number in range(2)]
    for number in range(2):
        scene.zapier.connect("ann", "slack", f"new-{number}")
    await scene.message(sessions[talker], f"new-{talker}", attempt_id=f"at-{talker}")
    await scene.here.look()

    silent = await scene.step(sessions[1 - talker])
    assert f"new-{talker}" == await scene.given(sessions[talker])
    if silent.authentication is None:
        assert [f"new-{1 - talker}"] == [shown.id for shown in silent.candidates]
    else:
        assert f"new-{1 - talker}" == silent.authentication.id


async def test_with_a_rival_whose_popup_is_open_a_difference_only_offers(scene: Scene) -> None:
    """Either could have made it; the user knows."""
    first, second = await finished(scene, attempt_id="at-1"), await scene.waiting("ann", "at-2")
    scene.zapier.connect("ann", "slack", "new")
    await scene.here.look()

    for session in (first, second):
        step = await scene.step(session)
        assert (step.state, step.reason) == (StepState.NEEDS_AUTH, Reason.AMBIGUOUS)
        assert [shown.id for shown in step.candidates] == ["new"]


async def test_a_rival_that_opens_while_the_check_is_made_is_seen(scene: Scene) -> None:
    """Between reading the watch and the commit another popup opened: the guard sees it, the decision is made again."""
    session = await finished(scene, makes="new")
    rival = await scene.session("ann", "slack")
    script = Script()

    async def open_rival() -> None:
        await scene.open(rival, "at-2")

    script.goes("sessions.commit", StaleVersionError(session_id=session.id), then=open_rival)
    await scene.process(script).look()

    step = await scene.step(session)
    assert (step.authentication, step.state) == (None, StepState.NEEDS_AUTH)


@pytest.mark.parametrize("profile", [True, False], ids=["readable", "unreadable"])
async def test_where_users_share_a_zapier_profile_a_difference_only_offers(scene: Scene, profile: bool) -> None:
    """It may be a colleague's login. A profile that cannot be read is taken to be its user's own."""
    await scene.sign_in("ann", profile=profile)
    await scene.sign_in("bob", account="ann", profile=profile)
    session = await finished(scene, makes="new")
    await scene.here.look()

    assert (None if profile else "new") == await scene.given(session)


async def test_a_colleague_who_left_the_profile_may_have_a_popup_open_there(scene: Scene) -> None:
    """Another credential was put for Bob while he was signing in with the one he shared."""
    await scene.sign_in("bob", account="ann")
    session = await finished(scene)
    await scene.waiting("bob", "at-2")
    await scene.sign_in("bob", token="other", account="bob")
    scene.zapier.connect("ann", "slack", "bobs")
    await scene.here.look()

    step = await scene.step(session)
    assert (step.authentication, [found.id for found in step.candidates]) == (None, ["bobs"])


async def test_users_who_share_a_profile_still_get_what_their_messages_name(scene: Scene) -> None:
    """A confirmed message is never held back."""
    await scene.sign_in("bob", account="ann")
    session = await scene.waiting("ann")
    scene.zapier.connect("ann", "slack", "new")
    await scene.message(session, "new")
    await scene.here.look()

    assert await scene.given(session) == "new"


async def test_a_message_from_before_the_check_is_confirmed_by_it_in_any_session(scene: Scene) -> None:
    """A session that came to wait after the watch was read, but before Zapier was asked, is served as well."""
    await finished(scene)
    late = await scene.session("ann", "slack")
    script = Script()

    async def arrive() -> None:
        scene.zapier.connect("ann", "slack", "new")
        await scene.message(late, "new", attempt_id="at-2")

    script.well("watches.leased")
    script.goes("credentials.get", then=arrive)
    await scene.process(script).look()

    assert await scene.given(late) == "new"


async def test_a_listing_with_many_pages_takes_a_permit_for_each(scene: Scene) -> None:
    """The first check is planned for one page and takes the rest itself; the next one is planned for all."""
    for number in range(25):
        scene.zapier.connect("ann", "slack", f"many-{number}")
    await finished(scene)
    await scene.here.look()
    await scene.pass_time(3 * SECOND)

    watch = await scene.watch("ann")
    assert (3, len(scene.zapier.requests)) == (watch.pages, await scene.held())


async def test_a_long_list_is_read_although_others_want_all_the_room_there_is() -> None:
    """A check broken off after its first page knows how many there are, and next time takes permits for all at once."""
    scene = Scene(limits=Limits(egress=12, partner=12, strong_reserve=1, quiet_reserve=2))
    await scene.sign_in("ann")
    session = await scene.session("ann", "slack")
    for number in range(25):
        scene.zapier.connect("ann", "slack", f"made-{number}")
    await scene.open(session, "at-1")
    await scene.message(session, "made-24")

    async def crowd() -> None:
        await scene.store.budget.take(12, egress=EGRESS, partner=PARTNER, share=Share.STRONG, now=scene.clock.now())

    script = Script()
    script.goes("watches.lease", then=crowd, times=1_000)
    worker = scene.process(script)
    for _ in range(5 * 60):
        await worker.look()
        scene.clock.advance(SECOND)

    assert await scene.given(session) == "made-24"
    assert scene.zapier.sent("authentications") == 5, "the baseline's page, one that was not enough, and all three"


async def test_a_session_that_ended_takes_nothing_from_a_check(scene: Scene) -> None:
    """Its user cancelled while Zapier was asked."""
    session = await finished(scene, makes="new")

    async def cancel() -> None:
        await scene.here.engine.apply(session.key, SessionCancelled())

    scene.zapier.meanwhile("authentications", cancel)
    await scene.here.look()

    assert (await scene.given(session), (await scene.watch("ann")).next_check_at) == (None, None)


async def test_a_session_erased_while_it_is_checked_stops_nobody(scene: Scene) -> None:
    """The others get their listing."""
    gone, session = await scene.waiting("ann", "at-0"), await finished(scene)
    await scene.message(gone, "theirs", attempt_id="at-0")
    scene.zapier.connect("ann", "slack", "new")
    await scene.message(session, "new")
    script = Script()

    async def erase() -> None:
        ended = (await scene.here.engine.apply(gone.key, SessionCancelled())).session
        await scene.store.sessions.purge(ended)

    script.goes("watches.load_with_sessions", then=erase)
    await scene.process(script).look()

    assert await scene.given(session) == "new"


# --- the credential ---


async def test_a_401_pauses_the_watch_and_the_attempt_goes_on_waiting(scene: Scene) -> None:
    """The session says that its user must sign in; Zapier is asked no more."""
    session = await finished(scene)
    scene.zapier.refuse("token-of-ann")
    await scene.here.look()
    asked = len(scene.zapier.requests)
    await scene.pass_time(5 * MINUTE, tick=5 * SECOND)

    now = await scene.now(session)
    assert (now.signed_out, now.state) == (True, StepState.AWAITING_POPUP)
    assert (PAUSED, asked) == ((await scene.watch("ann")).retry_at, len(scene.zapier.requests))


async def test_without_a_working_credential_no_permit_is_used(scene: Scene) -> None:
    """The check gives its permits back and pauses the watch."""
    await finished(scene)
    await scene.store.credentials.need_sign_in(TENANT, "ann", generation=1)
    held = await scene.held()
    await scene.here.look()

    assert (held, PAUSED) == (await scene.held(), (await scene.watch("ann")).retry_at)


PAUSING: Final = {
    "after it was read as refused": "credentials.get",
    "while the pause is written": "watches.settle",
}


@pytest.mark.parametrize("moment", PAUSING.values(), ids=PAUSING.keys())
async def test_a_credential_put_while_the_watch_is_being_paused_resumes_it(scene: Scene, moment: str) -> None:
    """Whichever comes first, the pause or the resumption, the check is made."""
    session = await finished(scene, makes="new")
    await scene.store.credentials.need_sign_in(TENANT, "ann", generation=1)
    script = Script()

    async def put() -> None:
        await scene.sign_in("ann", token="token-2")

    script.goes(moment, when="after", then=put)
    await scene.process(script).look()
    await scene.here.look()

    assert await scene.given(session) == "new"


async def test_a_credential_put_while_the_old_one_is_refused_resumes_the_watch(scene: Scene) -> None:
    """The 401 belongs to a token that is used no more."""
    session = await finished(scene, makes="new")

    async def put() -> None:
        scene.zapier.refuse("token-of-ann")
        await scene.sign_in("ann", token="token-2")

    scene.zapier.meanwhile("authentications", put)
    await scene.here.look()
    credential = await scene.store.credentials.get(TENANT, "ann")
    await scene.here.look()

    assert credential is not None
    assert (credential.state, await scene.given(session)) == (CredentialState.ACTIVE, "new")
    assert not (await scene.now(session)).signed_out


async def test_an_account_that_was_exchanged_makes_differences_worthless(scene: Scene) -> None:
    """Everything the other account has would look new."""
    session = await finished(scene)
    await scene.sign_in("ann", token="other", account="ann-at-work")
    scene.zapier.connect("ann-at-work", "slack", "work")
    await scene.here.look()

    assert (await scene.given(session), (await scene.step(session)).state) == (None, StepState.AWAITING_POPUP)


# --- failures ---


async def test_zapiers_refusal_for_now_holds_the_watch_back_as_long_as_it_says(scene: Scene) -> None:
    """Busy is no failure: the wait does not grow."""
    session = await finished(scene, makes="new")
    scene.zapier.fail("authentications", UpstreamBusyError(retry_after=30 * SECOND))
    await scene.here.look()
    watch, asked = await scene.watch("ann"), len(scene.zapier.requests)
    await scene.pass_time(29 * SECOND)
    assert asked == len(scene.zapier.requests)

    await scene.pass_time(3 * SECOND)

    assert (watch.failures, await scene.given(session)) == (0, "new")


async def test_when_zapier_is_broken_the_waits_grow_and_nothing_is_lost(scene: Scene) -> None:
    """2, 4, 8 … seconds and a little by chance, at most two minutes; then it recovers."""
    session = await finished(scene, makes="new")
    scene.zapier.fail("authentications", *[UpstreamUnavailableError(problem="502")] * 9)
    waits: list[Millis] = []
    while await scene.given(session) is None:
        if not await scene.here.look():
            held_until = (await scene.watch("ann")).retry_at
            assert held_until is not None
            waits.append(held_until - scene.clock.now())
            scene.clock.at = held_until

    watch = await scene.watch("ann")
    assert [round(second * 1.125) for second in (2_000, 4_000, 8_000, 16_000, 32_000, 64_000)] == waits[:6]
    assert waits[6:] == [135_000] * 3
    assert (await scene.given(session), watch.failures) == ("new", 0)


@pytest.mark.parametrize(
    "failure",
    [UpstreamUnavailableError(problem="timed out"), UpstreamRefusedError(status=403, problem="no")],
    ids=["no answer", "refused"],
)
async def test_every_failure_of_zapiers_is_an_ordinary_outcome(scene: Scene, failure: Exception) -> None:
    """The step goes on waiting, and the next check finds what there is."""
    session = await finished(scene, makes="new")
    scene.zapier.fail("authentications", failure)
    await scene.here.look()
    assert StepState.AWAITING_POPUP is (await scene.step(session)).state

    await scene.pass_time(5 * SECOND)

    assert await scene.given(session) == "new"


async def test_a_signal_does_not_hurry_a_broken_zapier(scene: Scene) -> None:
    """What holds the watch back holds back strong signals as well."""
    session = await finished(scene)
    scene.zapier.fail("authentications", UpstreamUnavailableError(problem="502"))
    await scene.here.look()
    held_until = (await scene.watch("ann")).retry_at
    scene.clock.advance(SECOND)
    await scene.hint(session)

    assert (held_until, 0) == ((await scene.watch("ann")).next_check_at, await scene.here.look())


async def test_an_incomplete_listing_only_confirms_messages(scene: Scene) -> None:
    """What it shows is there; what it lacks may be there too."""
    scene.zapier.connect("ann", "slack", "zz-last")
    talking, silent = await scene.waiting("ann", "at-1"), await scene.session("ann", "gmail")
    await scene.open(silent, "at-2")
    accounts = scene.zapier.accounts["ann"].apps
    accounts["slack"] = {}
    scene.zapier.connect("ann", "slack", "new")
    scene.zapier.connect("ann", "slack", "zz-last")
    scene.zapier.connect("ann", "gmail", "mail")
    scene.zapier.connect("ann", "gmail", "zz-last")
    scene.zapier.truncates = True
    await scene.message(talking, "new")
    await scene.hint(silent, attempt_id="at-2")
    await scene.here.look()

    watch = await scene.watch("ann", "gmail")
    assert (await scene.given(talking), await scene.given(silent)) == ("new", None)
    assert (watch.checks, watch.failures) == ((), 1)


async def test_incomplete_listings_never_time_an_attempt_out(scene: Scene) -> None:
    """They say nothing about what is not there, so the deadline moves."""
    session = await scene.waiting("ann")
    scene.zapier.truncates = True
    await scene.pass_time(scene.policy.attempt + MINUTE, tick=10 * SECOND)

    step = await scene.step(session)
    assert StepState.AWAITING_POPUP is step.state
    assert EventName.ATTEMPT_DEADLINE_MOVED in await scene.told(session)


# --- leases ---


async def test_a_lease_lost_while_zapier_is_asked_commits_nothing(scene: Scene) -> None:
    """The check took too long; whoever has the watch now looks again, and the answer of the first is void."""
    session = await finished(scene, makes="new")
    before = await scene.now(session)

    async def take_over() -> None:
        scene.clock.advance(LEASE)
        key = (await scene.watch("ann")).key
        now = scene.clock.now()
        assert await scene.store.watches.lease([key], token="ck-other", now=now, until=now + LEASE)

    scene.zapier.meanwhile("authentications", take_over)
    found = await scene.here.look()

    watch = await scene.watch("ann")
    assert (0, before, "ck-other") == (found, await scene.now(session), watch.lease_token)
    assert watch.checks == ()


@pytest.mark.parametrize("late", [LEASE, LEASE + 1])
async def test_a_check_begun_after_its_lease_asks_nothing(scene: Scene, late: Millis) -> None:
    """Its permits go back."""
    await finished(scene)
    (due,) = await scene.store.watches.peek(now=scene.clock.now(), limit=1)
    now, asked, held = scene.clock.now(), len(scene.zapier.requests), await scene.held()
    await scene.store.watches.lease([due.key], token="ck", now=now, until=now + LEASE)
    permit = await scene.here.upstream.permit(TENANT)
    scene.clock.advance(late)

    assert not await scene.here.checker.check(due.key, token="ck", permits=[permit])
    assert (asked, held) == (len(scene.zapier.requests), await scene.held())


async def test_a_check_under_a_foreign_token_asks_nothing(scene: Scene) -> None:
    """A batch that was carried out already, or belongs to another, does no harm."""
    await finished(scene)
    asked = len(scene.zapier.requests)
    key = (await scene.watch("ann")).key

    assert not await scene.here.checker.check(key, token="ck-none", permits=[])
    assert asked == len(scene.zapier.requests)


# --- what comes in the middle ---


async def test_a_strong_signal_during_a_check_causes_another_right_after(scene: Scene) -> None:
    """The listing may have been read before the user finished."""
    session = await finished(scene)

    async def finish() -> None:
        scene.zapier.connect("ann", "slack", "new")
        await scene.hint(session)

    scene.clock.advance(SECOND)
    scene.zapier.meanwhile("authentications", finish)
    await scene.here.look()
    assert await scene.given(session) is None

    await scene.here.look()

    assert await scene.given(session) == "new"


@pytest.mark.parametrize("moment", ["watches.load_with_sessions", "watches.settle"])
async def test_a_signal_that_comes_while_the_watch_is_settled_is_heard(scene: Scene, moment: str) -> None:
    """What is due is computed again when anybody touched the watch."""
    session = await finished(scene)
    script = Script()

    async def finish() -> None:
        scene.clock.advance(1)
        scene.zapier.connect("ann", "slack", "new")
        await scene.hint(session)

    script.goes(moment, then=finish, error=StaleVersionError(session_id="") if moment == "watches.settle" else None)
    await scene.process(script).look()
    await scene.here.look()

    assert await scene.given(session) == "new"


async def test_the_commit_that_takes_the_listing_ends_the_check(scene: Scene) -> None:
    """Three exchanges with the store, beside those of the call: the lease, the sight of who waits, the commit."""
    session = await finished(scene, makes="new")
    script = Script()
    await scene.process(script).look()

    of_sessions_and_watches = [call for call in script.calls if call.startswith(("sessions.", "watches."))]
    assert await scene.given(session) == "new"
    assert of_sessions_and_watches == [
        "watches.peek",
        "watches.lease",
        "watches.leased",
        "watches.load_with_sessions",
        "sessions.commit",
    ]
    assert (await scene.watch("ann")).lease_token is None


async def test_a_check_that_finds_nothing_reads_no_more_than_it_must(scene: Scene) -> None:
    """What was seen is what it ends with."""
    await finished(scene)
    script = Script()
    await scene.process(script).look()

    assert script.calls.count("watches.load_with_sessions") == script.calls.count("watches.settle") == 1
    assert "sessions.load" not in script.calls


async def test_who_comes_to_wait_before_the_commit_is_checked_for_as_well(scene: Scene) -> None:
    """The commit does not end the check then: whoever came is due at once, and gets their own."""
    session = await finished(scene)
    await scene.message(session, "new")
    rival = await scene.waiting("ann", "at-2")
    scene.zapier.connect("ann", "slack", "new")
    around = _Before("sessions.commit", lambda: scene.hint(rival, attempt_id="at-2"))
    await scene.process(around).look()
    watch, came_at = await scene.watch("ann"), scene.clock.now()
    scene.zapier.connect("ann", "slack", "rivals")
    await scene.here.look()

    assert (watch.lease_token, watch.next_check_at) == (None, came_at)
    assert (await scene.given(session), await scene.given(rival)) == ("new", "rivals")


@pytest.mark.parametrize("reading", range(3))
async def test_what_a_failover_loses_amid_a_check_makes_it_forget_nobody(scene: Scene, reading: int) -> None:
    """Somebody comes to wait and leaves. The check reads that, and then it is lost: they wait, and are looked after."""
    first = await finished(scene)
    rivals: list[Session] = []
    readings = count()

    async def failing_over(name: str, call: Call) -> object:
        if name == "upstream.authentications":
            await scene.here.engine.apply(first.key, SessionCancelled())
            rivals.append(await scene.waiting("ann", "at-2"))
        if not rivals or not name.endswith((".load", ".load_with_sessions")) or next(readings) != reading:
            return await call()
        with lost(scene.store):
            await scene.here.engine.apply(rivals[0].key, SessionCancelled())
            answer = await call()
        scene.clock.advance(SECOND)
        return answer

    await scene.process(failing_over).look()
    first_due = rivals[0].steps[0].attempts[0].opened_at + MINUTE
    watch = await scene.watch("ann")

    assert watch.next_check_at is not None
    assert watch.next_check_at <= first_due


class _Before:
    """Has something happen just before the first call of a name."""

    def __init__(self, name: str, then: Callable[[], Awaitable[object]]) -> None:
        self._name = name
        self._then: Callable[[], Awaitable[object]] | None = then

    async def __call__(self, name: str, call: Call) -> object:
        then, self._then = (self._then, None) if name == self._name else (None, self._then)
        if then is not None:
            await then()
        return await call()


async def test_settling_gives_up_when_everybody_is_faster(scene: Scene) -> None:
    """It ends with an error, and the lease runs out."""
    await finished(scene)
    script = Script()
    script.goes("watches.settle", StaleVersionError(session_id=""), times=20)

    with pytest.raises(StaleVersionError):
        await scene.process(script).look()

    assert (await scene.watch("ann")).lease_token is not None


async def test_what_is_due_after_a_check_is_what_those_who_still_wait_want(scene: Scene) -> None:
    """The one that was served wants nothing; the other's next planned check stands."""
    first, second = await finished(scene, attempt_id="at-1"), await scene.waiting("ann", "at-2")
    scene.zapier.connect("ann", "slack", "new")
    await scene.message(first, "new")
    await scene.here.look()

    attempt = (await scene.step(second)).attempts[0]
    assert attempt.opened_at + MINUTE == (await scene.watch("ann")).next_check_at


async def test_a_popup_left_alone_is_checked_ever_less_often_until_its_deadline(scene: Scene) -> None:
    """By the schedule alone, with no signal at all; one check follows the deadline, then there is peace."""
    session = await scene.waiting("ann")
    scene.zapier.requests.clear()
    await scene.pass_time(2 * scene.policy.attempt)

    step = await scene.step(session)
    *checks, last = [request.at - step.attempts[0].opened_at for request in scene.zapier.requests]
    waits = [later - earlier for earlier, later in pairwise(checks)]
    assert (waits == sorted(waits), 3 <= len(checks) <= 6) == (True, True)
    assert 0 < last - scene.policy.attempt <= 2 * SECOND
    assert (step.reason, step.attempts[0].ended) == (Reason.TIMED_OUT, AttemptEnd.TIMED_OUT)


# --- death ---


Story = Callable[[], Awaitable[tuple[Scene, dict[str, tuple[Session, str]]]]]


async def by_difference() -> tuple[Scene, dict[str, tuple[Session, str]]]:
    """Give one step that only a difference can resolve."""
    scene = Scene()
    await scene.sign_in("ann")
    session = await scene.waiting("ann")
    scene.zapier.connect("ann", "slack", "new")
    await scene.hint(session)
    return scene, {"only": (session, "new")}


async def by_messages() -> tuple[Scene, dict[str, tuple[Session, str]]]:
    """Give two sessions on one watch, each with its message."""
    scene = Scene()
    await scene.sign_in("ann")
    ends = {}
    for number in (1, 2):
        session = await scene.waiting("ann", f"at-{number}")
        scene.zapier.connect("ann", "slack", f"new-{number}")
        await scene.message(session, f"new-{number}", attempt_id=f"at-{number}")
        ends[f"session {number}"] = session, f"new-{number}"
    return scene, ends


async def by_displacement() -> tuple[Scene, dict[str, tuple[Session, str]]]:
    """Give a step whose message names what another step was given by difference."""
    scene = Scene()
    await scene.sign_in("ann")
    holder = await scene.waiting("ann", "at-1")
    scene.zapier.connect("ann", "slack", "new")
    await scene.hint(holder)
    await scene.here.look()
    assert await scene.given(holder) == "new"
    owner = await scene.waiting("ann", "at-2")
    await scene.message(owner, "new", attempt_id="at-2")
    return scene, {"owner": (owner, "new"), "holder": (holder, "")}


async def by_new_credential() -> tuple[Scene, dict[str, tuple[Session, str]]]:
    """Give a step whose check meets a 401, to be resolved under the credential that is put afterwards."""
    scene, ends = await by_difference()
    scene.zapier.refuse("token-of-ann")
    return scene, ends


async def by_a_second_page() -> tuple[Scene, dict[str, tuple[Session, str]]]:
    """Give a step whose authentication is on a page that nobody knew of."""
    scene = Scene()
    await scene.sign_in("ann")
    for number in range(10):
        scene.zapier.connect("ann", "slack", f"old-{number}")
    session = await scene.waiting("ann")
    scene.zapier.connect("ann", "slack", "new")
    await scene.hint(session)
    return scene, {"only": (session, "new")}


STORIES: Final[tuple[Story, ...]] = (by_difference, by_messages, by_displacement, by_new_credential, by_a_second_page)


async def assert_all_is_well(scene: Scene, ends: dict[str, tuple[Session, str]]) -> None:
    """Every step has its own, every event was told once, and Zapier's limits were kept."""
    for name, (session, own) in ends.items():
        assert own == (await scene.given(session) or ""), name
        events = await scene.events(session)
        assert list(range(1, len(events) + 1)) == [event.seq for event in events]
        told = [event.name for event in events]
        assert told.count(EventName.AUTH_RESOLVED) == 1, name
        assert told.count(EventName.SIGN_IN_NEEDED) == told.count(EventName.SIGNED_IN) <= 1
    assert scene.zapier.busiest_minute <= 60
    assert await scene.held() <= 60


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_a_worker_killed_at_any_moment_of_a_check_loses_and_doubles_nothing(story: Story) -> None:
    """Before and after every call of dispatch and check, one death each: another worker finds the same in the end."""
    scene, ends = await story()
    unharmed = Fuse()
    await scene.process(unharmed).look()
    moments = range(unharmed.count)
    assert len(moments) > 16

    for moment in moments:
        scene, ends = await story()
        with pytest.raises(Killed):
            await scene.process(Fuse(moment)).look()
        if story is by_new_credential:
            await scene.sign_in("ann", token="token-2")
        await scene.pass_time(LEASE + 10 * SECOND)
        await assert_all_is_well(scene, ends)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_a_check_cancelled_at_any_moment_loses_and_doubles_nothing(story: Story) -> None:
    """A worker that is told to stop cancels its checks; what they clean up on their way out does no harm either."""
    moment, is_over = 0, False
    while not is_over:
        scene, ends = await story()
        canceller = _Canceller(moment)
        try:
            await scene.process(canceller).look()
        except asyncio.CancelledError:
            moment += 1
        else:
            is_over = True
        if story is by_new_credential:
            await scene.sign_in("ann", token="token-2")
        await scene.pass_time(LEASE + 10 * SECOND)
        await assert_all_is_well(scene, ends)

    assert moment > 8, "it has more moments than that"


class _Canceller:
    """Cancels its process in one of its calls, once."""

    def __init__(self, at: int) -> None:
        self._left = at

    async def __call__(self, name: str, call: Call) -> object:
        self._left -= 1
        if self._left == -1:
            raise asyncio.CancelledError
        return await call()


@pytest.mark.parametrize("put_after", range(4))
async def test_a_worker_that_dies_while_pausing_as_the_credential_is_put_leaves_no_watch_paused(put_after: int) -> None:
    """Put after whichever of its reads and writes, and killed at whichever moment: the login is found by its message.

    That came for a popup that was given up, so that there is no deadline at which anybody would look.
    """
    for moment in range(100):
        scene = Scene()
        await scene.sign_in("ann")
        session = await finished(scene, makes="new")
        await scene.message(session, "new")
        given_up = PopupCancelled(step_id=session.steps[0].id, attempt_id="at-1")
        await scene.here.engine.apply(session.key, given_up)
        await scene.store.credentials.need_sign_in(TENANT, "ann", generation=1)
        fuse = Fuse(moment)
        around = _Putting(fuse, after=put_after, put=partial(scene.sign_in, "ann", token="token-2"))
        with suppress(Killed):
            await scene.process(around).look()
        await around.put_at_last()
        await scene.pass_time(LEASE + 2 * SECOND)

        assert await scene.given(session) == "new", fuse.log[-1]
        if not fuse.is_dead:
            return
    raise AssertionError("there is no end of moments")


_OF_A_PAUSE: Final = {"credentials.get", "watches.leased", "watches.load_with_sessions", "watches.settle"}


class _Putting:
    """Has a credential put after one of the calls that a pause consists of."""

    def __init__(self, fuse: Fuse, *, after: int, put: Callable[[], Awaitable[None]]) -> None:
        self._fuse = fuse
        self._left = after
        self._put = put

    async def __call__(self, name: str, call: Call) -> object:
        try:
            return await self._fuse(name, call)
        finally:
            if name in _OF_A_PAUSE and not self._fuse.is_dead:
                self._left -= 1
                if self._left == -1:
                    await self._put()

    async def put_at_last(self) -> None:
        """Put it, if it was not put yet."""
        if self._left >= 0:
            await self._put()


async def test_the_answer_of_a_checks_commit_may_be_lost(scene: Scene) -> None:
    """Applied or not, the same commit again settles it."""
    for when in ("instead", "after"):
        session = await finished(scene, makes=f"new-{when}", attempt_id=f"at-{when}")
        script = Script()
        script.goes("sessions.commit", lost_answer(), when="instead" if when == "instead" else "after")
        await scene.process(script).look()

        assert f"new-{when}" == await scene.given(session)
        assert (await scene.told(session)).count(EventName.AUTH_RESOLVED) == 1


async def test_a_store_that_is_away_ends_the_check(scene: Scene) -> None:
    """The caller is told; the lease runs out, and the watch is due again."""
    session = await finished(scene, makes="new")
    script = Script()
    script.goes("watches.load_with_sessions", StoreUnavailableError(problem="away"))

    with pytest.raises(StoreUnavailableError):
        await scene.process(script).look()
    await scene.pass_time(LEASE + SECOND)

    assert await scene.given(session) == "new"


@pytest.mark.parametrize("read", ["watches.leased", "credentials.get"])
async def test_a_check_that_cannot_be_prepared_takes_nothing_from_the_budget(scene: Scene, read: str) -> None:
    """Else one user whose token was sealed with a lost key would, again and again, use up what others need."""
    await finished(scene)
    held, script = await scene.held(), Script()
    script.goes(read, StoreError("it cannot be read"))

    with pytest.raises(StoreError):
        await scene.process(script).look()

    assert await scene.held() == held


async def test_no_more_is_asked_than_the_budget_has_room_for() -> None:
    """Many users finish at once: their checks wait for permits, and all are found in the end."""
    scene = Scene(limits=Limits(egress=20, partner=30, strong_reserve=2, quiet_reserve=4))
    sessions = []
    for number in range(30):
        user = f"user-{number}"
        await scene.sign_in(user)
        await scene.pass_time(10 * SECOND)
        sessions.append((user, await scene.waiting(user)))
    for user, session in sessions:
        scene.zapier.connect(user, "slack", f"of-{user}")
        await scene.hint(session)
    await scene.pass_time(5 * MINUTE)

    assert [f"of-{user}" for user, _ in sessions] == [await scene.given(session) for _, session in sessions]
    assert scene.zapier.busiest_minute <= 20


async def test_the_outcome_of_a_hint_tells_whether_it_caused_a_check(scene: Scene) -> None:
    """A repeat within moments is a duplicate, one of an attempt that is over is stale."""
    session = await finished(scene, makes="new")
    closed = [(await scene.hint(session, HintKind.CLOSED)).outcome for _ in range(2)]
    await scene.here.look()
    late = await scene.hint(session)

    assert (closed, late.outcome) == ([Outcome.APPLIED, Outcome.DUPLICATE], Outcome.STALE)
