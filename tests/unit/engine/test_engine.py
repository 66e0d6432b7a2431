"""The use cases behind the API: what is asked of Zapier, what is written, and what is left alone."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from orchestrator.core.decide.steps import MOST_STEPS
from orchestrator.core.errors.actions import ActionNotFoundError, AppNotFoundError
from orchestrator.core.errors.attempts import AttemptStaleError, AuthenticationNotUsableError, CandidatesFoundError
from orchestrator.core.errors.credentials import CredentialRefusedError, SignInRequiredError
from orchestrator.core.errors.sessions import (
    AliasTakenError,
    IllegalSignalError,
    SessionLockedError,
    StepNotFoundError,
    TooManyStepsError,
)
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamUnavailableError
from orchestrator.core.events import EventName
from orchestrator.core.ports.credentials import CredentialState
from orchestrator.core.ports.sessions import Outcome, SessionQuery
from orchestrator.core.ports.watches import PAUSED
from orchestrator.core.session import (
    MINUTE,
    SECOND,
    Action,
    Channel,
    HintKind,
    Reason,
    StepState,
    session_shard,
    shard_of,
)
from orchestrator.core.signals import PopupCancelled, SessionCancelled, StepReset
from orchestrator.engine import PICKED_WITHIN, NewSession, NewStep
from tests.support.interference import Turns
from tests.support.scenes import SEND, SHARDS, TENANT, Scene


@pytest.fixture(name="scene")
async def _scene() -> Scene:
    """A deployment whose user Ann is signed in and has one authentication for Slack."""
    scene = Scene()
    await scene.sign_in("ann")
    scene.zapier.connect("ann", "slack", "old")
    scene.zapier.requests.clear()
    return scene


def names(scene: Scene) -> list[str]:
    """Give what Zapier was asked, in order."""
    return [request.name for request in scene.zapier.requests]


async def sessions_of(scene: Scene, user: str) -> int:
    """Count a user's sessions."""
    page = await scene.store.sessions.find(SessionQuery(tenant_id=TENANT, user_id=user))
    return len(page.sessions)


# --- creating a session ---


async def test_a_session_begins_with_its_steps_and_their_apps(scene: Scene) -> None:
    """One commit holds all of it; each step is where its app takes it."""
    session = await scene.session("ann", "slack", None, "clock")

    assert [step.state for step in session.steps] == [
        StepState.NEEDS_AUTH,
        StepState.CHOOSE_APP,
        StepState.NO_AUTH_REQUIRED,
    ]
    assert (1, session) == (session.version, await scene.now(session))
    assert await scene.told(session) == [EventName.SESSION_CREATED, EventName.APP_CHOSEN, EventName.APP_CHOSEN]


async def test_a_sessions_id_tells_its_shard(scene: Scene) -> None:
    """Everything of a user lies together."""
    session = await scene.session("ann")

    assert shard_of(TENANT, "ann", shards=SHARDS) == session_shard(session.id)


async def test_an_app_that_several_steps_have_is_asked_for_once(scene: Scene) -> None:
    """Zapier's rate limit is too small to ask twice."""
    await scene.session("ann", "slack", "slack", "clock")

    assert sorted(names(scene)) == ["app", "app", "authentications"]


async def test_a_session_without_apps_asks_nothing_and_needs_no_credential(scene: Scene) -> None:
    """The user may sign in later."""
    session = await scene.session("bob", None)

    assert (names(scene), session.state) == ([], StepState.CHOOSE_APP)


async def test_a_session_knows_from_its_beginning_that_its_user_must_sign_in(scene: Scene) -> None:
    """So that it can tell when the user has."""
    await scene.store.credentials.need_sign_in(TENANT, "ann", generation=1)
    session = await scene.session("ann")
    await scene.sign_in("ann")

    assert session.signed_out
    assert await scene.told(session) == [EventName.SESSION_CREATED, EventName.SIGNED_IN]


@pytest.mark.parametrize(
    ("apps", "error"),
    [
        (("slack", "nothing"), AppNotFoundError),
        (tuple(["clock"] * (MOST_STEPS + 1)), TooManyStepsError),
    ],
    ids=["unknown app", "too many steps"],
)
async def test_what_cannot_be_begun_whole_is_not_begun(
    scene: Scene, apps: tuple[str, ...], error: type[Exception]
) -> None:
    """Nothing is written."""
    with pytest.raises(error):
        await scene.session("ann", *apps)

    assert await sessions_of(scene, "ann") == 0


