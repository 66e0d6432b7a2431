"""What is true in a world of several sessions, whatever happens in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.core.ports.credentials import CredentialState
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.upstream import (
    AuthenticationMade,
    AuthenticationNotMade,
    AuthenticationUnknown,
    ZapMade,
    ZapNotMade,
    ZapUnknown,
)
from orchestrator.core.ports.watches import PAUSED, Waiter
from orchestrator.core.ports.watches import Watch as KeptWatch
from orchestrator.core.schedule import wake_at
from orchestrator.core.session import (
    MINUTE,
    SECOND,
    Authentication,
    Channel,
    Connect,
    HintKind,
    Session,
    Step,
    StepState,
    WatchKey,
)
from orchestrator.core.signals import (
    ActionChosen,
    AppChosen,
    AuthenticationSelected,
    AuthenticationsRefreshed,
    CheckWanted,
    Context,
    CredentialChanged,
    DeadlinesExtended,
    FieldsAnswered,
    FieldsSent,
    Hinted,
    MessageReceived,
    PopupBlocked,
    PopupCancelled,
    PopupOpened,
    SessionCancelled,
    Signal,
    StepAdded,
    StepRemoved,
    StepReset,
    ZapAnswered,
    ZapRequested,
)
from tests.support.diagnoses import CONDITIONS, Asked, check_diagnosis
from tests.support.stories import ACTION, app
from tests.support.world import LONGEST_LAG, YIELDS_FOR, OpenPopup, Post, Sight, Supply, World

T = TypeVar("T")

APPS = ("slack", "gmail")
APP_IDS = st.sampled_from(["slack", "slack", "slack", "gmail"])
ANSWERS: dict[str, ZapMade | ZapNotMade | ZapUnknown] = {
    "made": ZapMade(zap_id="z1", editor_url=None),
    "not made": ZapNotMade(status=400, problem="no"),
    "unknown": ZapUnknown(problem="lost"),
}
DURATIONS = st.sampled_from(
    [
        *(1, 500, 5 * SECOND, 20 * SECOND, 35 * SECOND, 61 * SECOND),
        *(minutes * MINUTE for minutes in (3, 5, 6, 11, 31, 54, 59, 60, 61, 66, 180)),
    ]
)
LAGS = st.sampled_from([0, 0, 0, 500, 30 * SECOND, LONGEST_LAG])
PAGES_HINTS = [kind for kind in HintKind if kind is not HintKind.OPERATOR]
ANY = st.sampled_from([0, 0, 0, 0, 1, 1, 1, 2, 3, 5])
CONTEXTS = st.builds(Context, visible=st.sampled_from([None, True, False]), gone=st.booleans())


def one_of(chosen: int, among: list[T]) -> T:
    """Choose one of several; a smaller number chooses an earlier one."""
    return among[chosen % len(among)]


class Popups(RuleBasedStateMachine):
    """Sessions of one user, with everything that may happen to their popups."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.sights: list[Sight] = []

    # --- who there is ---

    def open_steps(self) -> list[tuple[Session, Step]]:
        return [(session, step) for session, step in self.world.waiters() if session.is_open]

    def with_app(self) -> list[tuple[Session, Step]]:
        return [(session, step) for session, step in self.open_steps() if step.app is not None]

    def unfinished(self) -> list[OpenPopup]:
        return [
            popup for popup in self.world.popups if not popup.is_done and self.world.now <= popup.opened_at + YIELDS_FOR
        ]

    # --- the beginning ---

    @initialize(first=APP_IDS, others=st.lists(APP_IDS, min_size=1, max_size=2))
    def begin(self, first: str, others: list[str]) -> None:
        """Two sessions whose steps have apps; some authentications were there before."""
        for app_id in APPS:
            self.world.store(app_id, f"old-{app_id}", owner=None, at=0)
            self.world.store(app_id, f"expired-{app_id}", owner=None, at=0)
            self.world.expire(app_id, f"expired-{app_id}")
        one, two = self.world.found("s1"), self.world.found(*(f"s{number}" for number in range(2, 2 + len(others))))
        self.choose(one.id, "s1", first)
        for step, app_id in zip(two.steps, others, strict=True):
            self.choose(two.id, step.id, app_id)

    # --- the builder ---

    def choose(self, session_id: str, step_id: str, app_id: str, *, lag: int = 0, needs_auth: bool = True) -> None:
        sight = self.world.look(app_id, lag=lag)
        connect = Connect(url=f"https://zapier.test/{app_id}", read_at=self.world.now) if needs_auth else None
        chosen = AppChosen(
            step_id=step_id, app=app(app_id), connect=connect, listing=sight.listing if needs_auth else None
        )
        self.world.apply(session_id, lambda _: chosen)

    @precondition(lambda self: self.open_steps())
    @rule(which=ANY, app_id=APP_IDS, lag=LAGS, needs_auth=st.sampled_from([True, True, True, False]))
    def chooses_an_app(self, which: int, app_id: str, lag: int, needs_auth: bool) -> None:
        session, step = one_of(which, self.open_steps())
        self.choose(session.id, step.id, app_id, lag=lag, needs_auth=needs_auth)

    @precondition(lambda self: self.open_steps())
    @rule(which=ANY, app_id=APP_IDS, what=st.sampled_from(["reset", "remove", "add", "begin"]))
    def changes_the_steps(self, which: int, app_id: str, what: str) -> None:
        session, step = one_of(which, self.open_steps())
        if what == "reset":
            self.world.apply(session.id, lambda _: StepReset(step_id=step.id))
        elif what == "remove":
            self.world.apply(session.id, lambda _: StepRemoved(step_id=step.id))
        elif what == "add":
            step_id = f"s{self.world.number()}"
            self.world.apply(session.id, lambda _: StepAdded(step_id=step_id))
            self.choose(session.id, step_id, app_id)
        else:
            self.choose(self.world.found("s1").id, "s1", app_id)

    @rule(which=ANY, what=st.sampled_from(["made", "not made", "unknown", "no answer", "cancel", *CredentialState]))
    def ends_or_nearly_ends_a_session(self, which: int, what: str) -> None:
        session_id = one_of(which, list(self.world.sessions))
        if what == "cancel":
            self.world.apply(session_id, lambda _: SessionCancelled())
        elif isinstance(what, CredentialState):
            self.world.apply(session_id, lambda _: CredentialChanged(state=what))
        else:
            self.build(session_id, what)

    def build(self, session_id: str, what: str) -> None:
        for step in self.world.sessions[session_id].steps:
            self.world.apply(session_id, _always(ActionChosen(step_id=step.id, action=ACTION)))
        intent_id = f"in{self.world.number()}"
        self.world.apply(session_id, lambda _: ZapRequested(intent_id=intent_id, again=True))
        if what in ANSWERS:
            self.world.apply(session_id, lambda _: ZapAnswered(intent_id=intent_id, answer=ANSWERS[what]))

    # --- the picker ---

    def refresh(self, session: Session, step: Step, sight: Sight) -> None:
        app_id = sight.listing.app_id
        self.world.apply(
            session.id,
            lambda _: AuthenticationsRefreshed(
                step_id=step.id,
                listing=sight.listing,
                connect=Connect(url=f"https://zapier.test/{app_id}", read_at=self.world.now),
                claims=dict(self.world.watch(app_id).claims),
            ),
            births=sight.births,
        )

    @precondition(lambda self: self.with_app())
    @rule(which=ANY, lag=LAGS, hides=st.sampled_from([None, None, 0, 1]))
    def reads_the_picker(self, which: int, lag: int, hides: int | None) -> None:
        session, step = one_of(which, self.with_app())
        assert step.app is not None
        self.refresh(session, step, self.world.look(step.app.id, lag=lag, hides=hides))

    @precondition(lambda self: self.with_app())
    @rule(which=ANY, chosen=ANY, lag=LAGS)
    def selects(self, which: int, chosen: int, lag: int) -> None:
        session, step = one_of(which, self.with_app())
        assert step.app is not None
        self.select(session, step, chosen, self.world.look(step.app.id, lag=lag))

    def select(
        self, session: Session, step: Step, chosen: int, sight: Sight, *, channel: Channel = Channel.SELECTION
    ) -> None:
        app_id = sight.listing.app_id
        self.world.apply(
            session.id,
            lambda _: AuthenticationSelected(
                step_id=step.id,
                authentication_id=one_of(chosen, sorted(self.world.stored[app_id])),
                listing=sight.listing,
                claims=dict(self.world.watch(app_id).claims),
                channel=channel,
            ),
            births=sight.births,
        )

    @precondition(lambda self: self.with_app() and self.sights)
    @rule(which=ANY, chosen=ANY, sight=ANY, selects=st.booleans())
    def uses_an_old_listing(self, which: int, chosen: int, sight: int, selects: bool) -> None:
        """Of whichever app the step had when it was asked for."""
        session, step = one_of(which, self.with_app())
        if selects:
            self.select(session, step, chosen, one_of(sight, self.sights))
        else:
            self.refresh(session, step, one_of(sight, self.sights))

    # --- popups ---

    @precondition(lambda self: self.with_app())
    @rule(which=ANY)
    def opens_a_popup_and_the_opening_is_lost(self, which: int) -> None:
        self.open_unheard(*one_of(which, self.with_app()))

    def open_unheard(self, session: Session, step: Step) -> OpenPopup:
        """Its page's next signal, if ever one comes, is the first that is heard of it."""
        assert step.app is not None
        waiter = Waiter(session_id=session.id, step_id=step.id)
        popup = OpenPopup(waiter, f"a{self.world.number()}", step.app.id, self.world.now, is_unheard=True)
        self.world.popups.append(popup)
        return popup

    def rivals(self) -> list[tuple[tuple[Session, Step], tuple[Session, Step]]]:
        """Give the pairs of steps that have the same app."""
        return [(one, other) for one, other in permutations(self.with_app(), 2) if one[1].app == other[1].app]

    @precondition(lambda self: self.rivals())
    @rule(which=ANY, duration=DURATIONS, repairs=st.booleans(), is_first=st.booleans())
    def logs_in_unheard_while_another_waits(self, which: int, duration: int, repairs: bool, is_first: bool) -> None:
        """Difference cannot tell whose it is, and does not know that."""
        unheard, waiting = one_of(which, self.rivals())
        app_id = waiting[1].app.id if waiting[1].app else ""
        popup = self.open_unheard(*unheard) if is_first else None
        self.refresh(*waiting, self.world.look(app_id))
        self.open(*waiting)
        popup = popup or self.open_unheard(*unheard)
        self.world.now += duration
        if popup in self.unfinished():
            self.finish(popup, repairs=repairs)
        self.world.check(self.world.look(app_id))

    @precondition(lambda self: self.unheard())
    @rule(which=ANY, says=st.sampled_from(["opened", "cancelled", *PAGES_HINTS]), knows_when=st.booleans())
    def is_heard_of_at_last(self, which: int, says: str, knows_when: bool) -> None:
        popup = one_of(which, self.unheard())
        elapsed = self.world.now - popup.opened_at
        context = Context(elapsed_ms=elapsed if knows_when or says == "opened" else None)
        step_id, attempt_id = popup.waiter.step_id, popup.attempt_id
        if isinstance(says, HintKind):
            self.world.hear(popup, Hinted(step_id=step_id, attempt_id=attempt_id, kind=says, context=context))
        else:
            signal = PopupOpened if says == "opened" else PopupCancelled
            self.world.hear(popup, signal(step_id=step_id, attempt_id=attempt_id, context=context))

    def unheard(self) -> list[OpenPopup]:
        return [popup for popup in self.world.popups if popup.is_unheard]

    def open(self, session: Session, step: Step) -> None:
        assert step.app is not None
        attempt_id = f"a{self.world.number()}"
        outcome = self.world.apply(session.id, lambda _: PopupOpened(step_id=step.id, attempt_id=attempt_id))
        if outcome is Outcome.APPLIED:
            waiter = Waiter(session_id=session.id, step_id=step.id)
            self.world.popups.append(OpenPopup(waiter, attempt_id, step.app.id, self.world.now))

    @precondition(lambda self: self.with_app())
    @rule(which=ANY, is_fresh=st.booleans(), lag=LAGS)
    def opens_a_popup(self, which: int, is_fresh: bool, lag: int) -> None:
        session, step = one_of(which, self.with_app())
        if is_fresh:
            assert step.app is not None
            self.refresh(session, step, self.world.look(step.app.id, lag=lag))
        self.open(session, step)

    @precondition(lambda self: self.unfinished())
    @rule(which=ANY, repairs=st.booleans(), elsewhere=st.sampled_from([False, False, False, True]))
    def finishes_a_popup(self, which: int, repairs: bool, elsewhere: bool) -> None:
        self.finish(one_of(which, self.unfinished()), repairs=repairs, elsewhere=elsewhere)

    def finish(self, popup: OpenPopup, *, repairs: bool = False, elsewhere: bool = False) -> Post:
        expired = [stored.id for stored in self.world.stored[popup.app_id].values() if stored.is_expired]
        return self.world.finish(popup, repairs=expired[0] if repairs and expired else None, elsewhere=elsewhere)

    # --- fields ---

    def under_way(self) -> list[Supply]:
        return [
            supply
            for supply in self.world.supplies
            if supply.made is None and not supply.is_refused and self.world.now <= supply.sent_at + YIELDS_FOR
        ]

    @precondition(lambda self: self.with_app())
    @rule(which=ANY, is_fresh=st.booleans(), lag=LAGS)
    def sends_fields(self, which: int, is_fresh: bool, lag: int) -> None:
        session, step = one_of(which, self.with_app())
        assert step.app is not None
        if is_fresh:
            self.refresh(session, step, self.world.look(step.app.id, lag=lag))
        self.send_fields(session, step)

    def send_fields(self, session: Session, step: Step) -> Supply | None:
        assert step.app is not None
        sent = FieldsSent(step_id=step.id, app_id=step.app.id, attempt_id=f"f{self.world.number()}")
        if self.world.apply(session.id, lambda _: sent) is not Outcome.APPLIED:
            return None
        waiter = Waiter(session_id=session.id, step_id=step.id)
        self.world.supplies.append(Supply(waiter, sent.attempt_id, sent.app_id, self.world.now))
        return self.world.supplies[-1]

    @precondition(lambda self: self.rivals())
    @rule(which=ANY, duration=DURATIONS, is_first=st.booleans())
    def fields_are_taken_while_another_waits(self, which: int, duration: int, is_first: bool) -> None:
        """The other's popup made nothing, and what is new is no popup's."""
        sending, waiting = one_of(which, self.rivals())
        app_id = waiting[1].app.id if waiting[1].app else ""
        supply = self.send_fields(*sending) if is_first else None
        self.refresh(*waiting, self.world.look(app_id))
        self.open(*waiting)
        supply = supply or self.send_fields(*sending)
        if supply is not None and supply in self.under_way():
            supply.made = f"auth-{self.world.number()}"
            self.world.store(app_id, supply.made, owner=supply.waiter)
        self.world.now += duration
        self.world.check(self.world.look(app_id))

    @precondition(lambda self: self.under_way())
    @rule(which=ANY, what=st.sampled_from(["made", "made", "refused"]))
    def takes_fields_or_not(self, which: int, what: str) -> None:
        """Zapier makes something of them, or refuses to; whether its answer arrives is another matter."""
        supply = one_of(which, self.under_way())
        if what == "refused":
            supply.is_refused = True
        else:
            supply.made = f"auth-{self.world.number()}"
            self.world.store(supply.app_id, supply.made, owner=supply.waiter)

    @precondition(lambda self: self.world.supplies)
    @rule(which=ANY, is_lost=st.booleans())
    def hears_what_came_of_fields(self, which: int, is_lost: bool) -> None:
        supply = one_of(which, self.world.supplies)
        answer: AuthenticationMade | AuthenticationNotMade | AuthenticationUnknown = AuthenticationUnknown(problem="")
        if supply.made is not None and not is_lost:
            answer = AuthenticationMade(authentication=Authentication(id=supply.made, title=supply.made))
        elif supply.is_refused and not is_lost:
            answer = AuthenticationNotMade(status=400, problem="no")
        self.world.apply(
            supply.waiter.session_id,
            lambda _: FieldsAnswered(
                step_id=supply.waiter.step_id,
                attempt_id=supply.attempt_id,
                answer=answer,
                claims=dict(self.world.watch(supply.app_id).claims),
            ),
        )

    @precondition(lambda self: self.world.posts)
    @rule(which=ANY, context=CONTEXTS)
    def hears_a_message(self, which: int, context: Context) -> None:
        self.deliver(one_of(which, self.world.posts), context)

    def deliver(self, post: Post, context: Context) -> Outcome:
        post.was_delivered = True
        received = MessageReceived(
            step_id=post.waiter.step_id,
            attempt_id=post.attempt_id,
            authentication_id=post.authentication_id,
            context=context,
        )
        popup = next(popup for popup in self.world.popups if popup.attempt_id == post.attempt_id)
        return self.world.hear(popup, received)

    @precondition(lambda self: self.world.posts)
    @rule(which=ANY)
    def hears_a_message_and_looks(self, which: int) -> None:
        """A first message of an attempt for the app the step has is never refused while the session is open."""
        post = one_of(which, self.world.posts)
        session = self.world.sessions[post.waiter.session_id]
        before = session.step(post.waiter.step_id)
        is_first = not post.was_delivered
        outcome = self.deliver(post, Context())
        is_awaited = before is not None and before.app is not None and before.app.id == post.app_id
        opened = before.attempt(post.attempt_id) if before is not None else None
        if opened is not None and opened.app_id != post.app_id:
            return  # first heard of while the step had another app
        if before is None or not session.is_open or not is_awaited or before.state is StepState.NO_AUTH_REQUIRED:
            return
        assert outcome is not Outcome.REFUSED
        sight = self.world.look(post.app_id)
        listed = sight.listing.get(post.authentication_id)
        self.world.check(sight)
        if not is_first or listed is None or listed.is_expired:
            return
        after = self.world.sessions[session.id].step(before.id)
        assert after is not None
        assert after.authentication is not None
        assert after.evidence is not None
        assert after.authentication.id == post.authentication_id or not after.evidence.is_difference_alone

    @precondition(lambda self: self.world.popups)
    @rule(which=ANY, kind=st.sampled_from(PAGES_HINTS), context=CONTEXTS)
    def sees_something(self, which: int, kind: HintKind, context: Context) -> None:
        popup = one_of(which, self.world.popups)
        hinted = Hinted(step_id=popup.waiter.step_id, attempt_id=popup.attempt_id, kind=kind, context=context)
        self.world.hear(popup, hinted)

    @precondition(lambda self: self.world.popups)
    @rule(which=ANY, signal=st.sampled_from([PopupCancelled, PopupBlocked]))
    def gives_up(self, which: int, signal: type[PopupCancelled | PopupBlocked]) -> None:
        popup = one_of(which, self.world.popups)
        given_up = signal(step_id=popup.waiter.step_id, attempt_id=popup.attempt_id)
        if isinstance(given_up, PopupCancelled):
            self.world.hear(popup, given_up)
        elif not popup.is_unheard:
            self.world.apply(popup.waiter.session_id, lambda _: given_up)

    @precondition(lambda self: self.with_app())
    @rule(which=ANY, duration=DURATIONS, repairs=st.booleans(), is_heard=st.sampled_from([False, False, True]))
    def logs_in(self, which: int, duration: int, repairs: bool, is_heard: bool) -> None:
        """A whole login, with nothing of other popups in between but the time it takes."""
        session, step = one_of(which, self.with_app())
        assert step.app is not None
        self.refresh(session, step, self.world.look(step.app.id))
        self.open(session, step)
        self.world.now += duration
        last = self.unfinished()[-1:]
        if last:
            post = self.finish(last[0], repairs=repairs)
            if is_heard:
                self.deliver(post, Context())
        self.world.check(self.world.look(step.app.id))

    # --- operators ---

    @precondition(lambda self: self.open_steps())
    @rule(which=ANY, by=DURATIONS, what=st.sampled_from(["check", "check", "extend", "bind"]))
    def is_helped(self, which: int, by: int, what: str) -> None:
        session, step = one_of(which, self.open_steps())
        if what == "check":
            self.world.apply(session.id, lambda _: CheckWanted(step_id=step.id))
        elif what == "extend":
            self.world.apply(session.id, lambda _: DeadlinesExtended(by=by))
        elif step.app is not None:
            self.select(session, step, which, self.world.look(step.app.id), channel=Channel.OPERATOR)

    @rule(conditions=CONDITIONS, retry=st.sampled_from([None, None, -1, MINUTE, PAUSED]), is_leased=st.booleans())
    def is_asked_why(self, conditions: Asked, retry: int | None, is_leased: bool) -> None:
        """There is one answer to everything, and none that contradicts another."""
        now = self.world.now
        retry_at = retry if retry in {None, PAUSED} else now + retry
        lease_until = now + SECOND
        held_until = max(retry_at or 0, lease_until if is_leased else 0)  # a watch is never due before that
        for session in self.world.sessions.values():
            watches = {
                app_id: KeptWatch(
                    key=WatchKey(tenant_id=session.tenant_id, user_id=session.user_id, app_id=app_id),
                    waiters=tuple(sorted(watch.waiters)),
                    next_check_at=None
                    if retry == PAUSED or watch.due.soonest is None
                    else max(watch.due.soonest, held_until),
                    retry_at=retry_at,
                    failures=0 if retry is None else 1,
                    lease_token="t" if is_leased else None,
                    lease_until=lease_until,
                )
                for app_id, watch in self.world.watches.items()
            }
            check_diagnosis(conditions.facts(session, watches, now=now))

    # --- checks ---

    @rule(app_id=APP_IDS, lag=LAGS, shared=st.sampled_from([False, False, False, True]))
    def checks(self, app_id: str, lag: int, shared: bool) -> None:
        self.world.check(self.world.look(app_id, lag=lag), shared_profile=shared)

    @rule(app_id=APP_IDS, lag=LAGS, hides=st.sampled_from([None, None, 0]))
    def begins_a_check(self, app_id: str, lag: int, hides: int | None) -> None:
        self.sights.append(self.world.look(app_id, lag=lag, hides=hides))

    @precondition(lambda self: self.sights)
    @rule(which=ANY, is_backwards=st.booleans(), dies_after=st.sampled_from([None, None, 0, 1]), race=ANY)
    def ends_a_check(self, which: int, is_backwards: bool, dies_after: int | None, race: int) -> None:
        """Long after it began, in any order, with a race before its commit, and perhaps not wholly."""
        sight = one_of(which, self.sights)
        self.sights.remove(sight)
        self.world.check(
            sight,
            order=lambda ids: ids[::-1] if is_backwards else ids,
            dies_after=dies_after,
            interloper=self.interloper(race),
        )

    def interloper(self, race: int) -> Callable[[], None] | None:
        steps = self.with_app()
        if race % 3 == 0 or not steps:
            return None
        session, step = one_of(race // 3, steps)
        if race % 3 == 1:
            return lambda: self.open(session, step)
        assert step.app is not None
        sight = self.world.look(step.app.id)
        return lambda: self.select(session, step, race, sight)

    # --- time ---

    @rule(duration=DURATIONS)
    def waits(self, duration: int) -> None:
        self.world.now += duration

    @rule(app_id=APP_IDS, lag=LAGS)
    def waits_until_a_check_is_due(self, app_id: str, lag: int) -> None:
        due = self.world.watch(app_id).due.soonest
        if due is not None:
            self.world.now = max(self.world.now, due)
            self.world.check(self.world.look(app_id, lag=lag))

    @rule(which=ANY)
    def sweeps(self, which: int) -> None:
        self.world.sweep(one_of(which, list(self.world.sessions)))

    @rule(app_id=APP_IDS, which=ANY)
    def loses_an_authentication(self, app_id: str, which: int) -> None:
        self.world.expire(app_id, one_of(which, sorted(self.world.stored[app_id])))

    # --- what must be true ---

    @invariant()
    def everything_holds(self) -> None:
        self.world.check_everything()

    def teardown(self) -> None:
        """With checks when they are due and deadlines when they come, nobody waits for ever."""
        world = self.world
        for _ in range(500):
            awaiting = [session for session, step in self.open_steps() if step.state is StepState.AWAITING_POPUP]
            if not awaiting:
                return
            wakes = {session.id: wake_at(session, world.policy) or 0 for session in awaiting}
            dues = {app_id: watch.due.soonest for app_id, watch in world.watches.items() if watch.waiters}
            moments = {app_id: at for app_id, at in dues.items() if at is not None} | wakes
            first = min(moments, key=moments.__getitem__)
            world.now = max(world.now, moments[first])
            if first in wakes:
                world.sweep(first)
            else:
                world.check(world.look(first))
            world.check_everything()
        raise AssertionError("somebody waits for ever")


TestPopups = Popups.TestCase
TestPopups.settings = settings(max_examples=100, stateful_step_count=40)


def test_a_difference_that_was_overtaken_ends_its_popup_only_until_it_is_in_doubt() -> None:
    """A step was given what a popup unheard of had made, then its own by a message: its popup was open all the time.

    What that makes at last is new to another step that waits, and not that step's.
    """
    life = Popups()
    life.begin(first="gmail", others=["slack", "slack"])
    life.logs_in(which=1, duration=1, repairs=False, is_heard=False)
    rival = life.rivals().index((life.with_app()[1], life.with_app()[2]))
    _, another_s = life.rivals()[rival]
    life.logs_in_unheard_while_another_waits(which=1 - rival, duration=1, repairs=False, is_first=False)
    for post in (0, 1):
        life.hears_a_message_and_looks(which=post)
    life.finishes_a_popup(which=0, repairs=False, elsewhere=False)
    life.opens_a_popup(which=2, is_fresh=False, lag=0)
    life.teardown()
    waited = life.world.sessions[another_s[0].id].step(another_s[1].id)

    assert waited is not None
    assert (waited.state, [one.id for one in waited.candidates]) == (
        StepState.NEEDS_AUTH,
        [life.world.posts[-1].authentication_id],
    )


def _always(signal: Signal) -> Callable[[Session], Signal]:
    return lambda _: signal
