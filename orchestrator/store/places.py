"""Where things stand in the lists that are read page by page, and the cursors by which that goes on.

A list goes on below its last place, whatever is added above.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from orchestrator.core.deliveries import Delivery
from orchestrator.core.interventions import AuditEntry
from orchestrator.core.session import Instant, Session
from orchestrator.store import keys

_SESSION: Final = re.compile(r"(0|[1-9][0-9]{0,14}):(zs[0-9a-f]{2}[0-9A-Za-z]{8,60})")
_AUDIT: Final = re.compile(r"[0-9]{15}:[0-9A-Za-z]{1,64}")
_WATCH: Final = re.compile(r"(0|[1-9][0-9]{0,14}) ([!-~]+:[!-~]+:[!-~]+)")
_LANE: Final = re.compile(r"(0|[1-9][0-9]{0,14}) ([!-~]+:[!-~]+:zs[0-9a-z]{10,62}) ([1-9][0-9]{0,14})")
_DELIVERY: Final = re.compile(r"[0-9]{15}:zs[0-9a-z]{10,62}:[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a session stands in a list by age."""

    created_at: Instant
    session_id: str

    @classmethod
    def of(cls, session: Session) -> Place:
        """Return the session's place."""
        return cls(session.created_at, session.id)

    @classmethod
    def from_cursor(cls, cursor: str) -> Place:
        """Read a cursor back. Raises ValueError when it is not ours."""
        found = _read(cursor, _SESSION, of="a list of sessions")
        return cls(int(found[1]), found[2])

    @classmethod
    def from_index(cls, place: str) -> Place:
        """Read `index_place` back."""
        created_at, _, session_id = place.partition(":")
        return cls(int(created_at), session_id)

    @property
    def cursor(self) -> str:
        """The place as opaque text."""
        return _cursor(f"{self.created_at}:{self.session_id}")

    @property
    def index_place(self) -> str:
        """The place as the end of an index member."""
        return keys.index_place(self.created_at, self.session_id)


@dataclass(frozen=True, slots=True, order=True)
class AuditPlace:
    """Where an entry stands in the audit by age: `text` is its place in the index, and orders as it does there."""

    text: str

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditPlace:
        """Return the entry's place."""
        return cls(f"{entry.at:015d}:{entry.id}")

    @classmethod
    def from_cursor(cls, cursor: str) -> AuditPlace:
        """Read a cursor back. Raises ValueError when it is not ours."""
        return cls(_read(cursor, _AUDIT, of="the audit")[0])

    @property
    def entry_id(self) -> str:
        """Whose place it is."""
        return self.text.partition(":")[2]

    @property
    def cursor(self) -> str:
        """The place as opaque text."""
        return _cursor(self.text)


@dataclass(frozen=True, slots=True, order=True)
class WatchPlace:
    """Where a watch stands in a list by when it is checked next."""

    due: Instant
    name: str

    @classmethod
    def from_cursor(cls, cursor: str) -> WatchPlace:
        """Read a cursor back. Raises ValueError when it is not ours."""
        found = _read(cursor, _WATCH, of="a list of watches")
        return cls(int(found[1]), found[2])

    @property
    def cursor(self) -> str:
        """The place as opaque text."""
        return _cursor(f"{self.due} {self.name}")


@dataclass(frozen=True, slots=True, order=True)
class LanePlace:
    """Where a delivery stands in a list of those to all endpoints: by a time, its lane's name and its `seq`."""

    at: Instant
    lane: str
    seq: int

    @classmethod
    def from_cursor(cls, cursor: str) -> LanePlace:
        """Read a cursor back. Raises ValueError when it is not ours."""
        found = _read(cursor, _LANE, of="a list of deliveries")
        return cls(int(found[1]), found[2], int(found[3]))

    @classmethod
    def of_dead(cls, member: str) -> LanePlace:
        """Read it out of a member of the index, as `keys.dead_member` writes it."""
        at, _, rest = member.removeprefix(keys.DEAD).partition(":")
        lane, _, seq = rest.rpartition(":")
        return cls(int(at), lane, int(seq))

    @property
    def cursor(self) -> str:
        """The place as opaque text."""
        return _cursor(f"{self.at} {self.lane} {self.seq}")


@dataclass(frozen=True, slots=True, order=True)
class DeliveryPlace:
    """Where a delivery stands in a list by age: `text` is its place in the index, and orders as it does there."""

    text: str

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryPlace:
        """Return the delivery's place."""
        return cls(keys.delivery_place(delivery.created_at, delivery.lane.session_id, delivery.seq))

    @classmethod
    def of_member(cls, member: str) -> DeliveryPlace:
        """Read the place out of a member of the index."""
        return cls(":".join(member.split(":")[-3:]))

    @classmethod
    def from_cursor(cls, cursor: str) -> DeliveryPlace:
        """Read a cursor back. Raises ValueError when it is not ours."""
        return cls(_read(cursor, _DELIVERY, of="a list of deliveries")[0])

    @property
    def session_id(self) -> str:
        """Whose event it is."""
        return self.text.split(":")[1]

    @property
    def seq(self) -> int:
        """Which event it is."""
        return int(self.text.split(":")[2])

    @property
    def cursor(self) -> str:
        """The place as opaque text."""
        return _cursor(self.text)


def _cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read(cursor: str, pattern: re.Pattern[str], *, of: str) -> re.Match[str]:
    """Read what `_cursor` wrote, which has to be like this. Raises ValueError for anything else."""
    refusal = ValueError(f"{cursor!r} is no cursor of {of}")
    try:
        text = base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise refusal from None
    found = pattern.fullmatch(text)
    if found is None or _cursor(text) != cursor:
        raise refusal
    return found