@pytest.mark.parametrize("name", ["app", "authentications"])
@pytest.mark.parametrize(
    "failure", [UpstreamUnavailableError(problem="502"), UpstreamBusyError(retry_after=1_000)], ids=["broken", "busy"]
)
async def test_when_zapier_fails_no_session_is_begun(scene: Scene, name: str, failure: Exception) -> None:
    """Whoever repeats the request gets one session, not two."""
    scene.zapier.fail(name, failure)

    with pytest.raises(type(failure)):
        await scene.session("ann", "slack")

    assert await sessions_of(scene, "ann") == 0


async def test_apps_need_a_credential(scene: Scene) -> None:
    """Without one Zapier is not asked."""
    with pytest.raises(SignInRequiredError):
        await scene.session("bob", "slack")

    assert (names(scene), await sessions_of(scene, "bob")) == ([], 0)


async def test_two_steps_cannot_share_an_alias(scene: Scene) -> None:
    """Refused before anything is asked."""
    steps = (NewStep(alias="same", app_id="slack"), NewStep(alias="same"))

    with pytest.raises(AliasTakenError):
        await scene.here.engine.create_session(NewSession(tenant_id=TENANT, user_id="ann", steps=steps))

    assert (names(scene), await sessions_of(scene, "ann")) == ([], 0)


async def test_a_session_lives_as_long_as_its_creator_says(scene: Scene) -> None:
    """And otherwise as long as the policy says."""
    short, usual = await scene.session("ann", ttl=5 * MINUTE), await scene.session("ann")

    assert (5 * MINUTE, scene.policy.session_ttl) == (
        short.deadline - short.created_at,
        usual.deadline - usual.created_at,
    )


# --- apps and actions ---


async def test_choosing_an_app_takes_the_baseline_before_anything_can_be_connected(scene: Scene) -> None:
    """The listing behind the picker is the baseline."""
    session = await scene.session("ann", None)
    applied = await scene.here.engine.choose_app(session.key, session.steps[0].id, "slack")

    (step,) = applied.session.steps
    assert step.baseline is not None
    assert (dict(step.baseline.known), step.state) == ({"old": False}, StepState.NEEDS_AUTH)


async def test_an_app_without_authentication_lists_nothing(scene: Scene) -> None:
    """Its popup address, read with the user's token, is null."""
    session = await scene.session("ann", None)
    await scene.here.engine.choose_app(session.key, session.steps[0].id, "clock")

    assert names(scene) == ["app"]
    assert StepState.NO_AUTH_REQUIRED is (await scene.step(session)).state


async def test_the_same_app_again_asks_zapier_nothing(scene: Scene) -> None:
    """It is a duplicate, and costs no permit."""
    session = await scene.session("ann", "slack")
    scene.zapier.requests.clear()
    again = await scene.here.engine.choose_app(session.key, session.steps[0].id, "slack")

    assert (Outcome.DUPLICATE, session, []) == (again.outcome, again.session, names(scene))


async def test_two_processes_choosing_apps_for_one_step_leave_one_whole_app(scene: Scene) -> None:
    """Never one app with the other's baseline or link."""
    for seed in range(20):
        session = await scene.session("ann", None)
        step_id = session.steps[0].id
        chance = Random(seed)
        await asyncio.gather(
            *(
                scene.process(Turns(chance)).engine.choose_app(session.key, step_id, app_id)
                for app_id in ("slack", "gmail", "clock")
            )
        )
        step = await scene.step(session)
        assert step.app is not None
        if step.app.id == "clock":
            assert (step.connect, step.baseline) == (None, None)
        else:
            assert step.connect is not None
            assert step.connect.url.endswith(step.app.id)
        scene.clock.advance(2 * MINUTE)


@pytest.mark.parametrize("failure", [UpstreamUnavailableError(problem="502")], ids=["broken"])
async def test_an_app_that_cannot_be_read_leaves_the_step_as_it_is(scene: Scene, failure: Exception) -> None:
    """The old app stays chosen."""
    session = await scene.session("ann", "gmail")
    scene.zapier.fail("authentications", failure)

    with pytest.raises(UpstreamUnavailableError):
        await scene.here.engine.choose_app(session.key, session.steps[0].id, "slack")

    assert session == await scene.now(session)


