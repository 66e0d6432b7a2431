"""What nobody asks for: attempts and sessions end, intents go unanswered, old things are erased, news is told late."""

from __future__ import annotations

from functools import partial

import structlog
from structlog.contextvars import bound_contextvars

from orchestrator.commits import Commits
from orchestrator.core.errors.base import NotFoundError
from orchestrator.core.errors.store import StaleVersionError, StoreError, StoreUnavailableError
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.audit import AuditLog
from orchestrator.core.ports.credentials import SignInStore
from orchestrator.core.ports.sessions import ReceiptStore, SessionStore
from orchestrator.core.ports.watches import WatchStore
from orchestrator.core.schedule import Policy, wake_at
from orchestrator.core.session import ENDED, MINUTE, Instant, Millis, Session, SessionStatus
from orchestrator.core.signals import TimePassed
from orchestrator.core.trimming import trimmed
from orchestrator.creation import Creator
from orchestrator.credentials import ToldCredentials

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 200
OUTBOX_LEAST: Millis = 24 * 60 * MINUTE
"""How long events may be on their way out, though sessions are kept for less."""

TRIM_AGAIN: Millis = 60 * MINUTE
"""How soon it is looked again whether an ended session's last messages have arrived."""

_OVER = ENDED | {SessionStatus.CREATE_UNKNOWN}


class Sweeper:
    """Applies deadlines, one shard at a time. Safe to run many times, and at the same time."""

    def __init__(  # noqa: PLR0913 - the ports
        self,
        *,
        commits: Commits,
        sessions: SessionStore,
        receipts: ReceiptStore,
        watches: WatchStore,
        audit: AuditLog,
        credentials: ToldCredentials,
        sign_ins: SignInStore,
        creator: Creator,
        clock: Clock,
        policy: Policy,
    ) -> None:
        self._commits = commits
        self._sessions = sessions
        self._receipts = receipts
        self._watches = watches
        self._audit = audit
        self._credentials = credentials
        self._sign_ins = sign_ins
        self._creator = creator
        self._clock = clock
        self._policy = policy

    async def sweep(self, shard: int) -> int:
        """Look at every session of the shard whose time has come; returns how many.

        Sessions that may not know how their user's credential is are told: whoever changed it may have died before.
        Raises StoreUnavailableError at once, and another StoreError after all the others were looked at.
        """
        now = self._clock.now()
        broken: StoreError | None = None
        session_ids = await self._sessions.to_wake(shard, now=now, limit=MOST_AT_ONCE)
        untold = await self._credentials.untold(shard, limit=MOST_AT_ONCE)
        for deed in (
            *(partial(self._wake, session_id) for session_id in session_ids),
            *(partial(self._credentials.tell, *user) for user in untold),
        ):
            try:
                await deed()
            except (NotFoundError, StaleVersionError):
                continue  # erased, or busy: a commit has just moved its time
            except StoreUnavailableError:
                raise
            except StoreError as error:
                broken = error
        outlived = now - self._policy.session_ttl_longest - self._policy.attempt_longest
        await self._watches.forget_claims(shard, before=outlived, limit=MOST_AT_ONCE)
        await self._receipts.forget(shard, now=now, limit=MOST_AT_ONCE)
        await self._sign_ins.forget(shard, now=now, limit=MOST_AT_ONCE)
        await self._audit.forget(shard, before=now - self._policy.audit_retention, limit=MOST_AT_ONCE)
        sent_by = now - max(self._policy.retention, OUTBOX_LEAST)
        unsent = await self._sessions.forget_outbox(shard, before=sent_by, limit=MOST_AT_ONCE)
        if unsent:
            log.error("outbox_trimmed", shard=shard, events_lost=unsent, older_than_ms=now - sent_by)
        if broken is not None:
            raise broken
        return len(session_ids)

    async def _wake(self, session_id: str) -> None:
        with bound_contextvars(session=session_id):
            await self._look_at(session_id)

    async def _look_at(self, session_id: str) -> None:
        session = await self._sessions.load_any(session_id)
        due = wake_at(session, self._policy)
        if due is None or due > self._clock.now():
            await self._commits.put_off(session)
        elif session.zap.look_at is not None:
            await self._creator.look(session)
        elif session.status in ENDED and session.trimmed_at is None and self._outlives_its_history(session):
            await self._trim(session)
        elif session.status in _OVER:
            await self._sessions.purge(session)
        else:
            await self._commits.apply(session.key, TimePassed(checks=await self._checks(session)))

    def _outlives_its_history(self, session: Session) -> bool:
        now = self._clock.now()
        return (wake_at(trimmed(session, now=now), self._policy) or 0) > now

    async def _trim(self, session: Session) -> None:
        now = self._clock.now()
        left = trimmed(session, now=now)
        purged_at = wake_at(left, self._policy) or now
        await self._sessions.trim(left, now=now, wake_at=purged_at, if_pending_at=min(now + TRIM_AGAIN, purged_at))

    async def _checks(self, session: Session) -> dict[str, tuple[Instant, ...]]:
        now = self._clock.now()
        checks = {}
        for step in session.steps:
            if step.app is not None and step.live_attempt is not None:
                watch = await self._watches.load(session.watch_key(step.app.id), now=now)
                checks[step.app.id] = watch.checks
        return checks
