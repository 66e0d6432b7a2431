"""Who is signed in: an operator's key stays here, and the browser has a random name for it."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

LONGEST_S: Final = 12 * 3600.0
"""However busy somebody is, they sign in again after so long."""

MOST: Final = 1_000
"""More visits than this are no operators': the ones that were idle for longest end."""

OPERATOR: Final = "operator"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a key lets its holder see; those of one scope see the same."""

    role: str
    tenants: tuple[str, ...] | None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of something that was done a moment ago; the next page says it, once.

    What was not done has the `path` that it was asked of, and its `form`, so that nothing has to be typed again.
    """

    tone: str
    title: str
    text: str = ""
    path: str = ""
    form: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Visit:
    """Somebody who is signed in, until the visit ends."""

    key: str = field(repr=False)
    scope: Scope
    began_s: float
    seen_s: float
    ended: bool = False
    told: Told | None = None

    @property
    def may_act(self) -> bool:
        """Whether they may do more than look."""
        return self.scope.role == OPERATOR


class Visits:
    """All who are signed in at this process. `clock` counts seconds from anywhere."""

    def __init__(self, *, idle_s: float, clock: Callable[[], float]) -> None:
        self._idle_s = idle_s
        self._clock = clock
        self._visits: OrderedDict[str, Visit] = OrderedDict()

    def begin(self, key: str, scope: Scope) -> str:
        """Let somebody in, and return the name that their browser is to send."""
        while len(self._visits) >= MOST:
            self._visits.popitem(last=False)[1].ended = True
        name, now = secrets.token_urlsafe(32), self._clock()
        self._visits[_digest(name)] = Visit(key=key, scope=scope, began_s=now, seen_s=now)
        return name

    def find(self, name: str | None, *, touch: bool = False) -> Visit | None:
        """Return whose name this is, None for nobody's; with `touch` they are not idle."""
        digest = _digest(name or "")
        visit = self._visits.get(digest)
        if visit is None or not self.is_live(visit):
            self._visits.pop(digest, None)
            return None
        if touch:
            visit.seen_s = self._clock()
            self._visits.move_to_end(digest)
        return visit

    def is_live(self, visit: Visit) -> bool:
        """Whether the visit goes on; one that was idle for too long ends here."""
        now = self._clock()
        if now - visit.seen_s > self._idle_s or now - visit.began_s > LONGEST_S:
            visit.ended = True
        return not visit.ended

    def end(self, name: str | None) -> None:
        """Let nobody in by this name any more."""
        visit = self._visits.pop(_digest(name or ""), None)
        if visit is not None:
            visit.ended = True


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
