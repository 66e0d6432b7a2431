"""Connect links: what one is good for, and the code by which people name a browser that waits."""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from orchestrator.core.session import StepState

if TYPE_CHECKING:
    from orchestrator.core.session import ConnectLink, Instant, Session, Step

_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's 32, of which none is easily taken for another."""

_LENGTH_OF_CODE: Final = 8
_MISREAD: Final = str.maketrans("OIL", "011", "- ")


class LinkState(StrEnum):
    """What a connect link is good for; the two first are those of a link that can be used."""

    NEW = "new"
    OPENED = "opened"
    DONE = "done"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REPLACED = "replaced"
    SESSION_OVER = "session_over"


USABLE: Final = frozenset({LinkState.NEW, LinkState.OPENED})


def state_of(link: ConnectLink, step: Step, session: Session, *, now: Instant) -> LinkState:
    """Say what a step's link is good for now. One whose step is resolved has done what it is for, however."""
    if step.state is StepState.RESOLVED and link.ended is None:
        return LinkState.DONE
    if link.ended is not None:
        return LinkState(link.ended.value)
    if not session.is_open:
        return LinkState.SESSION_OVER
    if link.expires_at <= now:
        return LinkState.EXPIRED
    return LinkState.NEW if link.browser is None else LinkState.OPENED


def find(session: Session, digest: str) -> tuple[Step, ConnectLink] | None:
    """Return the session's link whose token has this digest, and its step, in a time that tells nothing of others."""
    found = [(step, link) for step in session.steps for link in step.links if hmac.compare_digest(link.digest, digest)]
    return found[0] if found else None


def code_of(random_id: str) -> str:
    """Make the code of a browser out of an id nobody could guess."""
    number = int.from_bytes(hashlib.sha256(random_id.encode()).digest())
    return "".join(_LETTERS[number >> 5 * place & 31] for place in range(_LENGTH_OF_CODE))


def code_meant(text: str) -> str | None:
    """Return the code that somebody who writes this may mean, None when it is none.

    Pages show it in two halves with a dash between them, and people write it as they please.
    """
    code = text.upper().translate(_MISREAD)
    return code if len(code) == _LENGTH_OF_CODE and {*code} <= {*_LETTERS} else None
