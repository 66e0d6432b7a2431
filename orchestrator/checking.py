"""Checking a watch: one listing at Zapier, applied to every step that waits on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import reduce

from structlog.contextvars import bound_contextvars

from orchestrator.commits import Commits
from orchestrator.core import schedule
from orchestrator.core.effects import Due, LeaseHeld
from orchestrator.core.errors.base import NotFoundError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.store import LeaseLostError, StaleVersionError, StoreError
from orchestrator.core.errors.upstream import UpstreamBusyError, UpstreamError
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.budget import Permit
from orchestrator.core.ports.credentials import Credential, CredentialState, CredentialStore
from orchestrator.core.ports.sessions import SessionStore
from orchestrator.core.ports.upstream import Upstream
from orchestrator.core.ports.watches import Settlement, Watch, WatchStore
from orchestrator.core.retry import retry_at
from orchestrator.core.session import Instant, Listing, Session, SessionKey, WatchKey
from orchestrator.core.signals import AuthenticationsListed, Signal

MOST_SETTLE_TRIES = 20
MOST_CHECKS_KEPT = 16


class Checker:
    """Makes checks. A check that dies anywhere loses nothing: its lease runs out and the watch is due again."""

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        commits: Commits,
        sessions: SessionStore,
        watches: WatchStore,
        credentials: CredentialStore,
        upstream: Upstream,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._commits = commits
        self._sessions = sessions
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
            watch, credential = await asyncio.gather(
                self._watches.load(key, now=self._clock.now()), self._credentials.get(key.tenant_id, key.user_id)
            )
        except StoreError:
            await self._upstream.give_back(permits)
            raise
        if watch.lease_token != token or watch.lease_until <= self._clock.now():
            await self._upstream.give_back(permits)
            return False
        try:
            return await self._look(watch, credential, token, permits)
        except LeaseLostError:
            return False

    async def _look(self, watch: Watch, credential: Credential | None, token: str, permits: Sequence[Permit]) -> bool:
        key = watch.key
        if credential is None or credential.state is not CredentialState.ACTIVE:
            await self._upstream.give_back(permits)
            await self._settle(key, token, paused_for=credential.generation if credential else 0)
            return False
        try:
            listing = await self._upstream.authentications(credential, key.app_id, permits=permits)
        except SignInRequiredError:
            await self._settle(key, token, paused_for=credential.generation)
        except UpstreamBusyError as busy:
            until, pages = self._clock.now() + busy.retry_after, max(watch.pages, busy.pages)
            await self._settle(key, token, held_until=until, failures=watch.failures, pages=pages)
        except UpstreamError:
            await self._back_off(watch, token)
        else:
            return await self._take(watch, token, listing, credential)
        return False

    async def _take(self, watch: Watch, token: str, listing: Listing, credential: Credential) -> bool:
        """Apply a listing to every waiting session, those with messages first, then settle the watch."""
        now, shared = self._clock.now(), False
        if credential.profile_id is not None:
            tenant_id, profile_id = credential.tenant_id, credential.profile_id
            shared = await self._credentials.users_of_profile(tenant_id, profile_id, now=now) > 1
        # Read anew: `_settle` takes this listing to cover everything heard before it began.
        watch = await self._watches.load(watch.key, now=now)
        known: Watch | None = watch
        for session in await self._waiting(watch):
            with suppress(NotFoundError):  # purged between the two reads
                await self._apply(session, watch.key, token, listing, known=known, shared=shared)
            known = None  # what one session takes is claimed, and no news to the next
        if listing.complete:
            await self._settle(watch.key, token, checked=listing)
        else:
            await self._back_off(watch, token)
        return listing.complete

    async def _apply(
        self, session: Session, key: WatchKey, token: str, listing: Listing, *, known: Watch | None, shared: bool
    ) -> None:
        """Apply the listing to a session as it was read, with the watch as it is `known`.

        If either has changed, the commit's guards say so, and both are read again.
        """

        async def listed(_: Session) -> Signal:
            nonlocal known
            watch, known = known or await self._watches.load(key, now=self._clock.now()), None
            return AuthenticationsListed(
                listing=listing,
                checks=_with(watch.checks, listing),
                claims=watch.claims,
                popups=watch.popups,
                shared_profile=shared,
            )

        guards = (LeaseHeld(app_id=key.app_id, token=token),)
        with bound_contextvars(session=session.id):
            await self._commits.apply(session.key, listed, guards=guards, read=session)

    async def _back_off(self, watch: Watch, token: str) -> None:
        failures = watch.failures + 1
        until = retry_at(failures, now=self._clock.now(), jitter=self._chance())
        await self._settle(watch.key, token, held_until=until, failures=failures)

    async def _settle(  # noqa: PLR0913 - the ways in which a check may end
        self,
        key: WatchKey,
        token: str,
        *,
        checked: Listing | None = None,
        held_until: Instant | None = None,
        paused_for: int | None = None,
        failures: int = 0,
        pages: int | None = None,
    ) -> None:
        """End the check. A commit that touched the watch meanwhile is heard: what is due is computed again."""
        for tries_left in reversed(range(MOST_SETTLE_TRIES)):
            now = self._clock.now()
            watch = await self._watches.load(key, now=now)
            checks = _with(watch.checks, checked) if checked else watch.checks
            settlement = Settlement(
                key=key,
                token=token,
                version=watch.version,
                now=now,
                due=await self._due(watch, checked_at=checks[-1] if checks else None),
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

    async def _due(self, watch: Watch, *, checked_at: Instant | None) -> Due | None:
        dues = [
            due
            for session in await self._waiting(watch)
            if session.is_open
            for step in session.steps
            if step.app is not None and step.app.id == watch.key.app_id
            if (due := schedule.due(step, checked_at=checked_at)) is not None
        ]
        return reduce(Due.__or__, dues) if dues else None

    async def _waiting(self, watch: Watch) -> list[Session]:
        """Load the sessions that wait, those that hold messages first: what is theirs is then nobody's news."""
        found = []
        for session_id in sorted({waiter.session_id for waiter in watch.waiters}):
            try:
                key = SessionKey(tenant_id=watch.key.tenant_id, session_id=session_id)
                found.append(await self._sessions.load(key))
            except NotFoundError:
                continue  # purged between the two reads
        return sorted(found, key=lambda session: not _has_message(session, watch.key.app_id))


def _with(checks: tuple[Instant, ...], listing: Listing) -> tuple[Instant, ...]:
    if not listing.complete or (checks and checks[-1] >= listing.begun_at):
        return checks
    return (*checks, listing.begun_at)[-MOST_CHECKS_KEPT:]


def _has_message(session: Session, app_id: str) -> bool:
    return any(
        attempt.messages
        for step in session.steps
        if step.app is not None and step.app.id == app_id
        for attempt in step.app_attempts
    )
