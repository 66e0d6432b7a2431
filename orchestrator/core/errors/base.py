"""What every error of ours is, and the kinds that the other modules have in common."""

from __future__ import annotations

from typing import ClassVar


class ZapwrightError(Exception):
    """Base of every error of Zapwright's own. `facts` are safe to show to API callers."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **facts: object) -> None:
        self.message = message
        self.facts = facts
        super().__init__(message)


class NotFoundError(ZapwrightError):
    """Something named does not exist."""

    code = "not_found"


class SignalRefusedError(ZapwrightError):
    """The signal is not for this moment; nothing changed."""

    code = "signal_refused"