async def test_a_401_while_choosing_an_app_is_told_to_all_the_users_sessions(scene: Scene) -> None:
    """The credential is marked, the error says what to do, and every open session says so."""
    session, other = await scene.session("ann", None), await scene.session("ann")
    scene.zapier.refuse("token-of-ann")

    with pytest.raises(SignInRequiredError):
        await scene.here.engine.choose_app(session.key, session.steps[0].id, "slack")

    credential = await scene.store.credentials.get(TENANT, "ann")
    assert credential is not None
    assert CredentialState.NEEDS_SIGN_IN is credential.state
    assert ((await scene.now(session)).signed_out, (await scene.now(other)).signed_out) == (True, True)


async def test_only_an_action_that_the_app_has_can_be_chosen(scene: Scene) -> None:
    """By key and type together."""
    session = await scene.session("ann", "slack")
    step_id = session.steps[0].id
    chosen = await scene.here.engine.choose_action(session.key, step_id, SEND)

    with pytest.raises(ActionNotFoundError):
        await scene.here.engine.choose_action(session.key, step_id, Action(key="send", action_type="search"))

    assert SEND == chosen.session.steps[0].action == (await scene.step(session)).action


async def test_actions_are_those_of_the_steps_app(scene: Scene) -> None:
    """A step without an app has none."""
    session = await scene.session("ann", "slack", None)
    with_app, without = session.steps

    listed = await scene.here.engine.list_actions(session.key, with_app.id)
    with pytest.raises(IllegalSignalError):
        await scene.here.engine.list_actions(session.key, without.id)

    assert [action.id for action in listed] == ["slack-write-1", "slack-read-1"]


async def test_apps_are_searched_as_the_user_sees_them(scene: Scene) -> None:
    """With the user's own token."""
    session = await scene.session("ann")
    page = await scene.here.engine.search_apps(session.key, query="sl", cursor=None)

    assert [app.app.id for app in page.apps] == ["slack"]


# --- the picker ---


async def test_a_fresh_picker_asks_zapier_nothing(scene: Scene) -> None:
    """The baseline is what it shows."""
    session = await scene.session("ann", "slack")
    scene.zapier.requests.clear()
    picker = await scene.here.engine.pick(session.key, session.steps[0].id, refresh=False)

    assert ([shown.id for shown in picker.authentications], names(scene)) == (["old"], [])


async def test_an_old_picker_is_read_anew_and_shows_what_is_new(scene: Scene) -> None:
    """What was connected meanwhile is a candidate, and then part of the baseline."""
    session = await scene.session("ann", "slack")
    scene.zapier.connect("ann", "slack", "new")
    scene.clock.advance(scene.policy.baseline_fresh + 1)
    picker = await scene.here.engine.pick(session.key, session.steps[0].id, refresh=False)

    step = await scene.step(session)
    assert step.baseline is not None
    assert (
        [shown.id for shown in picker.authentications],
        [shown.id for shown in step.candidates],
    ) == (["old", "new"], ["new"])
    assert {"old", "new"} == set(step.baseline.known)


async def test_a_picker_is_read_anew_on_request(scene: Scene) -> None:
    """However fresh it is."""
    session = await scene.session("ann", "slack")
    scene.zapier.connect("ann", "slack", "new")
    picker = await scene.here.engine.pick(session.key, session.steps[0].id, refresh=True)

    assert [shown.id for shown in picker.authentications] == ["old", "new"]


async def test_a_picker_of_another_zapier_account_is_read_anew(scene: Scene) -> None:
    """What the former account had is nothing this user can choose."""
    session = await scene.session("ann", "slack")
    await scene.sign_in("ann", token="other", account="ann-at-work")
    scene.zapier.connect("ann-at-work", "slack", "work")
    picker = await scene.here.engine.pick(session.key, session.steps[0].id, refresh=False)

    assert [shown.id for shown in picker.authentications] == ["work"]


async def test_while_a_popup_is_open_a_refreshed_picker_leaves_the_baseline_alone(scene: Scene) -> None:
    """Else what the popup makes would not be new any more."""
    session = await scene.waiting("ann")
    scene.zapier.connect("ann", "slack", "new")
    picker = await scene.here.engine.pick(session.key, session.steps[0].id, refresh=True)

    step = await scene.step(session)
    assert step.baseline is not None
    assert [shown.id for shown in picker.authentications] == ["old", "new"]
    assert ({"old"}, StepState.AWAITING_POPUP) == (set(step.baseline.known), step.state)


