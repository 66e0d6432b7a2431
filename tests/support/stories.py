"""A small language for stories about one session: signals go in, and what must come of them is said beside them.

    story = Story().choose("slack", "old").open("a1")
    story.feed(story.listed("old", "new"), tells=[EventName.AUTH_RESOLVED], state=StepState.RESOLVED)

A story keeps what a store would keep: the watches that effects change and guards are held against. An expectation that
fails prints the conversation so far. What a duplicate or stale signal must leave alone is checked without being asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self, assert_never

from orchestrator.core import schedule
from orchestrator.core.decide import Decision, decide, found
from orchestrator.core.effects import (
    ClaimAuthentication,
    ClosePopup,
    Due,
    Guard,
    LeaseHeld,
    NoOtherPopup,
    OpenPopup,
    ReleaseClaim,
    StopWaiting,
    Unclaimed,
    Untouched,
    Wait,
    WatchEffect,
)
from orchestrator.core.errors.base import NotFoundError, SignalRefusedError
from orchestrator.core.events import CATALOGUE, Event, EventName
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.upstream import AuthenticationMade, AuthenticationNotMade, AuthenticationUnknown
from orchestrator.core.ports.watches import Claim, Popup, Waiter
from orchestrator.core.schedule import Policy
from orchestrator.core.session import (
    MINUTE,
    Action,
    App,
    Authentication,
    Connect,
    HintKind,
    Instant,
    Listing,
    Millis,
    Reason,
    Session,
    Step,
    StepState,
)
from orchestrator.core.signals import (
    ActionChosen,
    AppChosen,
    AuthenticationSelected,
    AuthenticationsListed,
    AuthenticationsRefreshed,
    Context,
    FieldsAnswered,
    FieldsSent,
    Hinted,
    MessageReceived,
    PopupBlocked,
    PopupCancelled,
    PopupOpened,
    Signal,
    StepAdded,
    TimePassed,
)

NOON: Instant = 1_800_000_000_000
ACCOUNT = "account-1"
ACTION = Action(key="send", action_type="write")


@dataclass(slots=True)
class Watch:
    """What a store keeps of one (user, app), with the plainest rules for effects and guards."""

    checks: tuple[Instant, ...] = ()
    claims: dict[str, Claim] = field(default_factory=dict)
    open_popups: dict[tuple[Waiter, str], Instant] = field(default_factory=dict)
    waiters: set[Waiter] = field(default_factory=set)
    due: Due = field(default_factory=Due)
    version: int = 0

    @property
    def checked_at(self) -> Instant | None:
        return self.checks[-1] if self.checks else None

    def popups(self, *, now: Instant) -> tuple[Popup, ...]:
        """Give the popups that are remembered at `now`."""
        return tuple(
            Popup(waiter=waiter, attempt_id=attempt_id, until=until)
            for (waiter, attempt_id), until in self.open_popups.items()
            if until > now
        )

    def checks_with(self, listing: Listing) -> tuple[Instant, ...]:
        """Give the checks, the one that made this listing included if it counts."""
        if not listing.complete or (self.checks and self.checks[-1] >= listing.begun_at):
            return self.checks
        return (*self.checks, listing.begun_at)[-16:]

    def apply(self, effect: WatchEffect, session_id: str, *, now: Instant) -> None:
        """Do what a commit of this session asks for."""
        self.version += 1
        waiter = Waiter(session_id=session_id, step_id=effect.step_id)
        match effect:
            case Wait(due=due):
                self.waiters.add(waiter)
                self.due |= due
            case StopWaiting():
                self.waiters.discard(waiter)
                self.due = self.due if self.waiters else Due()
            case OpenPopup(attempt_id=attempt_id, until=until):
                self.open_popups[waiter, attempt_id] = until
            case ClosePopup(attempt_id=attempt_id):
                self.open_popups.pop((waiter, attempt_id), None)
            case ClaimAuthentication(authentication_id=authentication_id, by_difference=by_difference):
                self.claims[authentication_id] = Claim(at=now, holder=waiter if by_difference else None)
            case ReleaseClaim(authentication_id=authentication_id):
                if authentication_id in self.claims and self.claims[authentication_id].holder == waiter:
                    del self.claims[authentication_id]
            case _:
                assert_never(effect)

    def holds(self, guard: Guard, session_id: str, *, now: Instant) -> bool:
        """Tell whether what a decision of this session relied on is still true."""
        match guard:
            case Unclaimed(authentication_id=authentication_id, since=since):
                claim = self.claims.get(authentication_id)
                return claim is None or claim.at < since
            case NoOtherPopup(step_id=step_id):
                own = Waiter(session_id=session_id, step_id=step_id)
                return all(popup.waiter == own for popup in self.popups(now=now))
            case LeaseHeld():
                return True
            case Untouched(version=version):
                return version == self.version
            case _:
                assert_never(guard)


def made(authentication_id: str) -> AuthenticationMade:
    """Give Zapier's answer that there is a new authentication of this id."""
    return AuthenticationMade(authentication=Authentication(id=authentication_id, title=authentication_id.title()))


