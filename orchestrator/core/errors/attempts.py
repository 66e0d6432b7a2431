"""Errors about popups, and the authentications that come of them or of fields."""

from __future__ import annotations

from orchestrator.core.errors.base import SignalRefusedError


class AttemptStaleError(SignalRefusedError):
    """The attempt was opened for an app the step no longer has."""

    code = "attempt_stale"

    def __init__(self, *, session_id: str, step_id: str, attempt_id: str) -> None:
        super().__init__(
            f"attempt {attempt_id} of session {session_id} was opened for an app step {step_id} no longer has",
            session_id=session_id,
            step_id=step_id,
            attempt_id=attempt_id,
        )


class AttemptTakenError(SignalRefusedError):
    """The attempt id is in use for another step."""

    code = "attempt_taken"

    def __init__(self, *, session_id: str, step_id: str, attempt_id: str) -> None:
        super().__init__(
            f"attempt {attempt_id} of session {session_id} belongs to another step than {step_id}; use a new id",
            session_id=session_id,
            step_id=step_id,
            attempt_id=attempt_id,
        )


class TooManyChecksError(SignalRefusedError):
    """Operators have had this popup looked after as often as they may."""

    code = "too_many_checks"

    def __init__(self, *, session_id: str, step_id: str, most: int) -> None:
        super().__init__(
            f"operators have asked {most} times for a check of step {step_id} of session {session_id}, and cannot for "
            "this popup any more: have the user open it again, or bind an authentication",
            session_id=session_id,
            step_id=step_id,
            most=most,
        )


class AuthenticationNotUsableError(SignalRefusedError):
    """The user's Zapier account does not list this authentication for the step's app, or lists it as expired."""

    code = "authentication_not_usable"

    def __init__(self, *, session_id: str, step_id: str, authentication_id: str, why: str) -> None:
        super().__init__(
            f"authentication {authentication_id!r} cannot be used for step {step_id} of session {session_id}: {why}",
            session_id=session_id,
            step_id=step_id,
            authentication_id=authentication_id,
            why=why,
        )


class AppNotOwnError(SignalRefusedError):
    """Fields are taken for the tenant's own apps alone."""

    code = "app_not_own"

    def __init__(self, *, session_id: str, step_id: str, app_id: str) -> None:
        super().__init__(
            f"app {app_id} of step {step_id} of session {session_id} is none of the tenant's own apps: "
            "connect it by its popup, or add it to the tenant's own apps if it is one",
            session_id=session_id,
            step_id=step_id,
            app_id=app_id,
        )


class FieldsUnansweredError(SignalRefusedError):
    """What came of fields that were sent before is not known yet."""

    code = "fields_unanswered"

    def __init__(self, *, session_id: str, step_id: str, attempt_id: str) -> None:
        super().__init__(
            f"whether Zapier made an authentication of the fields sent for step {step_id} of session {session_id} is "
            "not known yet: wait until the session tells, choose another authentication, or reset the step",
            session_id=session_id,
            step_id=step_id,
            attempt_id=attempt_id,
        )


class CandidatesFoundError(SignalRefusedError):
    """Opening the popup again found what was connected meanwhile."""

    code = "candidates_found"

    def __init__(self, *, session_id: str, step_id: str) -> None:
        super().__init__(
            f"something was connected for step {step_id} of session {session_id} meanwhile: "
            "show its candidates, or repeat the request to connect another account",
            session_id=session_id,
            step_id=step_id,
        )
