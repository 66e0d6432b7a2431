"""Errors about the Zap that a session becomes."""

from __future__ import annotations

from orchestrator.core.errors.base import SignalRefusedError


class NotReadyError(SignalRefusedError):
    """The Zap cannot be created yet."""

    code = "not_ready"

    def __init__(self, *, session_id: str, missing: dict[str, str]) -> None:
        super().__init__(
            f"session {session_id} is not ready: "
            + ("; ".join(f"step {step_id} {what}" for step_id, what in missing.items()) or "it has no steps"),
            session_id=session_id,
            missing=missing,
        )


class CreateUnknownError(SignalRefusedError):
    """A former request to create this Zap had no known outcome."""

    code = "create_unknown"

    def __init__(self, *, session_id: str) -> None:
        super().__init__(
            f"whether the Zap of session {session_id} exists is unknown: look at the user's Zaps, and only if it is "
            "not there send again=true",
            session_id=session_id,
        )


class ZapNotMatchedError(SignalRefusedError):
    """This Zap is none of those that may be the session's."""

    code = "zap_not_matched"

    def __init__(self, *, session_id: str, zap_id: str) -> None:
        super().__init__(
            f"Zap {zap_id!r} is none of the matches of session {session_id}; read the session for them",
            session_id=session_id,
            zap_id=zap_id,
        )
