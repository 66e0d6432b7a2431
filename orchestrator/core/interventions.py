"""What operators do to help, and what is kept of it: who did what to what, when, why, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.session import MINUTE, SECOND, Instant, Millis

LONGEST_REASON: Final = 500
SHORTEST_EXTENSION: Final[Millis] = 60 * SECOND
LONGEST_EXTENSION: Final[Millis] = 24 * 60 * MINUTE


class Intervention(StrEnum):
    """Everything an operator can do."""

    CHECK_NOW = "check_now"
    EXTEND = "extend"
    BIND = "bind"
    RESET = "reset"
    CANCEL = "cancel"
    REPLAY = "replay"


@dataclass(frozen=True, kw_only=True)
class Act:
    """One intervention that somebody wants: who (`key_id`, with the name it has), what, to what, and the `reason`.

    `about` says what else it names: an authentication, seconds, or a delivery's endpoint and `seq`.
    """

    id: str
    key_id: str
    key_name: str
    action: Intervention
    reason: str
    tenant_id: str
    session_id: str
    step_id: str | None = None
    about: str | None = None

    def entry(self, *, at: Instant, outcome: Outcome, detail: str | None = None) -> AuditEntry:
        """Return what is kept of it. `detail` is the code of a refusal."""
        return AuditEntry(**vars(self), at=at, outcome=outcome, detail=detail)


@dataclass(frozen=True, kw_only=True)
class AuditEntry(Act):
    """One line of the audit: an act, when it was, and what became of it. Nothing changes it; time removes it."""

    at: Instant
    outcome: Outcome
    detail: str | None = None
