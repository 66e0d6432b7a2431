"""Recognising a Zap of which nobody knows whether it was made, in a list of the user's Zaps.

Zapier has no key by which to ask for it (Zapier docs: create a Zap). It is taken for the one when two looks ten seconds
apart saw it and no other that fits, and no other session may have made it; else only a person can tell.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from orchestrator.core.session import MINUTE, SECOND, Action, Instant, Millis, Session, ZapMatch, ZapState

BETWEEN_LOOKS: Final[Millis] = 10 * SECOND
CLOCKS_DIFFER: Final[Millis] = MINUTE
"""How far Zapier's clock may be behind ours."""

GIVE_UP_AFTER: Final[Millis] = 10 * MINUTE
"""How long looking is tried while Zapier cannot be asked."""


@dataclass(frozen=True, kw_only=True)
class ListedZap:
    """A Zap as Zapier lists it: of each step the authentication, and the action where that is told."""

    id: str
    title: str
    updated_at: Instant
    editor_url: str | None
    authentications: tuple[str | None, ...]
    actions: tuple[Action | None, ...]


@dataclass(frozen=True, kw_only=True)
class ZapListing:
    """A list of the user's Zaps; `complete`: every page came, and every Zap could be read."""

    zaps: tuple[ListedZap, ...]
    complete: bool = True


def title_of(session: Session) -> str:
    """Return what the session's Zap is called: the apps in their order, where nobody gave a title."""
    return session.title or " → ".join(step.app.title for step in session.steps if step.app)


def matches(session: Session, listing: ZapListing, *, others: Collection[Session]) -> tuple[ZapMatch, ...]:
    """Return the Zaps that may be the session's, and are none of its user's other sessions'."""
    known = {other.zap.id for other in others}
    return tuple(
        ZapMatch(id=zap.id, title=zap.title, editor_url=zap.editor_url)
        for zap in listing.zaps
        if zap.id not in known and _fits(session, zap)
    )


def is_contested(found: Collection[ZapMatch], listing: ZapListing, *, others: Collection[Session]) -> bool:
    """Say whether one of the matches may as well be another session's, of whose call the outcome is not known either.

    One for which nobody looks any more has only what was seen by then.
    """
    shown = {match.id for match in found}
    return any(match.id in shown for other in others for match in _may_be(other, listing, others=others))


def _may_be(session: Session, listing: ZapListing, *, others: Collection[Session]) -> tuple[ZapMatch, ...]:
    is_looked_for = session.zap.state is ZapState.UNKNOWN and session.zap.look_at is not None
    if is_looked_for or session.zap.state is ZapState.CREATING:
        return matches(session, listing, others=others)
    return session.zap.matches


def _fits(session: Session, zap: ListedZap) -> bool:
    wanted = tuple(step.authentication.id if step.authentication else None for step in session.steps)
    is_young = zap.updated_at >= (session.zap.intent_at or 0) - CLOCKS_DIFFER
    return (
        is_young
        and zap.title == title_of(session)
        and zap.authentications == wanted
        and all(told in {None, step.action} for told, step in zip(zap.actions, session.steps, strict=True))
    )
