"""What a call may raise.

ZapwrightError
├── NoAnswerError              nothing came back
├── UnexpectedAnswerError      what came back is not Zapwright's, or not of a version this client knows
└── ProblemError               Zapwright says no, and why; by status one of
    ├── UnauthorizedError            401
    ├── ForbiddenError               403
    ├── NotFoundError                404
    ├── ConflictError                409
    ├── PreconditionFailedError      412
    ├── RequestRefusedError          422
    └── UnavailableError             503
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zapwright_client.shapes import Code


class ZapwrightError(Exception):
    """Base of everything a call may raise."""


class NoAnswerError(ZapwrightError):
    """Nothing came back. With `was_sent` what was asked may have happened."""

    def __init__(self, problem: str, *, was_sent: bool) -> None:
        self.was_sent = was_sent
        super().__init__(f"Zapwright did not answer: {problem}")


class UnexpectedAnswerError(ZapwrightError):
    """What came back is not Zapwright's, or of another version. `reference` finds the request in Zapwright's log."""

    def __init__(self, problem: str, *, status: int, reference: str | None) -> None:
        self.status = status
        self.reference = reference
        super().__init__(f"{problem} (status {status}, reference {reference})")


class ProblemError(ZapwrightError):
    """Zapwright says no. Go by `code`; `facts` has what `detail` speaks of, `errors` where a request is wrong.

    `reference` finds the request in Zapwright's log; `retry_after_s` is set where it is said when asking again helps.
    """

    def __init__(self, document: Mapping[str, Any], *, retry_after_s: float | None) -> None:
        self.status: int = document["status"]
        self.code: Code = document["code"]
        self.title: str = document["title"]
        self.detail: str = document["detail"]
        self.reference: str = document["reference"]
        self.facts: Mapping[str, Any] = document.get("facts") or {}
        self.errors: tuple[Mapping[str, Any], ...] = tuple(document.get("errors") or ())
        self.retry_after_s = retry_after_s
        super().__init__(f"{self.code}: {self.detail} (reference {self.reference})")


class UnauthorizedError(ProblemError):
    """The key or token is missing, unknown or expired."""


class ForbiddenError(ProblemError):
    """The key or token does not allow this."""


class NotFoundError(ProblemError):
    """There is no such thing, or it is somebody else's."""


class ConflictError(ProblemError):
    """Not in the state that things are in."""


class PreconditionFailedError(ProblemError):
    """The session is not at the sequence number that `if_match` wanted."""


class RequestRefusedError(ProblemError):
    """The request itself is wrong; `errors` says where."""


class UnavailableError(ProblemError):
    """Not now."""


BY_STATUS: Mapping[int, type[ProblemError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    412: PreconditionFailedError,
    422: RequestRefusedError,
    503: UnavailableError,
}
