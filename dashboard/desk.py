"""What one dashboard process works with."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.feeds import Feeds
from dashboard.remote import Remote
from dashboard.visits import Visits
from orchestrator.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The API, who is signed in, what they look at, and what was counted."""

    remote: Remote
    visits: Visits
    feeds: Feeds
    metrics: Metrics
    is_secure: bool = False
