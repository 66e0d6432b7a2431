"""On what terms a request wants to be carried out: once, however often it comes, and only on the session it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.core.errors.sessions import PreconditionFailedError
from orchestrator.core.session import MINUTE, Millis
from orchestrator.core.values import replace, value

if TYPE_CHECKING:
    from orchestrator.core.session import Session

RECEIPT_KEPT: Final[Millis] = 24 * 60 * MINUTE
"""How long a request is recognised when it comes again."""


@value
class Idempotency:
    """What a request is recognised by when it comes again.

    `name` stands for its sender, its route and the key it was sent with; `fingerprint` stands for its body.
    """

    name: str
    fingerprint: str


@value
class Terms:
    """The terms of one request. `seqs`: the session must be at one of these, None for at any."""

    idempotency: Idempotency | None = None
    seqs: frozenset[int] | None = None

    def check(self, session: Session) -> None:
        """Accept the session as it is. Raises PreconditionFailedError."""
        if self.seqs is not None and session.seq not in self.seqs:
            raise PreconditionFailedError(session_id=session.id, seq=session.seq)

    def after(self, session: Session) -> Terms:
        """Return the terms of what the same request does next, after it has made the session this one."""
        return self if self.seqs is None else replace(self, seqs=frozenset({session.seq}))


ANY_TERMS: Final = Terms()
"""Each time, and however the session is."""
