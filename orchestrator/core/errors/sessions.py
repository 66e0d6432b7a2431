"""Errors about sessions, and the steps in them."""

from __future__ import annotations

from typing import Final

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
    """The step's state does not take this signal. The message says how the step stands, and what to do instead."""

    code = "illegal_signal"

    def __init__(self, *, session_id: str, step_id: str, state: str, signal: str) -> None:
        stands = _AT_THIS_SIGNAL.get((signal, state)) or _STANDS[state]
        super().__init__(
            f"step {step_id} of session {session_id} {stands}",
            session_id=session_id,
            step_id=step_id,
            state=state,
            signal=signal,
        )


_STANDS: Final = {
    "choose-app": "has no app yet: have one chosen first",
    "needs-auth": "has no authentication yet: have one chosen or connected first",
    "awaiting-popup": "waits for what its popup connects: let that come first, or have the popup given up",
    "resolved": "has its authentication already: choose another one, or reset the step to begin anew",
    "no-auth-required": "has an app that needs no authentication: nothing has to be connected, unless its app changes",
}
_AT_THIS_SIGNAL: Final = {
    ("check_wanted", "needs-auth"): "has had no popup from which something could have come: have its user open one, or "
    "bind an authentication",
    ("check_wanted", "resolved"): "has its authentication already, so there is nothing to ask Zapier for: to give it "
    "another one bind that, or reset the step",
    ("fields_sent", "needs-auth"): "has another app by now: read the session again, and send what that one asks for",
    ("test_requested", "resolved"): "has no action yet: choose one first",
    ("test_requested", "no-auth-required"): "has no action yet: choose one first",
}


class SessionLockedError(SignalRefusedError):
    """The session is being created, was created, or has ended, or no Zap of it is looked for that could be named.

    The message says which, and what to do instead.
    """

    code = "session_locked"

    def __init__(self, *, session_id: str, status: str) -> None:
        why = _LOCKED.get(status)
        super().__init__(
            f"nothing of session {session_id} can change: {why}"
            if why is not None
            else f"no Zap of session {session_id} is looked for: have it created, without saying which one it is",
            session_id=session_id,
            status=status,
        )


_LOCKED: Final = {
    "creating": "its Zap is being created just now; see what comes of that first",
    "created": "its Zap was created; change or delete that at Zapier, or begin a new session",
    "create_unknown": "whether its Zap was created is not known; say which Zap it is, or that there is none, first",
    "expired": "it has expired; begin a new session",
    "cancelled": "it was cancelled; begin a new session",
}


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
