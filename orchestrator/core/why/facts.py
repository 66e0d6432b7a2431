"""What is looked at: all that is known of a session, or of an app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.core.health import Fate, Jump
from orchestrator.core.ports.budget import Usage
from orchestrator.core.ports.credentials import Standing
from orchestrator.core.ports.watches import Watch
from orchestrator.core.schedule import Policy
from orchestrator.core.session import Instant, Session

if TYPE_CHECKING:
    from orchestrator.core.deliveries import Delivery
    from orchestrator.core.endpoints import Endpoint


@dataclass(frozen=True, kw_only=True)
class Undelivered:
    """Events of the session that an endpoint has not received: `pending` come by themselves, `dead` do not.

    `failing` is the pending one that was tried in vain most often, if any was.
    """

    endpoint: Endpoint
    pending: int = 0
    dead: int = 0
    failing: Delivery | None = None


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What is so for everybody. `budget` is the egress group's side and the partner's, `workers` how many run."""

    now: Instant
    policy: Policy
    budget: tuple[Usage, Usage]
    workers: int


@dataclass(frozen=True, kw_only=True)
class SessionFacts:
    """All that is known of a session; `watches` are by app id, and so are `jumps` of its tenant's popups."""

    session: Session
    conditions: Conditions
    credential: Standing | None
    watches: Mapping[str, Watch]
    undelivered: tuple[Undelivered, ...] = ()
    jumps: Mapping[str, Jump] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AppFacts:
    """What is known of one app: `waiting` are the sessions whose popups for it are open, with what is known of them.

    `popups` says what became of those of the last day, `jump` that their messages get lost more often than usual.
    `is_known`: there is a session that has it, or there was a popup of it.
    """

    app_id: str
    title: str
    now: Instant
    waiting: tuple[SessionFacts, ...] = ()
    more_wait: bool = False
    popups: Mapping[Fate, int] = field(default_factory=dict)
    jump: Jump | None = None
    is_known: bool = True
