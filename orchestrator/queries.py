"""What sessions look like from outside: the session joined with its user's credential and its watches' next checks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.events import Event
from orchestrator.core.links import LinkState, state_of
from orchestrator.core.links import find as find_link
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.credentials import CredentialStore, Standing
from orchestrator.core.ports.sessions import EventPage, SessionPage, SessionQuery, SessionStore, SignalRecord, Written
from orchestrator.core.ports.watches import WatchStore
from orchestrator.core.session import ConnectLink, Instant, Session, SessionKey, Step
from orchestrator.core.values import value


@value
class Snapshot:
    """A session as one read shows it. `next_checks` is by app id, for the apps somebody waits on."""

    session: Session
    credential: Standing | None
    next_checks: Mapping[str, Instant | None]


@value
class Linked:
    """A connect link as it is for whoever comes by it."""

    session: Session
    step: Step
    link: ConnectLink
    state: LinkState
    credential: Standing | None


class Queries:
    """Reads. None of them changes anything; all of them keep to one tenant."""

    def __init__(
        self,
        *,
        sessions: SessionStore,
        watches: WatchStore,
        credentials: CredentialStore,
        clock: Clock,
    ) -> None:
        self._sessions = sessions
        self._watches = watches
        self._credentials = credentials
        self._clock = clock

    async def session(self, key: SessionKey) -> Snapshot:
        """Return one session. Raises SessionNotFoundError, also for another tenant's."""
        return await self.snapshot(await self._sessions.load(key))

    async def with_events(self, key: SessionKey, *, after: int, limit: int) -> tuple[Snapshot, tuple[Event, ...]]:
        """Return one session with its events after `after`, if all of them are kept and at most `limit`, else none.

        Raises SessionNotFoundError.
        """
        session, events = await self._sessions.load_with_events(key, after=after, limit=limit)
        return await self.snapshot(session), events

    async def of_user(self, key: SessionKey, user_id: str) -> Session:
        """Return one session of this user. Raises SessionNotFoundError, also for another user's."""
        session = await self._sessions.load(key)
        if session.user_id != user_id:
            raise SessionNotFoundError(session_id=key.session_id)
        return session

    async def linked(self, session_id: str, digest: str) -> Linked:
        """Return the session's connect link whose token has this digest, whoever asks: they have the token.

        Raises SessionNotFoundError, also when the session has no such link.
        """
        session = await self._sessions.load_any(session_id)
        found = find_link(session, digest)
        if found is None:
            raise SessionNotFoundError(session_id=session_id)
        step, link = found
        return Linked(
            session=session,
            step=step,
            link=link,
            state=state_of(link, step, session, now=self._clock.now()),
            credential=await self._credentials.standing(session.tenant_id, session.user_id),
        )

    async def sessions(self, query: SessionQuery) -> tuple[tuple[Snapshot, ...], str | None]:
        """Return one page of sessions, and the cursor after it. Raises ValueError for a cursor that is not ours."""
        page: SessionPage = await self._sessions.find(query)
        return tuple([await self.snapshot(session) for session in page.sessions]), page.cursor

    async def events(self, key: SessionKey, *, after: int, limit: int) -> EventPage:
        """Return a session's events after a sequence number."""
        return await self.events_of(await self._sessions.load(key), after=after, limit=limit)

    async def events_of(self, session: Session, *, after: int, limit: int) -> EventPage:
        """Return events of a session that was just read. Raises SessionNotFoundError when it is gone since."""
        return await self._sessions.events(session.id, after=after, limit=limit)

    async def signals(self, key: SessionKey) -> tuple[SignalRecord, ...]:
        """Return what was heard about a session and what became of it."""
        await self._sessions.load(key)
        return await self._sessions.signals(key.session_id)

    async def snapshot(self, session: Session, *, written: Written | None = None) -> Snapshot:
        """Return what a session that was just read or committed looks like, without reading it again.

        Nor is anything else read that its commit has told already.
        """
        keys = {session.watch_key(step.app.id) for step in session.steps if step.app is not None and step.app_attempts}
        if written is not None and all(key.app_id in written.next_checks for key in keys):
            told = {key.app_id: written.next_checks[key.app_id] for key in keys}
            return Snapshot(session=session, credential=written.standing, next_checks=told)
        standing = self._credentials.standing(session.tenant_id, session.user_id)
        if not keys:
            return Snapshot(session=session, credential=await standing, next_checks={})
        credential, next_checks = await asyncio.gather(standing, self._watches.next_checks(keys))
        return Snapshot(
            session=session,
            credential=credential,
            next_checks={key.app_id: at for key, at in next_checks.items()},
        )
