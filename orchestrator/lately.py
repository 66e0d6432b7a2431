"""What popups did lately, by app and browser: counts that the store keeps by the hour and by the minute, added up."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from orchestrator.core.health import (
    BASELINE_HOURS,
    HOUR,
    RECENT_MINUTES,
    Fate,
    Jump,
    Popups,
    Rate,
    baseline,
    jump,
    sum_of,
)
from orchestrator.core.ports.census import AppSessions, CensusStore, Counts
from orchestrator.core.session import MINUTE, BrowserFamily, Instant, Millis

SETTLED_AFTER: Final[Millis] = 10 * MINUTE
"""So long after its end nobody counts anything in an hour, or a minute, any more: clocks differ by less."""

NO_SESSIONS: Final = AppSessions(sessions=0, waiting=0)

ByBrowser: TypeAlias = Mapping[BrowserFamily, Mapping[Fate, int]]
"""What became of popups, by the family of browsers they were in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppHealth:
    """An app: its sessions now, its popups of the last day, and whether they do worse than usual."""

    app_id: str
    title: str | None
    sessions: AppSessions
    browsers: ByBrowser
    usual: Rate | None
    jump: Jump | None

    @property
    def popups(self) -> Mapping[Fate, int]:
        """What became of its popups, whatever the browser."""
        return added(self.browsers.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Lately:
    """What some tenants' popups did, by app: in the last day, and in each of its last minutes. `hours`: everybody's."""

    now: Instant
    hours: Mapping[Instant, Counts]
    day: Mapping[str, ByBrowser]
    minutes: Mapping[str, Mapping[Instant, ByBrowser]]
    titles: Mapping[str, str]

    def app(self, app_id: str, sessions: AppSessions) -> AppHealth:
        """Tell how an app does, of which there are these sessions."""
        browsers = self.day.get(app_id, {})
        rates = {browser: Rate.of(fates) for browser, fates in browsers.items()}
        day = sum_of(rates.values())
        is_theirs = bool(browsers) or sessions.sessions > 0
        return AppHealth(
            app_id=app_id,
            title=self.titles.get(app_id) if is_theirs else None,  # or it would tell that somebody else has it
            sessions=sessions,
            browsers=browsers,
            usual=baseline(day),
            jump=self._jump(app_id, day, rates),
        )

    def apps(self, sessions: Mapping[str, AppSessions]) -> tuple[AppHealth, ...]:
        """Tell how every app does: those that jumped first, then those with the most popups, then the most sessions."""
        known = (self.app(app_id, sessions.get(app_id, NO_SESSIONS)) for app_id in {*self.day, *sessions})
        return tuple(
            sorted(
                known,
                key=lambda app: (
                    app.jump is None,
                    -app.popups.get(Fate.OPENED, 0),
                    -app.sessions.sessions,
                    app.app_id,
                ),
            )
        )

    def _jump(self, app_id: str, day: Rate, rates: Mapping[BrowserFamily, Rate]) -> Jump | None:
        """Look for one in all browsers together, then in each family."""
        minutes = self.minutes.get(app_id)
        if not minutes:
            return None
        together = {at: sum_of(map(Rate.of, browsers.values())) for at, browsers in minutes.items()}
        found = jump(day, together, now=self.now)
        for browser, rate in () if found else rates.items():
            alone = {at: Rate.of(browsers[browser]) for at, browsers in minutes.items() if browser in browsers}
            found = found or jump(rate, alone, now=self.now, browser=browser)
        return found


class Tally:
    """Reads counts, of every tenant; whose are shown is said with each question."""

    def __init__(self, census: CensusStore) -> None:
        self._hours = _Ledger(census.hours, length=HOUR)
        self._minutes = _Ledger(census.minutes, length=MINUTE)

    async def minutes(self, *, now: Instant) -> Mapping[Instant, Counts]:
        """Return what was counted in each of the last minutes, the present one last. Raises StoreError."""
        return await self._minutes.latest(RECENT_MINUTES[-1], now=now)

    async def lately(self, tenants: Sequence[str], *, now: Instant) -> Lately:
        """Return what these tenants' popups did. Raises StoreError."""
        hours, minutes = await asyncio.gather(self._hours.latest(BASELINE_HOURS, now=now), self.minutes(now=now))
        by_minute: defaultdict[str, dict[Instant, ByBrowser]] = defaultdict(dict)
        for at, counts in minutes.items():
            for app_id, browsers in _by_app([counts.popups], tenants).items():
                by_minute[app_id][at] = browsers
        present = [counts.popups for at, counts in hours.items() if at not in self._hours.past]
        return Lately(
            now=now,
            hours=hours,
            day=_together(self._hours.past_by_app(tenants), _by_app(present, tenants)),
            minutes=by_minute,
            titles={app_id: title for counts in hours.values() for app_id, title in counts.titles.items()},
        )


class _Ledger:
    """Counts by the hour, or by the minute. Those that are over are read once, and added up once."""

    def __init__(self, read: Callable[[Sequence[Instant]], Awaitable[tuple[Counts, ...]]], *, length: Millis) -> None:
        self._read = read
        self._length = length
        self._added_up: dict[tuple[str, ...], Mapping[str, ByBrowser]] = {}
        self.past: Mapping[Instant, Counts] = {}
        """Those that nobody adds to any more."""

    async def latest(self, number: int, *, now: Instant) -> Mapping[Instant, Counts]:
        """Return so many of them by their beginnings, oldest first, and the present one."""
        present = now - now % self._length
        wanted = [present - back * self._length for back in reversed(range(number + 1))]
        missing = [at for at in wanted if at not in self.past]
        found = dict(zip(missing, await self._read(missing), strict=True))
        latest = {at: found[at] if at in found else self.past[at] for at in wanted}
        past = {at: counts for at, counts in latest.items() if at + self._length + SETTLED_AFTER <= now}
        if past.keys() != self.past.keys():
            self.past, self._added_up = past, {}
        return latest

    def past_by_app(self, tenants: Sequence[str]) -> Mapping[str, ByBrowser]:
        """Return these tenants' popups of those that are over."""
        whose = tuple(tenants)
        if whose not in self._added_up:
            self._added_up[whose] = _by_app((counts.popups for counts in self.past.values()), frozenset(whose))
        return self._added_up[whose]


def _by_app(counted: Iterable[Mapping[Popups, Mapping[Fate, int]]], tenants: Container[str]) -> dict[str, ByBrowser]:
    found: defaultdict[str, defaultdict[BrowserFamily, Counter[Fate]]] = defaultdict(lambda: defaultdict(Counter))
    for popups in counted:
        for of, fates in popups.items():
            if of.tenant_id in tenants:
                total = found[of.app_id][of.browser]
                for fate, count in fates.items():
                    total[fate] += count
    return {app_id: dict(browsers) for app_id, browsers in found.items()}


def _together(*counted: Mapping[str, ByBrowser]) -> Mapping[str, ByBrowser]:
    """Add up, by app and browser."""
    found: defaultdict[str, defaultdict[BrowserFamily, list[Mapping[Fate, int]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for apps in counted:
        for app_id, browsers in apps.items():
            for browser, fates in browsers.items():
                found[app_id][browser].append(fates)
    return {app_id: {name: added(each) for name, each in browsers.items()} for app_id, browsers in found.items()}


def fates_of(app_id: str, popups: Mapping[Popups, Mapping[Fate, int]], tenants: Container[str]) -> Mapping[Fate, int]:
    """Return what became of these tenants' popups of an app."""
    mine = {of: fates for of, fates in popups.items() if of.app_id == app_id}
    return added(_by_app([mine], tenants).get(app_id, {}).values())


def added(several: Iterable[Mapping[Fate, int]]) -> Mapping[Fate, int]:
    """Add counts of popups up."""
    total: Counter[Fate] = Counter()
    for one in several:
        for fate, count in one.items():
            total[fate] += count
    return total
