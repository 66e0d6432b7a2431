"""A decision while it is being made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core import machine
from orchestrator.core.effects import ClaimAuthentication, OpenPopup, Untouched
from orchestrator.core.errors.sessions import IllegalSignalError
from orchestrator.core.events import Event, EventName
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.watches import Claim, Waiter
from orchestrator.core.required import step_of
from orchestrator.core.session import Attempt, AttemptEnd, Session, SessionStatus, Step
from orchestrator.core.signals import ClaimContested, ClaimDoubted
from orchestrator.core.values import replace, value

if TYPE_CHECKING:
    from orchestrator.core.effects import Guard, WatchEffect
    from orchestrator.core.machine import Trigger
    from orchestrator.core.ports.watches import Watch
    from orchestrator.core.schedule import Policy
    from orchestrator.core.session import Instant


@value
class Displacement:
    """What a step, perhaps of another session, must hear before the decision is written."""

    session_id: str
    signal: ClaimContested | ClaimDoubted


@value
class Decision:
    """What a session becomes, what is told of it, what else must be written, and what all that relied on.

    `displacements` come first, each a commit of its own: a crash in between leaves a step without what was another's,
    never two steps with it.
    """

    session: Session
    outcome: Outcome
    events: tuple[Event, ...] = ()
    effects: tuple[WatchEffect, ...] = ()
    guards: tuple[Guard, ...] = ()
    displacements: tuple[Displacement, ...] = ()

    def changes(self, before: Session) -> bool:
        """Whether there is anything to commit."""
        return bool(self.events or self.effects) or self.session != before


class Draft:
    """Collects one decision. Not kept, not shared.

    `claims` are those of the signal's app: as they were found, and as this decision makes them.
    """

    def __init__(self, session: Session, *, now: Instant, policy: Policy) -> None:
        self._before = session
        self.session = session
        self.now = now
        self.policy = policy
        self.outcome = Outcome.APPLIED
        self.claims: dict[str, Claim] = {}
        self._told: list[Event] = []
        self._effects: list[WatchEffect] = []
        self._guards: list[Guard] = []
        self._displacements: list[Displacement] = []

    def step(self, step_id: str) -> Step:
        """Return the step as it is now. Raises StepNotFoundError."""
        return step_of(self.session, step_id)

    def waiter(self, step: Step) -> Waiter:
        """Name the step among all sessions."""
        return Waiter(session_id=self.session.id, step_id=step.id)

    def put(self, step: Step) -> Step:
        """Replace the step of this id. What was picked from another authentication's offers is dropped."""
        authentication, picked = step.authentication, step.picked
        if picked is not None and authentication is not None and authentication.id != picked.authentication_id:
            inputs = {name: value for name, value in step.inputs.items() if name not in picked.fields}
            step = replace(step, inputs=inputs, picked=None)
            self.tell(EventName.INPUTS_CLEARED, step, fields=sorted(picked.fields))
        steps = tuple(step if step.id == old.id else old for old in self.session.steps)
        self.session = replace(self.session, steps=steps)
        return step

    def move(self, step: Step, trigger: Trigger) -> Step:
        """Take the step where the table says. Raises IllegalSignalError when it has no such edge."""
        state, reason = machine.move(step.state, trigger, session_id=self.session.id, step_id=step.id)
        return self.put(replace(step, state=state, reason=reason))

    def end_live_attempts(self, step: Step, end: AttemptEnd) -> Step:
        """End every attempt of the step that is live."""
        if all(attempt.ended is not None for attempt in step.attempts):
            return step
        attempts = tuple(replace(attempt, ended=end) if attempt.ended is None else attempt for attempt in step.attempts)
        return self.put(replace(step, attempts=attempts))

    def remember_popup(self, step: Step, attempt: Attempt) -> None:
        """Let the attempt's popup be open: from now on it may explain what is new, as long as one that opens now."""
        until = self.now + self.policy.popup_memory
        self.ask(OpenPopup(app_id=attempt.app_id, step_id=step.id, attempt_id=attempt.id, until=until))

    def claim(self, step: Step, authentication_id: str, *, app_id: str, by_difference: bool) -> None:
        """Keep the authentication from being given to another step by difference.

        Whatever else speaks for it takes it from the step that has it by difference alone.
        """
        holder = self.holder(step, self.claims.get(authentication_id))
        if holder is not None and not by_difference:
            contested = ClaimContested(step_id=holder.step_id, app_id=app_id, authentication_id=authentication_id)
            self._displacements.append(Displacement(session_id=holder.session_id, signal=contested))
        self.claims[authentication_id] = Claim(at=self.now, holder=self.waiter(step) if by_difference else None)
        self.ask(
            ClaimAuthentication(
                app_id=app_id, step_id=step.id, authentication_id=authentication_id, by_difference=by_difference
            )
        )

    def doubt(self, step: Step, *, app_id: str, watch: Watch, since: Instant) -> None:
        """Take back what difference has given to other steps since then: a popup of this one was open, unheard of."""
        for authentication_id, claim in watch.claims.items():
            holder = self.holder(step, claim)
            if holder is not None and claim.at >= since:
                doubted = ClaimDoubted(step_id=holder.step_id, app_id=app_id, authentication_id=authentication_id)
                self._displacements.append(Displacement(session_id=holder.session_id, signal=doubted))
        self.rely_on(Untouched(app_id=app_id, version=watch.version))

    def holder(self, step: Step, claim: Claim | None) -> Waiter | None:
        """Return the step that has a claim by difference alone, if that is another than `step`."""
        return None if claim is None or claim.holder == self.waiter(step) else claim.holder

    def illegal(self, step: Step, signal: str) -> IllegalSignalError:
        """Make the error which says that the step's state does not take this."""
        return IllegalSignalError(session_id=self.session.id, step_id=step.id, state=step.state.value, signal=signal)

    def tell(self, name: EventName, step: Step | None = None, **data: object) -> None:
        """Add an event."""
        self._told.append(
            Event(
                seq=self._before.seq + len(self._told) + 1,
                name=name,
                at=self.now,
                step_id=step.id if step else None,
                data=data,
            )
        )

    def ask(self, *effects: WatchEffect) -> None:
        """Add effects."""
        self._effects += effects

    def rely_on(self, *guards: Guard) -> None:
        """Add guards."""
        self._guards += guards

    def nothing(self, outcome: Outcome) -> None:
        """Say that nothing changes, and why."""
        self.outcome = outcome

    def decision(self) -> Decision:
        """Close the draft."""
        became_ready = self.session.status is SessionStatus.READY and self._before.status is not SessionStatus.READY
        if became_ready:
            self.tell(EventName.SESSION_READY)
        if self._told or self.session != self._before:
            self.session = replace(self.session, seq=self._before.seq + len(self._told), updated_at=self.now)
        return Decision(
            session=self.session,
            outcome=self.outcome,
            events=tuple(self._told),
            effects=tuple(self._effects),
            guards=tuple(self._guards),
            displacements=tuple(self._displacements),
        )
