"""One simulated service: its world, its switches, its limits and its counts, with the clock they live by."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from simulator.apps import App
from simulator.faults import Faults
from simulator.limits import RateLimits
from simulator.switches import Switches, changed, parse_switches, replaced_rules
from simulator.tokens import Tokens
from simulator.visits import Visits
from simulator.world import AccessToken, Authentication, World

#: Returns Unix ms.
Clock: TypeAlias = Callable[[], int]
#: Waits for so many seconds.
Sleep: TypeAlias = Callable[[float], Awaitable[None]]


def system_clock() -> int:
    """Return the machine's time in Unix ms."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Counts:
    """How many requests of each endpoint were answered in which way, since the start or the last reset."""

    by_endpoint: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, endpoint: str, outcome: str) -> None:
        """Count one: `outcome` is a status, or `dropped`, `hung`, `truncated`, `abandoned`."""
        self.by_endpoint.setdefault(endpoint, Counter())[outcome] += 1

    @property
    def total(self) -> int:
        """All requests."""
        return sum(outcomes.total() for outcomes in self.by_endpoint.values())

    @property
    def refused(self) -> int:
        """Those that were answered with 429, by a limit or by a fault."""
        return sum(outcomes["429"] for outcomes in self.by_endpoint.values())


class Upstream:
    """Everything that one simulated service is, apart from HTTP."""

    def __init__(
        self, world: World, *, clock: Clock = system_clock, sleep: Sleep = asyncio.sleep, switches: object = None
    ) -> None:
        """Begin with `switches`, a document as `PATCH /_control/faults` takes it. Raises SwitchError."""
        self.world = world
        self.clock = clock
        self.sleep = sleep
        self._initial = parse_switches(switches or {}, catalogue=world.catalogue)
        self.switches = self._initial
        self.faults = Faults(seed=world.seed)
        self.limits = RateLimits()
        self.counts = Counts()
        self.executed: list[dict[str, Any]] = []  #: what tests of actions have written, oldest first
        self.visits = Visits(seed=world.seed)
        self.tokens = Tokens(world)

    def is_good(self, token: str) -> bool:
        """Whether an access token is neither revoked nor over; one that anybody made up has no end."""
        issued = self.world.issued(token)
        is_over = isinstance(issued, AccessToken) and issued.expires_at <= self.clock()
        return not is_over and not self.world.is_revoked(token)

    def switch(self, patch: Any) -> Switches:  # noqa: ANN401 - JSON has no closer type
        """Apply a JSON merge patch to the switches, at once and as a whole. Raises SwitchError and changes nothing."""
        self.switches = changed(self.switches, patch, catalogue=self.world.catalogue)
        for name in replaced_rules(patch):
            self.faults.restart(name)
        return self.switches

    def switch_back(self) -> Switches:
        """Set every switch as it was at the start."""
        self.switches = self._initial
        self.faults.reset()
        return self.switches

    def reset(self) -> None:
        """Go back to the seeded world, with the switches of the start and nothing counted."""
        self.world.reset()
        self.switch_back()
        self.limits.reset()
        self.counts = Counts()
        self.executed = []
        self.visits = Visits(seed=self.world.seed)

    def finish_popup(  # noqa: PLR0913 - what a person may do in a popup
        self,
        user: str,
        app: App,
        *,
        title: str | None = None,
        count: int = 1,
        is_expired: bool = False,
        listed_after_ms: int | None = None,
        shared_with: str | None = None,
    ) -> list[Authentication]:
        """Connect accounts of `app`, as if `user` had gone through the popup."""
        delay = self.switches.listed_after_ms(app.id) if listed_after_ms is None else listed_after_ms
        return self.world.connect(
            user,
            app,
            title=title,
            count=count,
            is_expired=is_expired,
            listed_at=self.clock() + delay if delay else 0,
            shared_with=shared_with,
        )

    def reconnect(self, before: Authentication, app: App, *, title: str | None = None) -> Authentication:
        """Repair an authentication, as if its user had gone through the popup again.

        By the switch `reconnect` it keeps its id, or stays as it is while a new one with its title appears.
        """
        if self.switches.reconnection(app.id) == "keeps_id":
            return self.world.amend(before, title=title, is_expired=False)
        return self.finish_popup(before.owner, app, title=title or before.title)[0]