async def test_a_popup_opened_while_the_picker_is_read_keeps_its_baseline(scene: Scene) -> None:
    """The picker's listing came too late to be one."""
    session = await scene.session("ann", "slack")

    async def open_and_finish() -> None:
        await scene.open(session, "at-1")
        scene.zapier.connect("ann", "slack", "new")

    scene.zapier.meanwhile("authentications", open_and_finish)
    await scene.here.engine.pick(session.key, session.steps[0].id, refresh=True)
    await scene.hint(session)
    await scene.here.look()

    assert await scene.given(session) == "new"


async def test_a_step_without_need_of_authentication_has_an_empty_picker(scene: Scene) -> None:
    """And one without an app has none."""
    session = await scene.session("ann", "clock", None)
    picker = await scene.here.engine.pick(session.key, session.steps[0].id, refresh=True)

    with pytest.raises(IllegalSignalError):
        await scene.here.engine.pick(session.key, session.steps[1].id, refresh=True)

    assert (picker.authentications, picker.listed_at) == ((), None)


async def test_a_session_that_is_closed_still_shows_its_picker(scene: Scene) -> None:
    """Reading changes nothing."""
    session = await scene.session("ann", "slack")
    closed = (await scene.here.engine.apply(session.key, SessionCancelled())).session
    picker = await scene.here.engine.pick(session.key, session.steps[0].id, refresh=True)

    assert (["old"], closed) == ([shown.id for shown in picker.authentications], await scene.now(session))


# --- choosing ---


async def test_the_users_choice_settles_the_step(scene: Scene) -> None:
    """With what Zapier says now as the server's check."""
    session = await scene.session("ann", "slack")
    applied = await scene.here.engine.select(session.key, session.steps[0].id, "old")

    (step,) = applied.session.steps
    assert step.evidence is not None
    assert (step.state, step.evidence.channels) == (StepState.RESOLVED, (Channel.SELECTION,))


async def test_a_second_choice_of_the_same_changes_nothing(scene: Scene) -> None:
    """It is a duplicate."""
    session = await scene.session("ann", "slack")
    first = await scene.here.engine.select(session.key, session.steps[0].id, "old")
    second = await scene.here.engine.select(session.key, session.steps[0].id, "old")

    assert (Outcome.DUPLICATE, first.session) == (second.outcome, second.session)


@pytest.mark.parametrize("authentication_id", ["expired", "mail", "bobs", "nothing"])
async def test_what_zapier_does_not_list_as_usable_cannot_be_chosen(scene: Scene, authentication_id: str) -> None:
    """Expired, of another app, of another user, unknown: a clear refusal, logged, and nothing changed."""
    await scene.sign_in("bob")
    scene.zapier.connect("ann", "slack", "expired", is_expired=True)
    scene.zapier.connect("ann", "gmail", "mail")
    scene.zapier.connect("bob", "slack", "bobs")
    session = await scene.session("ann", "slack")

    with pytest.raises(AuthenticationNotUsableError):
        await scene.here.engine.select(session.key, session.steps[0].id, authentication_id)

    (record,) = await scene.store.sessions.signals(session.id)
    assert (session, Outcome.REFUSED) == (await scene.now(session), record.outcome)


async def test_a_choice_that_an_incomplete_listing_lacks_is_not_called_unusable(scene: Scene) -> None:
    """It may well be there: the request can be repeated."""
    session = await scene.session("ann", "slack")
    scene.zapier.connect("ann", "slack", "second")
    scene.zapier.truncates = True

    with pytest.raises(UpstreamUnavailableError):
        await scene.here.engine.select(session.key, session.steps[0].id, "second")
    listed = await scene.here.engine.select(session.key, session.steps[0].id, "old")

    assert listed.session.state is StepState.RESOLVED


async def test_a_choice_is_not_made_for_an_app_the_step_no_longer_has(scene: Scene) -> None:
    """The step got another app while Zapier was asked."""
    session = await scene.session("ann", "slack")
    step_id = session.steps[0].id

    async def choose_other() -> None:
        await scene.here.engine.choose_app(session.key, step_id, "gmail")

    scene.zapier.meanwhile("authentications", choose_other)
    scene.clock.advance(PICKED_WITHIN)
    with pytest.raises(AuthenticationNotUsableError):
        await scene.here.engine.select(session.key, step_id, "old")

    step = await scene.step(session)
    assert (step.state, step.authentication) == (StepState.NEEDS_AUTH, None)


