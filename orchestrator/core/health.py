"""How connecting goes: popups counted by what became of them, and when an app's popups suddenly do worse.

An event's commit counts it, in its hour and in its minute, by tenant, app and family of browser; nobody is named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Self, TypeAlias

from orchestrator.core.events import Event, EventName
from orchestrator.core.session import MINUTE, App, BrowserFamily, Channel, Instant, Millis, Reason, Session, Step

HOUR: Final[Millis] = 60 * MINUTE
BASELINE_HOURS: Final = 24
"""What an app does now is held against what it did in so many hours before."""

SMALLEST_BASELINE: Final = 20
"""Of fewer resolved popups nobody can say what is usual."""

SMALLEST_SAMPLE: Final = 3
RECENT_MINUTES: Final = (1, 5, 15, 60)
"""A jump is looked for in the last minute, five, fifteen and sixty: few popups show it late, many at once."""

LEAST_JUMP: Final = 0.1
UNLIKELY: Final = 1e-4
"""A jump is what chance, at the usual rate, would do less often than this."""

UNFINISHED: Final = "unfinished: the user left, or the site failed; we cannot see which"
"""What is said of a popup that was waited for in vain."""


_FAMILIES: Final = (
    (re.compile(r"\bEdg(?:e|A|iOS)?/"), BrowserFamily.EDGE),
    (re.compile(r"\b(?:OPR|OPT|SamsungBrowser|YaBrowser|Vivaldi|DuckDuckGo|Ddg)/"), BrowserFamily.OTHER),
    (re.compile(r"\b(?:Firefox|FxiOS)/"), BrowserFamily.FIREFOX),
    (re.compile(r"\b(?:Chrome|Chromium|HeadlessChrome|CriOS)/"), BrowserFamily.CHROME),
    (re.compile(r"\bVersion/[\d.]+ .*\bSafari/"), BrowserFamily.SAFARI),
)
LONGEST_READ: Final = 512


def browser_of(user_agent: str) -> BrowserFamily:
    """Tell the family by what a browser says of itself (`User-Agent`)."""
    said = user_agent[:LONGEST_READ]
    return next((family for pattern, family in _FAMILIES if pattern.search(said)), BrowserFamily.OTHER)


class Fate(StrEnum):
    """What is counted of popups: that one was opened, and what became of it."""

    OPENED = "opened"
    BY_MESSAGE = "by_message"
    WITHOUT_MESSAGE = "without_message"
    OFFERED = "offered"
    UNFINISHED = "unfinished"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"


class Stage(StrEnum):
    """How far a session came; each is counted once, in the hour in which the session first came there.

    `connected`: through a popup that was opened. An account that the user chose, or that fields made, is none of it.
    """

    BEGUN = "begun"
    APP_CHOSEN = "app_chosen"
    POPUP_OPENED = "popup_opened"
    CONNECTED = "connected"
    READY = "ready"
    CREATED = "created"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Popups(NamedTuple):
    """Popups of one kind: of a tenant, for an app, in a family of browsers."""

    tenant_id: str
    app_id: str
    browser: BrowserFamily


class Counted(NamedTuple):
    """What a commit's events add to the counts, and the apps that were chosen."""

    stages: tuple[Stage, ...] = ()
    popups: tuple[tuple[Popups, Fate], ...] = ()
    apps: tuple[App, ...] = ()


NOTHING_COUNTED: Final = Counted()

_STAGES: Final[Mapping[EventName, Stage]] = {
    EventName.SESSION_CREATED: Stage.BEGUN,
    EventName.APP_CHOSEN: Stage.APP_CHOSEN,
    EventName.POPUP_OPENED: Stage.POPUP_OPENED,
    EventName.AUTH_RESOLVED: Stage.CONNECTED,
    EventName.SESSION_READY: Stage.READY,
    EventName.ZAP_CREATED: Stage.CREATED,
    EventName.SESSION_EXPIRED: Stage.EXPIRED,
    EventName.SESSION_CANCELLED: Stage.CANCELLED,
}
_FATES: Final[Mapping[object, Fate]] = {
    Reason.AMBIGUOUS: Fate.OFFERED,
    Reason.NOTHING_NEW: Fate.OFFERED,
    Reason.NOT_VISIBLE: Fate.OFFERED,
    Reason.TIMED_OUT: Fate.UNFINISHED,
    Reason.CANCELLED: Fate.CANCELLED,
    Reason.POPUP_BLOCKED: Fate.BLOCKED,
}
OF_POPUPS: Final = frozenset({EventName.POPUP_OPENED, EventName.AUTH_RESOLVED, EventName.AUTH_NEEDED})


