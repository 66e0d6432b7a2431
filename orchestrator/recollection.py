"""What a process last knew of sessions: each may be another one by now, so it is where to begin, never what is said."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from orchestrator.core.ports.around import Clock
from orchestrator.core.session import MINUTE, Instant, Millis, Session, SessionKey

MOST_RECALLED: Final = 1_000
RECALLED_FOR: Final[Millis] = 2 * MINUTE
"""About as long as a user takes from one step of connecting to the next."""


class Recollection:
    """Sessions as they were just after this process committed them: the newest so many, none for long."""

    def __init__(self, clock: Clock, *, most: int = MOST_RECALLED) -> None:
        self._clock = clock
        self._most = most
        self._known: OrderedDict[tuple[str, str], tuple[Instant, Session]] = OrderedDict()

    def keep(self, session: Session) -> None:
        """Know the session as it is here. What was kept for too long goes."""
        key = session.tenant_id, session.id
        self._known[key] = self._clock.now(), session
        self._known.move_to_end(key)
        self.let_go()

    def let_go(self) -> None:
        """Know nothing any more of what is too much, or was kept for too long."""
        now, known = self._clock.now(), self._known
        while known and (len(known) > self._most or not _is_fresh(next(iter(known.values()))[0], now)):
            known.popitem(last=False)

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: SessionKey) -> Session | None:
        """Return the session as it was last known, None when nothing is."""
        since, session = self._known.get((key.tenant_id, key.session_id)) or (0, None)
        return session if _is_fresh(since, self._clock.now()) else None

    def drop(self, key: SessionKey) -> None:
        """Know nothing of the session any more."""
        self._known.pop((key.tenant_id, key.session_id), None)

    def drop_user(self, tenant_id: str, user_id: str) -> None:
        """Know nothing of any session of the user's any more."""
        of_user = [
            key
            for key, (_, session) in self._known.items()
            if session.tenant_id == tenant_id and session.user_id == user_id
        ]
        for key in of_user:
            del self._known[key]


def _is_fresh(since: Instant, now: Instant) -> bool:
    """Tell whether what was kept then may be known still; a clock that was set back says nothing about how long."""
    return 0 <= now - since < RECALLED_FOR
