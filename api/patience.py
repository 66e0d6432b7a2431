"""How long connections are waited for: for the head of a request, for the rest of it, for another one, to be read.

All of them are looked through several times a second, in the order in which they began to be waited for. That costs a
connection nothing while nothing is late, where a timer of its own would be set and cancelled with every request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Protocol

BODY_S: Final = 0.1
"""How long the rest of a request is waited for before it is left to who can wait for it as long as a body may take."""

READ_S: Final = 60
"""How long who is sent something may read nothing of it, or not all of it once nothing more will come."""


AWAY_S: Final = 1
"""Whoever did not look for so long got no turn: what came meanwhile is still to be read."""


class Connection(Protocol):
    """What is waited for."""

    def give_up_head(self) -> None:
        """The head of its request did not come in time."""

    def let_body_come(self) -> None:
        """The rest of its request takes a while."""

    def timeout_keep_alive_handler(self) -> None:
        """Another request did not come in time."""

    def give_up_reader(self) -> None:
        """What was written was not read in time."""


Since = dict[Connection, float]


class Patience:
    """What is waited for in one process, and since when, by the clock that is given."""

    def __init__(self, now: Callable[[], float], *, head_s: float, another_s: float) -> None:
        self._now = now
        self._head_s = head_s
        self._another_s = another_s
        self._looked_at = now()
        self._heads: Since = {}
        self._bodies: Since = {}
        self._others: Since = {}
        self._readers: Since = {}

    def for_head(self, connection: Connection) -> None:
        """Wait for the head of a request; its time runs from the first call."""
        if connection not in self._heads:
            self._heads[connection] = self._now()

    def for_body(self, connection: Connection) -> None:
        """Wait for the rest of a request whose head is here, from the first call on."""
        if connection not in self._bodies:
            self._bodies[connection] = self._now()

    def for_another(self, connection: Connection) -> None:
        """Wait for another request."""
        self._others[connection] = self._now()

    def for_reader(self, connection: Connection) -> None:
        """Wait until what was written is read, from the first call on."""
        if connection not in self._readers:
            self._readers[connection] = self._now()

    def has_read(self, connection: Connection) -> None:
        """There is room to write again."""
        self._readers.pop(connection, None)

    def is_here(self, connection: Connection) -> None:
        """Something came."""
        self._others.pop(connection, None)

    def has_head(self, connection: Connection) -> None:
        """The head of a request is here."""
        self._heads.pop(connection, None)

    def end(self, connection: Connection) -> None:
        """Wait for nothing more."""
        for since in (self._heads, self._bodies, self._others, self._readers):
            since.pop(connection, None)

    def look(self) -> None:
        """Give up what is late; but nobody right after the process got no turn, who may have come in time."""
        now = self._now()
        was_away, self._looked_at = now - self._looked_at >= AWAY_S, now
        if was_away:
            return
        for connection in _late(self._heads, now - self._head_s):
            connection.give_up_head()
        for connection in _late(self._bodies, now - BODY_S):
            connection.let_body_come()
        for connection in _late(self._others, now - self._another_s):
            connection.timeout_keep_alive_handler()
        for connection in _late(self._readers, now - READ_S):
            connection.give_up_reader()


def _late(since: Since, before: float) -> Iterator[Connection]:
    """Take out those that have been waited for since before then; whoever came first is first."""
    while since:
        connection, began = next(iter(since.items()))
        if began > before:
            return
        del since[connection]
        yield connection
