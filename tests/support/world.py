"""A small world: one user's Zapier account, popups from which authentications arise, and an engine with its store.

The world knows whose popup made or repaired which authentication; the sessions do not. The engine is the plainest that
keeps its promises (decide, guards checked at the commit, decide again), so that what goes wrong here goes wrong in the
core. Every commit is checked against what must always be true.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

import pytest

from orchestrator.core import schedule
from orchestrator.core.decide import Decision, decide, found
from orchestrator.core.effects import Due, ReleaseClaim
from orchestrator.core.errors.base import NotFoundError, SignalRefusedError
from orchestrator.core.events import EventName
from orchestrator.core.machine import TABLE
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.watches import Waiter
from orchestrator.core.ports.watches import Watch as KeptWatch
from orchestrator.core.schedule import Policy
from orchestrator.core.session import (
    MINUTE,
    SETTLED,
    Authentication,
    Channel,
    Instant,
    Listing,
    Millis,
    Session,
    Step,
    StepState,
    WatchKey,
)
from orchestrator.core.signals import AuthenticationsListed, OpeningSignal, Signal, TimePassed
from tests.support.stories import ACCOUNT, NOON, Watch, new_session

YIELDS_FOR: Millis = 60 * MINUTE
"""How long after its opening a popup may still be finished, by the promise that the sessions rely on."""

LONGEST_LAG: Millis = 2 * MINUTE
"""How long Zapier may take to list what was made or repaired, by the promise that the sessions rely on."""

MOST_TRIES = 6
_REASONS = {edge.reason for edge in TABLE if edge.reason is not None}


@dataclass(frozen=True, slots=True)
class Birth:
    """An authentication was made, or made usable again: when, in whose popup (None: before all popups)."""

    at: Instant
    owner: Waiter | None
    number: int


@dataclass(slots=True)
class Stored:
    """An authentication at Zapier."""

    id: str
    births: list[Birth]
    expired: int = -1
    """The number of the birth that has expired."""

    def seen(self, as_of: Instant) -> Birth | None:
        """Give the last birth that a listing shows which lags behind until `as_of`."""
        return next((birth for birth in reversed(self.births) if birth.at <= as_of), None)

    @property
    def is_expired(self) -> bool:
        return self.expired == self.births[-1].number


@dataclass(slots=True)
class OpenPopup:
    """A popup in the browser. It is `unheard` when its opening was lost, until its page's first signal is applied.

    One whose step has another app by then stays unheard: nobody can tell what it was for.
    """

    waiter: Waiter
    attempt_id: str
    app_id: str
    opened_at: Instant
    is_done: bool = False
    is_unheard: bool = False


@dataclass(slots=True)
class Supply:
    """Fields that were sent. What they `made` may be there at any time until then, or never; its answer too."""

    waiter: Waiter
    attempt_id: str
    app_id: str
    sent_at: Instant
    made: str | None = None
    is_refused: bool = False


@dataclass(slots=True)
class Post:
    """A message that a popup may send: at any time, never, or more than once."""

    waiter: Waiter
    attempt_id: str
    app_id: str
    authentication_id: str
    was_delivered: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """A listing, and the births behind what it shows."""

    listing: Listing
    births: Mapping[str, Birth]


@dataclass(slots=True)
class World:
    """Everything there is. Times and chances are chosen by the caller."""

    policy: Policy = field(default_factory=Policy)
    now: Instant = NOON
    stored: dict[str, dict[str, Stored]] = field(default_factory=dict)
    popups: list[OpenPopup] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    supplies: list[Supply] = field(default_factory=list)
    sessions: dict[str, Session] = field(default_factory=dict)
    watches: dict[str, Watch] = field(default_factory=dict)
    given: set[tuple[str, int]] = field(default_factory=set)
    told: dict[str, int] = field(default_factory=dict)
    kept_wrong: set[tuple[str, str]] = field(default_factory=set)
    """Steps of sessions that were closed when a popup was first heard of: nothing can be taken back from them."""

    owners: dict[tuple[str, str, str], Waiter | None] = field(default_factory=dict)
    """(session, step, authentication) that were given by difference → whose it is."""

    counted: int = 0

    # --- Zapier ---

    def number(self) -> int:
        """Give a number that was not given before."""
        self.counted += 1
        return self.counted

    def store(self, app_id: str, authentication_id: str, *, owner: Waiter | None, at: Instant | None = None) -> None:
        """Make an authentication, or make it usable again."""
        birth = Birth(at=self.now if at is None else at, owner=owner, number=self.number())
        stored = self.stored.setdefault(app_id, {}).setdefault(authentication_id, Stored(authentication_id, []))
        stored.births.append(birth)

    def expire(self, app_id: str, authentication_id: str) -> None:
        """Make an authentication unusable."""
        stored = self.stored[app_id][authentication_id]
        stored.expired = stored.births[-1].number

    def look(self, app_id: str, *, lag: Millis = 0, begun: Instant | None = None, hides: int | None = None) -> Sight:
        """List what Zapier shows now of an app; `hides` leaves one out, and the listing is incomplete."""
        shown = {
            stored.id: (stored, birth)
            for stored in self.stored.get(app_id, {}).values()
            if (birth := stored.seen(self.now - lag)) is not None
        }
        names = sorted(shown)
        if hides is not None and names:
            del shown[names[hides % len(names)]]
        listing = Listing(
            app_id=app_id,
            authentications=tuple(
                # A repair that is not shown yet leaves what it repaired expired.
                Authentication(
                    id=stored.id, title=stored.id, is_expired=stored.is_expired or birth != stored.births[-1]
                )
                for stored, birth in shown.values()
            ),
            begun_at=self.now if begun is None else begun,
            account=ACCOUNT,
            complete=hides is None,
        )
        return Sight(listing, {name: birth for name, (_, birth) in shown.items()})

    def finish(self, popup: OpenPopup, *, repairs: str | None = None, elsewhere: bool = False) -> Post:
        """Let the user finish a popup: it makes or repairs an authentication, perhaps in another Zapier account."""
        assert not popup.is_done
        assert self.now <= popup.opened_at + YIELDS_FOR
        popup.is_done = True
        if elsewhere:
            authentication_id = f"foreign-{self.number()}"
        else:
            authentication_id = repairs or f"auth-{self.number()}"
            self.store(popup.app_id, authentication_id, owner=popup.waiter)
        post = Post(popup.waiter, popup.attempt_id, popup.app_id, authentication_id)
        self.posts.append(post)
        return post

    # --- engine and store ---

    def found(self, *step_ids: str) -> Session:
        """Begin a session."""
        blank = new_session(*step_ids, session_id=f"zs00{self.number():08d}", at=self.now)
        decision = found(blank, policy=self.policy, now=self.now)
        self._commit(None, decision, None, {})
        return decision.session

    def watch(self, app_id: str) -> Watch:
        """Give an app's watch."""
        return self.watches.setdefault(app_id, Watch())

    def waiters(self) -> list[tuple[Session, Step]]:
        """Give every step there is."""
        return [(session, step) for session in self.sessions.values() for step in session.steps]

    def apply(
        self,
        session_id: str,
        make: Callable[[Session], Signal],
        *,
        births: Mapping[str, Birth] | None = None,
        interloper: Callable[[], None] | None = None,
    ) -> Outcome:
        """Do what the engine does with a signal; the interloper acts once between the decision and its commit."""
        for _ in range(MOST_TRIES):
            before = self.sessions[session_id]
            signal = make(before)
            decision = self.decided(before, signal)
            if decision is None:
                return Outcome.REFUSED
            if not decision.changes(before):
                return decision.outcome
            self._displace(decision)
            if interloper is not None:
                interloper()
                interloper = None
            if self.sessions[session_id] is before and self._holds(decision):
                self._commit(before, decision, signal, births or {})
                return decision.outcome
        raise AssertionError(f"{MOST_TRIES} races were lost")

    def decided(self, before: Session, signal: Signal) -> Decision | None:
        """Decide, None when refused. Nothing else may be raised, and the same again is decided the same."""
        try:
            decision = decide(before, signal, policy=self.policy, now=self.now)
        except (SignalRefusedError, NotFoundError) as refused:
            self._check_refused_again(before, signal, type(refused))
            return None
        assert decision == decide(before, signal, policy=self.policy, now=self.now)
        assert before.version == decision.session.version
        if decision.outcome is not Outcome.APPLIED:
            assert decision == Decision(session=before, outcome=decision.outcome)
        return decision

    def _check_refused_again(self, before: Session, signal: Signal, error: type[Exception]) -> None:
        with pytest.raises(error):
            decide(before, signal, policy=self.policy, now=self.now)

    def hear(self, popup: OpenPopup, signal: OpeningSignal) -> Outcome:
        """Apply what a page says of a popup; if it is the first that is heard of it, what is known goes with it."""

        def heard(session: Session) -> Signal:
            step = session.step(popup.waiter.step_id)
            if step is None or step.app is None or step.attempt(popup.attempt_id) is not None:
                return signal
            watch = self.watch(step.app.id)
            known = KeptWatch(
                key=WatchKey(tenant_id=session.tenant_id, user_id=session.user_id, app_id=step.app.id),
                version=watch.version,
                claims=dict(watch.claims),
            )
            return replace(signal, watch=known)

        outcome = self.apply(popup.waiter.session_id, heard)
        session = self.sessions[popup.waiter.session_id]
        step = session.step(popup.waiter.step_id)
        attempt = step.attempt(popup.attempt_id) if step is not None else None
        if popup.is_unheard and attempt is not None and attempt.app_id == popup.app_id:
            popup.is_unheard = False
            self.kept_wrong |= {
                (other.id, held.id) for other in self.sessions.values() if not other.is_open for held in other.steps
            }
        return outcome

    def is_excused(self, app_id: str) -> bool:
        """Say whether somebody may have another's by difference: the popup it is from was never heard of."""
        return any(popup.is_unheard and popup.app_id == app_id for popup in self.popups)

    def check(
        self,
        sight: Sight,
        *,
        shared_profile: bool = False,
        order: Callable[[list[str]], list[str]] = list,
        dies_after: int | None = None,
        interloper: Callable[[], None] | None = None,
    ) -> None:
        """Apply a listing to every session that waits, and settle the watch, unless the worker dies before.

        Sessions with messages come first, unless `order` says otherwise.
        """
        listing = sight.listing
        watch = self.watch(listing.app_id)
        waiting = order(sorted({waiter.session_id for waiter in watch.waiters}, key=self._has_no_message))

        def listed(_: Session) -> Signal:
            return AuthenticationsListed(
                listing=listing,
                checks=watch.checks_with(listing),
                claims=dict(watch.claims),
                popups=watch.popups(now=self.now),
                shared_profile=shared_profile,
            )

        for session_id in waiting[:dies_after]:
            self.apply(session_id, listed, births=sight.births, interloper=interloper)
        if dies_after is None:
            self.settle(listing)

    def _has_no_message(self, session_id: str) -> bool:
        return not any(attempt.messages for step in self.sessions[session_id].steps for attempt in step.attempts)

    def settle(self, listing: Listing) -> None:
        """Note a check on its watch, with exactly what is due after it."""
        watch = self.watch(listing.app_id)
        watch.checks = watch.checks_with(listing)
        wanted = [
            wanted
            for waiter in watch.waiters
            if (step := self.sessions[waiter.session_id].step(waiter.step_id)) is not None
            if (wanted := schedule.due(step, checked_at=watch.checked_at)) is not None
        ]
        watch.due = reduce(Due.__or__, wanted, Due())

    def sweep(self, session_id: str) -> None:
        """Tell a session that time has passed."""
        checks = {app_id: watch.checks for app_id, watch in self.watches.items()}
        self.apply(session_id, lambda _: TimePassed(checks=checks))

    def _displace(self, decision: Decision) -> None:
        for displaced in decision.displacements:
            self.apply(displaced.session_id, _always(displaced.signal))

    def _holds(self, decision: Decision) -> bool:
        return all(
            self.watch(guard.app_id).holds(guard, decision.session.id, now=self.now) for guard in decision.guards
        )

    def _commit(
        self, before: Session | None, decision: Decision, signal: Signal | None, births: Mapping[str, Birth]
    ) -> None:
        after = replace(decision.session, version=decision.session.version + 1)
        if isinstance(signal, AuthenticationsListed):
            checks = {signal.listing.app_id: signal.checks[-1] if signal.checks else None}
        else:
            checks = {}
        checks = {app_id: watch.checked_at for app_id, watch in self.watches.items()} | checks
        for effect in (*decision.effects, *schedule.waits(before, after, checks=checks)):
            self.watch(effect.app_id).apply(effect, after.id, now=self.now)
            if isinstance(effect, ReleaseClaim):
                self.given = {given for given in self.given if given[0] != effect.authentication_id}
        self.sessions[after.id] = after
        first = self.told.get(after.id, 0) + 1
        self.told[after.id] = self.told.get(after.id, 0) + len(decision.events)
        assert list(range(first, after.seq + 1)) == [event.seq for event in decision.events]
        if before is not None:
            self._check_settlements(before, after, births)
            self._check_expiry(before, decision)

    # --- what must be true of a commit ---

    def _check_settlements(self, before: Session, after: Session, births: Mapping[str, Birth]) -> None:
        for step in after.steps:
            was = before.step(step.id)
            if step.evidence is None or step.authentication is None or (was and was.evidence == step.evidence):
                continue
            owner = Waiter(session_id=after.id, step_id=step.id)
            assert step.app is not None
            authentication_id = step.authentication.id
            assert authentication_id in self.stored[step.app.id], "it is of another app"
            if step.evidence.is_difference_alone:
                birth = births[authentication_id]
                self.owners[after.id, step.id, authentication_id] = birth.owner
                assert birth.owner == owner or self.is_excused(step.app.id), (
                    f"{authentication_id} arose in a popup of {birth.owner}, not of {owner}"
                )
                assert (authentication_id, birth.number) not in self.given, "given twice by difference"
                self.given.add((authentication_id, birth.number))
            elif not {Channel.SELECTION, Channel.OPERATOR} & {*step.evidence.channels}:
                stored = self.stored[step.app.id][authentication_id]
                assert owner in {birth.owner for birth in stored.births}

    def _check_expiry(self, before: Session, decision: Decision) -> None:
        if any(event.name is EventName.SESSION_EXPIRED for event in decision.events):
            live = [step.live_attempt for step in before.steps]
            deadlines = [attempt.deadline for attempt in live if attempt is not None]
            assert self.now >= max([before.deadline, *deadlines])

    # --- what must be true at any time ---

    def check_everything(self) -> None:
        """Check every session, step and watch."""
        for session in self.sessions.values():
            assert session.seq == self.told[session.id]
            for step in session.steps:
                _check_step(step)
                if (attempt := step.live_attempt) is not None:
                    assert session.deadline >= attempt.deadline
                if session.is_open and step.app is not None:
                    self._check_waiting(session, step, step.app.id)
                    self._check_rightful(session, step, step.app.id)
        for app_id, watch in self.watches.items():
            for waiter in watch.waiters:
                session = self.sessions[waiter.session_id]
                waiting = session.step(waiter.step_id)
                assert session.is_open, "a session that is over waits on a watch"
                assert waiting is not None, "a removed step waits on a watch"
                assert waiting.app is not None, "a step without an app waits on a watch"
                assert waiting.app.id == app_id, "a step waits on the watch of an app it no longer has"

    def _check_rightful(self, session: Session, step: Step, app_id: str) -> None:
        """Once every popup has been heard of, nobody has by difference what is another's."""
        if step.authentication is None or step.evidence is None or not step.evidence.is_difference_alone:
            return
        owner = self.owners[session.id, step.id, step.authentication.id]
        is_own = owner == Waiter(session_id=session.id, step_id=step.id)
        assert is_own or self.is_excused(app_id) or (session.id, step.id) in self.kept_wrong

    def _check_waiting(self, session: Session, step: Step, app_id: str) -> None:
        watch = self.watch(app_id)
        wanted = schedule.due(step, checked_at=watch.checked_at)
        if wanted is None:
            if (attempt := step.live_attempt) is not None:
                assert watch.checked_at is not None
                assert watch.checked_at > attempt.deadline
            return
        assert wanted.soonest is not None
        assert watch.checked_at is None or wanted.soonest > watch.checked_at
        assert Waiter(session_id=session.id, step_id=step.id) in watch.waiters
        assert watch.due | wanted == watch.due, "a watch waits longer than one of its steps wants"


def _always(signal: Signal) -> Callable[[Session], Signal]:
    return lambda _: signal


def _check_step(step: Step) -> None:
    """Check what every step in this state has and lacks."""
    is_resolved = step.state is StepState.RESOLVED
    assert is_resolved == (step.authentication is not None) == (step.evidence is not None)
    if step.evidence is not None:
        assert step.evidence.channels
        assert step.evidence.checked_at >= NOON
    live = [attempt for attempt in step.attempts if attempt.ended is None]
    is_supplying = step.state is StepState.NEEDS_AUTH and [attempt.supplied for attempt in live] == [True]
    assert len(live) == (step.state is StepState.AWAITING_POPUP or is_supplying)
    assert step.live_attempt == (live[0] if live else None)
    assert (step.app is None) == (step.state is StepState.CHOOSE_APP)
    assert step.reason is None or (step.state is StepState.NEEDS_AUTH and step.reason in _REASONS)
    assert not step.candidates or step.state is StepState.NEEDS_AUTH
    if step.state is StepState.NO_AUTH_REQUIRED:
        assert (step.connect, step.baseline) == (None, None)
    assert step.is_settled == (step.state in SETTLED)
