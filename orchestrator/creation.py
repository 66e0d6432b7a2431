"""Creating the Zap of a session: permit, committed intent, one call, its outcome. Never two for one wish."""

from __future__ import annotations

import asyncio
from typing import Final

from orchestrator.commits import Applied, Commits
from orchestrator.core.decide import decide
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.requests import IdempotencyInFlightError
from orchestrator.core.errors.store import StaleVersionError
from orchestrator.core.errors.upstream import UpstreamError
from orchestrator.core.ports.around import Clock, Ids
from orchestrator.core.ports.credentials import Credential, CredentialStore
from orchestrator.core.ports.sessions import Outcome, SessionQuery, SessionStore
from orchestrator.core.ports.upstream import Upstream
from orchestrator.core.recognition import GIVE_UP_AFTER, ZapListing, is_contested, matches
from orchestrator.core.required import active
from orchestrator.core.schedule import Policy
from orchestrator.core.session import SECOND, Millis, Session, SessionKey, SessionStatus, ZapState
from orchestrator.core.signals import Signal, ZapAnswered, ZapIdentified, ZapRequested, ZapsListed, ZapsNotListed
from orchestrator.core.terms import ANY_TERMS, Terms
from orchestrator.core.values import replace
from orchestrator.engine import Engine
from orchestrator.insisting import insist
from orchestrator.preflight import Preflight

ANSWER_PATIENCE: tuple[Millis, ...] = (2 * SECOND,) * 25
"""Waits for a store that is away when there is an answer to note, which cannot be asked for again."""

MOST_KNOWN = 100
"""How many of a user's newest sessions, of each status, are asked for the Zaps that they have made."""

_HAVE_CALLED: Final = (
    SessionStatus.CREATED,
    SessionStatus.CREATING,
    SessionStatus.CREATE_UNKNOWN,
    SessionStatus.CANCELLED,
)

LOOK_LIMIT: Millis = 10 * SECOND
"""How long one look may take: whoever sweeps has others' deadlines to keep."""

IN_FLIGHT_WAIT: Millis = 2 * SECOND
"""What whoever repeats a request is asked to wait while its one call is under way."""


class Creator:
    """Creates Zaps. A crash after the intent leaves `create_unknown`, never a second Zap."""

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        engine: Engine,
        commits: Commits,
        sessions: SessionStore,
        credentials: CredentialStore,
        upstream: Upstream,
        clock: Clock,
        ids: Ids,
        policy: Policy,
        look_limit: Millis = LOOK_LIMIT,
    ) -> None:
        self._commits = commits
        self._sessions = sessions
        self._credentials = credentials
        self._upstream = upstream
        self._clock = clock
        self._ids = ids
        self._policy = policy
        self._look_limit = look_limit
        self._preflight = Preflight(upstream, engine=engine, clock=clock, policy=policy)

    async def create(self, key: SessionKey, *, again: bool = False, terms: Terms = ANY_TERMS) -> Applied:
        """Create the session's Zap with one call.

        `again` is a person's word that an earlier call of unknown outcome made none. A created session answers
        `duplicate`. A request that comes again makes no second call: while the first is under way it raises
        IdempotencyInFlightError, afterwards it returns the session as it is. Raises NotReadyError, CreateUnknownError,
        SessionLockedError, SignInRequiredError, InputsFlawedError, UpstreamError, PreconditionFailedError,
        IdempotencyKeyReusedError, StaleVersionError (the session changed meanwhile): then no call was made.
        """
        session = await self._sessions.load(key)
        earlier = await self._commits.earlier(session.tenant_id, session.user_id, terms)
        if earlier is not None:
            return _replayed(earlier)
        terms.check(session)
        if session.zap.id is not None:
            return Applied(session=session, outcome=Outcome.DUPLICATE)
        request = ZapRequested(intent_id=self._ids.new("in"), again=again)
        decide(session, request, policy=self._policy, now=self._clock.now())
        credential = await self._credential(session)
        draft = await self._preflight.draft(session, credential)

        async def requested(current: Session) -> Signal:
            if (current.steps, current.title, current.account) != (session.steps, session.title, session.account):
                raise StaleVersionError(session_id=session.id)
            return request

        permit = await self._upstream.permit(session.tenant_id, session.user_id)
        try:
            intent = await self._commits.apply(key, requested, terms=terms)
        except ZapwrightError:
            await self._upstream.give_back([permit])
            raise
        if intent.is_replay:
            await self._upstream.give_back([permit])
            return _replayed(intent)
        answer = await self._upstream.create_zap(credential, draft, permit=permit)
        noted = await self._note(key, ZapAnswered(intent_id=request.intent_id, answer=answer))
        return replace(noted, made=intent.made)

    async def identify(self, key: SessionKey, zap_id: str, *, terms: Terms = ANY_TERMS) -> Applied:
        """Take a person's word for which of the matches is the session's Zap. Raises as `Commits.apply`."""
        return await self._commits.apply(key, ZapIdentified(zap_id=zap_id), terms=terms)

    async def look(self, session: Session) -> None:
        """Look through the user's Zaps for the one that a call of unknown outcome may have made.

        While Zapier cannot be asked, or hangs, that is tried ever more seldom, for ten minutes after the intent at
        most. Raises as `Commits.apply`.
        """
        intent_id, intent_at = session.zap.intent_id or "", session.zap.intent_at or 0
        try:
            async with asyncio.timeout(self._look_limit / SECOND):
                listing = await self._upstream.zaps(await self._credential(session))
        except (UpstreamError, SignInRequiredError, TimeoutError):
            if self._clock.now() < intent_at + GIVE_UP_AFTER:
                await self._commits.apply(session.key, ZapsNotListed(intent_id=intent_id))
                return
            listing = ZapListing(zaps=(), complete=False)
        others = await self._others(session)
        found = matches(session, listing, others=others)
        listed = ZapsListed(
            intent_id=intent_id,
            matches=found,
            complete=listing.complete,
            contested=is_contested(found, listing, others=others),
        )
        await self._commits.apply(session.key, listed)

    async def _credential(self, session: Session) -> Credential:
        found = await self._credentials.get(session.tenant_id, session.user_id)
        return active(found, user_id=session.user_id)

    async def _others(self, session: Session) -> list[Session]:
        """Return the user's other sessions that have made a Zap, or may have; also those that were given up since."""
        query = SessionQuery(tenant_id=session.tenant_id, user_id=session.user_id, limit=MOST_KNOWN)
        pages = await asyncio.gather(*(self._sessions.find(replace(query, status=status)) for status in _HAVE_CALLED))
        return [other for page in pages for other in page.sessions if other.id != session.id]

    async def _note(self, key: SessionKey, answered: ZapAnswered) -> Applied:
        return await insist(lambda: self._commits.apply(key, answered), waits=ANSWER_PATIENCE, clock=self._clock)


def _replayed(intent: Applied) -> Applied:
    """Say what became of an intent; the Zap of another one is no work of this request's."""
    zap = intent.session.zap
    if zap.intent_id != intent.made:
        return replace(intent, outcome=Outcome.DUPLICATE)
    if zap.state is ZapState.CREATING:
        raise IdempotencyInFlightError(retry_after=IN_FLIGHT_WAIT)
    return intent