async def test_what_was_just_listed_can_be_chosen_without_another_listing(scene: Scene) -> None:
    """For a minute; the evidence says when Zapier showed it."""
    session = await scene.session("ann", "slack")
    (step,) = session.steps
    scene.zapier.requests.clear()
    scene.clock.advance(PICKED_WITHIN - SECOND)
    applied = await scene.here.engine.select(session.key, step.id, "old")

    (settled,) = applied.session.steps
    assert settled.evidence is not None
    assert step.baseline is not None
    assert (names(scene), settled.evidence.checked_at) == ([], step.baseline.taken_at)
    assert settled.state is StepState.RESOLVED


async def test_what_was_listed_a_while_ago_is_looked_for_again(scene: Scene) -> None:
    """It may be gone, or have expired."""
    session = await scene.session("ann", "slack")
    scene.zapier.connect("ann", "slack", "old", is_expired=True)
    scene.clock.advance(PICKED_WITHIN)

    with pytest.raises(AuthenticationNotUsableError):
        await scene.here.engine.select(session.key, session.steps[0].id, "old")


async def test_what_another_account_was_shown_is_looked_for_in_the_present_one(scene: Scene) -> None:
    """However young the picker is."""
    session = await scene.session("ann", "slack")
    await scene.sign_in("ann", token="other", account="ann-at-work")

    with pytest.raises(AuthenticationNotUsableError):
        await scene.here.engine.select(session.key, session.steps[0].id, "old")


@pytest.mark.parametrize("app", ["clock", None])
async def test_a_step_that_needs_none_cannot_be_given_one(scene: Scene, app: str | None) -> None:
    """Zapier is not asked."""
    session = await scene.session("ann", app)
    scene.zapier.requests.clear()

    with pytest.raises(IllegalSignalError):
        await scene.here.engine.select(session.key, session.steps[0].id, "old")

    assert names(scene) == []


# --- popups ---


async def test_opening_without_an_id_makes_what_is_old_fresh_first(scene: Scene) -> None:
    """Baseline and link are never older than five minutes when the browser leaves."""
    session = await scene.session("ann", "slack")
    scene.clock.advance(scene.policy.baseline_fresh + 1)
    scene.zapier.requests.clear()
    opened = await scene.open(session)

    (step,) = opened.session.steps
    assert step.baseline is not None
    assert (sorted(names(scene)), opened.attempt.offers_only) == (["app", "authentications"], False)
    assert opened.attempt.opened_at - SECOND < step.baseline.taken_at < opened.attempt.opened_at


async def test_opening_with_what_is_fresh_asks_nothing(scene: Scene) -> None:
    """The click has no time to lose."""
    session = await scene.session("ann", "slack")
    scene.zapier.requests.clear()
    opened = await scene.open(session)

    assert (names(scene), opened.url) == ([], "https://zapier.test/connect/slack")


async def test_opening_with_an_id_never_asks_zapier(scene: Scene) -> None:
    """The popup may be open already, so the listing would come too late; difference only offers then."""
    session = await scene.session("ann", "slack")
    scene.clock.advance(scene.policy.baseline_oldest + 1)
    scene.zapier.requests.clear()
    opened = await scene.open(session, "at-page")

    assert (names(scene), opened.attempt.id, opened.attempt.offers_only) == ([], "at-page", True)


async def test_the_same_attempt_id_opens_the_same_attempt(scene: Scene) -> None:
    """A page may repeat its request."""
    session = await scene.session("ann", "slack")
    first = await scene.open(session, "at-page")
    scene.clock.advance(SECOND)
    second = await scene.open(session, "at-page")

    assert (first.outcome, second.outcome) == (Outcome.APPLIED, Outcome.DUPLICATE)
    assert (first.attempt, 1) == (second.attempt, len((await scene.step(session)).attempts))


async def test_an_attempt_of_a_former_app_cannot_be_opened_again(scene: Scene) -> None:
    """Its popup went to another app."""
    session = await scene.waiting("ann")
    await scene.here.engine.choose_app(session.key, session.steps[0].id, "gmail")

    with pytest.raises(AttemptStaleError):
        await scene.open(session, "at-1")


@pytest.mark.parametrize("attempt_id", [None, "at-1"])
@pytest.mark.parametrize("app", [None, "clock"])
async def test_no_popup_opens_where_there_is_nothing_to_connect(
    scene: Scene, app: str | None, attempt_id: str | None
) -> None:
    """A step without an app, or with one that needs no authentication."""
    session = await scene.session("ann", app)

    with pytest.raises(IllegalSignalError):
        await scene.open(session, attempt_id)

    assert session == await scene.now(session)


