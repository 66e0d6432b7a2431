"""Errors about sessions, and the steps in them."""

from __future__ import annotations

from orchestrator.core.errors.base import NotFoundError, SignalRefusedError, ZapwrightError


class SessionNotFoundError(NotFoundError):
    """No session has this id."""

    code = "session_not_found"

    def __init__(self, *, session_id: str) -> None:
        super().__init__(f"no session has the id {session_id!r}", session_id=session_id)


class StepNotFoundError(NotFoundError):
    """The session has no step with this id."""

    code = "step_not_found"

    def __init__(self, *, session_id: str, step_id: str) -> None:
        super().__init__(f"session {session_id} has no step {step_id!r}", session_id=session_id, step_id=step_id)


class IllegalSignalError(SignalRefusedError):
    """The step's state does not take this signal."""

    code = "illegal_signal"

    def __init__(self, *, session_id: str, step_id: str, state: str, signal: str) -> None:
        super().__init__(
            f"step {step_id} of session {session_id} is in {state}, which does not take {signal}",
            session_id=session_id,
            step_id=step_id,
            state=state,
            signal=signal,
        )


class SessionLockedError(SignalRefusedError):
    """The session is being created, was created, or has ended."""

    code = "session_locked"

    def __init__(self, *, session_id: str, status: str) -> None:
        super().__init__(
            f"session {session_id} is {status}; its steps cannot change", session_id=session_id, status=status
        )


class DeadlineFinalError(SignalRefusedError):
    """The session cannot go on for longer."""

    code = "deadline_final"

    def __init__(self, *, session_id: str, deadline: int) -> None:
        super().__init__(
            f"session {session_id} and its popups have all the time there is: if it is not enough, begin a new one",
            session_id=session_id,
            deadline_ms=deadline,
        )


class AliasTakenError(SignalRefusedError):
    """Another step has this alias."""

    code = "alias_taken"

    def __init__(self, *, session_id: str, alias: str) -> None:
        super().__init__(f"session {session_id} has a step {alias!r} already", session_id=session_id, alias=alias)


class TooManyStepsError(SignalRefusedError):
    """A Zap has at most 25 steps (Zapier docs: how to build a workflow)."""

    code = "too_many_steps"

    def __init__(self, *, session_id: str, limit: int) -> None:
        super().__init__(
            f"session {session_id} has {limit} steps, and no Zap has more", session_id=session_id, limit=limit
        )


class PreconditionFailedError(ZapwrightError):
    """The session is not as the request's precondition says."""

    code = "precondition_failed"

    def __init__(self, *, session_id: str, seq: int) -> None:
        self.seq = seq
        super().__init__(
            f"session {session_id} is at seq {seq}; read it, and decide again what to do with it",
            session_id=session_id,
            seq=seq,
        )