def app(app_id: str) -> App:
    """Give an app of this id."""
    return App(id=app_id, title=app_id.title())


def listing(
    *healthy: str,
    at: Instant,
    app_id: str = "slack",
    expired: Sequence[str] = (),
    complete: bool = True,
    account: str = ACCOUNT,
) -> Listing:
    """Give an answer of Zapier's, begun at `at`."""
    return Listing(
        app_id=app_id,
        authentications=(
            *(Authentication(id=known, title=known.title()) for known in healthy),
            *(Authentication(id=known, title=known.title(), is_expired=True) for known in expired),
        ),
        begun_at=at,
        account=account,
        complete=complete,
    )


def new_session(*step_ids: str, session_id: str = "zs00aaaaaaaa", at: Instant = NOON) -> Session:
    """Give a session that nothing has happened to."""
    return Session(
        id=session_id,
        tenant_id="default",
        user_id="ada",
        created_at=at,
        updated_at=at,
        deadline=at + 24 * 60 * MINUTE,
        steps=tuple(Step(id=step_id) for step_id in step_ids),
    )


class Story:
    """One session, told signal by signal. Where no step is named, it is the first."""

    def __init__(self, *step_ids: str, policy: Policy | None = None) -> None:
        self.now = NOON
        self.policy = policy or Policy()
        self.watches: defaultdict[str, Watch] = defaultdict(Watch)
        self.events: list[Event] = []
        self._conversation: list[str] = []
        begun = found(new_session(*(step_ids or ("s1",))), policy=self.policy, now=self.now)
        self.session = begun.session
        self.events += begun.events

    # --- telling ---

    def later(self, duration: Millis) -> Self:
        """Let time pass; nobody is told."""
        self.now += duration
        return self

    def feed(
        self,
        signal: Signal,
        *,
        outcome: Outcome = Outcome.APPLIED,
        tells: Sequence[EventName] | None = None,
        state: StepState | None = None,
        reason: Reason | None = None,
    ) -> Decision:
        """Decide on the signal and take over what was decided.

        `state` and `reason` are those of the signal's step, or of the first. Where `state` is not given neither is
        looked at; `tells` are the events, in order.
        """
        decision = decide(self.session, signal, policy=self.policy, now=self.now)
        self._conversation.append(f"{self.now - NOON:>9} ms  {signal}\n{'':14}{decision.outcome}: {decision.events}")
        if decision.outcome is not Outcome.APPLIED:
            self._check(
                (self.session, (), (), ()), (decision.session, decision.events, decision.effects, decision.guards)
            )
        self._take(decision, signal)
        self._check(outcome, decision.outcome)
        if tells is not None:
            self._check(list(tells), [event.name for event in decision.events])
        if state is not None:
            step = self.step(getattr(signal, "step_id", None))
            self._check((state, reason), (step.state, step.reason))
        return decision

    def refuse(
        self, signal: Signal, error: type[SignalRefusedError | NotFoundError]
    ) -> SignalRefusedError | NotFoundError:
        """Decide on a signal that must be refused; gives the error."""
        try:
            decision = decide(self.session, signal, policy=self.policy, now=self.now)
        except error as refused:
            return refused
        raise AssertionError(f"{signal} was {decision.outcome}, not refused\n" + "\n".join(self._conversation))

    def _take(self, decision: Decision, signal: Signal) -> None:
        if isinstance(signal, AuthenticationsListed):
            self.watches[signal.listing.app_id].checks = signal.checks
        checks = {app_id: watch.checked_at for app_id, watch in self.watches.items()}
        for guard in decision.guards:
            self._check(True, self.watches[guard.app_id].holds(guard, self.session.id, now=self.now))
        for effect in (*decision.effects, *schedule.waits(self.session, decision.session, checks=checks)):
            self.watches[effect.app_id].apply(effect, self.session.id, now=self.now)
        self.session = decision.session
        self.events += decision.events
        for event in decision.events:
            self._check_catalogued(event)

    def _check_catalogued(self, event: Event) -> None:
        kind = CATALOGUE[event.name]
        self._check(kind.of_step, event.step_id is not None)
        self._check(set(kind.data) - kind.optional, set(event.data) - kind.optional)
        self._check(set(), set(event.data) - set(kind.data))

    def _check(self, expected: object, actual: object) -> None:
        assert expected == actual, "\n".join([f"expected {expected}", f"not      {actual}", *self._conversation])

    # --- reading ---

    def step(self, step_id: str | None = None) -> Step:
        """Give a step as it is now."""
        step = self.session.steps[0] if step_id is None else self.session.step(step_id)
        assert step is not None
        return step

    @property
    def held(self) -> str | None:
        """The id of the first step's authentication."""
        authentication = self.step().authentication
        return authentication.id if authentication else None

    @property
    def candidates(self) -> list[str]:
        """The ids of the first step's candidates."""
        return [shown.id for shown in self.step().candidates]

    def due(self, step_id: str | None = None) -> Due | None:
        """Give what the step wants of its watch, counted from now; None when it waits for nothing."""
        step = self.step(step_id)
        assert step.app is not None
        wanted = schedule.due(step, checked_at=self.watches[step.app.id].checked_at)
        if wanted is None:
            return None
        return Due(
            strong=None if wanted.strong is None else wanted.strong - self.now,
            quiet=None if wanted.quiet is None else wanted.quiet - self.now,
            visible_until=max(0, wanted.visible_until - self.now),
        )

    # --- getting somewhere ---

    def choose(
        self, app_id: str = "slack", *lists: str, expired: Sequence[str] = (), step_id: str | None = None
    ) -> Self:
        """Give a step an app for which the user has these authentications."""
        self.feed(self.chosen(app_id, *lists, expired=expired, step_id=step_id))
        return self

    def open(self, attempt_id: str = "a1", *, step_id: str | None = None) -> Self:
        """Open a step's popup."""
        self.feed(self.opened(attempt_id, step_id=step_id))
        return self

    def add(self, step_id: str) -> Self:
        """Put one more step at the end."""
        self.feed(StepAdded(step_id=step_id))
        return self

    def settle(self, authentication_id: str = "mine", *, step_id: str | None = None) -> Self:
        """Settle a step that has an app on the user's choice."""
        self.feed(self.selected(authentication_id, authentication_id, step_id=step_id))
        return self

    def act(self, *, step_id: str | None = None) -> Self:
        """Give a step its action."""
        self.feed(ActionChosen(step_id=self.step(step_id).id, action=ACTION))
        return self

    # --- signals ---

    def chosen(
        self,
        app_id: str = "slack",
        *lists: str,
        expired: Sequence[str] = (),
        step_id: str | None = None,
        needs_auth: bool = True,
        complete: bool = True,
    ) -> AppChosen:
        """An app for a step, and what the user has for it."""
        shown = listing(*lists, expired=expired, at=self.now, app_id=app_id, complete=complete)
        return AppChosen(
            step_id=self.step(step_id).id,
            app=app(app_id),
            connect=Connect(url=f"https://zapier.test/{app_id}", read_at=self.now) if needs_auth else None,
            listing=shown if needs_auth else None,
        )

    def opened(self, attempt_id: str = "a1", *, step_id: str | None = None) -> PopupOpened:
        """The popup opens."""
        return PopupOpened(step_id=self.step(step_id).id, attempt_id=attempt_id)

    def sent(self, attempt_id: str = "f1", *, app_id: str = "slack", step_id: str | None = None) -> FieldsSent:
        """The fields of an authentication are about to be sent to Zapier."""
        return FieldsSent(step_id=self.step(step_id).id, app_id=app_id, attempt_id=attempt_id)

    def answered(
        self,
        answer: str | AuthenticationNotMade | AuthenticationUnknown,
        attempt_id: str = "f1",
        *,
        step_id: str | None = None,
    ) -> FieldsAnswered:
        """Zapier has made the authentication of this id, or not, or nobody knows."""
        return FieldsAnswered(
            step_id=self.step(step_id).id,
            attempt_id=attempt_id,
            answer=made(answer) if isinstance(answer, str) else answer,
            claims=dict(self.watches["slack"].claims),
        )

    def message(
        self,
        authentication_id: str,
        attempt_id: str = "a1",
        *,
        step_id: str | None = None,
        context: Context | None = None,
    ) -> MessageReceived:
        """The popup's message comes, with an id."""
        return MessageReceived(
            step_id=self.step(step_id).id,
            attempt_id=attempt_id,
            authentication_id=authentication_id,
            context=context or Context(),
        )

    def hint(
        self, kind: HintKind, attempt_id: str = "a1", *, step_id: str | None = None, context: Context | None = None
    ) -> Hinted:
        """The page sees something."""
        return Hinted(step_id=self.step(step_id).id, attempt_id=attempt_id, kind=kind, context=context or Context())

    def cancelled(self, attempt_id: str = "a1", *, step_id: str | None = None) -> PopupCancelled:
        """The user waits no more."""
        return PopupCancelled(step_id=self.step(step_id).id, attempt_id=attempt_id)

    def blocked(self, attempt_id: str = "a1", *, step_id: str | None = None) -> PopupBlocked:
        """The browser opens nothing."""
        return PopupBlocked(step_id=self.step(step_id).id, attempt_id=attempt_id)

    def listed(
        self,
        *healthy: str,
        expired: Sequence[str] = (),
        app_id: str = "slack",
        begun: Instant | None = None,
        complete: bool = True,
        shared_profile: bool = False,
        account: str = ACCOUNT,
    ) -> AuthenticationsListed:
        """A check's answer, begun now unless said otherwise, with what the watch knows."""
        at = self.now if begun is None else begun
        shown = listing(*healthy, expired=expired, at=at, app_id=app_id, complete=complete, account=account)
        watch = self.watches[app_id]
        return AuthenticationsListed(
            listing=shown,
            checks=watch.checks_with(shown),
            claims=dict(watch.claims),
            popups=watch.popups(now=self.now),
            shared_profile=shared_profile,
        )

    def refreshed(
        self,
        *healthy: str,
        expired: Sequence[str] = (),
        step_id: str | None = None,
        app_id: str = "slack",
        begun: Instant | None = None,
        complete: bool = True,
        connect: Connect | None = None,
        account: str = ACCOUNT,
    ) -> AuthenticationsRefreshed:
        """The step's picker is read anew."""
        at = self.now if begun is None else begun
        return AuthenticationsRefreshed(
            step_id=self.step(step_id).id,
            listing=listing(*healthy, expired=expired, at=at, app_id=app_id, complete=complete, account=account),
            connect=connect,
            claims=dict(self.watches[app_id].claims),
        )

    def selected(
        self,
        authentication_id: str,
        *healthy: str,
        expired: Sequence[str] = (),
        step_id: str | None = None,
        app_id: str | None = None,
        begun: Instant | None = None,
        complete: bool = True,
    ) -> AuthenticationSelected:
        """The user chooses, and Zapier lists these."""
        step = self.step(step_id)
        listed_app = app_id or (step.app.id if step.app else "slack")
        at = self.now if begun is None else begun
        return AuthenticationSelected(
            step_id=step.id,
            authentication_id=authentication_id,
            listing=listing(*healthy, expired=expired, at=at, app_id=listed_app, complete=complete),
            claims=dict(self.watches[listed_app].claims),
        )

    def time_passed(self) -> TimePassed:
        """Nothing happens, but time."""
        return TimePassed(checks={app_id: watch.checks for app_id, watch in self.watches.items()})


def stranger(step_id: str = "other", session_id: str = "zs00bbbbbbbb") -> Waiter:
    """Name a step of another session."""
    return Waiter(session_id=session_id, step_id=step_id)


def aged(session: Session, *, deadline: Instant) -> Session:
    """Give the session another deadline."""
    return replace(session, deadline=deadline)