async def test_opening_again_shows_once_what_was_connected_meanwhile(scene: Scene) -> None:
    """The user sees it before being asked to connect twice; the next click opens."""
    session = await scene.session("ann", "slack")
    scene.zapier.connect("ann", "slack", "new")
    scene.clock.advance(scene.policy.baseline_fresh + 1)

    with pytest.raises(CandidatesFoundError):
        await scene.open(session)
    shown = (await scene.step(session)).candidates
    opened = await scene.open(session)

    assert ([one.id for one in shown], opened.session.state) == (["new"], StepState.AWAITING_POPUP)


@pytest.mark.parametrize("ending", ["cancelled", "timed out"])
async def test_opening_after_an_unfinished_attempt_finds_what_it_made(scene: Scene, ending: str) -> None:
    """Its login ended silently after the user gave up; fresh as the baseline is, Zapier is asked."""
    session = await scene.waiting("ann")
    if ending == "cancelled":
        cancelled = PopupCancelled(step_id=session.steps[0].id, attempt_id="at-1")
        await scene.here.engine.apply(session.key, cancelled)
    else:
        await scene.pass_time(scene.policy.attempt + MINUTE, tick=10 * SECOND)
        assert Reason.TIMED_OUT is (await scene.step(session)).reason
    scene.zapier.connect("ann", "slack", "late")

    with pytest.raises(CandidatesFoundError):
        await scene.open(session)

    assert [one.id for one in (await scene.step(session)).candidates] == ["late"]


async def test_opening_again_stops_when_a_late_message_turns_out_to_be_true(scene: Scene) -> None:
    """The step is settled by it, so there is nothing left to connect."""
    session = await scene.waiting("ann")
    await scene.here.engine.apply(session.key, PopupCancelled(step_id=session.steps[0].id, attempt_id="at-1"))
    await scene.message(session, "new")
    scene.zapier.connect("ann", "slack", "new")

    with pytest.raises(CandidatesFoundError):
        await scene.open(session)

    step = await scene.step(session)
    assert (await scene.given(session), step.state) == ("new", StepState.RESOLVED)


async def test_a_settled_step_can_be_connected_anew(scene: Scene) -> None:
    """Its user wants another account."""
    session = await scene.session("ann", "slack")
    await scene.here.engine.select(session.key, session.steps[0].id, "old")
    opened = await scene.open(session)

    assert (opened.session.state, opened.session.steps[0].authentication) == (StepState.AWAITING_POPUP, None)


async def test_opening_makes_a_baseline_of_the_present_account(scene: Scene) -> None:
    """What another account had says nothing about what is new in this one."""
    session = await scene.session("ann", "slack")
    await scene.sign_in("ann", token="other", account="ann-at-work")
    scene.zapier.connect("ann-at-work", "slack", "work")
    opened = await scene.open(session)
    scene.zapier.connect("ann-at-work", "slack", "new")
    await scene.hint(session, attempt_id=opened.attempt.id)
    await scene.here.look()

    assert await scene.given(session) == "new"


async def test_an_incomplete_listing_is_no_baseline(scene: Scene) -> None:
    """What it lacks may have been there."""
    scene.zapier.truncates = True
    session = await scene.session("ann", "slack")
    scene.zapier.truncates = False
    await scene.open(session, "at-1")
    await scene.hint(session)
    await scene.here.look()

    step = await scene.step(session)
    assert (step.state, step.authentication) == (StepState.AWAITING_POPUP, None)


# --- credentials ---


async def test_a_token_that_zapier_refuses_is_not_kept(scene: Scene) -> None:
    """The one there was stays."""
    before = await scene.store.credentials.get(TENANT, "ann")

    with pytest.raises(CredentialRefusedError):
        await scene.here.engine.put_credential(TENANT, "ann", "nonsense", expires_in=None)

    assert before == await scene.store.credentials.get(TENANT, "ann")


async def test_a_token_is_kept_when_its_scope_hides_whose_it_is(scene: Scene) -> None:
    """Each such sign-in is an account of its own."""
    await scene.sign_in("bob", profile=False)
    first = await scene.store.credentials.get(TENANT, "bob")
    await scene.sign_in("bob", profile=False)
    second = await scene.store.credentials.get(TENANT, "bob")

    assert first is not None
    assert second is not None
    assert (first.profile_id, first.account != second.account) == (None, True)