def counted(session: Session, events: Iterable[Event]) -> Counted:
    """Return what is to be counted of these events; `session` is the one after them. Every commit asks."""
    found = NOTHING_COUNTED
    for event in events:
        stage = _STAGES.get(event.name)
        if stage is None and event.name is not EventName.AUTH_NEEDED:
            continue
        step = session.step(event.step_id) if event.step_id is not None else None
        popup = None if step is None else _popup(session, step, event)
        if stage is Stage.CONNECTED and popup is None:
            continue
        found = Counted(
            found.stages if stage is None else (*found.stages, stage),
            found.popups if popup is None else (*found.popups, popup),
            (*found.apps, step.app) if stage is Stage.APP_CHOSEN and step and step.app else found.apps,
        )
    return found


def _popup(session: Session, step: Step, event: Event) -> tuple[Popups, Fate] | None:
    """Say what became of whose popup. A choice of the user's is nobody's, and so is what an own app's fields made."""
    named = event.data.get("attempt_id")
    match event.name:
        case EventName.POPUP_OPENED:
            fate = Fate.OPENED
        case EventName.AUTH_NEEDED if (ended := _FATES.get(event.data.get("reason"))) is not None:
            fate, named = ended, named or (step.attempts[-1:] and step.attempts[-1].id)
        case EventName.AUTH_RESOLVED if step.evidence is not None:
            fate = Fate.BY_MESSAGE if Channel.MESSAGE in step.evidence.channels else Fate.WITHOUT_MESSAGE
            named = step.evidence.attempt_id
        case _:
            return None
    attempt = step.attempt(str(named)) if named else None
    if attempt is None or attempt.supplied:
        return None
    return Popups(tenant_id=session.tenant_id, app_id=attempt.app_id, browser=attempt.browser), fate


# --- what the counts say --------------------------------------------------------------------------------------

Fates: TypeAlias = Mapping[Fate, int]


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How often a message was lost: of `resolved` popups, `lost` were found without one."""

    lost: int
    resolved: int

    @classmethod
    def of(cls, fates: Fates) -> Self:
        """Read it from what became of popups."""
        lost = fates.get(Fate.WITHOUT_MESSAGE, 0)
        return cls(lost=lost, resolved=lost + fates.get(Fate.BY_MESSAGE, 0))

    def __sub__(self, other: Rate) -> Rate:
        """Leave those out."""
        return Rate(lost=self.lost - other.lost, resolved=self.resolved - other.resolved)

    @property
    def value(self) -> float | None:
        """The lost rate, None where nothing was resolved."""
        return self.lost / self.resolved if self.resolved else None


@dataclass(frozen=True, kw_only=True)
class Jump:
    """In the last `minutes` messages got lost more often than usual, and not by chance; `since` the first such minute.

    `browser`: in this family alone, None for all together.
    """

    since: Instant
    minutes: int
    recent: Rate
    usual: Rate
    browser: BrowserFamily | None = None


def baseline(day: Rate) -> Rate | None:
    """Return what is usual, None while there is too little to say so."""
    return day if day.resolved >= SMALLEST_BASELINE else None


def jump(
    day: Rate, minutes: Mapping[Instant, Rate], *, now: Instant, browser: BrowserFamily | None = None
) -> Jump | None:
    """Tell whether the lost rate jumped: the last minutes against the rest of the day they are counted in, too.

    `minutes` are by their beginnings. The shortest time that shows it is told.
    """
    if not any(rate.lost for rate in minutes.values()):
        return None
    for length in RECENT_MINUTES:
        begun = now - now % MINUTE - length * MINUTE
        recent = {at: rate for at, rate in minutes.items() if at >= begun}
        sample = sum_of(recent.values())
        usual = baseline(day - sample)
        if usual is not None and _is_jump(sample, usual):
            since = min(at for at, rate in recent.items() if rate.lost)
            return Jump(since=since, minutes=length, recent=sample, usual=usual, browser=browser)
    return None


def sum_of(rates: Iterable[Rate]) -> Rate:
    """Add rates up."""
    each = tuple(rates)
    return Rate(lost=sum(rate.lost for rate in each), resolved=sum(rate.resolved for rate in each))


def _is_jump(sample: Rate, usual: Rate) -> bool:
    if sample.resolved < SMALLEST_SAMPLE:
        return False
    chance = (usual.lost + 0.5) / (usual.resolved + 1)
    return sample.lost / sample.resolved - chance >= LEAST_JUMP and _tail(sample, chance) < UNLIKELY


def _tail(sample: Rate, chance: float) -> float:
    """Return how likely it is that of so many popups at least so many lose their message, each with this chance."""
    n = sample.resolved
    return sum(
        math.exp(
            math.lgamma(n + 1)
            - math.lgamma(lost + 1)
            - math.lgamma(n - lost + 1)
            + lost * math.log(chance)
            + (n - lost) * math.log1p(-chance)
        )
        for lost in range(sample.lost, n + 1)
    )
