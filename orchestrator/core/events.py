"""Facts for subscribers: past tense, numbered per session, never changed afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.core.session import Instant, JsonObject


class EventName(StrEnum):
    """Every event there is; the value is its name everywhere."""

    SESSION_CREATED = "session_created"
    SESSION_CHANGED = "session_changed"
    STEP_ADDED = "step_added"
    STEP_CHANGED = "step_changed"
    STEP_REMOVED = "step_removed"
    STEP_RESET = "step_reset"
    APP_CHOSEN = "app_chosen"
    AUTHENTICATIONS_REFRESHED = "authentications_refreshed"
    POPUP_OPENED = "popup_opened"
    MESSAGE_RECEIVED = "message_received"
    ATTEMPT_DEADLINE_MOVED = "attempt_deadline_moved"
    CANDIDATES_FOUND = "candidates_found"
    AUTH_NEEDED = "auth_needed"
    AUTH_RESOLVED = "auth_resolved"
    ACTION_CHOSEN = "action_chosen"
    INPUTS_GIVEN = "inputs_given"
    SESSION_READY = "session_ready"
    SESSION_EXPIRED = "session_expired"
    SESSION_CANCELLED = "session_cancelled"
    ZAP_REQUESTED = "zap_requested"
    ZAP_CREATED = "zap_created"
    ZAP_FAILED = "zap_failed"
    ZAP_CREATE_UNKNOWN = "zap_create_unknown"
    SIGN_IN_NEEDED = "sign_in_needed"
    SIGNED_IN = "signed_in"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One fact. `seq` is 1 for a session's first event and grows by one."""

    seq: int
    name: EventName
    at: Instant
    step_id: str | None = None
    data: JsonObject = field(default_factory=dict)