async def test_a_credential_says_when_it_expires(scene: Scene) -> None:
    """From the moment it is kept, after Zapier has answered."""
    scene.zapier.sign_in("short", account="ann")
    kept = await scene.here.engine.put_credential(TENANT, "ann", "short", expires_in=MINUTE)

    assert scene.clock.now() + MINUTE == kept.expires_at


async def test_a_new_credential_resumes_what_waited_for_it(scene: Scene) -> None:
    """The paused watch is due at once, and the login is found."""
    session = await scene.waiting("ann")
    scene.zapier.refuse("token-of-ann")
    await scene.hint(session)
    await scene.here.look()
    paused = await scene.watch("ann")
    scene.zapier.connect("ann", "slack", "new")
    await scene.sign_in("ann", token="token-2")
    await scene.here.look()

    assert (paused.retry_at, await scene.given(session)) == (PAUSED, "new")


# --- whose is what ---


async def test_nothing_of_a_step_is_found_in_another_session(scene: Scene) -> None:
    """A step's id means nothing outside its session."""
    session, other = await scene.session("ann", "slack"), await scene.session("ann", "slack")
    foreign = other.steps[0].id
    engine = scene.here.engine

    for using in (
        engine.choose_app(session.key, foreign, "gmail"),
        engine.pick(session.key, foreign, refresh=True),
        engine.select(session.key, foreign, "old"),
        engine.open_popup(session.key, foreign, None),
        engine.open_popup(session.key, foreign, "at-1"),
        engine.list_actions(session.key, foreign),
        engine.choose_action(session.key, foreign, SEND),
        engine.apply(session.key, StepReset(step_id=foreign)),
    ):
        with pytest.raises(StepNotFoundError):
            await using

    assert (session, other) == (await scene.now(session), await scene.now(other))


async def test_a_closed_session_asks_zapier_nothing(scene: Scene) -> None:
    """What cannot be written is not worth a permit."""
    session = await scene.session("ann", "slack")
    await scene.here.engine.apply(session.key, SessionCancelled())
    scene.zapier.requests.clear()
    step_id, engine = session.steps[0].id, scene.here.engine

    for using in (
        engine.choose_app(session.key, step_id, "gmail"),
        engine.select(session.key, step_id, "old"),
        engine.open_popup(session.key, step_id, None),
        engine.choose_action(session.key, step_id, SEND),
    ):
        with pytest.raises(SessionLockedError):
            await using

    assert names(scene) == []


async def test_users_of_the_same_name_in_two_tenants_share_nothing(scene: Scene) -> None:
    """Neither credential nor watch nor session."""
    scene.zapier.sign_in("theirs", account="ann-of-theirs")
    await scene.here.engine.put_credential("theirs", "ann", "theirs", expires_in=None)
    new = NewSession(tenant_id="theirs", user_id="ann", steps=(NewStep(app_id="slack"),))
    theirs = (await scene.here.engine.create_session(new)).session
    session = await scene.waiting("ann")
    await scene.here.engine.open_popup(theirs.key, theirs.steps[0].id, "at-1")
    scene.zapier.connect("ann", "slack", "new")
    await scene.hint(session)
    await scene.here.look()

    assert (await scene.given(session), await scene.given(theirs)) == ("new", None)
    assert StepState.AWAITING_POPUP is (await scene.step(theirs)).state


async def test_a_page_that_races_itself_opens_one_attempt(scene: Scene) -> None:
    """The opening and three signals of it arrive at once, at several processes."""
    for seed in range(20):
        session = await scene.session("ann", "slack")
        chance, attempt_id = Random(seed), f"at-{seed}"
        processes = [scene.process(Turns(chance)) for _ in range(3)]
        await asyncio.gather(
            processes[0].engine.open_popup(session.key, session.steps[0].id, attempt_id),
            processes[1].engine.open_popup(session.key, session.steps[0].id, attempt_id),
            scene.hint(session, HintKind.CLOSED, attempt_id=attempt_id),
            scene.hint(session, HintKind.FINISHED, attempt_id=attempt_id),
        )
        told = await scene.told(session)
        assert (len((await scene.step(session)).attempts), told.count(EventName.POPUP_OPENED)) == (1, 1)
        scene.clock.advance(2 * MINUTE)
