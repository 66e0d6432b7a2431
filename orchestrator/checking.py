"""Checking a watch: one listing at Zapier, applied to every step that waits on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

from structlog.contextvars import bound_contextvars

from orchestrator.commits import Applied, Commits
from orchestrator.core import schedule
from orchestrator.core.effects import Due, EndCheck, Guard, LeaseHeld, Untouched
from orchestrator.core.errors.base import NotFoundError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.store import LeaseLostError, StaleVersionError, StoreError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamError
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.credentials import Credential, CredentialState, CredentialStore
from orchestrator.core.ports.upstream import Upstream
from orchestrator.core.ports.watches import KEPT_CHECKS, Leased, Settlement, Watch, WatchStore
from orchestrator.core.retry import retry_at
from orchestrator.core.session import Instant, Listing, Session, WatchKey
from orchestrator.core.signals import AuthenticationsListed, Signal
from orchestrator.core.values import replace

MOST_SETTLE_TRIES = 20


class Checker:
    """Makes checks. A check that dies anywhere loses nothing: its lease runs out and the watch is due again."""

    def __init__(
        self,
        *,
        commits: Commits,
        watches: WatchStore,
        credentials: CredentialStore,
        upstream: Upstream,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._commits = commits
        self._watches = watches
        self._credentials = credentials
        self._upstream = upstream
        self._clock = clock
        self._chance = chance

    async def check(self, key: WatchKey, *, token: str, permits: Sequence[Permit]) -> bool:
        """Make the one check this lease is for; says whether a complete listing was applied.

        Permits that are not used are given back. A lease that was lost meanwhile ends the check; whoever has it now
        looks again. Zapier's failures are ordinary: the watch is tried again later. Raises StoreError.
        """
        try:
            leased, credential = await asyncio.gather(
                self._watches.leased(key, token=token, now=self._clock.now()),
                self._credentials.get(key.tenant_id, key.user_id),
            )
        except StoreError:
            await self._upstream.give_back(permits)
            raise
        if leased is None:
            await self._upstream.give_back(permits)
            return False
        try:
            return await self._look(Check(key=key, token=token, leased=leased), credential, permits)
        except LeaseLostError:
            return False

    async def _look(self, check: Check, credential: Credential | None, permits: Sequence[Permit]) -> bool:
        if credential is None or credential.state is not CredentialState.ACTIVE:
            await self._upstream.give_back(permits)
            await self._settle(check, paused_for=credential.generation if credential else 0)
            return False
        try:
            listing = await self._upstream.authentications(credential, check.key.app_id, permits=permits)
        except SignInRequiredError:
            await self._settle(check, paused_for=credential.generation)
        except UpstreamBusyError as busy:
            until, pages = self._clock.now() + busy.retry_after, max(check.leased.pages, busy.pages)
            await self._settle(check, held_until=until, failures=check.leased.failures, pages=pages)
        except UpstreamError:
            await self._back_off(check)
        else:
            return await self._take(check, listing, credential)
        return False

    async def _take(self, check: Check, listing: Listing, credential: Credential) -> bool:
        """Apply a listing to every waiting session, those with messages first, and end the check.

        The last commit ends it where it can: where we committed nothing since the watch was read. Otherwise it is
        settled afterwards.
        """
        if credential.profile_id is None:
            sight, shared = await self._see(check), False
        else:
            sight, shared = await asyncio.gather(self._see(check), self._is_shared(credential, credential.profile_id))
        known: Sight | None = sight
        for number, session in enumerate(sight.sessions, start=1):
            ends = known if listing.complete and number == len(sight.sessions) else None
            try:
                applied = await self._apply(session, check, listing, known=known, ends=ends, shared=shared)
            except NotFoundError:  # purged since
                continue
            if applied.ends_check:
                return True
            if applied.is_committed:
                known = None  # what one session takes is claimed, and no news to the next
        if listing.complete:
            await self._settle(check, checked=listing, sight=known)
        else:
            await self._back_off(check)
        return listing.complete

    async def _is_shared(self, credential: Credential, profile_id: str) -> bool:
        """Whether several users have this Zapier account."""
        now = self._clock.now()
        return await self._credentials.users_of_profile(credential.tenant_id, profile_id, now=now) > 1

    async def _apply(
        self,
        session: Session,
        check: Check,
        listing: Listing,
        *,
        known: Sight | None,
        ends: Sight | None,
        shared: bool,
    ) -> Applied:
        """Apply the listing to a session as it was read, with the watch as it is `known`; that commit `ends` the check.

        If either has changed, the commit's guards say so, and both are read again; then the check goes on.
        """
        key = check.key

        async def listed(_: Session) -> Signal:
            nonlocal known
            watch, known = known.watch if known else await self._watches.load(key, now=self._clock.now()), None
            return AuthenticationsListed(
                listing=listing,
                checks=_with(watch.checks, listing),
                claims=watch.claims,
                popups=watch.popups,
                shared_profile=shared,
            )

        def ending(after: Session) -> tuple[EndCheck, Guard] | None:
            nonlocal ends
            seen, ends = ends, None
            if seen is None:
                return None
            due = _due(seen.after(after), checked_at=_with(seen.watch.checks, listing)[-1])
            end = EndCheck(app_id=key.app_id, begun_at=listing.begun_at, pages=listing.pages, due=due)
            return end, Untouched(app_id=key.app_id, version=seen.watch.version)

        guards = (LeaseHeld(app_id=key.app_id, token=check.token),)
        with bound_contextvars(session=session.id):
            return await self._commits.apply(session.key, listed, guards=guards, read=session, ending=ending)

    async def _back_off(self, check: Check) -> None:
        failures = check.leased.failures + 1
        until = retry_at(failures, now=self._clock.now(), jitter=self._chance())
        await self._settle(check, held_until=until, failures=failures)

    async def _settle(  # noqa: PLR0913 - the ways in which a check may end
        self,
        check: Check,
        *,
        checked: Listing | None = None,
        sight: Sight | None = None,
        held_until: Instant | None = None,
        paused_for: int | None = None,
        failures: int = 0,
        pages: int | None = None,
    ) -> None:
        """End the check. A commit that touched the watch meanwhile is heard: what is due is computed again.

        `sight` is how the watch was seen, if it may be so still.
        """
        for tries_left in reversed(range(MOST_SETTLE_TRIES)):
            now = self._clock.now()
            seen, sight = sight or await self._see(check), None
            watch = seen.watch
            checks = _with(watch.checks, checked) if checked else watch.checks
            settlement = Settlement(
                key=watch.key,
                token=check.token,
                version=watch.version,
                now=now,
                due=_due(seen, checked_at=checks[-1] if checks else None),
                checked_at=checked.begun_at if checked else None,
                pages=pages or (checked.pages if checked else watch.pages),
                failures=failures,
                retry_at=held_until,
                paused_for=paused_for,
            )
            try:
                return await self._watches.settle(settlement)
            except StaleVersionError:
                if not tries_left:
                    raise
        return None

    async def _see(self, check: Check) -> Sight:
        """Read the watch and the sessions that wait, at one moment; once more where others came since the check began.

        So what the check has begun with is read anew, as who ends it takes its listing to cover everything heard before
        that began. Those that hold messages come first: what is theirs is then nobody's news.
        """
        expected = check.leased.session_ids
        while True:
            watch, found = await self._watches.load_with_sessions(check.key, expected, now=self._clock.now())
            waiting = {waiter.session_id for waiter in watch.waiters}
            if waiting <= expected:
                break
            expected |= waiting
        sessions = [session for session in found if session.id in waiting]
        sessions.sort(key=lambda session: (not _has_message(session, watch.key.app_id), session.id))
        return Sight(watch=watch, sessions=tuple(sessions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The check that a lease is for, and what it began with."""

    key: WatchKey
    token: str
    leased: Leased


@dataclass(frozen=True, kw_only=True)
class Sight:
    """A watch with the sessions that wait on it, as they were at one moment."""

    watch: Watch
    sessions: tuple[Session, ...]

    def after(self, changed: Session) -> Sight:
        """Return the same with one of them changed."""
        return replace(self, sessions=tuple(changed if one.id == changed.id else one for one in self.sessions))


def _due(seen: Sight, *, checked_at: Instant | None) -> Due | None:
    dues = [
        due
        for session in seen.sessions
        if session.is_open
        for step in session.steps
        if step.app is not None and step.app.id == seen.watch.key.app_id
        if (due := schedule.due(step, checked_at=checked_at)) is not None
    ]
    return reduce(Due.__or__, dues) if dues else None


def _with(checks: tuple[Instant, ...], listing: Listing) -> tuple[Instant, ...]:
    if not listing.complete or (checks and checks[-1] >= listing.begun_at):
        return checks
    return (*checks, listing.begun_at)[-KEPT_CHECKS:]


def _has_message(session: Session, app_id: str) -> bool:
    return any(
        attempt.messages
        for step in session.steps
        if step.app is not None and step.app.id == app_id
        for attempt in step.app_attempts
    )
